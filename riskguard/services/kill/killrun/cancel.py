"""CANCEL: what adds risk goes, whoever sent it and in whatever form it rests; what protects stays."""

from __future__ import annotations

import json

from riskguard.core.seen import SeenOrder
from riskguard.services.kill.killrun import aside, reasons, shrinking
from riskguard.services.kill.killrun.judging import Judged, comes_back, is_stop, judge
from riskguard.services.kill.killrun.plans import CANCEL_TRIES_MAX, back_off_us
from riskguard.services.kill.killrun.round import Round


def cancel(round_: Round) -> None:
    """
    Do one round of cancelling; the step is over after two clean reads, and not while a sent order may still turn up.

    An order in transit cannot be cancelled: it is waited for. A request that was taken proves nothing: the order is
    gone when the broker's list says so.
    """
    judged = judge(round_.seen.orders or (), round_.account, round_.scope)
    naked = aside.restore_all(round_)
    doubt = round_.doubt if round_.run.halts else ""
    if judged.unsure:
        late = f"{len(judged.unsure)} orders the position list has not caught up with"
        doubt = f"{late}, {doubt}" if doubt else late
    if not judged.adding and not doubt and naked is None:
        if round_.clean("nothing that adds risk rests"):
            round_.move("OPEN", "FLATTEN" if round_.plan_has("FLATTEN") else "VERIFY", "nothing that adds risk rests")
        return
    ending = [order for order in judged.adding if not _made_to_fit(round_, order, judged)]
    stuck = [order for order in ending if not cancel_one(round_, order)]
    if any(_protection_lost(round_, order) for order in ending):
        round_.look_again()  # a stop may have gone with it: it comes back in the same breath
        naked = aside.restore_all(round_) or naked
    said = f"{len(judged.adding)} orders to cancel" + (f", {doubt}" if doubt else "")
    if naked is not None:
        round_.block(naked)
    elif stuck and len(stuck) == len(judged.adding):
        round_.block(_kept_by_the_broker(round_, stuck, said) or reasons.Reason("CANCEL_REFUSED", said))
    else:
        urgent = _urgent(round_)
        if urgent is not None:
            round_.block(urgent)
        else:
            round_.late(said, _kept_by_the_broker(round_, judged.adding, said))


def _made_to_fit(round_: Round, order: SeenOrder, judged: Judged) -> bool:
    """Make a stop smaller that would protect if it were; returns False for what has to be cancelled, in this very round."""
    units = judged.fits.get(order.order_id)
    return units is not None and shrinking.can(round_, order) and shrinking.shrink(round_, order, units)


def cancel_one(round_: Round, order: SeenOrder) -> bool:
    """
    Ask for one cancellation unless it is in transit, was asked for a moment ago, or no message is left.

    Returns False once all attempts were made without effect.
    """
    if order.status.upper() == "TRANSIT":
        return True
    tries = round_.tries("CANCEL", order.order_id)
    given_up = len(tries) >= CANCEL_TRIES_MAX
    if tries and round_.now_us - tries[-1].at_us < back_off_us(len(tries), CANCEL_TRIES_MAX):
        return not given_up
    if not round_.pace.take():
        round_.wake_us = round_.pace.frees_us
        return not given_up
    contents = _protection_lost(round_, order)
    step_id = round_.intend(
        "CANCEL", order.order_id, f"cancel {order.kind} {order.side} {order.remaining}", contents=contents
    )
    if step_id is not None:
        round_.write(step_id, lambda: round_.broker.cancel(order.order_id), message="CANCEL")
    return not given_up


def _protection_lost(round_: Round, order: SeenOrder) -> str:
    """
    Return the stop that goes when *order* goes, as JSON; "" for none.

    Cancelling the entry of a super order ends its legs, and with them the stop of what has filled already. A stop larger
    than what it guards would open a position with the rest of it: where it cannot be made smaller it goes, and comes back
    as large as what is held.
    """
    if comes_back(order):
        guarded = _guarded(round_, order)
        return json.dumps(aside.kept_of(order, min(order.remaining, guarded))) if guarded else ""
    if order.kind != "SUPER" or order.leg != "ENTRY" or not order.filled or not order.group:
        return ""
    for leg in round_.seen.orders or ():
        if leg.group == order.group and leg.is_live and is_stop(leg):
            return json.dumps(aside.kept_of(leg, min(leg.remaining, order.filled)))
    return ""


def _guarded(round_: Round, order: SeenOrder) -> int:
    """Return how many units are held that *order* would take away."""
    line = round_.account.positions.get((order.exchange_segment, order.security_id), {}).get(order.product)
    return 0 if line is None else max(0, line.near if order.side == "SELL" else -line.near)


def _kept_by_the_broker(round_: Round, adding: list[SeenOrder], said: str) -> reasons.Reason | None:
    """Name an order that was asked to go and stays, for when nothing has moved for a while."""
    for order in adding:
        tries = round_.tries("CANCEL", order.order_id)
        if tries:
            return reasons.refused("CANCEL_REFUSED", f"{said}; the broker keeps {order.order_id}: {tries[-1].detail}")
    return None


def _urgent(round_: Round) -> reasons.Reason | None:
    """Say whether this round's cancels were refused for a reason only a person can mend: token or address."""
    failed = [each for each in round_.steps if each.step == "CANCEL" and each.state == "FAILED"]
    if not failed or failed[-1].round < round_.number - 1:
        return None
    why = reasons.refused("CANCEL_REFUSED", failed[-1].detail)
    return why if reasons.is_urgent(why) else None
