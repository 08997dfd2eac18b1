"""What `riskguard doctor` asks about evidence: is the key of the journal's macs here, and are anchors being kept."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Final

from riskguard.core.calendar import Calendar
from riskguard.errors import AuditKeyError, SettingsError
from riskguard.services.audit.anchors import KIND
from riskguard.services.audit.keeping import place_of_process
from riskguard.services.finding import Finding, Severity
from riskguard.store import upkeep_runs
from riskguard.store.calendar import calendar
from riskguard.store.queries import audit_health as asks
from riskguard.store.secrets import audit_key
from riskguard.store.session import GLOBAL, Store

WAIT_S: Final = 2.0
ENTRIES_MAX: Final = 100_000
"""Looked through from each end of a journal for one that is signed: the whole is what `audit verify` reads."""
SESSIONS_MAX: Final = 1
"""An anchor is kept once a day: with this many sessions begun since the last, one may still be to come."""
DAYS_MAX: Final = 60
VERIFY: Final = "`riskguard audit verify` judges the journal"


def audit_keys(store: Store, now_us: int) -> Iterator[Finding]:
    """Whether the keys that entries were signed with are at hand: what this host writes without them is no evidence."""
    del now_us
    try:
        keys = audit_key.at_hand()
    except (AuditKeyError, RuntimeError) as e:
        yield Finding(
            Severity.ERROR, "audit key", f"it cannot be used, entries go on without a mac: {e}",
            f"mend it; {VERIFY}",
        )  # fmt: skip
        return
    at_hand = frozenset(() if keys is None else keys.ids)
    absent: dict[str, str] = {}
    for account, name in _signed_with(store):
        if name not in at_hand:
            absent.setdefault(name, account)
    for name, account in absent.items():
        if keys is None:
            what = "and this host has none: what it writes carries no mac"
        else:
            what = f"which {keys.source} does not hold: those entries cannot be judged here"
        yield Finding(
            Severity.ERROR, "audit key", f"entries of `{account}` were signed with key `{name}`, {what}",
            f"bring the key back (`riskguard audit key status`); {VERIFY}",
        )  # fmt: skip


def _signed_with(store: Store) -> Iterator[tuple[str, str]]:
    """Yield (account, key id) of the first and the last entry of each journal that carry a mac."""
    with store.session(durable=False, wait_s=WAIT_S) as session:
        found: dict[tuple[str, str], None] = {}
        for account, head in session.rows(asks.HEADS):
            newest = session.row(asks.NEWEST_MAC, account=account, after=head - ENTRIES_MAX, until=head)
            oldest = session.row(asks.OLDEST_MAC, account=account, after=0, until=ENTRIES_MAX)
            for row in (newest, oldest):
                if row is not None:
                    found[account, str(row[1]).partition(":")[0]] = None
        store.roll_back(session)
    yield from found


def anchors_kept(store: Store, now_us: int) -> Iterator[Finding]:
    """Whether anchors are kept where somebody said so: without one, an end of the journal that was cut off shows nowhere."""
    try:
        place = place_of_process()
    except SettingsError as e:
        yield Finding(Severity.ERROR, "anchors", str(e), "mend the setting")
        return
    if not place:
        return
    with store.session(durable=False, wait_s=WAIT_S) as session:
        (last_us,) = session.row(upkeep_runs.LAST_DONE, kind=KIND) or (None,)
        (began_us,) = session.row(asks.BEGAN, account=GLOBAL) or (None,)
        store.roll_back(session)
    since_us = began_us if last_us is None else last_us
    if (
        since_us is None
        or _sessions_since(Calendar.session_date(since_us), Calendar.session_date(now_us)) <= SESSIONS_MAX
    ):
        return
    when = "none was ever kept" if last_us is None else f"the last was kept on {Calendar.session_date(last_us)}"
    yield Finding(
        Severity.WARNING, "anchors", f"they are configured and {when}: an end of the journal that is cut off would not show",
        "start `riskguard run` with the same setting, or `riskguard audit anchor`; its log says what failed",
    )  # fmt: skip


def _sessions_since(last: date, today: date) -> int:
    """Count the days of trading after *last*, up to and with *today*; a day nobody knows counts as one."""
    known = calendar()
    after = max(last, today - timedelta(days=DAYS_MAX))
    days = (after + timedelta(days=n) for n in range(1, (today - after).days + 1))
    return sum(any(known.is_trading_day(segment, day) for segment in known.segments) for day in days)
