"""
Permits: what an approved order holds. Every transition is a write under the head lock; age alone frees nothing.

GRANTED → SENT, EXPIRED, VOID, RELEASED; SENT → ACKED, REFUSED, UNKNOWN; then FILLED or CANCELLED.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final

from riskguard.core.decide import Decision
from riskguard.core.direction import Direction
from riskguard.core.state import TradingState
from riskguard.store.bounds import LIVE_PERMIT_STATES
from riskguard.store.session import Ask, Session
from riskguard.store.spelling import fixed, greater, insert_into, lesser, param, prepare, sa, tables

order_messages, permits = tables.journal.order_messages, tables.journal.permits

LIFE_US = 10_000_000
"""A permit nobody sends within ten seconds was decided on a market that is gone."""

_p = permits.c
# Spelled as the partial index spells it, or SQLite would read every permit ever granted.
_LIVE = _p.state.in_([fixed(state) for state in LIVE_PERMIT_STATES])
_COLUMNS = (
    "account", "client_order_id", "sequence", "state", "direction", "emergency_by", "correlation_id",
    "exchange_segment", "security_id", "side", "product", "order_type", "strategy", "exit_group", "quantity",
    "price_e4", "trigger_price_e4", "risk_price_e4", "reference_e4", "cancel_first", "granted_at_us", "expires_at_us",
    "kind", "changes_order", "becomes", "basket", "leg",
)  # fmt: skip
SAID: Final = (
    "direction", "emergency_by", "quantity", "price_e4", "trigger_price_e4", "risk_price_e4", "reference_e4",
    "cancel_first", "kind", "changes_order", "becomes", "basket", "leg",
)  # fmt: skip
"""What the journal entry of an approval says of its permit, in this order; the other columns follow from the order."""
_said_of = attrgetter(*SAID)
GRANT = insert_into(permits, *_COLUMNS)
_READ = [*_COLUMNS, "filled_quantity", "order_id", "sent_at_us", "detail"]
_SELECT = sa.select(*(_p[name] for name in _READ))
LIVE = prepare(_SELECT.where(_p.account == param("account"), _LIVE))
ONE = prepare(_SELECT.where(_p.account == param("account"), _p.client_order_id == param("client_order_id")))
_IS_NEW = _p.kind == fixed("NEW")
BY_ORDER = prepare(_SELECT.where(_p.account == param("account"), _p.order_id == param("order_id"), _IS_NEW))
BY_CORRELATION = prepare(_SELECT.where(_p.account == param("account"), _p.correlation_id == param("correlation_id")))
BASKET = prepare(
    _SELECT.where(_p.account == param("account"), _p.basket == param("basket"), _p.basket != fixed("")).order_by(_p.leg)
)
CHANGES = prepare(
    _SELECT.where(
        _p.account == param("account"), _p.changes_order == param("changes_order"), _p.changes_order != fixed(""), _LIVE
    )
)
MERGED = prepare(
    sa.select(_p.client_order_id, _p.becomes, _p.risk_price_e4, _p.ended_at_us)
    .where(
        _p.account == param("account"), _p.changes_order == param("changes_order"), _p.changes_order != fixed(""),
        _p.state == fixed("MERGED"),
    )
    .order_by(_p.sequence.desc())
)  # fmt: skip
_DUE = sa.and_(_p.account == param("account"), _LIVE, _p.state == fixed("GRANTED"), _p.expires_at_us <= param("now_us"))
DUE = prepare(sa.select(_p.client_order_id).where(_DUE).limit(fixed(1)))
EXPIRE = prepare(
    sa.update(permits)
    .where(_p.account == param("of_account"), _LIVE, _p.state == fixed("GRANTED"), _p.expires_at_us <= param("now_us"))
    .values(state=fixed("EXPIRED"), ended_at_us=param("now_us"))
)
_TAKE_BACK = (
    sa.update(permits)
    .where(_p.account == param("of_account"), _LIVE, _p.state == fixed("GRANTED"))
    .values(state=fixed("VOID"), ended_at_us=param("now_us"), detail=param("why"))
)
_ADDS_RISK = _p.direction != fixed("REDUCING")
_VOID = _TAKE_BACK.where(_ADDS_RISK)
_VOID_HALTED = _TAKE_BACK.where(sa.or_(_ADDS_RISK, _p.emergency_by == fixed("")))
VOIDS = {  # by the state, and whether of one strategy alone
    (TradingState.REDUCE_ONLY, False): prepare(_VOID),
    (TradingState.REDUCE_ONLY, True): prepare(_VOID.where(_p.strategy == param("of_strategy"))),
    (TradingState.HALTED, False): prepare(_VOID_HALTED),
    (TradingState.HALTED, True): prepare(_VOID_HALTED.where(_p.strategy == param("of_strategy"))),
}
_MOVE = (
    sa.update(permits)
    .where(
        _p.account == param("of_account"), _p.client_order_id == param("of_id"), _p.state == param("from_state")
    )
)  # fmt: skip
SEND = prepare(_MOVE.values(state=fixed("SENT"), sent_at_us=param("now_us")))
MOVE = prepare(_MOVE.values(state=param("to_state"), order_id=param("to_order_id"), detail=param("why")))
MOVE_STATE = prepare(_MOVE.values(state=param("to_state"), detail=param("why")))
END = prepare(
    _MOVE.values(
        state=param("to_state"), order_id=param("to_order_id"), detail=param("why"), ended_at_us=param("now_us")
    )
)
BECOME = prepare(
    sa.update(permits)
    .where(_p.account == param("of_account"), _p.client_order_id == param("of_id"))
    .values(
        quantity=greater(_p.filled_quantity, param("to_quantity", sa.BigInteger())), price_e4=param("to_price_e4"),
        trigger_price_e4=param("to_trigger_e4"), order_type=param("to_type"), risk_price_e4=param("to_risk_e4"),
    )
)  # fmt: skip
FILL = prepare(
    sa.update(permits)
    .where(_p.account == param("of_account"), _p.client_order_id == param("of_id"))
    .values(
        filled_quantity=lesser(_p.quantity, _p.filled_quantity + param("filled")),
        state=param("to_state"),
        order_id=param("to_order_id"),
        ended_at_us=param("ended_us"),
    )
)
SENT_SINCE = prepare(
    sa.select(fixed(1)).where(_p.account == param("account"), _LIVE, _p.sent_at_us > param("since_us")).limit(fixed(1))
)
MESSAGE = insert_into(order_messages, "account", "kind", "client_order_id", "at_us")
_m = order_messages.c
MESSAGES = prepare(
    sa.select(_m.at_us).where(_m.account == param("account"), _m.at_us > param("since_us")).order_by(_m.at_us)
)


@dataclass(slots=True)
class PermitRow:
    """One row of `permits`."""

    account: str
    client_order_id: str
    sequence: int
    state: str
    direction: str
    emergency_by: str
    correlation_id: str
    exchange_segment: str
    security_id: str
    side: str
    product: str
    order_type: str
    strategy: str
    exit_group: str
    quantity: int
    price_e4: int | None
    trigger_price_e4: int | None
    risk_price_e4: int | None
    reference_e4: int | None
    cancel_first: str
    granted_at_us: int
    expires_at_us: int
    kind: str = "NEW"
    changes_order: str = ""
    becomes: str = ""
    basket: str = ""
    leg: int = 0
    filled_quantity: int = 0
    order_id: str | None = None
    sent_at_us: int | None = None
    detail: str = ""

    @property
    def remaining(self) -> int:
        return self.quantity - self.filled_quantity

    @property
    def is_live(self) -> bool:
        return self.state in LIVE_PERMIT_STATES

    @property
    def reducing(self) -> bool:
        return self.direction == Direction.REDUCING

    def said(self) -> list[Any]:
        """Return what the journal keeps of the grant beside the order itself: with it every column of it is claimed."""
        return list(_said_of(self))

    def signature(self) -> tuple[object, ...]:
        """As `core.account.signature` of the order it was granted for."""
        return (
            self.strategy,
            (self.exchange_segment, self.security_id),
            self.side,
            self.product,
            self.quantity,
            self.order_type,
            self.price_e4,
            self.trigger_price_e4,
        )


_PAIRS: Final = [
    one + other for one in "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567" for other in "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
]
"""Base32 by two characters: `base64.b32encode` is written in Python and takes ten times as long."""


def correlation_id(account: str, client_order_id: str) -> str:
    """Return what the broker is told: `rg` and 20 base32 characters of SHA-256(account, client order id)."""
    digest = hashlib.sha256(f"{account}\x00{client_order_id}".encode()).digest()
    bits = int.from_bytes(digest[:13], "big") >> 4  # 100 of them, by ten; a loop would cost half as much again
    return (
        f"rg{_PAIRS[bits >> 90]}{_PAIRS[bits >> 80 & 1023]}{_PAIRS[bits >> 70 & 1023]}{_PAIRS[bits >> 60 & 1023]}"
        f"{_PAIRS[bits >> 50 & 1023]}{_PAIRS[bits >> 40 & 1023]}{_PAIRS[bits >> 30 & 1023]}{_PAIRS[bits >> 20 & 1023]}"
        f"{_PAIRS[bits >> 10 & 1023]}{_PAIRS[bits & 1023]}"
    )


def grant(session: Session, decision: Decision, sequence: int, emergency_by: str = "", **more: Any) -> PermitRow:
    """
    Write the reservation of an approved order, in the transaction that journals it.

    *more* are columns of a change or of a basket's leg.
    """
    order = decision.adjusted_to or decision.order
    assert order.client_order_id is not None and decision.direction is not None
    values: dict[str, Any] = {
        "account": order.account,
        "client_order_id": order.client_order_id,
        "sequence": sequence,
        "state": "GRANTED",
        "direction": decision.direction.value,
        "emergency_by": emergency_by,
        "correlation_id": correlation_id(order.account, order.client_order_id),
        "exchange_segment": order.exchange_segment,
        "security_id": order.security_id,
        "side": order.side,
        "product": order.product,
        "order_type": order.order_type,
        "strategy": order.strategy,
        "exit_group": order.exit_group,
        "quantity": order.quantity,
        "price_e4": order.price_e4,
        "trigger_price_e4": order.trigger_price_e4,
        "risk_price_e4": _risk_price_e4(decision),
        # Asked here too: what a check did not need, the day's order-to-trade ratio will.
        "reference_e4": None if decision.facts is None else decision.facts.reference_e4(),
        "cancel_first": json.dumps(decision.cancel_first) if decision.cancel_first else "[]",
        "granted_at_us": decision.decided_at_us,
        "expires_at_us": decision.decided_at_us + LIFE_US,
        "kind": "NEW",
        "changes_order": "",
        "becomes": "",
        "basket": "",
        "leg": 0,
        **more,
    }
    session.later(GRANT, **values)
    return PermitRow(**values)


def _risk_price_e4(decision: Decision) -> int | None:
    """The worst it may trade at; an exit that was adjusted is judged by the price it goes out with where that is worse."""
    price_e4 = None if decision.facts is None else decision.facts.risk_price_e4()
    sent = decision.adjusted_to
    if sent is None or sent.price_e4 is None or price_e4 is None:
        return price_e4
    return max(price_e4, sent.price_e4)


def asks_live(account: str) -> Ask:
    """Return what `live` asks."""
    return LIVE, {"account": account}


def live(session: Session, account: str) -> list[PermitRow]:
    """Return the permits that still count as filled."""
    return [PermitRow(*row) for row in session.all(asks_live(account))]


def asks_one(account: str, client_order_id: str) -> Ask:
    """Return what `one` asks."""
    return ONE, {"account": account, "client_order_id": client_order_id}


def one(session: Session, account: str, client_order_id: str) -> PermitRow | None:
    row = session.ask(asks_one(account, client_order_id))
    return None if row is None else PermitRow(*row)


def by_broker_order(session: Session, account: str, order_id: str, correlation: str) -> PermitRow | None:
    """Find the permit of a broker's order: by the id it was given, else by the correlation id we sent."""
    row = session.row(BY_ORDER, account=account, order_id=order_id)
    if row is None and correlation:
        row = session.row(BY_CORRELATION, account=account, correlation_id=correlation)
    return None if row is None else PermitRow(*row)


