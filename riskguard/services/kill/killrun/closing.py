"""Closing one line: what stands in the way goes first, the exit is never larger than what is left, and is looked after."""

from __future__ import annotations

from riskguard.core.book import Line, Working
from riskguard.core.direction import Direction, direction
from riskguard.core.order import Order
from riskguard.core.seen import SeenOrder
from riskguard.services.kill.killrun import aside, converting, prices, reasons, sending
from riskguard.services.kill.killrun.cancel import cancel_one
from riskguard.services.kill.killrun.covering import Covered, covered
from riskguard.services.kill.killrun.judging import KILL_RUN
from riskguard.services.kill.killrun.plans import DOUBT_US, EXIT_TRIES_MAX, back_off_us
from riskguard.services.kill.killrun.reasons import Reason
from riskguard.services.kill.killrun.repricing import look_after
from riskguard.services.kill.killrun.round import Round

FAILURES_BORNE = 3
"""So many refusals in a row are a reason to be BLOCKED; the tries go on."""


def close(round_: Round, each: Covered, *, again: bool = False) -> Reason | None:
    """
    Do for one line what can be done now; returns why nothing can, or None while it moves.

    The quantity is what a fresh read shows less every exit that works, nearer to zero where two books disagree.
    """
    line, key = each.line, each.key
    unclear = _unanswered(round_, each)
    if unclear is not None:
        return unclear if unclear.code else None
    if not line.near:
        return None  # our fills and the list disagree on the side: the next read tells
    sign = -1 if line.near > 0 else 1
    own, others = _exits(round_, line, sign)
    trouble = look_after(round_, each, own)
    quantity = abs(line.near) - sum(working.remaining for working in own)
    if quantity <= 0:
        return trouble
    blocked = _not_now(round_, each, sign, quantity)
    if blocked is not None:
        naked = aside.restore(round_, *key, line.product)
        return naked or blocked
    if round_.now_us - _last_us(round_, each) < _wait_us(round_, each):
        naked = aside.restore(round_, *key, line.product)
        return naked or _given_up(round_, each)
    plain = [
        working for working in others
        if not working.protective and not working.exit_group and not _guards(round_, working)
    ]  # fmt: skip
    if plain:
        guarding = any(working.trigger_price_e4 is not None for working in plain)
        if guarding and not again and not round_.pace.has(len(plain) + 2):
            round_.wake_us = round_.pace.frees_us
            return None  # the exit has to follow at once, or the stop come back
        _clear(round_, plain)
        if again or not guarding:
            return None
        round_.look_again()  # a stop was among them: its exit goes in the same breath
        there = round_.account.positions.get(key, {}).get(line.product)
        return None if there is None else close(round_, each._replace(line=there), again=True)
    if _convert(round_, each, others, sign):
        return None
    if not round_.pace.has(1 + len(others)):
        round_.wake_us = round_.pace.frees_us
        return None
    refused = sending.exit_line(round_, each, quantity, others)
    if refused is not None and refused.code == "EXIT_REFUSED" and _failures(round_, each) + 1 < FAILURES_BORNE:
        return None  # once is not a reason yet: it is tried again in a moment
    return refused


def _exits(round_: Round, line: Line, sign: int) -> tuple[list[Working], list[Working]]:
    """Return the exits of a line that are a kill run's, and the others."""
    own: list[Working] = []
    others: list[Working] = []
    for working in line.working.values():
        if working.sign != sign:
            continue
        ours = working.strategy == KILL_RUN or working.order_id in round_.others.converted
        # Whether a stop did become an exit, its type in the book says.
        is_exit = not working.protective and working.trigger_price_e4 is None
        (own if ours and is_exit else others).append(working)
    return own, others


def _unanswered(round_: Round, each: Covered) -> Reason | None:
    """An exit of this line was sent and never answered: it may have closed it, so nothing is sent on a guess."""
    waiting = round_.account.unanswered.get(each.key, {})
    leaves = -1 if each.line.near > 0 else 1
    working = each.line.working
    mine = [at_us for name, at_us in waiting.items() if name in working and working[name].sign == leaves]
    if not mine:
        return None
    if round_.now_us - min(mine) < DOUBT_US:
        return Reason("", "")
    said = f"an exit of {each.target} was sent and never answered: look for it at the broker; it is not sent twice"
    return Reason("EXIT_UNANSWERED", said)


