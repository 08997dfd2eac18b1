"""
What trading costs in India through Dhan: brokerage, exchange, SEBI, IPFT, STT or CTT, stamp duty, GST, DP.

Rates are dated rows of a table, parsed from text; the code holds the order of work and nothing else. All
arithmetic is exact (`Fraction` and integers of 1/10000 rupee); rounding is half up, to the paisa once per
order (brokerage) or once per segment and day (exchange, SEBI, IPFT, GST), to the rupee once per segment and
day (STT, CTT, stamp). GST is 18 % of the lines after their rounding. So charges are not additive over fills:
book only the day's total, and show a fill's share as `marginal_e4`.

A charge is >= 0: money paid. What is not surely known is in the note, never left out in silence: `uncertain`
names rates with less than two sources, `unknown` names charges for which no row holds on the trade date.
For those the highest rate the table has ever had stands in, since a loss limit may trip early but not late;
a note with `unknown` is no statement of account.

Accounts in the broker's home state pay GST in two halves, which may differ by a paisa a segment: taken once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Final

from riskguard.core.money import SCALE

PAISA_E4: Final = SCALE // 100
RUPEE_E4: Final = SCALE

COLUMNS: Final = (
    "segment", "instrument", "component", "side", "base", "rate", "unit", "min", "max", "rounding",
    "effective_from", "effective_until", "source", "confidence",
)  # fmt: skip
UNITS: Final = frozenset(("fraction", "inr_per_order", "inr_per_isin_day", "inr_per_isin_transaction", "unknown"))
# What the code below does; a table that says otherwise must not load.
ROUNDINGS: Final = {
    "brokerage": "order:0.01:half_up",
    "exchange_txn": "segment_day:0.01:half_up",
    "sebi": "segment_day:0.01:half_up",
    "ipft": "segment_day:0.01:half_up",
    "stt": "segment_day:1:half_up",
    "ctt": "segment_day:1:half_up",
    "stt_exercise": "segment_day:1:half_up",
    "stt_physical": "segment_day:1:half_up",
    "stamp": "segment_day:1:half_up",
    "stamp_physical": "segment_day:1:half_up",
    "gst": "segment_day:0.01:half_up",
    "dp_charge": "isin_day:0.01:half_up",
    "dp_gst": "isin_day:0.01:half_up",
}
SHARE_KINDS: Final = frozenset(("EQUITY", "ETF_EQUITY", "ETF_OTHER"))
# Table name by product, for brokerage and for the levies. MARGIN on shares is not priced anywhere: taken as
# MTF, which pays most.
PRODUCTS: Final = {
    "CNC": "DELIVERY",
    "MTF": "MTF",
    "MARGIN": "MTF",
    "INTRADAY": "INTRADAY",
    "CO": "INTRADAY",
    "BO": "INTRADAY",
}
EVENTS: Final = frozenset(("EXPIRY", "EXERCISE_LONG", "RECEIVE", "DELIVER"))
HANDLINGS: Final = frozenset(("", "auto_square_off", "call_and_trade"))


class ChargeTableError(ValueError):
    """The table of charges is malformed; the message names the line. No row of it counts."""


class ChargeUnknownError(LookupError):
    """The table has no rows at all for an instrument: what it costs is unknown, not zero."""


@dataclass(frozen=True, slots=True)
class Rate:
    """One dated row. `rate` None: nobody said; `cap_e4` and `floor_e4` per order in 1/10000 rupee."""

    segment: str
    instrument: str
    component: str
    side: str
    base: str
    rate: Fraction | None
    unit: str
    floor_e4: int | None
    cap_e4: int | None
    effective_from: date
    effective_until: date | None
    source: str
    confidence: str

    def holds(self, day: date) -> bool:
        """Say whether the row is in force on *day*; the last day is included."""
        return self.effective_from <= day and (self.effective_until is None or day <= self.effective_until)

    def text(self) -> str:
        """Name the row for a person."""
        return f"{self.segment} {self.instrument} {self.component}: {self.confidence} ({self.source})"


@dataclass(frozen=True, slots=True)
class ChargeFill:
    """
    One execution, as charges see it.

    Args:
        exchange_segment: `NSE_EQ`, `NSE_FNO`, …
        kind: `EQUITY`, `ETF_EQUITY`, `ETF_OTHER` (gold, liquid, debt, foreign), or the instrument of a
            contract: `FUTIDX`, `FUTSTK`, `OPTIDX`, `OPTSTK`, …
        security_id: The scrip or contract; shares are netted by it.
        product: Dhan's product type; sets brokerage, and delivery or intraday for shares.
        side: `BUY` or `SELL`.
        quantity: Units > 0, the broker's unit.
        price_e4: Per unit, 1/10000 rupee >= 0; the premium of an option.
        order_id: Fills of one order pay brokerage once.
        trade_date: Session date (IST): rates are those of this date.
        multiplier: Rupees per unit and point: 1 for shares and NSE/BSE F&O.
        isin: For the DP charge, which is per ISIN; the security id stands in when empty.
        group: BSE scrip group on the trade date (`A`, `X`, …); empty: taken as an ordinary group.
        underlying: Underlying symbol; some have an exchange rate of their own (`SENSEX50`).
        handling: `auto_square_off` or `call_and_trade` when the broker charges that fee.

    Raises:
        ValueError: A field is out of its range.
    """

    exchange_segment: str
    kind: str
    security_id: str
    product: str
    side: str
    quantity: int
    price_e4: int
    order_id: str
    trade_date: date
    multiplier: int = 1
    isin: str = ""
    group: str = ""
    underlying: str = ""
    handling: str = ""

    def __post_init__(self) -> None:
        if self.side not in ("BUY", "SELL"):
            raise ValueError(f"`side` must be BUY or SELL, not `{self.side}`")
        if self.quantity <= 0 or self.price_e4 < 0 or self.multiplier <= 0:
            raise ValueError("a fill needs quantity > 0, price >= 0 and multiplier > 0")
        if self.product not in PRODUCTS:
            raise ValueError(f"unknown product `{self.product}`")
        if self.handling not in HANDLINGS:
            raise ValueError(f"unknown handling `{self.handling}`")

    @property
    def value_e4(self) -> int:
        """Turnover: quantity x price x multiplier; for an option the premium, never the strike."""
        return self.quantity * self.price_e4 * self.multiplier


@dataclass(frozen=True, slots=True)
class Settlement:
    """
    What expiry did to a contract: not a trade, but taxed.

    `event` is EXPIRY (nothing happened), EXERCISE_LONG (holder of an option in the money, settled in cash),
    RECEIVE or DELIVER (shares of a stock contract). `price_e4` is the base per unit: intrinsic value for
    EXERCISE_LONG, delivery price for RECEIVE and DELIVER, ignored for EXPIRY.
    """

    exchange_segment: str
    kind: str
    security_id: str
    event: str
    quantity: int
    price_e4: int
    trade_date: date

    def __post_init__(self) -> None:
        if self.event not in EVENTS:
            raise ValueError(f"unknown event `{self.event}`")
        if self.quantity <= 0 or self.price_e4 < 0:
            raise ValueError("a settlement needs quantity > 0 and price >= 0")

    @property
    def value_e4(self) -> int:
        """The base of the tax."""
        return self.quantity * self.price_e4


@dataclass(frozen=True, slots=True)
class Plan:
    """
    The user's brokerage plan.

    Sources differ on futures, currency and commodities: 0.03 % up to 20 rupees, or 20 flat. `flat` takes 20,
    which is never less: right for a loss limit, and the same above an order value of 66,666.67.
    `multiplier` scales brokerage: 1/2 on the plan some customers have.
    """

    flat: bool = True
    multiplier: Fraction = Fraction(1)


STANDARD_PLAN: Final = Plan()


@dataclass(frozen=True, slots=True)
class ChargeLines:
    """The lines of one contract note, each rounded; 1/10000 rupee >= 0. `stt_e4` holds CTT on commodities."""

    brokerage_e4: int = 0
    exchange_txn_e4: int = 0
    sebi_e4: int = 0
    ipft_e4: int = 0
    stt_e4: int = 0
    stamp_e4: int = 0
    auto_square_off_e4: int = 0
    call_and_trade_e4: int = 0
    gst_e4: int = 0

    @property
    def total_e4(self) -> int:
        """The sum of all lines."""
        return (
            self.brokerage_e4 + self.exchange_txn_e4 + self.sebi_e4 + self.ipft_e4 + self.stt_e4
            + self.stamp_e4 + self.auto_square_off_e4 + self.call_and_trade_e4 + self.gst_e4
        )  # fmt: skip

    def plus(self, other: ChargeLines) -> ChargeLines:
        """Add line by line; of rounded lines, so nothing is rounded again."""
        return ChargeLines(*(getattr(self, name) + getattr(other, name) for name in ChargeLines.__slots__))


@dataclass(frozen=True, slots=True)
class ChargeNote:
    """
    The charges of one account and trade date.

    `total_e4` is what the contract note says. `dp_e4` is booked on the ledger a day later: leave it out of
    the live figure and show it as pending; `ledger_e4` is both.
    """

    trade_date: date | None
    segments: tuple[tuple[str, ChargeLines], ...]
    dp_e4: int
    uncertain: tuple[str, ...]
    unknown: tuple[str, ...]

    @property
    def lines(self) -> ChargeLines:
        """The lines summed over the segments."""
        total = ChargeLines()
        for _, lines in self.segments:
            total = total.plus(lines)
        return total

    @property
    def total_e4(self) -> int:
        """Charges of the day, without DP."""
        return self.lines.total_e4

    @property
    def ledger_e4(self) -> int:
        """Charges of the day and the DP charges its delivery sales will cause."""
        return self.total_e4 + self.dp_e4

    @property
    def is_known(self) -> bool:
        """False if any rate was missing and a higher one stands in."""
        return not self.unknown


def half_up(value: Fraction, unit_e4: int) -> int:
    """Round *value* >= 0 to a multiple of *unit_e4*; exactly half goes up."""
    return int((value / unit_e4 + Fraction(1, 2)).__floor__()) * unit_e4


@dataclass(slots=True)
class _Doubts:
    """What a note has to confess; sets, since one doubt concerns many fills."""

    uncertain: set[str] = field(default_factory=set)
    unknown: set[str] = field(default_factory=set)


@dataclass(slots=True)
class _Scrip:
    """One share on one exchange, all products together: the exchange does not see products."""

    kind: str
    isin: str
    bought: int = 0
    sold: int = 0
    bought_e4: int = 0
    sold_e4: int = 0
    delivery_bought: int = 0
    delivery_sold: int = 0

    def add(self, fill: ChargeFill) -> None:
        delivery = PRODUCTS[fill.product] != "INTRADAY"
        if fill.side == "BUY":
            self.bought += fill.quantity
            self.bought_e4 += fill.value_e4
            self.delivery_bought += fill.quantity * delivery
        else:
            self.sold += fill.quantity
            self.sold_e4 += fill.value_e4
            self.delivery_sold += fill.quantity * delivery

    def delivered(self) -> int:
        """
        Return the quantity that changes hands: bought > 0, sold < 0.

        The rest is intraday. An open intraday position counts as intraday: it is expected to be closed.
        """
        net, meant = self.bought - self.sold, self.delivery_bought - self.delivery_sold
        if net > 0 and meant > 0:
            return min(net, meant)
        if net < 0 and meant < 0:
            return max(net, meant)
        return 0


@dataclass(frozen=True, slots=True)
class _Piece:
    """A turnover under one name of the table: what STT and stamp duty are taken from."""

    instrument: str
    side: str
    value_e4: Fraction


class ChargeTable:
    """
    The dated rows, and the calculation over them; a value.

    Args:
        rates: Rows of one table, as `parse` returns them.
    """

    __slots__ = ("_rates",)

    def __init__(self, rates: Iterable[Rate]) -> None:
        """Sort rows by what they price; refuse overlaps and gaps."""
        by_name: dict[tuple[str, str, str], list[Rate]] = {}
        for rate in sorted(rates, key=lambda r: (r.side, r.effective_from)):
            rows = by_name.setdefault((rate.segment, rate.instrument, rate.component), [])
            _follows(next((r for r in reversed(rows) if r.side == rate.side), None), rate)
            rows.append(rate)
        self._rates = {name: tuple(rows) for name, rows in by_name.items()}

    @classmethod
    def parse(cls, text: str) -> ChargeTable:
        """
        Read the table from CSV text.

        Raises:
            ChargeTableError: A column is missing or unknown, a field does not parse, a rounding is not what
                this code does, or two rows for the same thing overlap or leave a gap.
        """
        import csv

        lines = csv.reader(text.splitlines(), strict=True)
        try:
            rows = list(lines)
        except csv.Error as e:
            raise ChargeTableError(f"charges line {lines.line_num}: {e}") from e
        if not rows or tuple(rows[0]) != COLUMNS:
            raise ChargeTableError(f"the columns must be {', '.join(COLUMNS)}")
        return cls(_rate(number, row) for number, row in enumerate(rows[1:], start=2))

    def charge_day(
        self,
        fills: Sequence[ChargeFill],
        settlements: Sequence[Settlement] = (),
        plan: Plan = STANDARD_PLAN,
    ) -> ChargeNote:
        """
        Return the charges of one account's trade date.

        Args:
            fills: All executions of the day so far, every segment, in any order.
            settlements: Contracts that expired that day.
            plan: The user's brokerage plan.

        Raises:
            ValueError: Fills or settlements of more than one date.
            ChargeUnknownError: The table has no rows for an instrument.
        """
        days = {fill.trade_date for fill in fills} | {event.trade_date for event in settlements}
        if len(days) > 1:
            raise ValueError(f"fills of {len(days)} dates in one day's charges: {min(days)} to {max(days)}")
        if not days:
            return ChargeNote(None, (), 0, (), ())
        day, doubts, dp_e4 = days.pop(), _Doubts(), 0
        lines: list[tuple[str, ChargeLines]] = []
        segments = {fill.exchange_segment for fill in fills} | {e.exchange_segment for e in settlements}
        delivered: dict[str, tuple[str, str]] = {}
        for segment in sorted(segments):
            own = [fill for fill in fills if fill.exchange_segment == segment]
            events = [event for event in settlements if event.exchange_segment == segment]
            scrips = _scrips(own)
            lines.append((segment, self._segment(segment, day, own, scrips, events, plan, doubts)))
            for security_id, scrip in scrips.items():
                if scrip.delivered() < 0:
                    name = _delivery_name(scrip.kind)
                    # One charge per ISIN, though it was sold on two exchanges.
                    delivered.setdefault(scrip.isin or f"{segment}:{security_id}", (segment, name))
        for segment, name in delivered.values():
            dp_e4 += self._dp(segment, name, day, doubts)
        return ChargeNote(day, tuple(lines), dp_e4, tuple(sorted(doubts.uncertain)), tuple(sorted(doubts.unknown)))

    def estimate_fill(self, fill: ChargeFill, plan: Plan = STANDARD_PLAN) -> ChargeNote:
        """
        Return the charges of *fill* as if it were the day's only one.

        For a first look at an order: roundings to the rupee fall on it alone. See `marginal_e4`.
        """
        return self.charge_day((fill,), (), plan)

    def marginal_e4(self, fills: Sequence[ChargeFill], extra: Sequence[ChargeFill], plan: Plan = STANDARD_PLAN) -> int:
        """
        Return what *extra* fills add to the day's charges: total with them minus total without.

        With closing orders as *extra*: the cost of getting out. Mostly >= 0; below 0 where a sale turns a
        delivery purchase of the day into an intraday one, which is taxed less.
        """
        return self.charge_day((*fills, *extra), (), plan).total_e4 - self.charge_day(fills, (), plan).total_e4

    def _segment(
        self,
        segment: str,
        day: date,
        fills: Sequence[ChargeFill],
        scrips: dict[str, _Scrip],
        events: Sequence[Settlement],
        plan: Plan,
        doubts: _Doubts,
    ) -> ChargeLines:
        """Do the order of work for one segment."""
        txn = sebi = ipft = stt = stamp = Fraction(0)
        brokerage_e4 = self._brokerage(segment, day, fills, plan, doubts)
        for name, own, value_e4 in _turnovers(segment, fills, doubts):
            special = own if self._has(segment, own, "exchange_txn") else name
            txn += self._levy(segment, special, "exchange_txn", "BOTH", day, value_e4, doubts)
            sebi += self._levy(segment, name, "sebi", "BOTH", day, value_e4, doubts)
            ipft += self._levy(segment, name, "ipft", "BOTH", day, value_e4, doubts)
        for piece in (*_share_pieces(segment, scrips, doubts), *_contract_pieces(fills)):
            tax = "ctt" if self._has(segment, piece.instrument, "ctt") else "stt"
            stt += self._levy(segment, piece.instrument, tax, piece.side, day, piece.value_e4, doubts)
            stamp += self._levy(segment, piece.instrument, "stamp", piece.side, day, piece.value_e4, doubts)
        for event in events:
            taxes = self._settlement(event, day, doubts)
            stt, stamp = stt + taxes[0], stamp + taxes[1]
        lines = ChargeLines(
            brokerage_e4=brokerage_e4,
            exchange_txn_e4=half_up(txn, PAISA_E4),
            sebi_e4=half_up(sebi, PAISA_E4),
            ipft_e4=half_up(ipft, PAISA_E4),
            stt_e4=half_up(stt, RUPEE_E4),
            stamp_e4=half_up(stamp, RUPEE_E4),
            auto_square_off_e4=self._fee("auto_square_off", day, fills, doubts),
            call_and_trade_e4=self._fee("call_and_trade", day, fills, doubts),
        )
        return lines.plus(ChargeLines(gst_e4=self._gst(day, lines, doubts)))

    def _brokerage(self, segment: str, day: date, fills: Sequence[ChargeFill], plan: Plan, doubts: _Doubts) -> int:
        """Return brokerage: per order on the value of all its fills, each order rounded to the paisa."""
        orders: dict[tuple[str, str], int] = {}
        for fill in fills:
            name = _brokerage_name(fill)
            orders[name, fill.order_id] = orders.get((name, fill.order_id), 0) + fill.value_e4
        total_e4 = 0
        for (name, _), value_e4 in orders.items():
            rate = self._pick(segment, name, "brokerage", "BOTH", day, doubts)
            if rate is None or rate.rate is None:
                continue
            if rate.unit == "inr_per_order":
                order_e4 = rate.rate * SCALE
                _doubt(rate, doubts)
            else:
                order_e4 = rate.rate * value_e4
                below_cap = rate.cap_e4 is not None and order_e4 < rate.cap_e4
                # The doubt is between this rate and the flat cap: above the cap both say the same.
                if below_cap or rate.cap_e4 is None:
                    _doubt(rate, doubts)
                if rate.floor_e4 is not None:
                    order_e4 = max(order_e4, Fraction(rate.floor_e4))
                # Only rows that sources disagree on are made flat: shares pay by value, that is confirmed.
                flat = plan.flat and rate.confidence != "confirmed"
                if rate.cap_e4 is not None and (flat or not below_cap):
                    order_e4 = Fraction(rate.cap_e4)
            total_e4 += half_up(order_e4 * plan.multiplier, PAISA_E4)
        return total_e4

    def _settlement(self, event: Settlement, day: date, doubts: _Doubts) -> tuple[Fraction, Fraction]:
        """Return STT and stamp duty of an expiry, both unrounded; its brokerage is unknown and said so."""
        segment, kind, value_e4 = event.exchange_segment, event.kind, event.value_e4
        if event.event in ("RECEIVE", "DELIVER"):
            doubts.unknown.add(f"{segment} {kind} brokerage_physical: not stated by the broker, taken as 0")
            if kind.startswith("OPT"):
                doubts.unknown.add(f"{segment} {kind} stt_exercise: unknown on physical settlement, taken as 0")
            stt = self._levy(segment, kind, "stt_physical", "BOTH", day, value_e4, doubts)
            return stt, self._levy(segment, kind, "stamp_physical", event.event, day, value_e4, doubts)
        if kind.startswith("OPT"):
            doubts.unknown.add(f"{segment} {kind} brokerage_expiry: not stated by the broker, taken as 0")
        if event.event == "EXERCISE_LONG":
            return self._levy(segment, kind, "stt_exercise", event.event, day, value_e4, doubts), Fraction(0)
        return Fraction(0), Fraction(0)

    def _fee(self, component: str, day: date, fills: Sequence[ChargeFill], doubts: _Doubts) -> int:
        """Return a per-order fee of the broker, for the orders marked with it."""
        orders = {fill.order_id for fill in fills if fill.handling == component}
        if not orders:
            return 0
        rate = self._pick("ALL", "ALL", component, "BOTH", day, doubts)
        if rate is None or rate.rate is None:
            return 0
        _doubt(rate, doubts)
        return half_up(rate.rate * SCALE, PAISA_E4) * len(orders)

    def _gst(self, day: date, lines: ChargeLines, doubts: _Doubts) -> int:
        """Return GST on the rounded lines the row names."""
        rate = self._pick("ALL", "ALL", "gst", "BOTH", day, doubts)
        if rate is None or rate.rate is None:
            return 0
        _doubt(rate, doubts)
        base_e4: int = sum(getattr(lines, f"{name}_e4") for name in rate.base.split("+"))
        return half_up(rate.rate * base_e4, PAISA_E4)

    def _dp(self, segment: str, name: str, day: date, doubts: _Doubts) -> int:
        """Return the depository charge of one ISIN and day, its own GST included."""
        rate = self._pick(segment, name, "dp_charge", "SELL", day, doubts)
        gst = self._pick(segment, name, "dp_gst", "SELL", day, doubts)
        if rate is None or rate.rate is None:
            return 0
        _doubt(rate, doubts)
        charge_e4 = half_up(rate.rate * SCALE, PAISA_E4)
        return charge_e4 + (half_up(gst.rate * charge_e4, PAISA_E4) if gst and gst.rate is not None else 0)

    def _has(self, segment: str, instrument: str, component: str) -> bool:
        return (segment, instrument, component) in self._rates

    def _levy(
        self,
        segment: str,
        instrument: str,
        component: str,
        side: str,
        day: date,
        value_e4: int | Fraction,
        doubts: _Doubts,
    ) -> Fraction:
        """Return rate x *value_e4*, unrounded; 0 where the side does not pay."""
        rate = self._pick(segment, instrument, component, side, day, doubts)
        if rate is None or rate.rate is None or not value_e4:
            return Fraction(0)
        _doubt(rate, doubts)
        return rate.rate * value_e4

    def _pick(
        self, segment: str, instrument: str, component: str, side: str, day: date, doubts: _Doubts
    ) -> Rate | None:
        """
        Return the row in force, None if that side does not pay this charge.

        Outside every row's dates: the highest rate on record, named among the unknown.
        """
        rows = self._rates.get((segment, instrument, component))
        if rows is None:
            raise ChargeUnknownError(f"no {component} for `{instrument}` in `{segment}`: its cost is unknown")
        rows = tuple(row for row in rows if row.side in (side, "BOTH"))
        if not rows:
            return None
        for row in reversed(rows):
            if row.holds(day):
                return row
        doubts.unknown.add(f"{segment} {instrument} {component}: no rate for {day}, the highest on record used")
        return max(rows, key=lambda row: row.rate or Fraction(0))


def _doubt(rate: Rate, doubts: _Doubts) -> None:
    if rate.confidence != "confirmed":
        doubts.uncertain.add(rate.text())


def _brokerage_name(fill: ChargeFill) -> str:
    if fill.kind not in SHARE_KINDS:
        return fill.kind
    product = PRODUCTS[fill.product]
    # Funds have no MTF rows of their own; MTF pays the intraday brokerage.
    return f"{fill.kind}_{'INTRADAY' if product == 'MTF' and fill.kind != 'EQUITY' else product}"


def _delivery_name(kind: str) -> str:
    return f"{kind}_DELIVERY"


def _turnovers(segment: str, fills: Sequence[ChargeFill], doubts: _Doubts) -> Iterable[tuple[str, str, int]]:
    """Yield table name, name of a special exchange rate, and turnover; a few sums instead of many fills."""
    sums: dict[tuple[str, str], int] = {}
    for fill in fills:
        if fill.kind in SHARE_KINDS:
            # Exchange, SEBI and IPFT do not differ between delivery and intraday.
            name = _delivery_name(fill.kind)
            own = f"EQUITY_GROUP_{fill.group}" if segment == "BSE_EQ" else name
            if segment == "BSE_EQ" and not fill.group:
                doubts.uncertain.add(f"{segment} {fill.security_id} exchange_txn: scrip group not given")
            if fill.product == "MARGIN":
                doubts.uncertain.add(f"{segment} {fill.security_id}: MARGIN on shares taken as MTF")
        else:
            name = fill.kind
            own = f"{fill.kind}_{fill.underlying}" if fill.underlying else name
        sums[name, own] = sums.get((name, own), 0) + fill.value_e4
    for (name, own), value_e4 in sums.items():
        yield name, own, value_e4


def _scrips(fills: Sequence[ChargeFill]) -> dict[str, _Scrip]:
    scrips: dict[str, _Scrip] = {}
    for fill in fills:
        if fill.kind in SHARE_KINDS:
            scrips.setdefault(fill.security_id, _Scrip(fill.kind, fill.isin)).add(fill)
    return scrips


def _share_pieces(segment: str, scrips: dict[str, _Scrip], doubts: _Doubts) -> Iterable[_Piece]:
    """
    Yield each share's turnover, split into delivered and intraday at the day's average price of its side.

    The exchange nets a client's purchases and sales of one share in one day, whatever the product: only what
    remains is delivered and taxed so. Source: NSE CMTR5588, for STT; stamp duty follows the same split.
    """
    for security_id, scrip in scrips.items():
        delivered = scrip.delivered()
        if abs(delivered) < max(scrip.delivery_bought, scrip.delivery_sold):
            doubts.uncertain.add(f"{segment} {security_id} stt: delivery netted within the day: one (CMTR5588)")
        sides = (
            ("BUY", scrip.bought, scrip.bought_e4, max(delivered, 0)),
            ("SELL", scrip.sold, scrip.sold_e4, max(-delivered, 0)),
        )
        for side, quantity, value_e4, moved in sides:
            if not quantity:
                continue
            moved_e4 = Fraction(value_e4 * moved, quantity)
            if moved:
                yield _Piece(_delivery_name(scrip.kind), side, moved_e4)
            if moved < quantity:
                yield _Piece(f"{scrip.kind}_INTRADAY", side, value_e4 - moved_e4)


def _contract_pieces(fills: Sequence[ChargeFill]) -> Iterable[_Piece]:
    sums: dict[tuple[str, str], int] = {}
    for fill in fills:
        if fill.kind not in SHARE_KINDS:
            sums[fill.kind, fill.side] = sums.get((fill.kind, fill.side), 0) + fill.value_e4
    for (kind, side), value_e4 in sums.items():
        yield _Piece(kind, side, Fraction(value_e4))


def _follows(before: Rate | None, rate: Rate) -> None:
    """Refuse a row that overlaps the one before it or leaves days without a rate between them."""
    if before is None:
        return
    name = f"{rate.segment} {rate.instrument} {rate.component} {rate.side}"
    if before.effective_until is None or before.effective_until >= rate.effective_from:
        raise ChargeTableError(f"{name}: the rows of {before.effective_from} and {rate.effective_from} overlap")
    if before.effective_until + timedelta(days=1) != rate.effective_from:
        raise ChargeTableError(f"{name}: no rate between {before.effective_until} and {rate.effective_from}")


def _rate(number: int, row: Sequence[str]) -> Rate:
    if len(row) != len(COLUMNS):
        raise ChargeTableError(f"charges line {number}: {len(row)} fields instead of {len(COLUMNS)}")
    cells = dict(zip(COLUMNS, row, strict=True))
    unit, component = cells["unit"], cells["component"]
    if unit not in UNITS:
        raise ChargeTableError(f"charges line {number}: unknown unit `{unit}`")
    if cells["rounding"] != ROUNDINGS.get(component, cells["rounding"]):
        raise ChargeTableError(f"charges line {number}: `{component}` is rounded {ROUNDINGS[component]} here")
    rate = _decimal(number, cells["rate"])
    if (rate is None) != (unit == "unknown"):
        raise ChargeTableError(f"charges line {number}: a rate is blank exactly when its unit is unknown")
    if component == "gst" and not set(cells["base"].split("+")) <= {
        name.removesuffix("_e4") for name in ChargeLines.__slots__
    }:
        raise ChargeTableError(f"charges line {number}: `{cells['base']}` is not a sum of lines")
    first, last = _date(number, cells["effective_from"]), _date(number, cells["effective_until"])
    if first is None or (last is not None and last < first):
        raise ChargeTableError(f"charges line {number}: effective dates are missing or run backwards")
    return Rate(
        segment=cells["segment"],
        instrument=cells["instrument"],
        component=component,
        side=cells["side"],
        base=cells["base"],
        rate=rate,
        unit=unit,
        floor_e4=_e4(_decimal(number, cells["min"])),
        cap_e4=_e4(_decimal(number, cells["max"])),
        effective_from=first,
        effective_until=last,
        source=cells["source"],
        confidence=cells["confidence"],
    )


def _decimal(number: int, text: str) -> Fraction | None:
    """Return the exact value of *text* >= 0, None for a blank."""
    if not text:
        return None
    try:
        value = Decimal(text)
    except InvalidOperation as e:
        raise ChargeTableError(f"charges line {number}: `{text}` is not a decimal number") from e
    if not value.is_finite() or value < 0 or abs(value.adjusted()) > 12:
        raise ChargeTableError(f"charges line {number}: `{text}` is out of range")
    return Fraction(value)


def _e4(rupees: Fraction | None) -> int | None:
    return None if rupees is None else int(rupees * SCALE)


def _date(number: int, text: str) -> date | None:
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError as e:
        raise ChargeTableError(f"charges line {number}: `{text}` is not a date") from e
