"""
A process in which a disk can fail at an exact call: it forks a warm child for each deed, armed as it is told.

`Stage` starts one (with `faulty.c` preloaded) and talks to it. Each child works on a fresh copy of a prepared state, so
that the n-th call is the same call each time; what it says is what a program would have seen.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.reliability.actors import ROOT, Actor, say, told

OPEN, READ, WRITE, SYNC, TRUNCATE, UNLINK, RENAME, MKDIR, LIST, MAP, CREATE, OPEN_TO_WRITE = (
    1 << bit for bit in range(12)
)
CHANGES = CREATE | OPEN_TO_WRITE | WRITE | SYNC | TRUNCATE | UNLINK | RENAME | MKDIR
READS = OPEN | READ | LIST | MAP
EVERY = CHANGES | READS
NOTHING, FAIL, TEAR, KILL_BEFORE, KILL_AFTER, STOP_BEFORE = range(6)

SOURCE = Path(__file__).with_name("faulty.c")


def compiled(directory: Path) -> Path:
    """Compile `faulty.c` and return the library; fails the test where there is no C compiler."""
    library = directory / "faulty.so"
    made = subprocess.run(
        ["cc", "-shared", "-fPIC", "-O1", "-o", str(library), str(SOURCE), "-ldl"], capture_output=True, text=True, check=False
    )  # fmt: skip
    assert made.returncode == 0, f"the fault tests want a C compiler (`apt-get install gcc`): {made.stderr}"
    return library


class Stage(Actor):
    """See the module. `play` runs one deed in a child and returns what became of it."""

    def __init__(self, library: Path) -> None:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "LD_PRELOAD": str(library)}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.stage"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, env=environment,
        )  # fmt: skip
        self._read = b""
        assert self.hear() == {"ready": True}

    def play(self, deed: str, state: Path, **how: Any) -> dict[str, Any]:
        """
        Run *deed* on *state*: {"status": exit code or -signal, "said": [what the child wrote], "calls": counted calls}.

        *how*: `kinds`, `at`, `action`, `error`, `sticky`, `only` (a file's ending) arm the disk; `trace` names each
        counted call in `said`; the rest goes to the deed.
        """
        return self.ask(deed=deed, state=str(state), **how)


def spread(calls: int, most: int) -> Iterator[int]:
    """Return which calls to strike: all, or *most* of them from the first to the last."""
    if calls <= most:
        yield from range(1, calls + 1)
        return
    for number in range(most):
        yield 1 + round(number * (calls - 1) / (most - 1))


# -- in the process -------------------------------------------------------------------------------------------------


class Disk:
    """The switches of `faulty.c`, in this process."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(None)
        self._library.faulty_disarm.restype = ctypes.c_long

    def watch(self, directory: Path) -> None:
        """Take note of what is opened below *directory* from now on."""
        self._library.faulty_watch(os.fsencode(directory))

    def arm(self, what: dict[str, Any], pipe: int) -> None:
        self._library.faulty_only(str(what.get("only", "")).encode())
        self._library.faulty_trace(pipe if what.get("trace") else -1)
        self._library.faulty_arm(
            what.get("kinds", EVERY), ctypes.c_long(what.get("at", 0)), what.get("action", NOTHING),
            what.get("error", 5), int(what.get("sticky", False)),
        )  # fmt: skip

    def disarm(self) -> int:
        return int(self._library.faulty_disarm())


def play(disk: Disk, what: dict[str, Any]) -> None:
    """Fork, let the child do its deed, and say what became of it."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        try:
            _act(disk, what, write)
            os._exit(0)
        except BaseException as e:
            _write(write, {"broke": f"{type(e).__name__}: {e}"})
            os._exit(9)
    os.close(write)
    heard: list[Any] = []
    listener = threading.Thread(target=_hear, args=(read, heard))  # a full pipe must not hold the child up
    listener.start()
    _, status = os.waitpid(child, os.WUNTRACED)
    while os.WIFSTOPPED(status):
        say(stopped=child)
        next(_told)  # whatever is said: go on
        os.kill(child, signal.SIGCONT)
        _, status = os.waitpid(child, os.WUNTRACED)
    listener.join()
    calls = next((each["calls"] for each in heard if isinstance(each, dict) and "calls" in each), None)
    said = [each for each in heard if not (isinstance(each, dict) and "calls" in each)]
    seconds = next((each["seconds"] for each in heard if isinstance(each, dict) and "seconds" in each), None)
    say(status=os.waitstatus_to_exitcode(status), said=said, calls=calls, seconds=seconds)


def _hear(read: int, heard: list[Any]) -> None:
    with os.fdopen(read, "rb") as pipe:
        lines = pipe.read().split(b"\n")[:-1]  # the last one is torn where the child was killed
    heard += [json.loads(line) if line.startswith(b"{") else line.decode() for line in lines]


def _write(pipe: int, what: dict[str, Any]) -> None:
    os.write(pipe, json.dumps(what).encode() + b"\n")


def _act(disk: Disk, what: dict[str, Any], pipe: int) -> None:
    from tests.faults.breaking import BREAKS
    from tests.faults.deeds import DEEDS, Scene, judged

    directory = Path(what["to"]) if "to" in what else Path(what["state"]).with_name(f"play-{os.getpid()}")
    if not directory.exists():
        shutil.copytree(what["state"], directory)
    os.environ["RISKGUARD_HOME"] = str(directory / "home")
    disk.watch(directory)
    scene = Scene(directory, what, lambda **said: _write(pipe, said))
    deed = DEEDS[what["deed"]]
    if what.get("warm", False):
        scene.warm()
    broken = BREAKS[what["broken"]](scene.path) if "broken" in what else contextlib.nullcontext()
    scene.before(what["deed"])
    with broken:
        scene.limit()
        disk.arm(what, pipe)
        began = time.monotonic()
        with judged(scene):
            deed(scene)
        seconds, calls = time.monotonic() - began, disk.disarm()
        scene.unlimit()
    _write(pipe, {"calls": calls, "seconds": seconds})
    if what.get("then_look", False):
        with judged(scene):
            DEEDS["look"](scene)  # in the same process: what it keeps in memory must be true again, too
    scene.after()
    if not what.get("keep", False):
        shutil.rmtree(directory, ignore_errors=True)


_told: Iterator[dict[str, Any]] = iter(())


def main() -> None:
    global _told
    from tests.faults import deeds

    deeds.rehearse()
    gc.collect()
    gc.freeze()  # a child that only reads shares the parent's pages
    disk = Disk()
    _told = told()
    say(ready=True)
    for what in _told:
        play(disk, what)


if __name__ == "__main__":
    main()