def send(session: Session, row: PermitRow, now_us: int) -> bool:
    """Mark SENT by compare-and-set and count the message; False when somebody was first."""
    moved = session.run(
        SEND, of_account=row.account, of_id=row.client_order_id, from_state="GRANTED", now_us=now_us
    ).rowcount
    if moved != 1:
        return False
    named = row.changes_order or row.client_order_id
    session.later(MESSAGE, account=row.account, kind=row.kind, client_order_id=named, at_us=now_us)
    return True


def basket(session: Session, account: str, name: str) -> list[PermitRow]:
    """Return the legs of one basket in the order they are sent."""
    return [PermitRow(*row) for row in session.rows(BASKET, account=account, basket=name)]


def changes_of(session: Session, account: str, order: str) -> list[PermitRow]:
    """Return the changes of one order that are not settled yet."""
    return [PermitRow(*row) for row in session.rows(CHANGES, account=account, changes_order=order)]


def merge(session: Session, change: PermitRow, now_us: int) -> bool:
    """The broker took a change: the order is what it was to become, and the change holds nothing any more."""
    become(session, change.account, change.changes_order, json.loads(change.becomes), change.risk_price_e4)
    return move(session, change, "MERGED", now_us, why="the broker took it")


def merged(session: Session, account: str, order: str) -> Sequence[tuple[str, str, int | None, int]]:
    """Return the merged changes of an order, the last first: id, what it became, the worst it might trade at, when merged."""
    return session.rows(MERGED, account=account, changes_order=order)


