"""Edges of the live checks one by one: what is left out, what lasts, what begins anew, and which of several is meant."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest

from riskguard import data
from riskguard.core.book import Working
from riskguard.core.calendar import Calendar, ist_us
from riskguard.core.instrument import Instrument
from riskguard.core.live.loss import tighter_e4
from riskguard.core.live.trips import DayFills, Entry, Fill, Trip, walk
from riskguard.core.live.view import Basket, Leg, Peer, Unexplained
from riskguard.core.quote import Quote
from riskguard.core.seen import SeenFunds
from riskguard.core.state import TradingState
from tests.core.builders import FUTURE, NOW, SECOND, SHARE, account, inr, line, option
from tests.core.live.sights import TIERS, Watch
from tests.core.tables import Row, table

HOURS = Calendar.parse(data.calendar_text())
HERE, THERE = "INSTRUMENT:NSE_EQ:1333", "INSTRUMENT:NSE_FNO:35001"
LINE = (*SHARE.key, "INTRADAY")
OUT = f"reduce_only@{HERE} task:flatten@{HERE}"
OUT_THERE = f"reduce_only@{THERE} task:flatten@{THERE}"


def clock(text: str, day: dt.date = dt.date(2024, 6, 4)) -> float:
    hour, minute = (int(each) for each in text.split(":"))
    return (ist_us(day, hour * 3600 + minute * 60) - NOW) / SECOND


# -- sessions -----------------------------------------------------------------------------------------------------------

BY_SCOPE: list[tuple[str, dict[str, Any]]] = [
    ("cooldown", {"after": "stop", "pause_s": 60}), ("expiry_day", {"warn_days": 3, "before_close_s": 3600}),
    ("orphan_follower", {"orphan_s_max": 60}), ("orphan_leg", {"incomplete_s_max": 60}),
    ("protective_order_missing", {"missing_s_max": 60, "on_breach": "reduce_only"}),
    ("unsolicited_order", {"on_breach": "reduce_only"}),
    ("square_off_time", {"before_close_s": 60}), ("position_loss", {"position_loss_inr_max": "1", "at_once_pct": 100}),
]  # fmt: skip


@pytest.mark.parametrize(("check", "given"), BY_SCOPE, ids=[name for name, _ in BY_SCOPE])
def test_a_new_session_clears_what_stood_over_a_part(check: str, given: dict[str, Any]) -> None:
    """Under the limit's own name and cause; the clock set back and forth again clears nothing."""
    watch = Watch(check, **given)
    watch.memory = {"day": "2024-06-04", "raised": {HERE: 1}}
    assert watch.look(date="2024-06-05") == f"clear@{HERE}"
    (gone,) = watch.made.clears
    assert (gone.limit, gone.cause, gone.message) == (watch.limit, check.upper(), "a new session")


def test_a_clock_set_back_and_forth_begins_no_session() -> None:
    watch = Watch("profit_target", target_inr="1000")
    assert [watch.look(pnl="1000"), watch.look(pnl="1000")] == ["-", "reduce_only"]
    assert [watch.look(pnl="1000", date=f"2024-06-0{day}") for day in (3, 4)] == ["-", "-"]
    assert watch.look(pnl="0", date="2024-06-05") == "clear"


def test_what_was_away_for_one_look_ages_anew() -> None:
    """A stop that stood for a moment: the minute begins again when it is gone."""
    stop = Working("s", -1, 10, True, protective=True, order_id="s")
    watch = Watch("protective_order_missing", account(line(10)), missing_s_max=60, on_breach="reduce_only")
    watch.look(0)
    watch.of = account(line(10, working=(stop,)))
    watch.look(30)
    watch.of = account(line(10))
    assert [watch.look(31), watch.look(61), watch.look(91)] == ["-", "-", OUT]


# -- several positions ------------------------------------------------------------------------------------------------


def test_each_position_is_judged_by_itself() -> None:
    """One that is not known, that loses little, or that waits for its second reading, hides no other."""
    both = account(line(10), others=((FUTURE, line(25, product="MARGIN")),))
    average = {LINE: inr("100"), (*FUTURE.key, "MARGIN"): inr("100")}
    for share in (None, "99", "50"):
        watch = Watch("position_loss", both, position_loss_inr_max="500", at_once_pct=150)
        quotes = {FUTURE.key: Quote.of(ltp="50", at_us=NOW)}
        if share is not None:
            quotes[SHARE.key] = Quote.of(ltp=share, at_us=NOW)
        assert watch.look(0, fills=DayFills(average_e4=average), quotes=quotes) == OUT_THERE


