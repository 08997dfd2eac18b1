"""
Trader's Control in the database: limits in force, the kill latch, standing causes, and acts that may loosen.

A stored row that cannot be read as a limit is not skipped: the check it was meant for then counts as broken.
"""

from __future__ import annotations

import getpass
import json
from collections.abc import Iterable
from contextlib import suppress
from datetime import date
from functools import lru_cache
from typing import Any, NamedTuple

from riskguard.core.checks import CHECKS, by_name
from riskguard.core.limits import Limit, LimitSet, limit_from
from riskguard.core.params import as_decimal
from riskguard.core.state import INACTIVE_WORDS, Cause, TradingState
from riskguard.errors import RulebookError, StoreUnavailableError
from riskguard.store.session import BUMP_EPOCH, GLOBAL, NEXT_GENERATION, Ask, Session
from riskguard.store.spelling import fixed, insert_into, param, prepare, sa, tables

control_actions = tables.control.control_actions
control_changes = tables.control.control_changes
traders_control = tables.control.traders_control
decisions = tables.journal.decisions
state_causes = tables.runs.state_causes

_c = traders_control.c
_LIMIT_COLUMNS = (
    "id", "account_type", "control_type", "daily_loss_limit", "position_size_limit", "order_value_limit", "limit_id",
    "check_name", "parameters", "scope", "on_breach", "mode", "kill_plan", "source", "activated_by", "reason",
)  # fmt: skip
LIMITS = prepare(
    sa.select(*(_c[name] for name in _LIMIT_COLUMNS))
    .where(
        _c.account_type.in_([param("account"), param("global_"), param("group_name")]),
        _c.is_active == fixed(1),
        _c.control_type != fixed("KILL_SWITCH"),
    )
    .order_by(_c.id)
)
KILL_ROWS = prepare(
    sa.select(
        _c.id, _c.account_type, _c.kill_switch_status, _c.reason, _c.activated_by, _c.created_at, _c.action_id,
        control_actions.c.kind, decisions.c.sequence,
    )
    .select_from(
        traders_control.outerjoin(control_actions, control_actions.c.id == _c.action_id).outerjoin(
            decisions,
            sa.and_(
                decisions.c.account == control_actions.c.account, decisions.c.sequence == control_actions.c.sequence
            ),
        )
    )
    .where(
        _c.account_type.in_([param("account"), param("global_"), param("group_name")]),
        _c.is_active == fixed(1),
        _c.control_type == fixed("KILL_SWITCH"),
    )
)  # fmt: skip
# Version 3 columns only: no later change of the schema can stop a kill from being written.
KILL_ROW = insert_into(
    traders_control, "account_type", "control_type", "kill_switch_status", "is_active", "created_at", "updated_at",
    "activated_at", "activated_by", "reason",
)  # fmt: skip
INACTIVE_ROW = insert_into(
    traders_control, "account_type", "control_type", "kill_switch_status", "is_active", "created_at", "updated_at",
    "activated_by", "reason", "action_id",
)  # fmt: skip
LIMIT_ROW = insert_into(
    traders_control, "account_type", "control_type", "daily_loss_limit", "position_size_limit", "order_value_limit",
    "is_active", "created_at", "updated_at", "activated_by", "reason", "limit_id", "check_name", "parameters",
    "scope", "on_breach", "mode", "kill_plan", "source", "rulebook_digest", "action_id",
)  # fmt: skip
RETIRE = prepare(
    sa.update(traders_control)
    .where(_c.id == param("of_id"))
    .values(is_active=fixed(0), deactivated_at=param("now_s"), updated_at=param("now_s"))
)
_a = control_actions.c
OPEN_ACTION = insert_into(
    control_actions, "account", "kind", "by_whom", "os_user", "reason", "kill_ids", "at_us", "is_open"
)
CLOSE_ACTION = prepare(
    sa.update(control_actions).where(_a.id == param("of_id")).values(is_open=fixed(0), sequence=param("to_sequence"))
)
RELEASED_KILLS = prepare(sa.select(_a.kill_ids).where(_a.kind == fixed("RELEASE"), _a.kill_ids != fixed("")))
_s = state_causes.c
RAISE = insert_into(
    state_causes, "account", "scope", "state", "code", "detail", "by_whom", "is_soft", "raised_at_us", "limit_id"
)
STANDING = prepare(
    sa.select(_s.id, _s.scope, _s.state, _s.code, _s.detail, _s.by_whom, _s.raised_at_us, _s.is_soft)
    .where(_s.account.in_([param("account"), param("global_"), param("group_name")]), _s.cleared_at_us.is_(None))
    .order_by(_s.id)
)  # fmt: skip
CLEAR = prepare(
    sa.update(state_causes)
    .where(_s.account == param("of_account"), _s.cleared_at_us.is_(None), _s.state == param("of_state"))
    .values(cleared_at_us=param("now_us"), action_id=param("by_action"))
)
CLEAR_SCOPE = prepare(
    sa.update(state_causes)
    .where(_s.account == param("of_account"), _s.cleared_at_us.is_(None), _s.scope == param("of_scope"))
    .values(cleared_at_us=param("now_us"), action_id=param("by_action"))
)
_g = control_changes.c
OF_LIMITS = prepare(
    sa.select(_s.id, _s.limit_id, _s.code, _s.scope, _s.is_soft).where(
        _s.account == param("account"), _s.cleared_at_us.is_(None), _s.limit_id != fixed("")
    )
)
CLEAR_SOFT = prepare(
    sa.update(state_causes)
    .where(_s.id == param("of_id"), _s.cleared_at_us.is_(None), _s.is_soft == fixed(1))
    .values(cleared_at_us=param("now_us"))
)
OPEN_CHANGES = prepare(
    sa.select(
        _g.id, _g.account, _g.what, _g.control_id, _g.control_type, _g.old_values, _g.new_values, _g.limit_id, _g.scope
    )
    .where(_g.account.in_([param("account"), param("global_"), param("group_name")]), _g.is_adopted == fixed(0))
    .order_by(_g.id)
)  # fmt: skip
ADOPTED = prepare(
    sa.update(control_changes)
    .where(_g.account == param("of_account"), _g.is_adopted == fixed(0))
    .values(is_adopted=fixed(1))
)

