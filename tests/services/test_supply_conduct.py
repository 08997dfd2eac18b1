"""What the checks of conduct and hours read: it arrives from rows, whoever wrote them, and a replay agrees."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from riskguard.admin import release
from riskguard.core.state import TradingState
from riskguard.errors import PermitNotSendableError
from riskguard.services import overview
from riskguard.services.setup import add_instruments
from tests.services.desk import CALL, DAY, SECOND, SHARE, START, Clock, Desk, rulebook

LOOP = 'check = "repeated_execution"\ntrip_at_fills = {fills}\ntrip_at_refusals = {refusals}\nper_s = 60'
RATIO = 'check = "order_to_trade_ratio"\norders_per_trade_max = 2\nexempt_band_pct_max = "0.75"\norders_free = 3'
SMALL = 'check = "order_value"\norder_value_inr_max = "1000"'


def loop(fills: int = 1_000, refusals: int = 1_000) -> str:
    return LOOP.format(fills=fills, refusals=refusals)


def codes(decision: Any) -> list[str]:
    return [each.code.value for each in decision.rejects]


def ready(make_desk: Callable[..., Desk], **limits: str) -> Desk:
    made = make_desk(text=rulebook(**limits), hold_s=0)
    made.sweep()
    return made


def agrees(desk: Desk) -> None:
    """The journal is whole, and deciding again on what it kept gives the same."""
    for entry in overview.verify(desk.store):
        assert (entry["wrong"], entry["replay_disagrees"]) == (None, [])


def fill(desk: Desk, strategy: str, side: str = "BUY") -> None:
    """One turn: approved, sent, filled at once, and the fill booked."""
    desk.quote("100")
    desk.place(desk.order(side, 1, None, strategy=strategy))
    desk.sweep()


# -- cycles ------------------------------------------------------------------------------------------------------------


def test_a_runaway_of_fills_halts_its_strategy_and_nobody_else(make_desk: Callable[..., Desk]) -> None:
    """The third fill within a minute trips: the strategy is halted in every process, another goes on, exits pass."""
    desk = ready(make_desk, repeated_execution=loop(fills=3))
    for _ in range(3):
        fill(desk, "dip")
    other = desk.another_guard()
    waiting = desk.guard.check(desk.order(strategy="calm"))
    tripped = desk.guard.check(desk.order(strategy="dip"))

    assert codes(tripped) == ["REPEATED_EXECUTION"] and tripped.rejects[0].measured == 3
    assert desk.rows("SELECT scope, state, code FROM state_causes WHERE cleared_at_us IS NULL") == [
        ("STRATEGY:dip", "HALTED", "LIMIT_BREACHED")
    ]
    assert codes(desk.guard.check(desk.order(strategy="dip"))) == ["TRADING_HALTED", "REPEATED_EXECUTION"]
    assert codes(desk.guard.check(desk.order("SELL", 60, strategy="dip"))) == ["TRADING_HALTED"]
    assert codes(other.check(desk.order("SELL", 60, strategy="dip"))) == ["TRADING_HALTED"]
    assert other.check(desk.order(strategy="calm", price="99")).approved
    assert other.check(desk.order("SELL", 1, strategy="")).approved
    assert waiting.permit is not None
    with waiting.permit.sending() as wire:  # the other strategy's permit was not touched
        wire.order_id = desk.broker.place(waiting.approved_order)
    agrees(desk)


def test_a_narrow_halt_voids_and_holds_back_its_own_permits_alone(make_desk: Callable[..., Desk]) -> None:
    """An approved order of the halted strategy is void; one that a cause overtakes is not sent either."""
    desk = ready(make_desk, repeated_execution=loop(fills=2))
    fill(desk, "dip")
    fill(desk, "dip")
    held, calm = (
        desk.order("BUY", 2, "90", strategy="rip"),
        desk.guard.check(desk.order("BUY", 3, "90", strategy="calm")),
    )
    early = desk.guard.check(held)
    assert early.approved and calm.approved
    tripped = desk.guard.check(desk.order(strategy="dip"))
    assert codes(tripped) == ["REPEATED_EXECUTION"]
    assert desk.permit(str(held.client_order_id)) == "GRANTED"

    # The same for a cause nobody voided anything for: written by hand, it is met at the wire.
    desk.sql(
        "INSERT INTO state_causes (account, scope, state, code, raised_at_us) VALUES (?, ?, 'HALTED', 'SQL', ?)",
        "leader", "STRATEGY:rip", desk.clock.now_us(),
    )  # fmt: skip
    assert early.permit is not None and calm.permit is not None
    with pytest.raises(PermitNotSendableError, match="HALTED"), early.permit.sending():
        raise AssertionError("it went out")
    again = desk.guard.check(held)
    assert codes(again) == ["TRADING_HALTED"] and "STRATEGY:rip" in again.rejects[0].message
    with calm.permit.sending() as wire:
        wire.order_id = desk.broker.place(calm.approved_order)
    assert desk.permit(str(calm.client_order_id)) == "ACKED"


def test_a_halt_of_a_strategy_voids_what_it_was_granted(make_desk: Callable[..., Desk]) -> None:
    """And only that: the other strategy's permit stays GRANTED."""
    desk = ready(make_desk, repeated_execution=loop(fills=2))
    fill(desk, "dip")
    mine, theirs = desk.order("BUY", 2, "90", strategy="dip"), desk.order("BUY", 2, "90", strategy="calm")
    assert desk.guard.check(mine).approved and desk.guard.check(theirs).approved
    fill(desk, "dip")
    assert codes(desk.guard.check(desk.order(strategy="dip"))) == ["REPEATED_EXECUTION"]

    assert desk.permit(str(mine.client_order_id)) == "VOID"
    assert desk.permit(str(theirs.client_order_id)) == "GRANTED"