AT_ONCE = table("""
    price    done
    25       out
    25.01    -
""")


@pytest.mark.parametrize("row", AT_ONCE, ids=str)
def test_one_reading_is_enough_from_its_share_on(row: Row) -> None:
    """₹750 of ₹500 are 150 %."""
    watch = Watch("position_loss", account(line(10)), position_loss_inr_max="500", at_once_pct=150)
    fills, quotes = DayFills(average_e4={LINE: inr("100")}), {SHARE.key: Quote.of(ltp=row.price, at_us=NOW)}
    assert (watch.look(0, fills=fills, quotes=quotes) == OUT) is (row.done == "out")


NAMED = [
    ("SEGMENT:NSE_EQ", "CNC", True), ("UNDERLYING:HDFCBANK", "CNC", True), (HERE, "CNC", True),
    ("GLOBAL", "CNC", False), ("GLOBAL", "INTRADAY", True), ("SEGMENT:NSE_FNO", "INTRADAY", False),
    (THERE, "INTRADAY", False),
]  # fmt: skip


@pytest.mark.parametrize(("scope", "product", "judged"), NAMED)
def test_positions_outside_the_scope_are_left_alone(scope: str, product: str, judged: bool) -> None:
    """And shares for delivery wherever nobody names them."""
    watch = Watch(
        "position_loss", account(line(10, product=product)), scope=scope, position_loss_inr_max="500", at_once_pct=100
    )  # fmt: skip
    fills = DayFills(average_e4={(*SHARE.key, product): inr("100")})
    done = watch.look(0, fills=fills, quotes={SHARE.key: Quote.of(ltp="50", at_us=NOW)})
    assert done == (OUT if judged else "-")


def test_what_no_master_lists_counts_one_for_one() -> None:
    key = ("NSE_EQ", "9")
    of = account()
    of.positions[key] = {"INTRADAY": line(10)}
    for price, done in (("50.01", False), ("50", True)):
        watch = Watch("position_loss", of, position_loss_inr_max="500", at_once_pct=100)
        fills, quotes = DayFills(average_e4={(*key, "INTRADAY"): inr("100")}), {key: Quote.of(ltp=price, at_us=NOW)}
        assert ("flatten" in watch.look(0, fills=fills, quotes=quotes)) is done


def test_a_sold_option_of_one_unit_wants_its_stop_and_a_bought_one_none() -> None:
    """A trigger guards whether or not it is called protective; a plain limit does not."""
    for net, said in ((1, "-"), (-1, "PROTECTIVE_ORDER_MISSING")):
        watch = Watch("protective_order_missing", account(line(net), instrument=option()), missing_s_max=1)
        watch.look(0)
        watch.look(1)
        assert watch.codes() == said
    for trigger_e4, said in ((900_000, "-"), (None, "PROTECTIVE_ORDER_MISSING")):
        order = Working("s", -1, 10, True, order_id="s", trigger_price_e4=trigger_e4)
        watch = Watch("protective_order_missing", account(line(10, working=(order,))), missing_s_max=1)
        watch.look(0)
        watch.look(1)
        assert watch.codes() == said
    watch = Watch("protective_order_missing", account(line(10)), scope="SEGMENT:NSE_FNO", missing_s_max=1)
    watch.look(0)
    assert watch.look(1) == "-" and watch.codes() == "-" and "bare" not in watch.memory


# -- times to be flat -------------------------------------------------------------------------------------------------


def test_a_share_outside_the_auction_trades_to_the_close() -> None:
    """Who is in the closing auction stops at 15:15; a share that is not, at 15:30; an unlisted one is taken to be in it."""
    day = dt.date(2026, 8, 4)
    for names, instruments, due in (
        ({"OTHER"}, True, "15:27"), ({"HDFCBANK"}, True, "15:12"), (None, True, "15:12"), ({"OTHER"}, False, "15:12"),
    ):  # fmt: skip
        of = account(line(10))
        of.auction_names = None if names is None else frozenset(names)
        if not instruments:
            of.instruments.clear()
        watch = Watch("square_off_time", of, before_close_s=180)
        before = clock(due, day) - 1
        assert watch.look(before, date="2026-08-04", calendar=HOURS) == "-"
        assert watch.look(before + 1, date="2026-08-04", calendar=HOURS) == OUT


