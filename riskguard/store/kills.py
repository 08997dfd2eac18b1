"""Kill runs in the database: who is at work on them, where they stand, and each write to a broker before and after it."""

from __future__ import annotations

from dataclasses import dataclass

from riskguard.store.session import Session
from riskguard.store.spelling import fixed, insert_into, param, prepare, sa, tables

permits = tables.journal.permits
backstops, kill_runs, kill_steps = tables.runs.backstops, tables.runs.kill_runs, tables.runs.kill_steps

_k = kill_runs.c
_RUN = (
    "id", "kill_id", "account", "kill_plan", "state", "step", "cause", "by_whom", "reason", "detail", "holder", "token",
    "lease_until_us", "started_at_us", "deadline_us", "clean_at_us", "scope", "halts", "limit_id", "blocked_by",
    "retry_at_us", "reruns", "locked", "watch_until_us", "held", "told_at_us",
)  # fmt: skip
_READ = tuple(_k[name] for name in _RUN)
OPEN_RUNS = prepare(sa.select(*_READ).where(_k.account == param("account"), sa.text("state <> 'DONE'")).order_by(_k.id))
WATCHED_RUNS = prepare(
    sa.select(*_READ)
    .where(_k.account == param("account"), _k.watch_until_us.is_not(None), _k.state == fixed("DONE"))
    .order_by(_k.id)
)
# A task follows a breach and halts nobody: there is nothing of it to release.
KILLS_OF_SCOPE = prepare(
    sa.select(_k.kill_id, _k.cause, _k.started_at_us)
    .where(_k.scope == param("scope"), _k.halts == fixed(1))
    .order_by(_k.id)
)
RUN = prepare(sa.select(*_READ).where(_k.id == param("run_id")))
ADD_TASK = insert_into(
    kill_runs, "kill_id", "account", "scope", "kill_plan", "state", "cause", "by_whom", "reason", "started_at_us",
    "deadline_us", "halts", "limit_id", ignore=True,
)  # fmt: skip
TAKE_RUN = prepare(
    sa.update(kill_runs)
    .where(
        _k.id == param("of_id"), _k.state != fixed("DONE"),
        sa.or_(_k.lease_until_us.is_(None), _k.lease_until_us <= param("now_us"), _k.holder == param("by")),
    )
    .values(holder=param("by"), token=_k.token + 1, lease_until_us=param("until_us"))
)  # fmt: skip
MOVE_RUN = prepare(
    sa.update(kill_runs)
    .where(_k.id == param("of_id"), _k.token == param("my_token"))
    .values(
        state=param("to_state"), step=param("to_step"), detail=param("said"), clean_at_us=param("clean_us"),
        ended_at_us=param("ended_us"), lease_until_us=param("until_us"), blocked_by=param("why"),
        retry_at_us=param("retry_us"), locked=param("is_locked"), watch_until_us=param("watch_us"), held=param("holds"),
    )
)  # fmt: skip
RERUN = prepare(
    sa.update(kill_runs)
    .where(_k.id == param("of_id"), _k.token == param("my_token"), _k.state == fixed("DONE"))
    .values(
        state=fixed("OPEN"), step=fixed("CANCEL"), detail=param("said"), clean_at_us=sa.null(), ended_at_us=sa.null(),
        lease_until_us=sa.null(), deadline_us=param("due_us"), reruns=_k.reruns + 1, token=_k.token + 1,
        locked=fixed(0),
    )
)  # fmt: skip
UNWATCH = prepare(
    sa.update(kill_runs)
    .where(_k.account == param("of_account"), _k.watch_until_us <= param("now_us"))
    .values(watch_until_us=sa.null())
)
TOLD = prepare(
    sa.update(kill_runs)
    .where(
        _k.id == param("of_id"),
        sa.or_(_k.told_at_us.is_(None), _k.told_at_us <= param("before_us")),
    )
    .values(told_at_us=param("now_us"))
)
# The token moves too: whoever is in the middle of a round writes nothing more and sends nothing more.
END_KILL = prepare(
    sa.update(kill_runs)
    .where(_k.kill_id == param("of_kill"), sa.text("state <> 'DONE'"))
    .values(
        state=fixed("DONE"), detail=param("said"), ended_at_us=param("now_us"),
        lease_until_us=sa.null(), watch_until_us=sa.null(), token=_k.token + 1,
    )
)  # fmt: skip
STOP_WATCH = prepare(
    sa.update(kill_runs)
    .where(_k.kill_id == param("of_kill"), _k.watch_until_us.is_not(None))
    .values(watch_until_us=sa.null(), token=_k.token + 1)
)
_t = kill_steps.c
_STEP = (
    "id", "step", "round", "target", "state", "client_order_id", "detail", "at_us", "answered_at_us", "token",
    "contents", "read_back",
)  # fmt: skip
INTEND = insert_into(
    kill_steps, "run_id", "step", "round", "target", "state", "client_order_id", "detail", "at_us", "token", "contents",
    ignore=True,
)  # fmt: skip
SET_STEP = prepare(
    sa.update(kill_steps)
    .where(
        _t.id == param("of_id"), _t.state == param("from_state"),
        sa.exists().where(kill_runs.c.id == param("run_id"), kill_runs.c.token == param("my_token")),
    )
    .values(state=param("to_state"), detail=param("said"), answered_at_us=param("now_us"), token=param("mark"))
)  # fmt: skip
READ_BACK = prepare(sa.update(kill_steps).where(_t.id == param("of_id")).values(read_back=param("said")))
LAST_ROUND = prepare(sa.select(sa.func.coalesce(sa.func.max(_t.round), fixed(0))).where(_t.run_id == param("run_id")))
STEPS = prepare(sa.select(*(_t[name] for name in _STEP)).where(_t.run_id == param("run_id")).order_by(_t.id))
_p = permits.c
IN_DOUBT = prepare(
    sa.select(sa.func.count(), sa.func.max(_p.sent_at_us)).where(
        _p.account == param("account"),
        _p.state.in_([fixed("GRANTED"), fixed("SENT"), fixed("ACKED"), fixed("UNKNOWN")]),
        _p.state.in_([fixed("SENT"), fixed("UNKNOWN")]),
    )
)
_of_account = sa.exists().where(
    _k.id == _t.run_id, _k.account == param("account"), _k.started_at_us >= param("since_us")
)
CONVERTED = prepare(
    sa.select(_t.target).where(
        _t.step == fixed("CONVERT"), _t.state.in_([fixed("SENT"), fixed("DONE"), fixed("UNKNOWN")]), _of_account
    )
)
IN_FLIGHT = prepare(
    sa.select(sa.func.count()).where(
        _t.run_id != param("mine"), _t.state == fixed("SENT"), _t.at_us >= param("marked_us"),
        _t.step.in_([fixed(step) for step in ("FLATTEN", "CONVERT", "REPRICE", "ASIDE", "PUT_BACK", "EXIT_ALL")]),
        sa.exists().where(_k.id == _t.run_id, _k.account == param("account")),
    )
)  # fmt: skip
_b = backstops.c
BACKSTOP = prepare(
    sa.select(_b.state, _b.loss_e4, _b.products, _b.detail, _b.at_us).where(
        _b.account == param("account"), _b.session_date == param("session_date")
    )
)
SAVE_BACKSTOP = insert_into(
    backstops, "account", "session_date", "state", "loss_e4", "products", "detail", "at_us", replace=True
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
    scope: str = ""
    halts: int = 1
    limit_id: str = ""
    blocked_by: str = ""
    retry_at_us: int | None = None
    reruns: int = 0
    locked: int = 0
    watch_until_us: int | None = None
    held: str = "{}"
    told_at_us: int | None = None


@dataclass(slots=True)
class KillStep:
    """One row of `kill_steps`."""

    id: int
    step: str
    round: int
    target: str
    state: str
    client_order_id: str
    detail: str
    at_us: int
    answered_at_us: int | None
    token: int
    contents: str
    read_back: str


def open_kill_runs(session: Session, account: str) -> list[KillRun]:
    """Return kill runs that are not done, oldest first."""
    return [KillRun(*row) for row in session.rows(OPEN_RUNS, account=account)]


def watched_kill_runs(session: Session, account: str) -> list[KillRun]:
    """Return finished kills whose account is watched to the session's end, oldest first."""
    return [KillRun(*row) for row in session.rows(WATCHED_RUNS, account=account)]


def one_run(session: Session, run_id: int) -> KillRun | None:
    row = session.row(RUN, run_id=run_id)
    return None if row is None else KillRun(*row)


def converted(session: Session, account: str, since_us: int) -> list[str]:
    """Return the orders that runs of *account* begun since then made exits of, or may have: asked and not refused."""
    return [str(row[0]) for row in session.rows(CONVERTED, account=account, since_us=since_us)]


def in_flight(session: Session, run: KillRun, since_us: int) -> int:
    """Return how many writes about positions other runs of the account marked since then that are not answered."""
    row = session.row(IN_FLIGHT, account=run.account, mine=run.id, marked_us=since_us)
    return int(row[0]) if row is not None else 0


def add_task(
    session: Session, account: str, kill_id: str, *, scope: str, plan: str, cause: str, by: str, reason: str, limit_id: str,
    now_us: int, deadline_us: int,
) -> bool:  # fmt: skip
    """Open a run that halts nobody; False when this one was opened before."""
    cursor = session.run(
        ADD_TASK, kill_id=kill_id, account=account, scope=scope, kill_plan=plan, state="OPEN", cause=cause, by_whom=by,
        reason=reason, started_at_us=now_us, deadline_us=deadline_us, halts=0, limit_id=limit_id,
    )  # fmt: skip
    return cursor.rowcount == 1


def take_run(session: Session, run_id: int, holder: str, now_us: int, life_us: int) -> KillRun | None:
    """Take the lease of a kill run; its token grows, so that whoever held it before writes nothing more."""
    taken = session.run(TAKE_RUN, of_id=run_id, by=holder, now_us=now_us, until_us=now_us + life_us).rowcount
    row = session.row(RUN, run_id=run_id)
    return KillRun(*row) if taken == 1 and row is not None else None


def move_run(
    session: Session, run: KillRun, *, state: str, step: str, detail: str, clean_at_us: int | None, now_us: int,
    lease_us: int, blocked_by: str = "", retry_at_us: int | None = None, locked: bool = False,
    watch_until_us: int | None = None, held: str | None = None,
) -> bool:  # fmt: skip
    """Write where the run stands; False when another holder has taken it meanwhile."""
    moved = session.run(
        MOVE_RUN, of_id=run.id, my_token=run.token, to_state=state, to_step=step, said=detail[:500], clean_us=clean_at_us,
        ended_us=now_us if state == "DONE" else None, until_us=now_us + lease_us if state == "OPEN" else None,
        why=blocked_by, retry_us=retry_at_us, is_locked=int(locked), watch_us=watch_until_us,
        holds=run.held if held is None else held,
    ).rowcount  # fmt: skip
    return moved == 1


def rerun(session: Session, run: KillRun, said: str, deadline_us: int) -> bool:
    """Open a finished kill again: something got past it. False when somebody else was first."""
    return session.run(RERUN, of_id=run.id, my_token=run.token, said=said[:500], due_us=deadline_us).rowcount == 1


def end_watches(session: Session, account: str, now_us: int) -> None:
    """Stop watching kills whose session is over."""
    session.run(UNWATCH, of_account=account, now_us=now_us)


def may_tell(session: Session, run_id: int, now_us: int, again_us: int) -> bool:
    """Say whether it is time to tell people (again); True once per *again_us* over all processes."""
    return session.run(TOLD, of_id=run_id, before_us=now_us - again_us, now_us=now_us).rowcount == 1


def end_kills(session: Session, kill_ids: tuple[str, ...], said: str, now_us: int) -> None:
    """
    End what follows these kills: they are released, and what is allowed again must not be cancelled.

    The step stays where it was: what a run never came to, nobody may take for done.
    """
    for kill_id in kill_ids:
        session.run(END_KILL, of_kill=kill_id, said=said[:500], now_us=now_us)
        session.run(STOP_WATCH, of_kill=kill_id)


def cut_short(plan: str, state: str, step: str) -> str:
    """Return the step at which a run was ended before its plan was done; "" where it was done, or still goes on."""
    return "" if state != "DONE" or step == "WATCH" or plan == "halt" else step


def intend(
    session: Session, run: KillRun, step: str, round_: int, target: str, client_order_id: str, detail: str, now_us: int,
    contents: str = "",
) -> int | None:  # fmt: skip
    """Write the intent of one broker write; None when this step was begun before, or the run has another holder."""
    row = session.row(RUN, run_id=run.id)
    if row is None or KillRun(*row).token != run.token:
        return None
    return session.insert(
        INTEND, run_id=run.id, step=step, round=round_, target=target, state="INTENDED", client_order_id=client_order_id,
        detail=detail[:300], at_us=now_us, token=run.token, contents=contents,
    )  # fmt: skip


def set_step(
    session: Session, run: KillRun, step_id: int, from_state: str, to_state: str, detail: str, now_us: int
) -> bool:
    """Move one step on by compare-and-set on its state and the run's token."""
    moved = session.run(
        SET_STEP, of_id=step_id, from_state=from_state, to_state=to_state, said=detail[:300], run_id=run.id,
        my_token=run.token, mark=run.token, now_us=now_us,
    ).rowcount  # fmt: skip
    return moved == 1


def read_back(session: Session, step_id: int, said: str) -> None:
    """Keep what the broker's lists showed of a step afterwards."""
    session.run(READ_BACK, of_id=step_id, said=said[:300])


def last_round(session: Session, run_id: int) -> int:
    row = session.row(LAST_ROUND, run_id=run_id)
    return int(row[0]) if row is not None else 0


def steps_of(session: Session, run_id: int) -> list[KillStep]:
    """Return every broker write of a run, in its order."""
    return [KillStep(*row) for row in session.rows(STEPS, run_id=run_id)]


def in_doubt(session: Session, account: str) -> tuple[int, int | None]:
    """Return how many permits are sent without a known outcome, and when the youngest was sent."""
    row = session.row(IN_DOUBT, account=account)
    return (int(row[0]), row[1]) if row is not None else (0, None)
