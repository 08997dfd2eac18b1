"""What a process pays before its first order, and what a kill pays before its flag is on disk. All cold processes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.measure import Row, interleaved, median
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
    times = interleaved(
        ROUNDS,
        bare=lambda: _python("pass"),
        door=lambda: _python("import riskguard"),
        names=lambda: _python("from riskguard import RiskGuard, Order"),
        opened=lambda: _python(opened),
        help=lambda: _run([str(COMMAND), "--help"]),
    )
    bare_ms = median(times["bare"]) / 1000
    over = {name: median(each) / 1000 - bare_ms for name, each in times.items()}
    floor = f"bare interpreter: {bare_ms:.0f} ms"
    kills_ms = [_kill(stage.copied(directory / "kill")) for _ in range(KILLS)]
    return [
        Row("import riskguard, over bare", over["door"], "ms", 130, floor),
        Row("… modules loaded that must not be", len(_loaded()), "", 0, ", ".join(FORBIDDEN)),
        Row("from riskguard import RiskGuard, Order", over["names"], "ms", None, floor,
            "SQLAlchemy Core is compiled from here, so that no check imports anything"),
        Row("RiskGuard.open, cold, with its imports", over["opened"], "ms", 350, floor,
            "SQLAlchemy Core and pydantic are imported, and statements compiled, at every start"),
        Row("riskguard --help, cold", over["help"], "ms", 150, floor,
            "typer builds every command, and their modules are imported for it"),
        Row("riskguard kill, cold, to the flag on disk", median(kills_ms), "ms", 60,
            f"bare interpreter, to its end: {bare_ms:.0f} ms; fastest kill: {min(kills_ms):.0f} ms",
            "look at the load below: the standard library is all it imports"),
    ]  # fmt: skip


def _environment(**more: str) -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", ""), **more}


def _python(code: str) -> None:
    _run([sys.executable, "-c", code])


def _run(words: list[str]) -> None:
    home = str(Path(os.environ["RISKGUARD_HOME"]))
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, env=_environment(RISKGUARD_HOME=home))


def _loaded() -> list[str]:
    code = f"import riskguard, sys; print(*[name for name in {FORBIDDEN!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return done.stdout.split()


def _kill(stage: Stage) -> float:
    """
    Return ms from before the process is started to the moment its flag is on disk.

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
    assert process.wait() == 0
    return took_ms
