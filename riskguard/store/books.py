"""The day's book in the database: baselines, fills, snapshots, marks, and orders nobody asked about."""

from __future__ import annotations

import datetime as dt
from typing import Any

from riskguard.core.calendar import ist_us
from riskguard.core.money import to_decimal, to_e4
from riskguard.core.params import as_decimal
from riskguard.core.quote import Quote
from riskguard.core.seen import SeenFunds, SeenOrder, SeenPosition, SeenTrade
from riskguard.store.bounds import TERMINAL_STATUSES
from riskguard.store.session import Ask, Session
from riskguard.store.spelling import fixed, greater, insert_into, param, prepare, sa, tables

funds = tables.funds.funds
orders = tables.orders.orders
holdings, positions = tables.portfolio.holdings, tables.portfolio.positions
unsolicited_orders = tables.reconciliation.unsolicited_orders
day_baselines, day_books, marks = tables.runs.day_baselines, tables.runs.day_books, tables.runs.marks
snapshots = tables.snapshots.snapshots
trades = tables.statements.trades

_b = day_books.c
LINE_COLUMNS = (
    "exchange_segment", "security_id", "product", "start_quantity", "previous_close_e4", "filled_quantity",
    "buy_value_e4", "sell_value_e4", "last_fill_us", "bought", "sold",
)  # fmt: skip
LINES = prepare(
    sa.select(*(_b[name] for name in LINE_COLUMNS)).where(
        _b.account == param("account"), _b.session_date == param("session_date")
    )
)
# A line that is flat again matters to the day's P&L alone: checks leave it where it is.
OPEN_LINES = prepare(
    sa.select(*(_b[name] for name in LINE_COLUMNS)).where(
        _b.account == param("account"), _b.session_date == param("session_date"),
        _b.start_quantity + _b.filled_quantity != fixed(0),
    )
)  # fmt: skip
LINE = prepare(
    sa.select(_b.start_quantity + _b.filled_quantity).where(
        _b.account == param("account"), _b.session_date == param("session_date"),
        _b.exchange_segment == param("exchange_segment"), _b.security_id == param("security_id"),
        _b.product == param("product"),
    )
)  # fmt: skip
ADD_LINE = insert_into(
    day_books, "account", "session_date", "exchange_segment", "security_id", "product", "start_quantity",
    "previous_close_e4", ignore=True,
)  # fmt: skip
OPEN_LINE = prepare(
    sa.update(day_books)
    .where(
        _b.account == param("of_account"), _b.session_date == param("of_date"), _b.exchange_segment == param("of_segment"),
        _b.security_id == param("of_security"), _b.product == param("of_product"), _b.start_quantity == fixed(0),
    )
    .values(start_quantity=param("start"), previous_close_e4=param("close_e4"))
)  # fmt: skip
ADD_FILL = prepare(
    sa.update(day_books)
    .where(
        _b.account == param("of_account"), _b.session_date == param("of_date"), _b.exchange_segment == param("of_segment"),
        _b.security_id == param("of_security"), _b.product == param("of_product"),
    )
    .values(
        filled_quantity=_b.filled_quantity + param("signed"), bought=_b.bought + param("bought_"),
        sold=_b.sold + param("sold_"), buy_value_e4=_b.buy_value_e4 + param("buy_e4"),
        sell_value_e4=_b.sell_value_e4 + param("sell_e4"), fills=_b.fills + 1,
        last_fill_us=greater(sa.func.coalesce(_b.last_fill_us, 0), param("at_us", sa.BigInteger())),
    )
)  # fmt: skip
_base = day_baselines.c
BASELINE = prepare(
    sa.select(_base.source, _base.opening_equity_e4, _base.adjustment_e4, _base.at_us).where(
        _base.account == param("account"), _base.session_date == param("session_date")
    )
)
ADD_BASELINE = insert_into(
    day_baselines, "account", "session_date", "at_us", "source", "opening_equity_e4", "adjustment_e4", "by_whom",
    "reason", ignore=True,
)  # fmt: skip
LAST_SESSION = prepare(
    sa.select(sa.func.max(_base.session_date)).where(
        _base.account == param("account"), _base.session_date < param("before")
    )
)
ADD_SNAPSHOT = insert_into(snapshots, "account", "kind", "fetched_at_us", "complete", "row_count", "source")
_sn = snapshots.c
COMPLETE_SNAPSHOT = prepare(sa.update(snapshots).where(_sn.id == param("of_id")).values(complete=fixed(1)))
LATEST_SNAPSHOT = prepare(
    sa.select(_sn.id, _sn.fetched_at_us)
    .where(_sn.account == param("account"), _sn.kind == param("kind"), _sn.complete == fixed(1))
    .order_by(_sn.fetched_at_us.desc(), _sn.id.desc())
    .limit(fixed(1))
)
_po = positions.c
SNAPSHOT_POSITIONS = prepare(
    sa.select(_po.exchange_segment, _po.security_id, _po.product, _po.net_qty).where(
        _po.snapshot_id == param("snapshot_id")
    )
)
# A version 3 writer leaves no header: its rows are evidence of a position, never of flat, so those of 0 say nothing.
LOOSE_POSITIONS = prepare(
    sa.select(_po.exchange_segment, _po.security_id, _po.product, _po.net_qty, _po.snapshot_ts)
    .where(
        _po.snapshot_id == fixed(0), _po.account_type == param("account"), _po.net_qty != fixed(0),
        _po.snapshot_ts >= param("since_s"),
    )
    .order_by(_po.snapshot_ts)
)  # fmt: skip
ADD_POSITION = insert_into(
    positions, "snapshot_ts", "account_type", "security_id", "exchange_segment", "product", "net_qty", "close_price",
    "realized_pl", "unrealized_pl", "total_pl", "snapshot_id",
)  # fmt: skip
_ho = holdings.c
SNAPSHOT_HOLDINGS = prepare(
    sa.select(_ho.exchange_segment, _ho.security_id, _ho.available_qty).where(_ho.snapshot_id == param("snapshot_id"))
)
FIRST_SNAPSHOT = prepare(
    sa.select(_sn.id)
    .where(
        _sn.account == param("account"), _sn.kind == param("kind"), _sn.complete == fixed(1),
        _sn.fetched_at_us >= param("since_us"),
    )
    .order_by(_sn.fetched_at_us, _sn.id)
    .limit(fixed(1))
)  # fmt: skip
ADD_HOLDING = insert_into(
    holdings,
    "snapshot_ts",
    "account_type",
    "security_id",
    "exchange_segment",
    "total_qty",
    "available_qty",
    "snapshot_id",
)
ADD_FUNDS = insert_into(
    funds, "snapshot_ts", "account_type", "available_balance", "sodLimit", "margin_used", "snapshot_id"
)
_t = trades.c
ADD_TRADE = insert_into(
    trades, "id", "order_id", "account_type", "exchange_trade_id", "security_id", "exchange_segment", "side", "product",
    "quantity", "price", "trade_ts", "created_at", "client_order_id", "booked_at_us", "session_date", ignore=True,
)  # fmt: skip
UNBOOKED = prepare(
    sa.select(
        _t.id, _t.order_id, _t.security_id, _t.exchange_segment, _t.side, _t.product, _t.quantity, _t.price, _t.trade_ts
    )
    .where(_t.account_type == param("account"), _t.booked_at_us.is_(None), _t.trade_ts >= param("since_s"))
    .order_by(_t.trade_ts, _t.id)
)
BOOKED = prepare(
    sa.update(trades)
    .where(_t.id == param("of_id"))
    .values(booked_at_us=param("now_us"), session_date=param("to_date"), client_order_id=param("to_client_id"))
)
DAY_TRADES = prepare(
    sa.select(_t.id, _t.order_id, _t.exchange_segment, _t.security_id, _t.side, _t.product, _t.quantity, _t.price)
    .where(
        _t.account_type == param("account"), _t.session_date == param("session_date"), _t.trade_ts >= param("since_s")
    )
    .order_by(_t.id)
)
KNOWN_TRADES = prepare(
    sa.select(_t.id).where(
        _t.account_type == param("account"), _t.session_date == param("session_date"), _t.trade_ts >= param("since_s"),
        _t.booked_at_us.is_not(None),
    )
)  # fmt: skip
_o = orders.c
_u = unsolicited_orders.c
DONE_ORDERS = prepare(
    sa.select(_o.id, _o.order_status, _o.traded_qty, _o.client_order_id).where(
        _o.account_type == param("account"), _o.created_at >= param("since_s"),
        sa.func.upper(_o.status).in_([fixed(word) for word in TERMINAL_STATUSES]),
        sa.or_(
            _o.client_order_id.is_not(None),
            sa.exists().where(_u.account == param("account"), _u.order_id == _o.id),
        ),
    )
)  # fmt: skip
DONE_ORDERS_US = 86_400_000_000
LEG_TYPES = {"ENTRY": "ENTRY", "TARGET": "TARGET", "STOP_LOSS": "SL"}
"""Version 3's words for the legs of a super order."""
SAVE_ORDER = insert_into(
    orders, "id", "account_type", "correlation_id", "status", "order_status", "side", "product", "order_type",
    "validity", "security_id", "exchange_segment", "quantity", "price", "trigger_price", "traded_qty", "remaining_qty",
    "oms_error_description", "created_at", "updated_at", "client_order_id", "source", "exit_group", "leg_type",
    ignore=True,
)  # fmt: skip
UPDATE_ORDER = prepare(
    sa.update(orders)
    # An order of an upgraded file may have neither: NULL differs from every word and number.
    .where(
        _o.id == param("of_id"),
        sa.or_(
            _o.order_status.is_distinct_from(param("word")), _o.traded_qty.is_distinct_from(param("traded")),
            _o.quantity != param("ordered"), _o.price.is_distinct_from(param("limit_price")),
            _o.trigger_price.is_distinct_from(param("trigger")),
        ),
    )
    .values(
        quantity=param("ordered"), price=param("limit_price"), trigger_price=param("trigger"), order_type=param("kind"),
        status=param("to_status"), order_status=param("word"), traded_qty=param("traded"),
        remaining_qty=param("remaining"), updated_at=param("now_s"), oms_error_description=param("said"),
    )
)  # fmt: skip
WORKING = prepare(
    sa.select(_o.id, _o.correlation_id, _o.exchange_segment, _o.security_id, _o.side, _o.product, _o.order_type,
              _o.quantity, _o.traded_qty, _o.remaining_qty, _o.exit_group, _o.price, _o.trigger_price)
    .where(_o.account_type == param("account"), sa.func.upper(_o.status).not_in([fixed(word) for word in TERMINAL_STATUSES]))
)  # fmt: skip
# A DAY order of an earlier session rests nowhere any more, whatever its last known status says; what rests for days
# (a forever order) is still in the broker's list.
EARLIER_ORDERS = prepare(
    sa.select(_o.id, _o.correlation_id).where(
        _o.account_type == param("account"),
        sa.func.upper(_o.status).not_in([fixed(word) for word in TERMINAL_STATUSES]),
        _o.created_at < param("midnight_s"),
    )
)
END_ORDER = prepare(
    sa.update(orders).where(_o.id == param("of_id")).values(status=fixed("EXPIRED"), updated_at=param("now_s"))
)
_m = marks.c
SAVE_MARK = insert_into(
    marks, "exchange_segment", "security_id", "ltp_e4", "bid_e4", "ask_e4", "at_us", "source", "lower_band_e4",
    "upper_band_e4", "ltp_at_us", "is_indicative", replace=True,
)  # fmt: skip
MARK = prepare(
    sa.select(
        _m.ltp_e4, _m.bid_e4, _m.ask_e4, _m.at_us, _m.lower_band_e4, _m.upper_band_e4, _m.ltp_at_us, _m.is_indicative
    ).where(_m.exchange_segment == param("exchange_segment"), _m.security_id == param("security_id"))
)
MARKS_OF_LINES = prepare(
    sa.select(
        _m.exchange_segment, _m.security_id, _m.ltp_e4, _m.bid_e4, _m.ask_e4, _m.at_us, _m.lower_band_e4, _m.upper_band_e4,
        _m.ltp_at_us, _m.is_indicative,
    ).select_from(
        day_books.join(marks, sa.and_(_b.exchange_segment == _m.exchange_segment, _b.security_id == _m.security_id))
    ).where(_b.account == param("account"), _b.session_date == param("session_date"))
)  # fmt: skip


