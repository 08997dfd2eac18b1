"""Goal: the daemon watches every account of its database, alone of several, and one that cannot be watched stops no other."""

from __future__ import annotations

import datetime as dt
import io
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from riskguard.clock import SystemClock
from riskguard.errors import SettingsError
from riskguard.services import systemd
from riskguard.services.daemon import Daemon
from riskguard.services.orders.guard import RiskGuard
from riskguard.services.setup import initialise
from riskguard.services.sweeps.schedule import Job
from riskguard.services.wiring import open_guard
from tests.core.tables import Row, table
from tests.services.desk import SECOND, Desk, eventually

IST_EVENING_S = 18 * 3600 + 30 * 60


@pytest.fixture
def make_daemon(desk: Desk) -> Iterator[Callable[..., Daemon]]:
    """Daemons on the desk's database, each with connections of its own; stopped at the end."""
    made: list[tuple[Daemon, RiskGuard]] = []

    def make(*, clock: Any = None, **how: Any) -> Daemon:
        guard = open_guard(desk.url, sweep=False, clock=clock or desk.clock, deadline_ms=5_000)
        made.append((Daemon(guard, alerts=desk.alerts, upkeep=False, **how), guard))
        return made[-1][0]

    yield make
    for daemon, guard in made:
        daemon.stop(20.0)
        guard.close()


def add_account(desk: Desk, name: str) -> None:
    book = desk.path.parent / "book.toml"
    from tests.services.desk import rulebook

    book.write_text(rulebook())
    initialise(desk.url, account=name, rulebook=str(book), clock=desk.clock, profile="paper")


def swept(desk: Desk, account: str, kind: str) -> int:
    counted = "SELECT count(*) FROM sweeps WHERE account = ? AND kind = ? AND finished_at_us IS NOT NULL"
    return int(desk.one(counted, account, kind))


# -- accounts ---------------------------------------------------------------------------------------------------------------


def test_it_sweeps_every_account_and_takes_up_those_that_are_added(
    desk: Desk, make_daemon: Callable[..., Daemon]
) -> None:
    """Losses, books and funds of both; a third one that comes later is watched without a restart."""
    add_account(desk, "follower")
    daemon = make_daemon(clock=SystemClock())
    daemon.start()
    for account in ("leader", "follower"):
        for kind in ("daily_loss", "book", "funds"):
            before = 1 if (account, kind) == ("leader", "daily_loss") else 0
            eventually(lambda a=account, k=kind, b=before: swept(desk, a, k) > b, 60)
    add_account(desk, "third")
    daemon.take_up_accounts()
    eventually(lambda: swept(desk, "third", "daily_loss") and swept(desk, "third", "book"), 60)

    assert daemon.tick() and set(daemon.sweepers) == {"leader", "follower", "third"}


