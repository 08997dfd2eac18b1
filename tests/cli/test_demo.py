"""
Goal: `riskguard demo` replays a day in under a minute, leaves a database that the other commands can look at, and
touches nothing outside its own directory. Its figures come from the run: another day or strategy tells another story.
"""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from tests.cli.shell import BUY, Answer, Shell

MINUTE_S = 60.0
QUIET_DAY = "2024-07-16"


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory, initialised: Shell) -> tuple[Shell, Answer, float]:
    """The quiet day, played once into X in a directory of its own, on a host with a real account."""
    shell = initialised.copied(tmp_path_factory.mktemp("demo") / "desk")
    (shell.directory / "tour").mkdir()
    began = time.monotonic()
    got = shell.cold("demo", "--db", "tour/demo.db", "--day", QUIET_DAY)
    return shell, got, time.monotonic() - began


def test_it_plays_a_day_in_under_a_minute(played: tuple[Shell, Answer, float]) -> None:
    """Status 0, a closing screen with orders and verdict, nothing on standard error."""
    _shell, got, took_s = played

    assert got.status == 0, got.err
    assert took_s < MINUTE_S
    assert "Traceback" not in got.out + got.err
    for said in (QUIET_DAY, "asked", "approved", "refused", "day P&L after charges", "worst moment", "index"):
        assert said in got.out


def test_the_commands_it_names_work_on_what_it_left(played: tuple[Shell, Answer, float]) -> None:
    """`status`, `violations` and `explain`, exactly as the closing screen says them."""
    shell, got, _took_s = played
    named = re.findall(r"riskguard ((?:status|violations|explain) .+)$", got.out, flags=re.MULTILINE)
    assert len(named) == 3

    for command in named:
        told = shell(*command.split())
        assert told.status == 0, (command, told.err)
        assert told.out.strip()


def test_its_figures_are_those_of_its_database(played: tuple[Shell, Answer, float]) -> None:
    """Orders asked and approved on the screen are the rows of the journal, and every decision replays."""
    shell, got, _took_s = played
    demo = ("--db", "tour/demo.db")
    asked, approved, refused = (
        int(each)
        for each in re.search(r"^\s*(\d+) [│┃|] +(\d+) [│┃|] +(\d+)", got.out, flags=re.MULTILINE).groups()  # type: ignore[union-attr]
    )

    ((rows, yes),) = shell.rows(
        "SELECT count(*), sum(approved) FROM decisions WHERE kind = 'ORDER' AND client_order_id LIKE 'demo-%'",
        database=shell.directory / "tour" / "demo.db",
    )
    assert (asked, approved) == (rows, yes) and asked == approved + refused > 0
    assert shell("audit", "verify", *demo).status == 0
    assert shell("db", "check", *demo).status == 0


def test_it_touches_no_halt_of_the_host(played: tuple[Shell, Answer, float]) -> None:
    """The real account trades on: no flag beside its database or in the host's directory, whatever the demo killed."""
    shell, _got, _took_s = played

    assert shell.flags() == []
    assert shell("check", *BUY, "--id", "real").status == 0


@pytest.mark.parametrize("name", ["demo.db", "tour/other.db"])
def test_it_refuses_to_play_beside_another_database(played: tuple[Shell, Answer, float], name: str) -> None:
    """The flags of a demo's kill would halt a real database in the same directory: it wants one of its own."""
    shell, _got, _took_s = played

    got = shell("demo", "--db", name, "--day", QUIET_DAY)

    assert got.status == 2 and got.is_one_line_error(), got.out
    assert "directory" in got.err
    assert not (shell.directory / name).exists()


def test_an_existing_file_is_refused_and_left_alone(played: tuple[Shell, Answer, float]) -> None:
    """`--db` names a new file: a database that is there, or any other file, is not overwritten."""
    shell, _got, _took_s = played
    notes = shell.directory / "notes.txt"
    notes.write_text("mine")

    for name in ("tour/demo.db", "notes.txt", "risk.db"):
        got = shell("demo", "--db", name, "--day", QUIET_DAY)
        assert got.status == 2 and got.is_one_line_error(), name
    assert notes.read_text() == "mine"
    assert shell("db", "check").status == 0


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (("--day", "2024-06-05"), "--day"),
        (("--day", "tomorrow"), "--day"),
        (("--strategy", "martingale"), "--strategy"),
        (("--rulebook", "nothing"), "rulebook"),
        (("--speed", "fast"), "--speed"),
        (("--db", "postgresql://x/y"), "--db"),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, tuple) else "",
)
def test_what_it_does_not_know_is_one_line(empty: Shell, words: tuple[str, ...], names: str) -> None:
    """Unknown day, strategy, rulebook, speed or database: status 2, the option named, nothing made."""
    given = words if "--db" in words else (*words, "--db", "tour/demo.db")

    got = empty("demo", *given)

    assert got.status == 2 and got.is_one_line_error(), got.out + got.err
    assert names in got.err
    assert not list(Path(empty.directory).rglob("*.db"))


def test_another_strategy_is_another_story(played: tuple[Shell, Answer, float], empty: Shell) -> None:
    """Not constants: the same day under `breakout` asks other orders."""
    _shell, dip, _took_s = played

    got = empty.cold("demo", "--db", "tour/demo.db", "--day", QUIET_DAY, "--strategy", "breakout")

    assert got.status == 0, got.err
    assert "strategy `breakout`" in got.out
    assert got.out.split("orders")[1] != dip.out.split("orders")[1]


def test_a_directory_that_is_not_the_demos_is_left_alone(empty: Shell) -> None:
    """Without `--db` it plays in riskguard-demo/DAY; one it did not make is not deleted."""
    mine = empty.directory / "riskguard-demo" / QUIET_DAY
    mine.mkdir(parents=True)
    (mine / "work.txt").write_text("mine")

    got = empty("demo", "--day", QUIET_DAY)

    assert got.status == 2 and got.is_one_line_error()
    assert (mine / "work.txt").read_text() == "mine"
