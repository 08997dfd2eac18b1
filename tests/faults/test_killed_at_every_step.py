"""
`kill -9` before and after every step of a kill, of a release, of a refusal and of a send: what was said stands.

A step is a call that changes the disk. What is looked at afterwards is what the next process finds: as it was left, a
day later, a day earlier by the clock, with yesterday's backup in its place, or without its halt directory.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from riskguard.store import halt
from tests.core.tables import Row, table
from tests.faults import stage as at
from tests.faults.deeds import START
from tests.faults.stage import Stage, spread
from tests.reliability.actors import SOAK, times
from tests.services.desk import DAY, SECOND

RELEASE_AT_US = START + 70 * SECOND
STEPS_MAX = times(6, 60)
ASIDE_MAX = times(3, 60)
"""How many steps of each verb an ordinary run dies at, spread over all, and fewer where files are changed besides."""
SIGKILLED = -9

AFTERWARDS = table("""
    then            clock   changed
    as-left         0       -
    a-day-later     1       -
    a-day-earlier   -1      -
    backup          0       backup
    no-flags        0       flags
    no-host-flags   0       host
""")


def changed(directory: Path, how: str, state: Path) -> None:
    """Do to the files what happened while nobody ran."""
    if how == "backup":
        for name in ("risk.db-wal", "risk.db-shm"):
            (directory / name).unlink(missing_ok=True)
        shutil.copyfile(state / "risk.db", directory / "risk.db")
    elif how == "flags":
        shutil.rmtree(directory / halt.HALT)
        shutil.rmtree(directory / "home" / halt.HALT)
    elif how == "host":
        shutil.rmtree(directory / "home" / halt.HALT)


def flags(directory: Path) -> set[str]:
    return {
        halt.parse_flag(each.name)[1] for where in (directory, directory / "home") for each in (where / halt.HALT).glob("*")
    }  # fmt: skip


class Deaths:
    """Dies at each step of one deed, on a fresh copy each time, and yields what was said and what is left."""

    def __init__(self, stage: Stage, states: Callable[[str], Path], directory: Path) -> None:
        self.stage, self.states, self.directory = stage, states, directory

    def of(
        self, deed: str, state_name: str, steps: int = STEPS_MAX, **options: Any
    ) -> Iterator[tuple[str, list[Any], Path]]:
        state = self.states(state_name)
        counted = self.stage.play(deed, state, **options, kinds=at.CHANGES)
        assert counted["status"] == 0 and counted["calls"] >= 3, counted
        for nth in spread(counted["calls"], steps):
            for action in (at.KILL_BEFORE, at.KILL_AFTER) if SOAK else ((at.KILL_BEFORE, at.KILL_AFTER)[nth % 2],):
                name = f"{'before' if action == at.KILL_BEFORE else 'after'} step {nth} of {counted['calls']}"
                left = self.directory / f"{deed}-{nth}-{action}"
                died = self.stage.play(
                    deed, state, **options, to=str(left), keep=True, kinds=at.CHANGES, at=nth, action=action
                )
                assert died["status"] == SIGKILLED, (name, died)
                yield name, died["said"], left
                shutil.rmtree(left)

    def look(self, left: Path, at_us: int) -> dict[str, Any]:
        """Let a new process look at what is left."""
        played = self.stage.play("look", left, to=str(left), keep=True, at_us=at_us)
        assert played["status"] == 0 and "whole" in played["said"][-1], played
        found: dict[str, Any] = played["said"][-1]
        return found


@pytest.fixture
def deaths(stage: Stage, states: Callable[[str], Path], tmp_path: Path) -> Deaths:
    return Deaths(stage, states, tmp_path)


def is_whole(left: dict[str, Any]) -> bool:
    return bool(left["whole"]) and not left["chain of leader"] and not left["chain of GLOBAL"]


@pytest.mark.claim("I4", "kill -9 at a step of a kill, files changed after", of="deaths", ci=3, soak=40, seconds=20)
@pytest.mark.parametrize("row", AFTERWARDS, ids=str)
def test_a_kill_that_dies_halts_or_never_began(claim: Callable[[str], Any], deaths: Deaths, row: Row) -> None:
    """
    From the first flag on it halts, whatever is done to the files; before it, nobody was told that it would.

    The row may be missing: the flag is then adopted, and counts as one kill.
    """
    found, halted, tried = [], 0, 0
    for name, said, left in deaths.of("kill", "ready", STEPS_MAX if row.then == "as-left" else ASIDE_MAX):
        standing = flags(left)
        acknowledged = any("killed" in each for each in said)
        changed(left, row.changed, deaths.states("ready"))
        seen = deaths.look(left, START + row.number("clock") * DAY + 5 * SECOND)
        if not is_whole(seen):
            found.append(f"{name}: {seen}")
        if (standing or acknowledged or row.changed in ("flags", "host")) and seen["check"]:
            found.append(f"{name}: approved, though {standing or 'a directory is lost'}")
        if row.changed == "-" and len(seen["kills"]) != len(standing):
            found.append(f"{name}: {seen['kills']} in the database for {standing}")
        halted += bool(standing)
        tried += 1

    claim("I4").trials(tried, failures=found)
    assert halted  # the control of the test: most steps are behind the flag


def test_a_kill_by_its_row_alone_survives_the_loss_of_its_flags(deaths: Deaths) -> None:
    """
    Every flag is gone and the empty directories were made again: what committed halts, and what did not was never
    acknowledged as in the database. A restored backup besides is noticed by GENERATION, once the kill had returned.
    """
    found, committed = [], 0
    for name, said, left in deaths.of("kill", "ready", ASIDE_MAX):
        for where in (left, left / "home"):
            shutil.rmtree(where / halt.HALT, ignore_errors=True)
            halt.prepare(where)
        seen = deaths.look(left, START + 5 * SECOND)
        if seen["kills"] and seen["check"]:
            found.append(f"{name}: a committed kill was approved past")
        if any(each.get("exit_status") == 0 for each in said) and not seen["kills"]:
            found.append(f"{name}: status 0 and no row")
        committed += bool(seen["kills"])

    assert found == []
    assert committed


@pytest.mark.claim("I4", "kill -9 at a step of a release, files changed after", of="deaths", ci=3, soak=40, seconds=20)
@pytest.mark.parametrize("row", AFTERWARDS, ids=str)
def test_a_release_that_dies_is_done_or_not_done(claim: Callable[[str], Any], deaths: Deaths, row: Row) -> None:
    """
    Before its commit the halt stands, after it the account is open and its flags are litter that anyone removes.
    A backup from before the release is halted either way; a lost halt directory is never lifted by it.
    """
    found, outcomes, tried = [], set(), 0
    for name, _said, left in deaths.of(
        "release", "killed", STEPS_MAX if row.then == "as-left" else ASIDE_MAX, at_us=RELEASE_AT_US
    ):
        changed(left, row.changed, deaths.states("killed"))
        seen = deaths.look(left, RELEASE_AT_US + row.number("clock") * DAY + 5 * SECOND)
        outcomes.add(seen["check"])
        if not is_whole(seen):
            found.append(f"{name}: {seen}")
        if row.changed != "-" and seen["check"]:
            found.append(f"{name}: open, though {row.changed} was lost or put back")
        if seen["check"] and seen["flags_after"]:
            found.append(f"{name}: open, and {seen['flags_after']} still stands")
        if not seen["check"] and row.changed == "-" and not seen["kills"]:
            found.append(f"{name}: halted by nothing")
        tried += 1

    claim("I4").trials(tried, failures=found)
    if row.then == "as-left":
        assert outcomes == {True, False}  # both sides of its commit were met


@pytest.mark.parametrize("deed", ["refuse", "send", "place"])
def test_what_was_said_before_it_died_is_on_disk(deaths: Deaths, deed: str) -> None:
    """A refusal has its violation, an order at the wire its SENT; the chain is whole wherever it died."""
    found = []
    for name, said, left in deaths.of(deed, "ready"):
        seen = deaths.look(left, START + 2 * SECOND)
        if not is_whole(seen):
            found.append(f"{name}: {seen}")
        for each in said:
            if each.get("recorded") and not each["approved"] and each["asked"] not in seen["violations"]:
                found.append(f"{name}: {each} and no violation")
            if "wire" in each and seen["permits"].get(each["wire"]) not in ("SENT", "ACKED", "UNKNOWN"):
                found.append(f"{name}: at the wire and {seen['permits']}")

    assert found == []


def test_init_that_dies_leaves_nothing_that_trades(deaths: Deaths, stage: Stage) -> None:
    """A file without its version is opened by nobody; a whole one halts or works. Run again it says what to do."""
    found = []
    for name, _said, left in deaths.of("init", "ready", ASIDE_MAX):
        again = stage.play("init", left, to=str(left), keep=True)
        if again["status"] != 0 or any("raised" in each and not each["typed"] for each in again["said"]):
            found.append(f"{name}: {again}")

    assert found == []


def test_the_control_a_halt_kept_in_memory_is_lost(deaths: Deaths, stage: Stage) -> None:
    """The protection removed: a kill whose flag is not put on disk dies before its row, and the next check is approved."""
    state = deaths.states("ready")
    left = deaths.directory / "forgotten"
    died = stage.play(
        "kill", state, to=str(left), keep=True, without="flags", kinds=at.SYNC, only="risk.db-wal", at=1, action=at.KILL_BEFORE
    )  # fmt: skip
    assert died["status"] == SIGKILLED
    (left / "risk.db-wal").unlink()  # as after a power loss: it was not synced

    assert deaths.look(left, START + 5 * SECOND)["check"]
