"""Causes that clear themselves: margin, broker, feed, token, address, the figures of others, the leader."""

from __future__ import annotations

import datetime as dt

import pytest

from riskguard import data
from riskguard.core.calendar import Calendar, ist_us
from riskguard.core.live.view import Peer, SourceHealth
from riskguard.core.quote import Quote
from riskguard.core.seen import Seen, SeenFunds, SeenProfile
from riskguard.core.state import TradingState
from tests.core.builders import NOW, SECOND, SHARE, account, inr, line
from tests.core.live.sights import Watch
from tests.core.tables import Row, table

HOURS = Calendar.parse(data.calendar_text())

MARGINS = table("""
    goal                               readings (used of 100)       done
    below the door                     89.99                        -
    reaching it enters                 90                           in
    between the two nothing changes    90 89 85 86                  in - - -
    leaving wants three in a row       90 84.99 84.99 84.99         in - - clear
    one between them begins anew       90 84 84 85 84 84 84         in - - - - - clear
    entering again at once             90 84 84 84 90               in - - clear in
    unknown neither counts nor clears  90 84 ? 84 84                in - - - clear
    the same reading counts once       90 84 84= 84= 84 84          in - - - - clear
    nothing in use is clean            90 0 0 0                     in - - clear
""")


@pytest.mark.parametrize("row", MARGINS, ids=str)
def test_margin_enters_at_90_and_leaves_below_85(row: Row) -> None:
    """Hysteresis; what was approved and adds risk is cancelled once on the way in."""
    watch = Watch("margin_utilisation", enter_pct=90, leave_pct=85, clean_reads=3)
    done, at_us = [], NOW
    for each in row.__dict__["_cells"]["readings (used of 100)"].split():
        at_us += 0 if each.endswith("=") else 60 * SECOND
        figure = each.rstrip("=")
        used = None if figure == "?" else inr(figure)
        free = None if used is None else inr("100") - used
        done.append(watch.look(funds=SeenFunds(free, None, used), funds_at_us=at_us))
    words = {"reduce_only task:cancel@account": "in"}

    assert " ".join(words.get(each, each) for each in done) == row.done


def test_more_than_all_of_it_in_use_is_too_much() -> None:
    """Nothing left, or less than nothing, divides by nothing and enters all the same; nobody's word enters nothing."""
    for used, free in (("100", "-100"), ("100", "-150"), ("100", "0")):
        watch = Watch("margin_utilisation", enter_pct=90, leave_pct=85, clean_reads=3)
        funds = SeenFunds(inr(free), None, inr(used))
        assert watch.look(funds=funds, funds_at_us=NOW).startswith("reduce_only")
    watch = Watch("margin_utilisation", enter_pct=90, leave_pct=85, clean_reads=3)
    assert watch.look(funds=None) == watch.look(funds=SeenFunds(None, None, inr("5")), funds_at_us=NOW) == "-"


def looked(failures: int) -> Seen:
    return Seen(NOW, (), (), (), None, tuple(f"read {number}: TimeoutError" for number in range(failures)))


BROKERS = table("""
    asked  failed  latency_s  failures  bad
    100    50      0.1        0         no
    100    51      0.1        0         yes
    100    0       5          0         no
    100    0       5.1        0         yes
    0      0       -          0         no
    0      0       -          2         no
    0      0       -          3         yes
""")


@pytest.mark.parametrize("row", BROKERS, ids=str)
def test_a_broker_that_fails_or_dawdles(row: Row) -> None:
    """On the limit is well; three bad looks raise it, three good ones clear it."""
    watch = Watch("broker_health", errors_pct_max=50, latency_s_max=5, bad_reads=3, clean_reads=3)
    latency = None if row.opt("latency_s") is None else round(float(row.latency_s) * SECOND)
    health = {"broker": SourceHealth(row.number("asked"), row.number("failed"), latency)}
    bad = [watch.look(health=health, seen=looked(row.number("failures"))) for _ in range(3)]
    good = [watch.look(health={}, seen=looked(0)) for _ in range(3)]

    assert bad == ["-", "-", "reduce_only" if row.has("bad") else "-"]
    assert good == ["-", "-", "clear" if row.has("bad") else "-"]


