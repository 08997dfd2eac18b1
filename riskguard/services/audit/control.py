"""
What entries that are no orders claim of other tables: acts, changes by SQL, kill runs, the latch, the limits in force.

And what no entry stands behind: rows that were put in.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from riskguard.core.state import INACTIVE_WORDS
from riskguard.services.audit.part import Claims
from riskguard.store import controls
from riskguard.store.journal import ACT_COLUMNS, BODY, Wrong
from riskguard.store.queries.audit import (
    ALL_ACTS,
    ALL_CHANGES,
    ALL_RUNS,
    ALL_SETS,
    CHANGE_COLUMNS,
    LATCHES,
    PERMIT_OF_NOBODY,
    PERMITS_COUNTED,
    RUN_COLUMNS,
    UNCLAIMED,
    VIOLATIONS_COUNTED,
    VIOLATIONS_OF_ENTRIES,
)
from riskguard.store.session import GLOBAL, Session


def wrongs(session: Session, claims: Mapping[str, Claims], *, whole: bool) -> Iterator[tuple[str, Wrong]]:
    """
    Yield (account, what is wrong) by comparing what entries claim with the tables that hold it.

    *whole*: the claims are of every entry of every account, so that a row without one was put in.
    """
    yield from _acts(session, claims, whole)
    yield from _changes(session, claims, whole)
    yield from _runs(session, claims, whole)
    yield from _latches(session, claims)
    yield from _limits(session, claims, whole)
    for digest, body in session.rows(ALL_SETS):
        if hashlib.sha256(body.encode()).hexdigest() != digest:
            yield (
                GLOBAL,
                Wrong(None, "limits", f"the row of limit_sets `{digest[:16]}…` holds other limits than it says"),
            )


def _acts(session: Session, claims: Mapping[str, Claims], whole: bool) -> Iterator[tuple[str, Wrong]]:
    left = {(account, sequence): act for account, each in claims.items() for sequence, act in each.acts.items()}
    for account, sequence, *values in session.rows(ALL_ACTS):
        row = dict(zip(ACT_COLUMNS, values, strict=True))
        act = left.pop((account, sequence), None)
        if act is not None and act != row:
            name = next(name for name in ACT_COLUMNS if act[name] != row[name])
            yield account, Wrong(sequence, "act", f"`{name}` of the act behind sequence {sequence} is another")
        elif act is None and whole:
            who = f"{row['kind']} {row['id']} by `{row['by_whom']}`"
            yield account, Wrong(None, "act", f"no entry stands behind control_actions {who}")
    for (account, sequence), _act in left.items():
        yield account, Wrong(sequence, "act", f"the act behind sequence {sequence} is gone from control_actions")


def _changes(session: Session, claims: Mapping[str, Claims], whole: bool) -> Iterator[tuple[str, Wrong]]:
    left = {row: (account, *said) for account, each in claims.items() for row, said in each.changes.items()}
    for is_adopted, *values in session.rows(ALL_CHANGES):
        row = dict(zip(CHANGE_COLUMNS, values, strict=True))
        account, sequence, said = left.pop(row["row"], (None, 0, {}))
        if account is None:
            if is_adopted and whole:
                yield row["account"], Wrong(None, "change", f"no entry adopted control_changes {row['row']}")
            continue
        differs = [CHANGE_COLUMNS[name] for name in CHANGE_COLUMNS if row[name] != said[name]]
        if not is_adopted:
            differs.append("is_adopted")
        if differs:
            yield (
                account,
                Wrong(sequence, "change", f"`{differs[0]}` of a change sequence {sequence} adopted is another"),
            )
    for row_id, (account, sequence, _said) in left.items():
        yield (
            account,
            Wrong(sequence, "change", f"control_changes {row_id}, which sequence {sequence} adopted, is gone"),
        )


def _runs(session: Session, claims: Mapping[str, Claims], whole: bool) -> Iterator[tuple[str, Wrong]]:
    """A GLOBAL kill stands in the journal of GLOBAL too, and runs for each account."""
    said: dict[tuple[str, str], list[tuple[int, dict[str, Any]]]] = {}
    for account, each in claims.items():
        for sequence, kill in each.kills.items():
            said.setdefault((account, kill["kill_id"]), []).append((sequence, kill))
    found = set()
    for row_id, account, kill_id, *values in session.rows(ALL_RUNS):
        row = dict(zip(RUN_COLUMNS, values, strict=True))
        entries = said.get((account, kill_id))
        found.add((account, kill_id))
        if entries is None:
            if whole and row["cause"] != "SQL":
                yield account, Wrong(None, "kill", f"no entry stands behind kill_runs {row_id} (`{kill_id}`)")
        elif all(any(row[name] != kill[name] for name in RUN_COLUMNS) for _sequence, kill in entries):
            sequence, kill = entries[0]
            name = next(name for name in RUN_COLUMNS if row[name] != kill[name])
            yield account, Wrong(sequence, "kill", f"`{RUN_COLUMNS[name]}` of the run of kill `{kill_id}` is another")
    kills = {kill_id for _account, kill_id in found}
    for (account, kill_id), entries in said.items():
        if (account, kill_id) not in found and not (account == GLOBAL and kill_id in kills):
            yield account, Wrong(entries[0][0], "kill", f"the run of kill `{kill_id}` is gone from kill_runs")


def _latches(session: Session, claims: Mapping[str, Claims]) -> Iterator[tuple[str, Wrong]]:
    """The latch must be what the last entry about it made of it; what SQL wrote since can only have halted."""
    written = {
        row[2] for row in session.rows(ALL_CHANGES) if not row[0] and row[5] == "KILL_SWITCH" and row[7] is not None
    }
    rows = {owner: values for owner, *values in session.rows(LATCHES)}
    for account, each in claims.items():
        if each.latch is None:
            continue
        sequence, halts, by, reason = each.latch
        row = rows.get(account)
        if row is None:
            yield account, Wrong(sequence, "latch", f"the kill switch of `{account}` has no row in force")
            continue
        row_id, status, row_by, row_reason = row
        is_halted = str(status or "").upper() not in INACTIVE_WORDS
        if is_halted and not halts and account in written:
            continue
        if halts != is_halted:
            said = "halts" if halts else "releases"
            yield (
                account,
                Wrong(sequence, "latch", f"sequence {sequence} {said}, and traders_control {row_id} says {status}"),
            )
        elif by is not None and (row_by or "", row_reason or "") != (by, reason):
            name = "activated_by" if (row_by or "") != by else "reason"
            yield (
                account,
                Wrong(sequence, "latch", f"`{name}` of traders_control {row_id} is not what sequence {sequence} wrote"),
            )


def _limits(session: Session, claims: Mapping[str, Claims], whole: bool) -> Iterator[tuple[str, Wrong]]:
    """
    The limits in force must be those the last apply, or adoption of changes by SQL, left.

    Those of GLOBAL and of groups are adopted in the journal of whichever account asked first: the newest change counts,
    and only who has read all journals knows it.
    """
    waiting = {row[2] for row in session.rows(ALL_CHANGES) if not row[0] and row[5] != "KILL_SWITCH"}
    newest: dict[str, tuple[tuple[int, int], str, int, str]] = {}
    for account, each in claims.items():
        for owner, (sequence, change, digest) in each.in_force.items():
            is_own = owner == account and owner != GLOBAL
            if not is_own and not whole:
                continue
            order = (sequence, 0) if is_own else (change, sequence)
            if owner not in newest or order > newest[owner][0]:
                newest[owner] = (order, account, sequence, digest)
    for owner, (_order, account, sequence, digest) in newest.items():
        if not digest or owner in waiting:
            continue
        now = controls.in_force(session, (owner,))[owner]
        if now != digest:
            said = f"the limits of `{owner}` in traders_control are not those sequence {sequence} of `{account}` left in force"
            yield account, Wrong(sequence, "limits", said)


# -- rows no entry stands behind ------------------------------------------------------------------------------


def put_in(session: Session, account: str, permits_found: int, violations_found: int) -> Iterator[Wrong]:
    """Yield permits and violations of *account* that no entry claims: all that are claimed were counted."""
    (there,) = session.row(PERMITS_COUNTED, account=account) or (0,)
    if there != permits_found:
        row = session.row(PERMIT_OF_NOBODY, account=account)
        name = "one" if row is None else f"`{row[1]}`"
        yield Wrong(None, "permit", f"no entry approves a permit of `{account}` ({name})")
    (there,) = session.row(VIOLATIONS_COUNTED, account=account) or (0,)
    if there != violations_found:
        for sequence, count, row_id in session.rows(VIOLATIONS_OF_ENTRIES, account=account):
            if count > _claimed(session, account, sequence):
                yield Wrong(
                    None, "violation", f"no entry claims risk_violations {row_id} (it says sequence {sequence})"
                )
                return
        yield Wrong(None, "violation", f"risk_violations of `{account}` holds rows no entry claims")


def _claimed(session: Session, account: str, sequence: int) -> int:
    row = session.row(BODY, account=account, sequence=sequence)
    claim = {} if row is None else json.loads(row[0]).get("violations") or {}
    return int(claim.get("rows", 0))


def unclaimed(session: Session, account: str) -> int:
    """Return how many violations of *account* hang on no entry: of version 3, of its writers, of unknown accounts."""
    (count,) = session.row(UNCLAIMED, account=account) or (0,)
    return int(count)
