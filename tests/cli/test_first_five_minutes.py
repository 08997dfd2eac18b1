"""
Goal: what the README's first five minutes promise works as written, in an empty directory, with the installed
command, no daemon, token or feed.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.cli.shell import BUY, COMMAND, ROOT, TOO_MUCH, Shell

README = (ROOT / "README.md").read_text(encoding="utf-8")

EXPECTED = {
    "riskguard init": 0,
    "riskguard check … --id a1": 0,
    "riskguard check … --id a2": 3,
    "riskguard violations": 0,
    "riskguard explain a2": 0,
    "riskguard kill leader": 0,
    "riskguard check": 3,
    "riskguard status": 0,
    "riskguard release leader": 0,
}
"""Each command of the README's tour with the exit status it must have."""


def tour() -> list[str]:
    """Return the commands of the first five minutes, as the README shows them."""
    section = README.split("## The first five minutes")[1].split("\n## ")[0]
    return re.findall(r"^\$ (.+)$", section, flags=re.MULTILINE)


def expected(command: str) -> int:
    words = command.split()
    if "--id" in words:
        return EXPECTED[f"{words[0]} {words[1]} … --id {words[words.index('--id') + 1]}"]
    short = next(key for key in sorted(EXPECTED, key=len, reverse=True) if command.startswith(key))
    return EXPECTED[short]


def test_the_readme_tour_ends_as_it_says(empty: Shell) -> None:
    """One shell runs the README's own lines; each ends with its exit status and without a traceback."""
    commands = tour()
    assert len([each for each in commands if each.startswith("riskguard")]) == len(EXPECTED) == 9
    script = "".join(
        f"{each}\necho status=$? >&2\n" if each.startswith("riskguard") else f"{each}\n" for each in commands
    )
    environment = {"PATH": f"{COMMAND.parent}{os.pathsep}{os.environ['PATH']}", "RISKGUARD_HOME": str(empty.home)}

    done = subprocess.run(
        ["sh", "-c", script], cwd=empty.directory, env=environment, stdin=subprocess.DEVNULL, capture_output=True,
        text=True, timeout=120, check=False,
    )  # fmt: skip

    statuses = [int(each) for each in re.findall(r"status=(\d+)", done.stderr)]
    assert statuses == [expected(each) for each in commands if each.startswith("riskguard")], done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert "APPROVED a1" in done.stdout
    assert "ORDER_VALUE_ABOVE_LIMIT" in done.stdout
    assert "HALTED: account leader" in done.stdout
    assert "leader is ACTIVE" in done.stdout


def test_the_first_screen_shows_what_the_command_prints(shell: Shell) -> None:
    """The refusal on the README's first screen is word for word what the command answers."""
    shown = README.split("```console\n")[1].split("```")[0].splitlines()
    command, *answer = shown
    words = command.removeprefix("$ riskguard ").split()

    got = shell(*words)

    assert got.status == 3
    assert got.out.splitlines() == answer[: answer.index("$ echo $?")]


def test_a_kill_refuses_everything_until_it_is_released(shell: Shell) -> None:
    """Before, during and after: the same order is approved, refused for the halt, approved."""
    assert shell("check", *BUY, "--id", "before").status == 0
    assert shell("kill", "leader", "--no-wait", "--reason", "fat finger").status == 0

    refused = shell("check", *BUY, "--id", "during", "--json")

    assert refused.status == 3
    assert refused.document["rejects"][0]["code"] == "TRADING_HALTED"
    assert "fat finger" in refused.document["rejects"][0]["message"]
    assert shell("release", "leader", "--by", "me", "--reason", "the tour is over").status == 0
    assert shell.flags() == []
    assert shell("check", *BUY, "--qty", "9", "--id", "after").status == 0


def test_the_refusal_is_on_disk_with_its_limit(shell: Shell) -> None:
    """What `violations` shows is a row of the database that plain SQL reads too."""
    shell("check", *TOO_MUCH, "--id", "a2")

    shown = shell("violations", "--json").document

    assert [(each["code"], each["limit_id"], each["client_order_id"]) for each in shown] == [
        ("ORDER_VALUE_ABOVE_LIMIT", "order-value", "a2")
    ]
    assert shell.rows("SELECT violation_type, limit_value, actual_value, account_type FROM risk_violations") == [
        ("ORDER_VALUE", 100_000.0, 165_000.0, "leader")
    ]


@pytest.mark.parametrize("missing", ["status", "check", "violations", "run"])
def test_before_init_every_command_names_the_way_out(empty: Shell, missing: str) -> None:
    """No command but `init` creates a database; each says how to get one."""
    words = {"check": ("check", *BUY)}.get(missing, (missing,))

    got = empty(*words)

    assert got.status == 1
    assert got.is_one_line_error(), got.err
    assert "riskguard init" in got.err
    assert not list(Path(empty.directory).glob("*.db"))
