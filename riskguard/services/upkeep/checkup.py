"""
A look at the whole database: what is wrong with it, what might become so, and the way out of each.

Reads only, from one instant, and takes no lock: checks and sweeps go on meanwhile.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import sqlalchemy as sa

from riskguard.clock import SystemClock
from riskguard.errors import SettingsError
from riskguard.ports import Clock
from riskguard.services.settings import DatabaseSettings, read_settings
from riskguard.services.upkeep import archive_file, files
from riskguard.store import halt, inspect, journal
from riskguard.store import upkeep_runs as record
from riskguard.store.engines import sqlite as lite
from riskguard.store.engines.sqlite_store import SqliteSession
from riskguard.store.generation import generation_path, read_generation
from riskguard.store.session import GLOBAL, Session, Store
from riskguard.store.statements import fixed, prepare
from riskguard.store.tables.control import control_changes
from riskguard.store.tables.funds import funds
from riskguard.store.tables.journal import account_heads
from riskguard.store.tables.orders import order_events, orders
from riskguard.store.tables.portfolio import holdings, positions
from riskguard.store.tables.quarantine import quarantine
from riskguard.store.tables.snapshots import snapshots
from riskguard.store.tables.statements import trades

Severity = Literal["error", "warning", "info"]

DAY_US = 86_400_000_000
BACKUP_AGE_DAYS_MAX = 3
"""Two days off and a holiday: older than that, and nobody makes backups."""
WAL_BYTES_WORRY = 64 * 1024 * 1024
FREE_BYTES_MIN = 256 * 1024 * 1024
SHOWN_MAX = 20

_h = account_heads.c
HEADS = prepare(sa.select(_h.account, _h.generation).order_by(_h.account))
_q = quarantine.c
IN_QUARANTINE = prepare(
    sa.select(_q.source_table, sa.func.count())
    .where(_q.in_table == fixed(0))
    .group_by(_q.source_table)
    .order_by(_q.source_table)
)
NOT_ADOPTED = prepare(
    sa.select(sa.func.count()).select_from(control_changes).where(control_changes.c.is_adopted == fixed(0))
)


@dataclass(frozen=True, slots=True)
class Finding:
    """
    One thing found.

    Attributes:
        severity: `error` (do not trade on it), `warning` (see to it), `info` (worth knowing).
        code: Stable word for programs. what: the thing and its value. way_out: what to do.
    """

    severity: Severity
    code: str
    what: str
    way_out: str


def findings(store: Store, *, quick: bool = False, clock: Clock | None = None) -> list[Finding]:
    """
    Look at everything and return what is to be said, the worst first.

    *quick* leaves out what reads the whole file: SQLite's own check, the journals' chains, rows without their
    other half. Raises StoreUnavailableError when the file cannot be opened at all.
    """
    now_us = (clock or SystemClock()).now_us()
    found: list[Finding] = []
    with contextlib.closing(lite.connect(store.path, durable=False)) as connection:
        try:
            connection.execute("BEGIN")
            session = SqliteSession(store, connection, False, False)
            settings = _settings(session, found)
            parts = [_schema, _generation, _control, _quarantined]
            parts += [] if quick else [_whole, _chains, _orphans]
            for part in parts:
                _ask(found, part(store, session), store)
            _ask(found, _upkeep(store, session, settings, now_us), store)
        finally:
            with contextlib.suppress(sqlite3.Error):
                connection.rollback()
    found += _permissions(store)
    found += _space(store)
    found += _archives(store)
    weight = {"error": 0, "warning": 1, "info": 2}
    return sorted(found, key=lambda each: weight[each.severity])


def _ask(found: list[Finding], part: Iterator[Finding], store: Store) -> None:
    """Take what one part finds; what cannot be read hides nothing that another part can."""
    try:
        found.extend(part)
    except sqlite3.Error as e:
        found.append(Finding("error", "unreadable", f"`{store.path}`: {e}", "stop trading, restore a backup"))


def _settings(session: Session, found: list[Finding]) -> DatabaseSettings:
    try:
        return read_settings(session)
    except (SettingsError, sqlite3.Error) as e:
        found.append(Finding("error", "settings", str(e), "correct the `config` row"))
        return DatabaseSettings()


# -- the file ----------------------------------------------------------------------------------------------------------


def _schema(_store: Store, session: Session) -> Iterator[Finding]:
    for each in inspect.drift(session.connection)[:SHOWN_MAX]:
        yield Finding("error", "drift", each, "undo what was added or changed by hand, or restore a backup")


def _whole(store: Store, session: Session) -> Iterator[Finding]:
    try:
        wrong = inspect.integrity(session.connection)
    except sqlite3.DatabaseError as e:
        wrong = [f"integrity: {e}"]
    for each in wrong:
        yield Finding("error", "integrity", each, "stop trading, keep the file, restore a backup")
    broken: dict[tuple[str, str], int] = {}
    for table, _row, parent, _key in session.connection.execute("PRAGMA foreign_key_check"):
        broken[table, parent] = broken.get((table, parent), 0) + 1
    for (table, parent), count in broken.items():
        yield Finding(
            "error", "foreign-key", f"{count} rows of `{table}` name no row of `{parent}`", "restore a backup"
        )


def _chains(_store: Store, session: Session) -> Iterator[Finding]:
    yield from chains(session)


def chains(session: Session) -> Iterator[Finding]:
    """Walk every account's journal; of a server this is the part that is ours to look at, besides the schema."""
    for account, _generation in session.rows(HEADS):
        rows, wrong = journal.verify(session, account)
        if wrong:
            what = f"journal of `{account}`: {wrong} ({rows} rows before it are true)"
            yield Finding("error", "journal", what, "keep the database as it is: `riskguard audit verify`")


