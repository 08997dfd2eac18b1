"""Follows the kill runs of a kill to their end, or to the end of a person's patience."""

from __future__ import annotations

import time
from contextlib import suppress

from riskguard.services.kill.killrun import KillRunner
from riskguard.services.kill.killswitch import KillOutcome
from riskguard.services.wiring import broker_of, open_guard, settings_of
from riskguard.store.runs import KillRun


def follow(url: str, outcome: KillOutcome, *, show: bool, wait_s_max: float) -> list[dict[str, str]]:
    """Carry on the runs of *outcome*; returns how each stands. Prints a line whenever one moves."""
    guard = open_guard(url, sweep=False)
    try:
        settings, accounts = settings_of(guard.store)
        runners = [
            KillRunner(guard, account, broker_of(guard, settings, account))
            for account in (outcome.accounts or accounts)
            if account in accounts
        ]
        end = time.monotonic() + wait_s_max
        said: dict[int, str] = {}
        while True:
            standing = [run for runner in runners for run in runner.advance()]
            for run in standing:
                line = f"{run.account}: {run.step}: {run.detail}"
                if show and said.get(run.id) != line:
                    with suppress(OSError):  # nobody listens any more: the cancelling goes on
                        print(line, flush=True)
                said[run.id] = line
            if all(run.state != "OPEN" for run in standing) or time.monotonic() >= end:
                return [_as_dict(run) for run in standing]
            time.sleep(0.25)
    finally:
        guard.close()


def _as_dict(run: KillRun) -> dict[str, str]:
    return {"account": run.account, "plan": run.kill_plan, "state": run.state, "step": run.step, "detail": run.detail}
