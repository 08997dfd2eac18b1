"""Goal: whoever kills sees what is proven stopped and what is not, and can carry on what is left, halting nothing."""

from __future__ import annotations

import os
import pty
import subprocess

import pytest

from tests.cli.shell import BUY, COMMAND, Shell
from tests.core.tables import Row, table

PROVEN = table("""
    plan     state    step     locked  proven                                  not_proven
    halt     DONE     WATCH    no      no new order                            -
    cancel   DONE     WATCH    no      no new order|rests|read twice           -
    cancel   BLOCKED  CANCEL   no      no new order                            rests|read twice
    cancel   OPEN     VERIFY   no      no new order|rests                      read twice
    flatten  BLOCKED  FLATTEN  no      no new order|rests                      flat|read twice
    flatten  DONE     WATCH    no      no new order|rests|flat|read twice      -
    broker   DONE     WATCH    yes     no new order|rests|flat|read twice|own switch  -
    broker   DONE     WATCH    no      no new order|rests|flat|read twice      own switch
    broker   OPEN     LOCK     no      no new order|rests|flat|read twice      own switch
    flatten  DONE     FLATTEN  no      -                                       no new order|rests|flat|read twice
    cancel   DONE     CANCEL   no      -                                       no new order|rests|read twice
    halt     DONE     CANCEL   no      no new order                            -
""")


@pytest.mark.parametrize("row", PROVEN, ids=str)
def test_what_is_proven_and_what_is_not(row: Row) -> None:
    """Each step that is behind the run is proven; each it has not passed is named as not. Ended before its end, nothing is."""
    from riskguard.cli.follow import proven

    done, not_done = proven({"plan": row.plan, "state": row.state, "step": row.step, "locked": row.has("locked")})
    for said, wanted in ((done, row.opt("proven")), (not_done, row.opt("not_proven"))):
        words = [] if wanted is None else wanted.split("|")
        assert len(said) == len(words), said
        assert all(word in each for word, each in zip(words, said, strict=True)), said


def test_a_kill_ends_by_naming_what_is_proven(shell: Shell) -> None:
    got = shell("kill", "leader", "--reason", "test")

    assert got.status == 0
    assert "  proven: no new order that adds risk passes riskguard; nothing that adds risk rests" in got.out
    assert "NOT proven" not in got.out


ENDED = table("""
    state    step     word        way_out
    DONE     WATCH    (proven)    -
    DONE     FLATTEN  NOT_proven  nobody_carries_it_on:_kill_again
    BLOCKED  FLATTEN  NOT_proven  carry_it_on:_riskguard_kill_--resume_leader
""")


@pytest.mark.parametrize("row", ENDED, ids=str)
def test_a_run_that_a_release_ended_is_not_reported_as_done(row: Row, capsys: pytest.CaptureFixture[str]) -> None:
    """Released while somebody followed it: the report and the status of `--resume` do not say that the account is flat."""
    from riskguard.cli.kill import Arguments, say_runs
    from riskguard.cli.resume import _report

    run = {"account": "leader", "plan": "flatten", "state": row.state, "step": row.step, "locked": False,
           "blocked_by": "", "detail": "released by priya"}  # fmt: skip
    status = _report(Arguments(), [run], say_runs)
    said = capsys.readouterr().out

    assert status == (0 if row.opt("way_out") is None else 1)
    assert row.word.replace("_", " ") in said
    assert ("what the plan covers is flat" in said.partition("NOT proven:")[0]) == (status == 0), said
    assert (row.opt("way_out") or "").replace("_", " ") in said


def test_a_terminal_sees_a_table(shell: Shell) -> None:
    """At a terminal the run is drawn live; the last picture and the words stay."""
    parent, child = pty.openpty()
    done = subprocess.Popen(
        [str(COMMAND), "kill", "leader"], stdin=child, stdout=child, stderr=subprocess.PIPE, env=shell.environment(),
        cwd=shell.directory,
    )  # fmt: skip
    os.close(child)
    seen = b""
    while True:
        try:
            chunk = os.read(parent, 65536)
        except OSError:  # the other side is closed
            break
        if not chunk:
            break
        seen += chunk
    os.close(parent)
    assert done.stderr is not None
    error = done.stderr.read()
    done.stderr.close()

    assert done.wait(60) == 0, error
    text = seen.decode(errors="replace")
    assert "CANCEL" in text and "DONE" in text and "HALTED: account leader" in text
    assert b"Traceback" not in error


def test_resume_halts_nothing(shell: Shell) -> None:
    """Nothing is left: status 0, said so, no flag anywhere, and trading goes on."""
    got = shell("kill", "--resume")

    assert got.status == 0 and "nothing is left" in got.out
    assert shell.flags() == []
    assert shell("check", *BUY).status == 0


def test_resume_carries_on_what_is_left(shell: Shell) -> None:
    """A kill that was not followed is finished by it, for one account or for all; asked again nothing is left."""
    assert shell("kill", "leader", "--no-wait").status == 0
    assert shell.rows("SELECT state FROM kill_runs") == [("OPEN",)]
    got = shell("kill", "--resume", "leader", "--json")

    assert got.status == 0, got.err
    (run,) = got.document["runs"]
    assert (run["account"], run["state"], run["plan"]) == ("leader", "DONE", "cancel")
    assert shell.rows("SELECT state FROM kill_runs") == [("DONE",)]
    assert shell("kill", "--resume", "--json").document["runs"] == []
    assert len(shell.flags()) == shell.places


RESUMED = table("""
    words            status  says
    nobody           1       no account `nobody`
    --db /nowhere.db  1       -
""")


@pytest.mark.parametrize("row", RESUMED, ids=str)
def test_resume_says_in_one_line_what_is_wrong(shell: Shell, row: Row) -> None:
    """A mistake halts nothing here: status 1, one line."""
    got = shell("kill", "--resume", *row.words.split())

    assert got.status == row.number("status")
    assert got.is_one_line_error(), got.err
    assert row.opt("says") is None or row.says in got.err
    assert shell.flags() == []


GROUPS = table("""
    words                   scopes                        says
    --group family          ACCOUNT:leader ACCOUNT:second  -
    --group=family          ACCOUNT:leader ACCOUNT:second  -
    --group famly           GLOBAL                        no group
    --group                 GLOBAL                        no group
    --group family leader   GLOBAL                        more than the group
    --group family --all    GLOBAL                        more than the group
""")


@pytest.mark.parametrize("row", GROUPS, ids=str)
def test_a_group_is_killed_account_by_account(shell: Shell, row: Row) -> None:
    """One kill each; whatever is unclear halts everything, and says so."""
    assert shell("init", "--account", "second").status == 0
    assert shell("init", "--account", "third").status == 0
    shell.write("UPDATE accounts SET group_name = 'family' WHERE account IN ('leader', 'second')")
    got = shell("kill", *row.words.split(), "--no-wait", "--json")

    assert got.status == 0, got.err
    assert {name.partition("~")[0].replace("%3A", ":") for name in shell.flags()} == set(row.scopes.split())
    said = " ".join(got.document["notes"])
    assert row.opt("says") is None or row.says in said
    if "GLOBAL" not in row.scopes:
        assert sorted(each["scope"] for each in got.document["kills"]) == row.scopes.split()
