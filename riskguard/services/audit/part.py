"""
One part of an account's chain, from one sequence to another: its entries, their macs, and what hangs on them.

Parts are judged apart, by several processes: the hash before the first entry is taken as the row there says, and the
part before proves that row.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import json
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from riskguard.core.state import INACTIVE_WORDS
from riskguard.home import sqlite_path
from riskguard.services.audit.chain import Entry, true_of
from riskguard.services.audit.hanging import Hanging
from riskguard.services.audit.reading import snapshot
from riskguard.store.journal import PART, SIGNED, Walker, Wrong
from riskguard.store.queries.audit import HASH_AT, SEALS
from riskguard.store.secrets import audit_key
from riskguard.store.secrets.audit_key import AuditKeys
from riskguard.store.session import Session, Store

ROWS_AT_ONCE: Final = 250
"""Entries in memory at once: no more than the caches of a core hold, or each would be fetched again at every step."""
SEAL: Final = "audit_key"
"""What an OVERRIDE says by which somebody who has the key answers for all entries before it."""
REPLAY_SAID_MAX: Final = 20


@dataclass(slots=True)
class Claims:
    """
    What entries that are no orders say of other tables: few, so that they are kept.

    Attributes:
        acts: By sequence, the row of `control_actions` behind it. changes: By id, (sequence, the row).
        in_force: By owner, (sequence, newest change, digest of its limits). kills: KILL entries by sequence.
        latch: The last word on the account's own latch: (sequence, does it halt, by, reason); None: no word,
            as *by* of what SQL wrote.
    """

    acts: dict[int, dict[str, Any]] = field(default_factory=dict)
    changes: dict[int, tuple[int, dict[str, Any]]] = field(default_factory=dict)
    in_force: dict[str, tuple[int, int, str]] = field(default_factory=dict)
    kills: dict[int, dict[str, Any]] = field(default_factory=dict)
    latch: tuple[int, bool, str | None, str] | None = None

    def take(self, account: str, row: tuple[Any, ...], said: dict[str, Any]) -> None:
        """Take one entry's claims."""
        sequence, kind = row[0], row[2]
        if "act" in said:
            self.acts[sequence] = said["act"]
        changes = said.get("changes") or [] if kind in ("ADOPTED", "KILL") else []
        for each in changes:
            self.changes[each["row"]] = (sequence, each)
        newest = max((each["row"] for each in changes), default=0)
        for owner, digest in said.get("in_force", {}).items():
            self.in_force[owner] = (sequence, newest, digest)
        if kind == "KILL":
            self.kills[sequence] = {name: said[name] for name in ("scope", "kill_id", "plan", "cause", "by", "reason")}
            self.kills[sequence]["at_us"] = row[5]
        self._take_latch(account, sequence, kind, said, changes)

    def _take_latch(
        self, account: str, sequence: int, kind: str, said: dict[str, Any], changes: list[dict[str, Any]]
    ) -> None:
        own = "GLOBAL" if account == "GLOBAL" else f"ACCOUNT:{account}"
        if kind == "KILL" and said["scope"] == own:
            self.latch = (sequence, True, said["by"], said["reason"])
        elif kind == "INIT" or (kind == "RELEASE" and not said.get("only")):
            self.latch = (sequence, False, said["by"], said.get("reason", said.get("act", {}).get("reason", "")))
        elif kind == "ADOPTED":
            for each in changes:
                if each["type"] == "KILL_SWITCH" and each["account"] == account and each["new"]:
                    status = str(json.loads(each["new"])["kill_switch_status"] or "").upper()
                    self.latch = (sequence, status not in INACTIVE_WORDS, None, "")

    def merge(self, later: Claims) -> None:
        """Take the claims of the next part of the same account."""
        self.acts |= later.acts
        self.changes |= later.changes
        self.in_force |= later.in_force
        self.kills |= later.kills
        self.latch = later.latch or self.latch


@dataclass(slots=True)
class Part:
    """
    What was found in one part.

    Attributes:
        rows: Entries found true, from the first on. last_hash: Of the last of them.
        signed, unjudged: Entries whose mac was judged true, and those whose mac nobody could judge: no key at hand.
        unknown: (sequence, key id) of the first mac of a key that is not at hand.
        unsigned: The first entry without a mac after the last seal of this part; None: none.
        unsigned_late: The first of them behind an entry with a mac. first_signed: The first entry with a true mac.
        seal: Sequence of the last seal, by which somebody with the key answers for what stands before it.
    """

    account: str
    first: int
    last: int
    rows: int = 0
    last_hash: str = ""
    wrong: Wrong | None = None
    signed: int = 0
    unjudged: int = 0
    unknown: tuple[int, str] | None = None
    unsigned: int | None = None
    unsigned_late: int | None = None
    first_signed: int | None = None
    seal: int | None = None
    permits: int = 0
    violations: int = 0
    claims: Claims = field(default_factory=Claims)
    replay_disagrees: list[int] = field(default_factory=list)


