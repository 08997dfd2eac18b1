"""Opening the session's book, once per account and session date: the baseline, and what was carried in."""

from __future__ import annotations

import logging

from riskguard.core.book import SETTLE_US
from riskguard.core.seen import Seen, SeenPosition
from riskguard.core.terms import DELIVERY_PRODUCTS
from riskguard.services.sweeps.measuring import clock_went_back
from riskguard.services.sweeps.previous_close import previous_close_e4
from riskguard.store import books, days, loader
from riskguard.store.calendar import calendar as trading_calendar
from riskguard.store.session import Session

log = logging.getLogger("riskguard")

LineKey = tuple[str, str, str]


def roll_over(session: Session, account: str, date: str, seen: Seen | None, now_us: int) -> bool:
    """
    Open the session's book once: the baseline, and what was carried in. Idempotent; never re-bases a day.

    With a broker the carried quantity is its list less today's fills, at any hour: OPEN before the first fill, REBUILT
    after it. Without one it is yesterday's book. A day that starts without either (first start, no broker) gets its
    baseline when positions are reported. A date before the newest session is refused: that clock went backwards, and the
    P&L of the day stays unknown until it is right again.

    A close that was not known at the open is put in as soon as somebody says it.
    """
    if books.baseline(session, account, date) is not None:
        fill_closes(session, account, date, seen)
        return False
    wrong = clock_went_back(session, account, date)
    if wrong:
        log.warning("%s: the day is not opened: %s", account, wrong)
        return False
    yesterday = _held_yesterday(session, account, date)
    if seen is not None:
        if seen.positions is None or seen.trades is None:
            return False  # nothing proves what was carried in: P&L stays unknown
        carried = _carried(seen)
        if _is_behind(carried, yesterday, seen):
            return False
        listed = {_key(row): row.previous_close_e4 for row in seen.positions}
        for key, quantity in carried.items():
            close_e4 = previous_close_e4(session, key[:2], date, trading_calendar(), listed.get(key))
            books.carry_line(session, account, date, key, quantity, close_e4)
        equity = seen.funds.opening_e4 if seen.funds is not None else None
        source = "REBUILT" if seen.trades else "OPEN"
        return books.write_baseline(session, account, date, now_us, source=source, opening_equity_e4=equity)
    if yesterday is None:
        return False
    for key, quantity in yesterday.items():
        if quantity and not _has_expired(session, key[:2], date):
            close_e4 = previous_close_e4(session, key[:2], date, trading_calendar())
            books.carry_line(session, account, date, key, quantity, close_e4)
    return books.write_baseline(session, account, date, now_us, source="OPEN", opening_equity_e4=None)


def fill_closes(session: Session, account: str, date: str, seen: Seen | None = None) -> int:
    """Put in previous closes that were not known when the day was opened; returns how many."""
    listed: dict[LineKey, int | None] = {}
    if seen is not None and seen.positions is not None:
        listed = {_key(row): row.previous_close_e4 for row in seen.positions}
    put = 0
    for key, _quantity in days.closeless(session, account, date):
        close_e4 = previous_close_e4(session, key[:2], date, trading_calendar(), listed.get(key))
        if close_e4 is not None:
            put += days.put_close(session, account, date, key, close_e4)
    return put


def _key(row: SeenPosition) -> LineKey:
    return (row.exchange_segment, row.security_id, row.product)


def _carried(seen: Seen) -> dict[LineKey, int]:
    """
    Return what was carried in: the list less today's fills, 0 left out.

    A line that was sold out today and is not listed any more was carried in too; shares sold for delivery that are not
    listed came from the holdings.
    """
    filled: dict[LineKey, int] = {}
    for trade in seen.trades or ():
        key = (trade.exchange_segment, trade.security_id, trade.product)
        filled[key] = filled.get(key, 0) + (trade.quantity if trade.side == "BUY" else -trade.quantity)
    net = {_key(row): row.net for row in seen.positions or ()}
    keys = {*net, *(key for key in filled if key[2] not in DELIVERY_PRODUCTS)}
    carried = {key: net.get(key, 0) - filled.get(key, 0) for key in sorted(keys)}
    return {key: quantity for key, quantity in carried.items() if quantity}


def _is_behind(carried: dict[LineKey, int], yesterday: dict[LineKey, int] | None, seen: Seen) -> bool:
    """
    Say whether the broker's list may not have caught up with a fill, so that the difference is no carried position.

    Lists lag fills by seconds. A line whose fill is that young is believed when it says what yesterday's book says.
    """
    young = {
        (trade.exchange_segment, trade.security_id, trade.product)
        for trade in seen.trades or ()
        if trade.at_us > seen.fetched_at_us - SETTLE_US
    }
    known = yesterday or {}
    return any(carried.get(key, 0) != known.get(key, 0) for key in young)


def _held_yesterday(session: Session, account: str, date: str) -> dict[LineKey, int] | None:
    """Return what the last session's book ended with, intraday positions left out; None when there is no session."""
    last = session.row(books.LAST_SESSION, account=account, before=date)
    if last is None or last[0] is None:
        return None
    rows = session.rows(books.LINES, account=account, session_date=last[0])
    return {(row[0], row[1], row[2]): row[3] + row[5] for row in rows if row[2] != "INTRADAY"}


def _has_expired(session: Session, key: tuple[str, str], date: str) -> bool:
    row = session.row(loader.INSTRUMENT, exchange_segment=key[0], security_id=key[1])
    expiry = "" if row is None else loader.instrument_from(row).expiry
    return bool(expiry) and expiry < date
