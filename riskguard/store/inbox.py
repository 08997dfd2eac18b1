"""
What came in from outside: webhook and stream messages as they came, and what is still to be made of them.

A message is kept before anything is made of it. The same message again is one row; which order it is about need not
be known. Nothing here decides what a message means.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from riskguard.errors import StoreError
from riskguard.store.session import Session
from riskguard.store.spelling import Prepared
from riskguard.store.statements import fixed, insert_into, param, prepare
from riskguard.store.tables.live_updates import websocket_messages
from riskguard.store.tables.orders import order_events
from riskguard.store.tables.postback import postback_configs, postback_events, postback_ids

POSTBACK, STREAM = "postback", "stream"
PAYLOAD_CHARS_MAX: Final = 65_536

_p, _m, _i = postback_events.c, websocket_messages.c, postback_ids.c
KEEP_POSTBACK = insert_into(
    postback_events, "account_type", "event_type", "order_id", "payload", "signature", "is_verified", "is_processed",
    "received_at", "digest", ignore=True,
)  # fmt: skip
KEEP_MESSAGE = insert_into(
    websocket_messages, "connection_id", "account_type", "message_type", "order_id", "payload", "sequence_number",
    "is_processed", "received_at", "digest", ignore=True,
)  # fmt: skip
VERIFY_POSTBACK = prepare(
    sa.update(postback_events)
    .where(_p.id == param("of_id"), sa.func.coalesce(_p.is_verified, fixed(0)) == fixed(0))
    .values(is_verified=fixed(1), is_processed=fixed(0), signature=param("to_signature"))
)
ADD_EVENT = insert_into(
    order_events, "order_id", "event_type", "event_source", "event_data", "event_ts", "digest", ignore=True
)
SEEN_ID = insert_into(postback_ids, "account", "message_id", "seen_at_us", ignore=True)
FORGET_IDS = prepare(sa.delete(postback_ids).where(_i.seen_at_us < param("before_us")))
TRIGGERED = prepare(
    sa.update(postback_configs)
    .where(postback_configs.c.id == param("of_id"))
    .values(last_triggered_at=param("now_s"), updated_at=param("now_s"))
)


@dataclass(frozen=True, slots=True)
class Kept:
    """One message of an inbox. `verified`: its signature was right; always True of the stream, which we called."""

    source: str
    id: int
    account: str
    payload: str
    received_s: int
    verified: bool
    waits: bool


@dataclass(frozen=True, slots=True)
class _Box:
    table: sa.Table
    known: Prepared
    unread: Prepared
    waiting: Prepared
    done: Prepared
    wait: Prepared
    counts: Prepared


def _box(table: sa.Table) -> _Box:
    c = table.c
    verified: Any = c.is_verified if "is_verified" in c else sa.literal_column("1")
    # Without a digest it is of a version 3 program, which deals with it itself.
    read = sa.select(c.id, c.account_type, c.payload, c.received_at, verified, c.error_message).where(
        c.is_processed == fixed(0), c.digest.is_not(None)
    )
    unread = c.error_message.is_(None)
    return _Box(
        table,
        prepare(sa.select(c.id).where(c.digest == param("digest"))),
        prepare(read.where(unread).order_by(c.received_at, c.id).limit(param("most"))),
        prepare(read.where(~unread, c.id > param("after")).order_by(c.id).limit(param("most"))),
        prepare(
            sa.update(table)
            .where(c.id == param("of_id"), c.is_processed == fixed(0))
            .values(
                is_processed=fixed(1), processed_at=param("now_s"), error_message=param("why"), order_id=param("of_order")
            )
        ),
        prepare(sa.update(table).where(c.id == param("of_id")).values(error_message=param("why"))),
        prepare(
            sa.select(
                sa.func.count(), sa.func.count(sa.case((sa.func.coalesce(c.is_processed, fixed(0)) == fixed(0), 1))),
                sa.func.count(sa.case((sa.and_(c.is_processed == fixed(1), c.error_message.is_not(None)), 1))),
                sa.func.max(c.received_at),
            ).where(c.account_type == param("account"), c.received_at >= param("since_s"))
        ),
    )  # fmt: skip


_BOXES: Final = {POSTBACK: _box(postback_events), STREAM: _box(websocket_messages)}


def digest_of(*parts: object) -> str:
    """Return the SHA-256 of *parts*, as the repositories make it: the same said twice has the same digest."""
    text = json.dumps(parts, ensure_ascii=True, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def keep_postback(
    session: Session, account: str, payload: str, now_us: int, *, event_type: str, order_id: str, verified: bool,
    signature: str | None,
) -> tuple[int, bool]:  # fmt: skip
    """
    Keep one posted body; returns its number and whether there is something new to make of it.

    The same body that comes again signed, after it came unsigned, is the same row, verified now.
    """
    digest = digest_of(account, payload)
    added = session.insert(
        KEEP_POSTBACK, account_type=account, event_type=event_type or "unknown", order_id=order_id or None,
        payload=payload, signature=signature, is_verified=int(verified), is_processed=0,
        received_at=now_us // 1_000_000, digest=digest,
    )  # fmt: skip
    if added is not None:
        return added, True
    number = _known(session, POSTBACK, digest)
    news = verified and session.run(VERIFY_POSTBACK, of_id=number, to_signature=signature).rowcount == 1
    return number, news


def keep_message(
    session: Session, account: str, connection_id: str, payload: str, now_us: int, *, message_type: str, order_id: str,
    sequence: int | None, is_news: bool,
) -> tuple[int, bool]:  # fmt: skip
    """Keep one message of the stream; returns its number and whether it is new. Not *is_news*: nothing to make of it."""
    digest = digest_of(account, payload)
    added = session.insert(
        KEEP_MESSAGE, connection_id=connection_id, account_type=account, message_type=message_type or "unknown",
        order_id=order_id or None, payload=payload, sequence_number=sequence, is_processed=0 if is_news else 1,
        received_at=now_us // 1_000_000, digest=digest,
    )  # fmt: skip
    if added is not None:
        return added, True
    return _known(session, STREAM, digest), False


def _known(session: Session, source: str, digest: str) -> int:
    row = session.row(_BOXES[source].known, digest=digest)
    if row is None:
        raise StoreError(f"a message of the {source} was not kept and is not known either: look at the database")
    return int(row[0])


def unread(session: Session, source: str, most: int) -> list[Kept]:
    """Return messages nobody looked at yet, oldest first."""
    return [_kept(source, row) for row in session.rows(_BOXES[source].unread, most=most)]


def waiting(session: Session, source: str, after: int, most: int) -> list[Kept]:
    """Return messages that wait for their order to be known, by number, from above *after*."""
    return [_kept(source, row) for row in session.rows(_BOXES[source].waiting, after=after, most=most)]


def _kept(source: str, row: tuple[Any, ...]) -> Kept:
    number, account, payload, received_s, verified, why = row
    return Kept(source, number, account, payload, received_s, bool(verified), why is not None)


def done(session: Session, kept: Kept, order_id: str, now_us: int, why: str = "") -> bool:
    """Write that a message was dealt with, or *why* nothing can be made of it; False when somebody else was first."""
    values = {"now_s": now_us // 1_000_000, "why": why[:300] or None, "of_order": order_id or None}
    return session.run(_BOXES[kept.source].done, of_id=kept.id, **values).rowcount == 1


def let_wait(session: Session, kept: Kept, why: str) -> None:
    """Write what a message waits for; it is looked at again."""
    session.run(_BOXES[kept.source].wait, of_id=kept.id, why=why[:300])


def is_new_id(session: Session, account: str, message_id: str, now_us: int, keep_us: int) -> bool:
    """Say whether a signed message's number was not seen in the last *keep_us*, and remember it."""
    session.run(FORGET_IDS, before_us=now_us - keep_us)
    return session.run(SEEN_ID, account=account, message_id=message_id, seen_at_us=now_us).rowcount == 1


def add_event(session: Session, order_id: str, word: str, source: str, data: dict[str, Any], at_us: int) -> bool:
    """Write what happened to an order, as told by *source*; False when it told the same before."""
    text = json.dumps(data, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    digest = digest_of(order_id, word, source, text)
    return session.run(
        ADD_EVENT, order_id=order_id, event_type=word, event_source=source, event_data=text,
        event_ts=at_us // 1_000_000, digest=digest,
    ).rowcount == 1  # fmt: skip


@dataclass(frozen=True, slots=True)
class Counts:
    """Messages of one inbox since a moment: all, not dealt with yet, unreadable; and when the last one came."""

    messages: int
    pending: int
    malformed: int
    last_s: int | None


def counts(session: Session, source: str, account: str, since_us: int) -> Counts:
    row = session.row(_BOXES[source].counts, account=account, since_s=since_us // 1_000_000)
    assert row is not None
    return Counts(*row)


def triggered(session: Session, config_id: int, now_us: int) -> None:
    """Write that a registration was used just now."""
    session.run(TRIGGERED, of_id=config_id, now_s=now_us // 1_000_000)
