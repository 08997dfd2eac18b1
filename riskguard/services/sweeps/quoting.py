"""The freshest quote of every line, and what the calendar says of its market now."""

from __future__ import annotations

from collections.abc import Callable, Collection

from riskguard.core.account import Account, InstrumentKey
from riskguard.core.calendar import Calendar
from riskguard.core.instrument import root_of
from riskguard.core.marking import Phase, newest, phase
from riskguard.core.pricing import CLOCK_SKEW_MAX_US
from riskguard.core.quote import Quote
from riskguard.ports import Marks
from riskguard.services.orders.guard import RiskGuard
from riskguard.store import books
from riskguard.store.calendar import calendar as trading_calendar
from riskguard.store.session import ACCOUNTS, Session
from riskguard.store.supply import SHARE_FUTURES

PhaseOf = Callable[[InstrumentKey], Phase]


def quotes_of(
    guard: RiskGuard, marks: Marks | None, session: Session, account: Account, more: Collection[InstrumentKey] = ()
) -> dict[InstrumentKey, Quote]:
    """
    Return the freshest quote of every line, and of *more* instruments: this process's own, the shared mark, or the marks' source.

    A price somebody traded at goes before an indicative one, however old. What the source knows better is shared, so
    that checks of other processes see it too.
    """
    found = {}
    horizon_us = guard.clock.now_us() + CLOCK_SKEW_MAX_US
    phase_of = phases(session, account, guard.clock.now_us())
    of_lines = books.marks_of_lines(session, account.name, account.session_date)
    for key in {**account.positions, **dict.fromkeys(more)}:
        # A line the broker shows and our book does not is not among those read at once.
        shared = of_lines.get(key) or books.mark(session, key)
        fed = marks.quote(*key) if marks is not None else None
        known = [each for each in (guard.held_quote(key), shared, fed) if each is not None]
        # A stamp of the future was made by a wrong clock: it must not stand before every true one to come.
        best = newest([each for each in known if each.at_us <= horizon_us] or known, phase_of(key))
        if best is None:
            continue
        found[key] = best
        if best is fed and (shared is None or fed.at_us > shared.at_us or shared.is_indicative):
            books.save_mark(session, key, fed, "sweep")
    return found


def phases(session: Session, account: Account, now_us: int) -> PhaseOf:
    """
    Return what the calendar says of each instrument now.

    The paper market has no hours: there a mark ages whatever the time.
    """
    calendar = trading_calendar()
    always_open = any(row[0] == account.name and row[3] == "paper" for row in session.rows(ACCOUNTS))
    today = Calendar.session_date(now_us)
    names: list[frozenset[str] | None] = []
    found: dict[InstrumentKey, Phase] = {}
    alike: dict[tuple[str, str | None, str | None], Phase] = {}  # by all that a phase depends on: most lines share one

    def auction_names() -> frozenset[str] | None:
        if not names:
            rows = session.rows(SHARE_FUTURES, today=account.session_date)
            listed = {str(underlying or root_of(str(trading or symbol))) for underlying, trading, symbol in rows}
            names.append(frozenset(listed - {""}) or None)
        return names[0]

    def phase_of(key: InstrumentKey) -> Phase:
        made = found.get(key)
        if made is None:
            instrument = account.instruments.get(key)
            has_auction = not always_open and calendar.closing_auction(key[0], today) is not None
            name = None if instrument is None else instrument.symbol if has_auction else ""
            like = (key[0], None if instrument is None else instrument.expiry, name)
            made = alike.get(like)
            if made is None:
                names_now = auction_names() if has_auction else frozenset()
                made = phase(calendar, instrument, key[0], now_us, names_now)
                alike[like] = made = made._replace(judged_at_us=now_us) if always_open else made
            found[key] = made
        return made

    return phase_of
