"""
Positions and money of one paper account, computed from what it carried in and every fill since.

Products never net. Closings take the oldest units first; what was carried in cost its previous close. Money is
1/10000 rupee, exact: nothing is divided. Margin is not modelled, open positions are not marked.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache

from riskguard.core.charges import ChargeFill, ChargeTable, ChargeUnknownError
from riskguard.core.instrument import Instrument, default_multiplier
from riskguard.core.seen import SeenPosition
from riskguard.core.terms import CASH_SEGMENTS

InstrumentKey = tuple[str, str]
LineKey = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Carried:
    """Units brought in from another day, at that day's close."""

    line: LineKey
    session_date: str
    quantity: int
    previous_close_e4: int


@dataclass(frozen=True, slots=True)
class Fill:
    """One execution of the account."""

    order_number: int
    line: LineKey
    side: str
    quantity: int
    price_e4: int
    at_us: int
    session_date: str

    @property
    def signed(self) -> int:
        return self.quantity if self.side == "BUY" else -self.quantity


def positions(
    carried: Iterable[Carried],
    fills: Iterable[Fill],
    today: str,
    until_us: int,
    closes_e4: Mapping[InstrumentKey, tuple[str, int]],
) -> tuple[SeenPosition, ...]:
    """
    Return the position list as of *until_us*: every line that is open, and those closed today with net 0.

    Args:
        closes_e4: Last price of the newest earlier day, and that day, by instrument.
    """
    net: dict[LineKey, int] = {}
    start: dict[LineKey, int] = {}
    previous: dict[LineKey, tuple[str, int, int]] = {}
    listed: set[LineKey] = set()
    for each in carried:
        net[each.line] = start[each.line] = each.quantity
        previous[each.line] = (each.session_date, 0, each.previous_close_e4)
        listed.add(each.line)
    for fill in fills:
        if fill.session_date < today:
            start[fill.line] = start.get(fill.line, 0) + fill.signed
        elif fill.at_us > until_us:
            continue  # the list has not caught up with it
        else:
            listed.add(fill.line)
        net[fill.line] = net.get(fill.line, 0) + fill.signed
    rows = []
    for line, quantity in sorted(net.items()):
        if quantity or line in listed:
            # The newest close counts; on one date the day's last price is newer than what was carried into it.
            closes = [previous[line]] if line in previous else []
            if line[:2] in closes_e4:
                day, price_e4 = closes_e4[line[:2]]
                closes.append((day, 1, price_e4))
            rows.append(SeenPosition(*line, quantity, max(closes)[2] if closes and start.get(line) else None))
    return tuple(rows)


def realised_e4(
    carried: Iterable[Carried],
    fills: Iterable[Fill],
    instruments: Mapping[InstrumentKey, Instrument],
    before: str | None = None,
) -> int | None:
    """
    Return profit (> 0) or loss on closed units, charges not taken off; of session dates before *before*, or of all.

    None when a contract was closed whose multiplier nobody knows: its profit is unknown, not zero.
    """
    open_units: dict[LineKey, deque[list[int]]] = {}
    for each in carried:
        open_units[each.line] = deque([[each.quantity, each.previous_close_e4]])
    total_e4 = 0
    for fill in fills:
        if before is not None and fill.session_date >= before:
            continue
        units, left = open_units.setdefault(fill.line, deque()), fill.signed
        while left and units and (units[0][0] > 0) != (left > 0):
            held, cost_e4 = units[0]
            closed = min(abs(held), abs(left))
            multiplier = multiplier_of(fill.line[:2], instruments)
            if multiplier is None:
                return None
            sign = 1 if held > 0 else -1
            total_e4 += sign * closed * (fill.price_e4 - cost_e4) * multiplier
            left += sign * closed
            units[0][0] -= sign * closed
            if not units[0][0]:
                units.popleft()
        if left:
            units.append([left, fill.price_e4])
    return total_e4


def multiplier_of(key: InstrumentKey, instruments: Mapping[InstrumentKey, Instrument]) -> int | None:
    """Return rupees per unit and point; for an instrument not given, what its segment alone says."""
    known = instruments.get(key)
    return default_multiplier(key[0], "") if known is None else known.multiplier


@dataclass(slots=True)
class ChargeBook:
    """The charges of an account by session date; finished days are computed once."""

    _days: dict[tuple[str, int], tuple[int, tuple[str, ...]]] = field(default_factory=dict)

    def day(
        self, session_date: str, fills: Sequence[Fill], instruments: Mapping[InstrumentKey, Instrument]
    ) -> tuple[int, tuple[str, ...]]:
        """
        Return the charges of one day's *fills* in 1/10000 rupee >= 0, and what of them is not known.

        A fill no rate exists for is left gross and named; a rate not known for the date is the highest on record.
        """
        key = (session_date, len(fills))
        found = self._days.get(key)
        if found is None:
            if len(self._days) > 1_000:
                self._days.clear()
            found = self._days[key] = self._day(session_date, fills, instruments)
        return found

    def _day(
        self, session_date: str, fills: Sequence[Fill], instruments: Mapping[InstrumentKey, Instrument]
    ) -> tuple[int, tuple[str, ...]]:
        table = _shipped()
        day = date.fromisoformat(session_date)
        by_line: dict[LineKey, list[Fill]] = {}
        for fill in fills:
            by_line.setdefault(fill.line, []).append(fill)
        priced: list[ChargeFill] = []
        unknown: list[str] = []
        for line, own in sorted(by_line.items()):
            try:
                made = [_charge_fill(fill, day, instruments) for fill in own]
                table.charge_day(made)
            except (ChargeUnknownError, ValueError) as e:
                unknown.append(f"{session_date} {':'.join(line)} is gross: {e}")
            else:
                priced += made
        note = table.charge_day(priced)
        return note.total_e4, (*unknown, *note.unknown)


@lru_cache(maxsize=1)
def _shipped() -> ChargeTable:
    from riskguard.data import charges_text

    return ChargeTable.parse(charges_text())


def _charge_fill(fill: Fill, day: date, instruments: Mapping[InstrumentKey, Instrument]) -> ChargeFill:
    segment, security_id, product = fill.line
    instrument = instruments.get((segment, security_id))
    multiplier = multiplier_of((segment, security_id), instruments)
    if instrument is None and segment not in CASH_SEGMENTS:
        raise ValueError("the contract is not among the instruments given")
    if multiplier is None:
        raise ValueError("the contract's multiplier is unknown")
    return ChargeFill(
        exchange_segment=segment,
        kind="EQUITY" if instrument is None else instrument.kind,
        security_id=security_id,
        product=product,
        side=fill.side,
        quantity=fill.quantity,
        price_e4=fill.price_e4,
        order_id=str(fill.order_number),
        trade_date=day,
        multiplier=multiplier,
        underlying="" if instrument is None else instrument.underlying,
    )
