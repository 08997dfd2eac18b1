"""The broker's own close-everything: once, only where nothing is kept, then looked at; the plan is what it falls back to."""

from __future__ import annotations

from riskguard.services.kill.killrun import reasons
from riskguard.services.kill.killrun.covering import covered, kept
from riskguard.services.kill.killrun.plans import EXIT_ALL_GRACE_US
from riskguard.services.kill.killrun.round import Round
from riskguard.services.kill.powers import exit_all_of

ONCE = 1
"""The round number of its only step: whoever takes the run over finds it begun, and never repeats it."""
EVERYTHING = "ALL"


def is_at_it(round_: Round) -> bool:
    """
    Ask for it if this is the time, or wait for what it does; True when this round is done with.

    While its exits may be at work nothing of ours is sent: they are not in our book yet, and two exits cross zero.
    """
    steps = round_.tries("EXIT_ALL", EVERYTHING)
    if steps:
        began_us, state = steps[-1].at_us, steps[-1].state
        if state == "FAILED" or round_.now_us - began_us >= EXIT_ALL_GRACE_US:
            return False
        if not covered(round_.account, round_.scope, round_.options.flatten_products):
            return False  # flat already: the two clean reads are the proof
        round_.wake_us = began_us + EXIT_ALL_GRACE_US
        round_.move("OPEN", round_.run.step, "the broker closes everything: waiting for its fills")
        return True
    broker = exit_all_of(round_.broker)
    if broker is None or not _may(round_) or not round_.pace.take():
        return False
    step_id = round_.intend("EXIT_ALL", EVERYTHING, "the broker closes everything", number=ONCE)
    if step_id is None:
        return False
    state, said = round_.write(step_id, broker.exit_all, message="NEW")
    if state == "FAILED":
        return False
    round_.wake_us = round_.now_us + EXIT_ALL_GRACE_US
    round_.move("OPEN", round_.run.step, f"the broker was asked to close everything: {said}")
    return True


def _may(round_: Round) -> bool:
    """Say whether nothing would be closed that the plan keeps, and everything could be."""
    if not round_.options.exit_all or not round_.run.halts or round_.scope:
        return False
    lines = covered(round_.account, "", round_.options.flatten_products)
    if not lines or kept(round_.account, "", round_.options.flatten_products):
        return False
    if any(each.line.working and not each.line.near for each in lines) or round_.account.unanswered:
        return False
    closing = {each.key for each in lines}
    if any(order.is_live and (order.exchange_segment, order.security_id) not in closing
           for order in round_.seen.orders or ()):  # fmt: skip
        return False  # the stop of a holding would go with it
    return all(reasons.closed(round_.broker, (each.key[0],), round_.now_us) is None for each in lines)