def become(
    session: Session, account: str, client_order_id: str, terms: Mapping[str, Any], risk_price_e4: int | None
) -> None:
    """Give a working order other *terms*: `quantity` (the whole), `order_type`, `price_e4`, `trigger_price_e4`."""
    session.run(
        BECOME, of_account=account, of_id=client_order_id, to_quantity=terms["quantity"], to_price_e4=terms["price_e4"],
        to_trigger_e4=terms["trigger_price_e4"], to_type=terms["order_type"], to_risk_e4=risk_price_e4,
    )  # fmt: skip


def refuse_merged(session: Session, account: str, client_order_id: str, why: str) -> None:
    """Call a change refused that was merged: the broker did not make it."""
    session.run(
        MOVE_STATE, of_account=account, of_id=client_order_id, from_state="MERGED", to_state="REFUSED", why=why
    )  # fmt: skip


def count_message(session: Session, account: str, kind: str, now_us: int, client_order_id: str = "") -> None:
    """Count a modify or cancel message in the throttle."""
    session.later(MESSAGE, account=account, kind=kind, client_order_id=client_order_id, at_us=now_us)


def move(
    session: Session, row: PermitRow, to_state: str, now_us: int, *, order_id: str | None = None, why: str = ""
) -> bool:
    """Move a permit on from the state it is in; False when it is no longer there."""
    values = {
        "of_account": row.account,
        "of_id": row.client_order_id,
        "from_state": row.state,
        "to_state": to_state,
        "to_order_id": order_id or row.order_id,
        "why": why[:300],
    }
    if to_state in LIVE_PERMIT_STATES:
        return session.run(MOVE, **values).rowcount == 1
    return session.run(END, **values, now_us=now_us).rowcount == 1


