"""Goal: a release that is refused or not confirmed leaves the broker's own switch as it was; `--all` asks every account's."""

from __future__ import annotations

import os
import pty
import sqlite3
import subprocess
import time
from contextlib import closing

import pytest

from riskguard.store.loader import session_date
from tests.cli.shell import COMMAND, Shell

RELEASE = ("release", "leader", "--by", "asha", "--reason", "looked at it")


@pytest.fixture
def killed(shell: Shell) -> Shell:
    """An account of profile `paper`, killed, its broker's own switch on, its hold time over."""
    shell.write("UPDATE config SET value = '0' WHERE key = 'riskguard.release_hold_s'")
    assert shell("sweep", "--once").status == 0
    assert shell("kill", "leader", "--plan", "broker", "--no-wait", "--by", "asha").status == 0
    return shell


def switch(shell: Shell, *, on: bool | None = None) -> bool:
    """Set the paper broker's switch of every account where *on* says so, in its own file; return whether one is on."""
    with closing(sqlite3.connect(shell.market, timeout=10, isolation_level=None)) as connection:
        if on is not None:
            connection.execute("DELETE FROM switches")
            today = session_date(time.time_ns() // 1000)
            for (account,) in shell.rows("SELECT account FROM accounts"):
                connection.execute("INSERT INTO switches VALUES (?, ?, ?)", (account, today, int(on)))
        return any(is_on for _account, _day, is_on in connection.execute("SELECT * FROM switches"))


def test_a_refused_release_leaves_the_switch_on(killed: Shell) -> None:
    """The hold is not over: status 3, still halted, and the broker's switch was never asked to go off."""
    killed.write("UPDATE config SET value = '3600' WHERE key = 'riskguard.release_hold_s'")
    switch(killed, on=True)

    refused = killed(*RELEASE, "--unlock-broker")

    assert refused.status == 3 and refused.is_one_line_error() and "held for" in refused.err
    assert switch(killed) is True and killed.flags()


def test_the_switch_goes_off_with_the_release(killed: Shell) -> None:
    """Without the option it is refused; with it the account is released and the switch is off."""
    switch(killed, on=True)
    refused = killed(*RELEASE)
    assert refused.status == 3 and "--unlock-broker" in refused.err and switch(killed) is True

    done = killed(*RELEASE, "--unlock-broker")

    assert done.status == 0, done.err
    assert switch(killed) is False and killed.flags() == []


def test_no_at_the_prompt_leaves_the_switch_on(killed: Shell) -> None:
    """A person who reads the review and says no has changed nothing, at the broker either."""
    switch(killed, on=True)
    parent, child = pty.openpty()
    process = subprocess.Popen(
        [str(COMMAND), *RELEASE, "--unlock-broker"], stdin=child, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, env=killed.environment(), cwd=killed.directory,
    )  # fmt: skip
    os.write(parent, b"n\n")
    said, _ = process.communicate(timeout=60)
    os.close(child)
    os.close(parent)

    assert process.returncode == 3 and "Release?" in said, said
    assert switch(killed) is True and killed.flags()


def test_a_global_release_asks_the_switch_of_every_account(killed: Shell) -> None:
    """A GLOBAL halt is not taken back while the switch of any account is on; the line names whose."""
    assert killed("kill", "--no-wait", "--by", "asha").status == 0
    assert killed("sweep", "--once").status == 0
    switch(killed, on=True)
    words = ("release", "--all", "--by", "asha", "--reason", "looked at it")
    refused = killed(*words)
    assert refused.status == 3 and "kill switch of `leader` is on" in refused.err
    assert switch(killed) is True

    done = killed(*words, "--unlock-broker")
    assert done.status == 0, done.err
    assert switch(killed) is False and all(not each.startswith("GLOBAL") for each in killed.flags())
