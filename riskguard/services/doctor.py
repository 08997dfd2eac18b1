"""
`riskguard doctor`: looks at what nothing else looks at until it is too late.

A finding is one line: how bad, what, and the way out. Each function of `FINDINGS` looks at one thing and is
independent of the others; whoever adds one writes `name(store, now_us) -> Iterable[Finding]` and appends it there.
A function that fails is itself a finding. Nothing is written, and nothing is mended.
"""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from pathlib import Path
from typing import Final

from riskguard.core.calendar import Calendar
from riskguard.errors import RiskGuardError
from riskguard.home import host_home
from riskguard.services.alerts.records import alert_findings
from riskguard.services.audit_health import anchors_kept, audit_keys
from riskguard.services.broker_health import broker_account
from riskguard.services.calendar import looking
from riskguard.services.charges_health import charges
from riskguard.services.finding import Finding, Severity
from riskguard.services.limits import limit_health
from riskguard.services.server_health import postgresql_server
from riskguard.store import halt, loader, market
from riskguard.store.calendar import calendar as trading_calendar
from riskguard.store.engines import mounts
from riskguard.store.engines.sqlite import has_wal_reset_bug
from riskguard.store.queries.doctor import HAS_DERIVATIVES, HELD, LAST_SWEEP, NEWEST, ROW, TRADED
from riskguard.store.session import ACCOUNTS, Store

WAIT_S: Final = 2.0
WARN_DAYS: Final = 60
"""How long before the end of what a table knows somebody is told: a new year's list needs that long to be fetched."""
TRADED_DAYS: Final = 30
"""Whose calendar matters: segments somebody had a line in this long ago or later, beside the equity ones."""
MASTER_AGE_DAYS_MAX: Final = 7
"""Lots, ticks and contracts change with every expiry; a week is one expiry."""
HEARTBEAT_INTERVALS: Final = 3
LISTED_MAX: Final = 5
DAY_US: Final = 86_400_000_000


def examine(open_store: Callable[[], Store], now_us: int) -> list[Finding]:
    """Ask every function of `FINDINGS` and return what they say, worst first. Never raises for what it finds."""
    try:
        store = open_store()
        with store.session(durable=False, wait_s=WAIT_S) as session:
            store.roll_back(session)
    except RiskGuardError as e:
        return [Finding(Severity.ERROR, "database", str(e))]
    found: list[Finding] = []
    try:
        for look in FINDINGS:
            try:
                found += look(store, now_us)
            except Exception as e:  # one broken look must not hide the others
                found.append(
                    Finding(
                        Severity.ERROR,
                        look.__name__.replace("_", " "),
                        f"could not be looked at: {type(e).__name__}: {e}",
                        "run `riskguard db check`",
                    )
                )
    finally:
        store.close()
    order = list(Severity)
    return sorted(found, key=lambda each: -order.index(each.severity))


# -- dated facts ------------------------------------------------------------------------------------------


def _horizon(subject: str, what: str, until: date, today: date, way_out: str) -> Iterator[Finding]:
    """Warn before the last day something is known for; an error after it."""
    left = (until - today).days
    if left < 0:
        yield Finding(Severity.ERROR, subject, f"{what} known until {until}, {-left} days ago", way_out)
    elif left < WARN_DAYS:
        yield Finding(Severity.WARNING, subject, f"{what} known until {until}, {left} days from now", way_out)


def market_tables(store: Store, now_us: int) -> Iterator[Finding]:
    """The dated tables, shipped and the user's own: how long they are good for, and whether they can be read."""
    folder = _user_folder()
    tables, wrong = market.read(folder)
    place = f"a newer table in `{folder}`" if folder is not None else "a newer table in the host directory's `market/`"
    for each in wrong:
        yield Finding(Severity.ERROR, "market tables", f"{each}; it is left out", "mend the file")
    with store.session(durable=False, wait_s=WAIT_S) as session:
        derivatives = session.row(HAS_DERIVATIVES) is not None
        store.roll_back(session)
    for name, until in sorted(tables.horizons().items()):
        if name == "order_values" or derivatives:  # the others say nothing of shares
            yield from _horizon(
                f"market table `{name}`", "its numbers are", until, Calendar.session_date(now_us),
                f"upgrade riskguard, or put {place}",
            )  # fmt: skip


def _user_folder() -> Path | None:
    try:
        return host_home() / market.FOLDER
    except RuntimeError:
        return None


