"""
Every entry says where it is given up: an order that adds risk carries a `stop_loss`, on the losing side of its price.

Exits are exempt. Which orders are meant is said by the scope of the limit.
"""

from __future__ import annotations

from riskguard.core.facts import Facts
from riskguard.core.limits import Check
from riskguard.core.params import Params
from riskguard.core.reject import Reject, RejectCode


class Parameters(Params):
    pass


def check(facts: Facts, params: Parameters) -> Reject | None:
    """Refuse an entry without a stop, or with one that a fill would already be past."""
    stop_e4 = facts.order.stop_loss_e4
    if stop_e4 is None:
        return no_stop("no stop loss")
    if facts.order.price_e4 is not None:
        return None  # an order does not exist with a stop on the winning side of its own price
    entry_e4 = facts.entry_e4()
    if entry_e4 is not None and (entry_e4 - stop_e4) * facts.order.sign <= 0:
        return no_stop("the stop loss is on the winning side of the market")
    return None


def no_stop(detail: str) -> Reject:
    """Refuse for a stop that is not there, or is none."""
    return Reject(
        RejectCode.STOP_REQUIRED,
        max_quantity=0,
        detail=detail,
        hint="give `stop_loss`: below the price of a buy, above that of a sale",
    )


CHECK = Check("stop_required", Parameters, check, exits=False)
