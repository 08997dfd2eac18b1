"""Losses over longer than a day: the week, the month, the drawdown, the group. Each on both sides of its edge."""

from __future__ import annotations

from typing import Any

import pytest

from riskguard.core.live.view import Parts, Peer
from riskguard.core.state import TradingState
from riskguard.errors import RulebookError
from tests.core.builders import FUTURE, NOW, SECOND, account, inr, limit, line
from tests.core.live.sights import TIERS, Watch
from tests.core.tables import Row, table

# Tuesday 2024-06-04; the week began on Monday the 3rd, the month on Saturday the 1st.
PERIODS = table("""
    check         earlier                                    pnl        done
    weekly_loss   -                                          -9999.99   -
    weekly_loss   -                                          -10000     halted
    weekly_loss   2024-06-03:-6000                           -3999.99   -
    weekly_loss   2024-06-03:-6000                           -4000      halted
    weekly_loss   2024-06-03:6000                            -10000     -
    weekly_loss   2024-06-03:6000                            -16000     halted
    weekly_loss   2024-05-31:-9000                           -9999.99   -
    weekly_loss   2024-06-02:-9000                           -9999.99   -
    monthly_loss  2024-06-03:-6000 2024-05-31:-9000          -3999.99   -
    monthly_loss  2024-06-03:-6000 2024-05-31:-9000          -4000      halted
    weekly_loss   2024-06-03:?                               -9999.99   -
    weekly_loss   2024-06-03:?                               -10000     halted
""")


@pytest.mark.parametrize("row", PERIODS, ids=str)
def test_a_period_adds_its_sessions_up(row: Row) -> None:
    """Reaching ₹10,000 on two readings halts; a session of another period does not count, nor one never measured."""
    days = {}
    for each in (row.opt("earlier") or "").split():
        date, _, figure = each.partition(":")
        days[date] = None if figure == "?" else inr(figure)
    watch = Watch(row.check, loss_inr_max="10000", on_breach="halt", **TIERS)
    watch.look(0, pnl=row.pnl, days=days)
    missing = "PERIOD_INCOMPLETE" in watch.codes()

    assert watch.look(2, pnl=row.pnl, days=days) == row.done
    assert missing == (None in days.values())


def test_a_week_of_unknown_days_is_not_judged() -> None:
    """Neither today's unknown figure nor unknown earlier sessions count as nothing lost."""
    watch = Watch("weekly_loss", loss_inr_max="10000", on_breach="halt", **TIERS)

    assert watch.look(0, pnl=None, days={}) == "-"
    assert watch.look(2, pnl="-90000", days=None) == "-"
    assert watch.memory == {}


def test_a_release_within_the_week_does_not_help() -> None:
    """The sum still stands: what the release took back is found again by the next two looks."""
    from riskguard.core.live.verdict import rearmed

    watch = Watch("weekly_loss", loss_inr_max="10000", on_breach="halt", **TIERS)
    assert [watch.look(pnl="-12000", days={}) for _ in range(3)] == ["-", "halted", "-"]
    watch.memory = rearmed(watch.memory)

    assert [watch.look(pnl="-12000", days={}) for _ in range(2)] == ["-", "halted"]


PERCENT = table("""
    equity   earlier  pnl      done
    100000   0        -4999    -
    100000   0        -5000    halted
    97000    -3000    -1999    -
    97000    -3000    -2000    halted
    -        0        -90000   -
""")


@pytest.mark.parametrize("row", PERCENT, ids=str)
def test_a_percentage_is_of_what_the_week_began_with(row: Row) -> None:
    """5 % of the opening equity before the week's earlier losses; without equity nothing is measured."""
    of = account()
    of.opening_equity_e4 = row.e4("equity")
    watch = Watch("weekly_loss", of, loss_pct_max=5, on_breach="halt", **TIERS)
    days = {"2024-06-03": row.e4("earlier")}
    watch.look(0, pnl=row.pnl, days=days)

    assert watch.look(2, pnl=row.pnl, days=days) == row.done


# -- drawdown -------------------------------------------------------------------------------------------------------