def calendar(store: Store, now_us: int) -> Iterator[Finding]:
    """The trading calendar of what is traded here: your own file, and past its end every day is unknown."""
    since = Calendar.session_date(now_us - TRADED_DAYS * DAY_US).isoformat()
    with store.session(durable=False, wait_s=WAIT_S) as session:
        traded = {row[0] for row in session.rows(TRADED, since=since)}
        store.roll_back(session)
    merged = trading_calendar()
    yield from looking.findings(now_us, merged.segments | (traded & merged.listed))


# -- instruments ------------------------------------------------------------------------------------------


def master_age(store: Store, now_us: int) -> Iterator[Finding]:
    """When the instrument master was last read."""
    with store.session(durable=False, wait_s=WAIT_S) as session:
        newest = max((row[1] for row in session.rows(NEWEST)), default=None)
        store.roll_back(session)
    way_out = "run `riskguard instruments import` with today's master"
    if newest is None:
        yield Finding(Severity.ERROR, "instruments", "none is known: every order is refused", way_out)
        return
    days = (now_us - newest * 1_000_000) // DAY_US
    if days > MASTER_AGE_DAYS_MAX:
        yield Finding(Severity.WARNING, "instruments", f"the newest is {days} days old", way_out)


def held_instruments(store: Store, now_us: int) -> Iterator[Finding]:
    """What accounts hold: unknown to the master, expired, or gone from the newest one."""
    today = loader.session_date(now_us)
    unknown: list[str] = []
    expired: list[str] = []
    gone: list[str] = []
    with store.session(durable=False, wait_s=WAIT_S) as session:
        newest = dict(session.rows(NEWEST))
        held = {
            (segment, security)
            for (account, *_) in session.rows(ACCOUNTS)
            for segment, security in session.rows(HELD, account=account, today=today)
        }
        for segment, security in sorted(held):
            row = session.row(ROW, exchange_segment=segment, security_id=security)
            if row is None or not row[3]:
                unknown.append(f"{segment}:{security}")
                continue
            symbol, expiry, updated_s, _ = row
            if expiry and expiry[:10] < today:
                expired.append(f"{symbol} ({expiry[:10]})")
            elif updated_s < newest[segment]:
                gone.append(f"{symbol} ({segment}:{security})")
        store.roll_back(session)
    way_out = "run `riskguard instruments import` with today's master"
    if unknown:
        yield Finding(Severity.ERROR, "positions", f"held and not in the master: {_listed(unknown)}", way_out)
    if expired:
        yield Finding(
            Severity.ERROR, "positions", f"held and expired: {_listed(expired)}", "look at the broker's position list"
        )
    if gone:
        yield Finding(Severity.WARNING, "positions", f"held and not in the newest master: {_listed(gone)}", way_out)


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - LISTED_MAX} more" if len(names) > LISTED_MAX else ""
    return ", ".join(f"`{name}`" for name in names[:LISTED_MAX]) + more


# -- the host -----------------------------------------------------------------------------------------------


def sqlite_version(store: Store, now_us: int) -> Iterator[Finding]:
    """Whether this SQLite can corrupt a file two programs checkpoint at once."""
    if store.dialect == "sqlite" and has_wal_reset_bug():
        yield Finding(
            Severity.WARNING,
            "sqlite",
            f"SQLite {sqlite3.sqlite_version} has the WAL-reset bug; riskguard checkpoints around it, other programs may not",
            "use a Python with SQLite 3.51.3 or newer, and let no other program checkpoint the file",
        )


def file_systems(store: Store, now_us: int) -> Iterator[Finding]:
    """Whether the database and the halt directories lie where locks and listings can be relied on."""
    if store.dialect == "sqlite" and mounts.kind_of(store.path) in mounts.SHARED:
        yield Finding(
            Severity.WARNING, "file system", f"`{store.path}` lies on `{mounts.kind_of(store.path)}`",
            "sound only while this machine alone uses it: a local disk, or postgresql://…",
        )  # fmt: skip
    for directory in store.directories:
        kind = mounts.kind_of(directory)
        if kind in mounts.NETWORK:
            yield Finding(
                Severity.ERROR, "file system", f"`{directory}` lies on `{kind}`: a flag may be seen seconds late",
                "set RISKGUARD_HOME to a local directory",
            )  # fmt: skip


