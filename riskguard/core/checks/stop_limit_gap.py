"""
Stops as the exchange takes them: the limit near its trigger, and no market stop of an option.

|limit − trigger| may be at most max(percent of the trigger, absolute) of the dated table; on it is allowed, and where
no rule is known nothing is judged. Exits are not refused: `core.adjust` moves their limit to the widest the exchange
takes, and makes a market stop of an option a stop with such a limit. Source: checks.md §1, §4, §5.10.
"""

from __future__ import annotations

from riskguard.core.adjust import stop_gap_e4
from riskguard.core.facts import Facts
from riskguard.core.limits import Check
from riskguard.core.money import to_text
from riskguard.core.params import Params
from riskguard.core.reject import RUPEES, Reject, RejectCode


class Parameters(Params):
    pass


def check(facts: Facts, params: Parameters) -> Reject | None:
    """Refuse a stop the exchange would not take."""
    order, instrument = facts.order, facts.instrument
    trigger_e4, price_e4 = order.trigger_price_e4, order.price_e4
    if trigger_e4 is None or instrument is None:
        return None
    if price_e4 is None:
        if not instrument.option_type:
            return None
        return Reject(
            RejectCode.STOP_ORDER_NOT_TAKEN,
            max_quantity=0,
            detail="the exchange takes no market stop of an option",
            hint="use STOP_LOSS with a limit price",
        )
    gap_e4 = stop_gap_e4(instrument, trigger_e4)
    apart_e4 = abs(price_e4 - trigger_e4)
    if gap_e4 is None or apart_e4 <= gap_e4:
        return None
    return Reject(
        RejectCode.STOP_LIMIT_GAP_ABOVE_LIMIT,
        measured=apart_e4,
        limit=gap_e4,
        unit=RUPEES,
        max_quantity=0,
        detail=f"limit {to_text(price_e4)} is too far from its trigger of {to_text(trigger_e4)} for the exchange",
        hint=f"set the limit to {to_text(trigger_e4 + order.sign * gap_e4)} or nearer the trigger",
    )


CHECK = Check("stop_limit_gap", Parameters, check, exits=False)