def test_what_is_due_stays_so_to_the_sessions_end() -> None:
    """Flat after its time, an instrument is not opened again; other products and scopes are not asked about it."""
    of = account(line(5, product="CO"), line(10), line(25, product="MARGIN"))
    of.positions[("BSE_EQ", "1")] = {
        "MARGIN": line(9, product="MARGIN")
    }  # first in the order, and no intraday position
    watch = Watch("square_off_time", of, before_close_s=180)
    assert watch.look(clock("15:27"), calendar=HOURS) == OUT
    of.positions.clear()
    assert watch.look(clock("15:28"), calendar=HOURS) == "-"
    elsewhere = Watch("square_off_time", account(line(10)), scope="SEGMENT:NSE_FNO", before_close_s=180)
    assert elsewhere.look(clock("15:27"), calendar=HOURS) == "-"


def test_every_contract_that_expires_is_found() -> None:
    """Behind an index contract and one that is far off; once due it is due to the session's end, in its scope alone."""
    far = Instrument("BSE_FNO", "1", "FAR", "FUTSTK", lot_size=25, expiry="2024-07-25")
    stock = Instrument("NSE_FNO", "7", "X-FUT", "FUTSTK", lot_size=25, expiry="2024-06-04")
    others = (
        (far, line(25, product="MARGIN")),
        (FUTURE, line(25, product="MARGIN")),
        (stock, line(25, product="MARGIN")),
    )
    for scope, due in (("ACCOUNT:leader", True), ("SEGMENT:NSE_FNO", True), ("SEGMENT:BSE_FNO", False)):
        of = account(others=others)
        watch = Watch("expiry_day", of, scope=scope, warn_days=3, before_close_s=3600)
        done = watch.look(clock("15:00"), calendar=HOURS)
        assert ("task:flatten@INSTRUMENT:NSE_FNO:7" in done) is due and "BSE_FNO" not in done
        of.positions.clear()
        assert watch.look(clock("15:01"), calendar=HOURS) == "-"


def test_a_position_behind_a_closed_market_is_still_looked_at() -> None:
    """At 15:32 the share's market is closed and the future's open: its old price is what is wrong."""
    day = dt.date(2026, 8, 4)
    of = account(line(10), others=((FUTURE, line(25)),))
    of.session_date = "2026-08-04"
    watch = Watch("feed_health", of, mark_age_s_max=60, bad_reads=1, clean_reads=1)
    assert watch.look(clock("15:32", day), calendar=HOURS) == "reduce_only"
    assert "NIFTY-FUT" in watch.made.findings[-1].message


def test_a_token_on_a_day_without_a_session() -> None:
    """Nothing closes on a Sunday, so nothing ends early; at the close itself it is too late to be early."""
    sunday = clock("10:00", dt.date(2024, 6, 9))
    watch = Watch("token_expiry", before_end_s=60)
    watch.look(sunday, token_until_us=NOW + round((sunday + 600) * SECOND), calendar=HOURS, date="2024-06-09")
    assert watch.codes() == "-"
    close = clock("15:30")
    watch = Watch("token_expiry", before_end_s=60)
    watch.look(close, token_until_us=NOW + round((close - 1) * SECOND), calendar=HOURS, date="2024-06-04")
    assert watch.codes() == "TOKEN_EXPIRY_NEAR" and "ends in 0 s" in watch.made.findings[-1].message
    watch = Watch("token_expiry", before_end_s=60)
    watch.look(0, token_until_us=NOW + 3660 * SECOND, calendar=HOURS)
    assert "ends 61 min from now" in watch.made.findings[-1].message


# -- copies and legs --------------------------------------------------------------------------------------------------


def test_shares_for_delivery_are_copies_too() -> None:
    leader = Peer("boss", "leader", TradingState.ACTIVE, None, None, False, {})
    watch = Watch("orphan_follower", account(line(10, product="CNC")), orphan_s_max=60)
    seen: dict[str, Any] = {"leader": leader, "copied": frozenset({SHARE.key})}
    assert [watch.look(0, **seen), watch.look(60, **seen)] == ["-", OUT]