# Each reading is `day:pnl`, `~` after it on old marks; the limit is ₹1,000, and every reading comes twice.
DRAWDOWNS = table("""
    kind               readings                                   tripped_at
    STATIC             4:-999.99                                  -
    STATIC             4:-1000                                    4:-1000
    STATIC             4:5000 4:4000                              -
    STATIC             4:500 5:-1499.99                           -
    STATIC             4:500 5:-1500                              5:-1500
    STATIC             4:-600 5:-400                              5:-400
    INTRADAY_TRAILING  4:5000 4:4000.01                           -
    INTRADAY_TRAILING  4:5000 4:4000                              4:4000
    INTRADAY_TRAILING  4:5000~ 4:4000                             -
    INTRADAY_TRAILING  4:5000 4:4500 5:-499.99                    -
    INTRADAY_TRAILING  4:5000 4:4500 5:-500                       5:-500
    EOD_TRAILING       4:5000 4:4000                              -
    EOD_TRAILING       4:5000 5:-999.99                           -
    EOD_TRAILING       4:5000 5:-1000                             5:-1000
    EOD_TRAILING       4:5000 4:3000 5:-999.99                    -
    EOD_TRAILING       4:2000 5:900 5:-200 6:-799.99              -
    EOD_TRAILING       4:2000 5:900 5:-200 6:-800                 6:-800
    REALISED_TRAILING  4:5000 4:4000                              4:4000
""")


@pytest.mark.parametrize("row", DRAWDOWNS, ids=str)
def test_the_drawdown_from_each_kind_of_peak(row: Row) -> None:
    """Over sessions; reaching it counts, and old marks make no peak."""
    watch = Watch("drawdown", kind=row.kind, drawdown_inr_max="1000", on_breach="kill", **TIERS)
    tripped = None
    for reading in row.readings.split():
        day, _, pnl = reading.partition(":")
        fresh, pnl = not pnl.endswith("~"), pnl.rstrip("~")
        for _ in range(2):
            said = watch.look(pnl=pnl, fresh=fresh, date=f"2024-06-{int(day):02d}")
            if "kill" in said:
                tripped = tripped or reading

    assert tripped == row.opt("tripped_at")


def test_open_profit_is_no_realised_peak() -> None:
    """REALISED_TRAILING moves with what was realised, whatever the open positions are worth."""
    watch = Watch("drawdown", kind="REALISED_TRAILING", drawdown_inr_max="1000", on_breach="kill", **TIERS)
    for pnl, realised in (("5000", "200"), ("4000", "200"), ("-799.99", "200")):
        assert [watch.look(pnl=pnl, realised_e4=inr(realised)) for _ in range(2)] == ["-", "-"]

    assert [watch.look(pnl="-800", realised_e4=inr("200")) for _ in range(2)] == ["-", "kill"]


def test_a_deposit_is_no_profit_and_a_payout_no_loss() -> None:
    """The balance jumps between two sessions; the drawdown follows the P&L alone, its percentage the new balance."""
    of = account()
    of.opening_equity_e4 = inr("100000")
    watch = Watch("drawdown", of, kind="EOD_TRAILING", drawdown_pct_max=5, on_breach="kill", **TIERS)
    watch.look(0, pnl="0")
    of.opening_equity_e4 = inr("1000000")  # ten times as much was paid in
    assert [watch.look(pnl="-5000", date="2024-06-05") for _ in range(2)] == ["-", "-"]
    of.opening_equity_e4 = inr("95000")  # and out again, with the loss
    watch.look(pnl="0", date="2024-06-06")

    assert "kill" in [watch.look(pnl="0", date="2024-06-06") for _ in range(2)]


def test_the_peak_outlives_a_release_and_an_earlier_date_changes_nothing() -> None:
    """What a release takes back is the trip; a clock set back a day must not close a session twice."""
    from riskguard.core.live.verdict import rearmed

    watch = Watch("drawdown", kind="INTRADAY_TRAILING", drawdown_inr_max="1000", on_breach="kill", **TIERS)
    watch.look(pnl="5000")
    assert [watch.look(pnl="3000") for _ in range(2)] == ["kill", "-"]  # twice the limit: at once
    watch.memory = rearmed(watch.memory)
    before = dict(watch.memory)
    assert watch.look(pnl="9000", date="2024-06-03") == "-" and watch.memory == before

    assert "kill" in watch.look(pnl="3000", date="2024-06-04")


def test_an_unknown_day_moves_nothing() -> None:
    """A peak is not moved and a session not closed by a figure nobody knows; a new date still begins a session."""
    watch = Watch("drawdown", kind="EOD_TRAILING", drawdown_inr_max="1000", on_breach="kill", **TIERS)
    watch.look(pnl="500")
    before = dict(watch.memory)
    assert watch.look(pnl=None) == "-" and watch.memory == before
    assert watch.look(pnl=None, date="2024-06-05") == "-"
    assert (watch.memory["closed_e4"], watch.memory["peak_e4"], watch.memory["today_e4"]) == (inr("500"), inr("500"), 0)