def test_only_a_named_person_releases_the_strategy(make_desk: Callable[..., Desk]) -> None:
    """Neither time nor a sweep lifts it; after the release what was counted before is not counted again."""
    desk = ready(make_desk, repeated_execution=loop(fills=2))
    fill(desk, "dip")
    fill(desk, "dip")
    assert codes(desk.guard.check(desk.order(strategy="dip"))) == ["REPEATED_EXECUTION"]
    desk.sweep(90)
    assert codes(desk.guard.check(desk.order(strategy="dip"))) == ["TRADING_HALTED"]
    fill(desk, "calm")
    desk.sweep(6)

    done = release(desk.store, "leader", by="asha", reason="its loop was mended", clock=desk.clock)
    assert done.state is TradingState.REDUCE_ONLY  # on probation: what ran away once is looked at once more
    assert codes(desk.guard.check(desk.order(strategy="dip"))) == ["REDUCE_ONLY"]
    assert desk.guard.check(desk.order("SELL", 1, strategy="dip")).approved
    done = release(desk.store, "leader", by="ravi", reason="it behaves", clock=desk.clock)
    assert done.state is TradingState.ACTIVE
    assert desk.guard.check(desk.order(strategy="dip", price="99")).approved
    cleared = desk.rows(
        "SELECT a.by_whom FROM state_causes s JOIN control_actions a ON a.id = s.action_id ORDER BY s.id"
    )
    assert cleared == [("asha",), ("ravi",)]
    agrees(desk)


def test_turns_before_a_release_do_not_count(make_desk: Callable[..., Desk]) -> None:
    """Fills and refusals still in the window would halt the strategy again at its first order."""
    desk = ready(make_desk, repeated_execution=loop(fills=2, refusals=3), order_value=SMALL)
    fill(desk, "dip")
    fill(desk, "dip")
    for _ in range(3):
        desk.guard.check(desk.order(quantity=11, strategy="rip"))
        desk.clock.advance(1.1)
    for strategy in ("dip", "rip"):
        assert codes(desk.guard.check(desk.order(strategy=strategy, price="99"))) == ["REPEATED_EXECUTION"]
    desk.sweep(6)
    for reason in ("looked at both", "both behave"):  # the first one ends in probation
        release(desk.store, "leader", by="asha", reason=reason, clock=desk.clock)

    for guard in (desk.guard, desk.another_guard()):
        for strategy in ("dip", "rip"):
            assert guard.check(desk.order(strategy=strategy, price="98")).approved


