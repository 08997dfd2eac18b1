"""
The book as checks.md §0 and §5 define it: what is held, what it may become, and which way an order goes.

Everything comes from the plain numbers of a line (day start, fills, the broker's list, the working orders); nothing
that `Line.refresh` derives is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from riskguard.core.account import Account
from riskguard.core.book import Line, Working
from riskguard.core.instrument import Instrument
from riskguard.core.scope import Scope
from tests.core.oracle.case import Case

Key = tuple[str, str]
DELIVERY = ("CNC", "MTF")
CASH = ("NSE_EQ", "BSE_EQ")


def books(line: Line) -> list[int]:
    """B, and S beside it while the broker's list says something else."""
    held = line.start + line.filled
    return [held] if line.seen is None or line.seen == held else [held, line.seen]


def at_least_flat(product: str, net: int) -> int:
    """A negative delivery net is a sale from the holdings, not a short."""
    return max(0, net) if product in DELIVERY else net


def nearest(line: Line) -> int:
    """What an exit may count on: the book nearer zero, 0 if their signs differ."""
    nets = [at_least_flat(line.product, net) for net in books(line)]
    if min(nets) > 0:
        return min(nets)
    return max(nets) if max(nets) < 0 else 0


def working(orders: Iterable[Working], side: int) -> int:
    """W: remaining quantity of one side; exits of one OCO group count once, at the largest."""
    groups: dict[str, int] = {}
    alone = 0
    for each in orders:
        if each.sign == side:
            if each.reducing and each.exit_group:
                groups[each.exit_group] = max(each.remaining, groups.get(each.exit_group, 0))
            else:
                alone += each.remaining
    return alone + sum(groups.values())


def sellable(line: Line) -> int:
    """§0: holdings available at day start + today's CNC net, the smaller if what is available already fell."""
    left = line.sellable_start + line.start + line.filled
    if line.sellable_now is not None and line.sellable_now < line.sellable_start:
        left = min(left, line.sellable_now)
    return max(0, left)


# -- which way ------------------------------------------------------------------------------------------------


def direction(case: Case) -> str:
    """§0 "Direction"."""
    if case.lowering:
        return "REDUCING"
    order, account, instrument = case.order, case.account, case.instrument
    if account.position_seen_us is None:
        return "INCREASING"
    line = account.positions.get(order.instrument, {}).get(order.product, Line(order.product))
    orders = line.working.values()
    delivers = order.side == "SELL" and order.product == "CNC"
    held = sellable(line) if delivers else max(0, -order.sign * nearest(line))
    leaving = working(orders, order.sign)
    in_the_way = [each for each in orders if each.sign == order.sign]
    only_protective = all(each.reducing and (each.protective or each.exit_group) for each in in_the_way)
    if order.quantity <= held - leaving and held:
        found = "REDUCING"
    elif held and order.quantity > held:
        found = "FLIP"
    elif held and only_protective:
        found = "REDUCING"
    else:
        found = "INCREASING"
    if delivers:
        return "REDUCING" if found == "REDUCING" else "SHORT_DELIVERY"
    if instrument is None or not instrument.option_type or order.product in DELIVERY:
        return found
    kind = (instrument.underlying, instrument.option_type)
    before = uncovered(account.instruments, worst_options(account), kind)
    after = uncovered(account.instruments, worst_options(account, order.instrument, order.sign * order.quantity), kind)
    if found == "REDUCING" and after > before:
        return "UNHEDGING"
    return "HEDGING" if found == "INCREASING" and order.side == "BUY" and after < before else found


def worst_options(account: Account, key: Key | None = None, change: int = 0) -> dict[Key, int]:
    """Units held of everything with every sell filled and no buy, but what a basket's earlier legs bought; §5.15."""
    held = {
        each: sum(
            min(at_least_flat(line.product, net) for net in books(line))
            - working(line.working.values(), -1)
            + sum(order.remaining for order in line.working.values() if order.covers)
            for line in lines.values()
        )
        for each, lines in account.positions.items()
    }
    if key is not None:
        held[key] = held.get(key, 0) + change
    return held


