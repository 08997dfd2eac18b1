"""What a day's P&L is measured from, in the database: sums, fills by strategy, charges, settlement prices, cash flows."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from riskguard.core.calendar import ist_us
from riskguard.core.charges import ChargeLines
from riskguard.core.money import to_e4
from riskguard.core.params import as_decimal
from riskguard.core.seen import SeenFunds, SeenPosition
from riskguard.store import books
from riskguard.store.session import Session
from riskguard.store.spelling import fixed, insert_into, param, prepare, sa, tables

funds = tables.funds.funds
permits = tables.journal.permits
holdings, positions = tables.portfolio.holdings, tables.portfolio.positions
day_baselines, day_books, pnl_readings = tables.runs.day_baselines, tables.runs.day_books, tables.runs.pnl_readings
cash_flows = tables.settlement.cash_flows
day_charges = tables.settlement.day_charges
settlement_prices = tables.settlement.settlement_prices
trades = tables.statements.trades

LineKey = tuple[str, str, str]

_b = day_books.c
_base = day_baselines.c
SUMS = prepare(
    sa.select(_b.exchange_segment, _b.security_id, _b.product, _b.fills, _b.buy_value_e4, _b.sell_value_e4)
    .where(_b.account == param("account"), _b.session_date == param("session_date"), _b.fills != fixed(0))
    .order_by(_b.exchange_segment, _b.security_id, _b.product)
)
CARRIED = prepare(
    sa.select(_b.exchange_segment, _b.security_id, _b.product, _b.base_proven).where(
        _b.account == param("account"), _b.session_date == param("session_date"), _b.start_quantity != fixed(0)
    )
)
CLOSELESS = prepare(
    sa.select(_b.exchange_segment, _b.security_id, _b.product, _b.start_quantity).where(
        _b.account == param("account"), _b.session_date == param("session_date"), _b.start_quantity != fixed(0),
        _b.previous_close_e4.is_(None),
    )
)  # fmt: skip
BOOKED_SINCE = prepare(
    sa.select(_b.exchange_segment, _b.security_id).where(_b.session_date >= param("since")).distinct()
)
_THIS_LINE = (
    _b.account == param("of_account"), _b.session_date == param("of_date"), _b.exchange_segment == param("of_segment"),
    _b.security_id == param("of_security"), _b.product == param("of_product"),
)  # fmt: skip
SET_CLOSE = prepare(
    sa.update(day_books).where(*_THIS_LINE, _b.previous_close_e4.is_(None)).values(previous_close_e4=param("close_e4"))
)
SET_PROVEN = prepare(sa.update(day_books).where(*_THIS_LINE).values(base_proven=fixed(1)))
NEWEST_SESSION = prepare(sa.select(sa.func.max(_base.session_date)).where(_base.account == param("account")))
LOWER = prepare(
    sa.update(day_baselines)
    .where(_base.account == param("of_account"), _base.session_date == param("of_date"))
    .values(adjustment_e4=_base.adjustment_e4 - param("by_e4"), by_whom=param("by"), reason=param("why"))
)
SET_OPENING = prepare(
    sa.update(day_baselines)
    .where(
        _base.account == param("of_account"),
        _base.session_date == param("of_date"),
        _base.opening_equity_e4.is_(None),
    )
    .values(opening_equity_e4=param("opening_e4"))
)
_t = trades.c
_p = permits.c
FILLS = prepare(
    sa.select(
        _t.order_id, _t.exchange_segment, _t.security_id, _t.side, _t.product, _t.quantity, _t.price,
        sa.func.coalesce(_p.strategy, fixed("")),
    )
    .select_from(
        trades.outerjoin(
            permits, sa.and_(_p.account == _t.account_type, _p.client_order_id == _t.client_order_id)
        )
    )
    .where(
        _t.account_type == param("account"), _t.session_date == param("session_date"), _t.trade_ts >= param("since_s"),
        _t.booked_at_us.is_not(None),
    )
    .order_by(_t.id)
)  # fmt: skip
_po = positions.c
LISTED = prepare(
    sa.select(
        _po.exchange_segment, _po.security_id, _po.product, _po.net_qty, _po.realized_pl, _po.unrealized_pl,
    ).where(_po.snapshot_id == param("snapshot_id"))
)  # fmt: skip
_h = holdings.c
HELD = prepare(
    sa.select(_h.exchange_segment, _h.security_id, _h.total_qty).where(_h.snapshot_id == param("snapshot_id"))
)
_f = funds.c
FUNDS = prepare(
    sa.select(_f.available_balance, _f["sodLimit"], _f.margin_used).where(_f.snapshot_id == param("snapshot_id"))
)
_c = day_charges.c
LINE_NAMES = ("brokerage_e4", "exchange_txn_e4", "sebi_e4", "ipft_e4", "stt_e4", "stamp_e4", "gst_e4")
CHARGE_NAMES = ("fills", "turnover_e4", "total_e4", *LINE_NAMES, "dp_e4", "is_known", "doubts", "at_us")
CHARGES = prepare(
    sa.select(_c.exchange_segment, _c.fills, _c.turnover_e4, _c.total_e4, _c.is_known, _c.doubts).where(
        _c.account == param("account"), _c.session_date == param("session_date")
    )
)
ADD_CHARGES = insert_into(
    day_charges, "account", "session_date", "exchange_segment", *CHARGE_NAMES,
)  # fmt: skip
SET_CHARGES = prepare(
    sa.update(day_charges)
    .where(
        _c.account == param("of_account"), _c.session_date == param("of_date"), _c.exchange_segment == param("of_segment")
    )
    .values(
        {name: param(f"to_{name}") for name in CHARGE_NAMES}
    )
)  # fmt: skip
_s = settlement_prices.c
SETTLEMENT = prepare(
    sa.select(_s.price_e4, _s.underlying_e4).where(
        _s.exchange_segment == param("exchange_segment"), _s.security_id == param("security_id"),
        _s.session_date == param("session_date"),
    )
)  # fmt: skip
SAVE_SETTLEMENT = insert_into(
    settlement_prices, "exchange_segment", "security_id", "session_date", "price_e4", "underlying_e4", "source",
    "imported_at_us", replace=True,
)  # fmt: skip
SETTLED_DAYS = prepare(
    sa.select(_s.session_date, _s.exchange_segment, sa.func.count(), sa.func.max(_s.imported_at_us))
    .group_by(_s.session_date, _s.exchange_segment)
    .order_by(_s.session_date.desc(), _s.exchange_segment)
    .limit(param("most"))
)
_fl = cash_flows.c
ADD_FLOW = insert_into(
    cash_flows, "account", "entry_id", "session_date", "kind", "amount_e4", "particulars", "at_us", ignore=True
)
FLOWS = prepare(
    sa.select(sa.func.coalesce(sa.func.sum(_fl.amount_e4), fixed(0))).where(
        _fl.account == param("account"), _fl.session_date == param("session_date")
    )
)
_r = pnl_readings.c
LAST_READING = prepare(
    sa.select(_r.day_pnl_e4, _r.fresh_marks, _r.detail, _r.at_us)
    .where(_r.account == param("account"), _r.session_date == param("session_date"))
    .order_by(_r.at_us.desc(), _r.id.desc())
    .limit(fixed(1))
)


@dataclass(frozen=True, slots=True)
class DayFill:
    """One booked fill of the day, with the strategy riskguard was asked for; "" where nobody asked."""

    order_id: str
    exchange_segment: str
    security_id: str
    side: str
    product: str
    quantity: int
    price_e4: int
    strategy: str


@dataclass(frozen=True, slots=True)
class KeptCharges:
    """The charges of one segment as they were computed last."""

    fills: int
    turnover_e4: int
    total_e4: int
    is_known: bool
    doubts: tuple[str, ...]


def fills(session: Session, account: str, date: str) -> list[DayFill]:
    """Return the session's booked fills; a stamp of a few hours before midnight does not hide one."""
    since_s = ist_us(dt.date.fromisoformat(date)) // 1_000_000 - 86_400
    return [
        DayFill(row[0], row[1], row[2], row[3], row[4], row[5], to_e4(as_decimal(row[6])), row[7])
        for row in session.rows(FILLS, account=account, session_date=date, since_s=since_s)
    ]