def legs(*filled: int) -> Basket:
    """Two legs of one unit each, bought: the share and the future."""
    keys = ((SHARE.key, "INTRADAY"), (FUTURE.key, "INTRADAY"))
    return Basket("b", NOW, tuple(Leg(*key, 1, each, False) for key, each in zip(keys, filled, strict=True)))


def test_which_leg_is_an_orphan() -> None:
    """What filled and is still held the same way, in the scope; baskets behind one that is whole are looked at too."""
    of = account(line(1))
    whole, apart = legs(1, 1), legs(1, 0)
    assert Watch("orphan_leg", of, incomplete_s_max=60).look(60, baskets=(whole, apart)) == OUT
    assert Watch("orphan_leg", of, incomplete_s_max=60).look(60, baskets=(legs(0, 0), Basket("e", NOW, ()))) == "-"
    other = account(others=((FUTURE, line(1)),))
    assert Watch("orphan_leg", other, incomplete_s_max=60).look(60, baskets=(legs(0, 1),)) == OUT_THERE
    for net in (0, -1):
        assert Watch("orphan_leg", account(line(net)), incomplete_s_max=60).look(60, baskets=(apart,)) == "-"
    scoped = Watch("orphan_leg", of, scope="SEGMENT:NSE_FNO", incomplete_s_max=60)
    assert scoped.look(60, baskets=(apart,)) == "-"
    scoped = Watch("orphan_leg", of, scope="SEGMENT:NSE_EQ", incomplete_s_max=60)
    assert scoped.look(60, baskets=(apart,)) == OUT


# -- reconciliation -----------------------------------------------------------------------------------------------------


def odd(quantity: int) -> tuple[Unexplained, ...]:
    return (Unexplained(SHARE.key, "INTRADAY", quantity),) if quantity else ()


def test_a_read_that_was_counted_says_nothing_more() -> None:
    """The same list again, explained or not, neither counts nor clears; a list without its time is none."""
    watch = Watch("reconciliation", reads_max=2, halt_after_s=60)
    assert watch.look(0, unexplained=odd(5), unexplained_at_us=NOW) == "-"
    assert watch.look(1, unexplained=odd(0), unexplained_at_us=NOW) == "-"
    assert watch.look(5, unexplained=odd(5), unexplained_at_us=NOW + 5 * SECOND) == "reduce_only"
    for unexplained, at_us in ((odd(5), None), (None, NOW)):
        watch = Watch("reconciliation", reads_max=1, halt_after_s=60)
        assert watch.look(0, unexplained=unexplained, unexplained_at_us=at_us) == "-"


def test_a_difference_that_lasts_may_kill() -> None:
    watch = Watch("reconciliation", reads_max=2, halt_after_s=60, on_breach="kill")
    done = [watch.look(at_s, unexplained=odd(5), unexplained_at_us=NOW + at_s * SECOND) for at_s in (0, 5, 60, 70)]
    assert done == ["-", "reduce_only", "kill", "-"]


WORKING = [({"buys": 7}, 1, True), ({"sells": 7}, -7, True), ({"sells": 7}, -8, False), ({"sells": 7}, 1, False)]


@pytest.mark.parametrize(("working", "quantity", "explained"), WORKING)
def test_what_works_on_the_same_side_may_have_filled(working: dict[str, int], quantity: int, explained: bool) -> None:
    watch = Watch("reconciliation", account(line(0, **working)), reads_max=1, halt_after_s=60)
    done = watch.look(0, unexplained=odd(quantity), unexplained_at_us=NOW)
    assert done == ("-" if explained else "reduce_only")


def test_five_lines_are_all_of_five() -> None:
    lines = tuple(Unexplained(("NSE_EQ", str(number)), "CNC", 1) for number in range(5))
    watch = Watch("reconciliation", reads_max=1, halt_after_s=60)
    watch.look(0, unexplained=lines, unexplained_at_us=NOW)
    assert "more" not in watch.made.findings[-1].message


# -- losses -----------------------------------------------------------------------------------------------------------

TIGHTER = [
    (None, None, 100, None), (7, None, None, 7), (None, 5, None, None), (None, 5, 0, None), (None, 5, -100, None),
    (None, 5, 1, 1), (None, 5, 39, 1), (None, 5, 40, 2), (3, 5, 100, 3), (7, 5, 100, 5), (7, 5, 0, 7),
]  # fmt: skip


