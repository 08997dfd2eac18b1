"""Goal: `riskguard run` watches until it is stopped, ends at once when told, and two of them do each slot once."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from tests.cli.shell import Shell

PROMPT_S = 5.0
"""A stop waits for a running sweep and nothing else."""
PATIENCE_S = 60.0


@pytest.fixture
def watched(shell: Shell) -> Shell:
    """An account that is swept every second."""
    shell.write("UPDATE config SET value = '1' WHERE key = 'riskguard.sweep_interval_s'")
    return shell


@contextmanager
def daemon(shell: Shell, *words: str) -> Iterator[subprocess.Popen[str]]:
    process = shell.start("run", *words)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


def until(holds: Callable[[], bool], what: str) -> None:
    """Wait for *holds*; reading a database that is being written may fail for a moment."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        with suppress(sqlite3.Error):
            if holds():
                return
        time.sleep(0.05)
    pytest.fail(f"never: {what}")


def finished(shell: Shell) -> int:
    ((count,),) = shell.rows("SELECT count(*) FROM sweeps WHERE finished_at_us IS NOT NULL")
    return int(count)


def stop(process: subprocess.Popen[str], number: int = signal.SIGTERM) -> tuple[float, str, str]:
    began = time.monotonic()
    process.send_signal(number)
    out, err = process.communicate(timeout=PATIENCE_S)
    return time.monotonic() - began, out, err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_it_sweeps_until_it_is_told_to_stop(watched: Shell, number: int) -> None:
    """Slot after slot is finished; the signal ends it with 0, promptly, with nothing half done."""
    with daemon(watched) as process:
        until(lambda: finished(watched) >= 3, "three sweeps")
        took_s, out, err = stop(process, number)

    assert process.returncode == 0, err
    assert took_s < PROMPT_S
    assert "Traceback" not in out + err
    assert watched.rows("SELECT count(*) FROM sweeps WHERE finished_at_us IS NULL") == [(0,)]
    assert watched("db", "check").status == 0


def test_its_logs_are_json_lines_when_asked(watched: Shell) -> None:
    """`--json`: every line of standard error is one object with a time, a level and a message."""
    with daemon(watched, "--json") as process:
        until(lambda: finished(watched) >= 1, "a sweep")
        _took_s, out, err = stop(process)

    lines = [json.loads(line) for line in err.splitlines()]
    assert lines and all({"at", "level", "message"} <= each.keys() for each in lines)
    assert any("watching leader" in each["message"] for each in lines)
    assert out == ""


def test_two_daemons_do_each_slot_once(watched: Shell) -> None:
    """One row and one reading per slot, whoever was first; when one dies the other goes on."""
    with daemon(watched) as first, daemon(watched) as second:
        until(lambda: finished(watched) >= 6, "six sweeps")
        first.kill()
        first.communicate()
        before = finished(watched)
        until(lambda: finished(watched) >= before + 3, "three more by the survivor")
        _took_s, _out, err = stop(second)

    assert second.returncode == 0, err
    slots = [slot for (slot,) in watched.rows("SELECT slot FROM sweeps WHERE finished_at_us IS NOT NULL ORDER BY slot")]
    readings = [slot for (slot,) in watched.rows("SELECT at_us / 1000000 FROM pnl_readings ORDER BY 1")]
    assert len(slots) == len(set(slots))
    assert len(readings) == len(slots), "each slot was judged once"


def test_it_carries_a_kill_run_to_its_end(watched: Shell) -> None:
    """A kill that did not wait is finished by the daemon: DONE, proven by two reads."""
    with daemon(watched) as process:
        until(lambda: finished(watched) >= 1, "a sweep")
        assert watched("kill", "leader", "--no-wait").status == 0
        until(lambda: watched.rows("SELECT state FROM kill_runs") == [("DONE",)], "the run is DONE")
        stop(process)

    assert process.returncode == 0


def test_a_kill_survives_the_death_of_everybody(watched: Shell) -> None:
    """SIGKILL the daemon right after the kill: halted it stays, for whoever comes next."""
    with daemon(watched) as process:
        until(lambda: finished(watched) >= 1, "a sweep")
        assert watched("kill", "leader", "--no-wait").status == 0
        process.kill()
        process.communicate()

    (standing,) = watched("status", "--json").document["accounts"]
    assert standing["state"] == "HALTED"


def test_without_a_database_it_says_so_and_ends(empty: Shell) -> None:
    """Status 1 and one line: a supervisor must see that nothing is watched."""
    got = empty("run")

    assert got.status == 1 and got.is_one_line_error()
