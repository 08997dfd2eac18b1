"""What a person reads before a release: the breaches behind the stop, and what the kill runs did and left."""

from __future__ import annotations

from riskguard.store.session import Session
from riskguard.store.spelling import fixed, param, prepare, sa, tables

risk_violations = tables.control.risk_violations
kill_runs, kill_steps = tables.runs.kill_runs, tables.runs.kill_steps

SHOWN_MAX = 12

_v = risk_violations.c
NEWEST = prepare(
    sa.select(sa.func.coalesce(_v.code, _v.violation_type), _v.limit_id, _v.detail)
    .where(_v.account_type == param("account"), _v.violated_at >= param("since_s"))
    .order_by(_v.id.desc())
    .limit(fixed(SHOWN_MAX))
)
_k, _s = kill_runs.c, kill_steps.c
STEPS = prepare(
    sa.select(_s.step, _s.target, _s.state, _s.detail)
    .select_from(kill_steps.join(kill_runs, _k.id == _s.run_id))
    .where(_k.kill_id == param("kill_id"))
    .order_by(_s.id)
)
UNFINISHED = prepare(
    sa.select(_k.id, _k.account, _k.kill_plan, _k.step, _k.detail)
    .where(_k.kill_id == param("kill_id"), _k.state != fixed("DONE"), _k.kill_plan != fixed("halt"))
    .order_by(_k.id)
)


def breaches(session: Session, account: str, since_s: int) -> tuple[str, ...]:
    """Return the newest breaches of *account* since then, newest first, with their numbers in words."""
    return tuple(
        f"{kind} (limit `{limit_id}`): {said}" if limit_id else f"{kind}: {said}"
        for kind, limit_id, said in session.rows(NEWEST, account=account, since_s=since_s)
    )


def steps(session: Session, kill_id: str) -> tuple[str, ...]:
    """Return what the runs of a kill asked of the broker, in order, and what came of each."""
    return tuple(
        f"{step} {target}: {detail}" if state == "DONE" else f"{step} {target}: {state}: {detail}"
        for step, target, state, detail in session.rows(STEPS, kill_id=kill_id)
    )


def unfinished(session: Session, kill_id: str) -> tuple[tuple[int, str, str], ...]:
    """
    Return (run, account, where it stands) of the runs of a kill that are not over: a release ends them there.

    The plan `halt` owes nothing.
    """
    return tuple(
        (
            run_id,
            account,
            f"`{plan}` of `{account}` is not finished, it is at {step}" + (f": {detail}" if detail else ""),
        )
        for run_id, account, plan, step, detail in session.rows(UNFINISHED, kill_id=kill_id)
    )