def start_line(
    session: Session, account: str, date: str, key: tuple[str, str, str], start: int, previous_close_e4: int | None
) -> None:
    """Open one line of the day's book; a line that stands is never re-based."""
    segment, security, product = key
    session.run(
        ADD_LINE, account=account, session_date=date, exchange_segment=segment, security_id=security, product=product,
        start_quantity=start, previous_close_e4=previous_close_e4,
    )  # fmt: skip


def carry_line(
    session: Session, account: str, date: str, key: tuple[str, str, str], start: int, previous_close_e4: int | None
) -> None:
    """
    Open one line of the day's book with what was carried in, also when a fill of today came first.

    Only while the day has no baseline: afterwards a line is never re-based.
    """
    start_line(session, account, date, key, start, previous_close_e4)
    segment, security, product = key
    session.run(
        OPEN_LINE, of_account=account, of_date=date, of_segment=segment, of_security=security, of_product=product,
        start=start, close_e4=previous_close_e4,
    )  # fmt: skip


def add_fill(session: Session, account: str, date: str, trade: SeenTrade) -> None:
    """Add one fill to the day's book."""
    key = (trade.exchange_segment, trade.security_id, trade.product)
    start_line(session, account, date, key, 0, None)
    buys = trade.side == "BUY"
    value_e4 = trade.quantity * trade.price_e4
    session.run(
        ADD_FILL, of_account=account, of_date=date, of_segment=key[0], of_security=key[1], of_product=key[2],
        signed=trade.quantity if buys else -trade.quantity, bought_=trade.quantity if buys else 0,
        sold_=0 if buys else trade.quantity, buy_e4=value_e4 if buys else 0, sell_e4=0 if buys else value_e4,
        at_us=trade.at_us,
    )  # fmt: skip


