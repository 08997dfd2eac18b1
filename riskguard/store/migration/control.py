"""
Trader's Control of the old file: which kills hold, which limits are in force, and what is not taken over.

Three places of an old file say whether trading is stopped, and they may disagree. The safer reading wins.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from decimal import InvalidOperation
from typing import Any, Final, Literal

import sqlalchemy as sa

from riskguard.core.checks import CHECKS
from riskguard.core.money import to_e4
from riskguard.core.order import checked_name
from riskguard.core.params import as_decimal
from riskguard.core.state import INACTIVE_WORDS
from riskguard.errors import OrderInvalidError, shown
from riskguard.store.migration.rows import REFUSED, Copied, Quarantine
from riskguard.store.migration.source import Source, spelled
from riskguard.store.session import GLOBAL, Session
from riskguard.store.statements import insert_into
from riskguard.store.tables.base import v3_columns
from riskguard.store.tables.control import traders_control
from riskguard.store.triggers import LIMIT_COLUMNS

Unit = Literal["units", "lots", "inr"]
SIZE: Final = "position_size_limit"
SWITCHES: Final = {"daily_loss_limit": "daily_loss_limit_enabled", SIZE: "position_size_limit_enabled"}
OFF_WORDS: Final = frozenset({"false", "0", "no", "off", ""})
ACKNOWLEDGE: Final = "NOT ACKNOWLEDGED: `{switch}` was off in the old file. Acknowledged by: …, because: …, until: …"
"""What a limit carried over in shadow says as its source, until a rulebook says better."""

CHECK_OF: Final = {check.v3_column: check.name for check in CHECKS if check.v3_column}

_V3: Final = v3_columns(traders_control)
_OURS: Final = ("limit_id", "check_name", "parameters", "mode", "source")
WRITE = insert_into(traders_control, *_V3, *_OURS)

Row = dict[str, Any]


@dataclass(slots=True)
class Found:
    """
    What the old file says about control.

    Attributes:
        rows: Every row of its traders_control, with the row's number under `rowid`.
        halted: Owner (an account, or GLOBAL) to why it is halted.
        off: Limit columns that the old file had switched off.
    """

    accounts: tuple[str, ...]
    unusable: tuple[str, ...]
    rows: list[Row]
    halted: dict[str, str]
    off: frozenset[str]
    has_size: bool


@dataclass(slots=True)
class Carried:
    """What came of it: lines for the report, and which checks each account now has a limit for."""

    done: Copied
    lines: list[str] = field(default_factory=list)
    checks: dict[str, set[str]] = field(default_factory=dict)


def read(source: Source) -> Found:
    """Read accounts, kills, limits and their switches; writes nothing."""
    accounts, unusable = _accounts(source)
    rows = _rows(source, "traders_control")
    config = {row["key"]: str(row["value"] or "").strip().lower() for row in _rows(source, "config")}
    switch = config.get("kill_switch_enabled", "false")
    halted = {}
    if switch not in OFF_WORDS:
        halted[GLOBAL] = f"config.kill_switch_enabled was `{shown(switch)}`"
    for row in rows:
        if (why := _halts(row, rows)) is not None:
            owner = row["account_type"] if row["account_type"] in accounts else GLOBAL
            halted[owner] = "; ".join(filter(None, (halted.get(owner), why)))
    off = frozenset(column for column, key in SWITCHES.items() if config.get(key, "true") in OFF_WORDS)
    # Also of history, and of a number that is no limit: whoever reads the row later wants to know what it counted.
    has_size = any(row.get(SIZE) is not None for row in rows)
    return Found(accounts, unusable, rows, halted, off, has_size)


def _accounts(source: Source) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return every account any table names, and the names no account can have."""
    names: set[str] = set()
    for table, columns in source.tables.items():
        if "account_type" in columns:
            asked: sa.Select[Any] = sa.select(sa.column("account_type")).select_from(sa.table(table)).distinct()
            names |= {shown_name(row[0]) for row in source.connection.execute(spelled(asked)) if row[0] is not None}
    good = tuple(sorted(name for name in names if _is_name(name)))
    return good, tuple(sorted(names - set(good)))


