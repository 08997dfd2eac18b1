"""The runs a kill opens, one an account."""

from __future__ import annotations

from riskguard.store.spelling import insert_into, param, prepare, sa, tables

kill_runs = tables.runs.kill_runs

_k = kill_runs.c
RUNS_OF_KILL = prepare(sa.select(_k.account).where(_k.kill_id == param("kill_id")))
ADD_RUN = insert_into(
    kill_runs, "kill_id", "account", "scope", "kill_plan", "state", "cause", "by_whom", "reason", "started_at_us", "deadline_us",
    ignore=True,
)  # fmt: skip
