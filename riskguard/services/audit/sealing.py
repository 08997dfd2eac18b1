"""
Seals: entries by which a person who has the audit key answers for all that stands before them.

A journal that was begun without a key, or to which somebody wrote without it (a kill from another account of this
host), holds entries nobody can judge. A seal is signed and follows from them: who has not the key cannot make one.
"""

from __future__ import annotations

from typing import Final

from riskguard.errors import AuditKeyError
from riskguard.ports import Clock
from riskguard.services.audit.part import SEAL
from riskguard.store import journal
from riskguard.store.secrets import audit_key
from riskguard.store.session import ACCOUNTS, GLOBAL, Store, clock_of

WAIT_S: Final = 5.0


def seal(store: Store, *, by: str, reason: str, clock: Clock | None = None) -> dict[str, int]:
    """
    Append a seal to the journal of every account and of GLOBAL; returns the sequence of each.

    Verify first: a seal answers for what stands there, true or not. Raises AuditKeyError without a key.
    """
    if audit_key.at_hand() is None:
        raise AuditKeyError(f"there is no audit key to seal with: `{audit_key.MAKER}`")
    audit_key.forget(store)
    found = {}
    with store.session(durable=True, wait_s=WAIT_S) as session:
        now_us = clock_of(store, clock).now_us()
        for account in (GLOBAL, *(row[0] for row in session.rows(ACCOUNTS))):
            session.read_heads(account)
            contents = {"what": SEAL, "by": by, "reason": reason}
            found[account] = journal.append(session, account, "OVERRIDE", contents, now_us).sequence
    return found