def test_a_sweep_that_did_not_look_says_nothing_of_the_broker() -> None:
    """Neither counts nor clears; one good look between bad ones begins the row anew."""
    watch = Watch("broker_health", errors_pct_max=50, latency_s_max=5, bad_reads=2, clean_reads=1)

    assert [watch.look(seen=looked(4)), watch.look(), watch.look(seen=looked(4))] == ["-", "-", "reduce_only"]
    assert [watch.look(), watch.look(seen=looked(0))] == ["-", "clear"]
    assert [watch.look(seen=looked(each)) for each in (4, 0, 4, 4)] == ["-", "-", "-", "reduce_only"]


FEEDS = table("""
    net  age_s      at        bad
    10   60         open      no
    10   60.000001  open      yes
    10   -          open      yes
    0    -          open      no
    10   9999       closed    no
    10   9999       unknown   yes
""")


@pytest.mark.parametrize("row", FEEDS, ids=str)
def test_a_position_nobody_prices(row: Row) -> None:
    """The oldest mark of what is open, while its market is; no mark is older than any."""
    of = account(line(row.number("net")))
    watch = Watch("feed_health", of, mark_age_s_max=60, bad_reads=1, clean_reads=2)
    base_s = 0.0 if row.at != "closed" else -3600.0  # NOW is 09:15, the opening
    quotes = {}
    if row.opt("age_s") is not None:
        quotes[SHARE.key] = Quote.of(ltp="100", at_us=NOW + round((base_s - float(row.age_s)) * SECOND))
    calendar = None if row.at == "unknown" else HOURS

    assert watch.look(base_s, quotes=quotes, calendar=calendar) == ("reduce_only" if row.has("bad") else "-")
    quotes = {SHARE.key: Quote.of(ltp="100", at_us=NOW + round((base_s + 2) * SECOND))}
    assert watch.look(base_s + 2, quotes=quotes, calendar=calendar) == "-"
    assert watch.look(base_s + 4, quotes=quotes, calendar=calendar) == ("clear" if row.has("bad") else "-")


CLOSE_US = ist_us(dt.date(2024, 6, 4), 15 * 3600 + 30 * 60)

TOKENS = table("""
    ends_after_s  early  done
    900.000001    yes    -
    900           yes    reduce_only
    0             yes    reduce_only
    -5            yes    reduce_only
    22500         no     -
    22499         yes    -
    90000         no     -
    -             no     -
""")


@pytest.mark.parametrize("row", TOKENS, ids=str)
def test_a_token_that_dies_before_the_close(row: Row) -> None:
    """Said once as soon as it is known; a quarter of an hour before its end nothing is added; a later one clears."""
    assert CLOSE_US - NOW == 22_500 * SECOND
    watch = Watch("token_expiry", before_end_s=900)
    until = None if row.opt("ends_after_s") is None else NOW + round(float(row.ends_after_s) * SECOND)

    assert watch.look(0, token_until_us=until, calendar=HOURS) == row.done
    assert ("TOKEN_ENDS_EARLY" in watch.codes()) == row.has("early")
    watch.look(0, token_until_us=until, calendar=HOURS)
    assert watch.codes() == "-"
    assert watch.look(0, token_until_us=NOW + 90_000 * SECOND) == ("-" if row.done == "-" else "clear")


def test_the_profile_tells_of_a_token_the_table_does_not_know() -> None:
    watch = Watch("token_expiry", before_end_s=900)

    assert watch.look(profile=SeenProfile(NOW + 60 * SECOND, (), True)) == "reduce_only"


