"""What would be in the way of the real kill: lines it keeps, contracts nobody knows, old prices, a closed market, shares."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from riskguard.core.account import Account
from riskguard.core.calendar import Calendar
from riskguard.core.pricing import is_fresh, quote_ttl_us
from riskguard.core.terms import CASH_SEGMENTS
from riskguard.services.drill.book import DrillBook
from riskguard.services.finding import Finding, Severity
from riskguard.services.kill.killrun import covering
from riskguard.store.calendar import calendar

LISTED_MAX: Final = 8
LIST_AGE_US_MAX: Final = 60_000_000
ERROR, WARNING, INFO = Severity.ERROR, Severity.WARNING, Severity.INFO


def blockers(book: DrillBook, account: Account, plan: str, now_us: int) -> list[Finding]:
    """
    Say what the real kill of *plan* would meet.

    An ERROR stops a part of it, a WARNING may, an INFO is how it is meant. *account* is the copied book before the kill.
    """
    flattens = plan in ("flatten", "broker")
    products = frozenset(each.strip() for each in book.settings.flatten_products.split(",") if each.strip())
    closed = covering.covered(account, "", products) if flattens else []
    kept = covering.kept(account, "", products) if flattens else []
    found = [*_old_list(book, now_us)]
    if kept:
        names = _names(each.target for each in kept)
        severity = ERROR if plan == "broker" else INFO
        said = (
            "the broker locks only a flat account"
            if plan == "broker"
            else "the plan keeps what was carried in, and delivery"
        )
        found.append(
            Finding(
                severity, "kept", f"{names} stay open: {said}", "name their product in `riskguard.flatten_products`"
            )
        )
    found += _contracts(book, closed)
    found += _prices(book, closed, now_us)
    found += _hours(closed, now_us)
    found += _shares(book, products, flattens)
    order = list(Severity)
    return sorted(found, key=lambda each: -order.index(each.severity))


def _old_list(book: DrillBook, now_us: int) -> Iterator[Finding]:
    way_out = "run `riskguard sweep --once` first"
    if book.listed_us is None:
        yield Finding(
            WARNING, "book", "the broker's position list was never read: the drill knows our fills alone", way_out
        )
    elif now_us - book.listed_us > LIST_AGE_US_MAX:
        ago = (now_us - book.listed_us) // 1_000_000
        yield Finding(
            WARNING, "book", f"the broker's position list is {ago} s old: the account may have moved on", way_out
        )


def _contracts(book: DrillBook, closed: list[covering.Covered]) -> Iterator[Finding]:
    unknown = [each for each in closed if each.instrument is None]
    if unknown:
        yield Finding(
            ERROR, "instruments",
            f"{_names(each.target for each in unknown)} are not in the master: sent as one order, at no tick and no freeze",
            "run `riskguard instruments import` with today's master",
        )  # fmt: skip
    known = [each for each in closed if each.instrument is not None]
    no_freeze = [
        each.target
        for each in known
        if each.instrument is not None and each.key[0] not in CASH_SEGMENTS and not each.instrument.freeze_quantity
    ]
    if no_freeze:
        said = f"{_names(no_freeze)} have no freeze quantity: an exit above it is rejected whole"
        yield Finding(WARNING, "freeze", said, "import the master, or put a newer `freeze.csv` into `market/`")
    no_tick = [each.target for each in known if each.instrument is not None and each.instrument.tick_e4 <= 0]
    if no_tick:
        yield Finding(ERROR, "tick", f"{_names(no_tick)} have no tick: exits go at market", "import today's master")


def _prices(book: DrillBook, closed: list[covering.Covered], now_us: int) -> Iterator[Finding]:
    stale: list[str] = []
    none: list[str] = []
    for each in closed:
        quote = book.quotes.get(each.key)
        if quote is None:
            (stale if each.key in book.guesses else none).append(each.target)
        elif not is_fresh(quote, now_us, quote_ttl_us(each.instrument)):
            stale.append(f"{each.target} ({max(0, now_us - quote.at_us) // 1_000_000} s)")
    if stale:
        yield Finding(
            WARNING, "marks", f"no fresh price of {_names(stale)}: exits go at market and may rest as the broker's limits",
            "start `riskguard run` with the market feed, or push quotes",
        )  # fmt: skip
    if none:
        yield Finding(
            ERROR, "marks", f"no price of any age of {_names(none)}: here nothing can fill it",
            "start `riskguard run` with the market feed, or push quotes",
        )  # fmt: skip


def _hours(closed: list[covering.Covered], now_us: int) -> Iterator[Finding]:
    known = calendar()
    shut = [each for each in dict.fromkeys(one.key[0] for one in closed) if not known.is_open(each, now_us)]
    if shut:
        day = Calendar.session_date(now_us).isoformat()
        said = f"{', '.join(shut)} is closed now ({day}): the real flatten waits for the next opening, halted"
        yield Finding(WARNING, "hours", said, "drill again while it trades")


def _shares(book: DrillBook, products: frozenset[str], flattens: bool) -> Iterator[Finding]:
    if not flattens:
        return
    if book.holdings:
        shares = sum(each.total for each in book.holdings)
        said = f"{len(book.holdings)} holdings ({shares} shares) stay: no plan sells the demat account"
        yield Finding(
            INFO, "holdings", said, "with DDPI or eDIS they are sold by hand; `riskguard doctor` says which stands"
        )
    if "CNC" in products and any(each.product == "CNC" and each.carried > 0 for each in book.lines):
        said = "carried delivery is to be sold: without DDPI or an eDIS approval of today the broker refuses it"
        yield Finding(WARNING, "holdings", said, "look at `riskguard edis status` and `riskguard doctor`")


def _names(names: Iterable[str]) -> str:
    listed = list(names)
    more = f" and {len(listed) - LISTED_MAX} more" if len(listed) > LISTED_MAX else ""
    return ", ".join(listed[:LISTED_MAX]) + more
