"""
Mutates files of the tree it is started in and runs the tests on every mutant: a program of its own, started by `running.measure`.

mutmut makes the mutants (all of a file lie in it side by side, and one is chosen at run time). Here they are run: the tests are
imported and collected once, and every mutant is a fork of that process. It runs only the tests that reach its function, and ends
with the first that fails: those first that killed its neighbours, then the quickest. So some ten mutants a second are measured,
where a start of pytest for each would take one. Nothing is carried from one to the next: a fork dies with what it has remembered.
"""

from __future__ import annotations

import gc
import json
import math
import mmap
import os
import resource
import signal
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path
from time import process_time
from typing import Any, Final

import pytest
from _pytest.runner import runtestprotocol
from hypothesis import Phase, settings
from mutmut.mutation import trampoline
from mutmut.mutation.data import LineSpan
from mutmut.mutation.file_mutation import mutate_file_contents
from mutmut.utils.format_utils import get_mutant_name, mangled_name_from_mutant_name

CPU_S: Final = 3.0
CPU_TIMES: Final = 5.0
"""So long may a mutant compute: a constant and a multiple of what its tests take without a mutant. More is an endless loop."""
MEMORY_BYTES: Final = 4 << 30
"""What a mutant may take: one that fills lists for ever fails before the machine does."""

KILLED, LIVED = 1, 0
ENDLESS: Final = -signal.SIGXCPU


@dataclass(frozen=True)
class Planted:
    """One mutant: where it is, and the lines it changes."""

    file: str
    name: str
    was: str
    becomes: str


def mutate(root: Path, files: list[str]) -> list[Planted]:
    """Write the mutants into *files*."""
    made = []
    for file in files:
        path = root / file
        mutated = mutate_file_contents(file, path.read_text(encoding="utf-8"))
        path.write_text(mutated.code, encoding="utf-8")
        lines, spans = mutated.code.splitlines(), mutated.line_span_by_function_name

        def body(name: str, lines: list[str] = lines, spans: Mapping[str, LineSpan] = spans) -> list[str]:
            return [line.strip().replace(name, "") for line in lines[spans[name].start - 1 : spans[name].end]]

        for name in mutated.mutant_names:
            own, mutants = body(f"{mangled_name_from_mutant_name(name)}__mutmut_orig"), body(name)
            differs = list(unified_diff(own, mutants, n=0, lineterm=""))[2:]  # without its two lines of names
            was, becomes = (" ".join(line[1:] for line in differs if line[0] == sign) for sign in "-+")
            made.append(Planted(file, get_mutant_name(Path(file), name), was, becomes))
    return made


