"""What the day made or lost: the freshest quote of every line, the day's charges, and the P&L from both."""

from __future__ import annotations

import datetime as dt
import logging
from functools import lru_cache

from riskguard import data
from riskguard.core.account import Account
from riskguard.core.charges import ChargeFill, ChargeTable, ChargeTableError, ChargeUnknownError
from riskguard.core.pnl import DayPnl, day_pnl
from riskguard.core.quote import Quote
from riskguard.core.seen import SeenTrade
from riskguard.ports import Marks
from riskguard.services.orders.guard import RiskGuard
from riskguard.store import books
from riskguard.store.session import Session

log = logging.getLogger("riskguard")


def quotes_of(
    guard: RiskGuard, marks: Marks | None, session: Session, account: Account
) -> dict[tuple[str, str], Quote]:
    """
    Return the freshest quote of every line: this process's own, the shared mark, or the marks' source.

    What the source knows better is shared, so that checks of other processes see it too.
    """
    found = {}
    for key in account.positions:
        shared = books.mark(session, key)
        fed = marks.quote(*key) if marks is not None else None
        known = [each for each in (guard.held_quote(key), shared, fed) if each is not None]
        if not known:
            continue
        found[key] = newest = max(known, key=lambda quote: quote.at_us)
        if newest is fed and (shared is None or fed.at_us > shared.at_us):
            books.save_mark(session, key, fed, "sweep")
    return found


def measured(
    session: Session, account: Account, quotes: dict[tuple[str, str], Quote], date: str, now_us: int
) -> DayPnl:
    """Return the day's P&L against its baseline; unknown, with the reason, where something it needs is missing."""
    baseline = books.baseline(session, account.name, date)
    if baseline is None:
        return DayPnl(None, 0, False, "no baseline for this session: `riskguard baseline set`")
    if account.position_seen_us is None:
        return DayPnl(None, 0, False, "positions were never reported")
    charges_e4 = charges_of(account, books.day_trades(session, account.name, date), date)
    return day_pnl(account.positions, account.instruments, quotes, charges_e4, now_us, baseline[2])


@lru_cache(maxsize=1)
def charge_table() -> ChargeTable:
    """The shipped table of charges, read once."""
    return ChargeTable.parse(data.charges_text())


def charges_of(account: Account, trades: list[SeenTrade], date: str) -> int:
    """
    Return the session's charges in 1/10000 rupee, as the ledger will have them; 0 before the first fill.

    Where the table has no row at all the highest known rate stands in (`core.charges`); an instrument it
    cannot classify counts nothing and is logged, because a guess would look like a fact.
    """
    if not trades:
        return 0
    day = dt.date.fromisoformat(date)
    fills = []
    for trade in trades:
        instrument = account.instruments.get((trade.exchange_segment, trade.security_id))
        fills.append(
            ChargeFill(
                exchange_segment=trade.exchange_segment,
                kind=instrument.kind if instrument is not None else "EQUITY",
                security_id=trade.security_id,
                product=trade.product,
                side=trade.side,
                quantity=trade.quantity,
                price_e4=trade.price_e4,
                order_id=trade.order_id,
                trade_date=day,
                multiplier=(instrument.multiplier if instrument is not None else 1) or 1,
                underlying=instrument.underlying if instrument is not None else "",
            )
        )
    try:
        return charge_table().charge_day(fills).total_e4
    except (ChargeUnknownError, ChargeTableError) as e:
        log.warning("charges of %s are unknown: %s", account.name, e)
        return 0
