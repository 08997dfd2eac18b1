"""
What other processes did that people must hear of: kills, what became of them, releases, runaways, a sweep that stopped.

Read from the rows they left, in the dispatcher's thread: whoever pulls a kill neither waits for an alert nor can
forget it. Each event is told once for ever, by its `once`, whichever daemon sees it first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import sqlalchemy as sa

from riskguard.core.calendar import Calendar
from riskguard.core.reject import RejectCode
from riskguard.services.alerts import deliveries
from riskguard.services.alerts.message import Notice, notice
from riskguard.store.calendar import calendar
from riskguard.store.database import Database
from riskguard.store.kills import cut_short
from riskguard.store.tables.control import control_actions, risk_violations
from riskguard.store.tables.journal import accounts, refusal_repeats
from riskguard.store.tables.runs import kill_runs, sweeps

MINUTE_US: Final = 60_000_000
LOOKED_BACK_US: Final = 1_440 * MINUTE_US
AGAIN_US: Final = 5 * MINUTE_US
"""A kill run that cannot go on is told of again after this."""
EVERY_US: Final = 2_000_000
FLOOD_A_MINUTE: Final = 300
"""Refusals of one strategy in a minute: five a second is no person and no sane program."""
SWEEP_LATE_US: Final = 2 * MINUTE_US
SEGMENT: Final = "NSE_EQ"

_k, _c, _v, _r, _s = kill_runs.c, control_actions.c, risk_violations.c, refusal_repeats.c, sweeps.c


class Watch:
    """Looks every two seconds; `heartbeat` says what stands in the message at the open."""

    def __init__(self, heartbeat: Callable[[], tuple[str, str]] | None = None) -> None:
        """*heartbeat* returns severity and text of the day's first message; None: there is none."""
        self.heartbeat = heartbeat
        self._looked_us: int | None = None
        self._greeted = ""
        self._told: set[str] = set()

    def __call__(self, database: Database, now_us: int) -> None:
        """Write what is new; raises StoreError when the database cannot be used: the next look finds it."""
        if self._looked_us is not None and 0 <= now_us - self._looked_us < EVERY_US:
            return
        self._looked_us = now_us
        with database.reading() as connection:
            found = [*_kills(connection, now_us), *_releases(connection, now_us), *_strategies(connection, now_us),
                     *_sweeps(connection, now_us)]  # fmt: skip
            blocked = _blocked(connection, now_us)
        found = [each for each in found if each.once not in self._told]
        date = self._good_morning_due(now_us)
        if date and self.heartbeat is not None:
            severity, said = self.heartbeat()
            found.append(notice("GLOBAL", severity, said, now_us, code="HEARTBEAT", once=f"heartbeat:{date}"))
        if found or blocked:
            with database.transaction() as connection:
                for each in found:
                    deliveries.raise_once(connection, each)
                for row in blocked:
                    _tell_blocked(connection, row, now_us)
        self._greeted = date or self._greeted  # only now: what could not be written is tried again
        if len(self._told) > 10_000:
            self._told.clear()
        self._told.update(each.once for each in found if each.once is not None)

    def _good_morning_due(self, now_us: int) -> str:
        """Return the date whose message at the open is due; "" when none is. Silence must mean that something is broken."""
        date = Calendar.session_date(now_us).isoformat()
        if self.heartbeat is None or self._greeted == date or not calendar().is_open(SEGMENT, now_us):
            return ""
        return date


# -- kills -----------------------------------------------------------------------------------------------------------


def _kills(connection: sa.Connection, now_us: int) -> Iterator[Notice]:
    """Each kill once when it is found, once when it is done."""
    rows = connection.execute(
        sa.select(kill_runs).where(_k.started_at_us >= now_us - LOOKED_BACK_US).order_by(_k.id)
    ).all()  # fmt: skip
    for row in rows:
        why = f"{row.reason or row.cause} (plan `{row.kill_plan}`, by {row.by_whom or 'unknown'})"
        if row.halts:
            said = (
                f"HALTED: {_who(row.scope)}: {why}. New orders are refused; orders that close a position pass with "
                f"`riskguard exit {row.account}`. To trade again: `riskguard release {_name(row.scope)}`"
            )
            account = (
                "GLOBAL" if row.scope == "GLOBAL" else row.account
            )  # one kill is one message, however many it stops
            yield notice(account, "critical", said, now_us, code="KILLED", once=f"kill:{row.kill_id}")
        else:
            said = f"closing or cancelling in {row.scope}, nobody is halted: {why}"
            yield notice(row.account, "warning", said, now_us, code="TASK", once=f"task:{row.kill_id}:{row.account}")
        if row.state == "DONE":
            # Of a kill that found no account there is nothing to do: its row is over as it is written.
            step = cut_short(row.kill_plan, row.state, row.step) if row.account != "GLOBAL" else ""
            ended = f"ended at {step}, not finished" if step else "is done"
            said = (
                f"what followed {'the kill' if row.halts else 'the breach'} {ended}: {row.detail or 'nothing was left'}"
            )
            once = f"kill-done:{row.id}:{row.reruns}"
            yield notice(row.account, "warning", said, now_us, code="KILL_RUN_DONE", once=once)


