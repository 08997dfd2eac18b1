"""Violations: a refusal on disk, naming its limit, before anybody hears of it. And the spool when it cannot be."""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path
from typing import Any, Final, NamedTuple

from riskguard.core.checks.repeated_execution import NOT_COUNTED
from riskguard.core.decide import Decision
from riskguard.core.money import to_text
from riskguard.core.reject import RUPEES, Reject, RejectCode
from riskguard.redaction import clean
from riskguard.store import journal
from riskguard.store.bounds import REAL_ABS_MAX
from riskguard.store.canonical import canonical
from riskguard.store.halt import sync_directory
from riskguard.store.session import ACCOUNTS, Session
from riskguard.store.spelling import fixed, insert_into, param, prepare, sa, tables

risk_violations = tables.control.risk_violations
adopted_files, refusal_repeats = tables.journal.adopted_files, tables.journal.refusal_repeats

REPEAT_US = 1_000_000
REPEATS_KEPT_MAX = 2_000
log = logging.getLogger("riskguard")

SPOOL_LINE_MAX = 4_000
SPOOL = "spool"

_COLUMNS = (
    "account_type", "violation_type", "limit_value", "actual_value", "security_id", "action_taken", "violated_at",
    "violated_at_us", "code", "check_name", "limit_id", "scope", "unit", "measured", "limit_text", "detail",
    "client_order_id", "sequence", "strategy", "exchange_segment", "side", "product", "order_type", "quantity", "price",
    "control_id",
)  # fmt: skip
CLAIMED: Final = tuple(name for name in _COLUMNS if name != "sequence")
"""What a journal entry claims of its violations: every column of ours but the entry itself."""
_claimed_of = itemgetter(*CLAIMED)
ADD = insert_into(risk_violations, *_COLUMNS)
ADD_REPEATS = insert_into(refusal_repeats, "account", "violation_id", "strategy", "repeats", "at_us")
ADOPT_FILE = insert_into(adopted_files, "digest", "at_us", ignore=True)
_v = risk_violations.c
SINCE = prepare(
    sa.select(risk_violations)
    .where(_v.violated_at >= param("since_s"), _v.account_type >= param("low"), _v.account_type <= param("high"))
    .order_by(_v.id)
)
NEWEST_BREACH = prepare(
    sa.select(_v.action_taken, _v.code, _v.detail)
    .where(_v.account_type == param("account"), _v.limit_id == param("limit_id"), _v.client_order_id.is_(None))
    .order_by(_v.id.desc())
    .limit(fixed(1))
)

# Version 3 knew three kinds; its readers go on finding them under its words.
V3_TYPES = {
    RejectCode.DAILY_LOSS_REACHED: "DAILY_LOSS",
    RejectCode.NET_POSITION_ABOVE_LIMIT: "POSITION_SIZE",
    RejectCode.ORDER_VALUE_ABOVE_LIMIT: "ORDER_VALUE",
}

Key = tuple[str, str, tuple[str, str], str, str, str]


def rows_of(decision: Decision, action: str = "ORDER_REJECTED") -> list[dict[str, Any]]:
    """Return one violation row per refusal, the weightiest first; which journal entry they hang on is still to be said."""
    return [_row(decision, reject, None, action) for reject in decision.rejects]