def shown_name(value: object) -> str:
    return value if isinstance(value, str) else repr(value)


def _is_name(name: str) -> bool:
    try:
        checked_name("account", name)
    except OrderInvalidError:
        return False
    return name != GLOBAL and ":" not in name


def _rows(source: Source, table: str) -> list[Row]:
    if table not in source.tables:
        return []
    statement = spelled(
        sa.select(sa.literal_column("rowid AS rowid"), sa.literal_column("*"))
        .select_from(sa.table(table))
        .order_by(sa.literal_column("rowid"))
    )
    cursor = source.connection.execute(statement)
    names = ["rowid", *(each[0] for each in cursor.description[1:])]
    return [dict(zip(names, values, strict=True)) for values in cursor]


def is_active(row: Row) -> bool:
    """NULL or any other number may have been meant as yes."""
    return row.get("is_active") != 0


def is_kill(row: Row) -> bool:
    return str(row.get("control_type") or "").strip().upper() == "KILL_SWITCH"


def _halts(row: Row, rows: list[Row]) -> str | None:
    """Say why this row halts its account, None when it does not."""
    status = row.get("kill_switch_status")
    if not is_kill(row) and status is None:
        return None
    if str(status or "").upper() in INACTIVE_WORDS:
        return None
    if is_active(row):
        return f"row {row['rowid']} of traders_control said `{shown(status)}`"
    if status is None or row.get("deactivated_at") is not None:
        return None
    # Not in force by its flag, in force by its word, and nobody says when it ended.
    ended = any(
        is_active(other)
        and is_kill(other)
        and other["rowid"] > row["rowid"]
        and other["account_type"] == row["account_type"]
        and str(other.get("kill_switch_status") or "").upper() in INACTIVE_WORDS
        for other in rows
    )
    said = f"row {row['rowid']} of traders_control said `{shown(status)}` and is_active 0, with no end: contradictory"
    return None if ended else said


def usable(value: object) -> bool:
    """Say whether a limit column holds a number a limit can have."""
    if type(value) not in (int, float):
        return False
    try:
        return to_e4(as_decimal(float(value))) > 0  # type: ignore[arg-type]
    except (InvalidOperation, ValueError, OverflowError):
        return False


def carry(session: Session, found: Found, unit: Unit | None, kept: Quarantine, now_s: int) -> Carried:
    """
    Write every row of the old traders_control; only inside an open GLOBAL action.

    Limits in force stay in force, in their own columns. Kill rows become history: the latch is written anew,
    journaled, from what they said.
    """
    carried = Carried(Copied("traders_control", rows=len(found.rows)))
    standing: set[tuple[object, object]] = set()  # (account, control type) with a plain row in force
    for row in found.rows:
        values = {name: row.get(name) for name in _V3} | dict.fromkeys(_OURS)
        good = {column: row[column] for column in LIMIT_COLUMNS if usable(row.get(column))}
        bad = {column: row[column] for column in LIMIT_COLUMNS if row.get(column) is not None and column not in good}
        values |= dict.fromkeys(bad)
        why = [f"{column} {shown(value)} is no limit" for column, value in bad.items()]
        unknown = [name for name in row if name not in _V3 and name != "rowid" and row[name] is not None]
        if unknown:
            why.append(f"columns without a place here: {', '.join(unknown)}")
        apart: Row = {}
        if not is_active(row):
            pass
        elif is_kill(row):
            values |= {"is_active": 0, "deactivated_at": row.get("deactivated_at") or now_s}
            why.append("a kill row in force: the latch was written anew from it")
            apart = good
        else:
            values["is_active"] = 1
            apart = _settle(values, good, found, unit, standing)
            if row.get("is_active") != 1 or apart:
                why.append("limits in force, written as they count")
        if not _write(session, values, row, kept, carried.done):
            _report_lost(row, good, carried)
            continue
        if why:
            kept.keep("traders_control", row["rowid"], "; ".join(why), in_table=True)
            carried.done.changed += 1
        if is_active(row):
            if apart:
                _write_apart(session, values, apart, found, unit, row)
            _report(row, good, bad, found, unit, carried)
    return carried


