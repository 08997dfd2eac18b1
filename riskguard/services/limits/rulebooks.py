"""
Rulebooks against the database: what applying one would change, and applying it.

What tightens counts at once. What loosens while the session runs waits for the next one, unless a second person
stands behind it: nobody widens a limit alone in the heat of a loss. What waits is part of the journal entry that
asked for it, so that it is as durable and as hard to forge as that; the first transaction of its day carries it out.
A rulebook is the whole of what holds: applying another one withdraws what waits.
Source: checks.md §2 `limit_change`.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any, Final

from riskguard.core.calendar import SEARCH_DAYS_MAX, Calendar
from riskguard.core.limits import Limit, LimitSet, limit_from
from riskguard.core.rulebook import Change, Rulebook, changes
from riskguard.errors import RulebookError, UnknownAccountError
from riskguard.store import controls, journal, loader
from riskguard.store.calendar import calendar
from riskguard.store.queries.rulebook_rows import ENTRY, LAST_APPLY, SEGMENTS_HELD
from riskguard.store.session import ACCOUNTS, Ask, Session, Store

log = logging.getLogger("riskguard")

WAIT_S: Final = 5.0
ACKNOWLEDGED_DAYS_MAX: Final = 92
"""A quarter: a limit that only watches for longer than that is one nobody means to enforce."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """
    Loosenings that wait for a session: what the journal entry `sequence` of the account says.

    `changes` hold the limit that must still stand as it was reviewed, and what takes its place.
    """

    sequence: int
    from_date: str
    rulebook: str
    digest: str
    origin: str
    by: str
    reason: str
    changes: tuple[Change, ...]


def standing(session: Session, account: str) -> tuple[Limit, ...]:
    """Return the limits that stand for exactly this owner (GLOBAL and groups own theirs)."""
    known = tuple(row[0] for row in session.rows(ACCOUNTS))
    if account not in known:
        raise UnknownAccountError(account, known)
    own = f"ACCOUNT:{account}"
    found = controls.limits(session, account, "").limits
    wide = {row_id for row_id in (_wide_row(limit) for limit in found) if row_id is not None}
    return tuple(limit for limit in found if limit.row_id not in wide or str(limit.scope) == own)


def _wide_row(limit: Limit) -> int | None:
    return limit.row_id if limit.scope.kind in ("GLOBAL", "GROUP") else None


# -- plan and apply -------------------------------------------------------------------------------------------


def plan(store: Store, account: str, book: Rulebook, now_us: int, *, approver: str = "") -> tuple[Change, ...]:
    """
    Return what applying *book* to *account* at *now_us* would change; writes nothing.

    Raises RulebookError for an acknowledgement that is too long, UnknownAccountError.
    """
    check_acknowledgements(book, now_us)
    with store.session(durable=False, wait_s=WAIT_S) as session:
        found = _dated(session, account, changes(standing(session, account), book), now_us, approver)
        store.roll_back(session)
    return found


def write(
    session: Session, account: str, book: Rulebook, by: str, reason: str, now_us: int, action_id: int, *,
    approver: str = "", origin: str = "",
) -> tuple[Change, ...]:  # fmt: skip
    """
    Write *book* inside an open action and journal it: what counts now, what waits, and what stands afterwards.

    Changed limits are superseded, missing ones retired. *origin* is the file it came from, as given.
    """
    check_acknowledgements(book, now_us)
    found = _dated(session, account, changes(standing(session, account), book), now_us, approver)
    withdrawn = waiting(session, account)
    now = [change for change in found if change.kind != "keep" and not change.from_date]
    later = [change for change in found if change.from_date]
    for change in now:
        _carry_out(session, account, change, action_id, book.digest, now_us)
    contents = {
        "rulebook": book.name, "digest": book.digest, "origin": origin, "by": by, "approver": approver, "reason": reason,
        "changes": [_said(change) for change in now], "deferred": [_kept_change(change) for change in later],
        "from_date": later[0].from_date if later else "", "withdrawn": withdrawn.sequence if withdrawn else None,
        "result": LimitSet(standing(session, account)).digest,
    }  # fmt: skip
    head = journal.append(session, account, "APPLY", contents, now_us)
    controls.close_action(session, action_id, head.sequence)
    return found


def check_acknowledgements(book: Rulebook, now_us: int) -> None:
    """Refuse an acknowledgement that has ended, or holds longer than a quarter; raises RulebookError."""
    today = Calendar.session_date(now_us)
    for limit in book.limits:
        if not limit.acknowledged_until:
            continue
        until = date.fromisoformat(limit.acknowledged_until)
        if not today <= until <= today + timedelta(days=ACKNOWLEDGED_DAYS_MAX):
            raise RulebookError(
                f"limit `{limit.id}`: `acknowledged_until` = {until}: wants a day from {today} to "
                f"{today + timedelta(days=ACKNOWLEDGED_DAYS_MAX)}"
            )


def _dated(session: Session, account: str, found: tuple[Change, ...], now_us: int, approver: str) -> tuple[Change, ...]:
    """Give every change that must wait the date from which it counts."""
    if approver or not any(change.loosens for change in found):
        return found
    from_date = waits_until(calendar(), _segments(session, account, now_us), now_us)
    return tuple(replace(change, from_date=from_date) if change.loosens else change for change in found)


def _segments(session: Session, account: str, now_us: int) -> tuple[str, ...]:
    """The segments whose hours are this account's session: the calendar's, and those it has a line in today."""
    held = session.rows(SEGMENTS_HELD, account=account, session_date=loader.session_date(now_us))
    return tuple(sorted(calendar().segments | {segment for (segment,) in held}))


def waits_until(hours: Calendar, segments: Iterable[str], now_us: int) -> str:
    """
    Return the date of the next session, ISO text, while today's runs in any of *segments*; else "".

    A session runs from its first opening to the end of its last window or closing auction, breaks included. Where
    nobody knows the hours the day is taken as open: waiting a day is the smaller mistake.
    """
    known = tuple(segments)
    today = hours.session_date(now_us)
    for segment in known:
        windows = hours.windows(segment, today)
        if not windows:
            continue
        auction = hours.closing_auction(segment, today)
        close_us = max(windows[-1].close_us, auction.close_us if auction is not None else 0)
        if windows[0].open_us <= now_us < close_us:
            break
    else:
        return ""
    days = (today + timedelta(days=number) for number in range(1, SEARCH_DAYS_MAX))
    return next(
        (day for day in days if any(hours.is_trading_day(segment, day) for segment in known)),
        today + timedelta(days=1),
    ).isoformat()


def _carry_out(session: Session, account: str, change: Change, action_id: int, digest: str, now_us: int) -> None:
    if change.before is not None and change.before.row_id is not None:
        controls.retire_limit(session, change.before.row_id, now_us)
    if change.after is not None:
        controls.write_limit(session, account, change.after, action_id, digest, now_us)


# -- what waits -----------------------------------------------------------------------------------------------


def asks_waiting(account: str) -> Ask:
    """Return what `waiting` asks first."""
    return LAST_APPLY, {"account": account}


def waiting(session: Session, account: str) -> Waiting | None:
    """
    Return what the account's last act on its limits left to wait; None for nothing.

    Only the last one counts: every apply, and the carrying out itself, is an act of its own.
    """
    row = session.ask(asks_waiting(account))
    if row is None or row[0] is None:
        return None
    memo = session.store.memo
    key = ("waiting", session.store.opened, account, row[0])
    if key not in memo:
        memo[key] = _read_waiting(session, account, row[0])
    found: Waiting | None = memo[key]
    return found


def _read_waiting(session: Session, account: str, sequence: int) -> Waiting | None:
    entry = session.row(ENTRY, account=account, sequence=sequence)
    if entry is None:
        return None
    body = json.loads(entry[0])
    if not body.get("deferred"):
        return None
    try:
        found = tuple(_restored_change(each, account, body["from_date"]) for each in body["deferred"])
    except (RulebookError, KeyError, ValueError) as e:
        log.warning("what entry %s of %s left to wait cannot be read and is left out: %s", sequence, account, e)
        return None
    return Waiting(
        sequence, body["from_date"], body["rulebook"], body["digest"], body["origin"], body["by"], body["reason"], found
    )


def take_effect(session: Session, account: str, now_us: int) -> bool:
    """
    Carry out what waited for this session, journaled; False when nothing is due.

    A limit that no longer stands as it was reviewed (somebody tightened it since) is left as it is, and said so.
    """
    due = waiting(session, account)
    if due is None or due.from_date > loader.session_date(now_us):
        return False
    session.need_wide()
    by_id = {limit.id: limit for limit in standing(session, account)}
    action_id = controls.open_action(session, account, "APPLY", due.by, f"waited from entry {due.sequence}", now_us)
    done, left = [], []
    for change in due.changes:
        old, reviewed = by_id.get(change.limit_id), change.before
        if old is None or reviewed is None or (old.row_id, old.canonical()) != (reviewed.row_id, reviewed.canonical()):
            left.append(change.limit_id)
            continue
        _carry_out(session, account, change, action_id, due.digest, now_us)
        done.append(_said(change))
    contents = {
        "rulebook": due.rulebook, "digest": due.digest, "origin": due.origin, "by": due.by, "reason": due.reason,
        "waited": due.sequence, "changes": done, "left": left, "result": LimitSet(standing(session, account)).digest,
    }  # fmt: skip
    head = journal.append(session, account, "APPLY", contents, now_us)
    controls.close_action(session, action_id, head.sequence)
    return True


def waiting_changes(store: Store, accounts: Iterable[str] | None = None) -> dict[str, Waiting]:
    """Return what waits, by account; of all accounts when none are named."""
    with store.session(durable=False, wait_s=WAIT_S) as session:
        names = [row[0] for row in session.rows(ACCOUNTS)] if accounts is None else list(accounts)
        found = {name: due for name in names if (due := waiting(session, name)) is not None}
        store.roll_back(session)
    return found


def _said(change: Change) -> list[Any]:
    return [change.kind, change.limit_id, [list(each) for each in change.fields]]


def _kept_change(change: Change) -> dict[str, Any]:
    return {
        "kind": change.kind, "limit_id": change.limit_id, "fields": [list(each) for each in change.fields],
        "before": None if change.before is None else _kept_limit(change.before),
        "after": None if change.after is None else _kept_limit(change.after),
    }  # fmt: skip


def _restored_change(kept: dict[str, Any], account: str, from_date: str) -> Change:
    before = _restored_limit(kept["before"], account) if kept["before"] is not None else None
    after = _restored_limit(kept["after"], account) if kept["after"] is not None else None
    check = (before or after).check.name if before or after else ""  # type: ignore[union-attr]
    fields = tuple((name, was, now) for name, was, now in kept["fields"])
    return Change(kept["kind"], kept["limit_id"], check, before, after, fields, from_date)


def _kept_limit(limit: Limit) -> dict[str, Any]:
    return {
        "id": limit.id, "check": limit.check.name, "scope": str(limit.scope), "on_breach": limit.on_breach,
        "parameters": limit.params.model_dump(mode="json", exclude_none=True), "mode": limit.mode, "plan": limit.plan,
        "row_id": limit.row_id, "set_by": limit.set_by, "why": limit.why, "source": limit.source,
        "acknowledged_by": limit.acknowledged_by, "acknowledged_until": limit.acknowledged_until,
    }  # fmt: skip


def _restored_limit(kept: dict[str, Any], account: str) -> Limit:
    limit = limit_from(**kept)
    if limit.scope.kind == "ACCOUNT" and limit.scope.name != account:
        raise RulebookError(f"limit `{limit.id}` is of account `{limit.scope.name}`")
    return limit
