"""What a process pays before its first order, and what a kill pays before its flag is on disk. All cold processes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.measure import ON_THE_WALL, Row, interleaved, median
from benchmarks.stage import Stage, build, rulebook

ROUNDS = 15
KILLS = 11
WAIT_S = 10.0

FORBIDDEN = ("sqlalchemy", "apscheduler", "typer", "requests", "rich", "pydantic", "alembic", "click", "pandas")

COMMAND = Path(sys.executable).with_name("riskguard")


def rows(directory: Path) -> list[Row]:
    """Measure imports, the first `open`, `--help`, and a kill from a cold process to its flag."""
    stage = build(directory / "start", rulebook())
    opened = f"from riskguard import RiskGuard; RiskGuard.open({stage.url!r}, sweep=False)"
    asked = {
        "bare": _python("pass"), "door": _python("import riskguard"),
        "names": _python("from riskguard import RiskGuard, Order"), "opened": _python(opened),
        "help": [str(COMMAND), "--help"],
    }  # fmt: skip
    computed: dict[str, list[float]] = {name: [] for name in asked}

    def asking(name: str) -> Callable[[], object]:
        return lambda: computed[name].append(_run(asked[name]))

    times = interleaved(ROUNDS, ON_THE_WALL, **{name: asking(name) for name in asked})
    bare_ms = median(times["bare"]) / 1000
    over = {name: median(each) / 1000 - bare_ms for name, each in times.items()}
    floor = {name: f"processor: {median(each):.0f} ms; bare interpreter: {bare_ms:.0f} ms, processor {median(computed['bare']):.0f}"
             for name, each in computed.items()}  # fmt: skip
    kills = [_kill(stage.copied(directory / "kill")) for _ in range(KILLS)]
    kills_ms = [took_ms for took_ms, _ in kills]
    return [
        Row("import riskguard, over bare", over["door"], "ms", 130, floor["door"]),
        Row("… modules loaded that must not be", len(_loaded()), "", 0, ", ".join(FORBIDDEN)),
        Row("from riskguard import RiskGuard, Order", over["names"], "ms", None, floor["names"],
            "SQLAlchemy Core is compiled from here, so that no check imports anything"),
        Row("RiskGuard.open, cold, with its imports", over["opened"], "ms", 350, floor["opened"],
            "SQLAlchemy Core and pydantic are imported, and statements compiled, at every start"),
        Row("riskguard --help, cold", over["help"], "ms", 150, floor["help"],
            "typer builds every command, and their modules are imported for it"),
        Row("riskguard kill, cold, to the flag on disk", median(kills_ms), "ms", 60,
            f"fastest: {min(kills_ms):.0f} ms; processor, to its end: {median([each for _, each in kills]):.0f} ms; "
            f"bare interpreter: {bare_ms:.0f} ms",
            "look at the load below: the standard library is all it imports"),
    ]  # fmt: skip


def _environment(**more: str) -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", ""), **more}


def _python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def _run(words: list[str]) -> float:
    """Run a program to its end; return what it computed, in ms of the processor: what a neighbour takes does not count."""
    home = str(Path(os.environ["RISKGUARD_HOME"]))
    return _ended(subprocess.Popen(words, stdout=subprocess.DEVNULL, env=_environment(RISKGUARD_HOME=home)))


def _ended(process: subprocess.Popen[bytes]) -> float:
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, process.args
    return (used.ru_utime + used.ru_stime) * 1000


def _loaded() -> list[str]:
    code = f"import riskguard, sys; print(*[name for name in {FORBIDDEN!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return done.stdout.split()


def _kill(stage: Stage) -> tuple[float, float]:
    """
    Return ms from before the process is started to the moment its flag is on disk, and what it computed to its end.

    The flag beside the database is synced, file and directory, before the one in the host directory is made: when
    that second one appears, the first is on disk.
    """
    home = stage.directory / "home"
    (home / "halt").mkdir(parents=True)
    environment = _environment(RISKGUARD_HOME=str(home), RISKGUARD_DB=stage.url)
    started = time.perf_counter()
    words = [str(COMMAND), "kill", "leader", "--no-wait"]
    process = subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL)
    while not os.listdir(home / "halt"):
        if time.perf_counter() - started > WAIT_S:
            raise TimeoutError("the kill left no flag")
    took_ms = (time.perf_counter() - started) * 1000
    assert os.listdir(stage.directory / "halt")
    return took_ms, _ended(process)