def _settle(values: Row, good: Row, found: Found, unit: Unit | None, standing: set[tuple[object, object]]) -> Row:
    """Give the row what schema 4 needs to know; return the limits that need a row of their own."""
    off = {column: value for column, value in good.items() if column in found.off}
    apart = off if off and len(off) < len(good) else {}
    values |= dict.fromkeys(apart)
    if off and not apart:
        values |= {"mode": "shadow", "source": _acknowledgement(off)}
    if good.get(SIZE) is not None and SIZE not in apart:
        values |= {"check_name": CHECK_OF[SIZE], "parameters": json.dumps({"unit": unit})}
    key = (values["account_type"], values["control_type"])
    if values["mode"] or values["check_name"] or key in standing:
        # A name of its own, so that the next row of a version 3 program adds to it and does not replace it.
        values["limit_id"] = f"v3-row-{values['id']}"
    else:
        standing.add(key)
    return apart


def _write_apart(session: Session, values: Row, apart: Row, found: Found, unit: Unit | None, row: Row) -> None:
    """Write limits that cannot share their old row: switched off beside ones in force, or held by a kill row."""
    for shadow in (False, True):
        own = {column: value for column, value in apart.items() if (column in found.off) is shadow}
        if not own:
            continue
        sized = SIZE in own
        fresh = {
            **values,
            **dict.fromkeys(LIMIT_COLUMNS),
            **own,
            "id": None,
            "control_type": "RISK_LIMIT",
            "kill_switch_status": None,
            "is_active": 1,
            "deactivated_at": None,
            "limit_id": f"v3-row-{row['rowid']}-{'off' if shadow else 'limits'}",
            "mode": "shadow" if shadow else None,
            "source": _acknowledgement(own) if shadow else None,
            "check_name": CHECK_OF[SIZE] if sized else None,
            "parameters": json.dumps({"unit": unit}) if sized else None,
        }
        session.run(WRITE, **fresh)


def _acknowledgement(off: Row) -> str:
    return ACKNOWLEDGE.format(switch="`, `".join(SWITCHES[column] for column in off))


def _write(session: Session, values: Row, row: Row, kept: Quarantine, done: Copied) -> bool:
    try:
        session.run(WRITE, **values)
    except REFUSED as e:
        reason = f"not taken: {e}"
        kept.keep("traders_control", row["rowid"], reason)
        done.refused += 1
        done.reasons[reason] = done.reasons.get(reason, 0) + 1
        return False
    done.copied += 1
    return True


def _report_lost(row: Row, good: Row, carried: Carried) -> None:
    if is_active(row) and good:
        carried.lines.append(f"row {row['rowid']} was in force and could not be taken: see the quarantine, set it anew")


def _report(row: Row, good: Row, bad: Row, found: Found, unit: Unit | None, carried: Carried) -> None:
    account, number = row["account_type"], row["rowid"]
    for column, value in good.items():
        carried.checks.setdefault(str(account), set()).add(CHECK_OF[column])
        said = f"{account}: {column} {value:g}{f' {unit}' if column == SIZE else ''} kept (row {number})"
        if column in found.off:
            said += f", in shadow: `{SWITCHES[column]}` was off; it is watched and refuses nothing"
            said += "; its source is an acknowledgement to fill in: `riskguard limits apply`"
        carried.lines.append(said)
    carried.lines += [
        f"{account}: {column} {shown(value)} not taken over (row {number}): no limit can be that; it counts as missing"
        for column, value in bad.items()
    ]
