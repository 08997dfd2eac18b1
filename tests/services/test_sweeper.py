"""
The sweep: what a look at the account leads to on disk, once per slot, whoever sweeps and whoever died before.

What a reading means is `tests/core/test_assess.py`; here it is carried out.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest

from riskguard import admin
from riskguard.core.money import to_text
from riskguard.core.state import TradingState
from riskguard.errors import ReportInvalidError
from riskguard.services.kill import killswitch
from riskguard.services.sweeps.sweeper import Sweeper
from riskguard.store import halt, runs
from riskguard.store.generation import read_generation
from tests.core.tables import Row, table
from tests.services.desk import ACCOUNT, DAY, FUTURE, SECOND, SHARE, Desk, e4, rulebook

DAY_S = DAY / SECOND


def state(desk: Desk) -> str:
    return desk.guard.state(ACCOUNT).state.name


def reading(desk: Desk) -> str:
    """Return the last P&L reading, `-` when it is unknown."""
    value = desk.rows("SELECT day_pnl_e4 FROM pnl_readings ORDER BY id DESC LIMIT 1")[0][0]
    return "-" if value is None else to_text(value)


def look(desk: Desk, price: str | None, after_s: float = 2) -> Any:
    """One sweep *after_s* later, the share at *price* (None: no new quote)."""
    desk.clock.advance(after_s)
    if price is not None:
        desk.quote(price)
    return desk.sweeper.sweep(now=True)


# -- what is done -----------------------------------------------------------------------------------------------------

DAYS = table("""
    goal                                       looks                       state        violations                            runs
    a small loss is nothing                    2:900                       ACTIVE       -                                     0
    a warning is only said                     2:740                       ACTIVE       -                                     0
    80 % lets only exits out                   2:590                       REDUCE_ONLY  REDUCE_ONLY                           0
    one reading at the limit is not enough     2:490                       REDUCE_ONLY  REDUCE_ONLY                           0
    a second one 2 s later is                  2:490 2:490                 HALTED       REDUCE_ONLY,KILL_SWITCH_ACTIVATED     1
    a second one 1 s later is not              2:490 1:490                 REDUCE_ONLY  REDUCE_ONLY                           0
    a third one then is                        2:490 1:490 1:490           HALTED       REDUCE_ONLY,KILL_SWITCH_ACTIVATED     1
    30 s later it is proven                    2:490 30:490                HALTED       REDUCE_ONLY,KILL_SWITCH_ACTIVATED     1
    31 s later it is another story             2:490 31:490                REDUCE_ONLY  REDUCE_ONLY                           0
    recovered in between                       2:490 2:600 2:490           REDUCE_ONLY  REDUCE_ONLY                           0
    far beyond the limit: at once              2:240                       HALTED       REDUCE_ONLY,KILL_SWITCH_ACTIVATED     1
    stale marks go no further than this        2:490 6:- 2:- 2:- 2:-       REDUCE_ONLY  REDUCE_ONLY                           0
    a gap without marks does not clear         2:490 6:- 2:490             HALTED       REDUCE_ONLY,KILL_SWITCH_ACTIVATED     1
