"""
What `riskguard doctor` says of limits: those that never bind, those that bind every day, those nothing feeds, those
that only watch, and those whose rulebook has moved on.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from typing import Final

from riskguard.core.calendar import DAY_US, Calendar
from riskguard.core.checks import ALWAYS, MANDATORY
from riskguard.core.limits import Limit
from riskguard.errors import RiskGuardError
from riskguard.locate import rulebook_text
from riskguard.services.finding import Finding, Severity
from riskguard.services.limits import rulebooks
from riskguard.store import controls, loader
from riskguard.store.calendar import calendar
from riskguard.store.queries.limit_health import (
    BREACHES,
    EQUITY,
    NEWEST_FUNDS,
    NEWEST_MARGIN,
    NEWEST_MARK,
    SENT,
    TRADED,
    USED,
)
from riskguard.store.queries.rulebook_rows import ENTRY, LAST_APPLY
from riskguard.store.session import ACCOUNTS, Session, Store
from riskguard.store.spelling import Prepared

WAIT_S: Final = 2.0
LOOKED_BACK_DAYS: Final = 30
IDLE_SESSIONS_MIN: Final = 10
IDLE_ORDERS_MIN: Final = 100
IDLE_PCT: Final = 25
"""A limit of which never more than this was used is four times as wide as the account needs."""
FIRING_SESSIONS_MIN: Final = 3
FIRING_BACK_DAYS: Final = 10
FED_US: Final = DAY_US
"""What a limit needs and nobody has brought for a day, nobody brings."""
ENDS_SOON_DAYS: Final = 7

NEEDS_MARKS: Final = (
    "concentration",
    "gross_exposure",
    "leverage",
    "net_exposure",
    "open_order_value",
    "position_value",
)
NEEDS_EQUITY: Final = ("concentration", "leverage")
SUGGEST: Final = "look at `riskguard limits suggest`"


def _accounts(store: Store, look: Callable[[Session, str], Iterable[Finding]]) -> Iterator[Finding]:
    with store.session(durable=False, wait_s=WAIT_S) as session:
        found = [each for (account, *_) in session.rows(ACCOUNTS) for each in look(session, account)]
        store.roll_back(session)
    yield from found


def _newest(session: Session, statement: Prepared, **values: object) -> int:
    row = session.row(statement, **values)
    return 0 if row is None or row[0] is None else int(row[0])


# -- what must be there -------------------------------------------------------------------------------------------


def missing_limits(store: Store, now_us: int) -> Iterator[Finding]:
    """Mandatory limits nobody configured: what adds risk is refused until somebody does."""

    def look(session: Session, account: str) -> Iterator[Finding]:
        group = loader.group_of(session, account) or ""
        present = {limit.check.name for limit in controls.limits(session, account, group).limits}
        always = {limit.check.name for limit in ALWAYS}
        for name in MANDATORY:
            if name not in present | always:
                yield Finding(
                    Severity.WARNING, "limits",
                    f"`{account}` has no limit of the mandatory check `{name}`: orders that add risk are refused",
                    "take it from a rulebook of rules/, and `riskguard limits apply`",
                )  # fmt: skip

    yield from _accounts(store, look)


# -- too wide, too narrow -----------------------------------------------------------------------------------------


def idle_limits(store: Store, now_us: int) -> Iterator[Finding]:
    """Limits that never come near: who set them may have meant another account."""
    since_us = now_us - LOOKED_BACK_DAYS * DAY_US

    def look(session: Session, account: str) -> Iterator[Finding]:
        standing = {limit.id for limit in rulebooks.standing(session, account)}
        breached = {row[0] for row in session.rows(BREACHES, account=account, since_s=since_us // 1_000_000)}
        days: dict[str, list[tuple[int, int, str]]] = defaultdict(list)
        for limit_id, _date, approved, peak_e2, peak in session.rows(
            USED, account=account, since_date=loader.session_date(since_us)
        ):
            days[limit_id].append((peak_e2, approved, peak))
        for limit_id, seen in sorted(days.items()):
            peak_e2, _, peak = max(seen)
            enough = len(seen) >= IDLE_SESSIONS_MIN and sum(each[1] for each in seen) >= IDLE_ORDERS_MIN
            if limit_id in standing - breached and enough and peak_e2 < IDLE_PCT * 100:
                yield Finding(
                    Severity.INFO, "limits",
                    f"`{limit_id}` of `{account}` was never near in {len(seen)} sessions: at most {peak_e2 / 100:.1f} % "
                    f"of it ({peak})",
                    SUGGEST,
                )  # fmt: skip

    yield from _accounts(store, look)


def firing_limits(store: Store, now_us: int) -> Iterator[Finding]:
    """Limits that refuse every day: a strategy that does not know them, or a number that is wrong."""
    since_us = now_us - FIRING_BACK_DAYS * DAY_US

    def look(session: Session, account: str) -> Iterator[Finding]:
        since_date = loader.session_date(since_us)
        sessions = {row[1] for row in session.rows(USED, account=account, since_date=since_date)}
        fired: dict[str, set[str]] = defaultdict(set)
        for limit_id, at_s in session.rows(BREACHES, account=account, since_s=since_us // 1_000_000):
            fired[limit_id].add(loader.session_date(int(at_s) * 1_000_000))
        sessions |= {day for days in fired.values() for day in days}
        for limit_id, days in sorted(fired.items()):
            if len(days) >= FIRING_SESSIONS_MIN and days >= sessions:
                yield Finding(
                    Severity.WARNING, "limits", f"`{limit_id}` of `{account}` was breached in each of {len(days)} sessions",
                    f"see `riskguard violations`; if the number is wrong, {SUGGEST}",
                )  # fmt: skip

    yield from _accounts(store, look)


# -- what nothing feeds -------------------------------------------------------------------------------------------


def unfed_limits(store: Store, now_us: int) -> Iterator[Finding]:
    """Limits whose facts nobody brings: enforced they refuse everything, in shadow they say nothing."""

    def look(session: Session, account: str) -> Iterator[Finding]:
        for limit in rulebooks.standing(session, account):
            for what, way_out in _missing(session, account, limit, now_us):
                watches = limit.only_watches(now_us)
                yield Finding(
                    Severity.INFO if watches else Severity.WARNING, "limits",
                    f"`{limit.id}` of `{account}` ({limit.check.name}) {'watches nothing' if watches else 'refuses'}: {what}",
                    way_out,
                )  # fmt: skip

    yield from _accounts(store, look)


def _missing(session: Session, account: str, limit: Limit, now_us: int) -> Iterator[tuple[str, str]]:
    check, since_s = limit.check.name, (now_us - FED_US) // 1_000_000
    if check in NEEDS_MARKS and _newest(session, NEWEST_MARK) < now_us - FED_US:
        yield "no quote was pushed for a day", "push quotes with `guard.quote(...)`"
    if check in NEEDS_EQUITY and not _newest(session, EQUITY, account=account):
        yield "the day's opening equity is not known", "let the sweep read funds before the open"
    if check == "margin_available":
        if _newest(session, NEWEST_FUNDS, account=account) < since_s:
            yield "no funds were read for a day", "is the sweep attached to a broker that says funds?"
        elif _newest(session, NEWEST_MARGIN, account=account) < since_s:
            yield (
                "no margin was asked for a day, so it goes by estimate",
                "ask with `guard.prepare(...)` before each check",
            )
    if check == "trading_window" and calendar().complete_until < Calendar.session_date(now_us):
        unknown = getattr(limit.params, "unknown_day", "")
        yield f"the calendar has ended, and on a day nobody knows it says `{unknown}`", "upgrade riskguard"
    if check == "order_to_trade_ratio":
        since_us = now_us - LOOKED_BACK_DAYS * DAY_US
        sent = _newest(session, SENT, account=account, since_us=since_us)
        if sent and not _newest(session, TRADED, account=account, since_s=since_us // 1_000_000):
            yield f"{sent} orders were sent and no trade is known", "report fills, or let the sweep read trades"


# -- what only watches --------------------------------------------------------------------------------------------


def watching_limits(store: Store, now_us: int) -> Iterator[Finding]:
    """Mandatory limits in shadow, and acknowledgements about to end or ended."""
    today = Calendar.session_date(now_us)

    def look(session: Session, account: str) -> Iterator[Finding]:
        for limit in rulebooks.standing(session, account):
            if not limit.acknowledged_until:
                continue
            until = date.fromisoformat(limit.acknowledged_until)
            left = (until - today).days
            name = f"`{limit.id}` of `{account}`"
            if left < 0:
                yield Finding(
                    Severity.INFO, "limits", f"{name} enforces again since its acknowledgement ended on {until}",
                    "take `acknowledged_until` out of its rulebook",
                )  # fmt: skip
            elif limit.check.mandatory or left <= ENDS_SOON_DAYS:
                soon = f"; {left} days are left" if left <= ENDS_SOON_DAYS else ""
                what = "is mandatory and only watches" if limit.check.mandatory else "only watches"
                yield Finding(
                    Severity.WARNING, "limits", f"{name} {what} until {until}, by {limit.acknowledged_by}{soon}",
                    "enforce it in its rulebook; from the day after it enforces by itself",
                )  # fmt: skip

    yield from _accounts(store, look)


# -- the rulebook -------------------------------------------------------------------------------------------------


def rulebook_files(store: Store, now_us: int) -> Iterator[Finding]:
    """A rulebook whose file says something else than what was applied, and what waits for the next session."""

    def look(session: Session, account: str) -> Iterator[Finding]:
        due = rulebooks.waiting(session, account)
        if due is not None:
            names = ", ".join(f"`{change.limit_id}`" for change in due.changes)
            yield Finding(
                Severity.INFO, "limits", f"{names} of `{account}` loosen with the session of {due.from_date}",
                "applying a rulebook withdraws it",
            )  # fmt: skip
        row = session.row(LAST_APPLY, account=account)
        entry = session.row(ENTRY, account=account, sequence=row[0]) if row and row[0] else None
        if entry is None:
            return
        body = json.loads(entry[0])
        name = body.get("origin") or body["rulebook"]
        try:
            text = rulebook_text(name)
        except (RiskGuardError, OSError):
            return  # moved or never a file here: nothing to compare with
        if hashlib.sha256(text.encode()).hexdigest() != body["digest"]:
            yield Finding(
                Severity.WARNING, "limits", f"rulebook `{name}` differs from what was applied to `{account}`",
                f"look at `riskguard limits plan {name} --account {account}`",
            )  # fmt: skip

    yield from _accounts(store, look)


FINDINGS: Final[tuple[Callable[[Store, int], Iterable[Finding]], ...]] = (
    missing_limits,
    idle_limits,
    firing_limits,
    unfed_limits,
    watching_limits,
    rulebook_files,
)
