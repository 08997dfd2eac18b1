"""
Anchors: the heads of every account, kept where whoever can rewrite the database cannot rewrite them.

A chain shows every change but one: its end cut off, with the head set back. An anchor is a line of JSON that says how
far each journal had come; a database that does not hold it was cut, rewritten, or is an older one. The log of anchors
is a chain itself, and each line is signed where there is an audit key.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

import sqlalchemy as sa

from riskguard.core.facts import canonical
from riskguard.errors import AnchorError
from riskguard.services.audit.report import Audit
from riskguard.store.halt import sync_directory
from riskguard.store.journal import Wrong
from riskguard.store.queries.audit import HASH_AT
from riskguard.store.secrets.audit_key import AuditKeys
from riskguard.store.session import GLOBAL, Session
from riskguard.store.statements import fixed, param, prepare
from riskguard.store.tables.journal import account_heads
from riskguard.store.tables.upkeep import upkeep_runs

SIGNED: Final = "anchor"
KIND: Final = "anchor"
LINE_BYTES_MAX: Final = 4_000_000
"""Thousands of accounts; a longer line is no anchor."""
MADE_OF: Final = ("anchor", "at_us", "why", "database", "generation", "heads", "previous")

_h, _u = account_heads.c, upkeep_runs.c
HEADS = prepare(
    sa.select(_h.account, _h.sequence, _h.last_hash, _h.generation).where(_h.sequence > fixed(0)).order_by(_h.account)
)
REMEMBERED = prepare(
    sa.select(_u.detail)
    .where(_u.kind == fixed(KIND), _u.outcome == fixed("DONE"))
    .order_by(_u.id.desc())
    .limit(param("most", sa.Integer()))
)
REMEMBERED_MAX: Final = 1_000


@dataclass(frozen=True, slots=True)
class Anchor:
    """
    One line of an anchor log.

    Attributes:
        number: 1, 2, 3 … in its log. why: `daily`, `generation 7`, `by hand`.
        database: Hash of the first entry of GLOBAL: which database it is. generation: Kills and releases so far.
        heads: (account, sequence, hash) of every journal. previous: Hash of the line before; empty for the first.
        hash, mac: Of this line; the mac is empty where there was no audit key.
    """

    number: int
    at_us: int
    why: str
    database: str
    generation: int
    heads: tuple[tuple[str, int, str], ...]
    previous: str
    hash: str
    mac: str = ""

    def line(self) -> bytes:
        """Return the anchor as one line of canonical JSON."""
        return canonical({**_contents(self), "hash": self.hash, "mac": self.mac}) + b"\n"


def _contents(anchor: Anchor) -> dict[str, Any]:
    return {
        "anchor": anchor.number, "at_us": anchor.at_us, "why": anchor.why, "database": anchor.database,
        "generation": anchor.generation, "heads": [list(each) for each in anchor.heads], "previous": anchor.previous,
    }  # fmt: skip


def hash_of(anchor: Anchor) -> str:
    """Return the hash a line must have: of all it says but its hash and mac."""
    return hashlib.sha256(canonical(_contents(anchor))).hexdigest()


def refuse_contradicted(session: Session, last: Anchor) -> None:
    """Raise AnchorError when the database does not hold what *last* says: it must not be blessed by another anchor."""
    wrong = next(_contradictions(session, last, database_of(session)), None)
    if wrong is not None:
        raise AnchorError(f"the database does not hold the last anchor: {wrong[1].detail}")


def made(
    session: Session, after: tuple[int, str], why: str, now_us: int, keys: AuditKeys | None
) -> Anchor:  # fmt: skip
    """Return the anchor of the database as *session* sees it, to be kept *after* (number, hash); (0, "") for the first."""
    database = database_of(session)
    rows = session.rows(HEADS)
    generation = next((row[3] for row in rows if row[0] == GLOBAL), 0)
    number, previous = after[0] + 1, after[1]
    heads = tuple((account, sequence, digest) for account, sequence, digest, _generation in rows)
    made = Anchor(number, now_us, why, database, generation, heads, previous, "")
    digest = hash_of(made)
    mac = "" if keys is None else keys.sign(SIGNED, digest)
    return Anchor(number, now_us, why, database, generation, heads, previous, digest, mac)


def database_of(session: Session) -> str:
    """Return what names this database: the hash of the first entry of GLOBAL; raises AnchorError without one."""
    row = session.row(HASH_AT, account=GLOBAL, sequence=1)
    if row is None:
        raise AnchorError("the journal of GLOBAL has no first entry: there is nothing to anchor")
    return str(row[0])


# -- the log --------------------------------------------------------------------------------------------------


def read(path: Path) -> Iterator[Anchor]:
    """
    Yield the anchors of a log in order.

    Raises AnchorError for a line that is no anchor, or does not follow from the one before: then the log was changed.
    """
    last: Anchor | None = None
    try:
        with open(path, "rb") as file:
            for number, line in enumerate(iter(lambda: file.readline(LINE_BYTES_MAX), b""), 1):
                if not line.endswith(b"\n"):
                    raise AnchorError(f"line {number} of `{path}` is cut off: {_REMEDY}")
                last = _parsed(path, number, line, last)
                yield last
    except OSError as e:
        raise AnchorError(f"the anchor log `{path}` cannot be read: {e.strerror}") from None


_REMEDY: Final = "keep it as evidence, and begin another log"


def _parsed(path: Path, number: int, line: bytes, last: Anchor | None) -> Anchor:
    try:
        said = json.loads(line)
        heads = tuple((str(account), int(sequence), str(digest)) for account, sequence, digest in said["heads"])
        anchor = Anchor(
            int(said["anchor"]), int(said["at_us"]), str(said["why"]), str(said["database"]), int(said["generation"]),
            heads, str(said["previous"]), str(said["hash"]), str(said["mac"]),
        )  # fmt: skip
    except (ValueError, KeyError, TypeError):
        raise AnchorError(f"line {number} of `{path}` is no anchor: {_REMEDY}") from None
    if anchor.line() != line or hash_of(anchor) != anchor.hash:
        raise AnchorError(f"line {number} of `{path}` was changed: {_REMEDY}")
    expected, previous = (1, "") if last is None else (last.number + 1, last.hash)
    if anchor.previous != previous or anchor.number != expected:
        raise AnchorError(f"line {number} of `{path}` does not follow from the one before: {_REMEDY}")
    return anchor


def append(path: Path, make: Callable[[Anchor | None, str], Anchor]) -> tuple[Anchor, str]:
    """
    Append what *make* makes of (the last anchor, the log's name) to the log at *path*, made 0600 when it is not there.

    Returns the anchor and the log's name, which is the hash of its first line; synced when this returns. One process at a
    time: the lock goes with the file. Raises AnchorError; then nothing was appended.
    """
    try:
        with _locked(path) as (file, is_new):
            first: Anchor | None = None
            last: Anchor | None = None
            for last in read(path):
                first = first or last
            anchor = make(last, "" if first is None else first.hash)
            end = file.seek(0, os.SEEK_END)
            try:
                file.write(anchor.line())
                file.flush()
                os.fsync(file.fileno())
            except OSError:
                with contextlib.suppress(OSError):
                    file.truncate(end)  # half a line would be one that was cut off
                raise
            if is_new:
                sync_directory(path.parent)
    except OSError as e:
        raise AnchorError(f"the anchor log `{path}` cannot be written: {e.strerror or type(e).__name__}") from None
    return anchor, (first or anchor).hash


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[tuple[BinaryIO, bool]]:
    is_new = not path.exists()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    flags = os.O_CREAT | os.O_APPEND | os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
    descriptor = os.open(path, flags, 0o600)
    with open(descriptor, "r+b", buffering=0) as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise AnchorError(f"the anchor log `{path}` is no ordinary file")
        if status.st_mode & 0o022:
            raise AnchorError(f"others may write to the anchor log `{path}`: run `chmod 600` on it")
        if sys.platform != "win32":
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield file, is_new


# -- does the database still hold them ------------------------------------------------------------------------


def check(session: Session, report: Audit, path: Path, keys: AuditKeys | None) -> None:
    """
    Check that the database holds every anchor of the log at *path*; what it does not is put into *report*.

    Raises AnchorError for a log that cannot be read or was itself changed.
    """
    try:
        database = database_of(session)
    except AnchorError as e:
        report.unproven.append(f"the anchors of `{path}` were not compared: {e}")
        return
    first = last = None
    report.anchors, unsigned, unjudged = 0, 0, 0
    wrong: dict[str, Wrong] = {}
    for anchor in read(path):
        first, last = first or anchor, anchor
        if not anchor.mac:
            unsigned += 1
        elif keys is None or (judged := keys.judge(SIGNED, anchor.hash, anchor.mac)) == "unknown":
            unjudged += 1
        elif judged == "false":
            raise AnchorError(
                f"anchor {anchor.number} of `{path}` carries a mac the key does not make of it: {_REMEDY}"
            )
        found = list(_contradictions(session, anchor, database))
        for account, each in found:
            wrong.setdefault(account, each)  # the first anchor that is contradicted
        report.anchors += not found
    for account, each in wrong.items():
        report.of(account).wrong.append(each)
    if unjudged:
        report.unproven.append(
            f"the macs of {unjudged} anchors of `{path}` were not judged: their audit key is not at hand"
        )
    if unsigned and keys is not None:
        report.unproven.append(f"{unsigned} anchors of `{path}` carry no mac: they were kept without the key")
    if first is None or last is None:
        report.unproven.append(f"`{path}` holds no anchor")
        return
    known = remembered_number(session, first.hash)
    if known > last.number:
        said = f"the anchor log `{path}` ends at anchor {last.number}, the database remembers {known}: it was cut"
        report.of(GLOBAL).wrong.append(Wrong(None, "anchor", said))


def _contradictions(session: Session, anchor: Anchor, database: str) -> Iterator[tuple[str, Wrong]]:
    if anchor.database != database:
        yield (
            GLOBAL,
            Wrong(
                1, "anchor", f"anchor {anchor.number} is of another database, or of this one before it was made anew"
            ),
        )
        return
    heads = {row[0]: row[1] for row in session.rows(HEADS)}
    for account, sequence, digest in anchor.heads:
        row = session.row(HASH_AT, account=account, sequence=sequence)
        if row is None:
            there = heads.get(account, 0)
            said = (
                f"anchor {anchor.number} is ahead of the database: the journal of `{account}` had come to {sequence}, and "
                f"ends at {there}: its end was cut off, or an older backup was restored"
            )
            yield account, Wrong(there + 1, "anchor", said)
        elif row[0] != digest:
            said = f"sequence {sequence} of `{account}` is not the one anchor {anchor.number} holds: it was rewritten since"
            yield account, Wrong(sequence, "anchor", said)


def remembered(session: Session) -> Iterator[dict[str, Any]]:
    """Yield what the database knows of the anchors it gave, newest first: log, number, hash, generation."""
    for (detail,) in session.rows(REMEMBERED, most=REMEMBERED_MAX):
        with contextlib.suppress(ValueError, KeyError, TypeError):
            said = json.loads(detail)
            yield {"log": str(said["log"]), "number": int(said["number"]), "hash": str(said["hash"]),
                   "generation": int(said["generation"])}  # fmt: skip


def remembered_number(session: Session, log: str) -> int:
    """Return how far the database knows a log had come."""
    return max((each["number"] for each in remembered(session) if each["log"] == log), default=0)