def _not_now(round_: Round, each: Covered, sign: int, quantity: int) -> Reason | None:
    """Say why no exit of this line can go now: closed, or it would uncover a short option."""
    closed = reasons.closed(round_.broker, (each.key[0],), round_.now_us)
    if closed is not None:
        return closed
    order = Order(
        account=round_.name, exchange_segment=each.key[0], security_id=each.key[1], side="SELL" if sign < 0 else "BUY",
        product=each.line.product, order_type="MARKET", quantity=quantity,
    )  # fmt: skip
    account = round_.account
    verdict, _first = direction(order, each.line, True, each.instrument, account.positions, account.instruments)
    if verdict is not Direction.UNHEDGING:
        return None
    shorts = [
        one for one in covered(account, round_.scope, round_.options.flatten_products)
        if one.line.near < 0 and one.instrument is not None and one.instrument.is_option
    ]  # fmt: skip
    if shorts:
        return Reason("HEDGE_FIRST", f"{each.target} covers a short option that is closed first")
    said = f"{each.target} covers a short option the plan keeps: close the short, or name its product in `flatten_products`"
    return Reason("HEDGE_FIRST", said)


def _clear(round_: Round, plain: list[Working]) -> None:
    """Take other exits out of the way: two of them could close the line twice."""
    names = {working.order_id or working.key for working in plain}
    for order in _live(round_):
        if order.order_id in names:
            cancel_one(round_, order)


def _convert(round_: Round, each: Covered, others: list[Working], sign: int) -> bool:
    """Make exits of the stops that can become one; True when some are on their way to it."""
    if prices.at_circuit(round_.account.quotes.get(each.key), sign):
        return False
    names = {
        working.order_id or working.key for working in others if working.protective or _guards(round_, working)
    }  # fmt: skip
    stops = [order for order in _live(round_) if order.order_id in names and converting.can(round_, order)]
    for order in stops:
        converting.convert(round_, each, order)
    return bool(stops)


def _guards(round_: Round, working: Working) -> bool:
    """
    Say whether an exit that was let out as an entry is a stop the broker can change.

    A stop sent right after its entry, before anybody saw the fill, was no exit when it was judged. It guards the line all
    the same: taken out of the way first, it would leave the line bare until the exit goes.
    """
    if working.trigger_price_e4 is None:
        return False
    return any(order.order_id == working.order_id and converting.can(round_, order) for order in _live(round_))


def _live(round_: Round) -> list[SeenOrder]:
    return [order for order in round_.seen.orders or () if order.is_live]


def _failures(round_: Round, each: Covered) -> int:
    """Count refused exits of the line since one was last taken."""
    count = 0
    for step in round_.steps:
        if step.step == "FLATTEN" and step.target.partition("#")[0] == each.target and step.detail != sending.NOT_FREE:
            count = 0 if step.state == "DONE" and not _died(round_, step.read_back) else count + 1
    return count


def _died(round_: Round, shown: str) -> bool:
    """Say whether an exit the broker took was then rejected by the exchange, or cancelled without a fill."""
    words = shown.split()
    return len(words) == 3 and words[1].upper() in ("REJECTED", "CANCELLED", "EXPIRED") and words[2].startswith("0/")


def _last_us(round_: Round, each: Covered) -> int:
    mine = [step for step in round_.steps if step.step == "FLATTEN" and step.target.partition("#")[0] == each.target]
    return mine[-1].at_us if mine else 0


def _wait_us(round_: Round, each: Covered) -> int:
    failures = _failures(round_, each)
    return back_off_us(failures, EXIT_TRIES_MAX) if failures else 0


def _given_up(round_: Round, each: Covered) -> Reason | None:
    """Between attempts: None while it is early, the last refusal once there were several."""
    if _failures(round_, each) < FAILURES_BORNE:
        return None
    mine = [step for step in round_.steps if step.step == "FLATTEN" and step.target.partition("#")[0] == each.target]
    said = mine[-1].detail if mine[-1].state != "DONE" else f"the exchange rejects it: {mine[-1].read_back}"
    if prices.at_circuit(round_.account.quotes.get(each.key), -1 if each.line.near > 0 else 1):
        return Reason("CIRCUIT", f"{each.target} stands at its circuit limit: {said}")
    return reasons.refused("EXIT_REFUSED", f"the exit of {each.target} is refused: {said}")