def test_open_positions_without_a_realised_figure_keep_the_last_one() -> None:
    """A flat account's day is realised whole; with something open and no figure, what was known stays."""
    of = account()
    watch = Watch("drawdown", of, kind="REALISED_TRAILING", drawdown_inr_max="1000", on_breach="kill", **TIERS)
    watch.look(pnl="300")
    assert watch.memory["realised_today_e4"] == inr("300")
    of.positions[FUTURE.key] = {"CNC": line(5, product="CNC")}
    watch.look(pnl="9000")
    assert (watch.memory["realised_today_e4"], watch.memory["peak_e4"]) == (inr("300"), inr("300"))


def test_a_percentage_of_unknown_equity_measures_no_drawdown() -> None:
    """The peak is still followed, so that nothing is lost when the equity is known again."""
    watch = Watch("drawdown", kind="INTRADAY_TRAILING", drawdown_pct_max=5, on_breach="kill", **TIERS)
    assert [watch.look(pnl=pnl) for pnl in ("5000", "-90000", "-90000")] == ["-", "-", "-"]
    assert watch.memory["peak_e4"] == inr("5000") and "warned_pct" not in watch.memory


BARE: list[tuple[str, dict[str, Any], str]] = [
    ("weekly_loss", TIERS, "wants `loss_inr_max` or `loss_pct_max`"),
    ("monthly_loss", TIERS, "wants `loss_inr_max` or `loss_pct_max`"),
    ("drawdown", {"kind": "STATIC", **TIERS}, "wants `drawdown_inr_max` or `drawdown_pct_max`"),
    ("position_loss", {"at_once_pct": 150}, "wants `position_loss_inr_max` or `position_loss_pct_max`"),
    (
        "margin_utilisation",
        {"enter_pct": 90, "leave_pct": 90, "clean_reads": 1},
        "`leave_pct` wants to be below `enter_pct`",
    ),
]


@pytest.mark.parametrize(("check", "given", "said"), BARE, ids=[name for name, _, _ in BARE])
def test_a_limit_without_a_number_is_refused(check: str, given: dict[str, Any], said: str) -> None:
    """One that could never fire must not look like one that does."""
    with pytest.raises(RulebookError) as refused:
        limit(check, **given)
    assert said in str(refused.value)


# -- the group ------------------------------------------------------------------------------------------------------


def peer(pnl: str | None, age_s: float = 0, fresh: bool = True, at_s: float = 2) -> Peer:
    at_us = None if pnl is None else NOW + round((at_s - age_s) * SECOND)
    return Peer("follower", "follower", TradingState.ACTIVE, None if pnl is None else inr(pnl), at_us, fresh)


GROUPS = table("""
    own     other    age_s  fresh  done
    -6000   -3999.99     0  yes    -
    -6000   -4000        0  yes    kill
    -6000   -4000       60  yes    kill
    -6000   -4000       61  yes    reduce_only
    -6000   -4000        0  no     reduce_only
    -16000  6000         0  yes    kill
    -12000  2000.01      0  yes    -
    -90000  -            0  yes    -
""")


@pytest.mark.parametrize("row", GROUPS, ids=str)
def test_the_group_is_the_sum_of_its_accounts(row: Row) -> None:
    """A peer without a figure makes it unknown; an old or unsure one makes it no proof."""
    watch = Watch("group_loss", scope="GROUP:copies", group_loss_inr_max="10000", on_breach="kill", **TIERS)

    def look(at_s: float) -> str:
        other = peer(row.opt("other"), float(row.age_s), row.has("fresh"), at_s)
        return watch.look(at_s, pnl=row.own, peers=(other,))

    done = [look(0), look(2)]
    assert (done[1] if "kill" in row.done or row.done == "-" else done[0]) == row.done


def test_a_strategy_is_judged_by_its_own_part() -> None:
    """Without parts its loss is unknown, never the account's; with them the account's other losses do not count."""
    tiers: dict[str, Any] = {**TIERS, "reduce_only_at_pct": 80}
    watch = Watch("daily_loss", scope="STRATEGY:dip", daily_loss_inr_max="5000", on_breach="halt", **tiers)
    parts = Parts({"dip": inr("-4999"), "trend": inr("-9000")}, {})
    worse = Parts({"dip": inr("-7500")}, {})

    assert watch.look(pnl="-90000") == "-"
    watch.memory = {}
    assert watch.look(pnl="-90000", parts=parts) == "reduce_only"
    assert watch.look(pnl="-90000", parts=worse) == "halted"