PARSED_MAX = 64
"""Sets of rows kept parsed: the same rows are the same limits, and their plans stay compiled."""
ROWS_MAX = 4_096
"""Rows kept parsed, in whatever set: for every database of the process, since the same row is the same limits."""

ACKNOWLEDGED = ("acknowledged_by", "acknowledged_until")
"""Kept among the parameters of a limit that only watches for a time: who answers for it, and its last day."""

_V3_DEFAULTS: dict[str, dict[str, Any]] = {
    "daily_loss": {"warn_at_pct": [50, 75, 85, 90, 95], "reduce_only_at_pct": 80, "at_once_pct": 150},
    "net_position": {"unit": "unconfirmed"},
    "order_value": {},
}
"""What a bare version 3 row leaves unsaid, by the defaults of the check's definition."""


def _names(account: str, group: str) -> dict[str, str]:
    return {"account": account, "global_": GLOBAL, "group_name": f"GROUP:{group}" if group else ""}


def limits(session: Session, account: str, group: str) -> LimitSet:
    """
    Return every limit that can concern *account*.

    Each non-null version 3 column of an active row is a limit, whatever else the row says; several bind
    together, so the tightest decides. Raises StoreUnavailableError for a row that cannot be read.
    """
    rows = tuple(session.rows(LIMITS, **_names(account, group)))
    parsed = session.store.parsed_limits
    if rows not in parsed:
        if len(parsed) >= PARSED_MAX:
            parsed.clear()
        parsed[rows] = _parsed(rows)
    return parsed[rows]


def in_force(session: Session, owners: Iterable[str]) -> dict[str, str]:
    """
    Return the digest of the limits whose rows belong to each of *owners*, for the journal; "" for rows nobody can read.

    Never raises for a row: what plain SQL broke must still be adopted.
    """
    found = {}
    for owner in owners:
        rows = tuple(row for row in session.rows(LIMITS, **_names(owner, "")) if row[1] == owner)
        try:
            found[owner] = _parsed(rows).digest
        except Exception:  # also what nobody foresaw: a kill is recorded with this, and must not fail for a limit
            found[owner] = ""
    return found