def test_refusals_count_with_their_repeats_in_every_process(make_desk: Callable[..., Desk]) -> None:
    """Four refusals here, of which three took no row, and the fifth over there trips it."""
    desk = ready(make_desk, repeated_execution=loop(refusals=4), order_value=SMALL)
    for _ in range(4):
        assert codes(desk.guard.check(desk.order(quantity=11, strategy="dip"))) == ["ORDER_VALUE_ABOVE_LIMIT"]
    assert desk.one("SELECT count(*) FROM risk_violations") == 1
    assert desk.another_guard().check(desk.order(strategy="dip", side="SELL", quantity=1)).approved
    desk.guard.flush_repeats()
    other = desk.another_guard()
    tripped = other.check(desk.order(strategy="dip", price="99"))

    assert codes(tripped) == ["REPEATED_EXECUTION"] and tripped.rejects[0].measured == 4
    agrees(desk)


def test_counts_this_process_has_only_in_memory_survive_a_reload(make_desk: Callable[..., Desk]) -> None:
    """Another writer moves the head between two refusals: the repeats not yet on disk still count."""
    desk = ready(make_desk, repeated_execution=loop(refusals=4), order_value=SMALL)
    for _ in range(4):
        desk.guard.check(desk.order(quantity=11, strategy="dip"))
    desk.another_guard().report_positions([], account="leader")

    assert codes(desk.guard.check(desk.order(strategy="dip", price="99"))) == ["REPEATED_EXECUTION"]


def test_refusals_of_a_stopped_account_are_not_counted(make_desk: Callable[..., Desk]) -> None:
    """A strategy that goes on asking while killed is not halted anew by what it heard."""
    desk = ready(make_desk, repeated_execution=loop(refusals=2))
    desk.kill()
    for _ in range(5):
        assert codes(desk.guard.check(desk.order(strategy="dip"))) == ["TRADING_HALTED"]
        desk.clock.advance(1.1)
    desk.sweep(6)
    release(desk.store, "leader", by="asha", reason="false alarm", clock=desk.clock)

    assert desk.guard.check(desk.order(strategy="dip")).approved


def test_exits_are_no_turns(make_desk: Callable[..., Desk]) -> None:
    """A position closed in slices is no runaway of sales."""
    desk = ready(make_desk, repeated_execution=loop(fills=3))
    desk.hold(9, strategy="calm")
    for _ in range(4):
        fill(desk, "dip", "SELL")

    assert desk.guard.check(desk.order("SELL", 50, "99", strategy="dip")).approved


def test_an_unnamed_strategy_halts_its_account(make_desk: Callable[..., Desk]) -> None:
    """There is nobody else to stop."""
    desk = ready(make_desk, repeated_execution=loop(fills=2))
    fill(desk, "")
    fill(desk, "")
    assert codes(desk.guard.check(desk.order())) == ["REPEATED_EXECUTION"]

    assert desk.one("SELECT scope FROM state_causes") == "ACCOUNT:leader"
    assert codes(desk.guard.check(desk.order(strategy="calm"))) == ["TRADING_HALTED"]


def test_two_breaches_stop_both_whom_they_concern(make_desk: Callable[..., Desk]) -> None:
    """One order breaks a limit that halts the account and one that halts the strategy."""
    desk = ready(make_desk, repeated_execution=loop(fills=1), order_value=SMALL + '\non_breach = "halt"')
    fill(desk, "dip")
    desk.guard.check(desk.order(quantity=11, strategy="dip"))

    assert {row[0] for row in desk.rows("SELECT scope FROM state_causes")} == {"STRATEGY:dip", "ACCOUNT:leader"}


# -- the day's ratio ---------------------------------------------------------------------------------------------------


def test_the_days_orders_away_from_the_market_are_counted_from_rows(make_desk: Callable[..., Desk]) -> None:
    """Three are free; near ones never count; another process's count at once, a fill makes room for two."""
    desk = ready(make_desk, order_to_trade_ratio=RATIO)
    desk.quote("100")
    other = desk.another_guard()
    for guard in (desk.guard, other, desk.guard):
        assert guard.check(desk.order("BUY", 1, "99.20")).approved
    for guard in (desk.guard, other):
        assert guard.check(desk.order("BUY", 1, "99.25")).approved
        refused = guard.check(desk.order("BUY", 1, "99.20"))
        assert codes(refused) == ["ORDER_TO_TRADE_RATIO_ABOVE_LIMIT"]
        assert (refused.rejects[0].measured, refused.rejects[0].limit) == (4, 3)
    agrees(desk)