@pytest.mark.parametrize(("inr_e4", "pct", "base_e4", "expected"), TIGHTER)
def test_the_tighter_of_an_amount_and_a_percentage(
    inr_e4: int | None, pct: int | None, base_e4: int | None, expected: int | None
) -> None:
    """Of nothing, or less, there is no percentage; of the least there is, one is the least."""
    assert tighter_e4(inr_e4, pct, base_e4) == expected


def weekly(**more: Any) -> Watch:
    return Watch("weekly_loss", loss_inr_max="10000", on_breach="halt", **{**TIERS, **more})


def test_a_tripped_limit_is_not_reduced_by_old_marks_afterwards() -> None:
    watch = weekly()
    assert [watch.look(pnl="-15000", days={}), watch.look(pnl="-15000", fresh=False, days={})] == ["halted", "-"]


def test_how_it_was_proven_is_said_as_it_was() -> None:
    """A paisa below 150 % it was two readings; the same moment looked at twice is one reading, said once."""
    watch = weekly()
    watch.look(0, pnl="-14999.99", days={})
    assert "WEEKLY_LOSS_SEEN" in watch.codes()
    watch.look(0, pnl="-14999.99", days={})
    assert watch.codes() == "-"
    assert watch.look(2, pnl="-14999.99", days={}) == "halted"
    assert watch.made.findings[-1].message.endswith("on two readings")


def test_warnings_are_said_again_the_next_day_and_from_the_first_percent_on() -> None:
    watch = weekly(warn_at_pct=[1, 50])
    assert [(watch.look(pnl=pnl, days={}), watch.codes())[1] for pnl in ("-99.99", "-100", "-100")] == [
        "-", "WEEKLY_LOSS_WARNING", "-",
    ]  # fmt: skip
    watch.look(pnl="-100", days={}, date="2024-06-05")
    assert watch.codes() == "WEEKLY_LOSS_WARNING"


def test_today_is_not_counted_twice() -> None:
    """A figure kept of today is yesterday's news: the view has its own."""
    watch = weekly()
    watch.look(pnl="-5000", days={"2024-06-04": inr("-5000"), "2024-06-05": inr("-5000")})
    assert watch.codes() == "WEEKLY_LOSS_WARNING" and watch.made.findings[-1].measured_e4 == inr("5000")


PLANS = [("flatten", "cancel"), ("broker", "cancel"), ("cancel", "cancel"), ("halt", "halt")]


@pytest.mark.parametrize(("plan", "done"), PLANS)
def test_anothers_figure_flattens_nothing(plan: str, done: str) -> None:
    """As old as may be it counts, older it does not; of two that are equal either will do."""
    given: dict[str, Any] = {"daily_loss_inr_max": "5000", "reduce_only_at_pct": 80, "on_breach": "kill", **TIERS}
    watch = Watch("daily_loss", plan=plan, **given)
    seen = {"broker_pnl_e4": inr("-6000"), "equity_pnl_e4": inr("-6000")}
    watch.look(0, pnl=None, broker_at_us=NOW - 150 * SECOND, **seen)
    assert watch.look(2, pnl=None, broker_at_us=NOW, **seen).endswith("kill")
    assert [each.limit.plan for each in watch.made.actions if each.kill] == [done]
    for age_us, known in ((150 * SECOND, True), (150 * SECOND + 1, False)):
        watch = Watch("daily_loss", **given)
        watch.look(0, pnl=None, broker_pnl_e4=inr("-6000"), broker_at_us=NOW - age_us)
        assert (watch.codes() != "-") is known


def test_a_group_that_cannot_be_added_up_leaves_each_to_itself() -> None:
    """The loss is the account's own then, and called so; what one account takes in is not taken into a sum."""
    given: dict[str, Any] = {"daily_loss_inr_max": "5000", "reduce_only_at_pct": 80, "on_breach": "kill", **TIERS}
    unknown = Peer("x", "follower", TradingState.ACTIVE, None, None, False)
    watch = Watch("daily_loss", scope="GROUP:desk", **given)
    assert watch.look(0, pnl="-7500", peers=(unknown,)) == "reduce_only kill"
    assert watch.made.findings[-1].message.startswith("loss ₹7,500.00 of")
    small = Peer("y", "follower", TradingState.ACTIVE, 0, NOW, True)
    watch = Watch("daily_loss", scope="GROUP:desk", include_exit_cost=True, **given)
    assert watch.look(0, pnl="-3999", peers=(small,), exit_cost_e4=inr("5000")) == "-"


