"""Which changes retreat from the market, and what waits for a condition judged in its own place; the book comes back as it was."""

from __future__ import annotations

import copy

import pytest

from riskguard.core.account import signature
from riskguard.core.book import Working
from riskguard.core.change import decide_change, decide_standing, is_lowering, is_retreat, retreat_refused
from riskguard.core.decide import decide
from riskguard.core.limits import LimitSet
from riskguard.core.reject import RejectCode
from riskguard.core.state import TradingState
from tests.core.builders import NOW, account, halted, inr, limit, line, mandatory, order
from tests.core.tables import Row, table

RETREATS = table("""
    side  type              price  trigger  to_type           to_price  to_trigger  retreat
    SELL  LIMIT             100    -        LIMIT             99.95     -           no
    SELL  LIMIT             100    -        LIMIT             100       -           no
    SELL  LIMIT             100    -        LIMIT             100.05    -           yes
    BUY   LIMIT             100    -        LIMIT             100.05    -           no
    BUY   LIMIT             100    -        LIMIT             99.95     -           yes
    SELL  STOP_LOSS         79     80       STOP_LOSS         70        80.05       no
    SELL  STOP_LOSS         79     80       STOP_LOSS         79.5      80          no
    SELL  STOP_LOSS         79     80       STOP_LOSS         79        79.95       yes
    BUY   STOP_LOSS_MARKET  -      120      STOP_LOSS_MARKET  -         119.95      no
    BUY   STOP_LOSS_MARKET  -      120      STOP_LOSS_MARKET  -         120.05      yes
    SELL  STOP_LOSS         79     80       MARKET            -         -           no
    SELL  LIMIT             100    -        MARKET            -         -           no
    SELL  STOP_LOSS         79     80       LIMIT             79        -           yes
    SELL  LIMIT             100    -        STOP_LOSS         79        80          yes
    SELL  STOP_LOSS         79     80       STOP_LOSS_MARKET  -         80          yes
    BUY   LIMIT             100    -        LIMIT             99.9999   -           yes
    SELL  STOP_LOSS         79     80       STOP_LOSS         79        79.9999     yes
    SELL  MARKET            -      -        MARKET            -         -           no
""")


@pytest.mark.parametrize("row", RETREATS, ids=str)
def test_an_exit_retreats_when_it_trades_later(row: Row) -> None:
    """To sell: a dearer limit, a lower trigger; to buy the other way; another type but a market order always."""
    before = order(row.side, 10, row.opt("price"), order_type=row.type, trigger_price=row.opt("trigger"))
    after = order(row.side, 10, row.opt("to_price"), order_type=row.to_type, trigger_price=row.opt("to_trigger"))

    assert is_retreat(before, after) == row.has("retreat")


LOWERINGS = table("""
    goal                       side  type       quantity  price  trigger  to_type    to_quantity  to_price  to_trigger  lowering
    nothing changes            BUY   LIMIT      10        100    -        LIMIT      10           100       -           yes
    a unit less                BUY   LIMIT      10        100    -        LIMIT      9            100       -           yes
    a unit more                BUY   LIMIT      10        100    -        LIMIT      11           100       -           no
    to buy cheaper             BUY   LIMIT      10        100    -        LIMIT      10           99.95     -           yes
    to buy dearer              BUY   LIMIT      10        100    -        LIMIT      10           100.05    -           no
    to sell dearer             SELL  LIMIT      10        100    -        LIMIT      10           100.05    -           yes
    to sell cheaper            SELL  LIMIT      10        100    -        LIMIT      10           99.95     -           no
    another trigger            SELL  STOP_LOSS  10        79     80       STOP_LOSS  10           79        79.95       no
    the same trigger           SELL  STOP_LOSS  10        79     80       STOP_LOSS  10           79.5      80          yes
    a type that trades now     SELL  STOP_LOSS  10        79     80       LIMIT      10           79        -           no
    dearer by the least        BUY   LIMIT      10        100    -        LIMIT      10           100.0001  -           no
    a market order of fewer    BUY   MARKET     10        -      -        MARKET     9            -         -           yes
    one that waits to trade    BUY   LIMIT      10        100    -        MARKET     10           -         -           no
""")