def permissions(store: Store, now_us: int) -> Iterator[Finding]:
    """Who else may read or replace the files that hold state."""
    files = [Path(f"{store.path}{tail}") for tail in ("", "-wal", "-shm", ".GENERATION")]
    for path in files:
        mode = _mode(path)
        if mode is not None and mode & 0o077:
            severity = Severity.ERROR if mode & 0o022 else Severity.WARNING
            yield Finding(severity, "permissions", f"`{path}` is {mode:04o}: others may use it", f"chmod 600 '{path}'")
    for directory in store.directories:
        mode = _mode(directory)
        if mode is not None and mode & 0o022 and not mode & stat.S_ISVTX:
            yield Finding(
                Severity.ERROR, "permissions", f"`{directory}` is {mode:04o}: others may replace the database or a halt",
                f"chmod 700 '{directory}'",
            )  # fmt: skip
        for name in (halt.HALT, halt.ARMED, halt.GATE):
            mode = _mode(directory / name)
            if mode is not None and mode & 0o077:
                severity = Severity.ERROR if mode & 0o022 else Severity.WARNING
                place = directory / name
                yield Finding(severity, "permissions", f"`{place}` is {mode:04o}", f"chmod 700 '{place}'")


def _mode(path: Path) -> int | None:
    """Return a file's permission bits; None when it is not there."""
    try:
        return stat.S_IMODE(os.stat(path).st_mode)
    except OSError:
        return None


def halt_directories(store: Store, now_us: int) -> Iterator[Finding]:
    """The places a kill needs: without `halt/` everything reads as halted, without spares a full disk is in the way."""
    for directory in store.directories:
        try:
            flags = sorted(os.listdir(directory / halt.HALT))
        except OSError as e:
            yield Finding(
                Severity.ERROR, "halt", f"`{directory / halt.HALT}` cannot be read ({e.strerror}): everything is halted",
                "`riskguard release --all` brings it back",
            )  # fmt: skip
            continue
        if flags:
            scopes = sorted({halt.parse_flag(name)[0] for name in flags})
            yield Finding(
                Severity.INFO, "halt", f"halted by flag: {_listed(scopes)} in `{directory}`", "`riskguard release`"
            )
        try:
            spares = len(os.listdir(directory / halt.ARMED))
        except OSError:
            spares = 0
        if spares < halt.SPARES:
            yield Finding(
                Severity.WARNING, "halt", f"`{directory / halt.ARMED}` has {spares} of {halt.SPARES} prepared files",
                "free disk space; the next sweep or release prepares them",
            )  # fmt: skip


# -- who watches --------------------------------------------------------------------------------------------


def heartbeat(store: Store, now_us: int) -> Iterator[Finding]:
    """Whether anybody watches losses: three intervals without a sweep refuse what adds risk."""
    with store.session(durable=False, wait_s=WAIT_S) as session:
        last = {row[0]: session.row(LAST_SWEEP, account=row[0]) for row in session.rows(ACCOUNTS)}
        store.roll_back(session)
    for account, row in last.items():
        way_out = "start `riskguard run`, or the program that sweeps in its own thread"
        if row is None:
            yield Finding(Severity.WARNING, "sweep", f"nobody ever watched `{account}`", way_out)
        elif now_us - row[0] > HEARTBEAT_INTERVALS * row[1]:
            ago = (now_us - row[0]) // 1_000_000
            yield Finding(Severity.WARNING, "sweep", f"the last look at `{account}` was {ago} s ago", way_out)
        elif row[0] - now_us > HEARTBEAT_INTERVALS * row[1]:
            ahead = (row[0] - now_us) // 1_000_000
            yield Finding(
                Severity.ERROR,
                "sweep",
                f"the last look at `{account}` is {ahead} s in the future",
                "set the clock right",
            )


Look = Callable[[Store, int], Iterable[Finding]]

__all__ = ["FINDINGS", "Finding", "Severity", "examine"]

FINDINGS: Final[tuple[Look, ...]] = (
    market_tables,
    charges,
    calendar,
    master_age,
    held_instruments,
    sqlite_version,
    file_systems,
    postgresql_server,
    permissions,
    halt_directories,
    heartbeat,
    audit_keys,
    anchors_kept,
    alert_findings,
    broker_account,
    *limit_health.FINDINGS,
)
"""Every look, in the order of a report among findings alike in severity."""