def sums(session: Session, account: str, date: str) -> tuple[tuple[object, ...], ...]:
    """Return what the day's book counted per line: equal sums, equal charges."""
    return tuple(session.rows(SUMS, account=account, session_date=date))


def carried(session: Session, account: str, date: str) -> dict[LineKey, bool]:
    """Return the lines that were carried in, and whether the broker's base of them is proven."""
    return {(row[0], row[1], row[2]): bool(row[3]) for row in session.rows(CARRIED, account=account, session_date=date)}


def closeless(session: Session, account: str, date: str) -> list[tuple[LineKey, int]]:
    """Return lines carried in without a previous close, with their quantity: what makes the day unknown."""
    return [((row[0], row[1], row[2]), row[3]) for row in session.rows(CLOSELESS, account=account, session_date=date)]


def put_close(session: Session, account: str, date: str, key: LineKey, close_e4: int) -> bool:
    """Put in a previous close nobody knew; False when one stands, which is then left as it is."""
    ran = session.run(
        SET_CLOSE, of_account=account, of_date=date, of_segment=key[0], of_security=key[1], of_product=key[2],
        close_e4=close_e4,
    )  # fmt: skip
    return ran.rowcount == 1


def put_opening(session: Session, account: str, date: str, opening_e4: int | None) -> bool:
    """Put in what the day began with where nobody knew it; False when it stands already, which is then left as it is."""
    if opening_e4 is None:
        return False
    return session.run(SET_OPENING, of_account=account, of_date=date, opening_e4=opening_e4).rowcount == 1


