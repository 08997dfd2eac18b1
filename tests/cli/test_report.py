"""Goal: `riskguard report` shows a session on the terminal, as one document, and as a file."""

from __future__ import annotations

import pytest

from tests.cli.shell import BUY, TOO_MUCH, Shell


def test_the_three_ways(shell: Shell) -> None:
    """The same day, the same figures."""
    assert shell("sweep", "--once").status == 0
    shell("check", *TOO_MUCH, "--id", "a1")
    shell("check", *BUY, "--id", "a2")
    said = shell("report")
    assert said.status == 0 and "leader on" in said.out and "refusals by code" in said.out
    (document,) = shell("report", "--json").document
    orders = document["orders"]
    assert orders["asked"] == orders["approved"] + orders["refused"] == 2
    assert f"orders: 2 asked, {orders['approved']} approved" in said.out
    written = shell("report", "--html", "day.html")
    assert written.status == 0 and (shell.directory / "day.html").read_text().startswith("<!doctype html>")


def test_a_day_without_anything(shell: Shell) -> None:
    """Empty is an answer."""
    said = shell("report", "--date", "2019-01-01", "--account", "leader")
    assert said.status == 0 and "nothing was recorded" in said.out


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("--date", "yesterday"), 2, "wants a date like"),
        (("--account", "nobody"), 2, "no account `nobody`"),
        (("--html", "x.html", "--json"), 2, "exclude each other"),
        (("--html", "."), 2, "is a directory"),
        (("--html", "none/x.html"), 1, "`--html none/x.html` cannot be written: No such file"),
        (("--db", "none.db"), 1, "no database"),
    ],
)
def test_what_cannot_be_is_one_line(shell: Shell, words: tuple[str, ...], status: int, said: str) -> None:
    """Malformed is 2, what the machine cannot do is 1."""
    answer = shell("report", *words)

    assert answer.status == status and said in answer.err
    assert len(answer.err.splitlines()) == 1 and "Traceback" not in answer.err
