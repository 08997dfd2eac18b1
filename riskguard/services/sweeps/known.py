"""
What the sweeps of an account know besides this look: what slower sweeps brought, and what reconciliation found.

A value for the judgement; None is "not known". The loss sweep asks no broker, and still judges by all of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from riskguard.core.live.view import SourceHealth, Unexplained, Unsolicited
from riskguard.core.seen import SeenFunds, SeenProfile
from riskguard.store import sweeps
from riskguard.store.session import Session
from riskguard.store.sweeps import Difference


@dataclass(frozen=True, slots=True)
class Known:
    """See the module; the names are those of `core.live.view.View`."""

    funds: SeenFunds | None = None
    funds_at_us: int | None = None
    profile: SeenProfile | None = None
    profile_at_us: int | None = None
    health: Mapping[str, SourceHealth] = field(default_factory=dict)
    unexplained: tuple[Unexplained, ...] | None = None
    unexplained_at_us: int | None = None
    unsolicited: tuple[Unsolicited, ...] | None = None


def reconciled(
    session: Session, account: str, date: str, now_us: int
) -> tuple[tuple[Unexplained, ...] | None, int | None, tuple[Unsolicited, ...]]:
    """
    Return what stands unexplained, when the broker's list was last compared, and the day's unsolicited orders.

    Read from the database: whichever process looked, and whichever died since. Nothing was ever compared: None.
    """
    orders = sweeps.unsolicited(session, account, date)
    found = [Unsolicited(each.order_id, each.detail, each.origin != "OTHER") for each in orders]
    compared_us = sweeps.newest_list_us(session, account, "positions", now_us)
    if compared_us is None:
        return None, None, tuple(found)
    standing = [each for each in sweeps.differences(session, account) if each.session_date == date]
    # A line that was looked at too soon after a fill was not compared: it says what it said before.
    return tuple(_unexplained(each) for each in standing), compared_us, tuple(found)


def _unexplained(each: Difference) -> Unexplained:
    return Unexplained((each.exchange_segment, each.security_id), each.product, each.theirs - each.ours)
