"""
The demonstration days: each is played by the real parts, tells its own story, and leaves a journal that verifies.

Parts of the days are played, as far as their story goes; `riskguard demo` plays them whole.
"""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType

import pytest

from riskguard.errors import SettingsError
from riskguard.feeds.bars import Day, load_day
from riskguard.services import overview
from riskguard.services.replay import Outcome, Replay, minutes, run_unguarded
from riskguard.services.wiring import open_guard
from riskguard.store.session import Store

MINUTE_US = 60_000_000
ELECTION, QUIET, HALTED = dt.date(2024, 6, 4), dt.date(2024, 7, 16), dt.date(2020, 3, 23)
PLAYED_MINUTES = {ELECTION: 25, QUIET: 60, HALTED: 120}
"""Enough for the kill of the election day, a quiet hour, and the halt of 2020 with the auction after it."""

Played = tuple[Outcome, str]


def first(day: Day, played: int) -> Day:
    """Return the first minutes of a day."""
    start_us = min(bars[0].start_us for bars in day.bars.values())
    until_us = start_us + played * MINUTE_US
    return Day(
        day.date,
        MappingProxyType(
            {name: tuple(bar for bar in bars if bar.start_us < until_us) for name, bars in day.bars.items()}
        ),
        day.instruments,
    )


@pytest.fixture(scope="module")
def play(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Played]:
    """Play a day once for all tests of this file; returns its outcome and the database's URL."""
    played: dict[tuple[dt.date, str], Played] = {}

    def once(date: dt.date, strategy: str = "dip") -> Played:
        key = (date, strategy)
        if key not in played:
            directory = tmp_path_factory.mktemp("day")
            with pytest.MonkeyPatch.context() as context:
                # Its own home: a kill of the account halts every database of the host that has one of that name.
                context.setenv("RISKGUARD_HOME", str(directory / "home"))
                url = f"sqlite:///{directory / 'demo.db'}"
                day = first(load_day(date), PLAYED_MINUTES[date])
                replay = Replay(day, url, strategy=strategy, rulebook="demo-index-futures")
                try:
                    outcome = replay.run()
                finally:
                    replay.close()
                outcome.unguarded, outcome.unguarded_orders = run_unguarded(day, directory, strategy=strategy)
            played[key] = outcome, url
        return played[key]

    return once


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], list[tuple[object, ...]]]:
    """Read a played day's database as `riskguard status` would: with its own home."""
    import contextlib
    import sqlite3

    def read(url: str, query: str) -> list[tuple[object, ...]]:
        monkeypatch.setenv("RISKGUARD_HOME", str(Path(url.removeprefix("sqlite:///")).parent / "home"))
        with contextlib.closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
            return connection.execute(query).fetchall()

    return read


Rows = Callable[[str, str], list[tuple[object, ...]]]


def test_the_killed_day_warns_then_kills_and_ends_flat_and_halted(play: Callable[..., Played], rows: Rows) -> None:
    """2024-06-04: the limit of ₹50,000 is reached, positions are closed, everything after is refused."""
    outcome, url = play(ELECTION)

    assert outcome.killed_at_us is not None and outcome.flat_at_us is not None
    assert outcome.killed_at_us <= outcome.flat_at_us <= outcome.killed_at_us + 60_000_000
    assert any("50 %" in message for _, message in outcome.warnings)
    assert [at_us for at_us, _ in outcome.warnings] == sorted(at_us for at_us, _ in outcome.warnings)
    assert outcome.refused.get("TRADING_HALTED", 0) > 0
    assert (outcome.kill_detail, outcome.path[-1].state) == ("flat, nothing pending", "HALTED")
    assert rows(url, "SELECT kill_plan, cause, state FROM kill_runs") == [("flatten", "DAILY_LOSS", "DONE")]
    assert rows(url, "SELECT sum(filled_quantity) FROM day_books GROUP BY security_id") == [(0,)] * len(
        rows(url, "SELECT DISTINCT security_id FROM day_books")
    )
    with open_guard(url, sweep=False) as guard:
        assert guard.state("leader").state.name == "HALTED"


@pytest.mark.parametrize("date", [ELECTION, QUIET, HALTED], ids=str)
def test_every_days_journal_verifies_and_replays(play: Callable[..., Played], rows: Rows, date: dt.date) -> None:
    """The chain is whole, and deciding again on what each decision kept agrees with what was decided then."""
    _, url = play(date)
    orders = rows(url, "SELECT count(*) FROM decisions WHERE kind = 'ORDER'")
    store = Store(url)
    try:
        found = overview.verify(store)
    finally:
        store.close()

    assert [(entry["wrong"], entry["replay_disagrees"]) for entry in found] == [(None, [])] * len(found)
    assert date == QUIET or orders[0][0] > 0  # type: ignore[operator]


@pytest.mark.parametrize("date", [ELECTION, QUIET, HALTED], ids=str)
def test_the_screen_counts_what_the_database_holds(play: Callable[..., Played], rows: Rows, date: dt.date) -> None:
    """Asked, approved and refused add up, and are the journal's: nothing on the closing screen is a constant."""
    outcome, url = play(date)
    ((approved,),) = rows(url, "SELECT count(*) FROM decisions WHERE approved = 1 AND client_order_id LIKE 'demo-%'")
    ((repeats,),) = rows(url, "SELECT coalesce(sum(repeats), 0) FROM refusal_repeats")
    ((refused,),) = rows(url, "SELECT count(*) FROM decisions WHERE approved = 0 AND client_order_id LIKE 'demo-%'")

    assert outcome.approved == approved
    assert sum(outcome.refused.values()) == outcome.asked - outcome.approved == refused + repeats  # type: ignore[operator]
    readings = rows(url, "SELECT day_pnl_e4 FROM pnl_readings ORDER BY id DESC LIMIT 1")
    assert outcome.final_pnl_e4 == readings[0][0]


