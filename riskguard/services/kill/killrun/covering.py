"""Which lines a plan closes and which it keeps, and in what order. Values in, values out."""

from __future__ import annotations

from typing import NamedTuple

from riskguard.core.account import Account
from riskguard.core.book import Line
from riskguard.core.instrument import Instrument
from riskguard.core.terms import DELIVERY_PRODUCTS
from riskguard.services.kill.tasks import holds

Key = tuple[str, str]


class Covered(NamedTuple):
    """One line the plan closes."""

    instrument: Instrument | None
    key: Key
    line: Line

    @property
    def target(self) -> str:
        """What the line is called in `kill_steps`."""
        return f"{self.key[0]}:{self.key[1]}:{self.line.product}"


def covered(account: Account, scope: str = "", products: frozenset[str] = frozenset()) -> list[Covered]:
    """
    Return the lines a flatten closes, in its order: short options, futures, long options, intraday shares.

    INTRADAY anywhere and derivatives opened today; what was carried in, and delivery, only where *products* names it.
    A *scope* that names a product or an instrument closes what was carried in too: somebody meant that line. A line is
    closed only when our fills and the broker's list both say so: the list lags, and "flat" must be true.
    """
    found = [
        Covered(account.instruments.get(key), key, line)
        for key, lines in account.positions.items()
        for line in lines.values()
        if (line.up or line.down) and is_covered(key, line, scope, products)
    ]
    return sorted(found, key=lambda each: (turn(each.instrument, each.line), each.key))


def kept(account: Account, scope: str = "", products: frozenset[str] = frozenset()) -> list[Covered]:
    """Return the open lines a flatten leaves: holdings and delivery, and what was carried in."""
    return [
        Covered(account.instruments.get(key), key, line)
        for key, lines in sorted(account.positions.items())
        for line in lines.values()
        if (line.up or line.down) and not is_covered(key, line, scope, products)
    ]


def is_covered(key: Key, line: Line, scope: str, products: frozenset[str]) -> bool:
    """Say whether the plan closes *line*."""
    if not holds(scope, *key, line.product):
        return False
    if line.product == "INTRADAY" or line.product in products or scope == f"PRODUCT:{line.product}":
        return True
    if line.product in DELIVERY_PRODUCTS:
        return False
    return _is_named(scope) or (line.start == 0 and _is_derivative(key))


def _is_derivative(key: Key) -> bool:
    return key[0].endswith("_FNO") or key[0] in ("MCX_COMM", "NSE_CURRENCY", "BSE_CURRENCY")


def _is_named(scope: str) -> bool:
    return scope.startswith("INSTRUMENT:")


def turn(instrument: Instrument | None, line: Line) -> int:
    """Return the place of a line in the order of closing: what could lose without bound goes first."""
    kind = "" if instrument is None else instrument.kind
    if kind.startswith("OPT") or (instrument is not None and instrument.is_option):
        return 0 if line.near < 0 else 2
    return 1 if kind.startswith("FUT") else 3
