"""
Money and marks on a real database: funds and margins from their rows, prices of all that is held, fills by strategy.

What another process writes, with riskguard or with plain SQL, counts at the very next check.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from riskguard.core.decide import Decision
from riskguard.services import overview
from tests.services.desk import CALL, DAY, FUTURE, SHARE, Desk, rulebook

MARGIN = rulebook(
    margin='check = "margin_available"\nbuffer_pct = "5"\nshort_margin_pct = "20"\nfunds_age_s_max = 60',
)
MakeDesk = Callable[..., Desk]


def ask(desk: Desk, quantity: int, side: str = "BUY", **changes: object) -> Decision:
    decision = desk.guard.check(desk.order(side, quantity, **changes))
    assert decision.recorded
    return decision


def codes(decision: Decision) -> list[str]:
    return [each.code.value for each in decision.rejects]


def assert_replays(desk: Desk) -> None:
    found = overview.verify(desk.store)
    assert [(each["wrong"], each["replay_disagrees"]) for each in found] == [(None, [])] * len(found)


def tell_funds(desk: Desk, available: float, age_s: int = 0) -> None:
    """As a program of version 3 would."""
    at_s = desk.clock.now_us() // 1_000_000 - age_s
    desk.sql(
        "INSERT INTO funds (snapshot_ts, account_type, available_balance, snapshot_id) VALUES (?, 'leader', ?, 0)",
        at_s, available,
    )  # fmt: skip


def tell_margin(
    desk: Desk, total: float, quantity: int, side: str | None = "BUY", *, age_s: int = 0, product: str = "INTRADAY",
    leg_set: str | None = None,
) -> None:  # fmt: skip
    desk.sql(
        "INSERT INTO margin_requirements (account_type, security_id, exchange_segment, quantity, product, total_margin,"
        " calculated_at, side, leg_set) VALUES ('leader', '1333', 'NSE_EQ', ?, ?, ?, ?, ?, ?)",
        quantity, product, total, desk.clock.now_us() // 1_000_000 - age_s, side, leg_set,
    )  # fmt: skip


@pytest.fixture
def lent(make_desk: MakeDesk) -> Desk:
    """A desk under a margin limit, swept once: the paper broker said ₹10 lakh a second ago."""
    made = make_desk(text=MARGIN)
    made.sweep()
    made.clock.advance(16)  # whatever is approved from here on, the next funds row may not know of
    tell_funds(made, 1000)
    return made


def test_funds_come_from_their_newest_row(lent: Desk) -> None:
    """The newest of all, whoever wrote it; too old, or none, is unknown."""
    assert codes(ask(lent, 10)) == ["MARGIN_NOT_ENOUGH"]
    assert ask(lent, 9).approved
    lent.clock.advance(20)
    tell_funds(lent, 2000)
    assert ask(lent, 19).approved
    lent.clock.advance(60)
    assert ask(lent, 1).approved
    lent.clock.advance(1)
    assert codes(ask(lent, 1)) == ["MARGIN_UNKNOWN"]
    lent.sql("DELETE FROM funds")
    assert codes(ask(lent, 1)) == ["MARGIN_UNKNOWN"]
    assert_replays(lent)


def test_the_same_money_is_not_spent_twice(lent: Desk) -> None:
    """Two guards ask within one funds answer; what ended without a fill is there again, what filled is not."""
    other = lent.another_guard()
    first = other.check(lent.order("BUY", 5))
    assert first.approved and first.permit is not None
    refused = ask(lent, 5)
    assert codes(refused) == ["MARGIN_NOT_ENOUGH"]
    assert (str(refused.rejects[0].limit), refused.rejects[0].max_quantity) == ("475.00", 4)
    first.permit.release()
    assert ask(lent, 9).approved
    assert_replays(lent)


def test_what_filled_since_the_funds_is_spent(lent: Desk) -> None:
    """A fill is no working order any more, and its money is gone before the broker's next answer says so."""
    lent.quote("100")
    lent.place(lent.order("BUY", 5, "100"))
    lent.sweep(1)
    lent.sql("DELETE FROM funds WHERE snapshot_ts > ?", lent.clock.now_us() // 1_000_000 - 1)
    assert lent.permit("o-1") == "FILLED"
    assert codes(ask(lent, 5)) == ["MARGIN_NOT_ENOUGH"]
    # Six seconds on the broker's answer shows it.
    lent.clock.advance(6)
    tell_funds(lent, 500)
    assert ask(lent, 4).approved
    assert_replays(lent)


REQUIREMENTS = [
    ("the broker wants less", {"total": 300.0, "quantity": 10}, True),
    ("the broker wants more", {"total": 950.01, "quantity": 10}, False),
    ("a minute old", {"total": 300.0, "quantity": 10, "age_s": 60}, True),
    ("older", {"total": 300.0, "quantity": 10, "age_s": 61}, False),
    ("another quantity", {"total": 300.0, "quantity": 9}, False),
    ("another side", {"total": 300.0, "quantity": 10, "side": "SELL"}, False),
    ("no side", {"total": 300.0, "quantity": 10, "side": None}, False),
    ("another product", {"total": 300.0, "quantity": 10, "product": "MARGIN"}, False),
    ("of several legs", {"total": 300.0, "quantity": 10, "leg_set": "x"}, False),
]


@pytest.mark.parametrize(("why", "row", "approved"), REQUIREMENTS, ids=[each[0] for each in REQUIREMENTS])
def test_a_requirement_counts_for_exactly_its_leg(lent: Desk, why: str, row: dict[str, object], approved: bool) -> None:
    """10 at 100 are more than 950 by estimate; what the broker said of them a minute ago at most stands in."""
    tell_margin(lent, **row)  # type: ignore[arg-type]

    assert ask(lent, 10).approved is approved
    assert_replays(lent)


def test_the_newest_requirement_counts_and_holds_for_the_next_order(lent: Desk) -> None:
    """A second answer replaces the first; what the broker wants of an approved order is what it holds."""
    tell_margin(lent, 5000, 10, age_s=30)
    assert codes(ask(lent, 10)) == ["MARGIN_NOT_ENOUGH"]
    tell_margin(lent, 600, 10)
    assert ask(lent, 10).approved
    refused = ask(lent, 5)
    assert codes(refused) == ["MARGIN_NOT_ENOUGH"] and str(refused.rejects[0].limit) == "380.00"
    assert ask(lent, 3).approved


LOSS = (  # a mark may grow old between two steps of a test: that is not what these are about
    'check = "daily_loss"\ndaily_loss_inr_max = "500000"\nwarn_at_pct = [90]\nreduce_only_at_pct = 99\nat_once_pct = 150'
)
MARKS = rulebook(gross='check = "gross_exposure"\ngross_exposure_inr_max = "600000"', daily_loss=LOSS)
STOPS = rulebook(stops='check = "projected_daily_loss"\ndaily_loss_inr_max = "5000"\nscenario_pct = "1"')


def test_marks_of_everything_held_come_from_every_process(make_desk: MakeDesk) -> None:
    """A future held counts at the newest price anybody was told, at the next check."""
    desk = make_desk(text=MARKS)
    desk.sweep()
    desk.hold(25, "20000", FUTURE)
    assert ask(desk, 1_000).approved  # 5 lakh and 1 lakh
    assert codes(ask(desk, 1)) == ["GROSS_EXPOSURE_ABOVE_LIMIT"]

    desk.clock.advance(10)  # the permit expires
    desk.another_guard().quote(*FUTURE.key, ltp="19000", at=desk.clock.now_us())
    assert ask(desk, 1_250).approved
    refused = ask(desk, 1)
    assert refused.rejects[0].measured_raw == 600_100 * 10_000
    assert_replays(desk)


def test_a_held_contract_nobody_quotes_is_unknown_until_somebody_does(make_desk: MakeDesk) -> None:
    """Found in the broker's list without a price or a close: nothing is worth zero."""
    desk = make_desk(text=MARKS)
    desk.sweep()
    desk.guard.report_positions(
        [{"exchange_segment": "NSE_FNO", "security_id": "35001", "product": "INTRADAY", "net": 25}],
        account="leader",
    )
    assert "PRICE_UNKNOWN" in codes(ask(desk, 1))
    desk.sql(
        "INSERT INTO marks (exchange_segment, security_id, ltp_e4, at_us) VALUES ('NSE_FNO', '35001', 200000000, ?)",
        desk.clock.now_us(),
    )
    assert "PRICE_UNKNOWN" not in codes(ask(desk, 1, price="100.05"))


def test_stops_that_work_are_seen(make_desk: MakeDesk) -> None:
    """1,000 shares at 100 lose 1,000 in a move of 1 %; a stop at 99.50, asked and sent like any order, halves it."""
    desk = make_desk(text=STOPS)
    desk.sweep()
    desk.hold(1_000)
    desk.quote("100")
    desk.sweep()
    charges_e4 = -desk.one("SELECT day_pnl_e4 FROM pnl_readings ORDER BY id DESC LIMIT 1")
    assert 0 < charges_e4 < 100 * 10_000  # the price has not moved: only charges were lost
    reject = ask(desk, 4_000).rejects[0]
    assert (reject.code.value, reject.measured_raw) == ("PROJECTED_LOSS_REACHED", 5_000 * 10_000 + charges_e4)
    assert reject.max_quantity == (4_000 * 10_000 - charges_e4 - 1) // 10_000

    desk.place(desk.order("SELL", 1_000, None, order_type="STOP_LOSS_MARKET", trigger_price="99.50"))
    again = ask(desk, 4_500).rejects[0]
    assert again.measured_raw == 5_000 * 10_000 + charges_e4
    assert_replays(desk)


STRATEGIES = rulebook(
    of_dip='check = "net_position"\nscope = "STRATEGY:dip"\nposition_max = "50"\nunit = "units"',
    of_rip='check = "net_position"\nscope = "STRATEGY:rip"\nposition_max = "50"\nunit = "units"',
)


def test_fills_belong_to_the_strategy_that_asked(make_desk: MakeDesk) -> None:
    """Each has its own 50; long for one and short for the other leave a flat book and two positions."""
    desk = make_desk(text=STRATEGIES)
    desk.sweep()
    desk.hold(40, strategy="dip")
    desk.hold(-40, strategy="rip")
    assert desk.rows("SELECT sum(start_quantity + filled_quantity) FROM day_books") == [(0,)]

    dip, rip = {"strategy": "dip"}, {"strategy": "rip"}
    assert codes(ask(desk, 11, **dip)) == ["NET_POSITION_ABOVE_LIMIT"]
    assert codes(ask(desk, 11, "SELL", **rip)) == ["NET_POSITION_ABOVE_LIMIT"]
    assert desk.another_guard().check(desk.order("BUY", 10, **dip)).approved
    assert codes(ask(desk, 1, **dip)) == ["NET_POSITION_ABOVE_LIMIT"]
    assert ask(desk, 50, "SELL", **dip).approved
    assert_replays(desk)


def test_what_nobody_claims_is_everybodys(make_desk: MakeDesk) -> None:
    """30 bought past riskguard count in both strategies; an order without a strategy is held by neither limit."""
    desk = make_desk(text=STRATEGIES)
    desk.sweep()
    desk.quote("100")
    desk.past(desk.order("BUY", 30, "100"))
    desk.sweep()
    desk.sweep(6)
    for strategy in ("dip", "rip"):
        assert codes(ask(desk, 21, strategy=strategy)) == ["NET_POSITION_ABOVE_LIMIT"]
        assert ask(desk, 20, strategy=strategy).approved
    assert ask(desk, 500).approved
    assert_replays(desk)


def test_yesterdays_fills_are_nobodys_today(make_desk: MakeDesk) -> None:
    """What was carried over night has no owner in today's permits."""
    desk = make_desk(text=STRATEGIES)
    desk.sweep()
    desk.hold(40, strategy="dip", product="MARGIN")
    assert ask(desk, 50, strategy="rip").approved
    desk.clock.advance(DAY // 1_000_000)
    desk.quote("100")
    desk.sweep(0)
    assert codes(ask(desk, 11, strategy="rip", product="MARGIN")) == ["NET_POSITION_ABOVE_LIMIT"]
    assert_replays(desk)


PEERS = rulebook(own='check = "self_trade"')


def test_ones_own_resting_order_is_seen_by_every_process(make_desk: MakeDesk) -> None:
    """Also one that was sent past riskguard, once the sweep has seen it; gone, it is in nobody's way."""
    desk = make_desk(text=PEERS)
    desk.sweep()
    desk.quote("100")
    resting = desk.past(desk.order("SELL", 5, "101"))
    desk.sweep()
    refused = desk.another_guard().check(desk.order("BUY", 5, "101"))
    assert codes(refused) == ["SELF_TRADE"] and "at 101.00" in refused.explain()
    assert ask(desk, 5, price="100.95").approved
    desk.broker.cancel(resting)
    desk.sweep()
    assert ask(desk, 5, price="101").approved
    assert_replays(desk)


def test_a_shares_limit_by_underlying_holds_for_the_share_too(make_desk: MakeDesk) -> None:
    """Cash and futures of one company are one underlying, on both sides of the limit."""
    desk = make_desk(
        text=rulebook(one='check = "position_value"\nscope = "UNDERLYING:HDFCBANK"\nposition_value_inr_max = "1000"')
    )
    desk.sweep()
    assert codes(ask(desk, 11)) == ["POSITION_VALUE_ABOVE_LIMIT"]
    assert ask(desk, 10).approved
    assert desk.guard.check(desk.order_of(CALL, "BUY", 25, "100")).approved
    assert SHARE.underlying == ""
    assert_replays(desk)
