"""Opening the session's book, once per account and session date: the baseline, and what was carried in."""

from __future__ import annotations

from riskguard.core.seen import Seen
from riskguard.store import books
from riskguard.store.session import Session


def roll_over(session: Session, account: str, date: str, seen: Seen | None, now_us: int) -> bool:
    """
    Open the session's book once: the baseline, and what was carried in. Idempotent; never re-bases a day.

    With a broker the carried quantity is its list less today's fills. Without one it is yesterday's book.
    A day that starts without either (first start, no broker) gets its baseline when positions are reported.
    """
    if books.baseline(session, account, date) is not None:
        return False
    if seen is not None:
        if seen.positions is None or seen.trades is None:
            return False  # nothing proves what was carried in: P&L stays unknown
        _open_from_broker(session, account, date, seen)
        equity = seen.funds.opening_e4 if seen.funds is not None else None
        return books.write_baseline(session, account, date, now_us, source="OPEN", opening_equity_e4=equity)
    last = session.row(books.LAST_SESSION, account=account, before=date)
    if last is None or last[0] is None:
        return False
    _open_from_yesterday(session, account, date, last[0])
    return books.write_baseline(session, account, date, now_us, source="OPEN", opening_equity_e4=None)


def _open_from_broker(session: Session, account: str, date: str, seen: Seen) -> None:
    filled: dict[tuple[str, str, str], int] = {}
    for trade in seen.trades or ():
        key = (trade.exchange_segment, trade.security_id, trade.product)
        filled[key] = filled.get(key, 0) + (trade.quantity if trade.side == "BUY" else -trade.quantity)
    for row in seen.positions or ():
        key = (row.exchange_segment, row.security_id, row.product)
        carried = row.net - filled.get(key, 0)
        if carried:
            books.carry_line(session, account, date, key, carried, row.previous_close_e4)


def _open_from_yesterday(session: Session, account: str, date: str, yesterday: str) -> None:
    for row in session.rows(books.LINES, account=account, session_date=yesterday):
        segment, security, product, start, _close, filled, *_rest = row
        carried = start + filled
        if carried and product != "INTRADAY":
            last = books.mark(session, (segment, security))
            close_e4 = last.ltp_e4 if last is not None else None
            books.carry_line(session, account, date, (segment, security, product), carried, close_e4)
