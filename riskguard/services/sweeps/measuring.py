"""What the day made or lost: the freshest quote of every line, the day's charges, and the P&L from both."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from riskguard.core.account import Account, InstrumentKey
from riskguard.core.calendar import ist_us
from riskguard.core.charges import ChargeFill, Settlement
from riskguard.core.expiry import settled
from riskguard.core.marking import mark
from riskguard.core.pnl import DayPnl, day_pnl
from riskguard.core.pnl_parts import LinePnl, Part, by_segment, by_strategy, of_group
from riskguard.core.pnl_views import Figure, PnlViews, broker_view, equity_view
from riskguard.core.quote import Quote
from riskguard.core.seen import Seen
from riskguard.core.terms import DELIVERY_PRODUCTS
from riskguard.services.sweeps.charging import DayCharges, charge_fill, day_charges, exit_cost_e4
from riskguard.services.sweeps.previous_close import previous_close_e4
from riskguard.services.sweeps.quoting import PhaseOf, phases, quotes_of
from riskguard.store import books, days
from riskguard.store.calendar import calendar as trading_calendar
from riskguard.store.session import ACCOUNTS, Session

__all__ = ["Measured", "group_pnl", "measure", "measured", "quotes_of"]

PEER_AGE_US_MAX = 60_000_000
"""A peer's reading older than this is not today's figure any more, only the last one known."""


@dataclass(frozen=True, slots=True)
class Measured:
    """
    One measurement of an account's session, 1/10000 rupee; None is unknown, never zero.

    `pnl` has the lines, segments and strategies; `views` puts the broker's figure and the change of equity beside it.
    """

    pnl: DayPnl
    views: PnlViews
    charges: DayCharges = field(default_factory=lambda: DayCharges(0))
    opening_equity_e4: int | None = None
    flows_e4: int = 0
    source: str = ""  # of the baseline; "" for none

    @property
    def realised_e4(self) -> int | None:
        """Made on closed quantity today, charges and what a person said taken off."""
        return self.pnl.net_realised_e4

    def by_strategy(self) -> dict[str, int | None]:
        """Return each strategy's P&L, its share of the charges taken off."""
        return {part.name: part.net_e4 for part in self.pnl.strategies}

    def by_segment(self) -> dict[str, int | None]:
        """Return each segment's P&L, its charges taken off."""
        return {part.name: part.net_e4 for part in self.pnl.segments}


def measured(session: Session, account: Account, quotes: dict[InstrumentKey, Quote], date: str, now_us: int) -> DayPnl:
    """Return the day's P&L alone; see `measure`."""
    return measure(session, account, quotes, date, now_us).pnl


def measure(
    session: Session, account: Account, quotes: Mapping[InstrumentKey, Quote], date: str, now_us: int,
    seen: Seen | None = None,
) -> Measured:  # fmt: skip
    """
    Measure the day against its baseline; unknown, with the reason, where something it needs is missing.

    *seen* is this sweep's own look at the broker; without one its last stored lists count. Writes what it learnt: the
    charges, and which carried lines the broker counts as we do.
    """
    baseline = books.baseline(session, account.name, date)
    if baseline is None:
        reason = (
            clock_went_back(session, account.name, date) or "no baseline for this session: `riskguard baseline set`"
        )
        return _unknown(reason)
    source, opening_e4, adjustment_e4, _at_us = baseline
    if account.position_seen_us is None:
        return _unknown("positions were never reported", source)
    phase_of = phases(session, account, now_us)
    worths, events = _expired(session, account, phase_of, date)
    charges = day_charges(session, account.name, date, account.instruments, now_us, events)
    pnl = day_pnl(
        account.positions, account.instruments, quotes, charges.total_e4, now_us, adjustment_e4,
        phase_of=phase_of, settlements_e4=worths,
    )  # fmt: skip
    if charges.total_e4 is None:
        pnl = replace(pnl, detail="; ".join(filter(None, (pnl.detail, charges.reason))))
    known = charges.total_e4 is not None
    pnl = replace(
        pnl,
        segments=by_segment(pnl.lines, charges.segments if known else None),
        strategies=by_strategy(pnl.lines, charges.attributed, charges.strategies if known else None),
        exit_cost_e4=_exit_cost_e4(account, pnl.lines, charges, date) if _asked(account, "include_exit_cost") else None,
        holdings_e4=(
            _holdings_e4(session, account, quotes, phase_of, date, now_us)
            if _asked(account, "include_holdings")
            else None
        ),
    )
    flows_e4 = days.flows_e4(session, account.name, date)
    views = _views(session, account.name, date, pnl, charges, adjustment_e4, opening_e4, flows_e4, seen)
    return Measured(pnl, views, charges, opening_e4, flows_e4, source)


def _unknown(reason: str, source: str = "") -> Measured:
    nobody = Figure(None, reason)
    return Measured(DayPnl(None, None, False, reason), PnlViews(nobody, nobody, nobody), source=source)