def test_trades_make_room_and_permits_that_never_went_out_do_not_count(make_desk: Callable[..., Desk]) -> None:
    """Two fills allow four; three unsent permits expire and leave the count."""
    desk = ready(make_desk, order_to_trade_ratio=RATIO)
    fill(desk, "a")
    fill(desk, "b")
    for _ in range(4):
        assert desk.guard.check(desk.order("BUY", 1, "99.20")).approved
    assert codes(desk.guard.check(desk.order("BUY", 1, "99.20"))) == ["ORDER_TO_TRADE_RATIO_ABOVE_LIMIT"]
    desk.sweep(11)
    desk.quote("100")

    assert desk.guard.check(desk.order("BUY", 1, "99.20")).approved


def test_what_was_sent_counts_all_day_and_no_longer(make_desk: Callable[..., Desk]) -> None:
    """Sent and cancelled or not; the next day begins at nothing."""
    desk = ready(make_desk, order_to_trade_ratio=RATIO)
    desk.quote("100")
    for _ in range(3):
        desk.place(desk.order("BUY", 1, "99.20"))
    desk.sweep(60)
    desk.quote("100")
    assert codes(desk.another_guard().check(desk.order("BUY", 1, "99.20"))) == ["ORDER_TO_TRADE_RATIO_ABOVE_LIMIT"]
    desk.clock.at_us += DAY
    desk.sweep()
    desk.quote("100")

    assert codes(desk.guard.check(desk.order("BUY", 1, "99.20"))) == []


def test_the_reference_is_kept_also_where_no_check_asked_for_it(make_desk: Callable[..., Desk]) -> None:
    """An exit is not asked about the ratio; it counts as what it is, near the market."""
    desk = ready(make_desk, order_to_trade_ratio=RATIO)
    desk.hold(10)
    desk.quote("100")
    desk.guard.check(desk.order("SELL", 1, "100.10", client_order_id="near"))

    assert desk.one("SELECT reference_e4 FROM permits WHERE client_order_id = 'near'") == 1_000_000


# -- changes -----------------------------------------------------------------------------------------------------------


def test_changes_of_one_order_are_counted_by_their_messages(make_desk: Callable[..., Desk]) -> None:
    """Two may be sent, by whichever process; the third is refused, and a new order is no change."""
    desk = ready(make_desk, modification_count='check = "modification_count"\nmodifications_max = 2')
    desk.quote("100")
    desk.place(desk.order(quantity=10, price="90", client_order_id="w"))
    desk.sweep()
    for guard, price in ((desk.guard, "91"), (desk.another_guard(), "92")):
        decision = guard.check_modify("w", account="leader", price=price)
        assert decision.approved, decision.explain()
        with decision.permit.sending() as wire:
            wire.order_id = desk.broker.modify(decision.approved_order)
    refused = desk.guard.check_modify("w", account="leader", price="93")

    assert codes(refused) == ["MODIFICATIONS_ABOVE_LIMIT"] and refused.rejects[0].measured == 3
    assert desk.guard.check(desk.order(price="93")).approved  # a new order is no change
    agrees(desk)


# -- hours -------------------------------------------------------------------------------------------------------------

HOURS = 'check = "trading_window"\nunknown_day = "refuse"\nwindows = "session"\nsquare_off_tail_s = "none"'
AUCTION = START + (428 * 24 + 4) * 3600 * SECOND + 50 * 60 * SECOND
"""2026-08-04, a Tuesday, 15:20 in India."""


def test_the_calendar_arrives_and_a_replay_needs_none(make_desk: Callable[..., Desk]) -> None:
    """10:30 on a Monday passes, 15:30 does not, and says when it opens."""
    desk = ready(make_desk, trading_window=HOURS)
    assert desk.guard.check(desk.order()).approved
    desk.clock.at_us += 5 * 3600 * SECOND
    refused = desk.guard.check(desk.order(strategy="late"))

    assert codes(refused) == ["OUTSIDE_TRADING_WINDOW"]
    assert refused.rejects[0].frees_at_us == START + DAY - 75 * 60 * SECOND  # 09:15 the day after
    agrees(desk)