def fill(session: Session, row: PermitRow, quantity: int, now_us: int, order_id: str) -> None:
    """Take a fill out of the working quantity; the same transaction adds it to the book."""
    filled = min(row.quantity, row.filled_quantity + quantity)
    done = filled == row.quantity
    session.run(
        FILL,
        of_account=row.account,
        of_id=row.client_order_id,
        filled=quantity,
        to_state="FILLED" if done else ("ACKED" if row.is_live else row.state),
        to_order_id=order_id,
        ended_us=now_us if done else None,
    )


def asks_due(account: str, now_us: int) -> Ask:
    """Return what asks for one permit that nobody sent in time."""
    return DUE, {"account": account, "now_us": now_us}


def expire(session: Session, account: str, now_us: int) -> int:
    """Expire due permits nobody sent."""
    if session.ask(asks_due(account, now_us)) is None:
        return 0  # a write for nothing would also end what was asked ahead
    return session.run(EXPIRE, of_account=account, now_us=now_us).rowcount


def void(session: Session, account: str, state: TradingState, now_us: int, why: str, strategy: str = "") -> int:
    """
    Void what was not sent and *state* keeps from being sent, of one *strategy* or of all: what adds risk, and under HALTED
    also every exit nobody stands behind. An order on the wire is the kill run's to chase.

    An exit that cannot leave takes nothing away, and while it lasts nobody may use the room it holds: neither the kill run
    for a stop that comes back or an exit of its own, nor a person for theirs.
    """
    whose = {"of_account": account, **({"of_strategy": strategy} if strategy else {})}
    return session.run(VOIDS[state, bool(strategy)], **whose, now_us=now_us, why=why[:300]).rowcount


def sent_since(session: Session, account: str, since_us: int) -> bool:
    """Say whether an order that still counts went out after *since_us*."""
    return session.row(SENT_SINCE, account=account, since_us=since_us) is not None


def asks_messages(account: str, since_us: int) -> Ask:
    """Return what `messages_since` asks."""
    return MESSAGES, {"account": account, "since_us": since_us}


def messages_since(session: Session, account: str, since_us: int) -> list[int]:
    """Return when messages went out, ascending."""
    return [row[0] for row in session.all(asks_messages(account, since_us))]