def clock_went_back(session: Session, account: str, date: str) -> str:
    """Say that *date* lies before the newest session the account has begun; "" when it does not."""
    newest_date = days.newest_session(session, account)
    if newest_date is None or date >= newest_date:
        return ""
    return f"the clock went back: it says {date}, and the session of {newest_date} has begun: set the clock right"


def _expired(
    session: Session, account: Account, phase_of: PhaseOf, date: str
) -> tuple[dict[InstrumentKey, int], list[Settlement]]:
    """Return what expired contracts are worth where that is known, and today's expiries as the tax office sees them."""
    worths: dict[InstrumentKey, int] = {}
    events: list[Settlement] = []
    for key, lines in account.positions.items():
        instrument = account.instruments.get(key)
        net = sum(line.net for line in lines.values())
        if instrument is None or not any(line.net for line in lines.values()) or not phase_of(key).expired:
            continue
        found = days.settlement(session, key, instrument.expiry)
        if found is None:
            continue
        worths[key] = found[0]
        if net and instrument.expiry == date:
            events.append(settled(instrument, net, found[0], found[1], dt.date.fromisoformat(date)))
    return worths, events


def _asked(account: Account, parameter: str) -> bool:
    """Say whether a loss limit of the account wants this part of the figure."""
    return any(getattr(limit.params, parameter, False) for limit in account.limits.of("daily_loss"))


def _exit_cost_e4(account: Account, lines: Iterable[LinePnl], charges: DayCharges, date: str) -> int | None:
    day = dt.date.fromisoformat(date)
    closing: list[ChargeFill] = []
    for line in lines:
        if not line.net:
            continue
        if line.mark_e4 is None:
            return None
        side = "SELL" if line.net > 0 else "BUY"
        closing.append(
            charge_fill(
                account.instruments.get(line.key), line.exchange_segment, line.security_id, line.product, side,
                abs(line.net), line.mark_e4, f"exit:{line.exchange_segment}:{line.security_id}:{line.product}", day,
            )
        )  # fmt: skip
    return exit_cost_e4(charges, closing)


def _holdings_e4(
    session: Session, account: Account, quotes: Mapping[InstrumentKey, Quote], phase_of: PhaseOf, date: str, now_us: int
) -> int | None:
    """
    Return what shares held since earlier days made today, those sold today at their sale price; None when unknown.

    Counted from the day's first list of holdings, each share from its previous close.
    """
    since_us = ist_us(dt.date.fromisoformat(date))
    header = session.row(books.FIRST_SNAPSHOT, account=account.name, kind="holdings", since_us=since_us)
    if header is None:
        return None
    total_e4 = 0
    calendar = trading_calendar()
    for segment, security, quantity in session.rows(days.HELD, snapshot_id=header[0]):
        key = (segment, security)
        close_e4 = previous_close_e4(session, key, date, calendar)
        if close_e4 is None:
            return None
        sold, sale_e4 = _delivered(account, key, quantity)
        total_e4 += sale_e4 - sold * close_e4
        if quantity > sold:
            # Asked of the market's source by nobody else: holdings are no lines of the book.
            found = quotes.get(key) or books.mark(session, key)
            valued = mark(quantity - sold, found, account.instruments.get(key), phase_of(key), now_us)
            if valued is None:
                return None
            total_e4 += (quantity - sold) * (valued.price_e4 - close_e4)
    return total_e4


def _delivered(account: Account, key: InstrumentKey, held: int) -> tuple[int, int]:
    """Return how many of *held* shares were sold out of the holdings today, and what they brought, rounded down."""
    sold = value_e4 = 0
    for line in account.positions.get(key, {}).values():
        if line.product in DELIVERY_PRODUCTS and line.net < 0 and line.sold:
            out = min(held - sold, line.sold, -line.net)
            sold, value_e4 = sold + out, value_e4 + line.sell_value_e4 * out // line.sold
    return sold, value_e4


def _views(
    session: Session, name: str, date: str, pnl: DayPnl, charges: DayCharges, adjustment_e4: int,
    opening_e4: int | None, flows_e4: int, seen: Seen | None,
) -> PnlViews:  # fmt: skip
    rows = seen.positions if seen is not None and seen.positions is not None else days.listed(session, name)
    funds = seen.funds if seen is not None and seen.funds is not None else days.seen_funds(session, name)
    broker, compared, proven = broker_view(
        rows, pnl.lines, days.carried(session, name, date), charges.total_e4, adjustment_e4
    )
    days.prove(session, name, date, proven)
    equity = equity_view(opening_e4, funds, flows_e4, pnl.unrealised_e4)
    return PnlViews(Figure(pnl.total_e4, pnl.detail), broker, equity, compared, proven)


def group_pnl(session: Session, group: str, date: str, now_us: int) -> Part:
    """Return the day's P&L of a group: the last readings of its accounts added up; one unknown makes it unknown."""
    members = [row[0] for row in session.rows(ACCOUNTS) if row[2] == group]
    return of_group(group, days.last_readings(session, members, date, now_us, PEER_AGE_US_MAX))
