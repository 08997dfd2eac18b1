"""
What an account is exposed to: the worst the book may become, in rupees, per instrument and over a scope.

A line is judged by its reach: what is held plus everything working on one side. Long options count by premium,
short ones by the notional of their underlying (its strike where the underlying shows no price); all else by price.
Limits of a GROUP or of GLOBAL hold over the sum of their accounts, those of a STRATEGY over its own fills and what
nobody claims. Source: checks.md §0 "Value bases", §1, §5.4, §5.14.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from riskguard.core.account import Account, InstrumentKey
from riskguard.core.book import Line, Working
from riskguard.core.instrument import Instrument
from riskguard.core.order import Order
from riskguard.core.pnl import mark_e4
from riskguard.core.scope import Scope


class Exposure(NamedTuple):
    """
    The book of one scope without the order, ready to be asked "and with q units more?".

    Money in 1/10000 rupee, ≥ 0 unless said otherwise. `line_*` is the order's own instrument, in units, products
    added with their sides apart; `up` and `down` are signed, all buys or all sells filled. A unit value of None is
    not known. `unknown` names another line that cannot be valued ("" for none): sums over the scope then mean nothing.
    """

    others_gross_e4: int
    others_high_e4: int  # signed, bullish > 0, every buy filled
    others_low_e4: int  # signed, every sell filled
    line_long: int
    line_short: int
    line_up: int
    line_down: int
    unit_long_e4: int | None
    unit_short_e4: int | None
    bearish: bool  # a put: long of it is short of the market
    unknown: str

    def gross_e4(self, sign: int, quantity: int) -> int | None:
        """Return Σ over instruments of the larger side, with *quantity* more on the side of *sign*."""
        if self.unknown or self.unit_long_e4 is None or self.unit_short_e4 is None:
            return None
        long, short = self.line_long, self.line_short
        if sign > 0:
            long += quantity
        else:
            short += quantity
        return self.others_gross_e4 + max(long * self.unit_long_e4, short * self.unit_short_e4)

    def net_e4(self, sign: int, quantity: int) -> int | None:
        """Return the larger of |all buys filled| and |all sells filled|, bullish and bearish offset."""
        if self.unknown or self.unit_long_e4 is None or self.unit_short_e4 is None:
            return None
        up, down = self.line_up, self.line_down
        if sign > 0:
            up += quantity
        else:
            down -= quantity
        ends = [self._signed_e4(up), self._signed_e4(down)]
        if self.bearish:
            ends = [-each for each in ends]
        return max(abs(self.others_high_e4 + max(ends)), abs(self.others_low_e4 + min(ends)))

    def line_e4(self, sign: int, quantity: int) -> int | None:
        """Return the value of the order's own instrument on the side of *sign*, with *quantity* more."""
        unit_e4 = self.unit_long_e4 if sign > 0 else self.unit_short_e4
        if unit_e4 is None:
            return None
        return ((self.line_long if sign > 0 else self.line_short) + quantity) * unit_e4

    def _signed_e4(self, units: int) -> int:
        unit_e4 = self.unit_long_e4 if units > 0 else self.unit_short_e4
        return units * (unit_e4 or 0)


class Held(NamedTuple):
    """One line inside a scope, with what of it belongs there."""

    owner: Account
    key: InstrumentKey
    line: Line
    up: int
    down: int
    buying: int
    selling: int


def accounts_of(account: Account, scope: Scope) -> tuple[Account, ...]:
    """Return the accounts *scope* sums over: the account itself, and for GROUP and GLOBAL its peers."""
    return (account, *account.peers.get(scope.kind, ()))


def held_in(account: Account, scope: Scope) -> Iterator[Held]:
    """Go through the lines of *scope* that are not idle."""
    for owner in accounts_of(account, scope):
        for key, lines in owner.positions.items():
            if not _covers(scope, owner, key):
                continue
            for product, line in lines.items():
                if line.is_idle:
                    continue
                if scope.kind != "STRATEGY":
                    yield Held(owner, key, line, line.up, line.down, line.buying, line.selling)
                    continue
                claimed = sum(
                    signed
                    for (strategy, of_key, of_product), signed in owner.attributed.items()
                    if of_key == key and of_product == product and strategy != scope.name
                )
                mine = [each for each in line.working.values() if each.strategy in (scope.name, "")]
                yield Held(
                    owner, key, line, line.up - claimed, line.down - claimed,
                    sum(each.remaining for each in mine if each.sign > 0),
                    sum(each.remaining for each in mine if each.sign < 0),
                )  # fmt: skip