@pytest.mark.parametrize(("underlying", "expected"), [("HDFCBANK", ["STOP_ORDER_NOT_TAKEN"]), ("TCS", [])])
def test_shares_of_the_closing_auction_are_those_with_futures(
    make_desk: Callable[..., Desk], underlying: str, expected: list[str]
) -> None:
    """A row of the master says so; a contract that has expired says nothing."""
    desk = make_desk(text=rulebook(trading_window=HOURS), clock=Clock(AUCTION))
    live = dataclasses.replace(
        CALL, security_id="60001", symbol=f"{underlying}-Aug2026-FUT", kind="FUTSTK", underlying=underlying,
        expiry="2026-08-27", option_type="",
    )  # fmt: skip
    gone = dataclasses.replace(live, security_id="60002", underlying="HDFCBANK", expiry="2026-07-30")
    with desk.store.session() as session:
        add_instruments(session, [live, gone], desk.clock.now_us())
    desk.sweep()
    stop = desk.order("BUY", 1, None, order_type="STOP_LOSS_MARKET", trigger_price="100")

    assert codes(desk.guard.check(stop)) == expected
    agrees(desk)


# -- adjusted exits ----------------------------------------------------------------------------------------------------


def test_an_adjusted_exit_is_what_the_permit_holds_and_what_is_sent(make_desk: Callable[..., Desk]) -> None:
    """A market stop of an option goes out as a stop with a limit, also when it is asked about again."""
    desk = ready(make_desk, stop_limit_gap='check = "stop_limit_gap"')
    desk.hold(25, instrument=CALL)
    asked = desk.order_of(CALL, "SELL", 25, None, order_type="STOP_LOSS_MARKET", trigger_price="90")
    decision = desk.guard.check(asked)

    assert decision.approved and decision.adjusted_to is not None and "adjusted" in decision.explain()
    sent = decision.adjusted_to
    assert (sent.order_type, str(sent.price), str(sent.trigger_price)) == ("STOP_LOSS", "72.00", "90.00")
    columns = "order_type, price_e4, trigger_price_e4, direction"
    assert desk.rows(f"SELECT {columns} FROM permits WHERE client_order_id = ?", asked.client_order_id) == [  # noqa: S608
        ("STOP_LOSS", 720_000, 900_000, "REDUCING")
    ]
    again = desk.guard.check(asked)
    assert again.approved and again.adjusted_to == sent and again.approved_order.order == sent
    with again.permit.sending() as wire:
        wire.order_id = desk.broker.place(again.approved_order)
    (resting,) = [each for each in desk.broker.orders() if each.order_id == wire.order_id]
    assert (resting.order_type, resting.price_e4, resting.trigger_price_e4) == ("STOP_LOSS", 720_000, 900_000)
    agrees(desk)


def test_an_entry_of_that_kind_is_refused_with_the_way_out(make_desk: Callable[..., Desk]) -> None:
    """Only exits are changed for their owner."""
    desk = ready(make_desk, stop_limit_gap='check = "stop_limit_gap"')
    refused = desk.guard.check(desk.order_of(CALL, "BUY", 25, None, order_type="STOP_LOSS_MARKET", trigger_price="90"))

    assert codes(refused) == ["STOP_ORDER_NOT_TAKEN"] and "STOP_LOSS with a limit" in refused.rejects[0].hint


def test_a_circuit_band_pushed_by_the_feed_clips_an_exit(make_desk: Callable[..., Desk]) -> None:
    """The band of today's quote: an entry beyond it is refused, an exit goes to its edge."""
    desk = ready(make_desk, price_band='check = "price_band"')
    desk.hold(10)
    desk.guard.quote(*SHARE.key, ltp="100", lower_band="90", upper_band="110")
    entry, leaving = desk.guard.check(desk.order("BUY", 1, "110.05")), desk.guard.check(desk.order("SELL", 10, "80"))

    assert codes(entry) == ["PRICE_OUTSIDE_BAND"]
    assert leaving.approved and leaving.adjusted_to is not None and str(leaving.adjusted_to.price) == "90.00"
    agrees(desk)