@pytest.mark.parametrize("row", LOWERINGS, ids=str)
def test_what_can_do_nothing_the_order_before_could_not(row: Row) -> None:
    """No more units, no worse price, the same trigger and type."""
    before = order(
        row.side, row.number("quantity"), row.opt("price"), order_type=row.type, trigger_price=row.opt("trigger")
    )
    after = order(
        row.side, row.number("to_quantity"), row.opt("to_price"), order_type=row.to_type,
        trigger_price=row.opt("to_trigger"),
    )  # fmt: skip
    assert is_lowering(before, after) is row.has("lowering")


def test_a_change_of_an_order_the_book_does_not_know() -> None:
    """It may have filled or gone meanwhile: the change is judged as it is, and nothing is put into the book."""
    of = account(line(10), limits=LimitSet(tuple(mandatory())))
    before = copy.deepcopy(of.positions)
    assert decide_change(order("SELL", 5), order("SELL", 4), "gone", of, NOW).approved
    assert of.positions == before


STATES = table("""
    state        to     by    code
    ACTIVE       79.95  -     -
    REDUCE_ONLY  79.95  -     REDUCE_ONLY
    REDUCE_ONLY  80.05  -     -
    HALTED       79.95  asha  -
    HALTED       80.05  asha  -
    HALTED       80.05  -     TRADING_HALTED
""")


@pytest.mark.parametrize("row", STATES, ids=str)
def test_a_stop_retreats_only_while_the_account_is_active(row: Row) -> None:
    """Or by a person's hand. The book is as it was, whatever the answer."""
    held = line(10)
    held.working["w"] = Working("w", -1, 10, True, True)
    held.refresh()
    causes = () if row.state == "ACTIVE" else (halted(state=TradingState[row.state]),)
    of = account(held, limits=LimitSet(tuple(mandatory())), causes=causes)
    before = copy.deepcopy(held)

    def stop(trigger: str) -> object:
        return order("SELL", 10, None, order_type="STOP_LOSS_MARKET", trigger_price=trigger, client_order_id="w2")

    found = decide_change(stop("80"), stop(row.to), "w", of, NOW, row.opt("by") or "")  # type: ignore[arg-type]

    assert [each.code.value for each in found.rejects] == ([] if row.opt("code") is None else [row.code])
    assert (found.decided_at_us, found.limits_digest) == (NOW, of.limits.digest)
    assert found.order.trigger_price_e4 == inr(row.to)
    assert held == before
    if found.approved:
        assert found.facts is not None and (found.facts.now_us, found.facts.modifying) == (NOW, "w")
    elif row.state == "REDUCE_ONLY":
        assert [each.detail for each in found.rejects] == ["the exit would move away from the market"]
        assert found.facts is None
    else:
        by_nobody = decide_change(stop("80"), stop(row.to), "w", of, NOW)  # type: ignore[arg-type]
        assert [each.code.value for each in by_nobody.rejects] == [row.code]


@pytest.mark.parametrize(
    ("reducing", "protective", "refused"), [(True, False, True), (False, True, True), (False, False, False)]
)
def test_what_reduces_and_what_guards_may_not_retreat(reducing: bool, protective: bool, refused: bool) -> None:
    """Each by itself makes it an exit; an order that is neither guards nothing."""
    held = line(10)
    held.working["w"] = Working("w", -1, 10, reducing, protective)
    of = account(held.refresh(), limits=LimitSet(tuple(mandatory())), causes=(halted(state=TradingState.REDUCE_ONLY),))
    before, after = order("SELL", 10, "100"), order("SELL", 10, "100.05", client_order_id="w2")

    found = decide_change(before, after, "w", of, NOW)
    assert (found.approved, found.order) == (not refused, after)


def test_a_retreat_from_a_halted_account_has_its_code() -> None:
    """By a scope that is halted though the exit itself would be let out: the code is the state's own."""
    found = retreat_refused(order("SELL"), TradingState.HALTED, NOW, "it would move")
    assert (found.rejects[0].code, found.limits_digest, found.order) == (RejectCode.TRADING_HALTED, "", order("SELL"))
    assert found.rejects[0].hint == "move it towards the market, or cancel it"


def test_an_entry_may_be_made_less_dear_under_reduce_only() -> None:
    """It is no exit: asking for less is less risk."""
    flat = line(0)
    flat.working["w"] = Working("w", 1, 10, False)
    flat.refresh()
    of = account(flat, limits=LimitSet(tuple(mandatory())), causes=(halted(state=TradingState.REDUCE_ONLY),))
    before, after = order("BUY", 10, "100"), order("BUY", 10, "99.95", client_order_id="w2")

    assert is_lowering(before, after) and is_retreat(before, after)
    assert decide_change(before, after, "w", of, NOW).approved


