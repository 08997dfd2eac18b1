"""
The backstop: the broker's own exit at a loss of the day, for the case that nothing of ours is alive.

It lapses each day and covers no carried F&O, and it fires at once where the loss is there already. So it is armed each
session beyond the local limit, read back, reported, and nothing here ever relies on it.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Final

from riskguard.core.account import Account
from riskguard.errors import BrokerRefusedError
from riskguard.ports import Alerts
from riskguard.redaction import redacted
from riskguard.services.kill.options import read_options
from riskguard.services.kill.powers import backstop_of
from riskguard.services.orders.guard import RiskGuard
from riskguard.store import kills, loader
from riskguard.store.session import Session

log = logging.getLogger("riskguard")

PRODUCTS: Final = ("INTRADAY", "CNC")
"""What the broker's exit can cover; carried F&O it cannot."""
AGAIN_US: Final = 15 * 60 * 1_000_000
WAIT_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Backstop:
    """How it stands today: ARMED was read back. `loss_e4` > 0, 1/10000 rupee."""

    state: str
    loss_e4: int | None
    products: str
    detail: str
    at_us: int


def standing(session: Session, account: str, date: str) -> Backstop | None:
    """Return today's backstop as last tried; None when it was not."""
    row = session.row(kills.BACKSTOP, account=account, session_date=date)
    return None if row is None else Backstop(*row)


def keep_armed(guard: RiskGuard, account: str, broker: object, alerts: Alerts) -> Backstop | None:
    """
    Arm the backstop if it is configured and not armed for this session and this limit; returns how it then stands.

    Asked again after a quarter of an hour where the broker would not, or does not show it. None: not configured, nothing
    to arm it at, or a loss so near that it would fire.
    """
    with guard.store.session(durable=False, wait_s=WAIT_S) as session:
        now_us = guard.clock.now_us()
        percent = read_options(session).backstop_pct
        date = loader.session_date(now_us)
        before = standing(session, account, date)
        wanted_e4 = None
        if percent:
            session.read_heads(account)
            loaded = loader.load(session, account, loader.group_of(session, account) or "", now_us).account
            wanted_e4 = level_e4(loaded, percent)
        guard.store.roll_back(session)
    if wanted_e4 is None:
        return before
    if before is not None:
        if before.state == "ARMED" and before.loss_e4 == wanted_e4:
            return before
        if before.state != "ARMED" and 0 <= now_us - before.at_us < AGAIN_US:
            return before
    made = _arm(broker, wanted_e4, now_us)
    with guard.store.session(durable=True, wait_s=WAIT_S) as session:
        session.run(
            kills.SAVE_BACKSTOP, account=account, session_date=date, state=made.state, loss_e4=made.loss_e4,
            products=made.products, detail=made.detail[:300], at_us=made.at_us,
        )  # fmt: skip
    if made.state == "ARMED":
        log.info("%s: the broker's own exit is armed at %s", account, made.loss_e4)
    else:
        alerts.tell(account, "warning", f"the broker's own exit at a loss is not armed ({made.state}): {made.detail}")
    return made


def level_e4(account: Account, percent: int) -> int | None:
    """
    Return the loss to arm at, in 1/10000 rupee: *percent* of the tightest daily loss, rounded up.

    None without a limit in rupees, while the day's loss is unknown, and from the limit itself on: armed there it fires.
    """
    limits = [
        found
        for limit in account.limits.of("daily_loss")
        if (found := limit.params.limit_e4(account.opening_equity_e4)) is not None  # type: ignore[attr-defined]
    ]
    if not limits or account.pnl is None or account.pnl.day_pnl_e4 is None:
        return None
    if account.pnl.day_pnl_e4 <= -min(limits):
        return None
    nearest_e4: int = min(limits)
    return -(nearest_e4 * percent // -100)


def _arm(broker: object, loss_e4: int, now_us: int) -> Backstop:
    """Arm it and believe only what is read back."""
    able = backstop_of(broker)
    products = ",".join(PRODUCTS)
    if able is None:
        return Backstop("REFUSED", loss_e4, products, "this broker has none", now_us)
    said = ""
    try:
        able.arm_backstop(loss_e4, PRODUCTS)
    except BrokerRefusedError as e:
        return Backstop("REFUSED", loss_e4, products, redacted(str(e)), now_us)
    except Exception as e:  # whatever it answered, what stands is what is read
        said = redacted(f"{type(e).__name__}: {e}")
    try:
        seen = able.backstop()
    except Exception as e:
        return Backstop(
            "UNKNOWN", loss_e4, products, redacted(f"it cannot be read back: {type(e).__name__}: {e}"), now_us
        )
    if not seen.is_armed or seen.loss_e4 is None:
        return Backstop("UNKNOWN", loss_e4, products, said or "it does not read as armed", now_us)
    if abs(seen.loss_e4 - loss_e4) > 100:  # the broker rounds to the paisa
        return Backstop(
            "UNKNOWN", seen.loss_e4, ",".join(seen.products), "it reads as another loss than was asked", now_us
        )
    return Backstop("ARMED", loss_e4, ",".join(seen.products), said, now_us)
