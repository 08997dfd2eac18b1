"""The journal: append-only decisions, gapless and hash-chained per account."""

from __future__ import annotations

import hashlib
import json
from typing import Any, NamedTuple

import sqlalchemy as sa

from riskguard.core.facts import canonical
from riskguard.core.limits import LimitSet
from riskguard.store.session import ADVANCE, GLOBAL, Head, Session
from riskguard.store.statements import insert_into, param, prepare
from riskguard.store.tables.journal import account_heads, decisions, limit_sets

_d = decisions.c
APPEND = insert_into(
    decisions, "account", "sequence", "client_order_id", "kind", "approved", "strategy", "decided_at_us", "body",
    "previous_hash", "hash",
)  # fmt: skip
KNOWN = prepare(
    sa.select(_d.sequence, _d.approved, _d.body).where(
        _d.account == param("account"), _d.client_order_id == param("client_order_id")
    )
)
KEEP_LIMITS = insert_into(limit_sets, "digest", "body", ignore=True)
LIMITS_OF = prepare(sa.select(limit_sets.c.body).where(limit_sets.c.digest == param("digest")))
CHAIN = prepare(
    sa.select(_d.sequence, _d.client_order_id, _d.kind, _d.approved, _d.strategy, _d.decided_at_us, _d.body,
              _d.previous_hash, _d.hash)
    .where(_d.account == param("account"), _d.sequence > param("after"))
    .order_by(_d.sequence)
)  # fmt: skip
HEAD_OF = prepare(
    sa.select(account_heads.c.sequence, account_heads.c.last_hash).where(account_heads.c.account == param("account"))
)


class Entry(NamedTuple):
    """One row of the journal, parsed."""

    sequence: int
    client_order_id: str | None
    kind: str
    approved: bool
    strategy: str
    decided_at_us: int
    body: dict[str, Any]


def append(
    session: Session,
    account: str,
    kind: str,
    contents: dict[str, Any],
    now_us: int,
    *,
    client_order_id: str | None = None,
    approved: bool = False,
    strategy: str = "",
) -> Head:
    """
    Append one decision to the account's chain and move its head; return the head as it now is.

    The body holds what the columns say too, so that changing a column without the chain is noticed.
    """
    head = session.heads.get(account) or session.read_heads(account)[account]
    sequence = head.sequence + 1
    body = canonical(
        {
            "account": account,
            "sequence": sequence,
            "kind": kind,
            "client_order_id": client_order_id,
            "approved": approved,
            "at_us": now_us,
            **contents,
        }
    ).decode()
    digest = chained(head.last_hash, body)
    session.run(
        APPEND,
        account=account,
        sequence=sequence,
        client_order_id=client_order_id,
        kind=kind,
        approved=int(approved),
        strategy=strategy,
        decided_at_us=now_us,
        body=body,
        previous_hash=head.last_hash,
        hash=digest,
    )
    moved = session.run(ADVANCE, of_account=account, to_sequence=sequence, to_hash=digest).fetchone()
    head = head._replace(sequence=sequence, last_hash=digest, version=moved[0])
    session.heads[account] = head
    return head


def chained(previous_hash: str, body: str) -> str:
    """Return the hash of a row: SHA-256 over the previous hash and the body."""
    return hashlib.sha256(previous_hash.encode() + body.encode()).hexdigest()


def keep_limits(session: Session, limits: LimitSet) -> None:
    """Keep the limits a decision was made under; once per set."""
    session.run(KEEP_LIMITS, digest=limits.digest, body=limits.canonical())


def verify(session: Session, account: str) -> tuple[int, str | None]:
    """
    Walk the account's chain and return (rows verified, what is wrong with the first bad one or None).

    Finds edits of body or columns, deletions, insertions, reorderings, and a tail cut against the head.
    """
    previous, expected = "", 1
    for row in session.run(CHAIN, account=account, after=0):
        sequence, client_order_id, kind, approved, _strategy, at_us, body, previous_hash, digest = row
        if sequence != expected:
            return expected - 1, f"sequence {expected} is missing (found {sequence})"
        if previous_hash != previous or chained(previous, body) != digest:
            return expected - 1, f"sequence {sequence} does not follow from the one before"
        said = json.loads(body)
        columns = (account, sequence, kind, client_order_id, bool(approved), at_us)
        if (
            tuple(said[name] for name in ("account", "sequence", "kind", "client_order_id", "approved", "at_us"))
            != columns
        ):
            return expected - 1, f"sequence {sequence}: its columns differ from its body"
        previous, expected = digest, expected + 1
    head = session.row(HEAD_OF, account=account)
    if head is None or head != (expected - 1, previous):
        return expected - 1, "the journal ends before its head: rows were cut off the end"
    return expected - 1, None


__all__ = ["GLOBAL", "Entry", "append", "chained", "keep_limits", "verify"]
