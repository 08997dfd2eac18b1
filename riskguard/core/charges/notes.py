"""What charges are taken from, and what they come to: fills, expiries, a plan, a note."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction
from typing import Final

from riskguard.core.money import SCALE

PAISA_E4: Final = SCALE // 100
RUPEE_E4: Final = SCALE
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


@dataclass(frozen=True, slots=True)
class Component:
    """
    One multiplication behind a note: what, of which turnover, at which dated rate. All exact, nothing rounded yet.

    `base_e4` is the turnover in 1/10000 rupee, or a count where `unit` is per order or ISIN; `amount_e4` what came of
    it, caps and floors applied. `stands_in`: no row holds on the date, the highest on record was taken.
    """

    segment: str
    name: str
    instrument: str
    side: str
    base: str
    base_e4: Fraction
    rate: Fraction
    unit: str
    amount_e4: Fraction
    source: str
    confidence: str
    effective_from: date
    effective_until: date | None
    stands_in: bool
    order_id: str = ""


@dataclass(slots=True)
class Doubts:
    """What a note has to confess; sets, since one doubt concerns many fills."""

    uncertain: set[str] = field(default_factory=set)
    unknown: set[str] = field(default_factory=set)
    components: list[Component] | None = None  # kept only for who asks to have the note explained