def working_in(account: Account, scope: Scope) -> Iterator[tuple[Account, InstrumentKey, Working]]:
    """Go through the working orders of *scope*, live permits included."""
    for owner in accounts_of(account, scope):
        for key, lines in owner.positions.items():
            if _covers(scope, owner, key):
                for line in lines.values():
                    for each in line.working.values():
                        if scope.kind != "STRATEGY" or each.strategy in (scope.name, ""):
                            yield owner, key, each


def _covers(scope: Scope, owner: Account, key: InstrumentKey) -> bool:
    if scope.kind == "SEGMENT":
        return scope.name == key[0]
    if scope.kind == "INSTRUMENT":
        return scope.name == f"{key[0]}:{key[1]}"
    if scope.kind == "UNDERLYING":
        instrument = owner.instruments.get(key)
        return instrument is not None and underlying_of(instrument) == scope.name
    return True


def underlying_of(instrument: Instrument) -> str:
    """Return what the contract derives from; a share is its own underlying, so that cash and futures of it add."""
    return instrument.underlying or instrument.symbol


def exposure(account: Account, order: Order, scope: Scope, price_e4: int | None) -> Exposure:
    """
    Add up *scope* around the instrument of *order*; *price_e4* is the risk price of the order, None unknown.
    """
    gross = high = low = long = short = up = down = 0
    unknown = ""
    own = account.instruments.get(order.instrument)
    others: dict[InstrumentKey, list[int]] = {}
    for held in held_in(account, scope):
        sums = [
            max(0, held.up + held.buying), max(0, held.selling - held.down), held.up + held.buying,
            held.down - held.selling,
        ]  # fmt: skip
        if held.key == order.instrument:
            long, short, up, down = long + sums[0], short + sums[1], up + sums[2], down + sums[3]
            continue
        found = others.setdefault(held.key, [0, 0, 0, 0])
        for place, each in enumerate(sums):
            found[place] += each
    for key, (one_long, one_short, one_up, one_down) in others.items():
        instrument = _instrument(account, scope, key)
        unit_long = unit_value_e4(account, key, instrument, 1, None)
        unit_short = unit_value_e4(account, key, instrument, -1, None)
        if (one_long and unit_long is None) or (one_short and unit_short is None) or instrument is None:
            unknown = unknown or (instrument.symbol if instrument is not None else f"{key[0]}:{key[1]}")
            continue
        gross += max(one_long * (unit_long or 0), one_short * (unit_short or 0))
        ends = [units * ((unit_long if units > 0 else unit_short) or 0) for units in (one_up, one_down)]
        if instrument.option_type == "PE":
            ends = [-each for each in ends]
        high += max(ends)
        low += min(ends)
    return Exposure(
        gross, high, low, long, short, up, down,
        unit_value_e4(account, order.instrument, own, 1, price_e4),
        unit_value_e4(account, order.instrument, own, -1, price_e4),
        own is not None and own.option_type == "PE",
        unknown,
    )  # fmt: skip


def _instrument(account: Account, scope: Scope, key: InstrumentKey) -> Instrument | None:
    for owner in accounts_of(account, scope):
        if key in owner.instruments:
            return owner.instruments[key]
    return None


def unit_value_e4(
    account: Account, key: InstrumentKey, instrument: Instrument | None, sign: int, price_e4: int | None
) -> int | None:
    """
    Return what one unit held on the side of *sign* counts, in 1/10000 rupee; None when it cannot be known.

    The newest mark, however old, else the previous close: an old price bounds an exposure better than none does.
    *price_e4*, the price an order is judged at, counts where it is the higher.
    """
    if instrument is None or instrument.multiplier is None:
        return None
    if sign < 0 and instrument.is_option:
        spot = account.spots.get(instrument.underlying)
        base_e4 = None if spot is None else mark_e4(spot, None)
        if base_e4 is None:
            base_e4 = instrument.strike_e4
        return None if base_e4 is None else base_e4 * instrument.multiplier
    quote = account.quotes.get(key)
    known = [each for each in (None if quote is None else mark_e4(quote, instrument), price_e4) if each is not None]
    if not known:
        closes = [line.previous_close_e4 for line in account.positions.get(key, {}).values()]
        known = [close_e4 for close_e4 in closes if close_e4]
    return max(known) * instrument.multiplier if known else None