def trade_key(date: str, trade: SeenTrade) -> str:
    """Return the row id of a fill: exchanges number their trades apart, and begin anew each day."""
    return f"{trade.exchange_segment}:{date}:{trade.order_id}:{trade.trade_id}"


def known_trades(session: Session, account: str, date: str) -> frozenset[str]:
    """Return the row ids of the session's booked fills."""
    since_s = ist_us(dt.date.fromisoformat(date)) // 1_000_000
    rows = session.rows(KNOWN_TRADES, account=account, session_date=date, since_s=since_s)
    return frozenset(row[0] for row in rows)


def done_orders(session: Session, account: str, now_us: int) -> dict[str, tuple[str | None, int | None, str | None]]:
    """
    Return the last day's orders that rest nowhere any more and whose sender is known: (broker's word, filled, our id).

    Of an order nobody asked about the sender is known once it is recorded as that.
    """
    since_s = (now_us - DONE_ORDERS_US) // 1_000_000
    return {row[0]: (row[1], row[2], row[3]) for row in session.rows(DONE_ORDERS, account=account, since_s=since_s)}


def save_trade(
    session: Session, account: str, date: str, trade: SeenTrade, client_order_id: str | None, now_us: int
) -> bool:
    """Store one fill as booked; False when it is known already, from whichever source."""
    cursor = session.run(
        ADD_TRADE,
        id=trade_key(date, trade),
        order_id=trade.order_id,
        account_type=account,
        exchange_trade_id=trade.trade_id,
        security_id=trade.security_id,
        exchange_segment=trade.exchange_segment,
        side=trade.side,
        product=trade.product,
        quantity=trade.quantity,
        price=float(to_decimal(trade.price_e4)),
        trade_ts=trade.at_us // 1_000_000,
        created_at=now_us // 1_000_000,
        client_order_id=client_order_id,
        booked_at_us=now_us,
        session_date=date,
    )
    return cursor.rowcount == 1


