"""`riskguard kill --resume`: carries on what earlier kills left to do. It halts nothing and releases nothing."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from riskguard.errors import RiskGuardError
from riskguard.home import database_url

if TYPE_CHECKING:
    from riskguard.cli.kill import Arguments

WAIT_S_MAX = 60.0


def resume(given: Arguments) -> int:
    """Carry on, report; returns 0 when all that was left is proven done, 1 when something is not, or nothing could be asked."""
    from riskguard.cli.follow import follow
    from riskguard.cli.kill import say_runs

    try:
        url = database_url(given.values.get("--db"))
        known = _accounts(url)
        if given.account is not None and given.account not in known:
            listed = ", ".join(f"`{name}`" for name in known) or "none"
            raise RiskGuardError(f"no account `{given.account}` here (known: {listed}): nothing was carried on")
        accounts = [given.account] if given.account is not None else list(known)
        runs = follow(url, accounts, show=not given.json, wait_s_max=WAIT_S_MAX if given.wait else 0.0)
    except RiskGuardError as e:
        print(f"riskguard: {e}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("the halt stands; a daemon or the next sweep carries the rest on")
        return 1
    return _report(given, runs, say_runs)


def _report(given: Arguments, runs: list[dict[str, Any]], say_runs: Any) -> int:
    from riskguard.cli.follow import is_over

    status = 0 if all(is_over(run) for run in runs) else 1
    if given.json:
        import json

        print(json.dumps({"exit_status": status, "runs": runs, "notes": given.notes}))
        return status
    for note in given.notes:
        print(f"note: {note}")
    if not runs:
        print("nothing is left to carry on")
    say_runs(runs)
    return status


def _accounts(url: str) -> tuple[str, ...]:
    from riskguard.services.wiring import settings_of
    from riskguard.store.session import Store

    store = Store(url)
    try:
        return settings_of(store)[1]
    finally:
        store.close()
