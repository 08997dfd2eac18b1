"""Rulebooks against the database: what applying one would change, and applying it."""

from __future__ import annotations

from riskguard.core.limits import Limit
from riskguard.core.rulebook import Change, Rulebook, changes
from riskguard.errors import UnknownAccountError
from riskguard.store import controls, journal
from riskguard.store.session import ACCOUNTS, Session, Store

WAIT_S = 5.0


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


def plan(store: Store, account: str, book: Rulebook) -> tuple[Change, ...]:
    """Return what applying *book* to *account* would change; writes nothing."""
    with store.session(durable=False, wait_s=WAIT_S) as session:
        found = changes(standing(session, account), book)
        store.roll_back(session)
    return found


def write(
    session: Session, account: str, book: Rulebook, by: str, reason: str, now_us: int, action_id: int
) -> tuple[Change, ...]:
    """Write *book* inside an open action: changed limits are superseded, missing ones retired; journal it."""
    found = changes(standing(session, account), book)
    for change in found:
        if change.kind == "keep":
            continue
        if change.before is not None and change.before.row_id is not None:
            controls.retire_limit(session, change.before.row_id, now_us)
        if change.after is not None:
            controls.write_limit(session, account, change.after, action_id, book.digest, now_us)
    said = [[change.kind, change.limit_id, [list(each) for each in change.fields]] for change in found]
    contents = {"rulebook": book.name, "digest": book.digest, "by": by, "reason": reason, "changes": said}
    head = journal.append(session, account, "APPLY", contents, now_us)
    controls.close_action(session, action_id, head.sequence)
    return found