def day_trades(session: Session, account: str, date: str) -> list[SeenTrade]:
    """Return the session's fills as the charge calculation wants them."""
    since_s = ist_us(dt.date.fromisoformat(date)) // 1_000_000
    return [
        SeenTrade(
            trade_id=str(row[0]), order_id=row[1], correlation_id="", exchange_segment=row[2], security_id=row[3],
            side=row[4], product=row[5], quantity=row[6], price_e4=to_e4(as_decimal(row[7])), at_us=0,
        )
        for row in session.rows(DAY_TRADES, account=account, session_date=date, since_s=since_s)
    ]  # fmt: skip


def asks_unbooked(account: str, since_us: int) -> Ask:
    """Return what `unbooked` asks."""
    return UNBOOKED, {"account": account, "since_s": since_us // 1_000_000}


def unbooked(session: Session, account: str, since_us: int) -> list[tuple[str, SeenTrade]]:
    """Return fills other programs stored and nobody booked, with their row ids."""
    return [
        (
            row[0],
            SeenTrade(
                trade_id=row[0], order_id=row[1], correlation_id="", exchange_segment=row[3], security_id=row[2],
                side=row[4], product=row[5], quantity=row[6], price_e4=to_e4(as_decimal(row[7])),
                at_us=row[8] * 1_000_000,
            ),
        )
        for row in session.all(asks_unbooked(account, since_us))
    ]  # fmt: skip


def begin_snapshot(session: Session, account: str, kind: str, fetched_at_us: int, rows: int, source: str) -> int:
    """Write the header of a snapshot, incomplete; rows follow in chunks, `complete_snapshot` makes it visible."""
    written = session.insert(
        ADD_SNAPSHOT, account=account, kind=kind, fetched_at_us=fetched_at_us, complete=0, row_count=rows, source=source
    )
    return written or 0


def add_positions(
    session: Session, account: str, snapshot_id: int, fetched_us: int, rows: tuple[SeenPosition, ...]
) -> None:
    session.run_many(
        ADD_POSITION,
        (
            {
                "snapshot_ts": fetched_us // 1_000_000, "account_type": account, "security_id": row.security_id,
                "exchange_segment": row.exchange_segment, "product": row.product, "net_qty": row.net,
                "close_price": _rupees(row.previous_close_e4), "realized_pl": _rupees(row.realised_e4),
                "unrealized_pl": _rupees(row.unrealised_e4),
                # Null where the broker says nothing: a column left out would read 0, and that is a claim.
                "total_pl": None if row.realised_e4 is None or row.unrealised_e4 is None
                else _rupees(row.realised_e4 + row.unrealised_e4), "snapshot_id": snapshot_id,
            }
            for row in rows
        ),
    )  # fmt: skip


def _rupees(value_e4: int | None) -> float | None:
    return None if value_e4 is None else float(to_decimal(value_e4))


def complete_snapshot(session: Session, snapshot_id: int) -> None:
    session.run(COMPLETE_SNAPSHOT, of_id=snapshot_id)


def save_funds(session: Session, account: str, fetched_us: int, seen: SeenFunds) -> None:
    """Store one funds answer with its header; an unknown balance writes no row."""
    if seen.available_e4 is None:
        return
    snapshot_id = begin_snapshot(session, account, "funds", fetched_us, 1, "sync")
    session.run(
        ADD_FUNDS, snapshot_ts=fetched_us // 1_000_000, account_type=account,
        available_balance=float(to_decimal(seen.available_e4)),
        sodLimit=None if seen.opening_e4 is None else float(to_decimal(seen.opening_e4)),
        margin_used=None if seen.used_e4 is None else float(to_decimal(seen.used_e4)), snapshot_id=snapshot_id,
    )  # fmt: skip
    complete_snapshot(session, snapshot_id)


def save_order(
    session: Session, account: str, seen: SeenOrder, client_order_id: str | None, source: str, now_us: int
) -> bool:
    """
    Store or update one order as the broker lists it; what it had before (events, times) stays.

    Returns True when it was not known before.
    """
    status = _internal(seen)
    now_s = now_us // 1_000_000
    price = None if seen.price_e4 is None else float(to_decimal(seen.price_e4))
    trigger = None if seen.trigger_price_e4 is None else float(to_decimal(seen.trigger_price_e4))
    is_new = session.run(
        SAVE_ORDER, id=seen.order_id, account_type=account, correlation_id=seen.correlation_id or None, status=status,
        order_status=seen.status, side=seen.side, product=seen.product, order_type=seen.order_type, validity="DAY",
        security_id=seen.security_id, exchange_segment=seen.exchange_segment, quantity=seen.quantity,
        price=price, trigger_price=trigger,
        traded_qty=seen.filled, remaining_qty=seen.remaining, oms_error_description=seen.detail or None,
        created_at=now_s, updated_at=now_s, client_order_id=client_order_id, source=source,
        # Target and stop of one order: at most one of them fills. Its entry is another matter.
        exit_group=(seen.group or None) if seen.leg != "ENTRY" else None, leg_type=LEG_TYPES.get(seen.leg),
    ).rowcount == 1  # fmt: skip
    session.run(
        UPDATE_ORDER, of_id=seen.order_id, to_status=status, word=seen.status, traded=seen.filled,
        remaining=seen.remaining, now_s=now_s, said=seen.detail or None, ordered=seen.quantity, limit_price=price,
        trigger=trigger, kind=seen.order_type,
    )  # fmt: skip
    return is_new


def _internal(seen: SeenOrder) -> str:
    """Return version 3's own word for a status: TRADED is EXECUTED there; others keep the broker's."""
    word = seen.status.upper()
    if word == "TRADED":
        return "EXECUTED"
    if not seen.is_live and word not in TERMINAL_STATUSES:
        return "CLOSED"
    return word


def save_mark(session: Session, key: tuple[str, str], quote: Quote, source: str) -> None:
    session.run(
        SAVE_MARK, exchange_segment=key[0], security_id=key[1], ltp_e4=quote.ltp_e4, bid_e4=quote.bid_e4,
        ask_e4=quote.ask_e4, at_us=quote.at_us, source=source, lower_band_e4=quote.lower_band_e4,
        upper_band_e4=quote.upper_band_e4, ltp_at_us=quote.ltp_at_us, is_indicative=int(quote.is_indicative),
    )  # fmt: skip


def marks_of_lines(session: Session, account: str, date: str) -> dict[tuple[str, str], Quote]:
    """Return the shared mark of every instrument in the day's book, in one read; those without one are left out."""
    return {
        (segment, security): Quote(*row[:7])._replace(is_indicative=bool(row[7]))
        for segment, security, *row in session.rows(MARKS_OF_LINES, account=account, session_date=date)
    }


def asks_snapshot(account: str, kind: str) -> Ask:
    """Return what asks for the header of the last complete list of *kind*."""
    return LATEST_SNAPSHOT, {"account": account, "kind": kind}


def asks_listed(snapshot_id: int) -> Ask:
    """Return what asks for the positions of one list."""
    return SNAPSHOT_POSITIONS, {"snapshot_id": snapshot_id}


def asks_loose(account: str, since_s: int) -> Ask:
    """Return what asks for rows of positions that no list brought, as version 3 writers leave them."""
    return LOOSE_POSITIONS, {"account": account, "since_s": since_s}


def asks_lines(account: str, date: str, whole_day: bool) -> Ask:
    """Return what asks for the lines of a day's book: those that are not flat, or all."""
    return LINES if whole_day else OPEN_LINES, {"account": account, "session_date": date}


def asks_working(account: str) -> Ask:
    """Return what asks for the orders that rest at the broker."""
    return WORKING, {"account": account}


def asks_mark(key: tuple[str, str]) -> Ask:
    """Return what `mark` asks."""
    return MARK, {"exchange_segment": key[0], "security_id": key[1]}


def mark(session: Session, key: tuple[str, str]) -> Quote | None:
    row = session.ask(asks_mark(key))
    return None if row is None else Quote(*row[:7])._replace(is_indicative=bool(row[7]))


def baseline(session: Session, account: str, date: str) -> tuple[Any, ...] | None:
    """Return (source, opening equity, adjustment, at) of the session's baseline, or None."""
    return session.row(BASELINE, account=account, session_date=date)


def write_baseline(
    session: Session, account: str, date: str, now_us: int, *, source: str, opening_equity_e4: int | None,
    adjustment_e4: int = 0, by: str = "", reason: str = "",
) -> bool:  # fmt: skip
    """Write the day's baseline once; False when one stands, which is then left as it is."""
    cursor = session.run(
        ADD_BASELINE, account=account, session_date=date, at_us=now_us, source=source,
        opening_equity_e4=opening_equity_e4, adjustment_e4=adjustment_e4, by_whom=by, reason=reason,
    )  # fmt: skip
    return cursor.rowcount == 1
