"""What belongs to a scope: its accounts, its instruments, and the lines of its book."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from riskguard.core.account import Account, InstrumentKey
from riskguard.core.book import Line, working_quantity
from riskguard.core.instrument import Instrument
from riskguard.core.scope import Scope
from riskguard.core.terms import DELIVERY_PRODUCTS

SUMMED = ("GLOBAL", "GROUP")
"""Scopes that reach over several accounts."""


class Held(NamedTuple):
    """One line inside a scope, with what of it belongs there. Units, signed; `buying` and `selling` ≥ 0."""

    owner: Account
    key: InstrumentKey
    product: str
    line: Line | None  # None: flat, and only strategies have shares in it
    net_up: int
    net_down: int
    buying: int
    selling: int

    @property
    def up(self) -> int:
        """With every buy filled."""
        return self.net_up + self.buying

    @property
    def down(self) -> int:
        """With every sell filled; a delivery sale empties the line and goes no further."""
        down = self.net_down - self.selling
        return max(0, down) if self.product in DELIVERY_PRODUCTS else down


def accounts_of(account: Account, scope: Scope) -> tuple[Account, ...]:
    """Return the accounts *scope* sums over: the account itself, and for GROUP and GLOBAL its peers."""
    return (account, *account.peers.get(scope.kind, ()))


def unseen(account: Account, scope: Scope) -> str:
    """Return the name of an account of *scope* whose positions nobody has seen whole, "" for none."""
    return next((owner.name for owner in accounts_of(account, scope) if owner.position_seen_us is None), "")


def equity_e4(account: Account, scope: Scope) -> int | None:
    """Return day-start equity plus the day's P&L, summed over the accounts of *scope*; None when one is unknown."""
    total = 0
    for owner in accounts_of(account, scope):
        pnl_e4 = None if owner.pnl is None else owner.pnl.day_pnl_e4
        if owner.opening_equity_e4 is None or pnl_e4 is None:
            return None
        total += owner.opening_equity_e4 + pnl_e4
    return total


def held_in(account: Account, scope: Scope) -> Iterator[Held]:
    """Go through the lines of *scope* that hold or may come to hold something."""
    if scope.kind == "STRATEGY":
        yield from held_by(account, scope.name)
        return
    for owner in accounts_of(account, scope):
        for key, lines in owner.positions.items():
            if covers(scope, owner, key):
                for product, line in lines.items():
                    if not line.is_idle:
                        yield Held(owner, key, product, line, line.up, line.down, line.buying, line.selling)


def held_by(account: Account, strategy: str) -> Iterator[Held]:
    """
    Go through the shares of one strategy: the book less what the others filled, and what works for it or nobody.

    A line that is flat as a whole may be long for one strategy and short for another.
    """
    others: dict[tuple[InstrumentKey, str], int] = {}
    for (whose, key, product), signed in account.attributed.items():
        if whose != strategy:
            others[key, product] = others.get((key, product), 0) + signed
    for key, lines in account.positions.items():
        for product, line in lines.items():
            up, down = _ends(line, others.pop((key, product), 0))
            mine = [each for each in line.working.values() if each.strategy in (strategy, "")]
            buying, selling = working_quantity(mine, 1), working_quantity(mine, -1)
            if up or down or buying or selling:
                yield Held(account, key, product, line, up, down, buying, selling)
    for (key, product), theirs in others.items():
        if theirs < 0 or (theirs > 0 and product not in DELIVERY_PRODUCTS):
            yield Held(account, key, product, None, -theirs, -theirs, 0, 0)


def _ends(line: Line, claimed: int) -> tuple[int, int]:
    """The most and the least a line holds without what others claim; see `Line.refresh`."""
    nets = {line.net} if line.seen is None or line.settled else {line.net, line.seen}
    up, down = max(nets) - claimed, min(nets) - claimed
    return (max(0, up), max(0, down)) if line.product in DELIVERY_PRODUCTS else (up, down)


def covers(scope: Scope, owner: Account, key: InstrumentKey) -> bool:
    """
    Say whether *scope* holds an instrument; one the master does not know may hang on any underlying.
    """
    if scope.kind == "SEGMENT":
        return scope.name == key[0]
    if scope.kind == "INSTRUMENT":
        return scope.name == f"{key[0]}:{key[1]}"
    if scope.kind == "UNDERLYING":
        instrument = owner.instruments.get(key)
        return instrument is None or underlying_of(instrument) == scope.name
    return True


def underlying_of(instrument: Instrument) -> str:
    """Return what the contract derives from; a share is its own underlying, so that cash and futures of it add."""
    return instrument.underlying or instrument.symbol


def name_of(instrument: Instrument | None, key: InstrumentKey) -> str:
    return instrument.symbol if instrument is not None else f"{key[0]}:{key[1]}"
