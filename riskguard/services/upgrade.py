"""
`db upgrade`: an old database to this version's schema, in one rename, with everything it holds.

The order is what makes it safe: hold the old file, prove a backup, build the new file beside it, read it
back, and only then let it take the old one's place. Until that rename nothing of the old file is touched.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa

from riskguard.clock import SystemClock
from riskguard.core.rulebook import parse
from riskguard.errors import DatabaseMissingError, StoreUnavailableError, UpgradeError
from riskguard.home import sqlite_path, state_directories
from riskguard.locate import rulebook_text
from riskguard.ports import Clock
from riskguard.services.kill import latch
from riskguard.services.settings import DatabaseSettings, save_settings
from riskguard.services.setup import migrate
from riskguard.store import controls, halt, inspect, journal
from riskguard.store.bounds import TERMINAL_STATUSES
from riskguard.store.engines import sqlite as lite
from riskguard.store.engines.sqlite_store import SqliteSession
from riskguard.store.generation import write_generation
from riskguard.store.migration import backup, control, mapping, rows
from riskguard.store.migration.control import Found, Unit
from riskguard.store.migration.sealing import Sealing
from riskguard.store.migration.source import Source, hold, spelled
from riskguard.store.secrets.envelope import Keys
from riskguard.store.secrets.keys import usable
from riskguard.store.session import ADD_ACCOUNT, ADD_HEAD, GLOBAL, Session, Store
from riskguard.store.statements import fixed, insert_into, param, prepare
from riskguard.store.tables import metadata
from riskguard.store.tables.authentication import CONFIG_ROWS, config
from riskguard.store.tables.quarantine import quarantine

log = logging.getLogger("riskguard")

SUFFIX = ".upgrading"
BESIDE = ("", "-wal", "-shm", "-journal")
DISK = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
PLAN = "halt"
"""What a kill carried over does: it holds. Nobody expects an upgrade to cancel orders at the broker."""

_c = config.c
SEED = insert_into(config, "key", "value", "data_type", "category", "description", "updated_at", ignore=True)
IS_SCHEMA = prepare(sa.update(config).where(_c.key == fixed("schema_version")).values(value=param("to_value")))
TYPED = prepare(
    sa.update(config).where(_c.key == param("of_key")).values(data_type=param("to_type"), category=param("to_category"))
)
_q = quarantine.c
_status = sa.func.upper(sa.func.coalesce(sa.func.json_extract(_q.raw, fixed("$.status")), fixed("")))
LIVE_AND_HIDDEN = prepare(
    sa.select(sa.func.count())
    .select_from(quarantine)
    .where(
        _q.source_table == fixed("orders"),
        _q.in_table == fixed(0),
        _status.not_in([fixed(word) for word in TERMINAL_STATUSES]),
    )
)

Progress = Callable[[str, int, int], None]
Stage = Callable[[str], None]


@dataclass(slots=True)
class Upgraded:
    """
    What an upgrade did.

    Attributes:
        kills: Who is halted now, and why. limits: what was carried over, what was not, what was added.
        notes: Anything else a person should look at.
    """

    path: Path
    version: int
    already: bool = False
    backup: Path | None = None
    accounts: tuple[str, ...] = ()
    tables: list[rows.Copied] = field(default_factory=list)
    kills: list[str] = field(default_factory=list)
    limits: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0


def upgrade(
    url: str, *, position_size_unit: Unit | None = None, rulebook: str = "default", by: str = "db upgrade",
    clock: Clock | None = None, on_progress: Progress = lambda _what, _done, _total: None,
    on_stage: Stage = lambda _name: None,
) -> Upgraded:  # fmt: skip
    """
    Bring the database at *url* to this version's schema; one that is there already is left alone.

    *on_stage* is told before each stage begins. Whatever raises, the old file stays as it was.

    Raises:
        UpgradeError: Unknown, newer, damaged or locked file, a disk that takes no more, a missing unit.
        DatabaseMissingError, SettingsError, RulebookError, SecretKeyError (a key file others can read): nothing was
        begun.
    """
    began = time.monotonic()
    found = _identify(url)
    if found.kind == "riskguard" and found.version == lite.SCHEMA_VERSION:
        return Upgraded(found.path, found.version, already=True)
    _refuse_unknown(found)
    text = rulebook_text(rulebook)
    parse(text, account="leader")
    keys = usable()
    path = Path(os.path.realpath(found.path))  # a rename onto a link would replace the link
    clock = clock or SystemClock()
    done = Upgraded(path, found.version)
    with _one_line(path):
        _require_writable(path)
        source = hold(path, found.version)
        with contextlib.closing(source):
            mapping.require(source)
            wanted = control.read(source)
            if wanted.has_size and position_size_unit is None:
                raise UpgradeError(
                    "a `position_size_limit` is set and schema 3 has no unit for it: say `--position-size-unit units`, "
                    f"`lots` or `inr`; `{path}` is untouched"
                )
            on_stage("backup")
            done.backup = backup.take(source, clock.now_us(), on_progress)
            made = _Building(source, wanted, position_size_unit, text, by, clock.now_us(), done, keys)
            try:
                made.build(on_progress, on_stage)
                for directory in state_directories(url):
                    halt.prepare_new(directory)  # what was lost, a release brings back
                on_stage("swap")
                _swap(source, made)
            except BaseException:
                made.discard()
                if not made.swapped:  # the old file is all there, and attempts must not fill the disk with copies of it
                    with contextlib.suppress(OSError):
                        done.backup.unlink(missing_ok=True)
                raise
    if made.generation:
        try:
            write_generation(path, made.generation)
        except OSError as e:  # the upgraded database stands; only a backup restored later would go unnoticed
            log.warning("the GENERATION file beside %s is not written: %s", path, e)
    done.seconds = time.monotonic() - began
    return done


def _identify(url: str) -> inspect.Identity:
    """Say what the file is; where it cannot be read because nothing can be written beside it, say that."""
    try:
        return inspect.identify(url)
    except DatabaseMissingError:
        raise
    except StoreUnavailableError:
        path = sqlite_path(url)
        if path is not None:
            _require_writable(Path(os.path.realpath(path)))
        raise


def _require_writable(path: Path) -> None:
    effective = os.access in os.supports_effective_ids
    if not os.access(path.parent, os.W_OK | os.X_OK, effective_ids=effective):
        raise UpgradeError(f"`{path.parent}` is read-only: the backup and the new file must lie beside `{path.name}`")
    if not os.access(path, os.R_OK | os.W_OK, effective_ids=effective):
        raise UpgradeError(f"`{path}` is read-only here; it is untouched")


def _refuse_unknown(found: inspect.Identity) -> None:
    wants = f"this riskguard upgrades schema 1 to 3 to {lite.SCHEMA_VERSION}"
    if found.kind == "riskguard" and found.version > lite.SCHEMA_VERSION:
        raise UpgradeError(f"`{found.path}` has schema {found.version}, newer than this riskguard: update riskguard")
    if found.kind == "riskguard":
        raise UpgradeError(f"`{found.path}` was never finished (schema {found.version}): restore a backup; {wants}")
    if found.kind != "copy-trading":
        raise UpgradeError(
            f"`{found.path}` is no copy-trading database and none of riskguard: {wants}; it is untouched"
        )


@contextlib.contextmanager
def _one_line(path: Path) -> Iterator[None]:
    """Say what the machine refused in words a person can act on."""
    try:
        yield
    except sqlite3.Error as e:
        code = getattr(e, "sqlite_errorcode", 0) & 0xFF
        if lite.is_busy(e):
            raise UpgradeError(f"`{path}` is open in another program ({e}): stop it first; it is untouched") from None
        if code in DISK:
            raise UpgradeError(f"the disk took no more ({e}); `{path}` is untouched") from None
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise UpgradeError(f"`{path}` is damaged ({e}): restore it from a backup; it is untouched") from None
        raise UpgradeError(f"`{path}` cannot be upgraded ({e}); it is untouched") from None
    except OSError as e:
        raise UpgradeError(f"cannot write beside `{path}` ({e.strerror or e}); it is untouched") from None


class _Building:
    """The new database, until it takes the old one's place."""

    def __init__(
        self, source: Source, wanted: Found, unit: Unit | None, rulebook: str, by: str, now_us: int, done: Upgraded,
        keys: Keys | None,
    ) -> None:  # fmt: skip
        self.source, self.wanted, self.unit, self.rulebook = source, wanted, unit, rulebook
        self.by, self.now_us, self.done = by, now_us, done
        self.path = source.path.with_name(source.path.name + SUFFIX)
        self.generation = 0
        self.swapped = False
        self.sealing = Sealing(keys)

    def discard(self) -> None:
        for end in BESIDE:
            with contextlib.suppress(OSError):
                Path(f"{self.path}{end}").unlink(missing_ok=True)

    def build(self, on_progress: Progress, on_stage: Stage) -> None:
        """Make the file, fill it, prove it, and stamp it last: without the stamp nobody opens it."""
        on_stage("create")
        self.discard()  # what a broken attempt left behind; we hold the old file, so nobody is at work on it
        lite.create_file(self.path)
        migrate(self.path)
        with contextlib.closing(sqlite3.connect(self.path, isolation_level=None)) as new:
            # Nobody reads this file before it is synced as a whole: until then speed is free.
            new.execute("PRAGMA journal_mode = MEMORY")
            new.execute("PRAGMA synchronous = OFF")
            new.execute("PRAGMA cache_size = -65536")
            new.execute("DELETE FROM config")  # the operator's come first, ours fill the gaps
            kept = rows.Quarantine(self.source, new, self.now_us, self.sealing)
            self._copy(new, kept, on_progress, on_stage)
            on_stage("control")
            self._control(new, kept)
            on_stage("check")
            wrong = [*inspect.integrity(new), *inspect.drift(new)]
            if wrong:
                raise UpgradeError(f"the new file is not as declared ({wrong[0]}); `{self.source.path}` is untouched")
            on_stage("stamp")
            new.execute(f"PRAGMA application_id = {lite.APPLICATION_ID}")
            new.execute(f"PRAGMA user_version = {lite.SCHEMA_VERSION}")
            new.execute("PRAGMA journal_mode = WAL")
        _like(self.source.path, self.path)
        backup.sync_file(self.path)

    # -- rows ---------------------------------------------------------------------------------------------------

    def _copy(self, new: sqlite3.Connection, kept: rows.Quarantine, on_progress: Progress, on_stage: Stage) -> None:
        made = mapping.plans(self.source)
        strange = mapping.strange(self.source)
        total = sum(self.source.count(name) for name in self.source.tables)
        triggers = _without_triggers(new)
        seen = 0

        def on_rows(count: int) -> None:
            nonlocal seen
            seen += count
            on_progress("rows", seen, total)

        for plan in made:
            on_stage(f"copy {plan.table.name}")
            self.done.tables.append(rows.copy(plan, self.source, new, kept, on_rows))
        for name in strange:
            on_stage(f"copy {name}")
            self.done.tables.append(rows.quarantine_table(name, self.source, kept, new))
        on_stage("verify")
        for number, (plan, copied) in enumerate(zip(made, self.done.tables, strict=False), 1):
            rows.prove(plan, copied, new)
            on_progress("verify", number, len(made))
        for statement in triggers:
            new.execute(statement)
        self._note(new, strange)

    def _note(self, new: sqlite3.Connection, strange: list[str]) -> None:
        notes = self.done.notes
        for copied in self.done.tables:
            notes += [f"{copied.table}: {count} rows in quarantine: {why}" for why, count in copied.reasons.items()]
            if copied.changed:
                notes.append(
                    f"{copied.table}: {copied.changed} rows have values without a place; originals in quarantine"
                )
        notes += [f"virtual table `{name}` was left out; it is in the backup" for name in self.source.virtual]
        own = "SELECT type || ' `' || name || '`' FROM sqlite_master WHERE type IN ('view', 'trigger')"
        ours = set(new.execute(own))
        notes += [
            f"{name} is not one of ours and was left out; it is in the backup"
            for (name,) in self.source.connection.execute(own)
            if (name,) not in ours
        ]
        hidden = new.execute(LIVE_AND_HIDDEN.sql).fetchone()[0]
        if hidden:
            notes.append(f"{hidden} of the orders in quarantine may be LIVE: no sweep and no kill will see them here")
        notes += [f"no account can be called {name!r}" for name in self.wanted.unusable]
        if not self.wanted.accounts:
            notes.append("the file names no account: add one with `riskguard init --account NAME`")
        self._note_doubles(new)
        notes += self.sealing.notes(str(self.done.backup))
        self._note_logs(new)

    def _note_logs(self, new: sqlite3.Connection) -> None:
        """Old programs logged requests as they were: say where a token stands in a log. Evidence is not rewritten."""
        for table in ("audit_log", "error_log"):
            texts = [column for column in metadata.tables[table].columns if isinstance(column.type, sa.Text)]
            shows = sa.or_(*(column.like("%eyJ%.eyJ%") for column in texts))
            statement = spelled(sa.select(sa.func.count()).select_from(metadata.tables[table]).where(shows))
            if count := new.execute(statement).fetchone()[0]:
                self.done.notes.append(
                    f"{table}: {count} rows show an access token, as the old program logged it: end it"
                )

    def _note_doubles(self, new: sqlite3.Connection) -> None:
        said = {
            "rate_limit_tracking": "windows told twice: the newest counts",
            "websocket_connections": "connections told twice: the newest counts",
        }
        for table, what in said.items():
            statement = " ".join(("SELECT count(*) FROM", table, "WHERE superseded = 1"))
            if count := new.execute(statement).fetchone()[0]:
                self.done.notes.append(f"{table}: {count} {what}")
        if self.source.has("auth_tokens", "is_active"):
            asked = "SELECT count(*) FROM auth_tokens WHERE is_active = 1"
            dropped = self.source.connection.execute(asked).fetchone()[0] - new.execute(asked).fetchone()[0]
            if dropped > 0:
                self.done.notes.append(
                    f"auth_tokens: {dropped} switched off: an account has one active token, its newest"
                )

    # -- state --------------------------------------------------------------------------------------------------

    def _control(self, new: sqlite3.Connection, kept: rows.Quarantine) -> None:
        """Write settings, accounts, limits and the latch in one transaction, each with its journal entry."""
        new.execute("BEGIN IMMEDIATE")
        session = SqliteSession(Store(f"sqlite:///{self.path}"), new, True, False)
        self._settings(session)
        accounts = self.done.accounts = self.wanted.accounts
        for owner in (GLOBAL, *accounts):
            session.run(ADD_HEAD, account=owner)
        for account in accounts:
            session.run(ADD_ACCOUNT, account=account, role=account, group_name="", broker="", created_at_us=self.now_us)
        reason = f"carried over from schema {self.source.version}"
        action = controls.open_action(session, GLOBAL, "APPLY", self.by, reason, self.now_us)
        carried = control.carry(session, self.wanted, self.unit, kept, self.now_us // 1_000_000)
        if "traders_control" in self.source.tables:
            self.done.tables.append(carried.done)
            rows.carry_numbering("traders_control", self.source, session.connection)
        self.done.limits = carried.lines
        for account in accounts:
            self._mandatory(session, account, carried.checks.get(account, set()), reason)
            controls.limits(session, account, "")  # what cannot be read would refuse every order from now on
        head = journal.append(
            session, GLOBAL, "APPLY", {"by": self.by, "reason": reason, "carried": list(self.done.limits)}, self.now_us
        )
        controls.close_action(session, action, head.sequence)
        self._latch(session, accounts, reason)
        new.execute("COMMIT")

    def _settings(self, session: Session) -> None:
        now_s = self.now_us // 1_000_000
        untyped = not self.source.has("config", "data_type")
        for key, value, data_type, category, description in CONFIG_ROWS:
            if untyped:  # version 1 and 2 rows say no type; ours of the same name do
                session.run(TYPED, of_key=key, to_type=data_type, to_category=category)
            session.run(
                SEED, key=key, value=value, data_type=data_type, category=category, description=description,
                updated_at=now_s,
            )  # fmt: skip
        session.run(IS_SCHEMA, to_value=str(lite.SCHEMA_VERSION))
        # The desk's own programs push positions and quotes, as they wrote them here before.
        save_settings(session, DatabaseSettings(profile="library"), self.now_us)

    def _mandatory(self, session: Session, account: str, has: set[str], reason: str) -> None:
        """Write the limits without which every order is refused, where the old file has none."""
        session.read_heads(account)
        book = parse(self.rulebook, account=account, author=self.by)
        action = controls.open_action(session, account, "APPLY", self.by, reason, self.now_us)
        added = [limit for limit in book.limits if limit.check.mandatory and limit.check.name not in has]
        for limit in added:
            controls.write_limit(session, account, limit, action, book.digest, self.now_us)
            self.done.limits.append(f"{account}: {limit.id} added from rulebook `{book.name}`: the old file has none")
        contents = {
            "rulebook": book.name, "digest": book.digest, "by": self.by, "reason": reason,
            "added": [limit.id for limit in added], "had": sorted(has),
        }  # fmt: skip
        head = journal.append(session, account, "APPLY", contents, self.now_us)
        controls.close_action(session, action, head.sequence)

    def _latch(self, session: Session, accounts: tuple[str, ...], reason: str) -> None:
        """Halt whoever was halted, or may have been; give all others the journaled row that says they are not."""
        halted = self.wanted.halted
        for owner in (GLOBAL, *accounts):
            if owner in halted:
                continue
            session.read_heads(owner)
            action = controls.open_action(session, owner, "INIT", self.by, reason, self.now_us)
            controls.unlatch(session, owner, self.by, reason, action, self.now_us)
            head = journal.append(session, owner, "INIT", {"by": self.by, "reason": reason}, self.now_us)
            controls.close_action(session, action, head.sequence)
        for owner, why in halted.items():
            scope = GLOBAL if owner == GLOBAL else f"ACCOUNT:{owner}"
            said = f"{reason}: {why}"
            latch.record_kill(session, scope, halt.new_kill_id(), PLAN, "UPGRADE", self.by, said, self.now_us)
            self.done.kills.append(f"{scope} is HALTED: {why}")
        if halted:
            self.generation = controls.advance_generation(session)


def _without_triggers(new: sqlite3.Connection) -> list[str]:
    """Take the triggers off while old rows are poured in, and return them: there is no head yet to bump."""
    found = new.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' ORDER BY rowid").fetchall()
    for name, _sql in found:
        new.execute(f'DROP TRIGGER "{name}"')
    return [sql for _name, sql in found]


def _like(old: Path, new: Path) -> None:
    """Let whoever could read the old file read the new one, and nobody else."""
    status = os.stat(old)
    os.chmod(new, status.st_mode & 0o777)
    if (status.st_uid, status.st_gid) != (os.geteuid(), os.getegid()):
        with contextlib.suppress(PermissionError):
            os.chown(new, status.st_uid, status.st_gid)


def _swap(source: Source, made: _Building) -> None:
    """
    Put the new file in the old one's place, in one rename.

    The old file leaves WAL mode first: its `-wal` would be taken for the new file's, and replayed into it.
    """
    if source.was_wal and source.connection.execute("PRAGMA journal_mode = DELETE").fetchone()[0] != "delete":
        raise StoreUnavailableError(f"`{source.path}` keeps its WAL: another program has it open; it is untouched")
    try:
        os.replace(made.path, source.path)
    except BaseException:
        if source.was_wal:
            source.connection.execute("PRAGMA journal_mode = WAL")
        raise
    made.swapped = True
    with contextlib.suppress(
        OSError
    ):  # the name is taken: only a power cut in this moment could bring the old file back
        halt.sync_directory(source.path.parent)