def walk(
    session: Session, account: str, first: int, last: int, *, keys: AuditKeys | None = None, replay: bool = False,
    archives: tuple[sqlite3.Connection, ...] = (), on_rows: Callable[[int], None] = lambda _rows: None,
) -> Part:  # fmt: skip
    """Judge the entries *first* to *last* of *account*; stops at the first that is wrong."""
    before = session.row(HASH_AT, account=account, sequence=first - 1) if first > 1 else None
    part = Part(account, first, last)
    walker = Walker(account, first, "" if before is None else before[0])
    hung = Hanging(session, account, archives)
    while part.wrong is None and walker.next <= last:
        most = min(ROWS_AT_ONCE, last - walker.next + 1)
        rows = session.rows(PART, account=account, after=walker.next - 1, most=most)
        if before is None and first > 1 and rows and walker.next == first:
            walker.previous = rows[0][7]  # the row before is missing, which the part before says
        entries, part.wrong = true_of(walker, rows)
        _judge_macs(part, keys, entries)
        try:
            if (wrong := hung.wrong(entries)) is not None:
                part.wrong = wrong
                entries = [each for each in entries if each[0][0] < (wrong.sequence or 0)]
            _take(session, part, entries, replay)
        except (KeyError, TypeError, AttributeError, ValueError) as e:
            said = f"an entry says what riskguard does not write: {e!r}"
            part.wrong = Wrong(entries[0][0][0], "content", said)
        on_rows(len(entries))
        if part.wrong is None and len(rows) < most:
            ends = f"sequence {walker.next} is missing and all after it: rows were cut off the end"
            part.wrong = Wrong(walker.next, "cut", ends)
    part.permits, part.violations = hung.permits, hung.violations
    return part


def _take(session: Session, part: Part, entries: list[Entry], replay: bool) -> None:
    for row, said in entries:
        if row[2] not in ("ORDER", "MODIFY"):
            part.claims.take(part.account, row, said)
        elif replay and len(part.replay_disagrees) < REPLAY_SAID_MAX and not _comes_out_again(session, row[6]):
            part.replay_disagrees.append(row[0])
    part.rows += len(entries)
    if entries:
        part.last_hash = entries[-1][0][8]


def _comes_out_again(session: Session, body: str) -> bool:
    from riskguard.services.overview import replay

    return replay(session, json.loads(body)) is not False


def _judge_macs(part: Part, keys: AuditKeys | None, entries: list[Entry]) -> None:
    """Judge the macs of *entries*; what comes from the first wrong one on is taken out of them."""
    if entries and not any([row[9] for row, _said in entries]):
        _unsigned(part, entries[0][0][0])
        return
    for at, (row, said) in enumerate(entries):
        wrong = _judge_mac(part, keys, row, said)
        if wrong is not None:
            part.wrong = wrong
            del entries[at:]
            return


def _unsigned(part: Part, sequence: int) -> None:
    if part.unsigned is None:
        part.unsigned = sequence
    if part.unsigned_late is None and part.first_signed is not None:
        part.unsigned_late = sequence


def _judge_mac(part: Part, keys: AuditKeys | None, row: tuple[Any, ...], said: dict[str, Any]) -> Wrong | None:
    sequence, digest, mac = row[0], row[8], row[9]
    if not mac:
        _unsigned(part, sequence)
        return None
    if keys is None:
        part.unjudged += 1
        return None
    judged = keys.judge(SIGNED, digest, mac)
    if judged == "false":
        return Wrong(sequence, "mac", f"the mac of sequence {sequence} is not one the key makes of it")
    if judged == "unknown":
        part.unknown = part.unknown or (sequence, mac.partition(":")[0][:16])
        part.unjudged += 1
        return None
    part.signed += 1
    if part.first_signed is None:
        part.first_signed = sequence
    if is_seal(row[2], said):
        part.seal, part.unsigned, part.unsigned_late = sequence, None, None
    return None


def is_seal(kind: str, said: dict[str, Any]) -> bool:
    """Say whether an entry is one by which somebody who has the key answers for all that stands before it."""
    return kind == "OVERRIDE" and said.get("what") == SEAL


def sealed_after(session: Session, account: str, sequence: int, keys: AuditKeys) -> bool:
    """Say whether a true seal stands after *sequence*, by the hash it has in its row."""
    for _sequence, digest, mac, body in session.rows(SEALS, account=account, after=sequence):
        with contextlib.suppress(ValueError, AttributeError):
            if json.loads(body).get("what") == SEAL and keys.judge(SIGNED, digest, mac) == "true":
                return True
    return False


@contextlib.contextmanager
def archives_of(store: Store) -> Any:
    """Give read-only connections to the archive files beside a SQLite database that can be read; none on a server."""
    path = sqlite_path(store.url)
    with contextlib.ExitStack() as opened:
        found = []
        if path is not None:
            from riskguard.services.upkeep import files
            from riskguard.store.engines import sqlite as lite

            for archive in files.archives(path).values():
                with contextlib.suppress(sqlite3.Error):
                    connection = sqlite3.connect(f"file:{lite._uri(archive)}?mode=ro", uri=True, timeout=5)
                    opened.enter_context(contextlib.closing(connection))
                    connection.execute("SELECT 1 FROM risk_violations LIMIT 1").fetchone()
                    found.append(connection)
        yield tuple(found)


def walk_apart(task: tuple[str, str, int, int, bool]) -> Part:
    """Judge one part in a process of its own: its own connection, its own instant, its own key."""
    url, account, first, last, replay = task
    session, archives = _reading_apart(url)
    return walk(session, account, first, last, keys=audit_key.at_hand(), replay=replay, archives=archives)


_open_apart = contextlib.ExitStack()
"""What a process of its own reads through, until it ends: opening it for each part would cost a tenth of the part."""


@functools.cache
def _reading_apart(url: str) -> tuple[Session, tuple[sqlite3.Connection, ...]]:
    gc.disable()  # nothing here makes cycles, and what is kept is small
    store = Store(url)
    archives = _open_apart.enter_context(archives_of(store))
    return _open_apart.enter_context(snapshot(store)), archives
