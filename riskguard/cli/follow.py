"""Follows kill runs to their end, or to the end of a person's patience, and shows how each account stands meanwhile."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Any

from riskguard.errors import RiskGuardError
from riskguard.services.kill.killrun import STEPS_OF, KillRunner
from riskguard.services.wiring import broker_of, open_guard, settings_of
from riskguard.store import kills
from riskguard.store.kills import KillRun
from riskguard.store.session import Store

PAUSE_S = 0.25


def follow(url: str, accounts: Iterable[str], *, show: bool, wait_s_max: float) -> list[dict[str, Any]]:
    """
    Carry on the open runs of *accounts* (none named: of all); returns how each stands.

    With *show* a terminal gets a live table, anything else a line whenever a run moves. An account whose broker cannot
    be opened does not hold the others up: it is reported.
    """
    guard = open_guard(url, sweep=False)
    try:
        settings, known = settings_of(guard.store)
        runners: list[KillRunner] = []
        failed: dict[str, str] = {}
        for account in tuple(accounts) or known:
            if account not in known:
                continue
            try:
                runners.append(KillRunner(guard, account, broker_of(guard, settings, account)))
            except RiskGuardError as e:
                failed[account] = str(e)
                runners.append(KillRunner(guard, account, None))
        standing: dict[int, KillRun] = {}
        end = time.monotonic() + wait_s_max
        with _shown(show) as tell:
            while True:
                for runner in runners:
                    standing.update((run.id, run) for run in runner.advance())
                tell(list(standing.values()))
                if all(run.state != "OPEN" for run in standing.values()) or time.monotonic() >= end:
                    break
                time.sleep(PAUSE_S)
        return [_as_dict(guard.store, run, failed.get(run.account, "")) for run in standing.values()]
    finally:
        guard.close()


def proven(run: dict[str, Any]) -> tuple[list[str], list[str]]:
    """
    Return what is proven stopped and what is not, in plain words; each names the account's own steps.

    Of a run that a release ended before its plan was done nothing is: what was found until then may be done again since.
    """
    done: list[str] = []
    not_done: list[str] = []
    over = run["state"] == "DONE"
    steps = STEPS_OF.get(run["plan"], ())
    reached = len(steps) if over else steps.index(run["step"]) if run["step"] in steps else 0
    said = {
        "CANCEL": "nothing that adds risk rests", "FLATTEN": "what the plan covers is flat",
        "VERIFY": "both read twice at the broker", "LOCK": "the broker's own switch is on",
    }  # fmt: skip
    stopped = "no new order that adds risk passes riskguard"
    if over and not is_over(run):
        return [], [stopped, *(said[step] for step in steps)]
    done.append(stopped)
    for number, step in enumerate(steps):
        if step == "LOCK" and over and not run["locked"]:
            not_done.append(said[step])
        else:
            (done if number < reached else not_done).append(said[step])
    return done, not_done


def is_over(run: dict[str, Any]) -> bool:
    """Say whether the run did what its plan says, and read it back: one that a release ended first did not."""
    return run["state"] == "DONE" and not kills.cut_short(run["plan"], run["state"], run["step"])


def _shown(show: bool) -> AbstractContextManager[Callable[[list[KillRun]], None]]:
    if not show:
        return nullcontext(lambda _runs: None)
    if sys.stdout.isatty():
        from riskguard.cli.progress import LiveRuns

        return LiveRuns()
    return nullcontext(_Lines())


class _Lines:
    """A line whenever a run moves."""

    def __init__(self) -> None:
        self.said: dict[int, str] = {}

    def __call__(self, standing: list[KillRun]) -> None:
        for run in standing:
            line = f"{run.account}: {run.step}: {run.detail}"
            if self.said.get(run.id) != line:
                with suppress(OSError):  # nobody listens any more: the cancelling goes on
                    print(line, flush=True)
            self.said[run.id] = line


def _as_dict(store: Store, run: KillRun, failed: str) -> dict[str, Any]:
    steps: list[Any] = []
    # What was done is shown where it can be read; the kill goes by what is on disk.
    with suppress(RiskGuardError), store.session(durable=False, wait_s=2.0) as session:
        steps = kills.steps_of(session, run.id)
        store.roll_back(session)
    counted: dict[str, int] = {}
    for step in steps:
        if step.state == "DONE":
            counted[step.step] = counted.get(step.step, 0) + 1
    return {
        "account": run.account, "plan": run.kill_plan, "state": run.state, "step": run.step,
        "detail": f"{run.detail}; {failed}" if failed else run.detail, "blocked_by": run.blocked_by,
        "retry_at_us": run.retry_at_us, "locked": bool(run.locked), "halts": bool(run.halts), "scope": run.scope,
        "kill_id": run.kill_id, "sent": counted,
    }  # fmt: skip
