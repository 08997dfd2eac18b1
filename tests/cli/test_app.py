"""Goal: the commands listed without being imported are the ones there are, and say of themselves what the list says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from riskguard.cli.app import build, whole
from riskguard.cli.commands import COMMANDS

ROOT = Path(__file__).parents[2]
LIGHT = ("app", "commands", "kill", "main")
"""Modules of the command that listing may import."""


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_says_what_the_command_says(name: str) -> None:
    """The words beside its name in `--help` are the first paragraph of its own help, to the letter."""
    command = build(name)
    own = (command.short_help or command.help).partition("\n\n")[0]

    assert command.name == name
    assert " ".join(own.split()) == COMMANDS[name][1], "say it in riskguard/cli/commands.py as the command does"


def test_a_command_listed_is_the_one_that_runs() -> None:
    """Listed first, then built: under the same names and in the same order."""
    application = whole()
    assert list(application.commands) == list(COMMANDS)
    assert application.commands["status"].params, "a listed command has no options: this one was not built"
    assert {"show", "apply"} <= set(application.commands["limits"].commands)


def cold(*words: str) -> tuple[str, set[str]]:
    """Run the command in a process of its own; return what it said, and the modules it had loaded at its end."""
    code = (
        "import atexit, sys; atexit.register(lambda: print(*sys.modules, file=sys.stderr));"
        f"sys.argv = {['riskguard', *words]!r}; from riskguard.cli.main import main; main()"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    return done.stdout, set(done.stderr.split())


def test_listing_imports_no_command() -> None:
    """`--help` shows them all and loads none; asking for one loads that one, and still not the others."""
    said, loaded = cold("--help")
    of_one, loaded_by_one = cold("violations", "--help")

    def commands(names: set[str]) -> set[str]:
        return {name.rpartition(".")[2] for name in names if name.startswith("riskguard.cli.")} - set(LIGHT)

    assert all(f"  {name} " in said for name in COMMANDS)
    assert commands(loaded) == set()
    assert "--since" in of_one or "--account" in of_one
    assert "orders" in commands(loaded_by_one) and not commands(loaded_by_one) & {
        "account",
        "limits",
        "daemon",
        "database",
    }
    for name in ("sqlalchemy", "pydantic", "rich", "apscheduler", "alembic"):
        assert name not in loaded
