"""What a person says of the day where nothing else can: it may only lower the figure. And what the day began with."""

from __future__ import annotations

from typing import Any

from riskguard.core.account import Account
from riskguard.core.marking import mark
from riskguard.core.money import rupees, to_text
from riskguard.errors import ReportInvalidError
from riskguard.services.sweeps.measuring import clock_went_back, measure
from riskguard.services.sweeps.quoting import phases
from riskguard.store import books, days, loader
from riskguard.store.session import Session


def lower(session: Session, name: str, day_pnl_e4: int, by: str, reason: str, now_us: int) -> None:
    """
    Make the day's figure *day_pnl_e4* (≤ 0), inside the caller's transaction; its heads must be read.

    Where the day has no baseline it begins here: what is held counts from its mark of now, and the figure says what was
    lost before. Where a carried line has no previous close, it counts from its mark of now likewise. Where the figure is
    known, it may only go down.

    Raises:
        ReportInvalidError: The figure is above what the fills already say, something else makes the day unknown, or the
            clock went back. Nothing is written.
    """
    date = loader.session_date(now_us)
    account = _load(session, name, now_us)
    if books.baseline(session, name, date) is None:
        wrong = clock_went_back(session, name, date)
        if wrong:
            raise ReportInvalidError(wrong)
        _begin(session, account, date, day_pnl_e4, by, reason, now_us)
        return
    for key, quantity in days.closeless(session, name, date):
        price_e4 = _mark_e4(session, account, key[:2], quantity, now_us)
        if price_e4 is None:
            raise ReportInvalidError(
                f"`{key[0]}:{key[1]}` was carried in without a previous close and has no fresh mark: quote it, then say it again"
            )
        days.put_close(session, name, date, key, price_e4)
    figure_e4, why = _figure(session, name, date, now_us)
    if figure_e4 is None:
        raise ReportInvalidError(
            f"`{name}` has a baseline for {date} already; a day is never re-based, and it is unknown for another reason: {why}"
        )
    if day_pnl_e4 >= figure_e4:
        raise ReportInvalidError(
            f"`{name}` has a baseline for {date} already and stands at {rupees(figure_e4)}; a day is never re-based: "
            "`--day-pnl` may only lower it"
        )
    session.run(days.LOWER, of_account=name, of_date=date, by_e4=figure_e4 - day_pnl_e4, by=by, why=reason)


def _begin(session: Session, account: Account, date: str, day_pnl_e4: int, by: str, reason: str, now_us: int) -> None:
    """Begin the day here and now: what is held beyond the day's fills was carried in, at its mark of now."""
    listed = days.listed(session, account.name) if account.position_seen_us is not None else None
    for row in listed or ():
        line = account.positions.get((row.exchange_segment, row.security_id), {}).get(row.product)
        carried = row.net - (line.filled if line is not None else 0)
        if carried:
            key = (row.exchange_segment, row.security_id, row.product)
            price_e4 = _mark_e4(session, account, key[:2], carried, now_us)
            books.carry_line(session, account.name, date, key, carried, price_e4)
    books.write_baseline(
        session, account.name, date, now_us, source="PERSON", opening_equity_e4=None, by=by, reason=reason
    )
    figure_e4, _why = _figure(session, account.name, date, now_us)
    # Where the fills cannot be valued yet the whole of what the person says comes off: it may be counted twice, never not.
    so_far_e4 = 0 if figure_e4 is None else figure_e4
    if day_pnl_e4 > so_far_e4:
        raise ReportInvalidError(
            f"the fills of `{account.name}` already say {rupees(so_far_e4)}: `--day-pnl` may only lower the day's figure"
        )
    if day_pnl_e4 != so_far_e4:
        session.run(
            days.LOWER, of_account=account.name, of_date=date, by_e4=so_far_e4 - day_pnl_e4, by=by, why=reason
        )  # fmt: skip


def _load(session: Session, name: str, now_us: int) -> Account:
    return loader.load(session, name, loader.group_of(session, name) or "", now_us, whole_day=True).account


def _figure(session: Session, name: str, date: str, now_us: int) -> tuple[int | None, str]:
    """Measure with the marks every process shares; returns (figure, why it is unknown)."""
    account = _load(session, name, now_us)
    quotes = {key: found for key in account.positions if (found := books.mark(session, key)) is not None}
    pnl = measure(session, account, quotes, date, now_us).pnl
    return pnl.total_e4, pnl.detail


def _mark_e4(session: Session, account: Account, key: tuple[str, str], net: int, now_us: int) -> int | None:
    """Return the fresh mark of an instrument; a stale one is no base to begin a day from."""
    valued = mark(
        net, books.mark(session, key), account.instruments.get(key), phases(session, account, now_us)(key), now_us
    )
    return valued.price_e4 if valued is not None and valued.fresh else None


def show(session: Session, name: str, now_us: int) -> dict[str, Any]:
    """Return where the account's day began, as plain values; money as text in rupees, null for unknown."""
    date = loader.session_date(now_us)
    row = books.baseline(session, name, date)
    proven = days.carried(session, name, date)
    lines = [
        {
            "exchange_segment": segment, "security_id": security, "product": product, "carried": start,
            "previous_close": None if close_e4 is None else to_text(close_e4),
            "broker_agrees": proven.get((segment, security, product), False),
        }
        for segment, security, product, start, close_e4, *_rest in session.rows(
            books.LINES, account=name, session_date=date
        )
        if start
    ]  # fmt: skip
    source, opening_e4, adjustment_e4, _at_us = row if row is not None else (None, None, 0, None)
    return {
        "account": name,
        "session_date": date,
        "source": source,
        "opening_equity": None if opening_e4 is None else to_text(opening_e4),
        "adjustment": to_text(adjustment_e4),
        "cash_flows": to_text(days.flows_e4(session, name, date)),
        "carried": lines,
    }