def test_a_drawdown_of_a_percentage_is_of_the_peak_in_todays_money() -> None:
    """₹95,000 now and ₹5,000 down: 5 % of ₹1,00,000."""
    for pnl, tripped in (("-4999", False), ("-5000", True)):
        of = account()
        of.opening_equity_e4 = inr("100000")
        watch = Watch("drawdown", of, kind="STATIC", drawdown_pct_max=5, on_breach="kill", **TIERS)
        assert ("kill" in [watch.look(pnl=pnl), watch.look(pnl=pnl)]) is tripped


def test_sessions_are_closed_with_what_they_made() -> None:
    """Nothing known of a first day is nothing made; realised figures add up over sessions like the others."""
    watch = Watch("drawdown", kind="STATIC", drawdown_inr_max="1000", on_breach="kill", **TIERS)
    watch.look(pnl=None)
    assert {
        watch.memory[name] for name in ("closed_e4", "today_e4", "realised_e4", "realised_today_e4", "peak_e4")
    } == {0}
    for day, pnl in ((4, "10"), (5, "20"), (6, "40")):
        watch.look(pnl=pnl, date=f"2024-06-0{day}")
    watch.look(pnl=None, date="2024-06-07")
    names = ("closed_e4", "realised_e4", "today_e4", "realised_today_e4")
    assert [watch.memory[name] for name in names] == [inr("70"), inr("70"), 0, 0]


# -- margin -----------------------------------------------------------------------------------------------------------

MARGINS = table("""
    used     free      bad  clean
    0        -5        no   yes
    0        0         no   yes
    0.0001   -0.0001   yes  no
    0.0001   0         yes  no
    -0.0001  0         no   yes
    84.9999  15.0001   no   yes
    85       15        no   no
""")


@pytest.mark.parametrize("row", MARGINS, ids=str)
def test_nothing_in_use_is_well_whatever_is_left(row: Row) -> None:
    """And something in use of nothing is all of it."""
    funds = SeenFunds(inr(row.free), None, inr(row.used))
    watch = Watch("margin_utilisation", enter_pct=90, leave_pct=85, clean_reads=1)
    assert (watch.look(funds=funds, funds_at_us=NOW) != "-") is row.has("bad")
    watch.memory = {"raised": True, "read_us": 1, "bad": 1, "clean": 0}
    assert (watch.look(funds=funds, funds_at_us=NOW) == "clear") is row.has("clean")


def test_figures_that_part_again_before_they_agreed_are_not_news() -> None:
    """What is raised stays raised: one good reading and a bad one begin nothing; what was compared is named."""
    watch = Watch("pnl_divergence", difference_inr_max="100", difference_pct_max=20, bad_reads=2, clean_reads=2)
    for broker in ("9000", "9000", "1000", "9000"):
        watch.look(pnl="1000", broker_pnl_e4=inr(broker))
    assert watch.codes() == "-"
    for seen in ({"broker_pnl_e4": inr("9000")}, {"compared_e4": (inr("1000"), inr("9000"))}):
        watch = Watch("pnl_divergence", difference_inr_max="100", difference_pct_max=20, bad_reads=1, clean_reads=2)
        watch.look(pnl="1000", **seen)
        said = "day P&L ₹1,000.00 by our book, ₹9,000.00 by the broker's positions (limit `it`)"
        assert watch.made.findings[-1].message == said


# -- what was traded ----------------------------------------------------------------------------------------------------


def fill(sign: int, quantity: int, price: str, at: int, strategy: str = "dip", **more: Any) -> Fill:
    return Fill(LINE, sign, quantity, inr(price), NOW + at, f"o{at}", strategy=strategy, **more)


def test_a_trip_is_its_openers_and_an_entry_its_orders() -> None:
    """Who opened owns the trip; what was carried in is whose who closed it; the next trip begins with nothing."""
    fills = [
        fill(-1, 10, "110", 1, "out"),
        fill(1, 3, "100", 2, "a"),
        fill(1, 3, "100", 3, "b"),
        fill(-1, 6, "99.99", 4, "c"),
    ]
    made = walk(fills, {LINE: (10, inr("100"))})

    assert made.trips == (
        Trip(LINE, "out", NOW + 1, inr("100"), False), Trip(LINE, "a", NOW + 4, -inr("0.06"), False),
    )  # fmt: skip
    assert made.trips[0].instrument == SHARE.key
    assert made.entries == (Entry(SHARE.key, "a"), Entry(SHARE.key, "b"))
    assert made.average_e4 == {}


