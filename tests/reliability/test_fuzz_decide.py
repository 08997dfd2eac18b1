"""
Two hundred thousand orders of anything through `Order` and `decide`, against books in every state.

The pure path of a check: no database, so that there can be very many. Each order is refused when it is built, with the one
typed error, or answered; an approval is of a finite, whole, positive number within its range, and inside the limits of a
second calculation as simple as can be.
"""

from __future__ import annotations

import random

import pytest

from riskguard.core import decide as deciding
from riskguard.core.account import Account
from riskguard.core.limits import LimitSet
from riskguard.core.order import QUANTITY_MAX, Order
from riskguard.core.state import TradingState
from riskguard.errors import InputError
from tests.core.builders import FUTURE, NOW, SHARE, account, halted, limit, line, mandatory, option, quote
from tests.reliability.claiming import Claims
from tests.reliability.test_fuzz_guard import proposal

SEED = 20250603
POSITION_MAX = 100
VALUE_MAX_E4 = 100_000 * 10_000
BESIDE = {FUTURE.key: 25, option().key: -25}
"""Held beside the share, as MARGIN: what closes it is an exit, and bound by no value."""

LIMITS = LimitSet((*mandatory(), limit("net_position", position_max=str(POSITION_MAX), unit="units")))


def books() -> list[tuple[Account, int, int, int]]:
    """Accounts to ask against; with each what the share's line holds, has buying and has selling."""
    call = option()
    made = []
    for net, buys, sells in ((0, 0, 0), (50, 0, 0), (-50, 0, 0), (90, 10, 0), (-90, 0, 10), (10, 40, 40), (100, 0, 0)):
        for causes in ((), (halted(),), (halted(state=TradingState.REDUCE_ONLY),)):
            of = account(
                line(net, buys=buys, sells=sells), limits=LIMITS, causes=causes, quoted=quote("99.95", "100", "100.05"),
                others=tuple((each, line(BESIDE[each.key], product="MARGIN")) for each in (FUTURE, call)),
            )  # fmt: skip
            made.append((of, net, buys, sells))
    made.append((account(limits=LIMITS, known=False), 0, 0, 0))
    made.append((account(line(10)), 10, 0, 0))  # no limits at all
    return made


def put(
    fields: dict[str, object], of: Account, net: int, buys: int, sells: int, emergency_by: str, mapped: bool
) -> str:
    """Put one proposal to one account; returns what came of it. Anything untyped, or wrong, fails the test."""
    try:
        order = Order.from_mapping(fields) if mapped else Order(**fields)  # type: ignore[arg-type]
    except InputError:
        return "malformed"
    except TypeError as e:
        assert "argument" in str(e), e  # Python's own answer to a call without, or with an unknown, argument
        return "malformed"
    decision = deciding.decide(order, of, NOW, emergency_by)
    assert not any(each.code.value == "CHECK_BROKEN" for each in decision.rejects), (order, decision.explain())
    if not decision.approved:
        assert decision.rejects
        return "refused"
    assert type(order.quantity) is int and 0 < order.quantity <= QUANTITY_MAX
    sign = 1 if order.side == "BUY" else -1
    held = net if order.instrument == SHARE.key else 0
    if order.product == "MARGIN" and order.instrument in of.positions:
        held = BESIDE.get(order.instrument, held)
    takes_away = held * sign < 0 and order.quantity <= abs(held)
    if of.causes:
        assert takes_away, (order, net, of.causes)
    if any(each.state is TradingState.HALTED for each in of.causes):
        assert emergency_by, order
    if not takes_away:
        assert of.limits is LIMITS, "without limits nothing that adds passes"
        assert of.position_seen_us is not None, "where the position is not known nothing that adds passes"
        assert order.price_e4 is None or order.quantity * order.price_e4 <= VALUE_MAX_E4, order
        if order.instrument == SHARE.key and order.product == "INTRADAY":
            reach = sign * net + (buys if sign > 0 else sells) + order.quantity
            assert reach <= POSITION_MAX, (order, net, buys, sells)
    return "approved"


def fuzzed(seed: int, orders: int) -> dict[str, int]:
    chance, against, found = random.Random(seed), books(), {}
    for number in range(orders):
        of, net, buys, sells = against[number % len(against)]
        fields = proposal(chance)
        if number % 3:
            fields = {**fields, "account": "leader", "quote": None, "validity": "DAY"}  # more of them get past the door
        try:
            came = put(fields, of, net, buys, sells, "priya" if number % 5 == 0 else "", bool(number & 1))
        except AssertionError as e:
            raise AssertionError(f"order {number} of seed {seed}: {e}") from e
        found[came] = found.get(came, 0) + 1
    return found


@pytest.mark.claim(
    "I9", "orders of anything through Order and decide", of="orders", ci=200_000, soak=1_000_000, seconds=50
)
def test_nothing_but_the_typed_error_or_a_right_answer(claim: Claims) -> None:
    """Seeded, so that a failure comes back; every outcome is really met."""
    orders = claim("I9").figure
    found = fuzzed(SEED, orders)

    claim("I9").trials(orders)
    claim("I9").counted(**found)
    assert min(found.get(each, 0) for each in ("malformed", "refused", "approved")) > orders // 200, found


def test_the_control_a_rule_that_is_left_out_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the fuzz looks for can happen: with the state left out, a halted account lets orders through and the fuzz fails."""
    honest = deciding.decide

    def blind(order: Order, of: Account, now_us: int, emergency_by: str = "") -> object:
        causes, of.causes = of.causes, ()
        of.settle_state()
        try:
            return honest(order, of, now_us, emergency_by)
        finally:
            of.causes = causes
            of.settle_state()

    monkeypatch.setattr(deciding, "decide", blind)
    with pytest.raises(AssertionError, match="of seed"):
        fuzzed(SEED, 20_000)
