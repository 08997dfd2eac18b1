"""One exit on its way: asked like any order, its room made, marked, sent, answered; and what protects put back if not."""

from __future__ import annotations

from riskguard.core.book import Working
from riskguard.core.decide import Decision
from riskguard.core.money import to_text
from riskguard.core.order import Order
from riskguard.core.reject import RejectCode
from riskguard.errors import BrokerError, PermitError, RiskGuardError, StoreError
from riskguard.redaction import redacted
from riskguard.services.kill.killrun import aside, naming, prices, reasons
from riskguard.services.kill.killrun.covering import Covered
from riskguard.services.kill.killrun.judging import KILL_RUN
from riskguard.services.kill.killrun.reasons import Reason
from riskguard.services.kill.killrun.round import Overtaken, Round, Unreadable
from riskguard.services.orders.slicing import sliced

NOT_FREE = "its room is not free yet"
LOOKS_MAX = 3
"""A cancellation takes a moment; each look at a real broker takes one too."""


def exit_line(round_: Round, each: Covered, quantity: int, protecting: list[Working]) -> Reason | None:
    """
    Send the exits of one line: slices the exchange takes, a protected limit where a price is known.

    Returns why none could be sent, or None. Protective orders go only once an exit has its permit.
    """
    sign = -1 if each.line.near > 0 else 1
    quote = round_.account.quotes.get(each.key)
    price_e4 = prices.protected_e4(quote, sign, each.instrument, round_.now_us, 0)
    if protecting and prices.at_circuit(quote, sign):
        # Nobody is on the other side: the stop keeps its place, and the exit would only stand in its way.
        return Reason("CIRCUIT", f"{each.target} stands at its circuit limit; its stop stays")
    whole = Order(
        account=round_.name, client_order_id=naming.client_order_id(round_.run, "FLATTEN", round_.number, each.target),
        exchange_segment=each.key[0], security_id=each.key[1], side="SELL" if sign < 0 else "BUY",
        product=each.line.product, order_type="MARKET", quantity=quantity, strategy=KILL_RUN,
    )  # fmt: skip
    reason: Reason | None = None
    for number, part in enumerate(sliced(round_.guard, whole, each.instrument)[0]):
        if number and not round_.pace.take():
            round_.wake_us = round_.pace.frees_us
            break
        if not number:
            round_.pace.take()
        target = each.target if not number else f"{each.target}#{number + 1}"
        reason = _one(round_, part, target, price_e4)
        if reason is not None:
            break
    if reason is None:
        return None
    if protecting or each.target in aside.taken_away(round_.steps).values():
        round_.look_again()  # what was reserved for the exit is free again: the stop may have its room back
        return aside.restore(round_, *each.key, each.line.product) or (reason if reason.code else None)
    return reason if reason.code else None


def _one(round_: Round, order: Order, target: str, price_e4: int | None) -> Reason | None:
    """Send one exit; a Reason without a code: not now, look again."""
    step_id = round_.intend(
        "FLATTEN", target, f"close {order.quantity}", client_order_id=str(order.client_order_id)
    )  # fmt: skip
    if step_id is None:
        return None  # begun before: what became of it is in the book
    by = f"kill-run:{round_.run.id}"
    decision = _permitted(round_, order, price_e4, by)
    if not decision.approved or decision.permit is None:
        round_.answered(step_id, "FAILED", decision.explain())
        if any(each.code is RejectCode.ORDER_RATE_ABOVE_LIMIT for each in decision.rejects):
            round_.wake_us = next((each.frees_at_us for each in decision.rejects if each.frees_at_us), None)
            return Reason("", "")
        return _refused(target, decision)
    permit = decision.permit
    try:
        if decision.cancel_first and not _room_made(round_, decision.cancel_first):
            _give_back(permit)
            round_.answered(step_id, "FAILED", NOT_FREE)
            return Reason("", "")
        round_.mark(step_id)
        with permit.sending() as wire:
            round_.fence()
            wire.order_id = round_.broker.place(decision.approved_order)
    except (Overtaken, Unreadable):
        _give_back(permit)  # or its reservation would keep the next exit waiting until it expires
        raise
    except (BrokerError, PermitError, StoreError) as e:
        said = redacted(str(e))
        lost = isinstance(e, BrokerError) and naming.may_rest(e)
        round_.answered(step_id, "UNKNOWN" if lost else "FAILED", said)
        return None if lost else reasons.refused("EXIT_REFUSED", f"the exit of {target} was refused: {said}")
    round_.answered(step_id, "DONE", "placed")
    return None


def _permitted(round_: Round, order: Order, price_e4: int | None, by: str) -> Decision:
    """Ask for the exit as a limit; where a rule about prices is in its way, at market."""
    if price_e4 is not None:
        limited = order.replaced(order_type="LIMIT", price=to_text(price_e4))
        decision = round_.guard.check(limited, emergency_exit=by)
        codes = {each.code for each in decision.rejects}
        if decision.approved or not codes or not codes <= naming.PRICE_CODES:
            return decision
        order = order.replaced(client_order_id=f"{order.client_order_id}{naming.AT_MARKET}")
    return round_.guard.check(order, emergency_exit=by)


def _room_made(round_: Round, names: tuple[str, ...]) -> bool:
    """Take the protective orders in the way aside and look whether they are gone."""
    wanted = set(names)
    for order in round_.seen.orders or ():
        if order.is_live and order.order_id in wanted and round_.pace.take():
            aside.take(round_, order)
    for _ in range(LOOKS_MAX):
        round_.look_again()
        if not any(order.is_live and order.order_id in wanted for order in round_.seen.orders or ()):
            return True
    return False


def _refused(target: str, decision: Decision) -> Reason:
    return reasons.refused("EXIT_REFUSED", f"the exit of {target} was refused: {decision.explain()}")


def _give_back(permit: object) -> None:
    try:
        permit.release()  # type: ignore[attr-defined]
    except RiskGuardError:
        return  # it expires by itself