def test_averages_are_whole_and_unknown_where_the_carried_part_is() -> None:
    made = walk([fill(1, 2, "100", 1), fill(1, 1, "100.01", 2)], {})
    assert made.average_e4 == {LINE: 1_000_033} and isinstance(made.average_e4[LINE], int)
    unknown = walk([fill(1, 10, "100", 1), fill(-1, 5, "90", 2)], {LINE: (10, None)})
    assert (unknown.average_e4, unknown.trips) == ({LINE: None}, ())


MULTIPLIERS = [(None, 100), ({SHARE.key: 5}, 500), ({}, 100), ({SHARE.key: None}, None), ({FUTURE.key: 5}, 100)]


@pytest.mark.parametrize(("multipliers", "made"), MULTIPLIERS)
def test_a_trip_in_contracts(multipliers: dict[tuple[str, str], int | None] | None, made: int | None) -> None:
    """What a unit stands for; one that nobody knows makes the trip unknown, one that is not listed is 1."""
    (trip,) = walk([fill(1, 10, "100", 1), fill(-1, 10, "110", 2)], {}, multipliers).trips
    assert trip.pnl_e4 == (None if made is None else made * 10_000)


def day(*pnls: int) -> DayFills:
    return DayFills(tuple(Trip(LINE, "dip", NOW + number * SECOND, pnl, False) for number, pnl in enumerate(pnls)))


SCOPED = [
    ("SEGMENT:NSE_EQ", True),
    ("SEGMENT:NSE_FNO", False),
    (HERE, True),
    ("STRATEGY:dip", True),
    ("STRATEGY:x", False),
]


@pytest.mark.parametrize(("scope", "inside"), SCOPED)
def test_what_was_traded_outside_the_scope_does_not_count(scope: str, inside: bool) -> None:
    cool = Watch("cooldown", scope=scope, after="loss", pause_s=60)
    streak = Watch("loss_streak", scope=scope, losses_max=1, pause_s=60)
    assert (cool.look(0, fills=day(-1)) != "-") is inside
    assert (streak.look(2, fills=day(-1)) != "-") is inside


def test_an_even_trip_is_no_loss_and_a_win_begins_at_nothing() -> None:
    assert Watch("cooldown", after="loss", pause_s=60).look(0, fills=day(0)) == "-"
    assert Watch("loss_streak", losses_max=3, pause_s=60).look(9, fills=day(-1, 5, -1, -1)) == "-"


def test_losses_of_a_pause_do_not_pause_again() -> None:
    watch = Watch("loss_streak", losses_max=1, pause_s=60)
    assert watch.look(1, fills=day(-1)) == "reduce_only"
    assert watch.look(3, fills=day(-1, -1, -1)) == "-"


def test_what_a_kill_allowed_stays_allowed_and_no_more() -> None:
    """A short that is closed may not be reopened long; six wrongs are said as five."""
    from tests.core.live.test_books import HALT

    watch = Watch("bypass_after_kill", account(line(-10), causes=(HALT,)))
    watch.look(0)
    watch.of = account(causes=(HALT,))
    watch.look(2)
    assert watch.memory["reach"] == {"NSE_EQ:1333:INTRADAY": [0, -10]}
    shares = [replace(SHARE, security_id=str(number), symbol=f"S{number}") for number in range(6)]
    watch.of = account(causes=(HALT,), others=tuple((each, line(1)) for each in shares))
    assert watch.look(4) == "kill"
    assert "S4 " in watch.made.findings[-1].message and "S5 " not in watch.made.findings[-1].message


def test_what_halts_does_not_clear_itself() -> None:
    """A soft cause is one only while it reduces; a person releases what is halted or killed."""
    for on_breach, soft in (("reduce_only", True), ("halt", False), ("kill", False)):
        watch = Watch("loss_streak", losses_max=1, pause_s=60, on_breach=on_breach)
        watch.look(1, fills=day(-1))
        assert [each.soft for each in watch.made.actions] == [soft]
