"""
Goal: what a strategy must not do alone (close positions, release a live account) wants a terminal or the operator's
token; the token is shown once and only its hash is kept.
"""

from __future__ import annotations

import hashlib
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.shell import COMMAND, Shell

VARIABLE = "RISKGUARD_OPERATOR_TOKEN"


def token(shell: Shell) -> str:
    """Make the token, as an operator does; it is the first line."""
    got = shell("operator-token")
    assert got.status == 0, got.err
    return got.out.splitlines()[0]


def test_the_token_is_shown_once_and_only_its_hash_is_kept(shell: Shell) -> None:
    """The file holds the SHA-256, is 0600, and nothing else of the home holds the token."""
    made = token(shell)

    kept = shell.home / "operator.sha256"
    assert len(made) >= 40
    assert kept.read_text() == hashlib.sha256(made.encode()).hexdigest()
    assert kept.stat().st_mode & 0o777 == 0o600
    assert not [path for path in shell.directory.rglob("*") if path.is_file() and path.name[0] != "." and made.encode()
                in path.read_bytes()]  # fmt: skip


def test_a_second_token_wants_a_terminal(shell: Shell) -> None:
    """A program that finds a token set cannot replace it by its own; a person can."""
    first = token(shell)

    refused = shell("operator-token")
    assert refused.status == 3 and refused.is_one_line_error()
    assert at_a_terminal(shell, "operator-token").returncode == 0

    assert plan_done(shell, first) == "cancel", "the old token is worth nothing any more"


@pytest.mark.parametrize(
    ("given", "plan"),
    [("right", "flatten"), ("wrong", "cancel"), ("", "cancel"), ("hash", "cancel"), ("right ", "cancel")],
)
def test_flatten_wants_the_right_token(shell: Shell, given: str, plan: str) -> None:
    """The right token flattens; a wrong one, none, its hash or a longer one cancels. All of them halt."""
    made = token(shell)
    told = {"right": made, "hash": hashlib.sha256(made.encode()).hexdigest(), "right ": made + " "}.get(given, given)

    assert plan_done(shell, told) == plan


def test_without_a_token_file_no_token_is_right(shell: Shell) -> None:
    """Nobody made a token: the empty one and any other are refused, and an empty file is no token."""
    assert plan_done(shell, "anything") == "cancel"
    (shell.home / "operator.sha256").write_text("")
    assert plan_done(shell, "") == "cancel"


def plan_done(shell: Shell, given: str) -> str:
    got = shell("kill", "leader", "--plan", "flatten", "--no-wait", "--json", **{VARIABLE: given})
    assert got.status == 0 and got.document["halted"] is True
    return str(got.document["plan"])


def at_a_terminal(shell: Shell, *words: str) -> subprocess.CompletedProcess[str]:
    parent, child = pty.openpty()
    try:
        return subprocess.run(
            [str(COMMAND), *words], stdin=child, capture_output=True, text=True, env=shell.environment(),
            cwd=shell.directory, timeout=60, check=False,
        )  # fmt: skip
    finally:
        os.close(child)
        os.close(parent)


# -- release -----------------------------------------------------------------------------------------------------------

REPORT = """
from riskguard import RiskGuard
with RiskGuard.open(sweep=False) as guard:
    guard.report_positions([], account="leader")
"""


@pytest.fixture
def library(tmp_path: Path, empty: Shell) -> Shell:
    """An account of profile `library`, flat, killed, its hold time over."""
    assert empty("init", "--profile", "library").status == 0
    empty.write("UPDATE config SET value = '0' WHERE key = 'riskguard.release_hold_s'")
    environment = empty.environment()
    subprocess.run([sys.executable, "-c", REPORT], check=True, env=environment, cwd=empty.directory, timeout=60)
    assert empty("kill", "leader", "--no-wait").status == 0
    return empty


RELEASE = ("release", "leader", "--by", "me", "--reason", "looked at it")


def test_a_live_account_is_released_by_a_person_only(library: Shell) -> None:
    """Neither terminal nor token: 3 and still halted. The token: released."""
    refused = library(*RELEASE)
    assert refused.status == 3 and refused.is_one_line_error()
    assert VARIABLE in refused.err
    assert len(library.flags()) == 2
    assert library(*RELEASE, **{VARIABLE: "wrong"}).status == 3

    released = library(*RELEASE, "--json", **{VARIABLE: token(library)})

    assert released.status == 0, released.err
    assert released.document["state"] == "ACTIVE"
    assert library.flags() == []


def test_a_terminal_is_asked_and_no_means_no(library: Shell) -> None:
    """At a terminal the prompt shows the cause; `n` leaves it halted with status 3, `y` releases."""
    said, status = typed(library, "n\n")
    assert status == 3 and "Release?" in said
    assert len(library.flags()) == 2

    said, status = typed(library, "y\n")
    assert status == 0, said
    assert library.flags() == []


def typed(shell: Shell, answer: str) -> tuple[str, int]:
    parent, child = pty.openpty()
    process = subprocess.Popen(
        [str(COMMAND), *RELEASE], stdin=child, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env=shell.environment(), cwd=shell.directory,
    )  # fmt: skip
    os.write(parent, answer.encode())
    said, _ = process.communicate(timeout=60)
    os.close(child)
    os.close(parent)
    return said, process.returncode
