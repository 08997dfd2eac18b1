"""Looking after an exit that rests: moved towards the market while the broker takes changes, then left to a person."""

from __future__ import annotations

from riskguard.core.book import Working
from riskguard.core.money import to_text
from riskguard.core.seen import SeenOrder
from riskguard.services.kill.killrun import naming, prices
from riskguard.services.kill.killrun.cancel import cancel_one
from riskguard.services.kill.killrun.converting import change, exits_at
from riskguard.services.kill.killrun.covering import Covered
from riskguard.services.kill.killrun.plans import REPRICE_AFTER_US, REPRICES_MAX
from riskguard.services.kill.killrun.reasons import Reason
from riskguard.services.kill.killrun.round import Round
from riskguard.services.kill.powers import modify_of


def look_after(round_: Round, each: Covered, own: list[Working]) -> Reason | None:
    """Re-price what rests of our own exits; returns why that does not help any more, or None."""
    trouble: Reason | None = None
    by_id = {order.order_id: order for order in round_.seen.orders or () if order.is_live}
    for working in own:
        order = by_id.get(working.order_id)
        if order is not None and order.status.upper() != "TRANSIT":
            trouble = _one(round_, each, working, order) or trouble
    return trouble


def _one(round_: Round, each: Covered, working: Working, order: SeenOrder) -> Reason | None:
    changes = round_.tries("REPRICE", order.order_id)
    sent = [step for step in round_.steps if step.client_order_id == working.key.removesuffix(naming.AT_MARKET)]
    last_us = max([step.at_us for step in (*changes, *sent)], default=0)
    if round_.now_us - last_us < REPRICE_AFTER_US:
        round_.wake_us = last_us + REPRICE_AFTER_US
        return None
    sign = -1 if order.side == "SELL" else 1
    quote = round_.account.quotes.get(each.key)
    if len(changes) >= REPRICES_MAX:
        said = f"the exit of {each.target} ({order.order_id}) does not fill after {len(changes)} prices: it rests"
        return Reason("NOT_FILLED", f"{said}, a person decides")
    price_e4 = prices.protected_e4(quote, sign, each.instrument, round_.now_us, len(changes) + 1)
    if price_e4 is None or (order.price_e4 is not None and (price_e4 - order.price_e4) * sign <= 0):
        if prices.at_circuit(quote, sign):
            return Reason(
                "CIRCUIT", f"{each.target} stands at its circuit limit: the exit {order.order_id} rests there"
            )
        return None  # no better price is known: it stands where it can trade
    if not round_.pace.take():
        round_.wake_us = round_.pace.frees_us
        return None
    if modify_of(round_.broker) is None:
        cancel_one(round_, order)  # the next round sends what is left anew, at a better price
        return None
    name = naming.client_order_id(round_.run, "REPRICE", round_.number, order.order_id)
    step_id = round_.intend("REPRICE", order.order_id, f"to {to_text(price_e4)}", client_order_id=name)
    if step_id is None:
        return None
    state, said = change(round_, step_id, working.key, name, *exits_at(price_e4))
    round_.answered(step_id, state, said)
    return None