def claim(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what a journal entry says of the violations that hang on it: how many, and the digest of all they say."""
    return {"rows": len(rows), "digest": digest(map(_claimed_of, rows))}


def digest(rows: Iterable[tuple[Any, ...]]) -> str:
    """Return the SHA-256 of violation rows: their `CLAIMED` columns in the order of their ids."""
    return hashlib.sha256(canonical([list(row) for row in rows])).hexdigest()


def write(session: Session, rows: list[dict[str, Any]], sequence: int) -> int:
    """Write the rows that hang on the entry *sequence*; return the id of the weightiest."""
    ids = [session.insert(ADD, **{**row, "sequence": sequence}) or 0 for row in rows]
    return ids[0] if ids else 0


def _row(decision: Decision, reject: Reject, sequence: int | None, action: str) -> dict[str, Any]:
    order = decision.order
    scale = 10_000 if reject.unit == RUPEES else 1
    return {
        "account_type": order.account,
        "violation_type": V3_TYPES.get(reject.code, reject.code.value),
        # Version 3 demands numbers: 0 where there is none; `measured` and `limit_text` say the truth.
        "limit_value": _real(reject.limit_raw, scale),
        "actual_value": _real(reject.measured_raw, scale),
        "security_id": order.security_id,
        "action_taken": action,
        "violated_at": decision.decided_at_us // 1_000_000,
        "violated_at_us": decision.decided_at_us,
        "code": reject.code.value,
        "check_name": reject.check,
        "limit_id": reject.limit_id,
        "scope": reject.scope,
        "unit": reject.unit,
        "measured": _text(reject.measured_raw, reject.unit),
        "limit_text": _text(reject.limit_raw, reject.unit),
        "detail": reject.message[:500],
        "client_order_id": order.client_order_id,
        "sequence": sequence,
        "strategy": order.strategy,
        "exchange_segment": order.exchange_segment,
        "side": order.side,
        "product": order.product,
        "order_type": order.order_type,
        "quantity": order.quantity,
        "price": None if order.price_e4 is None else to_text(order.price_e4),
        "control_id": reject.row_id,
    }


def live_row(
    account: str, code: str, limit_id: str, scope: str, measured_e4: int | None, limit_e4: int | None, action: str,
    detail: str, now_us: int, control_id: int | None, unit: str = RUPEES,
) -> dict[str, Any]:  # fmt: skip
    """Return the violation row of what a sweep found: no order is behind it."""
    kind = {member.value: word for member, word in V3_TYPES.items()}.get(code, code)
    return {
        **dict.fromkeys(_COLUMNS),
        "account_type": account,
        "violation_type": kind,
        "limit_value": _real(limit_e4, 10_000 if unit == RUPEES else 1),
        "actual_value": _real(measured_e4, 10_000 if unit == RUPEES else 1),
        "action_taken": action,
        "violated_at": now_us // 1_000_000,
        "violated_at_us": now_us,
        "code": code,
        "limit_id": limit_id,
        "scope": scope,
        "unit": unit,
        "measured": _text(measured_e4, unit),
        "limit_text": _text(limit_e4, unit),
        "detail": detail[:500],
        "control_id": control_id,
    }


def newest_breach(session: Session, account: str, limit_id: str) -> tuple[str, str, str] | None:
    """Return (action taken, code, detail) of what a sweep wrote last about a limit; None: nothing yet."""
    row = session.row(NEWEST_BREACH, account=account, limit_id=limit_id)
    return None if row is None else (str(row[0]), str(row[1] or ""), str(row[2] or ""))


def _real(raw: int | None, scale: int) -> float:
    """The number of a version 3 column, which has a bound: beyond it the nearest one, `measured` says the truth."""
    if raw is None:
        return 0.0
    bound = REAL_ABS_MAX - 1
    return round(max(-bound * scale, min(bound * scale, raw)) / scale, 4)


def _text(raw: int | None, unit: str) -> str | None:
    if raw is None:
        return None
    return to_text(raw) if unit == RUPEES else str(raw)


Loop = tuple[object, ...]
"""Strategy, instrument and side: what a runaway repeats."""


def turn_of(decision: Decision) -> Loop | None:
    """Return the loop this refusal is one more turn of, or None for one `repeated_execution` does not count."""
    if not NOT_COUNTED.isdisjoint([each.code for each in decision.rejects]):
        return None
    return (decision.order.strategy, decision.order.instrument, decision.order.side)


# -- repeats --------------------------------------------------------------------------------------------------


def repeat_keys(decision: Decision) -> list[Key]:
    """Return what makes each refusal of *decision* the same as an earlier one."""
    order = decision.order
    return [
        (order.account, order.strategy, order.instrument, order.side, reject.code.value, reject.limit_id)
        for reject in decision.rejects
    ]


class Written(NamedTuple):
    """A refusal on disk, for as long as another may be its repeat."""

    violation_id: int
    at_us: int
    turn: Loop | None

    def covers(self, at_us: int) -> bool:
        return 0 <= at_us - self.at_us < REPEAT_US


@dataclass(slots=True)
class Counted:
    """Repeats of one violation that are not on disk yet; the turn they are of is the violation's, and dated as it is."""

    violation: Written
    repeats: int = 0


@dataclass(slots=True)
class Repeats:
    """Refusals this process wrote within the last second: a runaway must not cost a disk sync each time."""

    written: dict[Key, Written] = field(default_factory=dict)
    counts: dict[tuple[str, str, int], Counted] = field(default_factory=dict)  # by account, strategy and violation

    def of(self, decision: Decision) -> Written | None:
        """Return the violation *decision* only repeats, or None when any of its refusals is new."""
        found = [self.written.get(key) for key in repeat_keys(decision)]
        for each in found:
            if each is None or not each.covers(decision.decided_at_us):
                return None
        return found[0] if found else None

    def count(self, decision: Decision, violation: Written) -> None:
        key = (decision.order.account, decision.order.strategy, violation.violation_id)
        self.counts.setdefault(key, Counted(violation)).repeats += 1

    def wrote(self, decision: Decision, violation_id: int) -> None:
        """Remember what was committed; the window runs from here and is not extended by repeats."""
        if len(self.written) >= REPEATS_KEPT_MAX:
            now_us = decision.decided_at_us
            self.written = {key: each for key, each in self.written.items() if each.covers(now_us)}
            if len(self.written) >= REPEATS_KEPT_MAX:
                self.written.clear()  # costs no more than writing each of them once again
        written = Written(violation_id, decision.decided_at_us, turn_of(decision))
        for key in repeat_keys(decision):
            self.written[key] = written

    def flush(self, session: Session, now_us: int, of_account: str | None = None) -> None:
        """Write the counts gathered so far, of one account or all; call `flushed` once they are committed."""
        for (account, strategy, violation_id), counted in self.counts.items():
            if of_account not in (None, account):
                continue
            session.run(
                ADD_REPEATS,
                account=account,
                violation_id=violation_id,
                strategy=strategy,
                repeats=counted.repeats,
                at_us=now_us,
            )

    def flushed(self, of_account: str | None = None) -> None:
        for key in [key for key in self.counts if of_account in (None, key[0])]:
            del self.counts[key]


# -- the spool ------------------------------------------------------------------------------------------------


def spool(directory: Path, decision: Decision) -> bool:
    """
    Append a refusal the database could not take to this process's spool file; False when even that failed.

    Synced, because the promise is the same: nothing is lost.
    """
    rows = [_row(decision, reject, None, "ORDER_REJECTED") for reject in decision.rejects][:20]
    line = json.dumps(clean(rows), separators=(",", ":"))
    try:
        folder = directory / SPOOL
        if not folder.is_dir():
            folder.mkdir(exist_ok=True, mode=0o700)
            sync_directory(directory)
        path = folder / f"{os.getpid()}-{time.time_ns() // 60_000_000_000}.jsonl"
        # Twice: a process that was stopped for a minute may write into a file a sweep has taken over and removed.
        return _append(path, line.encode()) or _append(path, line.encode())
    except OSError:
        return False


def _append(path: Path, line: bytes) -> bool:
    """Add a line to the file, synced with the directory that names it; False when somebody removed the file meanwhile."""
    descriptor = os.open(path, os.O_CREAT | os.O_APPEND | os.O_RDWR, 0o600)
    try:
        size = os.fstat(descriptor).st_size
        # On a line of its own, whatever a torn write left before it.
        torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
        text = b"\n" * torn + line + b"\n"
        if os.write(descriptor, text) != len(text):
            raise OSError(errno.ENOSPC, "only a part was written")
        os.fsync(descriptor)
        if size == 0:
            sync_directory(path.parent)
        return os.fstat(descriptor).st_nlink > 0
    finally:
        os.close(descriptor)


def spooled(directory: Path) -> list[Path]:
    """Return spool files that are complete: those of this minute may still grow."""
    minute = time.time_ns() // 60_000_000_000
    try:
        names = sorted(os.listdir(directory / SPOOL))
    except OSError:
        return []
    return [directory / SPOOL / name for name in names if _minute_of(name) < minute]


def _minute_of(name: str) -> int:
    digits = name.removesuffix(".jsonl").rpartition("-")[2]
    return int(digits) if digits.isdigit() else 0


def adopt(session: Session, path: Path, now_us: int) -> int:
    """
    Take a spool file over into `risk_violations`; a file taken before counts nothing. Unlink it after commit.

    Each account's journal says which rows came in; those of an account nobody knows hang on nothing.

    Raises OSError: it cannot be read, and must stay.
    """
    raw = path.read_bytes()
    taken = hashlib.sha256(raw).hexdigest()
    if session.run(ADOPT_FILE, digest=taken, at_us=now_us).rowcount != 1:
        return 0
    by_account: dict[str, list[dict[str, Any]]] = {}
    for line in raw.splitlines():
        try:
            rows = json.loads(line)
        except ValueError:
            continue  # the last line of a process that died while writing it
        if not (isinstance(rows, list) and all(isinstance(row, dict) for row in rows)):
            log.warning("a line of `%s` is no refusal of riskguard's: it is left out", path)
            continue
        for each in rows:
            row = {name: each.get(name) for name in _COLUMNS}
            by_account.setdefault(str(row["account_type"] or ""), []).append(row)
    known = {row[0] for row in session.rows(ACCOUNTS)}
    for account, rows in sorted(by_account.items()):
        if account in known:
            session.read_heads(account)
            said = {"changes": [], "spool": taken, "violations": claim(rows)}
            write(session, rows, journal.append(session, account, "ADOPTED", said, now_us).sequence)
        else:
            for row in rows:
                session.run(ADD, **row)
    return sum(map(len, by_account.values()))
