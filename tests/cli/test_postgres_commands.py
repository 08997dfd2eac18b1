"""The command with a PostgreSQL URL: what is its own there. What is the same is tried by the other files, on both."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.shell import BUY, Shell
from tests.store import postgres

DEAD = "postgresql://desk:s3cret@127.0.0.1:1/risk"
"""Nobody listens there."""
PATIENCE_MS = "10000"
"""These are not about deadlines."""


@pytest.fixture
def shell(tmp_path: Path, initialised_on_a_server: Shell) -> Iterator[Shell]:
    from tests.postgres.desk import copied

    with copied(initialised_on_a_server.server_url.partition("?")[0].rpartition("/")[2]) as url:
        made = initialised_on_a_server.copied(tmp_path / "desk", url)
        made.more["RISKGUARD_DEADLINE_MS"] = PATIENCE_MS
        yield made


def test_a_day_on_a_server(shell: Shell) -> None:
    """Watch, ask, kill, look, and prove the journal: each with the exit status it has on a file."""
    assert shell("sweep", "--once").status == 0
    allowed = shell("check", *BUY, "--json")
    assert allowed.document["approved"], allowed
    killed = shell("kill", "leader", "--by", "desk", "--no-wait")
    assert killed.status == 0 and "HALTED: account leader" in killed.out
    assert shell("check", *BUY).status == 3
    assert "HALTED" in shell("status").out
    assert shell("release", "leader", "--by", "me", "--reason", "a test", "--review").status in (0, 3)
    assert shell("audit", "verify").status == 0
    assert shell("db", "check").status == 0
    assert shell("limits", "show", "--json").status == 0
    assert shell("report").status == 0


def test_a_second_machine_joins_and_is_halted_by_the_first(shell: Shell, tmp_path: Path) -> None:
    """Its own home, no flag of the other's: the row alone refuses there."""
    other = Shell(tmp_path / "other", shell.forker, dict(shell.more), server_url=shell.server_url)
    other.directory.mkdir()

    joined = other("init")
    assert joined.status == 0 and "this host joined" in joined.out, joined
    assert shell("sweep", "--once").status == 0
    assert shell("kill", "--all", "--by", "desk", "--no-wait").status == 0

    assert other.flags() == []
    refused = other("check", *BUY, "--json")
    assert refused.status == 3 and "TRADING_HALTED" in refused.out
    assert other("init").status == 2  # again: it is there already


def test_a_kill_with_the_server_gone_halts_this_host_and_says_so(empty: Shell) -> None:
    """Exit status 5, the flag stands, and no word of the password."""
    empty.server_url = DEAD
    began = time.monotonic()

    said = empty("kill", "leader", "--by", "desk", "--no-wait")

    assert said.status == 5 and "THIS HOST ONLY" in said.out
    assert [name.partition("~")[0] for name in empty.flags()] == ["ACCOUNT%3Aleader", "GLOBAL"]
    assert "s3cret" not in said.out + said.err
    assert time.monotonic() - began < 60


LOOKS = ("status", "doctor", "limits show", "audit verify", "sweep --once", "db check", "report")


@pytest.mark.parametrize("words", LOOKS)
def test_a_server_that_is_gone_is_one_line(empty: Shell, words: str) -> None:
    """No traceback, no password, not zero."""
    empty.server_url = DEAD

    said = empty(*words.split())

    assert said.status == 1, said
    assert "s3cret" not in said.out + said.err
    assert "Traceback" not in said.err


def test_check_walks_the_journals_of_a_server(shell: Shell) -> None:
    """A forged entry under triggers that stand again: found, unless it is to be quick; what cannot be read hides nothing."""
    assert "the schema is as declared" in shell("db", "check").out
    with shell.disarmed("decisions"):
        shell.write("UPDATE decisions SET approved = 1 - approved WHERE account = 'leader' AND sequence = 1")

    found = shell("db", "check")
    assert found.status == 1 and "WRONG: journal of `leader`: " in found.out, found
    (leader,) = [each for each in shell("db", "check", "--json").document["journals"] if each["account"] == "leader"]
    assert leader["wrong"]
    assert shell("db", "check", "--quick").status == 0

    shell.write("ALTER TABLE decisions DROP COLUMN body CASCADE")
    broken = shell("db", "check")
    assert broken.status == 1, broken
    assert "WRONG: schema: " in broken.out and "the journals cannot be read" in broken.out


@pytest.mark.parametrize("words", ["db backup", "db vacuum", "db archive", "db archive --dry-run"])
def test_what_works_on_a_file_names_the_way_out(shell: Shell, words: str) -> None:
    """One line that says what a server has instead."""
    said = shell(*words.split())

    assert said.status in (1, 2) and said.is_one_line_error(), said
    assert "works on a SQLite file" in said.err


def test_the_server_of_the_tests_is_one(shell: Shell) -> None:
    """The control: what is refused above is served here."""
    assert postgres.server().url("x").startswith("postgresql://")
    assert shell("status", "--json").document["database"].startswith("postgresql://")