def _parsed(rows: tuple[tuple[Any, ...], ...]) -> LimitSet:
    found: list[Limit] = []
    for values in rows:
        try:
            found += _limits_of(values)
        except (RulebookError, ValueError) as e:
            row = dict(zip(_LIMIT_COLUMNS, values, strict=True))
            raise StoreUnavailableError(
                f"row {row['id']} of traders_control is no readable limit ({e}): mend it with `riskguard limits apply`"
            ) from None
    return LimitSet(tuple(found))


@lru_cache(maxsize=ROWS_MAX)
def _limits_of(values: tuple[Any, ...]) -> tuple[Limit, ...]:
    """Return the limits of one row; where one of a thousand changed, under the write lock, the others are kept."""
    row = dict(zip(_LIMIT_COLUMNS, values, strict=True))
    scope = row["scope"] or (GLOBAL if row["account_type"] == GLOBAL else f"ACCOUNT:{row['account_type']}")
    common = {
        "scope": scope,
        "mode": row["mode"] or "enforce",
        "plan": row["kill_plan"] or "cancel",
        "row_id": row["id"],
        "set_by": row["activated_by"] or "",
        "why": row["reason"] or "",
        "source": row["source"] or "",
    }
    parameters = json.loads(row["parameters"]) if row["parameters"] else {}
    common |= {name: _acknowledged(name, parameters.pop(name)) for name in ACKNOWLEDGED if name in parameters}
    made = []
    named = row["check_name"]
    checks = [check for check in CHECKS if check.v3_column or check.name == named]
    if named and by_name(named) not in checks:
        checks.append(by_name(named))  # one only the sweep asks
    for check in checks:
        column = row[check.v3_column] if check.v3_column else None
        own = check.name == named
        if column is None and not own:
            continue
        given = dict(parameters) if own else dict(_V3_DEFAULTS[check.name])
        if column is not None:
            given[check.v3_field] = as_decimal(column)
        limit_id = row["limit_id"] if own and row["limit_id"] else f"v3-row-{row['id']}-{check.name}"
        on_breach = (row["on_breach"] if own else None) or check.on_breach
        made.append(limit_from(id=limit_id, check=check.name, parameters=given, on_breach=on_breach, **common))
    return tuple(made)


def _acknowledged(name: str, value: object) -> str:
    """Return a kept word of an acknowledgement; a last day nobody can read must not shadow a limit for ever."""
    text = str(value)
    if name == "acknowledged_until" and date.fromisoformat(text).isoformat() != text:
        raise ValueError(f"`acknowledged_until` = {text[:40]}: wants a day like 2026-12-31")
    return text


def write_limit(session: Session, account: str, limit: Limit, action_id: int, digest: str, now_us: int) -> int:
    """Write one limit as a row of `traders_control`, superseding the one of its id; return the row's id."""
    parameters = limit.params.model_dump(mode="json", exclude_none=True)
    columns: dict[str, float | None] = {
        "daily_loss_limit": None,
        "position_size_limit": None,
        "order_value_limit": None,
    }
    if limit.check.v3_column:
        value = parameters.pop(limit.check.v3_field, None)
        columns[limit.check.v3_column] = None if value is None else float(value)
    if limit.acknowledged_until:
        parameters |= {name: getattr(limit, name) for name in ACKNOWLEDGED}
    now_s = now_us // 1_000_000
    written = session.insert(
        LIMIT_ROW,
        account_type=account,
        control_type="POSITION_LIMIT" if limit.check.name == "net_position" else "RISK_LIMIT",
        **columns,
        is_active=1,
        created_at=now_s,
        updated_at=now_s,
        activated_by=limit.set_by,
        reason=limit.why,
        limit_id=limit.id,
        check_name=limit.check.name,
        parameters=json.dumps(parameters, sort_keys=True),
        scope=str(limit.scope),
        on_breach=limit.on_breach,
        mode=limit.mode,
        kill_plan=limit.plan,
        source=limit.source,
        rulebook_digest=digest,
        action_id=action_id,
    )
    return written or 0