def prove(session: Session, account: str, date: str, keys: Iterable[LineKey]) -> None:
    """Remember that the broker counts these carried lines from the same close as we do."""
    for segment, security, product in keys:
        session.run(
            SET_PROVEN, of_account=account, of_date=date, of_segment=segment, of_security=security, of_product=product
        )


def newest_session(session: Session, account: str) -> str | None:
    """Return the newest session date the account has a baseline for."""
    row = session.row(NEWEST_SESSION, account=account)
    return None if row is None else row[0]


def listed(session: Session, account: str) -> tuple[SeenPosition, ...] | None:
    """Return the broker's last complete position list as it was stored; None when there never was one."""
    header = session.row(books.LATEST_SNAPSHOT, account=account, kind="positions")
    if header is None:
        return None
    return tuple(
        SeenPosition(row[0], row[1], row[2], row[3], None, _e4(row[4]), _e4(row[5]))
        for row in session.rows(LISTED, snapshot_id=header[0])
    )


def seen_funds(session: Session, account: str) -> SeenFunds | None:
    """Return the last funds answer as it was stored."""
    header = session.row(books.LATEST_SNAPSHOT, account=account, kind="funds")
    row = None if header is None else session.row(FUNDS, snapshot_id=header[0])
    return None if row is None else SeenFunds(_e4(row[0]), _e4(row[1]), _e4(row[2]))


def _e4(value: float | None) -> int | None:
    """A REAL in 1/10000 rupee; the last digits of a sum are the float's, not the broker's."""
    return None if value is None else to_e4(as_decimal(round(value, 4)))


def kept_charges(session: Session, account: str, date: str) -> dict[str, KeptCharges]:
    """Return the day's charges by segment as they were computed last."""
    return {
        row[0]: KeptCharges(row[1], row[2], row[3], bool(row[4]), tuple(json.loads(row[5])))
        for row in session.rows(CHARGES, account=account, session_date=date)
    }


def save_charges(
    session: Session, account: str, date: str, segment: str, lines: ChargeLines, *, fills: int, turnover_e4: int, total_e4: int,
    dp_e4: int, doubts: tuple[str, ...], is_known: bool, is_new: bool, now_us: int,
) -> None:  # fmt: skip
    """Write the charges of one segment; the database refuses a smaller total for the same fills."""
    values = {
        **{name: getattr(lines, name) for name in LINE_NAMES}, "fills": fills, "turnover_e4": turnover_e4,
        "total_e4": total_e4, "dp_e4": dp_e4, "is_known": int(is_known), "doubts": json.dumps(doubts), "at_us": now_us,
    }  # fmt: skip
    if is_new:
        session.run(ADD_CHARGES, account=account, session_date=date, exchange_segment=segment, **values)
    else:
        given = {f"to_{name}": value for name, value in values.items()}
        session.run(SET_CHARGES, of_account=account, of_date=date, of_segment=segment, **given)


def settlement(session: Session, key: tuple[str, str], date: str) -> tuple[int, int | None] | None:
    """Return (price, what the underlying closed at) of one instrument on one day, or None."""
    row = session.row(SETTLEMENT, exchange_segment=key[0], security_id=key[1], session_date=date)
    return None if row is None else (row[0], row[1])


def flows_e4(session: Session, account: str, date: str) -> int:
    """Return deposits less payouts booked on a day."""
    row = session.row(FLOWS, account=account, session_date=date)
    return int(row[0]) if row is not None else 0


def last_readings(
    session: Session, accounts: Iterable[str], date: str, now_us: int, age_us_max: int
) -> Mapping[str, tuple[int | None, bool, str]]:
    """Return (day P&L, fresh, reason) of each account as its last sweep left it; an old reading is unknown."""
    found: dict[str, tuple[int | None, bool, str]] = {}
    for account in accounts:
        row = session.row(LAST_READING, account=account, session_date=date)
        if row is None:
            found[account] = (None, False, "not measured today")
        elif now_us - row[3] > age_us_max:
            found[account] = (None, False, f"last measured {(now_us - row[3]) // 1_000_000} s ago")
        else:
            found[account] = (row[0], bool(row[1]), row[2])
    return found
