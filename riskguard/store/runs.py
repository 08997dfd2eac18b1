"""Sweeps, loss watches, P&L readings and leases in the database."""

from __future__ import annotations

import json
from typing import Any

from riskguard.core.pnl import DayPnl
from riskguard.core.pnl_views import PnlViews
from riskguard.store.kills import (
    KILLS_OF_SCOPE,
    RUN,
    KillRun,
    end_kills,
    in_doubt,
    intend,
    last_round,
    move_run,
    open_kill_runs,
    set_step,
    take_run,
)
from riskguard.store.session import Session
from riskguard.store.spelling import insert_into, param, prepare, sa, tables

leases, pnl_readings, sweeps = tables.runs.leases, tables.runs.pnl_readings, tables.runs.sweeps

__all__ = [
    "KILLS_OF_SCOPE", "RUN", "KillRun", "claim_slot", "end_kills", "finish_slot", "in_doubt", "intend", "last_round",
    "move_run", "open_kill_runs", "save_reading", "set_step", "take_lease", "take_run",
]  # fmt: skip
"""Kill runs are in `store.kills`; whoever reads sweeps and runs together finds both here."""

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
    pnl_readings, "account", "session_date", "at_us", "day_pnl_e4", "charges_e4", "fresh_marks", "detail", "realised_e4",
    "unrealised_e4", "broker_pnl_e4", "equity_pnl_e4",
)  # fmt: skip
_l = leases.c
LEASE = prepare(sa.select(_l.holder, _l.token, _l.until_us).where(_l.name == param("name")))
SAVE_LEASE = insert_into(leases, "name", "holder", "token", "until_us", replace=True)


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


def save_reading(
    session: Session, account: str, date: str, pnl: DayPnl, now_us: int, views: PnlViews | None = None
) -> None:
    """Write one reading, with the broker's figure and the change of equity where they were measured."""
    session.run(
        ADD_READING, account=account, session_date=date, at_us=now_us, day_pnl_e4=pnl.total_e4, charges_e4=pnl.charges_e4,
        fresh_marks=int(pnl.fresh), detail=pnl.detail[:300], realised_e4=pnl.realised_e4,
        unrealised_e4=pnl.unrealised_e4, broker_pnl_e4=None if views is None else views.broker.total_e4,
        equity_pnl_e4=None if views is None else views.equity.total_e4,
    )  # fmt: skip


def take_lease(session: Session, name: str, holder: str, now_us: int, life_us: int) -> int | None:
    """Take or renew a lease; returns its token, or None while somebody else holds it."""
    row = session.row(LEASE, name=name)
    if row is not None and row[0] != holder and row[2] > now_us:
        return None
    token = 1 if row is None else row[1] + (row[0] != holder)
    session.run(SAVE_LEASE, name=name, holder=holder, token=token, until_us=now_us + life_us)
    return int(token)