def test_an_address_that_may_not_place_is_told_at_once() -> None:
    """False raises and alarms, not said neither counts nor clears, True clears."""
    watch = Watch("ip_allowed")
    words = [None, False, None, True]
    done = [
        watch.look(profile=SeenProfile(None, (), each, "static IP"), profile_at_us=NOW + number)
        for number, each in enumerate(words)
    ]

    assert done == ["-", "reduce_only", "-", "clear"]
    watch = Watch("ip_allowed")
    watch.look(profile=SeenProfile(None, (), False))
    assert [each.severity for each in watch.made.findings] == ["critical"]


DIVERGENCES = table("""
    ours    compared     broker   equity   bad
    100     -            200      -        no
    100     -            200.01   -        yes
    100     -            -        0        no
    100     -            -        -0.01    yes
    1000    -            1250     -        no
    1000    -            1250.01  -        yes
    -5000   -            -6000    -        no
    -5000   -            -6250    -        no
    -5000   -            -6250.1  -        yes
    1000    50,200       1000     -        yes
    1000    50,60        9999     -        no
    -       -            -9000    -        no
    1000    -            -        -        no
""")


@pytest.mark.parametrize("row", DIVERGENCES, ids=str)
def test_figures_that_part(row: Row) -> None:
    """More than ₹100 and more than 20 % of the larger: said at once, reduce-only at the third, cleared after two."""
    watch = Watch("pnl_divergence", difference_inr_max="100", difference_pct_max=20, bad_reads=3, clean_reads=2)
    pair = row.opt("compared")
    seen = {
        "broker_pnl_e4": row.e4("broker"), "equity_pnl_e4": row.e4("equity"),
        "compared_e4": None if pair is None else tuple(map(inr, pair.split(","))),
    }  # fmt: skip
    done, said = [], []
    for _ in range(3):
        done.append(watch.look(pnl=row.opt("ours"), **seen))
        said.append(watch.codes())
    bad = row.has("bad")

    assert done == ["-", "-", "reduce_only" if bad else "-"]
    assert said == (["PNL_DIVERGENCE_SEEN", "-", "PNL_DIVERGENCE_BAD"] if bad else ["-", "-", "-"])
    agrees = {"broker_pnl_e4": inr("1000"), "equity_pnl_e4": None, "compared_e4": None}
    assert [watch.look(pnl="1000", **agrees) for _ in range(2)] == ["-", "clear" if bad else "-"]


def test_old_marks_of_ours_prove_nothing_against_anybody() -> None:
    watch = Watch("pnl_divergence", difference_inr_max="100", difference_pct_max=20, bad_reads=1, clean_reads=1)

    assert watch.look(pnl="-9000", fresh=False, broker_pnl_e4=inr("1000")) == "-" and watch.memory == {}


LEADERS = table("""
    then            states                              done
    stop_copy       ACTIVE                              -
    stop_copy       REDUCE_ONLY ACTIVE ACTIVE           reduce_only,-,clear
    stop_copy       HALTED HALTED ACTIVE ACTIVE         reduce_only,-,-,clear
    stop_copy       HALTED ACTIVE HALTED ACTIVE ACTIVE  reduce_only,-,-,-,clear
    mirror_flatten  REDUCE_ONLY                         reduce_only
    mirror_flatten  HALTED HALTED                       reduce_only task:flatten@account,-
    mirror_flatten  REDUCE_ONLY HALTED HALTED           reduce_only,task:flatten@account,-
    ignore          HALTED HALTED                       -,-
""")


@pytest.mark.parametrize("row", LEADERS, ids=str)
def test_what_a_follower_does_while_its_leader_is_stopped(row: Row) -> None:
    """Two looks at an ACTIVE leader clear it; an account without a leader is not judged."""
    watch = Watch("leader_halt", then=row.then, clean_reads=2)
    leaders = [Peer("leader", "leader", TradingState[each], None, None, False) for each in row.states.split()]

    assert ",".join(watch.look(leader=each) for each in leaders) == row.done
    assert Watch("leader_halt", then=row.then, clean_reads=2).look(leader=None) == "-"
