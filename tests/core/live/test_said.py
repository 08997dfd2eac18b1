"""
What each live check says and remembers, whole: words, figures, units, causes, scopes, and its memory on disk (`said.txt`).

An operator reads the message at the worst moment of the day, alerts and pages sort by severity and show the figures with
their unit, a release goes by the cause, and the next version reads the memory. So all of it stands here to be read.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from riskguard import data
from riskguard.core.book import Working
from riskguard.core.calendar import Calendar, ist_us
from riskguard.core.checks import LIVE_CHECKS
from riskguard.core.instrument import Instrument
from riskguard.core.live.trips import DayFills, Entry, Trip
from riskguard.core.live.view import Basket, Leg, Peer, SourceHealth, Unexplained, Unsolicited
from riskguard.core.money import to_text
from riskguard.core.quote import Quote
from riskguard.core.seen import Seen, SeenFunds, SeenProfile
from riskguard.core.state import Cause, TradingState
from tests.core.builders import FUTURE, NOW, SECOND, SHARE, account, inr, line, option
from tests.core.live.sights import TIERS, Watch
from tests.core.tables import stories

HOURS = Calendar.parse(data.calendar_text())
LINE = (*SHARE.key, "INTRADAY")
EXPECTED = Path(__file__).with_name("said.txt")
"""A story each: what was found, `>` what is to be done, `<` what is over, `=` what is remembered."""


def clock(hour: int, minute: int, day: int = 4) -> float:
    return (ist_us(dt.date(2024, 6, day), hour * 3600 + minute * 60) - NOW) / SECOND


def words(watch: Watch) -> Iterator[str]:
    """Yield what the last look made, a line each; money in rupees."""
    for each in watch.made.findings:
        assert isinstance(each.unit, str)
        figures = (each.measured_e4, each.limit_e4)
        shown = [str(e4) if each.unit != "inr" or e4 is None else to_text(e4) for e4 in figures]
        yield f"{each.code} {each.severity} {' of '.join(shown)} {each.unit or '-'} [{each.limit_id}]: {each.message}"
    for done in watch.made.actions:
        assert done.limit.id == watch.limit.id
        flags = "".join(f" {name}" for name in ("kill", "soft") if getattr(done, name))
        yield f"> {done.state.name} {done.cause} over `{done.scope}` task `{done.task}`{flags}: {done.finding.code}"
    for gone in watch.made.clears:
        yield f"< {gone.cause} over `{gone.scope}` [{gone.limit.id}]: {gone.message}"
    yield "= " + json.dumps(watch.memory, sort_keys=True)


SAID: dict[str, Callable[[], Iterator[Watch]]] = {}


def said(found: Callable[[], Iterator[Watch]]) -> Callable[[], Iterator[Watch]]:
    SAID[found.__name__] = found
    return found


@said
def daily_loss() -> Iterator[Watch]:
    watch = Watch("daily_loss", daily_loss_inr_max="5000", reduce_only_at_pct=80, on_breach="kill", **TIERS)
    for pnl in ("-4000", "-5000", "-5000"):
        watch.look(pnl=pnl)
        yield watch
    watch = Watch("daily_loss", daily_loss_inr_max="5000", reduce_only_at_pct=80, on_breach="kill", **TIERS)
    watch.look(pnl="-7500")
    yield watch
    watch = Watch("daily_loss", daily_loss_inr_max="5000", reduce_only_at_pct=80, on_breach="halt", **TIERS)
    watch.look(pnl=None, broker_pnl_e4=inr("-4000"))
    yield watch
    watch = Watch("daily_loss", daily_loss_inr_max="5000", reduce_only_at_pct=80, include_holdings=True, **TIERS)
    watch.look(pnl="-5000")
    yield watch


@said
def daily_loss_of_several() -> Iterator[Watch]:
    other = Peer("follower", "follower", TradingState.ACTIVE, inr("-3000"), NOW, True)
    for scope in ("GROUP:desk", "GLOBAL"):
        watch = Watch("daily_loss", scope=scope, daily_loss_inr_max="5000", reduce_only_at_pct=90, **TIERS)
        watch.look(pnl="-2000", peers=(other,), everybody=(other,))
        yield watch


@said
def bypass_after_kill() -> Iterator[Watch]:
    halt = Cause("ACCOUNT:leader", TradingState.HALTED, "KILL", "fat finger", "desk", NOW - SECOND)
    newer = replace(halt, scope="GLOBAL", since_us=NOW)
    soft = replace(halt, state=TradingState.REDUCE_ONLY, since_us=NOW - 9 * SECOND)

    def working(order_id: str, sign: int, remaining: int, reducing: bool = False) -> Working:
        return Working(f"k{order_id}", sign, remaining, reducing, order_id=order_id)

    orders = (
        working("b", 1, 5),
        working("c", 1, 2),
        working("s", -1, 7),
        working("x", -1, 9, True),
        working("e", 1, 0),
    )
    watch = Watch("bypass_after_kill", account(line(10, working=orders), causes=(halt, newer, soft)))
    watch.look()
    yield watch
    nameless = Working("mine", 1, 1, reducing=False)
    watch.of = account(
        line(18, working=(*orders, nameless)), causes=(halt,), others=((FUTURE, line(-5, product="CNC")),)
    )  # fmt: skip
    watch.look()
    yield watch
    watch.of = account(line(0))
    watch.look()
    yield watch


@said
def weekly_loss() -> Iterator[Watch]:
    watch = Watch("weekly_loss", loss_inr_max="10000", on_breach="halt", **TIERS)
    for _ in range(2):
        watch.look(pnl="-6000", days={"2024-06-03": inr("-4000"), "2024-05-31": None})
        yield watch
    watch.look(pnl="-1", days={"2024-06-04": None, "2024-06-03": None}, date="2024-06-05")
    yield watch
    watch.look(pnl="-1", days={"2024-06-04": None, "2024-06-03": None}, date="2024-06-05")
    yield watch


@said
def monthly_loss() -> Iterator[Watch]:
    watch = Watch("monthly_loss", loss_inr_max="10000", on_breach="halt", **TIERS)
    watch.look(pnl="-6000", days={"2024-06-03": inr("-4000"), "2024-05-31": inr("-9000")})
    yield watch


@said
def drawdown() -> Iterator[Watch]:
    watch = Watch("drawdown", kind="EOD_TRAILING", drawdown_inr_max="1000", on_breach="kill", **TIERS)
    watch.look(pnl="500")
    yield watch
    for _ in range(2):
        watch.look(pnl="-600", date="2024-06-05")
        yield watch


@said
def group_loss() -> Iterator[Watch]:
    other = Peer("follower", "follower", TradingState.ACTIVE, inr("-7000"), NOW, True)
    watch = Watch("group_loss", scope="GROUP:desk", group_loss_inr_max="10000", on_breach="kill", **TIERS)
    watch.look(pnl="-2000", peers=(other,))
    yield watch


@said
def profit_lock() -> Iterator[Watch]:
    watch = Watch("profit_lock", armed_at_inr="1000", give_back_pct=40, on_breach="reduce_only")
    for pnl, fresh in (("1500", True), ("900", False), ("900", True), ("900", True)):
        watch.look(pnl=pnl, fresh=fresh)
        yield watch


@said
def profit_target() -> Iterator[Watch]:
    watch = Watch("profit_target", target_inr="1000")
    for date in ("2024-06-04", "2024-06-04", "2024-06-05"):
        watch.look(pnl="1234.5", date=date)
        yield watch


@said
def position_loss() -> Iterator[Watch]:
    watch = Watch("position_loss", account(line(10)), position_loss_inr_max="500", at_once_pct=150)
    fills = DayFills(average_e4={LINE: inr("100")})
    for at_s in (0, 2):
        watch.look(at_s, fills=fills, quotes={SHARE.key: Quote.of(ltp="45", at_us=NOW + at_s * SECOND)})
        yield watch


@said
def reconciliation() -> Iterator[Watch]:
    watch = Watch("reconciliation", reads_max=2, halt_after_s=60)
    lines = [Unexplained(SHARE.key, "INTRADAY", -3), Unexplained(FUTURE.key, "MARGIN", 25)]
    lines += [Unexplained(("NSE_EQ", str(number)), "CNC", 1) for number in range(4)]
    for at_s, count in ((0, 2), (5, 5), (60, 6), (70, 0)):
        watch.look(at_s, unexplained=tuple(lines[:count]), unexplained_at_us=NOW + at_s * SECOND)
        yield watch
    watch = Watch("reconciliation", reads_max=1, halt_after_s=60)
    watch.look(0, unexplained=tuple(lines[:6]), unexplained_at_us=NOW)
    yield watch


@said
def unsolicited_order() -> Iterator[Watch]:
    for count in (1, 5, 6):
        watch = Watch("unsolicited_order", on_breach="reduce_only")
        watch.look(unsolicited=tuple(Unsolicited(f"o{number}", f"BUY {number}") for number in range(count)))
        yield watch


@said
def pnl_divergence() -> Iterator[Watch]:
    watch = Watch("pnl_divergence", difference_inr_max="100", difference_pct_max=20, bad_reads=2, clean_reads=1)
    for broker, equity in (("-500", "-900"), ("-500", "-900"), ("1000", None)):
        watch.look(pnl="1000", broker_pnl_e4=inr(broker), equity_pnl_e4=None if equity is None else inr(equity))
        yield watch


@said
def ip_allowed() -> Iterator[Watch]:
    for detail in ("static IP", ""):
        watch = Watch("ip_allowed")
        watch.look(profile=SeenProfile(None, (), False, detail), profile_at_us=NOW + 7)
        yield watch
    watch.look(profile=SeenProfile(None, (), True))
    yield watch


@said
def token_expiry() -> Iterator[Watch]:
    watch = Watch("token_expiry", before_end_s=900)
    for at_s, until_s in ((0, 1000), (200, 1000), (1001, 1000), (1003, 90_000)):
        watch.look(at_s, token_until_us=NOW + until_s * SECOND, calendar=HOURS)
        yield watch


@said
def broker_health() -> Iterator[Watch]:
    for health in (SourceHealth(100, 51), SourceHealth(100, 0, 5_100_000)):
        watch = Watch("broker_health", errors_pct_max=50, latency_s_max=5, bad_reads=1, clean_reads=1)
        watch.look(health={"broker": health})
        yield watch
    watch = Watch("broker_health", errors_pct_max=50, latency_s_max=5, bad_reads=1, clean_reads=1)
    for failures in (("orders: TimeoutError", "trades: no", "funds: no"), ()):
        watch.look(seen=Seen(NOW, (), (), (), None, failures))
        yield watch


@said
def feed_health() -> Iterator[Watch]:
    watch = Watch(
        "feed_health", account(line(10), others=((FUTURE, line(25)),)), mark_age_s_max=60, bad_reads=1, clean_reads=1
    )  # fmt: skip
    old = {
        SHARE.key: Quote.of(ltp="1", at_us=NOW - 61 * SECOND),
        FUTURE.key: Quote.of(ltp="1", at_us=NOW - 99 * SECOND),
    }
    for at_s, quotes in ((0, old), (-60, old), (-58, {SHARE.key: old[SHARE.key]})):
        watch.look(at_s, quotes=quotes)
        yield watch
    watch = Watch("feed_health", account(line(10)), mark_age_s_max=60, bad_reads=1, clean_reads=1)
    watch.look(0)
    yield watch


@said
def margin_utilisation() -> Iterator[Watch]:
    for used, free, plan in (("95.55", "4.45", "cancel"), ("5", "-10", "halt")):
        watch = Watch("margin_utilisation", enter_pct=90, leave_pct=85, clean_reads=1, plan=plan)
        watch.look(funds=SeenFunds(inr(free), None, inr(used)), funds_at_us=NOW)
        yield watch
    watch.look(funds=SeenFunds(inr("100"), None, inr("5")), funds_at_us=NOW + 1)
    yield watch


@said
def square_off_time() -> Iterator[Watch]:
    watch = Watch("square_off_time", account(line(-7)), before_close_s=180)
    for hour, minute, day in ((15, 28, 4), (15, 31, 4), (15, 28, 5)):
        watch.look(clock(hour, minute, day), date=f"2024-06-0{day}", calendar=HOURS)
        yield watch


@said
def expiry_day() -> Iterator[Watch]:
    contract = Instrument("NSE_FNO", "7", "HDFCBANK-FUT", "FUTSTK", lot_size=25, expiry="2024-06-05")
    watch = Watch(
        "expiry_day", account(line(-25, product="MARGIN"), instrument=contract), warn_days=3, before_close_s=3600
    )  # fmt: skip
    for hour, day in ((15, 4), (10, 5), (15, 5)):
        watch.look(clock(hour, 0, day), date=f"2024-06-0{day}", calendar=HOURS)
        yield watch


@said
def orphan_leg() -> Iterator[Watch]:
    call, cover = option(), option("50002")
    of = account(line(-25, product="MARGIN"), instrument=call)
    watch = Watch("orphan_leg", of, incomplete_s_max=60, plan="broker")
    legs = (Leg(cover.key, "MARGIN", 25, 0, False), Leg(call.key, "MARGIN", -25, -25, False))
    watch.look(60, baskets=(Basket("b1", NOW, legs),))
    yield watch
    of.positions.clear()
    watch.look(baskets=(Basket("b1", NOW, legs),))
    yield watch


@said
def orphan_follower() -> Iterator[Watch]:
    leader = Peer("boss", "leader", TradingState.ACTIVE, None, None, False, {})
    watch = Watch("orphan_follower", account(line(10), line(-3, product="MARGIN")), orphan_s_max=60)
    for at_s in (0, 61):
        watch.look(at_s, leader=leader, copied=frozenset({SHARE.key}))
        yield watch


@said
def leader_halt() -> Iterator[Watch]:
    watch = Watch("leader_halt", then="mirror_flatten", clean_reads=1)
    for state in (TradingState.REDUCE_ONLY, TradingState.HALTED, TradingState.ACTIVE):
        watch.look(leader=Peer("boss", "leader", state, None, None, False))
        yield watch
    watch = Watch("leader_halt", then="ignore", clean_reads=1)
    watch.look(leader=Peer("boss", "leader", TradingState.HALTED, None, None, False))
    yield watch


@said
def protective_order_missing() -> Iterator[Watch]:
    half = Working("s", -1, 4, True, protective=True, order_id="s")
    watch = Watch("protective_order_missing", account(line(10, working=(half,))), missing_s_max=60)
    for at_s in (0, 61):
        watch.look(at_s)
        yield watch


@said
def loss_streak() -> Iterator[Watch]:
    watch = Watch("loss_streak", losses_max=2, pause_s=60)
    day = DayFills(tuple(Trip(LINE, "dip", NOW + number, -1, False) for number in (1, 2)))
    for at_s in (0, 60):
        watch.look(at_s, fills=day)
        yield watch


@said
def cooldown() -> Iterator[Watch]:
    watch = Watch("cooldown", after="loss", pause_s=60)
    for at_s in (0.5, 60):
        watch.look(at_s, fills=DayFills((Trip(LINE, "dip", NOW, -1, False),)))
        yield watch


@said
def trades_per_day() -> Iterator[Watch]:
    watch = Watch("trades_per_day", entries_max=2)
    for date in ("2024-06-04", "2024-06-05"):
        watch.look(fills=DayFills(entries=(Entry(SHARE.key, "dip"),) * (2 if date.endswith("4") else 0)), date=date)
        yield watch


@pytest.mark.parametrize("name", SAID)
def test_what_a_live_check_says(name: str) -> None:
    """Every look of the story in turn, to the letter."""
    assert "\n".join(each for watch in SAID[name]() for each in words(watch)) == stories(EXPECTED)[name]


def test_every_live_check_is_heard() -> None:
    """A new check that nobody listens to is a gap that would not be seen."""
    assert {check.name for check in LIVE_CHECKS} <= set(SAID) == set(stories(EXPECTED))
