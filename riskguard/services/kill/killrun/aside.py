"""
Stops taken aside: a protective order goes only together with the exit of its instrument, and comes back if that exit
cannot be placed. What it was is written down before it goes, so that whoever takes the run over can put it back.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from riskguard.core.book import Line
from riskguard.core.money import to_text
from riskguard.core.order import Order
from riskguard.core.seen import SeenOrder
from riskguard.errors import BrokerError, OrderInvalidError, PermitError, StoreError
from riskguard.redaction import redacted
from riskguard.services.kill.killrun import naming
from riskguard.services.kill.killrun.judging import KILL_RUN
from riskguard.services.kill.killrun.plans import EXIT_TRIES_MAX, back_off_us
from riskguard.services.kill.killrun.reasons import Reason
from riskguard.services.kill.killrun.round import Round
from riskguard.store.kills import KillStep


def kept_of(order: SeenOrder, quantity: int) -> dict[str, Any]:
    """Return what has to be known of a stop to place it again."""
    return {
        "order_id": order.order_id, "exchange_segment": order.exchange_segment, "security_id": order.security_id,
        "side": order.side, "product": order.product, "quantity": quantity, "price_e4": order.price_e4,
        "trigger_price_e4": order.trigger_price_e4,
    }  # fmt: skip


def take(round_: Round, order: SeenOrder) -> None:
    """Cancel a protective order to make room for the exit of its line, having written down what it was."""
    contents = json.dumps(kept_of(order, order.remaining))
    step_id = round_.intend("ASIDE", order.order_id, f"aside {order.side} {order.remaining}", contents=contents)
    if step_id is not None:
        round_.write(step_id, lambda: round_.broker.cancel(order.order_id), message="CANCEL")


def restore_all(round_: Round) -> Reason | None:
    """Put back every stop whose position stands without it; returns why one could not be."""
    found: Reason | None = None
    for step, kept, quantity in owed(round_):
        found = _restore(round_, step, kept, quantity) or found
    return found


def restore(round_: Round, segment: str, security: str, product: str) -> Reason | None:
    """Put back the stops of one line; returns why one could not be."""
    found: Reason | None = None
    for step, kept, quantity in owed(round_):
        if (kept["exchange_segment"], kept["security_id"], kept["product"]) == (segment, security, product):
            found = _restore(round_, step, kept, quantity) or found
    return found


def owed(round_: Round) -> Iterator[tuple[KillStep, dict[str, Any], int]]:
    """
    Yield what was taken from a position that still stands uncovered: the step, the stop, and how much to put back.

    A stop whose cancellation is in doubt and which the list still shows, and a part an exit or another stop works on,
    are not owed.
    """
    live = {each.order_id for each in round_.seen.orders or () if each.is_live}
    given: dict[tuple[str, str, str, str], int] = {}
    for step in round_.steps:
        if not step.contents or step.state not in ("SENT", "DONE", "UNKNOWN"):
            continue
        kept = json.loads(step.contents)
        if kept["order_id"] in live or not kept["trigger_price_e4"]:
            continue
        if any(each.state in ("DONE", "SENT", "UNKNOWN") and each.at_us >= step.at_us
               for each in round_.tries("PUT_BACK", kept["order_id"])):  # fmt: skip
            continue
        key = (kept["exchange_segment"], kept["security_id"], kept["product"], kept["side"])
        line = round_.account.positions.get(key[:2], {}).get(key[2])
        quantity = min(kept["quantity"], uncovered(line, kept["side"]) - given.get(key, 0))
        if quantity > 0:
            given[key] = given.get(key, 0) + quantity
            yield step, kept, quantity


def taken_away(steps: Iterable[KillStep]) -> dict[str, str]:
    """Return the line of each stop that was cancelled to come back: neither it nor an exit of its line has gone since."""
    taken: dict[str, tuple[str, int]] = {}
    # By line, the last round that sent one: an exit is written before the stop that makes way for it.
    exits: dict[str, int] = {}
    for step in steps:
        if step.state not in ("SENT", "DONE", "UNKNOWN"):
            continue
        if step.contents:
            kept = json.loads(step.contents)
            line = f"{kept['exchange_segment']}:{kept['security_id']}:{kept['product']}"
            taken[kept["order_id"]] = line, step.round
        elif step.step == "PUT_BACK":
            taken.pop(step.target, None)
        elif step.step == "FLATTEN":
            exits[step.target.partition("#")[0]] = step.round
    return {order_id: line for order_id, (line, round_) in taken.items() if exits.get(line, -1) < round_}


def uncovered(line: Line | None, side: str) -> int:
    """Return how much of a line no exit of *side* works on."""
    if line is None:
        return 0
    return max(0, (line.near - line.selling) if side == "SELL" else (-line.near - line.buying))


def _restore(round_: Round, step: KillStep, kept: dict[str, Any], quantity: int) -> Reason | None:
    target = str(kept["order_id"])
    tries = [each for each in round_.tries("PUT_BACK", target) if each.at_us >= step.at_us]
    where = f"{kept['exchange_segment']}:{kept['security_id']} {kept['product']}"
    if tries and round_.now_us - tries[-1].at_us < back_off_us(len(tries), EXIT_TRIES_MAX):
        return Reason("STOP_NOT_RESTORED", f"{where} stands without its stop: {tries[-1].detail}")
    if not round_.pace.take():
        round_.wake_us = round_.pace.frees_us
        return None
    name = naming.client_order_id(round_.run, "PUT_BACK", round_.number, target)
    step_id = round_.intend("PUT_BACK", target, f"put back {kept['side']} {quantity}", client_order_id=name)
    if step_id is None:
        return None
    round_.mark(step_id)
    try:
        order = _order(round_, kept, quantity, name)
        decision = round_.guard.place(order, round_.broker.place, emergency_exit=f"kill-run:{round_.run.id}")
    except (OrderInvalidError, PermitError) as e:
        said = redacted(str(e))
    except (BrokerError, StoreError) as e:
        said = redacted(f"{type(e).__name__}: {e}")
        if naming.may_rest(e):
            round_.answered(step_id, "UNKNOWN", said)
            return None  # it may rest there: looked for, never sent twice
    else:
        if decision.approved:
            round_.answered(step_id, "DONE", "the stop stands again")
            return None
        said = decision.explain()
    round_.answered(step_id, "FAILED", said)
    return Reason("STOP_NOT_RESTORED", f"{where} stands without its stop: {said}")


def _order(round_: Round, kept: dict[str, Any], quantity: int, name: str) -> Order:
    price_e4, trigger_e4 = kept["price_e4"], kept["trigger_price_e4"]
    return Order(
        account=round_.name, client_order_id=name, exchange_segment=kept["exchange_segment"],
        security_id=kept["security_id"], side=kept["side"], product=kept["product"],
        order_type="STOP_LOSS" if price_e4 else "STOP_LOSS_MARKET", quantity=quantity,
        price=to_text(price_e4) if price_e4 else None, trigger_price=to_text(trigger_e4), strategy=KILL_RUN,
    )  # fmt: skip
