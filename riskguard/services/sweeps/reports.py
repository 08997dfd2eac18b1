"""What a program without a broker adapter tells the guard: positions, fills, orders, instruments."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from riskguard.core.instrument import Instrument
from riskguard.core.money import to_e4
from riskguard.core.order import checked_name
from riskguard.core.seen import Seen, SeenOrder, SeenPosition, SeenTrade
from riskguard.core.terms import Product, Segment
from riskguard.errors import OrderInvalidError, ReportInvalidError, UnknownAccountError
from riskguard.services.sweeps.reconciler import take_fill, take_order, take_over
from riskguard.store import books, loader
from riskguard.store.session import ACCOUNTS, Session, Store

if TYPE_CHECKING:
    from riskguard.services.orders.guard import RiskGuard

WAIT_S = 2.0
POSITION_KEYS = ("exchange_segment", "security_id", "product", "net", "previous_close")
FINAL_STATUSES = frozenset({"TRADED", "EXECUTED", "CANCELLED", "REJECTED", "EXPIRED", "CLOSED"})


def report_positions(
    guard: RiskGuard, rows: Iterable[Mapping[str, Any]], *, account: str | None = None, at: Any = None
) -> int:
    """
    Take over the complete position list of an account; an empty list says "flat".

    Each row: `exchange_segment`, `security_id`, `product`, `net` (signed, whole), and for carried positions
    `previous_close` (rupees). The first report of a session also opens its baseline: what is not explained by
    fills of the day was carried in, and wants its previous close or the day's P&L stays unknown.

    Raises:
        ReportInvalidError: Names the row and field; nothing is taken over. UnknownAccountError.
    """
    positions = tuple(_position(row, number) for number, row in enumerate(rows, 1))
    now_us = guard.clock.now_us()
    fetched_us = _microseconds(at, now_us)
    with guard.store.session(durable=False, wait_s=WAIT_S) as session:
        name = _account(session, account)
        date = loader.session_date(now_us)
        if books.baseline(session, name, date) is None:
            _open_day(session, name, date, positions, now_us)
        seen = Seen(fetched_us, positions, None, None, None)
        take_over(session, name, date, seen, now_us, "reported")
    return len(positions)


def _open_day(session: Session, account: str, date: str, positions: tuple[SeenPosition, ...], now_us: int) -> None:
    filled = {
        (row[0], row[1], row[2]): row[5]
        for row in session.rows(books.LINES, account=account, session_date=date)
    }  # fmt: skip
    for row in positions:
        key = (row.exchange_segment, row.security_id, row.product)
        carried = row.net - filled.get(key, 0)
        if carried:
            books.carry_line(session, account, date, key, carried, row.previous_close_e4)
    books.write_baseline(session, account, date, now_us, source="REPORTED", opening_equity_e4=None)


def report_fill(
    guard: RiskGuard, account: str, *, order_id: str, trade_id: str, exchange_segment: str, security_id: str, side: str,
    product: str, quantity: int, price: Any, at: Any = None,
) -> bool:  # fmt: skip
    """
    Report one fill; False when it was known. It leaves its permit and enters the book in one transaction.

    Raises ReportInvalidError, UnknownAccountError.
    """
    now_us = guard.clock.now_us()
    trade = SeenTrade(
        trade_id=_name("trade_id", trade_id), order_id=_name("order_id", order_id), correlation_id="",
        exchange_segment=_name("exchange_segment", exchange_segment), security_id=_name("security_id", security_id),
        side=_word("side", side, ("BUY", "SELL")), product=_word("product", product, tuple(Product)),
        quantity=_whole("quantity", quantity, least=1), price_e4=_price("price", price), at_us=_microseconds(at, now_us),
    )  # fmt: skip
    with guard.store.session(durable=True, wait_s=WAIT_S) as session:
        name = _account(session, account)
        return take_fill(session, name, loader.session_date(now_us), trade, now_us)


def report_order(guard: RiskGuard, account: str, order: SeenOrder) -> None:
    """Report how an order stands at the broker; it settles its permit."""
    with guard.store.session(durable=True, wait_s=WAIT_S) as session:
        take_order(session, _account(session, account), order, guard.clock.now_us(), "reported")


class Instruments:
    """Instruments by symbol, straight from the database."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def by_symbol(self, symbol: str, exchange_segment: str | None = None) -> list[Instrument]:
        """Return every instrument of that exact symbol, in one segment or in all."""
        with self._store.session(durable=False, wait_s=WAIT_S) as session:
            found = [loader.instrument_from(row) for row in session.rows(loader.BY_SYMBOL, symbol=symbol)]
        return [each for each in found if exchange_segment in (None, each.exchange_segment)]

    def by_key(self, exchange_segment: str, security_id: str) -> Instrument | None:
        """Return the instrument of that segment and id, None where nobody knows it."""
        with self._store.session(durable=False, wait_s=WAIT_S) as session:
            row = session.row(loader.INSTRUMENT, exchange_segment=exchange_segment, security_id=security_id)
            self._store.roll_back(session)
        return None if row is None else loader.instrument_from(row)