def uncovered(instruments: Mapping[Key, Instrument], held: Mapping[Key, int], kind: tuple[str, str]) -> int:
    """
    Short option units of one underlying and type that no long one covers.

    What expires on a day or later can be covered only by longs that expire then or later; the largest shortfall over
    all days is what stays uncovered.
    """
    units: list[tuple[str, int]] = []
    for key, net in held.items():
        option = instruments.get(key)
        if option is not None and option.is_option and (option.underlying, option.option_type) == kind:
            units.append((option.expiry, net))
    return max([0] + [-sum(net for expires, net in units if expires >= day) for day, _ in units])


# -- over a scope ---------------------------------------------------------------------------------------------


class Row(NamedTuple):
    """One product of one instrument in one account, as far as it belongs to a scope; units."""

    owner: Account
    key: Key
    product: str
    most: int  # net, signed: the larger of the two books
    least: int
    orders: tuple[Working, ...]

    @property
    def top(self) -> int:
        """With every buy filled."""
        return self.most + working(self.orders, 1)

    @property
    def bottom(self) -> int:
        """With every sell filled."""
        return at_least_flat(self.product, self.least - working(self.orders, -1))

    @property
    def instrument(self) -> Instrument | None:
        return self.owner.instruments.get(self.key)


def accounts(case: Case, scope: Scope) -> list[Account]:
    """§5.4: GROUP and GLOBAL hold over the sum of their accounts."""
    return [case.account, *case.account.peers.get(scope.kind, ())]


def hangs_on(instrument: Instrument) -> str:
    """A share is its own underlying."""
    return instrument.underlying or instrument.symbol


def is_within(scope: Scope, owner: Account, key: Key) -> bool:
    """Say whether a scope holds an instrument; one nobody knows may hang on any underlying."""
    instrument = owner.instruments.get(key)
    match scope.kind:
        case "SEGMENT":
            return key[0] == scope.name
        case "INSTRUMENT":
            return ":".join(key) == scope.name
        case "UNDERLYING":
            return instrument is None or hangs_on(instrument) == scope.name
    return True


def rows(case: Case, scope: Scope) -> Iterator[Row]:
    """Every line of *scope* that holds something or may come to."""
    if scope.kind == "STRATEGY":
        yield from _shares(case.account, scope.name)
        return
    for owner in accounts(case, scope):
        for key, lines in owner.positions.items():
            if is_within(scope, owner, key):
                for product, line in lines.items():
                    nets = [at_least_flat(product, net) for net in books(line)]
                    if any(nets) or line.working:
                        yield Row(owner, key, product, max(nets), min(nets), tuple(line.working.values()))


def _shares(account: Account, strategy: str) -> Iterator[Row]:
    """§5.4: a strategy has the book less what the others filled, and the orders that are its own or nobody's."""
    places = {(key, product) for key, lines in account.positions.items() for product in lines}
    places |= {(key, product) for _, key, product in account.attributed}
    for key, product in sorted(places):
        line = account.positions.get(key, {}).get(product, Line(product))
        others = sum(
            signed
            for (whose, *place), signed in account.attributed.items()
            if whose not in (strategy, "") and (key, product) == tuple(place)
        )
        nets = [at_least_flat(product, net - others) for net in books(line)]
        mine = tuple(each for each in line.working.values() if each.strategy in (strategy, ""))
        if any(nets) or mine:
            yield Row(account, key, product, max(nets), min(nets), mine)


def is_own(case: Case, row: Row) -> bool:
    """Say whether it is the line the order itself would change."""
    return row.owner is case.account and (row.key, row.product) == (case.order.instrument, case.order.product)


def own_row(case: Case, found: list[Row]) -> Row:
    """The order's own line, flat if the scope has none."""
    flat = Row(case.account, case.order.instrument, case.order.product, 0, 0, ())
    return next((row for row in found if is_own(case, row)), flat)
