"""Orders as they stand before news of them, and what news add to a row besides what every list has."""

from __future__ import annotations

from dataclasses import dataclass

from riskguard.core.money import to_decimal, to_e4
from riskguard.core.news import OrderNews
from riskguard.core.params import as_decimal
from riskguard.core.seen import SeenOrder
from riskguard.store.bounds import TERMINAL_STATUSES
from riskguard.store.permits import PermitRow
from riskguard.store.session import Session
from riskguard.store.spelling import param, prepare, sa, tables

orders = tables.orders.orders

_o = orders.c
STANDING = prepare(
    sa.select(
        _o.account_type, _o.correlation_id, _o.exchange_segment, _o.security_id, _o.side, _o.product, _o.order_type,
        _o.quantity, _o.traded_qty, _o.price, _o.trigger_price, _o.order_status, _o.status, _o.exchange_time,
    ).where(_o.id == param("order_id"))
)  # fmt: skip
ADD = prepare(
    sa.update(orders)
    .where(_o.id == param("of_id"))
    .values(
        avg_price=sa.func.coalesce(param("average"), _o.avg_price),
        exchange_time=sa.func.coalesce(param("told_s"), _o.exchange_time),
        exchange_order_id=sa.func.coalesce(_o.exchange_order_id, param("exchange_order")),
        trading_symbol=sa.func.coalesce(_o.trading_symbol, param("symbol")),
        correlation_id=sa.func.coalesce(_o.correlation_id, param("correlation")),
        completed_at=sa.func.coalesce(_o.completed_at, param("completed_s")),
    )
)


@dataclass(frozen=True, slots=True)
class Standing:
    """An order's row: whose it is, how it was last told, and when the broker said so (None: it did not)."""

    account: str
    order: SeenOrder
    told_us: int | None


def standing(session: Session, order_id: str) -> Standing | None:
    """Return the order of *order_id* as it is stored, or None."""
    row = session.row(STANDING, order_id=order_id)
    if row is None:
        return None
    account, *order_of = row[:8]
    correlation, segment, security, side, product, kind, quantity = order_of
    traded, price, trigger, word, status, at_s = row[8:]
    said = status if str(status).upper() in TERMINAL_STATUSES else (word or status)
    order = SeenOrder(
        order_id=order_id, correlation_id=correlation or "", exchange_segment=segment, security_id=security, side=side,
        product=product, order_type=kind, quantity=quantity, filled=traded or 0,
        price_e4=to_e4(as_decimal(price)) if price else None,
        trigger_price_e4=to_e4(as_decimal(trigger)) if trigger else None, status=str(said).upper(),
        is_live=str(status).upper() not in TERMINAL_STATUSES,
    )  # fmt: skip
    return Standing(account, order, None if at_s is None else at_s * 1_000_000)


def of_permit(permit: PermitRow, order_id: str) -> SeenOrder:
    """Return what we asked for, as an order: a message that names only its id is completed from it."""
    return SeenOrder(
        order_id=order_id, correlation_id=permit.correlation_id, exchange_segment=permit.exchange_segment,
        security_id=permit.security_id, side=permit.side, product=permit.product, order_type=permit.order_type,
        quantity=permit.quantity, filled=permit.filled_quantity, price_e4=permit.price_e4,
        trigger_price_e4=permit.trigger_price_e4, status=permit.state, is_live=permit.is_live,
    )  # fmt: skip


def add(session: Session, news: OrderNews, now_us: int) -> None:
    """Write what news say besides how the order stands: average, the broker's time, the exchange's number."""
    session.run(
        ADD, of_id=news.order_id, average=None if news.average_e4 is None else float(to_decimal(news.average_e4)),
        told_s=None if news.at_us is None else news.at_us // 1_000_000, exchange_order=news.exchange_order_id or None,
        symbol=news.symbol or None, correlation=news.correlation_id or None,
        completed_s=None if news.is_live else (news.at_us or now_us) // 1_000_000,
    )  # fmt: skip