def _generation(store: Store, session: Session) -> Iterator[Finding]:
    known = dict(session.rows(HEADS)).get(GLOBAL, 0)
    on_disk = read_generation(store.path)
    path = generation_path(store.path)
    if on_disk is None:
        yield Finding("error", "generation", f"`{path}` cannot be read: everything is halted", "`riskguard status`")
    elif on_disk > known:
        what = f"`{path.name}` says {on_disk}, the database {known}: an older one was restored, everything is halted"
        yield Finding("error", "generation", what, "look at what is missing, then `riskguard release`")
    elif on_disk < known:
        what = f"`{path.name}` says {on_disk}, the database {known}: a restored backup would not be noticed"
        yield Finding("warning", "generation", what, "the next kill or release writes it anew")


def _control(_store: Store, session: Session) -> Iterator[Finding]:
    (count,) = session.row(NOT_ADOPTED) or (0,)
    if count:
        what = f"{count} changes to limits or latch by SQL are not in the journal yet"
        yield Finding("info", "control", what, "the next check or sweep takes them over")


def _quarantined(_store: Store, session: Session) -> Iterator[Finding]:
    for table, count in session.rows(IN_QUARANTINE):
        what = f"{count} rows of `{table}` are in quarantine"
        yield Finding("info", "quarantine", what, "`SELECT reason, raw FROM quarantine`: docs/how-to/upgrade.md")


# -- rows whose other half is missing ----------------------------------------------------------------------------------


def _orphans(_store: Store, session: Session) -> Iterator[Finding]:
    """A list's rows without their header prove nothing; fills and events may well be here before their order."""
    for table in (positions, holdings, funds):
        asked = (
            sa.select(sa.func.count())
            .select_from(table)
            .where(table.c.snapshot_id != fixed(0), ~sa.exists().where(snapshots.c.id == table.c.snapshot_id))
        )
        (count,) = session.row(prepare(asked)) or (0,)
        if count:
            what = f"{count} rows of `{table.name}` have no header in `snapshots`: no check reads them"
            yield Finding("warning", "orphans", what, "`riskguard db archive` finishes what it began; else harmless")
    for table in (order_events, trades):
        asked = sa.select(sa.func.count()).select_from(table).where(~sa.exists().where(orders.c.id == table.c.order_id))
        (count,) = session.row(prepare(asked)) or (0,)
        if count:
            what = f"{count} rows of `{table.name}` name an order that is not here"
            yield Finding("info", "orphans", what, "allowed: they may come before it, or it is in an archive")