@pytest.mark.parametrize("state", [TradingState.REDUCE_ONLY, TradingState.HALTED])
def test_the_refusal_names_the_state_and_the_way_out(state: TradingState) -> None:
    """Its code is the state's, nothing of that side would pass, and it carries no facts that would approve it again."""
    found = retreat_refused(order("SELL"), state, NOW, "the stop would move", "digest")
    (reject,) = found.rejects

    codes = {TradingState.HALTED: RejectCode.TRADING_HALTED, TradingState.REDUCE_ONLY: RejectCode.REDUCE_ONLY}
    assert (reject.code, reject.check, reject.max_quantity) == (codes[state], "trading_state", 0)
    assert reject.detail == "the stop would move" and "towards the market, or cancel" in reject.hint
    assert (found.approved, found.facts, found.limits_digest, found.decided_at_us) == (False, None, "digest", NOW)


STANDING = table("""
    held  sells   state        approved
    10    10      REDUCE_ONLY  yes
    10    6,4     REDUCE_ONLY  yes
    10    6,5     REDUCE_ONLY  no
    10    11      REDUCE_ONLY  no
    10    10      HALTED       no
    0     10      ACTIVE       yes
    0     10      REDUCE_ONLY  no
""")


@pytest.mark.parametrize("row", STANDING, ids=str)
@pytest.mark.parametrize("name", ["alert:7", "c1"])
def test_what_waits_is_judged_together_in_its_own_place(row: Row, name: str) -> None:
    """Its own reservation and its own signature do not stand in its way; the book comes back, in every case."""
    held = line(row.number("held"))
    sells = [int(each) for each in row.sells.split(",")]
    for n, quantity in enumerate(sells):
        key = f"{name}:{n}"
        held.working[key] = Working(key, -1, quantity, True, order_id="7" if name == "c1" else "")
    held.refresh()
    causes = () if row.state == "ACTIVE" else (halted(state=TradingState[row.state]),)
    of = account(held, limits=LimitSet(tuple(mandatory())), causes=causes)
    ours = frozenset({"7"}) if name == "c1" else frozenset(held.working)
    before, same = copy.deepcopy(held), dict(of.same)

    found = decide_standing([order("SELL", each, client_order_id=f"s{each}") for each in sells], of, NOW, ours)

    assert all(each.approved for each in found) == row.has("approved")
    assert held == before and of.same == same


def test_another_orders_reservation_counts() -> None:
    """What is not of the alert stays in the book while it is judged."""
    held = line(10)
    held.working["other"] = Working("other", -1, 5, True, order_id="8")
    held.refresh()
    of = account(held, limits=LimitSet(tuple(mandatory())), causes=(halted(state=TradingState.REDUCE_ONLY),))

    def asked(quantity: int) -> bool:
        (found,) = decide_standing([order("SELL", quantity, client_order_id="s")], of, NOW, frozenset({"7"}))
        return found.approved

    assert asked(5) and not asked(6)


def test_several_lines_are_judged_without_what_waits_in_them() -> None:
    """What waits in each product is taken off its own line; with one of them left standing its exit would be one too many."""
    intraday, margin = line(10), line(10, product="MARGIN")
    for held in (intraday, margin):
        held.working[held.product] = Working(held.product, -1, 10, True, order_id="7")
        held.refresh()
    of = account(
        intraday, margin, limits=LimitSet(tuple(mandatory())), causes=(halted(state=TradingState.REDUCE_ONLY),)
    )
    exits = [order("SELL", 10, product=held.product, client_order_id=held.product) for held in (intraday, margin)]

    assert all(each.approved for each in decide_standing(exits, of, NOW, frozenset({"7"})))
    assert not any(each.approved for each in decide_standing(exits, of, NOW, frozenset()))


def test_what_waits_is_no_duplicate_of_itself() -> None:
    """Its own signature is forgotten meanwhile and comes back; of an order with another price it stays."""
    limits = LimitSet((*mandatory(), limit("duplicate_order", within_s=10)))
    of = account(line(10), limits=limits)
    asked, other = order("BUY", 5, client_order_id="a"), order("BUY", 5, "101", client_order_id="b")
    of.same = {signature(asked): NOW, signature(other): NOW}

    (found,) = decide_standing([asked], of, NOW, frozenset())
    assert found.approved and of.same == {signature(asked): NOW, signature(other): NOW}
    assert not decide(asked, of, NOW).approved, "one of its own beside it would be a duplicate"