def test_each_day_and_each_strategy_is_another_story(play: Callable[..., Played]) -> None:
    """Figures come from the bars: no two runs agree, and the guard's losses end where its limit says."""
    stories = [play(ELECTION)[0], play(QUIET)[0], play(HALTED)[0], play(ELECTION, "breakout")[0]]
    figures = [(each.asked, each.approved, each.final_pnl_e4, each.unguarded_final_e4) for each in stories]

    assert len(set(figures)) == len(figures)
    for each, other in itertools.combinations(stories[:3], 2):
        assert each.final_pnl_e4 != other.final_pnl_e4
    assert stories[1].killed_at_us is None and stories[1].path[-1].state == "ACTIVE"
    killed = stories[0]
    assert killed.final_pnl_e4 is not None and killed.unguarded_final_e4 is not None
    assert killed.worst_e4 is not None and killed.worst_e4 <= -500_000_000


def test_the_same_day_twice_is_the_same_story(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads fire the sweeps, and still nothing depends on how fast the machine is."""
    stories = []
    for number in range(2):
        monkeypatch.setenv("RISKGUARD_HOME", str(tmp_path / f"home{number}"))
        day = first(load_day(ELECTION), 20)
        replay = Replay(
            day, f"sqlite:///{tmp_path / str(number) / 'demo.db'}", strategy="dip", rulebook="demo-index-futures"
        )
        try:
            outcome = replay.run()
        finally:
            replay.close()
        stories.append((outcome.asked, outcome.approved, outcome.refused, outcome.killed_at_us, outcome.final_pnl_e4,
                        [(each.at_us, each.day_pnl_e4, each.state) for each in outcome.path]))  # fmt: skip

    assert stories[0] == stories[1]


def test_no_loss_is_measured_on_an_auction_row(play: Callable[..., Played], rows: Rows) -> None:
    """2020-03-23 halts at the lower circuit; indicative auction prices come before trading again, and are not marks."""
    day = load_day(HALTED)
    auction = [bar for bar in day.bars["NIFTY"] if bar.phase == "auction"]
    trades = {bar.start_us for bar in day.trades("NIFTY")}
    assert auction and min(bar.start_us for bar in auction) < max(trades)
    shown = {bar.start_us for _, bars in minutes(day) for _, bar in bars}
    assert shown == trades and not shown & {bar.start_us for bar in auction}
    _, url = play(HALTED)
    span = min(bar.start_us for bar in auction), max(bar.start_us for bar in auction) + MINUTE_US
    during = rows(
        url,
        f"SELECT fresh_marks, day_pnl_e4 FROM pnl_readings WHERE at_us BETWEEN {span[0] + 10_000_000} AND {span[1]}",  # noqa: S608
    )
    marked = rows(url, f"SELECT count(*) FROM marks WHERE at_us BETWEEN {span[0]} AND {span[1] - 1}")  # noqa: S608

    assert marked == [(0,)]
    assert during == [] or len({pnl for _, pnl in during}) == 1  # flat by then, or nothing fresh to measure


def test_in_the_halt_nothing_is_marked(play: Callable[..., Played]) -> None:
    """Minutes without a trade come without a bar: the marks grow old instead of standing still."""
    day = load_day(HALTED)
    trades = [bar.start_us for bar in day.trades("NIFTY")]
    gaps = [(a, b) for a, b in itertools.pairwise(trades) if b - a > MINUTE_US]
    empty = [at_us for at_us, bars in minutes(day) if not bars]

    assert gaps and len(empty) == sum((b - a) // MINUTE_US - 1 for a, b in gaps)
    outcome, _ = play(HALTED)
    assert len(outcome.path) >= PLAYED_MINUTES[HALTED] - 10


def test_without_the_guard_the_strategy_goes_on(play: Callable[..., Played]) -> None:
    """The counterfactual sends everything it wants, and is marked by the same bars."""
    outcome, _ = play(ELECTION)

    assert outcome.killed_at_us is not None and outcome.unguarded_orders > outcome.approved
    assert len(outcome.unguarded) == len(outcome.path) - 1  # the guarded day looks once more at its end
    after = [each.day_pnl_e4 for each in outcome.unguarded if each.at_us > outcome.killed_at_us + 2 * MINUTE_US]
    assert len(set(after)) > 1  # what it holds goes on being worth more or less


def test_what_is_not_there_is_refused(tmp_path: Path) -> None:
    """An unknown strategy, an unknown rulebook: before anything is played."""
    day = first(load_day(QUIET), 2)
    with pytest.raises(SettingsError, match="dip"):
        Replay(day, f"sqlite:///{tmp_path / 'a.db'}", strategy="martingale", rulebook="demo-index-futures")
    with pytest.raises(SettingsError, match="demo-index-futures"):
        Replay(day, f"sqlite:///{tmp_path / 'b.db'}", strategy="dip", rulebook="no-such")
    assert not (tmp_path / "b.db").exists()