def retire_limit(session: Session, row_id: int, now_us: int) -> None:
    """Take a limit out of force; only inside an open action."""
    session.run(RETIRE, of_id=row_id, now_s=now_us // 1_000_000)


def asks_changes(account: str, group: str) -> Ask:
    """Return what `open_changes` asks."""
    return OPEN_CHANGES, _names(account, group)


def asks_causes(account: str, group: str) -> list[Ask]:
    """Return what `kill_causes` and `standing_causes` ask."""
    names = _names(account, group)
    return [(KILL_ROWS, names), (STANDING, names)]


def kill_causes(session: Session, account: str, group: str) -> list[Cause]:
    """
    Return why the latch holds for *account*, empty when it does not.

    Halted unless every scope that must have a row has one that is INACTIVE and journaled: a missing row, an
    unknown word, or an INACTIVE nobody released all halt.
    """
    causes = []
    wanted = {GLOBAL, account}
    for row in session.rows(KILL_ROWS, **_names(account, group)):
        _id, owner, status, reason, by, created_s, _action, kind, sequence = row
        wanted.discard(owner)
        scope = owner if owner == GLOBAL or owner.startswith("GROUP:") else f"ACCOUNT:{owner}"
        since_us = int(created_s) * 1_000_000
        if str(status or "").upper() not in INACTIVE_WORDS:
            causes.append(Cause(scope, TradingState.HALTED, "KILL", reason or "", by or "", since_us))
        elif kind not in ("INIT", "RELEASE") or sequence is None:
            said = f"the kill row says {status} but no release is journaled"
            causes.append(Cause(scope, TradingState.HALTED, "UNRELEASED", said, by or "", since_us))
    for owner in sorted(wanted):
        scope = owner if owner == GLOBAL else f"ACCOUNT:{owner}"
        causes.append(Cause(scope, TradingState.HALTED, "NO_KILL_ROW", "the kill switch has no row", "riskguard", 0))
    return causes


def standing_causes(session: Session, account: str, group: str) -> list[Cause]:
    """Return the causes of REDUCE_ONLY or HALTED that stand apart from the latch."""
    return [
        Cause(scope, TradingState[state], code, detail, by, raised_us)
        for _id, scope, state, code, detail, by, raised_us, _soft in session.rows(STANDING, **_names(account, group))
    ]


def own_causes(session: Session, account: str) -> list[Cause]:
    """Return the causes raised for *account* itself, whatever their scope: what a release of it takes back."""
    return [
        Cause(scope, TradingState[state], code, detail, by, raised_us)
        for _id, scope, state, code, detail, by, raised_us, _soft in session.rows(
            STANDING, account=account, global_=account, group_name=account
        )
    ]


def raise_cause(session: Session, account: str, cause: Cause, *, soft: bool = False, limit_id: str = "") -> None:
    """Add a cause; severity only grows by it. The epoch moves with it. A soft one of a limit that limit clears."""
    session.run(
        RAISE,
        account=account,
        scope=cause.scope,
        state=cause.state.name,
        code=cause.code,
        detail=cause.detail[:500],
        by_whom=cause.by,
        is_soft=int(soft),
        raised_at_us=cause.since_us,
        limit_id=limit_id,
    )
    session.run(BUMP_EPOCH, of_account=account)


class LimitCause(NamedTuple):
    """A standing cause a limit raised: its row, and whether the limit may clear it."""

    row: int
    limit_id: str
    code: str
    scope: str
    is_soft: bool


def causes_of_limits(session: Session, account: str) -> list[LimitCause]:
    """Return the standing causes limits of *account* raised."""
    return [
        LimitCause(row, limit_id, code, scope, bool(is_soft))
        for row, limit_id, code, scope, is_soft in session.rows(OF_LIMITS, account=account)
    ]


def clear_soft(session: Session, account: str, row: int, now_us: int) -> bool:
    """Clear one soft cause: what raised it is gone. The epoch moves with it."""
    cleared = session.run(CLEAR_SOFT, of_id=row, now_us=now_us).rowcount == 1
    if cleared:
        session.run(BUMP_EPOCH, of_account=account)
    return cleared


def latch(session: Session, account: str, by: str, reason: str, now_us: int) -> list[dict[str, Any]]:
    """
    Write the kill row of *account* (or GLOBAL) and move its epoch.

    Returns what was changed by SQL and by this row, for the journal entry of the kill: it counts as adopted.
    """
    now_s = now_us // 1_000_000
    session.run(
        KILL_ROW,
        account_type=account,
        control_type="KILL_SWITCH",
        kill_switch_status="ACTIVE",
        is_active=1,
        created_at=now_s,
        updated_at=now_s,
        activated_at=now_s,
        activated_by=by,
        reason=reason,
    )
    session.run(BUMP_EPOCH, of_account=account)
    # `account` in all three places: changes of GLOBAL are whoever's who adopts GLOBAL's.
    changes = session.rows(OPEN_CHANGES, account=account, global_=account, group_name=account)
    session.run(ADOPTED, of_account=account)
    return said_of(changes)


def unlatch(session: Session, account: str, by: str, reason: str, action_id: int, now_us: int) -> None:
    """Write the INACTIVE row a journaled release (or `init`) stands behind; only inside an open action."""
    now_s = now_us // 1_000_000
    session.run(
        INACTIVE_ROW,
        account_type=account,
        control_type="KILL_SWITCH",
        kill_switch_status="INACTIVE",
        is_active=1,
        created_at=now_s,
        updated_at=now_s,
        activated_by=by,
        reason=reason,
        action_id=action_id,
    )
    session.run(BUMP_EPOCH, of_account=account)


def clear_causes(session: Session, account: str, state: TradingState, action_id: int | None, now_us: int) -> int:
    """Clear the standing causes of one severity; return how many."""
    return session.run(CLEAR, of_account=account, of_state=state.name, now_us=now_us, by_action=action_id).rowcount


def clear_scope(session: Session, account: str, scope: str, action_id: int, now_us: int) -> int:
    """Clear the standing causes of one part of the account; return how many. Its epoch moves with them."""
    cleared = session.run(CLEAR_SCOPE, of_account=account, of_scope=scope, now_us=now_us, by_action=action_id).rowcount
    session.run(BUMP_EPOCH, of_account=account)
    return cleared


def open_action(
    session: Session, account: str, kind: str, by: str, reason: str, now_us: int, kill_ids: str = ""
) -> int:
    """Open the act under which this transaction may loosen; returns its id. Close it before the commit."""
    written = session.insert(
        OPEN_ACTION,
        account=account,
        kind=kind,
        by_whom=by,
        os_user=os_user(),
        reason=reason,
        kill_ids=kill_ids,
        at_us=now_us,
        is_open=1,
    )
    return written or 0


def close_action(session: Session, action_id: int, sequence: int) -> None:
    """Close the act and tie it to its journal entry; an act without one releases nothing."""
    session.run(CLOSE_ACTION, of_id=action_id, to_sequence=sequence)


def released_kills(session: Session) -> frozenset[str]:
    """Return the ids of every kill a committed release names."""
    return frozenset(one for (ids,) in session.rows(RELEASED_KILLS) for one in ids.split())


def advance_generation(session: Session, now_at_least: int = 0) -> int:
    """Count one more latch or release commit; return the new generation for the file beside the database."""
    session.read_heads(GLOBAL)
    generation = max(session.heads[GLOBAL].generation, now_at_least) + 1
    session.run(NEXT_GENERATION, of_account=GLOBAL, to_generation=generation)
    return generation


def open_changes(session: Session, account: str, group: str) -> list[tuple[Any, ...]]:
    """Return what plain SQL changed and riskguard has not journaled yet."""
    return session.all(asks_changes(account, group))


def said_of(changes: Iterable[tuple[Any, ...]]) -> list[dict[str, Any]]:
    """Return changes as the journal keeps them: every column of theirs."""
    return [
        {
            "row": row, "account": owner, "what": what, "id": control_id, "type": control_type, "old": old, "new": new,
            "limit": limit_id, "scope": scope,
        }
        for row, owner, what, control_id, control_type, old, new, limit_id, scope in changes
    ]  # fmt: skip


def adopt_changes(session: Session, account: str) -> None:
    session.run(ADOPTED, of_account=account)


def os_user() -> str:
    """Return the operating-system user of this process, recorded beside every `by`."""
    with suppress(Exception):  # no passwd entry in a container is no reason to refuse a release
        return getpass.getuser()
    return ""


def shown_limit(limit: Limit) -> dict[str, Any]:
    """Return a limit as JSON-ready data."""
    return {
        "limit_id": limit.id,
        "check": limit.check.name,
        "scope": str(limit.scope),
        "parameters": limit.params.model_dump(mode="json", exclude_none=True),
        "on_breach": limit.on_breach,
        "mode": limit.mode,
        "plan": limit.plan,
        "row_id": limit.row_id,
        "set_by": limit.set_by,
        "why": limit.why,
        "source": limit.source,
        "acknowledged_by": limit.acknowledged_by,
        "acknowledged_until": limit.acknowledged_until,
    }
