"""
Fills as a feed tells them: how much of an order has traded so far and at what average, without a trade's number.

What a feed knows before the trade list does stands as one provisional row of `trades` per order and session, named
`…:told` and without an exchange trade id. It is in the book like any fill. Each numbered fill takes its quantity out
of it, so that the same fill counts once whoever tells it first, and when the list is complete it is gone.
"""

from __future__ import annotations

from dataclasses import dataclass

from riskguard.core.money import to_decimal, to_e4
from riskguard.core.params import as_decimal
from riskguard.core.seen import SeenOrder, SeenTrade
from riskguard.store import books, permits
from riskguard.store.permits import PermitRow
from riskguard.store.session import Session
from riskguard.store.spelling import insert_into, param, prepare, sa, tables

day_books = tables.runs.day_books
trades = tables.statements.trades

_t, _b = trades.c, day_books.c
OF_ORDER = prepare(
    sa.select(
        _t.id, _t.quantity, _t.price, _t.exchange_segment, _t.security_id, _t.product, _t.side, _t.trade_ts
    ).where(
        _t.order_id == param("order_id"), _t.account_type == param("account"), _t.session_date == param("session_date"),
        _t.booked_at_us.is_not(None),
    )
)  # fmt: skip
OWNER = prepare(sa.select(_t.client_order_id).where(_t.id == param("told_id")))
UNCLAIMED = prepare(
    sa.select(sa.func.sum(_t.quantity)).where(
        _t.order_id == param("order_id"), _t.account_type == param("account"), _t.booked_at_us.is_not(None),
        _t.client_order_id.is_(None),
    )
)  # fmt: skip
CLAIM = prepare(
    sa.update(trades)
    .where(
        _t.order_id == param("of_order"), _t.account_type == param("of_account"), _t.booked_at_us.is_not(None),
        _t.client_order_id.is_(None),
    )
    .values(client_order_id=param("to_client_id"))
)  # fmt: skip
FORGET = prepare(sa.delete(trades).where(_t.id == param("of_id")))
KEEP = insert_into(
    trades, "id", "order_id", "account_type", "security_id", "exchange_segment", "side", "product", "quantity", "price",
    "trade_ts", "created_at", "client_order_id", "booked_at_us", "session_date",
)  # fmt: skip
TAKE_BACK = prepare(
    sa.update(day_books)
    .where(
        _b.account == param("of_account"), _b.session_date == param("of_date"), _b.exchange_segment == param("of_segment"),
        _b.security_id == param("of_security"), _b.product == param("of_product"),
    )
    .values(
        filled_quantity=_b.filled_quantity - param("signed"), bought=_b.bought - param("bought_"),
        sold=_b.sold - param("sold_"), buy_value_e4=_b.buy_value_e4 - param("buy_e4"),
        sell_value_e4=_b.sell_value_e4 - param("sell_e4"), fills=_b.fills - 1,
    )
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Booked:
    """What of one order is in the session's book: by numbered fills, and by the provisional one."""

    listed: int
    listed_e4: int
    told: SeenTrade | None

    @property
    def quantity(self) -> int:
        return self.listed + (self.told.quantity if self.told is not None else 0)


def of_order(session: Session, account: str, date: str, order_id: str) -> Booked:
    """Return what is booked of an order in the session *date*."""
    listed = listed_e4 = 0
    told = None
    for row in session.rows(OF_ORDER, account=account, session_date=date, order_id=order_id):
        row_id, quantity, price, segment, security, product, side, at_s = row
        price_e4 = to_e4(as_decimal(price))
        if row_id.endswith(":told"):
            told = SeenTrade(
                trade_id=row_id, order_id=order_id, correlation_id="", exchange_segment=segment, security_id=security,
                side=side, product=product, quantity=quantity, price_e4=price_e4, at_us=at_s * 1_000_000,
            )  # fmt: skip
        else:
            listed += quantity
            listed_e4 += quantity * price_e4
    return Booked(listed, listed_e4, told)


def tell(
    session: Session, account: str, date: str, order: SeenOrder, average_e4: int | None, at_us: int,
    permit: PermitRow | None, now_us: int,
) -> int:  # fmt: skip
    """
    Bring the book up to `order.filled` units at *average_e4*, and return how many units of the order are booked.

    Less than is booked already changes nothing: such a message is old. Without an average nothing is booked, because
    a price would be a guess: what traded then stays reserved until the trade list brings it.
    """
    booked = of_order(session, account, date, order.order_id)
    missing = order.filled - booked.quantity
    if missing <= 0 or average_e4 is None:
        return booked.quantity
    quantity = order.filled - booked.listed
    told = SeenTrade(
        trade_id=_row_id(order.exchange_segment, date, order.order_id), order_id=order.order_id, correlation_id="",
        exchange_segment=order.exchange_segment, security_id=order.security_id, side=order.side, product=order.product,
        quantity=quantity, price_e4=_price_e4(order.filled * average_e4 - booked.listed_e4, quantity, average_e4),
        at_us=min(at_us, now_us),
    )  # fmt: skip
    _replace(session, account, date, booked.told, told, permit, now_us)
    if permit is not None:
        permits.fill(session, permit, missing, now_us, order.order_id)
        permit.filled_quantity = min(permit.quantity, permit.filled_quantity + missing)
    return order.filled


def absorb(session: Session, account: str, date: str, trade: SeenTrade, permit: PermitRow | None, now_us: int) -> int:
    """
    Take a numbered fill, stored just now, out of what was told before; return how many of its units were counted.

    The caller books the fill itself, and takes from the permit only what was not counted.
    """
    booked = of_order(session, account, date, trade.order_id)
    told = booked.told
    if told is None:
        return 0
    counted = min(told.quantity, trade.quantity)
    left = told.quantity - counted
    rest = None
    if left:
        value_e4 = told.quantity * told.price_e4 - counted * trade.price_e4
        rest = SeenTrade(
            told.trade_id, told.order_id, "", told.exchange_segment, told.security_id, told.side, told.product, left,
            _price_e4(value_e4, left, told.price_e4), told.at_us,
        )  # fmt: skip
    _replace(session, account, date, told, rest, permit, now_us)
    return counted


def claim(session: Session, permit: PermitRow, order_id: str, now_us: int) -> None:
    """
    Give *permit* the fills of its order that were booked before anybody knew whose order it was.

    A feed can be quicker than our own answer, and the trade list names no correlation id.
    """
    row = session.row(UNCLAIMED, account=permit.account, order_id=order_id)
    if row is None or not row[0]:
        return
    session.run(CLAIM, of_account=permit.account, of_order=order_id, to_client_id=permit.client_order_id)
    permits.fill(session, permit, int(row[0]), now_us, order_id)
    permit.filled_quantity = min(permit.quantity, permit.filled_quantity + int(row[0]))
    if permit.is_live:
        permit.state = "FILLED" if permit.filled_quantity == permit.quantity else "ACKED"
        permit.order_id = order_id


def owner(session: Session, account: str, date: str, segment: str, order_id: str) -> PermitRow | None:
    """
    Return the permit that was given what was told of an order; None: nothing was told, or nobody's.

    Two orders of the broker can carry one name of ours. The permit then names the later one, and a fill of the earlier
    would be taken for a stranger's, and given to the permit once more when the order's name is heard again.
    """
    row = session.row(OWNER, told_id=_row_id(segment, date, order_id))
    return None if row is None or row[0] is None else permits.one(session, account, row[0])


def _row_id(segment: str, date: str, order_id: str) -> str:
    return f"{segment}:{date}:{order_id}:told"


def _price_e4(value_e4: int, quantity: int, otherwise_e4: int) -> int:
    """Return the price that gives the rest its value, to the nearest; an absurd one is the average instead."""
    price_e4 = (2 * value_e4 + quantity) // (2 * quantity)
    return price_e4 if price_e4 > 0 else otherwise_e4


def _replace(
    session: Session, account: str, date: str, was: SeenTrade | None, now: SeenTrade | None, permit: PermitRow | None,
    now_us: int,
) -> None:  # fmt: skip
    """Put the provisional fill *now* in the place of *was*, in `trades` and in the book."""
    if now is not None:
        books.add_fill(session, account, date, now)  # first: the sums of the book never go below zero
    if was is not None:
        buys, value_e4 = was.side == "BUY", was.quantity * was.price_e4
        session.run(FORGET, of_id=was.trade_id)
        session.run(
            TAKE_BACK, of_account=account, of_date=date, of_segment=was.exchange_segment, of_security=was.security_id,
            of_product=was.product, signed=was.quantity if buys else -was.quantity, bought_=was.quantity if buys else 0,
            sold_=0 if buys else was.quantity, buy_e4=value_e4 if buys else 0, sell_e4=0 if buys else value_e4,
        )  # fmt: skip
    if now is not None:
        session.run(
            KEEP, id=now.trade_id, order_id=now.order_id, account_type=account, security_id=now.security_id,
            exchange_segment=now.exchange_segment, side=now.side, product=now.product, quantity=now.quantity,
            price=float(to_decimal(now.price_e4)), trade_ts=now.at_us // 1_000_000, created_at=now_us // 1_000_000,
            client_order_id=permit.client_order_id if permit is not None else None, booked_at_us=now_us,
            session_date=date,
        )  # fmt: skip
