"""
What a process pays before its first order, and what a kill pays before its flag is on disk. All cold processes.

A figure is the time on the wall without what the process spent ready to run while another program had the core: that is
the neighbour's figure, and the kernel counts it (`/proc/<pid>/schedstat`). Disks and everything else it waited for stay
in. Beside it stand the wall whole, and what the processor computed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import ON_THE_WALL, Row, interleaved, median
from benchmarks.stage import Stage, build, rulebook

ROUNDS = 15
KILLS = 11
WAIT_S = 10.0
LOOK_S = 0.0005
"""How often the flag is looked for: whoever spins takes a core from the kill it measures."""

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
    taken: dict[str, list[Taken]] = {name: [] for name in asked}

    def asking(name: str) -> Callable[[], object]:
        return lambda: taken[name].append(_run(asked[name]))

    interleaved(ROUNDS, ON_THE_WALL, **{name: asking(name) for name in asked})
    bare_ms = median([each.own_ms for each in taken["bare"]])
    over = {name: median([each.own_ms for each in times]) - bare_ms for name, times in taken.items()}
    floor = {name: f"{_said(times)}; bare interpreter: {_said(taken['bare'])}" for name, times in taken.items()}
    kills = [_kill(stage.copied(directory / "kill")) for _ in range(KILLS)]
    return [
        Row("import riskguard, over bare", over["door"], "ms", 130, floor["door"]),
        Row("… modules loaded that must not be", len(_loaded("import riskguard", FORBIDDEN)), "", 0, ", ".join(FORBIDDEN)),
        Row("from riskguard import RiskGuard, Order", over["names"], "ms", None, floor["names"]),
        Row("RiskGuard.open, cold, with its imports", over["opened"], "ms", 350, floor["opened"],
            "two fifths of its instructions are pydantic: its import, and its first model; it guards what limits and settings say"),
        Row("… modules of SQLAlchemy loaded", len(_loaded(opened, ("sqlalchemy",))), "", 0,
            "the texts of its statements are kept"),
        Row("riskguard --help, cold", over["help"], "ms", 150, floor["help"], "typer is imported"),
        Row("riskguard kill, cold, to the flag on disk", median([each.own_ms for each in kills]), "ms", 60,
            f"fastest: {min(each.own_ms for each in kills):.0f} ms; {_said(kills)}; "
            f"bare interpreter, to its end: {_said(taken['bare'])}",
            "look at the load below: the standard library is all it imports"),
    ]  # fmt: skip


def _environment(**more: str) -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", ""), **more}


def _python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


@dataclass(frozen=True, slots=True)
class Taken:
    """
    What one process took, in ms.

    Attributes:
        wall: From before it was started.
        waited: Of that, ready to run and without a core; 0 where no kernel says.
        computed: On the processor.
    """

    wall: float
    waited: float
    computed: float

    @property
    def own_ms(self) -> float:
        return self.wall - self.waited


def _said(taken: list[Taken]) -> str:
    wall, computed = median([each.wall for each in taken]), median([each.computed for each in taken])
    return f"wall {wall:.0f} ms, processor {computed:.0f} ms"


def _so_far(process: subprocess.Popen[bytes], started: float) -> Taken:
    """Return what a process took until now; it may have ended, and not been waited for."""
    wall_ms = (time.perf_counter() - started) * 1000
    try:
        computed, waited, _turns = Path(f"/proc/{process.pid}/schedstat").read_text().split()
    except FileNotFoundError:
        return Taken(wall_ms, 0, 0)
    return Taken(wall_ms, int(waited) / 1e6, int(computed) / 1e6)


def _run(words: list[str]) -> Taken:
    """Run a program to its end."""
    home = str(Path(os.environ["RISKGUARD_HOME"]))
    started = time.perf_counter()
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, env=_environment(RISKGUARD_HOME=home))
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    taken = _so_far(process, started)
    assert process.wait() == 0, process.args
    return taken


def _loaded(code: str, names: tuple[str, ...]) -> list[str]:
    code = f"{code}; import sys; print(*[name for name in {names!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return done.stdout.split()


def _kill(stage: Stage) -> Taken:
    """
    Return what a kill took from before its process is started to the moment its flag is on disk.

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
        time.sleep(LOOK_S)
    taken = _so_far(process, started)
    assert os.listdir(stage.directory / "halt")
    assert process.wait() == 0, process.args
    return taken