def _account(session: Session, account: str | None) -> str:
    known = tuple(row[0] for row in session.rows(ACCOUNTS))
    if account is None and len(known) == 1:
        return str(known[0])
    if account is None or account not in known:
        raise UnknownAccountError(str(account), known)
    return account


def _position(row: Mapping[str, Any], number: int) -> SeenPosition:
    where = f"row {number}"
    if not isinstance(row, Mapping):
        raise ReportInvalidError(f"{where}: wants an object with {', '.join(POSITION_KEYS)}")
    unknown = [key for key in row if key not in POSITION_KEYS]
    missing = [key for key in POSITION_KEYS[:4] if key not in row]
    if unknown or missing:
        raise ReportInvalidError(f"{where}: {'unknown' if unknown else 'missing'} `{(unknown or missing)[0]}`")
    close = row.get("previous_close")
    return SeenPosition(
        exchange_segment=_word(f"{where}: exchange_segment", row["exchange_segment"], tuple(Segment)),
        security_id=_name(f"{where}: security_id", row["security_id"]),
        product=_word(f"{where}: product", row["product"], tuple(Product)),
        net=_whole(f"{where}: net", row["net"]),
        previous_close_e4=None if close is None else _price(f"{where}: previous_close", close),
    )


def _name(field: str, value: object) -> str:
    try:
        return checked_name(field, value)
    except OrderInvalidError as e:
        raise ReportInvalidError(str(e)) from None


def _word(field: str, value: object, allowed: tuple[str, ...]) -> str:
    if isinstance(value, str) and value in allowed:
        return str(value)
    raise ReportInvalidError(f"`{field}` = {str(value)[:40]}: wants one of {', '.join(allowed)}")


def _whole(field: str, value: object, least: int | None = None) -> int:
    if type(value) is int and abs(value) <= 10**9 and (least is None or value >= least):
        return value
    raise ReportInvalidError(
        f"`{field}` = {str(value)[:40]}: wants a whole number{'' if least is None else f' from {least}'}"
    )


def _price(field: str, value: object) -> int:
    try:
        price_e4 = to_e4(value)
    except ValueError as e:
        raise ReportInvalidError(f"`{field}` = {str(value)[:40]}: {e}") from None
    if price_e4 <= 0:
        raise ReportInvalidError(f"`{field}` = {str(value)[:40]}: wants a price above 0")
    return price_e4


def _microseconds(at: Any, now_us: int) -> int:
    if at is None:
        return now_us
    if type(at) is int:
        return at
    if isinstance(at, dt.datetime) and at.tzinfo is not None:
        return int(at.timestamp() * 1_000_000)
    raise ReportInvalidError(f"`at` = {str(at)[:40]}: wants an aware datetime or microseconds UTC")
