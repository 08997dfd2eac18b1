"""The durable record of upkeep: what was done when, and that a day's run is done once."""

from __future__ import annotations

import json
import os
import secrets
from typing import Any

from riskguard.store.session import Session
from riskguard.store.spelling import fixed, insert_into, param, prepare, sa, tables

upkeep_runs = tables.upkeep.upkeep_runs

ATTEMPTS_MAX = 3
DETAIL_CHARS_MAX = 4_000

_u = upkeep_runs.c
CLAIM = insert_into(upkeep_runs, "kind", "slot", "holder", "started_at_us", ignore=True)
OF_SLOT = prepare(sa.select(_u.id, _u.attempts, _u.outcome).where(_u.kind == param("kind"), _u.slot == param("slot")))
AGAIN = prepare(
    sa.update(upkeep_runs)
    .where(_u.id == param("of_id"))
    .values(
        attempts=_u.attempts + 1, holder=param("by"), started_at_us=param("now_us"), finished_at_us=sa.null(),
        outcome=sa.null(),
    )
)  # fmt: skip
FINISH = prepare(
    sa.update(upkeep_runs)
    .where(_u.id == param("of_id"))
    .values(finished_at_us=param("now_us"), outcome=param("to_outcome"), detail=param("said"))
)
LAST = prepare(
    sa.select(_u.slot, _u.started_at_us, _u.finished_at_us, _u.outcome, _u.detail)
    .where(_u.kind == param("kind"))
    .order_by(_u.started_at_us.desc(), _u.id.desc())
    .limit(fixed(1))
)
LAST_DONE = prepare(
    sa.select(sa.func.max(_u.finished_at_us)).where(_u.kind == param("kind"), _u.outcome == fixed("DONE"))
)


def claim(session: Session, kind: str, slot: str, now_us: int) -> int | None:
    """
    Claim the run of *slot*; None when it is done, or was tried often enough.

    Call it while holding the upkeep lock: a claim found unfinished then belongs to somebody who died.
    """
    holder = f"{os.getpid()}-{secrets.token_hex(4)}"
    claimed = session.insert(CLAIM, kind=kind, slot=slot, holder=holder, started_at_us=now_us)
    if claimed is not None:
        return claimed
    row = session.row(OF_SLOT, kind=kind, slot=slot)
    if row is None or row[2] == "DONE" or row[1] >= ATTEMPTS_MAX:
        return None
    session.run(AGAIN, of_id=row[0], by=holder, now_us=now_us)
    return int(row[0])


def finish(session: Session, run_id: int, outcome: str, detail: dict[str, Any], now_us: int) -> None:
    """Write how it ended; a detail too long for a row keeps its beginning."""
    said = json.dumps(detail, default=str)
    if len(said) > DETAIL_CHARS_MAX:
        said = json.dumps({"cut": said[: DETAIL_CHARS_MAX // 2]})
    session.run(FINISH, of_id=run_id, now_us=now_us, to_outcome=outcome, said=said)


def by_hand(session: Session, kind: str, detail: dict[str, Any], started_us: int, now_us: int) -> None:
    """Keep what a person did."""
    run_id = claim(session, kind, f"by hand {started_us}", started_us)
    if run_id is not None:
        finish(session, run_id, "DONE", detail, now_us)
