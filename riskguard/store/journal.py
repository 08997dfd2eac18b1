"""The journal: append-only decisions, gapless, hash-chained and, where there is a key, signed, per account."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Final, NamedTuple

from riskguard.core.limits import LimitSet
from riskguard.store import controls
from riskguard.store.canonical import canonical
from riskguard.store.secrets import audit_key
from riskguard.store.session import ADVANCE, GLOBAL, Ask, Head, Session
from riskguard.store.spelling import fixed, insert_into, param, prepare, sa, tables

control_actions = tables.control.control_actions
account_heads = tables.journal.account_heads
decisions = tables.journal.decisions
limit_sets = tables.journal.limit_sets

SIGNED: Final = "decision"
"""What the mac of an entry is about; see `secrets.audit_key`."""
ACTS: Final = ("INIT", "APPLY", "RELEASE")
"""Kinds of entries that stand behind a row of `control_actions`."""
ADOPTING: Final = ("ADOPTED", "KILL")
"""Kinds of entries that take over what plain SQL changed."""

_d = decisions.c
APPEND = insert_into(
    decisions, "account", "sequence", "client_order_id", "kind", "approved", "strategy", "decided_at_us", "body",
    "previous_hash", "hash", "mac",
)  # fmt: skip
KNOWN = prepare(
    sa.select(_d.sequence, _d.approved, _d.body).where(
        _d.account == param("account"), _d.client_order_id == param("client_order_id")
    )
)
BODY = prepare(sa.select(_d.body).where(_d.account == param("account"), _d.sequence == param("sequence")))
KEEP_LIMITS = insert_into(limit_sets, "digest", "body", ignore=True)
LIMITS_OF = prepare(sa.select(limit_sets.c.body).where(limit_sets.c.digest == param("digest")))
_ENTRIES = sa.select(
    _d.sequence, _d.client_order_id, _d.kind, _d.approved, _d.strategy, _d.decided_at_us, _d.body, _d.previous_hash,
    _d.hash, _d.mac,
).where(_d.account == param("account"), _d.sequence > param("after")).order_by(_d.sequence)  # fmt: skip
CHAIN = prepare(_ENTRIES)
PART = prepare(_ENTRIES.limit(param("most", sa.Integer())))
_a = control_actions.c
OPEN_ACT = prepare(
    sa.select(_a.id, _a.kind, _a.by_whom, _a.os_user, _a.reason, _a.kill_ids, _a.at_us).where(
        _a.account == param("account"), _a.is_open == fixed(1)
    )
)
ACT_COLUMNS: Final = ("id", "kind", "by_whom", "os_user", "reason", "kill_ids", "at_us")
HEAD_OF = prepare(
    sa.select(account_heads.c.sequence, account_heads.c.last_hash).where(account_heads.c.account == param("account"))
)


def asks_known(account: str, client_order_id: str | None) -> Ask:
    """Return what `known` asks."""
    return KNOWN, {"account": account, "client_order_id": client_order_id}


def known(session: Session, account: str, client_order_id: str | None) -> tuple[Any, ...] | None:
    """Return what the account's id was answered already, (sequence, approved, body), or None."""
    return session.ask(asks_known(account, client_order_id))


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

    The body holds what the columns say too, so that changing a column without the chain is noticed; of an act that may
    loosen also the row that opened it, and of what changed limits the digest of those then in force.
    """
    head = session.heads.get(account) or session.read_heads(account)[account]
    sequence = head.sequence + 1
    if kind in ACTS and (act := session.row(OPEN_ACT, account=account)) is not None:
        contents = {**contents, "act": dict(zip(ACT_COLUMNS, act, strict=True))}
    if kind == "APPLY":
        contents = {**contents, "in_force": controls.in_force(session, (account,))}
    elif kind in ADOPTING:
        owners = dict.fromkeys(each["account"] for each in contents["changes"] if each["type"] != "KILL_SWITCH")
        if owners:
            contents = {**contents, "in_force": controls.in_force(session, owners)}
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
    keys = audit_key.of(session.store)
    session.later(
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
        mac="" if keys is None else keys.sign(SIGNED, digest),
    )
    moved = session.run(ADVANCE, of_account=account, to_sequence=sequence, to_hash=digest).fetchone()
    head = head._replace(sequence=sequence, last_hash=digest, version=moved[0])
    session.heads[account] = head
    return head


def chained(previous_hash: str, body: str) -> str:
    """Return the hash of a row: SHA-256 over the previous hash and the body."""
    return hashlib.sha256((previous_hash + body).encode()).hexdigest()


def keep_limits(session: Session, limits: LimitSet) -> None:
    """Keep the limits a decision was made under; once per set."""
    session.run(KEEP_LIMITS, digest=limits.digest, body=limits.canonical())


# -- is it true -----------------------------------------------------------------------------------------------


class Wrong(NamedTuple):
    """
    The first bad row found.

    Attributes:
        sequence: Of the entry; None where no entry stands behind the row.
        what: gap, content, column, moved, reorder, fork, cut, or a word of `services.audit`.
        detail: One line for people.
    """

    sequence: int | None
    what: str
    detail: str


Row = tuple[Any, ...]
"""One row as `PART` reads it."""
_quoted = json.encoder.encode_basestring_ascii
_TAIL = ',"kind":"'


class Walker:
    """
    Judges the entries of one account in order, from a hash that is taken as given.

    Attributes:
        next: The sequence that must come next. previous: The hash it must follow.
    """

    __slots__ = ("_begins", "account", "next", "previous")

    def __init__(self, account: str, first: int = 1, previous: str = "") -> None:
        self.account, self.next, self.previous = account, first, previous
        self._begins = f'{{"account":{_quoted(account)},"adjusted_to":null,"approved":'

    def judge(self, row: Row) -> tuple[Wrong | None, dict[str, Any]]:
        """
        Return what is wrong with the row, and what its body says; of an order's body the facts may be left out.

        After a wrong row nothing further can be said of the account.
        """
        sequence, client_order_id, kind, approved, strategy, at_us, body, previous, digest, _mac = row
        expected = self.next
        if sequence != expected:
            return Wrong(expected, "gap", f"sequence {expected} is missing (found {sequence})"), {}
        if chained(previous, body) != digest:
            return Wrong(sequence, "content", f"the hash of sequence {sequence} is not that of its contents"), {}
        try:
            said = self._said(body, approved, at_us, client_order_id)
        except ValueError:
            return Wrong(sequence, "content", f"the body of sequence {sequence} is no JSON of ours"), {}
        if said.get("account", self.account) != self.account:
            return Wrong(sequence, "moved", f"sequence {sequence} says it is of account `{said['account']}`"), said
        if said.get("sequence") != sequence:
            return Wrong(sequence, "reorder", f"sequence {sequence} says it is sequence {said.get('sequence')}"), said
        if previous != self.previous:
            return Wrong(sequence, "fork", f"sequence {sequence} does not follow from the one before"), said
        try:
            wrong = self._column(said, kind, strategy, row)
        except (KeyError, TypeError):
            wrong = "body"
        if wrong:
            return Wrong(sequence, "column", f"`{wrong}` of sequence {sequence} differs from its body"), said
        self.previous, self.next = digest, expected + 1
        return None, said

    def _said(self, body: str, approved: int, at_us: int, client_order_id: str | None) -> dict[str, Any]:
        """
        Return what the body says. One whose beginning is what the columns demand is read without its facts.

        No string can pretend to be the tail: quotes inside strings are escaped, and after the facts no name repeats.
        """
        name = "null" if client_order_id is None else _quoted(client_order_id)
        begins = f'{self._begins}{"true" if approved else "false"},"at_us":{at_us},"client_order_id":{name},"facts":'
        if body.startswith(begins):
            try:
                found: dict[str, Any] = json.loads("{" + body[body.rindex(_TAIL) + 1 :])
            except ValueError:
                pass
            else:
                return found
        found = json.loads(body)
        if not isinstance(found, dict):
            raise ValueError("no object")
        return found

    def _column(self, said: dict[str, Any], kind: str, strategy: str, row: Row) -> str | None:
        if said.get("kind") != kind:
            return "kind"
        order = said.get("order")
        if strategy != ("" if order is None else order["strategy"]):
            return "strategy"
        if "at_us" in said:  # read whole: the beginning was not what the columns demand, or it is no order
            for name, value in (("client_order_id", row[1]), ("approved", bool(row[3])), ("at_us", row[5])):
                if said.get(name) != value:
                    return name if name != "at_us" else "decided_at_us"
        return None


def wrong_end(head: tuple[int, str] | None, walker: Walker) -> Wrong | None:
    """Return what is wrong with where the chain ends: the head says how far it goes."""
    last = walker.next - 1
    if head is None:
        return None if last == 0 else Wrong(last, "cut", "the account has entries and no head")
    if head[0] > last:
        return Wrong(last + 1, "cut", f"the journal ends at {last}, its head says {head[0]}: rows were cut off the end")
    if head[0] < last:
        return Wrong(
            head[0] + 1, "cut", f"the journal goes on to {last}, its head says {head[0]}: the head was set back"
        )
    return None if head[1] == walker.previous else Wrong(last, "cut", f"the head does not hold the hash of {last}")


def verify(session: Session, account: str) -> tuple[int, str | None]:
    """
    Walk the account's chain and return (rows verified, what is wrong with the first bad one or None).

    Finds edits of body or columns, deletions, insertions, reorderings, and a tail cut against the head. What hangs on
    the chain, macs and anchors are asked by `services.audit`, whose first half this is.
    """
    walker = Walker(account)
    for row in session.run(CHAIN, account=account, after=0):
        wrong, _said = walker.judge(row)
        if wrong is not None:
            return walker.next - 1, wrong.detail
    end = wrong_end(session.row(HEAD_OF, account=account), walker)
    return walker.next - 1, None if end is None else end.detail


__all__ = ["GLOBAL", "Entry", "Walker", "Wrong", "append", "chained", "keep_limits", "verify", "wrong_end"]