def test_an_account_that_cannot_be_watched_stops_no_other(
    desk: Desk, make_daemon: Callable[..., Daemon], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its broker does not open: told once, tried again, taken up when it does."""
    from riskguard.services import daemon as module

    add_account(desk, "follower")
    plain = module.sweeper_of
    with monkeypatch.context() as context:

        def broken(guard: Any, settings: Any, account: str, *given: Any, **more: Any) -> Any:
            if account == "follower":
                raise SettingsError("no client id: `riskguard account …`")
            return plain(guard, settings, account, *given, **more)

        context.setattr(module, "sweeper_of", broken)
        daemon = make_daemon()
        for _ in range(3):
            daemon.take_up_accounts(must=True)
        assert set(daemon.sweepers) == {"leader"}
        told = [said for account, severity, said in desk.alerts.said if (account, severity) == ("follower", "critical")]
        assert len(told) == 1 and "NOT watched" in told[0]
    daemon.take_up_accounts()

    assert set(daemon.sweepers) == {"leader", "follower"}
    assert ("follower", "info", "follower is watched now") in desk.alerts.said


def test_when_not_one_account_can_be_watched_it_does_not_start(
    desk: Desk, make_daemon: Callable[..., Daemon], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A daemon that watches nothing must not look as if it did."""

    def broken(*given: Any, **more: Any) -> Any:
        raise SettingsError("no token")

    monkeypatch.setattr("riskguard.services.daemon.sweeper_of", broken)

    with pytest.raises(SettingsError, match="no token"):
        make_daemon().start()


def test_intervals_that_are_changed_are_obeyed_without_a_restart(
    desk: Desk, make_daemon: Callable[..., Daemon]
) -> None:
    """The next look at the settings finds them."""
    daemon = make_daemon()
    daemon.take_up_accounts()
    desk.sql("UPDATE config SET value = '33' WHERE key = 'riskguard.sweep_book_s'")
    daemon.take_up_accounts()
    cadence = daemon.sweepers["leader"].slots.cadence

    assert cadence is not None and cadence.every_us["book"] == 33 * SECOND


def test_a_new_pace_of_losses_is_kept_without_a_restart(desk: Desk, make_daemon: Callable[..., Daemon]) -> None:
    """The jobs are fired at it, and the lease lives three of it: a heartbeat must not be judged by a pace nobody keeps."""
    daemon = make_daemon()
    for seconds in (30, 1):
        desk.sql("UPDATE config SET value = ? WHERE key = 'riskguard.sweep_interval_s'", str(seconds))
        daemon.take_up_accounts()
        fired = {job.id: job.every_s for job in daemon.schedule._jobs.values() if job.account == "leader"}

        assert fired == {f"{kind}-leader": float(seconds) for kind in ("loss", "book", "funds", "kill")}
        assert daemon.lease.life_us == max(6, 3 * seconds) * SECOND


# -- two of them --------------------------------------------------------------------------------------------------------------


def test_of_two_daemons_one_sweeps_and_the_other_takes_over(desk: Desk, make_daemon: Callable[..., Daemon]) -> None:
    """The lease: nobody but its holder writes a slot; given back, the other has it at once."""
    first, second = make_daemon(), make_daemon()
    for daemon in (first, second):
        daemon.take_up_accounts()
    one, other = first.sweepers["leader"], second.sweepers["leader"]
    did = []
    for _ in range(10):
        desk.clock.advance(2)
        desk.clock.skipped_us += 2 * SECOND  # what waits, waits as long as the world does
        did.append((one.loss().pnl is not None, other.loss().pnl is not None, one.book(), other.book()))
    assert all(mine and not theirs for mine, theirs, _, _ in did)
    assert sum(mine for *_, mine, _ in did) >= 2 and not any(theirs for *_, theirs in did)
    assert first.stop(20.0)
    desk.clock.advance(2)

    assert other.loss().pnl is not None
    assert desk.rows("SELECT holder, token FROM leases WHERE name = 'sweeps'") == [(second.lease.holder, 2)]


# -- the day's end --------------------------------------------------------------------------------------------------------------


def test_the_days_end_is_done_once_by_whoever_comes_first(desk: Desk, make_daemon: Callable[..., Daemon]) -> None:
    """After the hour of the day's upkeep, once for each account and session; what breaks is tried again."""
    done: list[tuple[str, str]] = []
    breaks = [SettingsError("disk full")]

    def write(_guard: RiskGuard, account: str, date: str) -> None:
        if breaks:
            raise breaks.pop()
        done.append((account, date))

    first, second = make_daemon(end_of_day=write), make_daemon(end_of_day=write)
    for daemon in (first, second):
        daemon.take_up_accounts()
    assert first.end_the_day() == [], "in the session"
    desk.clock.advance(9 * 3600)
    assert first.end_the_day() == [], "it broke"
    assert first.end_the_day() == ["leader"] and second.end_the_day() == [] and first.end_the_day() == []
    desk.clock.advance(86_400)
    assert second.end_the_day() == ["leader"]

    assert done == [("leader", "2025-06-02"), ("leader", "2025-06-03")]


ENDS = table("""
    segment       at                   done
    MCX_COMM      2026-11-05T18:31:00  no
    MCX_COMM      2026-11-05T23:56:00  yes
    NSE_EQ        2026-11-05T18:31:00  yes
    NSE_EQ        2024-11-01T18:31:00  no
    NSE_EQ        2024-11-01T20:00:00  yes
    -             2024-11-01T18:31:00  yes
""")


@pytest.mark.parametrize("row", ENDS, ids=str)
def test_the_day_ends_when_the_markets_it_has_lines_in_are_closed(
    desk: Desk, make_daemon: Callable[..., Daemon], row: Row
) -> None:
    """Commodities trade to midnight and muhurat begins after the usual hour: a report before that leaves fills out."""
    at = dt.datetime.fromisoformat(f"{row.at}+05:30")
    desk.clock.at_us = int(at.timestamp()) * SECOND
    if row.segment is not None:
        desk.sql(
            "INSERT INTO day_books (account, session_date, exchange_segment, security_id, product, start_quantity) "
            "VALUES ('leader', ?, ?, '1', 'MARGIN', 1)", at.date().isoformat(), row.segment,
        )  # fmt: skip
    done: list[str] = []
    daemon = make_daemon(end_of_day=lambda _guard, account, _date: done.append(account))
    daemon.take_up_accounts()
    daemon.end_the_day()

    assert done == (["leader"] if row.done == "yes" else [])


# -- a stop ----------------------------------------------------------------------------------------------------------


def test_a_stop_with_a_hung_job_is_bounded_and_says_so(desk: Desk, make_daemon: Callable[..., Daemon]) -> None:
    """False: somebody must leave without it. The lease then ends by itself, and nobody is told otherwise."""
    daemon, inside, through = make_daemon(clock=SystemClock()), threading.Event(), threading.Event()

    def hang() -> None:
        inside.set()
        through.wait(60)

    daemon.start()
    daemon.schedule.add(Job("hang", "book", 1.0, hang), at_once=True)
    assert inside.wait(20)
    began_us = SystemClock().elapsed_us()

    assert not daemon.stop(0.5)
    assert SystemClock().elapsed_us() - began_us < 20 * SECOND
    through.set()


# -- how it stands ---------------------------------------------------------------------------------------------------


def test_the_table_says_how_every_account_stands(desk: Desk, make_daemon: Callable[..., Daemon]) -> None:
    """State, P&L, the age of each kind of sweep, and kill runs that are open."""
    desk.hold(10, "1000")
    daemon = make_daemon()
    daemon.take_up_accounts()
    sweeper = daemon.sweepers["leader"]
    desk.clock.advance(2)
    desk.quote("1000")
    sweeper.loss()
    sweeper.book()
    desk.kill(plan="cancel")
    desk.clock.advance(4)
    (standing,) = daemon.standings()

    assert (standing.account, standing.state) == ("leader", "HALTED")
    assert standing.day_pnl is not None and standing.fresh
    assert standing.ages_s["daily_loss"] == standing.ages_s["book"] == 4.0
    assert standing.ages_s["funds"] is None and len(standing.kill_runs) == 1


def test_the_table_is_drawn_for_every_standing() -> None:
    """Unknown is a word, not a zero; a stale figure says so."""
    from rich.console import Console

    from riskguard.cli.watching import age_text, table
    from riskguard.services.daemon import Standing

    ages: dict[str, float | None] = {"daily_loss": 1.0, "book": None, "funds": 300.0}
    rows = [
        Standing("leader", "ACTIVE", "-1200.50", True, ages, ()),
        Standing("[bold]x", "HALTED", None, False, ages, ("7 CANCEL OPEN",)),
        Standing("other", "REDUCE_ONLY", "5", False, ages, ()),
    ]
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(table(rows))
    text = console.export_text()

    assert "-₹1,200.50" in text and "unknown" in text and "(stale)" in text and "7 CANCEL OPEN" in text
    assert "[bold]x" in text, "an account's name is never markup"
    assert [age_text(each) for each in (None, 0.4, 119, 121)] == ["never", "0 s", "119 s", "2 min"]


# -- systemd ---------------------------------------------------------------------------------------------------------

WATCHDOGS = table("""
    usec       pid    seconds
    30000000   -      10
    30000000   mine   10
    30000000   1      -
    0          -      -
    -          -      -
    soon       -      -
""")


@pytest.mark.parametrize("row", WATCHDOGS, ids=str)
def test_how_often_systemd_wants_to_hear(row: Row, monkeypatch: pytest.MonkeyPatch) -> None:
    """A third of its patience; not at all where it asks nobody, or somebody else."""
    import os

    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    monkeypatch.setenv("WATCHDOG_USEC", row.opt("usec") or "")
    if row.opt("pid") is not None:
        monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()) if row.pid == "mine" else row.pid)

    assert systemd.watchdog_s() == (None if row.opt("seconds") is None else row.number("seconds"))


@pytest.mark.parametrize("abstract", [False, True], ids=["a file", "abstract"])
def test_it_is_told_over_a_real_socket(abstract: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One datagram a word; without a socket, or with one nobody reads, nothing happens and nothing is raised."""
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert not systemd.notify("READY=1")
    name = f"@riskguard-test-{tmp_path.name}" if abstract else str(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", name)
    assert not systemd.notify("READY=1"), "nobody listens"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind("\0" + name[1:] if abstract else name)
        listener.settimeout(10)
        assert systemd.notify("READY=1")
        assert listener.recv(100) == b"READY=1"
