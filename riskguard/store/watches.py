"""What live limits remember in the database: JSON per account, limit and period."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from typing import Any

from riskguard.core.limits import Limit
from riskguard.core.live.verdict import Memory, rearmed
from riskguard.store.loader import session_date
from riskguard.store.session import Session
from riskguard.store.spelling import fixed, param, prepare, sa, tables, upsert

live_watches = tables.live.live_watches

_w = live_watches.c
WATCHES = prepare(
    sa.select(_w.limit_id, _w.period, _w.state).where(
        _w.account == param("account"),
        _w.period.in_([param("day"), param("week"), param("month"), param("ever")]),
    )
)
_was = live_watches.alias("was")
# What it counts to is said with the new row: the database refuses whatever does not count on (see the triggers).
_COUNTED = (
    sa.select(sa.func.coalesce(sa.func.max(_was.c.written), fixed(0)) + fixed(1))
    .where(
        _was.c.account == param("account"), _was.c.limit_id == param("limit_id"), _was.c.period == param("period"),
    )
    .scalar_subquery()
)  # fmt: skip
SAVE = upsert(
    live_watches,
    {name: param(name) for name in ("account", "limit_id", "period", "state", "updated_at_us")} | {"written": _COUNTED},
    key=("account", "limit_id", "period"),
    update=lambda new: {"state": new.state, "updated_at_us": new.updated_at_us, "written": new.written},
)


def periods(date: str) -> dict[str, str]:
    """Return the text of each kind of period *date* (ISO, in India) lies in."""
    year, week, _ = dt.date.fromisoformat(date).isocalendar()
    return {"day": date, "week": f"{year}-W{week:02d}", "month": date[:7], "ever": ""}


def read(
    session: Session, account: str, date: str, limits: list[Limit]
) -> tuple[dict[str, Memory], frozenset[str]]:  # fmt: skip
    """
    Return the memory of each of *limits* in its present period, and whose cannot be read.

    One that remembers nothing has none. What cannot be read is not nothing: a peak must not be forgotten for it.
    """
    now = periods(date)
    kept = {(limit_id, period): state for limit_id, period, state in session.rows(WATCHES, account=account, **now)}
    found: dict[str, Memory] = {}
    unreadable = set()
    for limit in limits:
        state = kept.get((limit.id, now[limit.check.period]))
        if state is None:
            continue
        memory = _parsed(state)
        if memory is None:
            unreadable.add(limit.id)
        else:
            found[limit.id] = memory
    return found, frozenset(unreadable)


def _parsed(state: str) -> dict[str, Any] | None:
    try:
        memory = json.loads(state)
    except ValueError:
        return None
    return memory if isinstance(memory, dict) else None


def save(
    session: Session, account: str, date: str, limits: list[Limit], after: Mapping[str, Memory],
    before: Mapping[str, Memory], now_us: int,
) -> None:  # fmt: skip
    """Write what changed."""
    now = periods(date)
    for limit in limits:
        memory = after.get(limit.id)
        if memory is None or dict(memory) == dict(before.get(limit.id, {})):
            continue
        session.run(
            SAVE, account=account, limit_id=limit.id, period=now[limit.check.period],
            state=json.dumps(dict(memory), sort_keys=True), updated_at_us=now_us,
        )  # fmt: skip


def rearm(session: Session, account: str, now_us: int) -> None:
    """Take back what every limit of *account* has done, so that a breach that still stands is found again."""
    for limit_id, period, state in session.rows(WATCHES, account=account, **periods(session_date(now_us))):
        memory = _parsed(state)
        if memory is None:
            continue  # a sweep says so; a release must not guess what stood there
        after = rearmed(memory)
        if after != memory:
            session.run(
                SAVE, account=account, limit_id=limit_id, period=period, state=json.dumps(after, sort_keys=True),
                updated_at_us=now_us,
            )  # fmt: skip