STAND_IN = table("""
    ours    broker   equity   looks  done
    -       -7500    -        1      reduce_only
    -       -7500    -        2      reduce_only,kill
    -       -        -7500    2      reduce_only,kill
    -       -4000    -7500    2      reduce_only,kill
    -       -3999    100      2      -,-
    -100    -90000   -90000   2      -,-
    -       -        -        2      -,-
""")


@pytest.mark.parametrize("row", STAND_IN, ids=str)
def test_what_stands_in_while_ours_is_unknown_never_flattens(row: Row) -> None:
    """Two readings of the broker's figure, however large; the plan becomes `cancel`. A known figure of ours is ours."""
    tiers: dict[str, Any] = {**TIERS, "reduce_only_at_pct": 80, "plan": "flatten"}
    watch = Watch("daily_loss", daily_loss_inr_max="5000", on_breach="kill", **tiers)
    seen = {"broker_pnl_e4": row.e4("broker"), "equity_pnl_e4": row.e4("equity")}
    done = [watch.look(pnl=row.opt("ours"), **seen) for _ in range(row.number("looks"))]

    assert ",".join(done) == row.done
    assert {each.limit.plan for each in watch.made.actions if each.kill} <= {"cancel"}


OPTIONS = table("""
    exit_cost  holdings  costs  held    pnl       done
    no         no        500    -9000   -4999.99  reduce_only
    yes        no        500    -9000   -4499.99  reduce_only
    yes        no        500    -9000   -4500     reduce_only,kill
    yes        no        -      0       -4999.99  reduce_only
    yes        no        -      0       -6000     reduce_only,kill
    no         yes       500    -1000   -3999.99  reduce_only
    no         yes       500    -1000   -4000     reduce_only,kill
    no         yes       500    1000    -5999.99  reduce_only
    no         yes       500    -       -3999.99  -
    no         yes       500    -       -9000     reduce_only,kill
    yes        yes       500    -500    -4000     reduce_only,kill
""")


@pytest.mark.parametrize("row", OPTIONS, ids=str)
def test_what_a_limit_takes_into_the_days_figure(row: Row) -> None:
    """
    The charges of closing now, and what holdings made: only where the limit says so. A loss is seen where they are
    unknown; without the holdings it wants the second reading however large it is, and flattens nothing.
    """
    given = {name: True for name, column in (("include_exit_cost", "exit_cost"), ("include_holdings", "holdings"))
             if row.has(column)}  # fmt: skip
    watch = Watch("daily_loss", daily_loss_inr_max="5000", reduce_only_at_pct=80, plan="flatten", **given, **TIERS)

    def look() -> str:
        return watch.look(pnl=row.pnl, exit_cost_e4=row.e4("costs"), holdings_e4=row.e4("held"))

    done = [each for each in (look(), look()) if each != "-"]
    assert (",".join(done) or "-") == row.done
    whole = not (row.has("holdings") and row.e4("held") is None)
    assert {each.limit.plan for each in watch.made.actions if each.kill} <= {"flatten" if whole else "cancel"}


ANSWERS = table("""
    asked    done
    0,0      reduce_only,-
    0,1.9    reduce_only,-
    0,2      reduce_only,kill
    0,60     reduce_only,kill
    0,150    reduce_only,kill
    0,151    reduce_only,-
    -151,0   -,reduce_only
""")


@pytest.mark.parametrize("row", ANSWERS, ids=str)
def test_one_answer_of_the_broker_looked_at_twice_is_one_reading(row: Row) -> None:
    """*asked*: when each look's figure was fetched, the looks themselves 2 s and more after each other."""
    watch = Watch("daily_loss", daily_loss_inr_max="5000", reduce_only_at_pct=80, on_breach="kill", **TIERS)
    done = []
    for number, asked_s in enumerate(float(each) for each in row.asked.split(",")):
        seen = {"equity_pnl_e4": inr("-9000"), "equity_at_us": NOW + round(asked_s * SECOND)}
        done.append(watch.look(max(2.0 * number, asked_s), pnl=None, **seen))

    assert ",".join(done) == row.done


def test_what_only_watched_is_found_again_when_it_enforces() -> None:
    """In shadow a trip is said and nothing is done; enforced the same day it is done, by the same proof."""
    tiers: dict[str, Any] = {**TIERS}
    watch = Watch("weekly_loss", loss_inr_max="1000", on_breach="halt", mode="shadow", **tiers)
    assert watch.look(pnl="-1500", days={}) == "-" and "REACHED" in watch.codes()
    enforced = Watch("weekly_loss", loss_inr_max="1000", on_breach="halt", **tiers)
    enforced.memory = watch.memory

    assert enforced.look(3, pnl="-1500", days={}) == "halted"
