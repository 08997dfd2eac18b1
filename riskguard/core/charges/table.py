"""The calculation over the dated rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from fractions import Fraction

from riskguard.core.charges.notes import (
    PAISA_E4,
    RUPEE_E4,
    SHARE_KINDS,
    STANDARD_PLAN,
    ChargeFill,
    ChargeLines,
    ChargeNote,
    Component,
    Doubts,
    Plan,
    Settlement,
    half_up,
)
from riskguard.core.charges.rates import ChargeUnknownError, Rate, follows, read
from riskguard.core.charges.turnover import (
    Scrip,
    brokerage_name,
    contract_pieces,
    delivery_name,
    scrips_of,
    share_pieces,
    turnovers,
)
from riskguard.core.money import SCALE


class ChargeTable:
    """
    The dated rows, and the calculation over them; a value.

    Args:
        rates: Rows of one table, as `parse` returns them.
        complete_until: The last day the rows are good for; None: nobody said.
    """

    __slots__ = ("_rates", "complete_until")

    def __init__(self, rates: Iterable[Rate], complete_until: date | None = None) -> None:
        """Sort rows by what they price; refuse overlaps and gaps."""
        self.complete_until = complete_until
        by_name: dict[tuple[str, str, str], list[Rate]] = {}
        for rate in sorted(rates, key=lambda r: (r.side, r.effective_from)):
            rows = by_name.setdefault((rate.segment, rate.instrument, rate.component), [])
            follows(next((r for r in reversed(rows) if r.side == rate.side), None), rate)
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
        return cls(*read(text))

    def kinds(self, segment: str) -> frozenset[str]:
        """Return the kinds of instrument a trade of *segment* can be charged as; none where it has no rows at all."""
        named = {name for where, name, component in self._rates if where == segment and component == "sebi"}
        shares = {kind for kind in SHARE_KINDS if f"{kind}_DELIVERY" in named}
        return frozenset(shares or named)

    @property
    def segments(self) -> frozenset[str]:
        """The segments whose trades have a price."""
        return frozenset(where for where, _name, component in self._rates if component == "sebi")

    def explain_day(
        self, fills: Sequence[ChargeFill], settlements: Sequence[Settlement] = (), plan: Plan = STANDARD_PLAN
    ) -> tuple[ChargeNote, tuple[Component, ...]]:
        """Return what `charge_day` returns, and every multiplication it was made of, in the order of the work."""
        doubts = Doubts(components=[])
        note = self._day(fills, settlements, plan, doubts)
        return note, tuple(doubts.components or ())

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
        return self._day(fills, settlements, plan, Doubts())

    def _day(
        self, fills: Sequence[ChargeFill], settlements: Sequence[Settlement], plan: Plan, doubts: Doubts
    ) -> ChargeNote:
        days = {fill.trade_date for fill in fills} | {event.trade_date for event in settlements}
        if len(days) > 1:
            raise ValueError(f"fills of {len(days)} dates in one day's charges: {min(days)} to {max(days)}")
        if not days:
            return ChargeNote(None, (), 0, (), ())
        day, dp_e4 = days.pop(), 0
        lines: list[tuple[str, ChargeLines]] = []
        segments = {fill.exchange_segment for fill in fills} | {e.exchange_segment for e in settlements}
        delivered: dict[str, tuple[str, str]] = {}
        for segment in sorted(segments):
            own = [fill for fill in fills if fill.exchange_segment == segment]
            events = [event for event in settlements if event.exchange_segment == segment]
            scrips = scrips_of(own)
            lines.append((segment, self._segment(segment, day, own, scrips, events, plan, doubts)))
            for security_id, scrip in scrips.items():
                if scrip.delivered() < 0:
                    name = delivery_name(scrip.kind)
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
        scrips: dict[str, Scrip],
        events: Sequence[Settlement],
        plan: Plan,
        doubts: Doubts,
    ) -> ChargeLines:
        """Do the order of work for one segment."""
        txn = sebi = ipft = stt = stamp = Fraction(0)
        brokerage_e4 = self._brokerage(segment, day, fills, plan, doubts)
        for name, own, value_e4 in turnovers(segment, fills, doubts):
            special = own if self._has(segment, own, "exchange_txn") else name
            txn += self._levy(segment, special, "exchange_txn", "BOTH", day, value_e4, doubts)
            sebi += self._levy(segment, name, "sebi", "BOTH", day, value_e4, doubts)
            ipft += self._levy(segment, name, "ipft", "BOTH", day, value_e4, doubts)
        for piece in (*share_pieces(segment, scrips, doubts), *contract_pieces(fills)):
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
        return lines.plus(ChargeLines(gst_e4=self._gst(segment, day, lines, doubts)))

    def _brokerage(self, segment: str, day: date, fills: Sequence[ChargeFill], plan: Plan, doubts: Doubts) -> int:
        """Return brokerage: per order on the value of all its fills, each order rounded to the paisa."""
        orders: dict[tuple[str, str], int] = {}
        for fill in fills:
            name = brokerage_name(fill)
            orders[name, fill.order_id] = orders.get((name, fill.order_id), 0) + fill.value_e4
        total_e4 = 0
        for (name, order_id), value_e4 in orders.items():
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
            base_e4 = Fraction(1 if rate.unit == "inr_per_order" else value_e4)
            self._keep(doubts, rate, "BOTH", day, base_e4, order_e4 * plan.multiplier, order_id)
        return total_e4

    def _settlement(self, event: Settlement, day: date, doubts: Doubts) -> tuple[Fraction, Fraction]:
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

    def _fee(self, component: str, day: date, fills: Sequence[ChargeFill], doubts: Doubts) -> int:
        """Return a per-order fee of the broker, for the orders marked with it."""
        orders = {fill.order_id for fill in fills if fill.handling == component}
        if not orders:
            return 0
        rate = self._pick("ALL", "ALL", component, "BOTH", day, doubts)
        if rate is None or rate.rate is None:
            return 0
        _doubt(rate, doubts)
        fee_e4 = half_up(rate.rate * SCALE, PAISA_E4) * len(orders)
        self._keep(doubts, rate, "BOTH", day, Fraction(len(orders)), Fraction(fee_e4))
        return fee_e4

    def _gst(self, segment: str, day: date, lines: ChargeLines, doubts: Doubts) -> int:
        """Return GST on the rounded lines the row names."""
        rate = self._pick("ALL", "ALL", "gst", "BOTH", day, doubts)
        if rate is None or rate.rate is None:
            return 0
        _doubt(rate, doubts)
        base_e4: int = sum(getattr(lines, f"{name}_e4") for name in rate.base.split("+"))
        self._keep(doubts, rate, "BOTH", day, Fraction(base_e4), rate.rate * base_e4, segment=segment)
        return half_up(rate.rate * base_e4, PAISA_E4)

    def _dp(self, segment: str, name: str, day: date, doubts: Doubts) -> int:
        """Return the depository charge of one ISIN and day, its own GST included."""
        rate = self._pick(segment, name, "dp_charge", "SELL", day, doubts)
        gst = self._pick(segment, name, "dp_gst", "SELL", day, doubts)
        if rate is None or rate.rate is None:
            return 0
        _doubt(rate, doubts)
        charge_e4 = half_up(rate.rate * SCALE, PAISA_E4)
        self._keep(doubts, rate, "SELL", day, Fraction(1), Fraction(charge_e4))
        if gst is None or gst.rate is None:
            return charge_e4
        self._keep(doubts, gst, "SELL", day, Fraction(charge_e4), gst.rate * charge_e4)
        return charge_e4 + half_up(gst.rate * charge_e4, PAISA_E4)

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
        doubts: Doubts,
    ) -> Fraction:
        """Return rate x *value_e4*, unrounded; 0 where the side does not pay."""
        rate = self._pick(segment, instrument, component, side, day, doubts)
        if rate is None or rate.rate is None or not value_e4:
            return Fraction(0)
        _doubt(rate, doubts)
        self._keep(doubts, rate, side, day, Fraction(value_e4), rate.rate * value_e4)
        return rate.rate * value_e4

    @staticmethod
    def _keep(
        doubts: Doubts, rate: Rate, side: str, day: date, base_e4: Fraction, amount_e4: Fraction, order_id: str = "",
        segment: str = "",
    ) -> None:  # fmt: skip
        """Keep one multiplication for who asks to have the note explained; nobody else pays for it."""
        if doubts.components is not None and rate.rate is not None:
            doubts.components.append(
                Component(
                    segment or rate.segment, rate.component, rate.instrument, side, rate.base, base_e4, rate.rate,
                    rate.unit, amount_e4, rate.source, rate.confidence, rate.effective_from, rate.effective_until,
                    not rate.holds(day), order_id,
                )
            )  # fmt: skip

    def _pick(self, segment: str, instrument: str, component: str, side: str, day: date, doubts: Doubts) -> Rate | None:
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
                if row.rate is None:
                    doubts.unknown.add(f"{segment} {instrument} {component}: no rate is known, taken as 0")
                return row
        doubts.unknown.add(f"{segment} {instrument} {component}: no rate for {day}, the highest on record used")
        return max(rows, key=lambda row: row.rate or Fraction(0))


def _doubt(rate: Rate, doubts: Doubts) -> None:
    if rate.confidence != "confirmed":
        doubts.uncertain.add(rate.text())
