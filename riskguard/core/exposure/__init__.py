"""
What an account is exposed to: the worst the book may become, in rupees and units, per instrument and over a scope.

A line (one product of one instrument in one account) is judged by its reach: what is held plus everything working on
one side. Lines add with their sides apart. Long options count by premium, short ones by the notional of their
underlying (its strike where the underlying shows no price); all else by price. Limits of a GROUP or of GLOBAL hold
over the sum of their accounts, those of a STRATEGY over its own fills and what nobody claims.
Source: checks.md §0 "The book", "Value bases", §1, §5.4, §5.14.
"""

from __future__ import annotations

from riskguard.core.exposure.held import SUMMED, equity_e4, held_in, underlying_of, unseen
from riskguard.core.exposure.losses import losses_at_stops, scenario_e4
from riskguard.core.exposure.margin import margin_basis_e4, margin_held
from riskguard.core.exposure.orders import ToFlat, open_orders, opposite_orders, to_flat
from riskguard.core.exposure.prices import notional_e4, unit_value_e4
from riskguard.core.exposure.units import Naked, Reach, naked, reach
from riskguard.core.exposure.value import Exposure, exposure

__all__ = [
    "SUMMED",
    "Exposure",
    "Naked",
    "Reach",
    "ToFlat",
    "equity_e4",
    "exposure",
    "held_in",
    "losses_at_stops",
    "margin_basis_e4",
    "margin_held",
    "naked",
    "notional_e4",
    "open_orders",
    "opposite_orders",
    "reach",
    "scenario_e4",
    "to_flat",
    "underlying_of",
    "unit_value_e4",
    "unseen",
]
