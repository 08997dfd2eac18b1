"""Sweeps, loss watches, P&L readings, leases and kill runs in the database."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from riskguard.core.assess import LossWatch
from riskguard.core.pnl import DayPnl
from riskguard.store.session import Session
from riskguard.store.statements import fixed, insert_into, param, prepare
from riskguard.store.tables.journal import permits
from riskguard.store.tables.runs import kill_runs, kill_steps, leases, loss_watches, pnl_readings, sweeps

_s = sweeps.c
CLAIM = insert_into(sweeps, "account", "kind", "slot", "interval_us", "started_at_us", "holder", ignore=True)
SLOT = prepare(
    sa.select(_s.finished_at_us, _s.started_at_us).where(
        _s.account == param("account"), _s.kind == param("kind"), _s.slot == param("slot")
    )
)
TAKE_OVER = prepare(
    sa.update(sweeps)
    .where(
        _s.account == param("of_account"), _s.kind == param("of_kind"), _s.slot == param("of_slot"),
        _s.finished_at_us.is_(None),
    )
    .values(started_at_us=param("now_us"), holder=param("by"))
)  # fmt: skip
FINISH = prepare(
    sa.update(sweeps)
    .where(_s.account == param("of_account"), _s.kind == param("of_kind"), _s.slot == param("of_slot"))
    .values(finished_at_us=param("now_us"), findings=param("found"))
)
ADD_READING = insert_into(
    pnl_readings, "account", "session_date", "at_us", "day_pnl_e4", "charges_e4", "fresh_marks", "detail"
)
_w = loss_watches.c
WATCHES = prepare(
    sa.select(_w.limit_id, _w.breached_at_us, _w.warned_pct, _w.reduced, _w.tripped).where(
        _w.account == param("account"), _w.session_date == param("session_date")
    )
)
SAVE_WATCH = insert_into(
    loss_watches,
    "account",
    "session_date",
    "limit_id",
    "breached_at_us",
    "warned_pct",
    "reduced",
    "tripped",
    replace=True,
)
REARM_WATCHES = prepare(
    sa.update(loss_watches)
    .where(_w.account == param("of_account"))
    .values(tripped=fixed(0), reduced=fixed(0), breached_at_us=sa.null())
)
_l = leases.c
LEASE = prepare(sa.select(_l.holder, _l.token, _l.until_us).where(_l.name == param("name")))
SAVE_LEASE = insert_into(leases, "name", "holder", "token", "until_us", replace=True)

_k = kill_runs.c
_RUN = (
    "id", "kill_id", "account", "kill_plan", "state", "step", "cause", "by_whom", "reason", "detail", "holder", "token",
    "lease_until_us", "started_at_us", "deadline_us", "clean_at_us",
)  # fmt: skip
OPEN_RUNS = prepare(
    sa.select(*(_k[name] for name in _RUN))
    .where(_k.account == param("account"), sa.text("state <> 'DONE'"))
    .order_by(_k.id)
)
KILLS_OF_SCOPE = prepare(
    sa.select(_k.kill_id, _k.cause, _k.started_at_us).where(_k.scope == param("scope")).order_by(_k.id)
)
RUN = prepare(sa.select(*(_k[name] for name in _RUN)).where(_k.id == param("run_id")))
TAKE_RUN = prepare(
    sa.update(kill_runs)
    .where(
        _k.id == param("of_id"),
        sa.or_(_k.lease_until_us.is_(None), _k.lease_until_us <= param("now_us"), _k.holder == param("by")),
    )
    .values(holder=param("by"), token=_k.token + 1, lease_until_us=param("until_us"))
)
MOVE_RUN = prepare(
    sa.update(kill_runs)
    .where(_k.id == param("of_id"), _k.token == param("my_token"))
    .values(
        state=param("to_state"), step=param("to_step"), detail=param("said"), clean_at_us=param("clean_us"),
        ended_at_us=param("ended_us"), lease_until_us=param("until_us"),
    )
)  # fmt: skip
# The token moves too: whoever is in the middle of a round writes nothing more and sends nothing more.
END_KILL = prepare(
    sa.update(kill_runs)
    .where(_k.kill_id == param("of_kill"), sa.text("state <> 'DONE'"))
    .values(
        state=fixed("DONE"), step=fixed("WATCH"), detail=param("said"), ended_at_us=param("now_us"),
        lease_until_us=sa.null(), token=_k.token + 1,
    )
)  # fmt: skip
_t = kill_steps.c
INTEND = insert_into(
    kill_steps, "run_id", "step", "round", "target", "state", "client_order_id", "detail", "at_us", ignore=True
)
STEP_ID = prepare(
    sa.select(_t.id, _t.state).where(
        _t.run_id == param("run_id"), _t.step == param("step"), _t.round == param("round"), _t.target == param("target")
    )
)
SET_STEP = prepare(
    sa.update(kill_steps)
    .where(
        _t.id == param("of_id"), _t.state == param("from_state"),
        sa.exists().where(kill_runs.c.id == param("run_id"), kill_runs.c.token == param("my_token")),
    )
    .values(state=param("to_state"), detail=param("said"), answered_at_us=param("now_us"))
)  # fmt: skip
LAST_ROUND = prepare(sa.select(sa.func.coalesce(sa.func.max(_t.round), fixed(0))).where(_t.run_id == param("run_id")))
STEPS = prepare(
    sa.select(_t.step, _t.round, _t.target, _t.state, _t.detail, _t.at_us)
    .where(_t.run_id == param("run_id"))
    .order_by(_t.id)
)
_p = permits.c
IN_DOUBT = prepare(
    sa.select(sa.func.count(), sa.func.max(_p.sent_at_us)).where(
        _p.account == param("account"),
        _p.state.in_([fixed("GRANTED"), fixed("SENT"), fixed("ACKED"), fixed("UNKNOWN")]),
        _p.state.in_([fixed("SENT"), fixed("UNKNOWN")]),
    )
)


@dataclass(slots=True)
class KillRun:
    """One row of `kill_runs`."""

    id: int
    kill_id: str
    account: str
    kill_plan: str
    state: str
    step: str
    cause: str
    by_whom: str
    reason: str
    detail: str
    holder: str
    token: int
    lease_until_us: int | None
    started_at_us: int
    deadline_us: int
    clean_at_us: int | None


def claim_slot(
    session: Session, account: str, kind: str, slot: int, interval_us: int, now_us: int, holder: str
) -> bool:
    """
    Claim one sweep; False when it is done, or another is at it and not overdue.

    A claim that is three intervals (at least 10 s) old and unfinished belongs to somebody who died.
    """
    claimed = session.run(
        CLAIM, account=account, kind=kind, slot=slot, interval_us=interval_us, started_at_us=now_us, holder=holder
    )
    if claimed.rowcount == 1:
        return True
    row = session.row(SLOT, account=account, kind=kind, slot=slot)
    if row is None or row[0] is not None or now_us - row[1] < max(3 * interval_us, 10_000_000):
        return False
    session.run(TAKE_OVER, of_account=account, of_kind=kind, of_slot=slot, now_us=now_us, by=holder)
    return True


def finish_slot(session: Session, account: str, kind: str, slot: int, findings: list[Any], now_us: int) -> None:
    """Write the heartbeat: this sweep is done."""
    session.run(
        FINISH,
        of_account=account,
        of_kind=kind,
        of_slot=slot,
        now_us=now_us,
        found=json.dumps(findings, default=str)[:8000],
    )


def save_reading(session: Session, account: str, date: str, pnl: DayPnl, now_us: int) -> None:
    session.run(
        ADD_READING, account=account, session_date=date, at_us=now_us, day_pnl_e4=pnl.total_e4, charges_e4=pnl.charges_e4,
        fresh_marks=int(pnl.fresh), detail=pnl.detail[:300],
    )  # fmt: skip


def watches(session: Session, account: str, date: str) -> dict[str, LossWatch]:
    return {
        limit_id: LossWatch(breached_us, warned, bool(reduced), bool(tripped))
        for limit_id, breached_us, warned, reduced, tripped in session.rows(WATCHES, account=account, session_date=date)
    }


def save_watches(
    session: Session, account: str, date: str, kept: dict[str, LossWatch], before: dict[str, LossWatch]
) -> None:
    """Write what changed."""
    for limit_id, watch in kept.items():
        if watch != before.get(limit_id):
            session.run(
                SAVE_WATCH, account=account, session_date=date, limit_id=limit_id, breached_at_us=watch.breached_at_us,
                warned_pct=watch.warned_pct, reduced=int(watch.reduced), tripped=int(watch.tripped),
            )  # fmt: skip


def take_lease(session: Session, name: str, holder: str, now_us: int, life_us: int) -> int | None:
    """Take or renew a lease; returns its token, or None while somebody else holds it."""
    row = session.row(LEASE, name=name)
    if row is not None and row[0] != holder and row[2] > now_us:
        return None
    token = 1 if row is None else row[1] + (row[0] != holder)
    session.run(SAVE_LEASE, name=name, holder=holder, token=token, until_us=now_us + life_us)
    return int(token)


def open_kill_runs(session: Session, account: str) -> list[KillRun]:
    """Return kill runs that are not done, oldest first."""
    return [KillRun(*row) for row in session.rows(OPEN_RUNS, account=account)]


def take_run(session: Session, run_id: int, holder: str, now_us: int, life_us: int) -> KillRun | None:
    """Take the lease of a kill run; its token grows, so that whoever held it before writes nothing more."""
    taken = session.run(TAKE_RUN, of_id=run_id, by=holder, now_us=now_us, until_us=now_us + life_us).rowcount
    row = session.row(RUN, run_id=run_id)
    return KillRun(*row) if taken == 1 and row is not None else None


def move_run(
    session: Session, run: KillRun, *, state: str, step: str, detail: str, clean_at_us: int | None, now_us: int,
    lease_us: int,
) -> bool:  # fmt: skip
    """Write where the run stands; False when another holder has taken it meanwhile."""
    moved = session.run(
        MOVE_RUN, of_id=run.id, my_token=run.token, to_state=state, to_step=step, said=detail[:500], clean_us=clean_at_us,
        ended_us=now_us if state == "DONE" else None, until_us=now_us + lease_us if state == "OPEN" else None,
    ).rowcount  # fmt: skip
    return moved == 1


def end_kills(session: Session, kill_ids: tuple[str, ...], said: str, now_us: int) -> None:
    """End what follows these kills: they are released, and what is allowed again must not be cancelled."""
    for kill_id in kill_ids:
        session.run(END_KILL, of_kill=kill_id, said=said[:500], now_us=now_us)


def intend(
    session: Session, run: KillRun, step: str, round_: int, target: str, client_order_id: str, detail: str, now_us: int
) -> int | None:
    """Write the intent of one broker write; None when this step was begun before, or the run has another holder."""
    row = session.row(RUN, run_id=run.id)
    if row is None or KillRun(*row).token != run.token:
        return None
    cursor = session.run(
        INTEND, run_id=run.id, step=step, round=round_, target=target, state="INTENDED", client_order_id=client_order_id,
        detail=detail, at_us=now_us,
    )  # fmt: skip
    return int(cursor.lastrowid or 0) if cursor.rowcount == 1 else None


def set_step(
    session: Session, run: KillRun, step_id: int, from_state: str, to_state: str, detail: str, now_us: int
) -> bool:
    """Move one step on by compare-and-set on its state and the run's token."""
    moved = session.run(
        SET_STEP, of_id=step_id, from_state=from_state, to_state=to_state, said=detail[:300], run_id=run.id,
        my_token=run.token, now_us=now_us,
    ).rowcount  # fmt: skip
    return moved == 1


def last_round(session: Session, run_id: int) -> int:
    row = session.row(LAST_ROUND, run_id=run_id)
    return int(row[0]) if row is not None else 0


def in_doubt(session: Session, account: str) -> tuple[int, int | None]:
    """Return how many permits are sent without a known outcome, and when the youngest was sent."""
    row = session.row(IN_DOUBT, account=account)
    return (int(row[0]), row[1]) if row is not None else (0, None)