def _who(scope: str) -> str:
    return "everything" if scope == "GLOBAL" else f"account {_name(scope)}"


def _name(scope: str) -> str:
    return "GLOBAL" if scope == "GLOBAL" else scope.partition(":")[2]


def _blocked(connection: sa.Connection, now_us: int) -> list[Any]:
    """Runs that cannot go on, or are late, of which nobody was told within the last minutes."""
    quiet = sa.or_(_k.told_at_us.is_(None), _k.told_at_us <= now_us - AGAIN_US, _k.told_at_us > now_us)
    late = sa.and_(_k.state == "OPEN", _k.deadline_us <= now_us)
    return list(connection.execute(sa.select(kill_runs).where(sa.or_(_k.state == "BLOCKED", late), quiet)).all())


def _tell_blocked(connection: sa.Connection, row: Any, now_us: int) -> None:
    """Tell of a run that needs a person, unless somebody else has just done it."""
    told = sa.or_(_k.told_at_us.is_(None), _k.told_at_us == row.told_at_us)
    mine = sa.update(kill_runs).where(_k.id == row.id, _k.state == row.state, told).values(told_at_us=now_us)
    if connection.execute(mine).rowcount != 1:
        return
    what = "cannot go on" if row.state == "BLOCKED" else "is late"
    said = (
        f"kill run {row.id} ({row.kill_plan}) {what} at {row.step}: {row.detail or row.blocked_by or 'no reason known'}. "
        f"{'Orders stay refused. ' if row.halts else ''}Look at the broker's app, close by hand if need be; it goes on trying"
    )
    once = f"blocked:{row.id}:{now_us}"
    deliveries.raise_once(connection, notice(row.account, "critical", said, now_us, code="KILL_RUN_BLOCKED", once=once))


# -- who let go, who runs away, who sleeps ------------------------------------------------------------------------------


def _releases(connection: sa.Connection, now_us: int) -> Iterator[Notice]:
    wanted = sa.select(control_actions).where(_c.kind.in_(("RELEASE", "OVERRIDE")), _c.at_us >= now_us - LOOKED_BACK_US)
    for row in connection.execute(wanted.order_by(_c.id)).all():
        did = "RELEASED" if row.kind == "RELEASE" else "overridden"
        said = f"{did} by {row.by_whom}{f' ({row.os_user})' if row.os_user else ''}: {row.reason or 'no reason given'}"
        yield notice(row.account, "warning", said, now_us, code=row.kind, once=f"action:{row.id}")


def _strategies(connection: sa.Connection, now_us: int) -> Iterator[Notice]:
    """A runaway that was stopped, and a strategy that asks refused orders over and over. A refusal alone is no alert."""
    for account in connection.execute(sa.select(accounts.c.account)).scalars().all():
        tripped = sa.select(_v.strategy, _v.detail, _v.violated_at).where(
            _v.account_type == account, _v.violated_at >= (now_us - 10 * MINUTE_US) // 1_000_000,
            _v.code == RejectCode.REPEATED_EXECUTION.value,
        )  # fmt: skip
        for strategy, detail, at_s in connection.execute(tripped).all():
            named = strategy or "(unnamed)"
            said = (
                f"runaway stopped: strategy `{named}` is halted: {detail}. Look at its loop, then `riskguard release`"
            )
            once = f"runaway:{account}:{named}:{at_s // 600}"
            yield notice(account, "critical", said, now_us, code="RUNAWAY", once=once)
        flood = (
            sa.select(_r.strategy, sa.func.sum(_r.repeats))
            .where(_r.account == account, _r.at_us >= now_us - MINUTE_US)
            .group_by(_r.strategy)
            .having(sa.func.sum(_r.repeats) >= FLOOD_A_MINUTE)
        )
        for strategy, count in connection.execute(flood).all():
            named = strategy or "(unnamed)"
            said = f"strategy `{named}` asks a refused order again and again: {count} times in a minute; stop its loop"
            once = f"flood:{account}:{named}:{now_us // (10 * MINUTE_US)}"
            yield notice(account, "warning", said, now_us, code="REFUSAL_FLOOD", once=once)


def _sweeps(connection: sa.Connection, now_us: int) -> Iterator[Notice]:
    """Nobody looks at losses any more: this thread goes on when the scheduler does not."""
    for account in connection.execute(sa.select(accounts.c.account)).scalars().all():
        last = connection.execute(
            sa.select(_s.finished_at_us, _s.interval_us)
            .where(_s.account == account, _s.kind == "daily_loss", _s.finished_at_us.is_not(None))
            .order_by(_s.finished_at_us.desc())
            .limit(1)
        ).first()
        if last is None or now_us - last.finished_at_us < max(SWEEP_LATE_US, 3 * last.interval_us):
            continue
        ago_s = (now_us - last.finished_at_us) // 1_000_000
        said = f"losses were last looked at {ago_s} s ago: orders that add risk are refused; restart `riskguard run`"
        once = f"sweep-late:{account}:{now_us // (10 * MINUTE_US)}"
        yield notice(account, "critical", said, now_us, code="SWEEP_LATE", once=once)
