"""The live table of `riskguard kill` at a terminal: one line per run, and a bar of its steps."""

from __future__ import annotations

import time
from types import TracebackType

from rich.live import Live
from rich.table import Table
from rich.text import Text

from riskguard.services.kill.killrun import STEPS_OF
from riskguard.store.kills import KillRun, cut_short

COLOURS = {"OPEN": "yellow", "DONE": "green", "BLOCKED": "bold red"}
DETAIL_MAX = 100


class LiveRuns:
    """Redraws the table with each call; leaves the last one standing."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._live = Live(Text("looking at the broker …"), refresh_per_second=8, transient=False)

    def __enter__(self) -> LiveRuns:
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.__exit__(kind, error, trace)

    def __call__(self, standing: list[KillRun]) -> None:
        self._live.update(table(standing, time.monotonic() - self._began))


def table(standing: list[KillRun], elapsed_s: float) -> Table:
    """Return how every run stands now."""
    made = Table(box=None, padding=(0, 1), show_header=False, title=f"{elapsed_s:.0f} s", title_justify="left")
    for run in standing:
        bar = Text()
        for step in STEPS_OF.get(run.kill_plan, ()):
            place = steps_done(run)
            number = STEPS_OF[run.kill_plan].index(step)
            style = "green" if number < place else "yellow" if number == place else "dim"
            bar.append(f"{step} ", style=style)
        detail = run.detail if len(run.detail) <= DETAIL_MAX else run.detail[:DETAIL_MAX] + "…"
        made.add_row(run.account, Text(run.state, style=COLOURS.get(run.state, "")), bar, Text(detail))
    return made


def steps_done(run: KillRun) -> int:
    """Return how many steps of its plan are behind the run."""
    steps = STEPS_OF.get(run.kill_plan, ())
    if run.state == "DONE" and not cut_short(run.kill_plan, run.state, run.step):
        return len(steps)
    return steps.index(run.step) if run.step in steps else 0
