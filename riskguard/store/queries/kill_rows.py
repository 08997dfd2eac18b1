"""The runs a kill opens, one an account."""

from __future__ import annotations

from collections.abc import Iterable

from riskguard.store.session import Ask, Session
from riskguard.store.spelling import insert_into, param, prepare, sa, tables

kill_runs = tables.runs.kill_runs

_k = kill_runs.c
RUNS_OF_KILL = prepare(sa.select(_k.account).where(_k.kill_id == param("kill_id")))
AT_ONCE = 16
_KNOWN = prepare(sa.select(_k.kill_id).where(_k.kill_id.in_([param(f"kill_{n}") for n in range(AT_ONCE)])))
ADD_RUN = insert_into(
    kill_runs, "kill_id", "account", "scope", "kill_plan", "state", "cause", "by_whom", "reason", "started_at_us", "deadline_us",
    ignore=True,
)  # fmt: skip


def known(session: Session, kill_ids: Iterable[str]) -> set[str]:
    """Return those of *kill_ids* that have a row: a few questions, however many flags stand."""
    wanted = sorted(set(kill_ids))
    asks = [_asks_some(wanted[start : start + AT_ONCE]) for start in range(0, len(wanted), AT_ONCE)]
    if session.is_far:
        session.foresee(asks)
    return {row[0] for ask in asks for row in session.all(ask)}


def _asks_some(kill_ids: list[str]) -> Ask:
    padded = kill_ids + kill_ids[-1:] * (AT_ONCE - len(kill_ids))
    return _KNOWN, {f"kill_{n}": each for n, each in enumerate(padded)}
