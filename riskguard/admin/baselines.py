"""A day's baseline said by a person, where riskguard cannot know it."""

from __future__ import annotations

from riskguard.core.money import rupees, to_e4
from riskguard.errors import ReportInvalidError, UnknownAccountError
from riskguard.ports import Clock
from riskguard.services import baseline
from riskguard.store import journal
from riskguard.store.session import ACCOUNTS, Store, clock_of

WAIT_S = 5.0


def set_baseline(store: Store, account: str, *, day_pnl: str, by: str, reason: str, clock: Clock | None = None) -> int:
    """
    Say what the day has made or lost where riskguard cannot know it; it may only lower the figure. Returns 1/10000 ₹.

    Raises ReportInvalidError for a profit, a malformed figure, or one above what is known already.
    """
    try:
        day_pnl_e4 = to_e4(day_pnl)
    except ValueError as e:
        raise ReportInvalidError(f"`--day-pnl` = {day_pnl[:40]}: {e}") from None
    if day_pnl_e4 > 0:
        raise ReportInvalidError(
            f"`--day-pnl` = {rupees(day_pnl_e4)}: it may only lower the day's figure, so 0 or less"
        )
    with store.session(durable=True, wait_s=WAIT_S) as session:
        now_us = clock_of(store, clock).now_us()
        known = tuple(row[0] for row in session.rows(ACCOUNTS))
        if account not in known:
            raise UnknownAccountError(account, known)
        session.read_heads(account)
        baseline.lower(session, account, day_pnl_e4, by, reason, now_us)
        session.read_heads(account)
        journal.append(session, account, "BASELINE", {"day_pnl_e4": day_pnl_e4, "by": by, "reason": reason}, now_us)
    return day_pnl_e4