""")


@pytest.mark.parametrize("row", DAYS, ids=str)
def test_what_a_day_leads_to(desk: Desk, row: Row) -> None:
    """Ten shares bought at ₹1,000 under a loss limit of ₹5,000; `s:price` is a sweep that much later."""
    desk.hold(10, "1000")
    for each in row.looks.split():
        after_s, _, price = each.partition(":")
        look(desk, None if price == "-" else price, float(after_s))

    assert state(desk) == row.state
    done = [action for (action,) in desk.rows("SELECT action_taken FROM risk_violations ORDER BY id")]
    assert ",".join(done) == (row.opt("violations") or "")
    assert desk.one("SELECT count(*) FROM kill_runs") == row.number("runs")
    assert desk.guard.check(desk.order("SELL", 1)).approved == (row.state != "HALTED")
    assert desk.guard.check(desk.order("BUY", 1)).approved == (row.state == "ACTIVE")


def test_the_kill_carries_the_limits_own_plan_and_numbers(make_desk: Callable[..., Desk]) -> None:
    """Who, why, how much of how much: on the flag, in the run, the violation and the journal."""
    text = rulebook(
        daily_loss='check = "daily_loss"\ndaily_loss_inr_max = "5000"\nwarn_at_pct = [50]\nreduce_only_at_pct = 80\n'
        'at_once_pct = 150\non_breach = "kill"\nplan = "flatten"'
    )
    desk = make_desk(text=text)
    desk.sweep()
    desk.hold(10, "1000")
    report = look(desk, "240")

    assert report.killed
    ((plan, cause, by, reason),) = desk.rows("SELECT kill_plan, cause, by_whom, reason FROM kill_runs")
    assert (plan, cause, by) == ("flatten", "DAILY_LOSS", "sweep")
    assert "₹7,6" in reason and "₹5,000.00" in reason and "`daily-loss`" in reason
    assert desk.rows(
        "SELECT violation_type, limit_value, limit_id, code FROM risk_violations WHERE action_taken = 'KILL_SWITCH_ACTIVATED'"
    ) == [("DAILY_LOSS", 5000.0, "daily-loss", "DAILY_LOSS_REACHED")]
    assert [severity for _, severity, _ in desk.alerts.said].count("critical") == 1


def test_warnings_are_told_once_per_tier_and_day(desk: Desk) -> None:
    """Whoever sweeps: the same process, another one, a restarted one; the next day begins anew."""
    desk.hold(10, "1000")
    for price in ("740", "740", "740", "540", "740", "540"):
        look(desk, price)
    other = Sweeper(desk.another_guard(), ACCOUNT, desk.join_market(), alerts=desk.alerts)
    desk.clock.advance(2)
    desk.quote("540")
    other.sweep(now=True)
    told = [message for _, _, message in desk.alerts.said if "reached" in message and "%" in message]

    assert [message.split(": ")[-1] for message in told] == ["50 % reached", "90 % reached"]


# -- restarts -------------------------------------------------------------------------------------------------------


def test_a_restart_keeps_what_was_seen(desk: Desk) -> None:
    """The first reading by one process, the second by another that knows only the database."""
    desk.hold(10, "1000")
    look(desk, "490")
    desk.guard.close()
    other = Sweeper(desk.another_guard(), ACCOUNT, desk.join_market())
    desk.clock.advance(2)
    desk.quote("490")

    assert other.sweep(now=True).killed


def test_a_sweep_that_died_before_its_kill_is_made_good(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The judgement was committed, the kill was not pulled: the account is not halted, so the next sweeps pull it."""
    desk.hold(10, "1000")
    with monkeypatch.context() as context:

        def dies(*args: Any, **more: Any) -> None:
            raise SystemExit(9)

        context.setattr(killswitch, "engage", dies)
        with pytest.raises(SystemExit):
            look(desk, "240")
    assert [json.loads(state)["tripped"] for (state,) in desk.rows("SELECT state FROM live_watches")] == [True]
    assert desk.one("SELECT count(*) FROM kill_runs") == 0
    assert look(desk, "240").killed

    assert state(desk) == "HALTED" and desk.one("SELECT count(*) FROM kill_runs") == 1
    look(desk, "240")
    assert desk.one("SELECT count(*) FROM kill_runs") == 1


