"""Rulebooks into force: planned, approved where they loosen, written with their digest in one transaction."""

from __future__ import annotations

from riskguard.core.release import same_person
from riskguard.core.rulebook import Change, parse
from riskguard.errors import ReleaseRefusedError
from riskguard.ports import Clock
from riskguard.services.limits import rulebooks
from riskguard.store import controls
from riskguard.store.session import Store, clock_of

WAIT_S = 5.0


def apply_rulebook(
    store: Store, text: str, *, account: str, by: str, reason: str = "", approver: str = "", origin: str = "",
    clock: Clock | None = None,
) -> tuple[Change, ...]:  # fmt: skip
    """
    Apply a rulebook to *account* in one transaction, journaled with its digest and what stands afterwards.

    Returns what changes. A loosening while the session runs waits for the next one (`Change.from_date`), unless
    *approver* names a second person, whom the caller has made sure of. *origin* is the file, for `riskguard doctor`.

    Raises RulebookError (nothing is applied), ReleaseRefusedError (the approver is who applies),
    UnknownAccountError.
    """
    if approver and same_person(approver, by):
        raise ReleaseRefusedError(
            f"`{approver}` cannot approve what `{by}` applies: a second approver is another person"
        )
    book = parse(text, account=account, author=by)
    with store.session(durable=True, wait_s=WAIT_S) as session:
        now_us = clock_of(store, clock).now_us()
        session.read_heads(account)
        action_id = controls.open_action(session, account, "APPLY", by, reason, now_us)
        return rulebooks.write(
            session, account, book, by, reason, now_us, action_id, approver=approver.strip(), origin=origin
        )