def open_orders(account: Account, scope: Scope) -> tuple[int, int | None]:
    """
    Return how many orders of *scope* work, permits included, and what they are worth at their worst prices.

    The value is None when one of them cannot be priced.
    """
    count, value_e4 = 0, 0
    known = True
    for owner, key, each in working_in(account, scope):
        count += 1
        instrument = owner.instruments.get(key)
        price_e4 = each.worst_price_e4
        if price_e4 is None:
            quote = account.quotes.get(key)
            price_e4 = None if quote is None else mark_e4(quote, instrument)
        if price_e4 is None or instrument is None or instrument.multiplier is None:
            known = False
            continue
        value_e4 += each.remaining * price_e4 * instrument.multiplier
    return count, value_e4 if known else None


def opposite_orders(account: Account, order: Order) -> list[int]:
    """
    Return [how many opposite orders of the group could match *order*, market orders among them, nearest price].

    The nearest price (1/10000 rupee) is the lowest sell for a buy and the highest buy for a sell; 0 for none.
    """
    count = at_market = nearest = 0
    for owner, key, each in working_in(account, Scope("GROUP")):
        del owner
        if key != order.instrument or each.sign == order.sign or not each.remaining:
            continue
        price_e4 = each.price_e4
        if price_e4 is None:
            count, at_market = count + 1, at_market + 1
            continue
        if order.price_e4 is not None and (order.price_e4 - price_e4) * order.sign < 0:
            continue  # their limits do not meet
        count += 1
        nearest = price_e4 if not nearest else min(nearest, price_e4) if order.sign > 0 else max(nearest, price_e4)
    return [count, at_market, nearest]


def losses_at_stops(account: Account, scope: Scope) -> tuple[int, int, str]:
    """
    Return (loss if every stop of an open position is hit, value of what no stop covers, what cannot be valued).

    Both ≥ 0 in 1/10000 rupee, measured from the mark: what is already lost or won is in the day's P&L.
    """
    loss_e4 = bare_e4 = 0
    for held in held_in(account, scope):
        net = held.line.net
        if not net:
            continue
        instrument = held.owner.instruments.get(held.key)
        unit_e4 = unit_value_e4(account, held.key, instrument, 1, None)
        if instrument is None or unit_e4 is None or instrument.multiplier is None:
            return 0, 0, instrument.symbol if instrument is not None else f"{held.key[0]}:{held.key[1]}"
        left = abs(net)
        stops = [
            each for each in held.line.working.values()
            if each.protective and each.sign * net < 0 and each.trigger_price_e4 is not None
        ]  # fmt: skip
        # The stops that cost most are taken first: which of several fires is not ours to choose.
        distance = sorted((_beyond(net, unit_e4, instrument, each), each.remaining) for each in stops)
        for beyond_e4, remaining in reversed(distance):
            covered = min(left, remaining)
            loss_e4 += covered * beyond_e4
            left -= covered
        bare_e4 += left * unit_e4
    return loss_e4, bare_e4, ""


def _beyond(net: int, unit_e4: int, instrument: Instrument, stop: Working) -> int:
    """How far the stop lies beyond the mark, per unit; a stop on the winning side loses nothing more."""
    trigger_e4 = (stop.trigger_price_e4 or 0) * (instrument.multiplier or 1)
    return max(0, unit_e4 - trigger_e4 if net > 0 else trigger_e4 - unit_e4)


def messages_to_flat(account: Account) -> int:
    """Return how many messages stopping takes: a cancel for each working order, a slice for each freeze quantity held."""
    messages = 0
    for key, lines in account.positions.items():
        instrument = account.instruments.get(key)
        slice_units = instrument.freeze_quantity if instrument is not None and instrument.freeze_quantity else 0
        for line in lines.values():
            messages += len(line.working)
            reach = max(abs(line.up + line.buying), abs(line.down - line.selling))
            if reach:
                messages += -(reach // -slice_units) if slice_units else 1
    return messages