def test_a_kill_that_reached_only_its_flag_is_followed(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The database was locked when the sweep pulled the switch: the next sweep adopts the flag and cancels."""
    desk.hold(10, "1000")
    desk.place(desk.order(price="90", security_id="2885"))
    monkeypatch.setattr(killswitch, "LOCK_WAIT_S", 0.05)
    plain = killswitch._write_row
    with monkeypatch.context() as context:

        def locked(*args: Any) -> Any:
            with desk.locked():
                return plain(*args)

        context.setattr(killswitch, "_write_row", locked)
        report = look(desk, "240")
    assert report.killed and desk.one("SELECT count(*) FROM kill_runs") == 0
    assert any("THIS HOST ONLY" in message for _, _, message in desk.alerts.said)
    for _ in range(3):
        look(desk, "240")

    assert desk.one("SELECT count(*) FROM kill_runs") == 1
    assert [order.status for order in desk.broker.orders() if order.security_id == "2885"] == ["CANCELLED"]


# -- slots ----------------------------------------------------------------------------------------------------------


def test_a_slot_is_swept_once(desk: Desk) -> None:
    """A second fire within the interval does nothing; a person who asks is served."""
    assert desk.sweeper.sweep().pnl is None  # the fixture swept this slot
    desk.clock.advance(2)
    assert desk.sweeper.sweep().pnl is not None
    assert desk.sweeper.sweep().pnl is None
    assert desk.sweeper.sweep(now=True).pnl is not None


def test_two_daemons_sweep_each_slot_once(desk: Desk) -> None:
    """Two processes' worth of sweepers fire together for twenty slots: twenty readings."""
    others = [Sweeper(desk.another_guard(), ACCOUNT, desk.join_market()) for _ in range(2)]
    before = desk.one("SELECT count(*) FROM pnl_readings")
    for _ in range(20):
        desk.clock.advance(2)
        threads = [threading.Thread(target=each.sweep) for each in others]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert desk.one("SELECT count(*) FROM pnl_readings") - before == 20
    assert desk.one("SELECT count(*) FROM sweeps WHERE finished_at_us IS NULL") == 0


CLAIMS = table("""
    interval_s  finished  after_s    claimed
    2           yes       0          no
    2           yes       3600       no
    2           no        0          no
    2           no        9.999999   no
    2           no        10         yes
    60          no        179.999999  no
    60          no        180        yes
""")


@pytest.mark.parametrize("row", CLAIMS, ids=str)
def test_a_dead_claimant_is_taken_over(desk: Desk, row: Row) -> None:
    """Three intervals, at least 10 s, without finishing: whoever claimed it died."""
    interval_us, now_us = row.number("interval_s") * SECOND, desk.clock.now_us()

    def claim(holder: str, at_us: int) -> bool:
        with desk.store.session() as session:
            return runs.claim_slot(session, ACCOUNT, "book", 7, interval_us, at_us, holder)

    assert claim("first", now_us)
    if row.has("finished"):
        with desk.store.session() as session:
            runs.finish_slot(session, ACCOUNT, "book", 7, [], now_us)
    assert claim("second", now_us + round(float(row.after_s) * SECOND)) == row.has("claimed")
    assert desk.one("SELECT holder FROM sweeps WHERE kind = 'book'") == ("second" if row.has("claimed") else "first")


# -- the heartbeat --------------------------------------------------------------------------------------------------

BEATS = table("""
    after_s    approved
    0          yes
    5.999999   yes
    6          yes
    6.000001   no
""")


@pytest.mark.parametrize("row", BEATS, ids=str)
def test_when_nobody_sweeps_what_adds_risk_is_refused(make_desk: Callable[..., Desk], row: Row) -> None:
    """Three intervals of 2 s; exits still pass, and the next sweep lets orders out again."""
    desk = make_desk(text=rulebook(sweep_heartbeat='check = "sweep_heartbeat"\nintervals_max = 3'))
    desk.sweep()
    desk.hold(10)
    desk.clock.advance(float(row.after_s))
    decision = desk.guard.check(desk.order())
    assert decision.approved == row.has("approved")
    assert decision.approved or [each.code.value for each in decision.rejects] == ["SWEEP_STALE"]
    assert desk.guard.check(desk.order("SELL", 10)).approved
    desk.sweep()
    assert desk.guard.check(desk.order("BUY", 5)).approved


def test_a_sweep_whose_broker_fails_still_beats_and_says_so(desk: Desk) -> None:
    """Unknown is not zero: the lists of before stand, and grow old."""
    desk.hold(10)
    seen = "SELECT max(fetched_at_us) FROM snapshots WHERE kind = 'positions'"
    before = desk.one(seen)
    for how in ("fail", "silent", "hang"):
        desk.broker.behave("all", how)
        report = desk.sweep()
        assert report.pnl is not None and len(report.failures) == 4
        assert [each.code for each in report.findings if each.code == "BROKER_READ_FAILED"]
    assert desk.one(seen) == before
    desk.broker.behave("all", "ok")
    assert desk.sweep().failures == ()


FRESHNESS = table("""
    after_s   approved
    60        yes
    61        no
""")


@pytest.mark.parametrize("row", FRESHNESS, ids=str)
def test_a_blind_sweep_ends_in_refusals(make_desk: Callable[..., Desk], row: Row) -> None:
    """The heartbeat is there, the position list is not: a minute later nothing that adds risk passes."""
    desk = make_desk(text=rulebook(data_freshness='check = "data_freshness"\nsnapshot_age_s_max = 60'))
    desk.sweep()
    desk.broker.behave("all", "fail")
    desk.sweep(float(row.after_s))

    assert desk.guard.check(desk.order()).approved == row.has("approved")


# -- the day --------------------------------------------------------------------------------------------------------


def test_the_baseline_of_a_day_is_written_once(desk: Desk) -> None:
    """Hundreds of sweeps, two sweepers, a restart: one row, never re-based."""
    desk.hold(10)
    before = desk.rows("SELECT * FROM day_baselines")
    for _ in range(5):
        desk.sweep()
    Sweeper(desk.another_guard(), ACCOUNT, desk.join_market()).sweep(now=True)

    assert desk.rows("SELECT * FROM day_baselines") == before and len(before) == 1


def test_midnight_opens_one_new_day(desk: Desk) -> None:
    """Two sweepers meet the first slot of the day together."""
    others = [Sweeper(desk.another_guard(), ACCOUNT, desk.join_market()) for _ in range(2)]
    desk.clock.advance(DAY_S)
    threads = [threading.Thread(target=each.sweep, kwargs={"now": True}) for each in others]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [row[0] for row in desk.rows("SELECT session_date FROM day_baselines ORDER BY 1")] == [
        "2025-06-02",
        "2025-06-03",
    ]
    assert desk.rows("SELECT source FROM day_baselines WHERE session_date = '2025-06-03'") == [("OPEN",)]


CARRIED = table("""
    product   yesterday  close  today  expected
    MARGIN    10         110    105    -50.00
    MARGIN    -10        110    105    50.00
    CNC       10         110    105    -50.00
    MTF       10         110    112    20.00
""")


@pytest.mark.parametrize("row", CARRIED, ids=str)
def test_carried_positions_are_measured_from_the_previous_close(desk: Desk, row: Row) -> None:
    """Bought at ₹100 yesterday, closed at ₹110: today counts from the close, and yesterday's gain is yesterday's."""
    desk.hold(row.number("yesterday"), "100", product=row.product)
    look(desk, row.close)
    desk.clock.advance(DAY_S)
    look(desk, row.today)

    assert desk.rows(
        "SELECT start_quantity, previous_close_e4, filled_quantity FROM day_books WHERE session_date = '2025-06-03'"
    ) == [(row.number("yesterday"), e4(row.close), 0)]
    assert reading(desk) == row.expected


def test_what_is_traded_today_is_not_what_was_carried(desk: Desk) -> None:
    """The first sweep of the day comes after the first fill: the list less today's fills is the day's start."""
    desk.hold(10, "100", product="MARGIN")
    look(desk, "100")
    desk.clock.advance(DAY_S)
    desk.quote("100")
    refused = desk.guard.check(desk.order("BUY", 5, product="MARGIN"))
    assert "PNL_UNKNOWN" in [each.code.value for each in refused.rejects]  # nobody has looked at this day yet
    desk.past(desk.order("SELL", 4, product="MARGIN"))
    look(desk, "110")

    assert desk.rows("SELECT start_quantity, filled_quantity FROM day_books WHERE session_date = '2025-06-03'") == [
        (10, -4)
    ]
    charges_e4 = desk.one("SELECT charges_e4 FROM pnl_readings ORDER BY id DESC LIMIT 1")
    assert e4(reading(desk)) == e4("60") - charges_e4


def test_a_fill_booked_before_the_days_first_look_does_not_hide_what_was_carried(desk: Desk) -> None:
    """Another program stored today's fill already: the line stands, and still begins with what was held overnight."""
    desk.hold(10, "100", product="MARGIN")
    look(desk, "100")
    desk.clock.advance(DAY_S)
    desk.quote("100")
    desk.past(desk.order("SELL", 4, product="MARGIN"))
    (sold,) = [trade for trade in desk.broker.trades() if trade.side == "SELL"]
    desk.guard.report_fill(
        ACCOUNT, order_id=sold.order_id, trade_id=sold.trade_id, exchange_segment="NSE_EQ", security_id="1333",
        side="SELL", product="MARGIN", quantity=4, price="100",
    )  # fmt: skip
    look(desk, "110")

    assert desk.rows("SELECT start_quantity, filled_quantity FROM day_books WHERE session_date = '2025-06-03'") == [
        (10, -4)
    ]
    charges_e4 = desk.one("SELECT charges_e4 FROM pnl_readings ORDER BY id DESC LIMIT 1")
    assert e4(reading(desk)) == e4("60") - charges_e4


def test_a_day_that_cannot_be_seen_stays_unknown(desk: Desk) -> None:
    """No list, no baseline: P&L is unknown, orders that add risk are refused, and the first good look opens the day."""
    desk.hold(10, "100", product="MARGIN")
    look(desk, "100")
    desk.clock.advance(DAY_S)
    desk.broker.behave("positions", "fail")
    look(desk, "100")
    assert reading(desk) == "-"
    assert "PNL_UNKNOWN" in [each.code.value for each in desk.guard.check(desk.order()).rejects]
    desk.broker.behave("positions", "ok")
    look(desk, "90")

    assert reading(desk) == "-100.00" and desk.guard.check(desk.order()).approved


def test_without_a_broker_yesterdays_book_is_carried(make_desk: Callable[..., Desk]) -> None:
    """Profile `library`: intraday positions do not survive the night, the others do, at their last mark."""
    desk = make_desk(profile="library")
    desk.guard.report_positions([])
    sweeper = Sweeper(desk.guard, ACCOUNT, None)
    for number, product in enumerate(("MARGIN", "INTRADAY")):
        desk.guard.report_fill(
            ACCOUNT, order_id=f"B{number}", trade_id="1", exchange_segment="NSE_EQ", security_id="1333", side="BUY",
            product=product, quantity=10, price="100",
        )  # fmt: skip
    desk.guard.quote("NSE_EQ", "1333", ltp="104")
    sweeper.sweep(now=True)
    desk.clock.advance(DAY_S)
    sweeper.sweep(now=True)

    assert desk.rows(
        "SELECT product, start_quantity, previous_close_e4 FROM day_books WHERE session_date = '2025-06-03'"
    ) == [("MARGIN", 10, e4("104"))]


def test_a_first_start_in_mid_session_wants_a_baseline(make_desk: Callable[..., Desk]) -> None:
    """A person may only lower the day's figure; a day that has a baseline is never re-based."""
    desk = make_desk(profile="library")
    sweeper = Sweeper(desk.guard, ACCOUNT, None)
    sweeper.sweep(now=True)
    assert reading(desk) == "-"
    for figure in ("1", "0.0001", "nan", "-1e3", "x"):
        with pytest.raises(ReportInvalidError):
            admin.set_baseline(desk.store, ACCOUNT, day_pnl=figure, by="asha", reason="first day", clock=desk.clock)
    admin.set_baseline(desk.store, ACCOUNT, day_pnl="-1200", by="asha", reason="first day", clock=desk.clock)
    desk.guard.report_positions([])
    sweeper.sweep(now=True)
    assert reading(desk) == "-1200.00"
    with pytest.raises(ReportInvalidError, match="never re-based"):
        admin.set_baseline(desk.store, ACCOUNT, day_pnl="-1", by="asha", reason="again", clock=desk.clock)


# -- charges --------------------------------------------------------------------------------------------------------


def test_charges_come_off_and_can_trip_the_limit(desk: Desk) -> None:
    """The reading is lower by what the ledger will charge, and the two figures are kept apart."""
    desk.hold(10, "1000")
    look(desk, "1000")
    ((pnl_e4, charges_e4),) = desk.rows("SELECT day_pnl_e4, charges_e4 FROM pnl_readings ORDER BY id DESC LIMIT 1")

    assert pnl_e4 == -charges_e4 and charges_e4 > e4("1")
    look(desk, "500.10")
    look(desk, "500.10")
    assert e4(reading(desk)) == -e4("4999") - charges_e4  # the position alone has not lost ₹5,000
    assert state(desk) == "HALTED"


def test_charges_grow_with_every_fill_and_never_by_sweeping(desk: Desk) -> None:
    charges = "SELECT charges_e4 FROM pnl_readings ORDER BY id DESC LIMIT 1"
    found = [desk.one(charges)]
    for _ in range(3):
        desk.hold(10, "1000")
        found.append(desk.one(charges))
        desk.sweep()
        assert desk.one(charges) == found[-1]

    assert found[0] == 0 and found == sorted(set(found))


# -- yesterday's orders -------------------------------------------------------------------------------------------


def test_day_orders_and_their_permits_end_with_their_day(desk: Desk) -> None:
    """What rested yesterday and is not listed today is gone: its reservation too, which age alone never frees."""
    desk.quote("100")
    desk.place(desk.order(price="90"))
    with desk.guard.check(desk.order(price="91")).permit.sending():  # type: ignore[union-attr]
        pass
    desk.sweep()
    assert [desk.permit("o-1"), desk.permit("o-2")] == ["ACKED", "UNKNOWN"]
    desk.broker.close_day()
    desk.broker.behave("orders", "fail")
    desk.sweep(DAY_S)
    assert [desk.permit("o-1"), desk.permit("o-2")] == ["ACKED", "UNKNOWN"]  # nobody could look
    desk.broker.behave("orders", "ok")
    desk.sweep()

    assert [desk.permit("o-1"), desk.permit("o-2")] == ["CANCELLED", "CANCELLED"]
    assert desk.rows("SELECT count(*) FROM orders WHERE upper(status) NOT IN ('EXPIRED', 'CANCELLED')") == [(0,)]


# -- what lies beside the database --------------------------------------------------------------------------------


def test_a_sweep_adopts_a_flag_and_removes_a_released_one(desk: Desk) -> None:
    """As a check does, for an account nobody asks about any more."""
    kill_id = halt.new_kill_id()
    halt.raise_flag(desk.store.directories, "ACCOUNT:leader", kill_id, '{"by": "asha", "reason": "r", "plan": "halt"}')
    desk.sweep()
    assert desk.rows("SELECT kill_id, kill_plan, state FROM kill_runs") == [(kill_id, "halt", "DONE")]
    assert read_generation(desk.path) == 1
    desk.sweep(60)
    admin.release(desk.store, ACCOUNT, by="asha", reason="understood", clock=desk.clock)
    halt.raise_flag(desk.store.directories, "ACCOUNT:leader", kill_id, "")
    desk.sweep()

    assert desk.flags() == [] and state(desk) == "ACTIVE"


def test_an_expired_permit_is_written_as_expired(desk: Desk) -> None:
    """Nobody asks any more: the sweep frees the room."""
    desk.guard.check(desk.order())
    desk.sweep(9)
    assert desk.permit("o-1") == "GRANTED"
    desk.sweep(2)
    assert desk.permit("o-1") == "EXPIRED"


def test_the_mark_of_the_sweep_is_the_newest_anybody_has(desk: Desk) -> None:
    """Pushed here, pushed by another process, or known to the market: the latest counts."""
    desk.hold(10, "1000")
    other = desk.another_guard()
    desk.clock.advance(2)
    other.quote("NSE_EQ", "1333", ltp="900")
    desk.sweeper.sweep(now=True)

    assert desk.guard.state(ACCOUNT).state is TradingState.ACTIVE
    assert float(reading(desk)) < -1000 + 1


def test_lines_of_several_instruments_add(desk: Desk) -> None:
    """A loss in one and a gain in another."""
    desk.hold(10, "1000")
    desk.hold(25, "100", FUTURE, product="MARGIN")
    desk.clock.advance(2)
    desk.quote("990", SHARE)
    desk.quote("104", FUTURE)
    report = desk.sweeper.sweep(now=True)

    assert report.pnl is not None and report.pnl.fresh
    assert report.pnl.total_e4 == -report.pnl.charges_e4
