"""Goal: `riskguard run` watches until it is stopped, ends at once when told, and two of them do each slot once."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from riskguard.cli.daemon import ALERTS_STOP_S, STOP_S
from tests.cli.shell import ROOT, Shell

PROMPT_S = 15.0
"""A stop waits for a running sweep and for what the feeds and alerts still have to say, and nothing else."""
TIMEOUT_STOP_S = 30
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


def finished(shell: Shell, kind: str = "daily_loss", account: str = "leader") -> int:
    ((count,),) = shell.rows(
        "SELECT count(*) FROM sweeps WHERE finished_at_us IS NOT NULL AND kind = ? AND account = ?", kind, account
    )
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
        ((holder,),) = watched.rows("SELECT holder FROM leases WHERE name = 'sweeps'")
        # Started together, either may have been first: the one that holds the lease dies.
        dies, lives = (first, second) if f":{first.pid}-" in holder else (second, first)
        assert f":{dies.pid}-" in holder, holder
        dies.kill()
        dies.communicate()
        before = finished(watched)
        until(lambda: finished(watched) >= before + 3, "three more by the survivor")
        _took_s, _out, err = stop(lives)

    assert lives.returncode == 0, err
    slots = watched.rows("SELECT slot FROM sweeps WHERE kind = 'daily_loss' AND finished_at_us IS NOT NULL")
    readings = watched.rows("SELECT at_us FROM pnl_readings")
    assert len(slots) == len(set(slots))
    assert len(readings) == len(slots), "each slot was judged once"
    ((token,),) = watched.rows("SELECT token FROM leases WHERE name = 'sweeps'")
    assert token == 2, "the survivor took the lease over once"


def test_the_second_daemon_waits_while_the_first_one_lives(watched: Shell) -> None:
    """Only the holder of the lease leaves rows; the other is ready all the same."""
    with daemon(watched) as first:
        until(lambda: finished(watched) >= 1, "a sweep by the first")
        with daemon(watched) as second:
            until(lambda: finished(watched) >= 6, "more sweeps")
            stop(second)
        holders = {
            holder.partition(".")[0]
            for (holder,) in watched.rows("SELECT holder FROM sweeps WHERE kind = 'daily_loss'")
        }
        stop(first)

    assert len(holders) == 1


def test_it_asks_for_the_book_and_the_funds_and_takes_up_a_new_account(watched: Shell) -> None:
    """Every kind of sweep leaves rows of its own; an account that is added is watched without a restart."""
    with daemon(watched) as process:
        until(lambda: all(finished(watched, kind) for kind in ("daily_loss", "book", "funds")), "every kind")
        assert watched("init", "--account", "second").status == 0
        until(lambda: finished(watched, "daily_loss", "second") >= 1, "a sweep of the new account")
        _took_s, _out, err = stop(process)

    assert process.returncode == 0, err


# -- systemd ---------------------------------------------------------------------------------------------------------


def test_it_tells_systemd_that_it_is_ready_well_and_stopping(watched: Shell) -> None:
    """`Type=notify` with a watchdog of three seconds: a word a second, over the socket systemd would have made."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(watched.directory / "notify"))
        listener.settimeout(PATIENCE_S)
        words = {"NOTIFY_SOCKET": str(watched.directory / "notify"), "WATCHDOG_USEC": "3000000"}
        process = watched.start("run", **words)
        try:
            heard = [listener.recv(100) for _ in range(3)]
            stop(process)
            while heard[-1] != b"STOPPING=1":
                heard.append(listener.recv(100))
        finally:
            process.kill()
            process.communicate()

    assert heard[0] == b"READY=1" and heard[1:3] == [b"WATCHDOG=1"] * 2
    assert process.returncode == 0


def test_the_unit_that_is_shipped_says_what_the_daemon_does() -> None:
    """Type, watchdog and restart stand in the unit as in the how-to; systemd itself finds nothing wrong where it is there."""
    unit = ROOT / "packaging" / "systemd" / "riskguard.service"
    text = unit.read_text()
    wanted = (
        "Type=notify", "WatchdogSec=30", "Restart=always", "LoadCredentialEncrypted=", "ProtectSystem=strict",
        "StateDirectory=riskguard", "UMask=0077", "NotifyAccess=main",
    )  # fmt: skip

    assert [each for each in wanted if each not in text] == []
    assert f"TimeoutStopSec={TIMEOUT_STOP_S}" in text and TIMEOUT_STOP_S > STOP_S
    checker = shutil.which("systemd-analyze")
    if checker is not None:
        done = subprocess.run([checker, "verify", str(unit)], capture_output=True, text=True, check=False)
        wrong = [
            line for line in done.stderr.splitlines() if "riskguard.service" in line and "not executable" not in line
        ]
        assert wrong == []


# -- a stop -----------------------------------------------------------------------------------------------------------


HUNG = """
import sys, threading
from riskguard.services.sweeps import sweeper

def hang(self):
    print("hangs", flush=True)
    threading.Event().wait()

sweeper.Sweeper.book = hang
sys.argv = ["riskguard", "run"]
from riskguard.cli.main import main
main()
"""


def test_a_hung_job_does_not_hold_the_process_up(watched: Shell) -> None:
    """SIGTERM while a broker never answers: the process is gone within the bound, with 0, and says what it left behind."""
    process = subprocess.Popen(
        [sys.executable, "-c", HUNG], cwd=watched.directory, env=watched.environment(), stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None and process.stdout.readline() == "hangs\n"
        until(lambda: finished(watched) >= 2, "losses are seen while the book hangs")
        took_s, _out, err = stop(process)
    finally:
        process.kill()
        process.communicate()

    assert process.returncode == 0, err
    assert took_s < STOP_S + ALERTS_STOP_S + 30 and "left behind" in err


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
