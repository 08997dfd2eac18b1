"""What the instrument master says of one contract."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from riskguard.core.terms import CASH_SEGMENTS

DERIVATIVE_KINDS = frozenset({"FUTIDX", "FUTSTK", "OPTIDX", "OPTSTK", "FUTCUR", "OPTCUR", "FUTCOM", "OPTFUT"})
_MONTHS = frozenset({"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"})
LOT_QUOTED_SEGMENTS = frozenset({"MCX_COMM"})
"""Segments whose order quantity is lots, so that a rupee value needs the contract multiplier."""


@dataclass(frozen=True, slots=True)
class Instrument:
    """
    One contract. Prices in 1/10000 rupee; `multiplier` is rupees per unit of quantity and point of price,
    None where a table must say it and none does (never taken as 1).
    """

    exchange_segment: str
    security_id: str
    symbol: str
    kind: str = "EQUITY"
    lot_size: int = 1
    tick_e4: int = 500
    multiplier: int | None = 1
    freeze_quantity: int | None = None
    underlying: str = ""
    expiry: str = ""  # ISO date, "" for none
    strike_e4: int | None = None
    option_type: str = ""  # CE, PE or ""
    lower_band_e4: int | None = None
    upper_band_e4: int | None = None
    # New fields come last and with a default: the journal keeps an instrument as a list in this order.
    series: str = ""  # EQ, BE, SM, …; "" for none or not known
    isin: str = ""
    protection_pct_e2: int | None = None  # 1/100 percent past the touch a market order may fill; None: not known
    lpp_pct_e2: int | None = None  # limit price protection: max of percent of the reference …
    lpp_abs_e4: int | None = None  # … and this, either side of it; None: no rule known
    stop_gap_pct_e2: int | None = None  # |limit − trigger| may be the max of percent of the trigger …
    stop_gap_abs_e4: int | None = None  # … and this
    order_value_max_e4: int | None = None  # the exchange's ceiling of one order; None: no rule known

    @property
    def key(self) -> tuple[str, str]:
        """Segment and security id: Dhan's ids are unique only within a segment."""
        return (self.exchange_segment, self.security_id)

    @property
    def is_option(self) -> bool:
        """Say whether it is an option, also where the master names the kind and forgets CE or PE."""
        return self.option_type != "" or self.kind.startswith("OPT")


def default_multiplier(exchange_segment: str, kind: str) -> int | None:
    """
    Return rupees per unit and point where the segment's own quantity already holds it, else None.

    Shares count one by one and NSE/BSE F&O quantities are contract units: 1. MCX counts lots and currency
    contracts stand for 1,000 units: there only a dated table knows, and unknown stays unknown.
    """
    if exchange_segment in CASH_SEGMENTS or exchange_segment in ("NSE_FNO", "BSE_FNO"):
        return 1
    del kind
    return None


def root_of(trading_symbol: str) -> str:
    """
    Return the underlying a contract's trading symbol begins with, "" when it is no contract's.

    Dhan writes `NIFTY-Sep2026-23950-CE` and `CRUDEOIL-21Sep2026-FUT`; the underlying may hold a hyphen itself
    (`BAJAJ-AUTO-Jul2025-FUT`). A share's symbol has no month, so it has no root.
    """
    root, hyphen, rest = trading_symbol.partition("-")
    while hyphen:
        month, _, tail = rest.partition("-")
        day, name, year = month[:-7], month[-7:-4], month[-4:]
        if tail and year.isdecimal() and name in _MONTHS and (not day or day.isdecimal()):
            return root
        more, hyphen, rest = rest.partition("-")
        root += f"-{more}"
    return ""


class SymbolLookup(Protocol):
    """Finds instruments by trading symbol."""

    def by_symbol(self, symbol: str, exchange_segment: str | None = None) -> list[Instrument]:
        """Return every instrument of that exact symbol, in one segment or in all."""
        ...