class Hunt:
    """A pytest plugin: instead of running the tests once, run them on every mutant of *names*."""

    def __init__(self, names: list[str], children: int) -> None:
        self.names, self.children = names, children
        self.came: dict[str, str] = {}
        self.wrong = ""
        self.killers = mmap.mmap(-1, 4 * max(1, len(names)))  # what killed each, told by its fork

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self.items = session.items
        gc.collect()
        gc.freeze()
        if not (reached := self._reached()):
            self.wrong = "the tests fail without a mutant, or reach none"
            return True
        ours = {index for name in self.names for index in reached["by"].get(mangled_name_from_mutant_name(name), ())}
        if ours and self._ended(self._fork("fail", sorted(ours), None, 10 * CPU_S))[1] != KILLED:
            self.wrong = "a function that raises is not noticed: other files are tested than were mutated"
            return True
        quick = sorted(ours, key=lambda index: reached["took"][index])
        if self._ended(self._fork("none", quick, None, 10 * (CPU_S + sum(reached["took"]))))[1] != LIVED:
            self.wrong = "the tests fail without a mutant when the quick ones are first"
            return True
        self._all(reached)
        return True

    def _all(self, reached: dict[str, Any]) -> None:
        took: list[float] = reached["took"]
        killed: defaultdict[str, Counter[int]] = defaultdict(Counter)
        told = memoryview(self.killers).cast("i")
        running: dict[int, int] = {}

        def one_less() -> None:
            pid, code = self._ended(None)
            number = running.pop(pid)
            name = self.names[number]
            self.came[name] = "timeout" if code == ENDLESS else "survived" if code == LIVED else "killed"
            if code == KILLED:
                killed[mangled_name_from_mutant_name(name)][told[number]] += 1
            elif code == LIVED:
                print(f"{len(self.came)} of {len(self.names)}: {name} lives", flush=True)  # for whoever looks on

        for number, name in enumerate(self.names):
            function = mangled_name_from_mutant_name(name)
            mine = reached["by"].get(function)
            if not mine:
                self.came[name] = "not run"
                continue
            before = killed[function]
            order = sorted(mine, key=lambda index: (-before[index], took[index]))
            cpu_s = CPU_S + CPU_TIMES * sum(took[index] for index in mine)
            while len(running) >= self.children:
                one_less()
            running[self._fork(name, order, number, cpu_s)] = number
        while running:
            one_less()

    def _reached(self) -> dict[str, Any]:
        """Run every test once without a mutant, in a fork; return which reach which function and how long each takes."""
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(read)
            hits: set[str] = set()
            trampoline.record_trampoline_hit = lambda name, caller=None: hits.add(name)  # type: ignore[attr-defined]
            trampoline.set_mutant_under_test("stats")
            by: defaultdict[str, list[int]] = defaultdict(list)
            took = []
            for index, failed, duration in self._run(list(range(len(self.items)))):
                if failed:
                    print(f"fails without a mutant: {self.items[index].nodeid}\n{failed}", flush=True)
                    os._exit(1)
                took.append(duration)
                for function in hits:
                    by[function].append(index)
                hits.clear()
            with os.fdopen(write, "w") as told:
                json.dump({"by": by, "took": took}, told)
            os._exit(0)
        os.close(write)
        with os.fdopen(read) as told:
            text = told.read()
        self._ended(pid)
        found: dict[str, Any] = json.loads(text) if text else {}
        return found if found.get("by") else {}

    def _run(self, order: list[int]) -> Iterator[tuple[int, str, float]]:
        """Run tests in *order*; yield the index of each, how it failed ("": it passed) and the CPU seconds it took."""
        for index in order:
            before = process_time()  # of this process alone: it means the same on a busy machine
            failed = _failed(self.items[index])
            yield index, failed, process_time() - before

    def _fork(self, mutant: str, order: list[int], number: int | None, cpu_s: float) -> int:
        pid = os.fork()
        if pid:
            return pid
        try:
            limit = math.ceil(cpu_s)
            resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 5))
            resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, 1)
            os.dup2(nowhere, 2)
            trampoline.set_mutant_under_test(mutant)
            for index, failed, _ in self._run(order):
                if failed:
                    if number is not None:
                        memoryview(self.killers).cast("i")[number] = index
                    os._exit(KILLED)
            os._exit(LIVED)
        finally:
            os._exit(KILLED)  # the runner itself broke under the mutant

    def _ended(self, pid: int | None) -> tuple[int, int]:
        ended, status = os.waitpid(-1 if pid is None else pid, 0)
        return ended, os.waitstatus_to_exitcode(status)


def _failed(item: pytest.Item) -> str:
    """
    Run one test; return how it failed, "" for not at all.

    A function that needs no fixture is simply called: what pytest does around a test takes longer than most of them. So
    pytest does not know which test is next, and what it made for one is taken down after it.
    """
    parameters: dict[str, Any] = item.callspec.params if hasattr(item, "callspec") else {}
    plain = isinstance(item, pytest.Function) and set(item.fixturenames) <= set(parameters)
    if not plain or any(item.iter_markers("xfail")) or any(item.iter_markers("skip")):
        reports = runtestprotocol(item, log=False, nextitem=None)
        return next((str(report.longrepr) or "failed" for report in reports if report.failed), "")
    try:
        item.obj(**parameters)  # type: ignore[attr-defined]
    except pytest.skip.Exception:
        return ""
    except BaseException as e:
        return f"{type(e).__name__}: {e}"
    return ""


def main(asked: Path) -> int:
    """Do what the JSON file *asked* says (`files`, `tests`, `children`) in its directory; write `found.json` beside it."""
    given, root = json.loads(asked.read_text(encoding="utf-8")), asked.parent
    os.chdir(root)
    planted = mutate(root, given["files"])
    names = [each.name for each in planted]
    hunt = Hunt(names, given["children"])
    # Generated cases are the same for every mutant, and a failure is enough: nobody reads the smallest one.
    settings.register_profile(
        "mutants", deadline=None, derandomize=True, database=None, phases=(Phase.explicit, Phase.generate)
    )
    settings.load_profile("mutants")
    # What is pure needs no desk: without the conftest a small process is forked, and nothing else of the tree has to work.
    options = ["-q", "-s", "--tb=native", "--assert=plain", "--rootdir=.", "--noconftest", "-m", "not soak"]
    options += ["-p", "no:cacheprovider", "-p", "no:xdist"]
    status = pytest.main([*options, *given["tests"]], plugins=[hunt])
    if hunt.wrong or len(hunt.came) != len(names):
        print(hunt.wrong or f"pytest ended with {status}")
        return 1
    found = [(each.file, each.name, hunt.came[each.name], each.was, each.becomes) for each in planted]
    (root / "found.json").write_text(json.dumps(found), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
