"""The message at the open: who is watched and how they stand, or what is wrong. Its absence is the alarm."""

from __future__ import annotations

import contextlib

from riskguard.errors import RiskGuardError
from riskguard.ports import Clock
from riskguard.services import doctor, overview
from riskguard.services.finding import Severity
from riskguard.store.session import Store

FINDINGS_MAX = 8


def heartbeat(url: str, clock: Clock) -> tuple[str, str]:
    """Return severity and text: `info` and OK when nothing wants a person, else what does. Never raises."""
    try:
        with contextlib.closing(Store(url)) as store:
            found = overview.status(store, clock)
    except (RiskGuardError, OSError) as e:
        return "critical", f"riskguard runs, but its database cannot be read: {e}"
    wrong = [each for each in doctor.examine(lambda: Store(url), clock.now_us()) if each.severity is not Severity.INFO]
    lines = [_account(each) for each in found["accounts"]]
    if not wrong and all(each["state"] == "ACTIVE" for each in found["accounts"]):
        return "info", "OK at the open: " + "; ".join(lines)
    lines += [
        f"{each.subject}: {each.what}{f' ({each.way_out})' if each.way_out else ''}" for each in wrong[:FINDINGS_MAX]
    ]
    if len(wrong) > FINDINGS_MAX:
        lines.append(f"and {len(wrong) - FINDINGS_MAX} more: `riskguard doctor`")
    return "warning", "at the open, look at this: " + "; ".join(lines)


def _account(each: dict[str, object]) -> str:
    limit = each["daily_loss_limit"]
    kept = f"daily loss limit ₹{limit}" if limit else "no daily loss limit is known"
    return f"{each['account']} is {each['state']}, {each['limits']} limits, {kept}"
