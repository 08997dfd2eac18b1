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

from riskguard.core.charges.estimate import charge_surely, shared_out, surely_known
from riskguard.core.charges.notes import (
    PAISA_E4,
    RUPEE_E4,
    SHARE_KINDS,
    STANDARD_PLAN,
    ChargeFill,
    ChargeLines,
    ChargeNote,
    Component,
    Plan,
    Settlement,
    half_up,
)
from riskguard.core.charges.rates import ROUNDINGS, ChargeTableError, ChargeUnknownError, Rate
from riskguard.core.charges.table import ChargeTable

__all__ = [
    "PAISA_E4",
    "ROUNDINGS",
    "RUPEE_E4",
    "SHARE_KINDS",
    "STANDARD_PLAN",
    "ChargeFill",
    "ChargeLines",
    "ChargeNote",
    "ChargeTable",
    "ChargeTableError",
    "ChargeUnknownError",
    "Component",
    "Plan",
    "Rate",
    "Settlement",
    "charge_surely",
    "half_up",
    "shared_out",
    "surely_known",
]