# -- what surrounds it -------------------------------------------------------------------------------------------------


def _permissions(store: Store) -> Iterator[Finding]:
    """State that others can read gives positions away; state that others can write gives the halt away."""
    wanted: list[tuple[Path, int, bool]] = [(Path(f"{store.path}{end}"), 0o600, False) for end in ("", "-wal", "-shm")]
    wanted.append((generation_path(store.path), 0o600, False))
    wanted += [(path, 0o600, False) for path in files.archives(store.path).values()]
    wanted += [(path, 0o600, False) for path in files.backups(store.path, store.path.parent)]
    for directory in store.directories:
        wanted += [(directory / name, 0o700, True) for name in (halt.HALT, halt.ARMED, halt.GATE)]
    for path, mode, must_be in wanted:
        try:
            status = os.stat(path)
        except FileNotFoundError:
            if must_be:
                # Not an error of the file: without it nobody is let through.
                says, way_out = "a kill has less to hold on to", f"`mkdir -m 700 {path}`"
                if path.name == halt.HALT:  # made by hand it would let everybody go, and nobody would have said so
                    says, way_out = "everything is halted", "`riskguard release --all` brings it back"
                yield Finding("warning", "halt-directory", f"`{path}` is missing: {says}", way_out)
            continue
        except OSError as e:
            yield Finding("error", "permissions", f"`{path}`: {e.strerror}", "run it as the owner")
            continue
        found = stat.S_IMODE(status.st_mode)
        if found & 0o077 & ~mode:
            what = f"`{path}` is {found:o}: others of this machine can get at it"
            yield Finding("warning", "permissions", what, f"`chmod {mode:o} {path}`")
        if status.st_uid != os.geteuid():
            what = f"`{path}` belongs to user {status.st_uid}, not to {os.geteuid()}"
            yield Finding("warning", "permissions", what, "run riskguard as one user")


def _space(store: Store) -> Iterator[Finding]:
    with contextlib.suppress(OSError):
        size = os.stat(f"{store.path}-wal").st_size
        if size > WAL_BYTES_WORRY:
            what = f"`{store.path.name}-wal` has {size} bytes: nobody checkpoints, or a reader never ends"
            yield Finding("warning", "wal", what, "start `riskguard run`; close programs that sit on an open read")
    with contextlib.suppress(OSError):
        room = files.free_bytes(store.path.parent)
        if room < FREE_BYTES_MIN:
            what = f"`{store.path.parent}` has {room} bytes free"
            yield Finding("warning", "disk", what, "make room: a full disk refuses every order that adds risk")


def _upkeep(store: Store, session: Session, settings: DatabaseSettings, now_us: int) -> Iterator[Finding]:
    """How old the newest backup is, and what the last daily runs came to."""
    done = session.row(record.LAST_DONE, kind="backup")
    made = [] if done is None or done[0] is None else [int(done[0])]
    places = {store.path.parent, Path(os.path.expanduser(settings.backup_directory or store.path.parent))}
    for place in places:
        for path in files.backups(store.path, place):
            with contextlib.suppress(OSError):
                made.append(int(path.stat().st_mtime * 1_000_000))
    if not made:
        yield Finding("warning", "backup", "no backup was ever made", "`riskguard db backup`")
    elif now_us - max(made) > BACKUP_AGE_DAYS_MAX * DAY_US:
        days = (now_us - max(made)) // DAY_US
        yield Finding("warning", "backup", f"the newest backup is {days} days old", "`riskguard db backup`")
    for kind in ("backup", "archive", "vacuum"):
        last = session.row(record.LAST, kind=kind)
        if last is not None and last[3] == "FAILED":
            with contextlib.suppress(ValueError, AttributeError):
                why = json.loads(last[4]).get("error", "no reason kept")
                yield Finding("warning", "upkeep", f"the {kind} of {last[0]} failed: {why}", f"`riskguard db {kind}`")


def _archives(store: Store) -> Iterator[Finding]:
    for each in archive_file.listed(store.path):
        if each.wrong:
            yield Finding("warning", "archive", f"`{each.path}` {each.wrong}", "restore it from where you keep backups")
