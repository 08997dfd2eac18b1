"""
Importing an instrument master, and saying what the checks will use of it.

The file is read whole before the table is touched: a master that is none, is cut off or is mostly broken changes
nothing. Its rows wait in a temporary table of a connection of the import's own, and go from there into the table in
short transactions, so that checks go on meanwhile; an import that is interrupted is simply run again. Rows the new
master does not have are kept, because positions and the journal may name them; what tells them is an older
`updated_at`.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import sqlite3
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from typing import Any, BinaryIO, Final, Protocol

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import Insert, insert

from riskguard.core.instrument import Instrument, default_multiplier
from riskguard.core.market import MarketTables
from riskguard.core.money import rupees, to_text
from riskguard.core.pricing import OPTION_PROTECTION_PCT, PROTECTION_PCT
from riskguard.core.terms import Segment
from riskguard.errors import InstrumentsInvalidError, SettingsError, StoreUnavailableError, shown
from riskguard.services.instruments import on_server
from riskguard.services.instruments.master import COLUMNS, Elsewhere, Entry, Layout, Problem, entries
from riskguard.store import loader
from riskguard.store.market import market_tables
from riskguard.store.session import Session, Store
from riskguard.store.spelling import Prepared
from riskguard.store.statements import param, prepare
from riskguard.store.tables.instruments import instruments

WAIT_S: Final = 10.0
LINE_BYTES_MAX: Final = 16 * 1024
LINES_MAX: Final = 3_000_000
STAGE_ROWS: Final = 2_000
SKIPPED_MAX_PCT: Final = 5

HOLD_S: Final = 0.015
"""How long one transaction of an import aims to hold the write lock: a check waits 50 ms for it at most."""
TURN_S: Final = 0.002
CHUNK_MIN, CHUNK_FIRST, CHUNK_MAX = 16, 64, 1_000
"""Rows of one transaction. The most is what a calm machine writes in about `HOLD_S` when every row is new."""
TIDY_CHUNKS: Final = 16

SHRINK_ROWS_MIN: Final = 100
"""A segment of fewer contracts is a starter's or a test's: a smaller one is no sign of a cut file."""

_i = instruments.c
_STAGED: Final = "temp.staged"
_new = sa.table("staged", sa.column("place"), *(sa.column(name) for name in COLUMNS), schema="temp").alias("new")
_n = _new.c
_part = sa.and_(_n.place > param("after"), _n.place <= param("upto"))
_band_day = sa.case((sa.or_(_n.lower_band.is_not(None), _n.upper_band.is_not(None)), param("day")))

_KEY: Final = ("security_id", "exchange_segment")
_INDEXED: Final = ("symbol", "trading_symbol", "instrument_type", "expiry_date")
_INDEXED_OR_UNSAID: Final = ("underlying_security_id", "isin")
_UNSAID: Final = ("meta", "freeze_quantity", "series")
_BANDS: Final = ("lower_band", "upper_band", "band_date")
_PLAIN: Final = ("name", "strike_price", "option_type", "lot_size", "tick_size", "underlying_symbol")
_COLUMNS: Final = (*COLUMNS, "band_date", "updated_at")
_rowid: sa.ColumnClause[int] = sa.literal_column("instruments.rowid", sa.Integer)


def _is_or_unsaid(name: str, new: Any) -> sa.ColumnElement[bool]:
    return sa.or_(new[name].is_(None), _i[name] == new[name])


def _indexed_alike(new: Any) -> sa.ColumnElement[bool]:
    """The row that stands says the same as *new* in every column an index hangs on."""
    return sa.and_(
        *(_i[name].is_not_distinct_from(new[name]) for name in _INDEXED),
        *(_is_or_unsaid(name, new) for name in _INDEXED_OR_UNSAID),
    )


_of_key = sa.and_(*(_i[name] == _n[name] for name in _KEY))
_unchanged = sa.and_(
    _of_key,
    _indexed_alike(_n),
    *(_i[name].is_not_distinct_from(_n[name]) for name in _PLAIN),
    *(_is_or_unsaid(name, _n) for name in _UNSAID),
    sa.or_(
        _band_day.is_(None),
        sa.and_(
            _i.lower_band.is_not_distinct_from(_n.lower_band),
            _i.upper_band.is_not_distinct_from(_n.upper_band),
            _i.band_date == _band_day,
        ),
    ),
)
"""The row that stands says what the staged one says, and only `updated_at` is to move."""

# No join and no range below: rows that stand are looked up one by one, by a whole key. A join can be turned round and
# a range be scanned, and would be, once somebody ran ANALYZE while the table was small: each part would read a whole
# market under the write lock.
UNCHANGED = prepare(sa.select(sa.select(_rowid).where(_unchanged).scalar_subquery()).where(_part))
SEEN = prepare(sa.update(instruments).where(_rowid == param("row")).values(updated_at=param("stamp")))


def _put_part(which: sa.ColumnElement[bool]) -> Insert:
    """
    INSERT those staged rows of a part, all of them in one statement.

    A trigger hangs on the table, so SQLite copies every page a statement is about to change, to be able to undo it:
    with a statement for each row that was most of an import.
    """
    rows = sa.select(*(_n[name] for name in COLUMNS), _band_day, param("stamp")).where(_part, which)
    return insert(instruments).from_select(_COLUMNS, rows)


def _put() -> Prepared:
    """
    INSERT what is new, and bring up to date what stands with the same indexed columns.

    Six indexes hang on the table. An UPDATE that names one of their columns writes them all anew; this one names none.
    """
    put = _put_part(~sa.exists().where(_unchanged))
    new = put.excluded
    values: dict[str, Any] = {name: new[name] for name in (*_PLAIN, "updated_at")}
    for name in _UNSAID:
        values[name] = sa.func.coalesce(new[name], _i[name])
    for name in _BANDS:  # together: yesterday's lower limit is no limit beside today's upper one
        values[name] = sa.case((new.band_date.is_(None), _i[name]), else_=new[name])
    return prepare(put.on_conflict_do_update(index_elements=list(_KEY), set_=values, where=_indexed_alike(new)))


def _restate() -> Prepared:
    """
    Bring up to date what `PUT` left: rows whose indexed columns change. `multiplier` is nobody's but the user's.

    What this layout does not say is kept, as long as the row is still of the same contract: brokers give an
    expired contract's number to a new one.
    """
    put = _put_part(~sa.exists().where(_of_key, _indexed_alike(_n)))
    return prepare(put.on_conflict_do_update(index_elements=list(_KEY), set_=_restated(put.excluded)))


def _restated(new: Any) -> dict[str, Any]:
    """Return what a row that stands becomes by *new*; where no indexed column changes it is what `PUT` makes of it."""
    same = sa.and_(
        _i.trading_symbol.is_not_distinct_from(new.trading_symbol),
        _i.expiry_date.is_not_distinct_from(new.expiry_date),
    )
    values: dict[str, Any] = {name: new[name] for name in _COLUMNS if name not in _KEY}
    for name in (*_INDEXED_OR_UNSAID, *_UNSAID):
        values[name] = sa.case((same, sa.func.coalesce(new[name], _i[name])), else_=new[name])
    for name in _BANDS:
        values[name] = sa.case((sa.and_(same, new.band_date.is_(None)), _i[name]), else_=new[name])
    values["multiplier"] = sa.case((same, _i.multiplier), else_=None)
    return values


PUT = _put()
RESTATE = _restate()
PUT_ON_SERVER = on_server.put(
    _COLUMNS, _KEY, lambda new: sa.case((sa.or_(new.lower_band.is_not(None), new.upper_band.is_not(None)),
                                        param("day", sa.Text()))), _restated,
)  # fmt: skip
LIVE = prepare(
    sa.select(_i.exchange_segment, sa.func.count())
    .where(sa.or_(_i.expiry_date.is_(None), _i.expiry_date >= param("today")))
    .group_by(_i.exchange_segment)
)
AGED = prepare(
    sa.select(_i.exchange_segment, sa.func.count())
    .where(sa.or_(_i.expiry_date.is_(None), _i.expiry_date >= param("today")), _i.updated_at < param("since"))
    .group_by(_i.exchange_segment)
)
COUNT = prepare(sa.select(sa.func.count()).select_from(instruments))
UPDATED = prepare(
    sa.select(_i.updated_at).where(
        _i.exchange_segment == param("exchange_segment"), _i.security_id == param("security_id")
    )
)


class OnProgress(Protocol):
    """Hears how far an import is."""

    def __call__(self, what: str, done: int, total: int | None) -> None: ...


@dataclass(slots=True)
class Imported:
    """What an import found and did; *refused* says why it did nothing, "" when it did not refuse."""

    layout: str = ""
    lines: int = 0
    rows: int = 0
    by_segment: dict[str, int] = field(default_factory=dict)
    skipped: int = 0
    duplicates: int = 0
    elsewhere: dict[str, int] = field(default_factory=dict)
    left_by_filter: int = 0
    added: int = 0
    updated: int = 0
    not_in_master: dict[str, int] = field(default_factory=dict)
    refused: str = ""
    dry_run: bool = False
    transactions: int = 0
    held_ms_max: float = 0.0
    seconds: float = 0.0


def import_master(
    store: Store, source: BinaryIO, *, now_us: int, day: str = "", size: int | None = None, segments: frozenset[str] = frozenset(),
    dry_run: bool = False, skipped_max_pct: int = SKIPPED_MAX_PCT, accept_smaller: bool = False,
    on_problem: Callable[[Problem], None] = lambda problem: None,
    on_progress: OnProgress = lambda what, done, total: None,
) -> Imported:  # fmt: skip
    """
    Read a scrip master, plain or gzip, and write its rows.

    Args:
        now_us: The moment the rows are stamped with.
        day: The session (ISO) the master is of: its circuit limits count on that day alone. "" is the day of *now_us*.
        size: Bytes of the source as it lies on disk, for the progress; None when nobody knows.
        segments: Take these alone; empty takes all.
        skipped_max_pct: Refuse a master of which more than this part could not be read.
        accept_smaller: Take a master that has less than half the contracts a segment has now.

    Raises:
        InstrumentsInvalidError: No master, cut off inside the archive, or without a row. Nothing was changed.
        SettingsError: A segment nobody knows. StoreUnavailableError: No room for temporary files, the lock was not
        to be had, or the file was replaced; what was written before stands, and running the import again completes it.
    """
    unknown = sorted(segments - {each.value for each in Segment})
    if unknown:
        known = ", ".join(each.value for each in Segment)
        raise SettingsError(f"`--segment {unknown[0]}` is no segment (known: {known})")
    began = time.monotonic()
    done = Imported(dry_run=dry_run)
    today = loader.session_date(now_us)
    with _staging(store) as (own, stage):
        _fill(stage, source, size, segments, done, on_problem, on_progress)
        _settle_doubles(stage, done, on_problem)
        counted = stage.execute(f"SELECT exchange_segment, count(*) FROM {_STAGED} GROUP BY 1 ORDER BY 1")  # noqa: S608
        done.by_segment = dict(counted.fetchall())
        done.rows = sum(done.by_segment.values())
        if not done.rows and not done.skipped:
            raise InstrumentsInvalidError(f"the master holds no row{' of these segments' if segments else ''}")
        done.refused = _refusal(done, dict(_looked_up(own, stage, LIVE, today=today)), skipped_max_pct, accept_smaller)
        if not done.refused and not dry_run:
            ((before,),) = _looked_up(own, stage, COUNT)
            _write(own, stage, done, now_us, day or today, on_progress)
            ((after,),) = _looked_up(own, stage, COUNT)
            done.added = after - before
            done.updated = done.rows - done.added
            aged = _looked_up(own, stage, AGED, today=today, since=now_us // 1_000_000)
            done.not_in_master = {name: count for name, count in aged if name in done.by_segment}
    done.seconds = time.monotonic() - began
    return done


def _refusal(done: Imported, live: dict[str, int], skipped_max_pct: int, accept_smaller: bool) -> str:
    """Return why a master is not to be trusted, "" when it is."""
    if done.skipped * 100 > skipped_max_pct * (done.rows + done.skipped):
        return (
            f"{done.skipped} of {done.rows + done.skipped} rows could not be read, more than {skipped_max_pct} %: "
            "get the file again, or say `--skipped-max-pct`"
        )
    for segment, count in done.by_segment.items():
        had = live.get(segment, 0)
        if had >= SHRINK_ROWS_MIN and count * 2 < had and not accept_smaller:
            return (
                f"{segment} has {count} rows, less than half of the {had} known: a cut file? "
                "get it again, or say `--accept-smaller`"
            )
    return ""


# -- reading ------------------------------------------------------------------------------------------------


@contextmanager
def _staging(store: Store) -> Iterator[tuple[Store, sqlite3.Connection]]:
    """
    Open the database a second time, with an empty temporary table beside it for what the master says.

    Nobody else sees that table, no lock of the database is held while it is filled, it lies on disk where it grows,
    and it is gone with the connection, however this process ends.
    """
    with contextlib.ExitStack() as opened:
        own = opened.enter_context(contextlib.closing(Store(store.url)))
        if own.dialect == "sqlite":
            with own.session(durable=False, wait_s=WAIT_S) as session:
                stage = session.connection
                own.roll_back(session)
        else:
            stage = opened.enter_context(on_server.stage())
        try:
            stage.execute("PRAGMA temp_store = FILE")
            stage.execute(f"CREATE TABLE {_STAGED} (place INTEGER PRIMARY KEY, line, {', '.join(COLUMNS)})")
            yield own, stage
        except sqlite3.Error as e:
            raise StoreUnavailableError(
                f"the master cannot be laid out beside the database: {e}; give temporary files room, or set `SQLITE_TMPDIR`"
            ) from None


def _looked_up(own: Store, stage: sqlite3.Connection, statement: Prepared, **values: Any) -> list[tuple[Any, ...]]:
    """Read without the write lock: counting a whole market takes longer than a check waits."""
    if own.dialect != "sqlite":
        with own.reading(WAIT_S) as session:
            return session.rows(statement, **values)
    sql, constants = statement.compiled()
    return stage.execute(sql, {**constants, **values}).fetchall()


def _fill(
    stage: sqlite3.Connection, source: BinaryIO, size: int | None, segments: frozenset[str], done: Imported,
    on_problem: Callable[[Problem], None], on_progress: OnProgress,
) -> None:  # fmt: skip
    """Read every line into the stage; problems are told as they come."""
    put = f"INSERT INTO {_STAGED} VALUES (NULL, {', '.join('?' * (len(COLUMNS) + 1))})"  # noqa: S608 - our own names
    lines = _Lines(source)
    layout = Layout.of(lines.header())
    done.layout = layout.name
    elsewhere: Counter[str] = Counter()
    batch: list[tuple[Any, ...]] = []
    stage.execute("BEGIN")
    for found in entries(lines, layout):
        if type(found) is Entry:
            if segments and found.exchange_segment not in segments:
                done.left_by_filter += 1
                continue
            batch.append((lines.number, *found))
            if len(batch) >= STAGE_ROWS:
                stage.executemany(put, batch)
                batch.clear()
                on_progress("read", lines.bytes_read(), size)
        elif isinstance(found, Problem):
            done.skipped += 1
            on_problem(found)
        elif isinstance(found, Elsewhere):
            elsewhere[found.what] += 1
    stage.executemany(put, batch)
    if lines.cut_off is not None:
        done.skipped += 1
        on_problem(lines.cut_off)
    stage.execute("COMMIT")
    on_progress("read", lines.bytes_read(), size)
    done.lines = lines.number
    done.elsewhere = dict(sorted(elsewhere.items()))


class _Lines:
    """The lines of a master with their numbers, plain or gzip by what the first bytes are, each of bounded length."""

    def __init__(self, source: BinaryIO) -> None:
        self._raw = io.BufferedReader(_Counted(source), 1 << 16)
        packed = self._raw.peek(2)[:2] == b"\x1f\x8b"
        self._file: BinaryIO = gzip.GzipFile(fileobj=self._raw) if packed else self._raw  # type: ignore[assignment]
        self.number = 0
        self.cut_off: Problem | None = None

    def bytes_read(self) -> int:
        counted = self._raw.raw
        assert isinstance(counted, _Counted)
        return counted.count

    def header(self) -> str:
        """Return the first line; raises InstrumentsInvalidError for an empty file."""
        line = self._next()
        if not line:
            raise InstrumentsInvalidError("the file is empty")
        return line.decode("utf-8", "surrogateescape")

    def __iter__(self) -> Iterator[tuple[int, str]]:
        while line := self._next():
            text = line.decode("utf-8", "surrogateescape")
            if not text.endswith("\n"):
                # Nothing says whether its last number is whole: 17 may be the beginning of 1756.
                self.cut_off = Problem(self.number, "", ascii(text[:100]), "the file ends inside this line")
                return
            yield self.number, text

    def _next(self) -> bytes:
        try:
            line = self._file.readline(LINE_BYTES_MAX + 1)
        except (EOFError, zlib.error, gzip.BadGzipFile) as e:
            raise InstrumentsInvalidError(f"the archive is cut off or damaged ({e}): get it again") from None
        if len(line) > LINE_BYTES_MAX:
            raise InstrumentsInvalidError(f"line {self.number + 1} is longer than {LINE_BYTES_MAX} bytes: no master")
        self.number += bool(line)
        if self.number > LINES_MAX:
            raise InstrumentsInvalidError(f"more than {LINES_MAX} lines: no master")
        return line


class _Counted(io.RawIOBase):
    """A source that counts what was taken from it; it is not ours to close."""

    def __init__(self, source: BinaryIO) -> None:
        super().__init__()
        self._source = source
        self.count = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        taken = self._source.read(len(buffer))
        buffer[: len(taken)] = taken
        self.count += len(taken)
        return len(taken)


def _settle_doubles(stage: sqlite3.Connection, done: Imported, on_problem: Callable[[Problem], None]) -> None:
    """Of rows that say the same keep the first; of rows that contradict each other keep none."""
    stage.execute("CREATE INDEX temp.by_key ON staged (security_id, exchange_segment)")
    doubled = stage.execute(
        f"SELECT security_id, exchange_segment FROM {_STAGED} GROUP BY 1, 2 HAVING count(*) > 1"  # noqa: S608
    ).fetchall()
    said = f"SELECT place, line, {', '.join(COLUMNS)} FROM {_STAGED} "  # noqa: S608
    for key in doubled:
        rows = stage.execute(f"{said} WHERE security_id = ? AND exchange_segment = ? ORDER BY place", key)
        first, *others = rows.fetchall()
        alike = [row for row in others if row[2:] == first[2:]]
        dropped = alike
        if len(alike) < len(others):
            dropped = [first, *others]
            at = ", ".join(str(row[1]) for row in dropped[:5])
            for row in dropped:
                on_problem(Problem(row[1], "security id", f"{key[1]}:{key[0]}", f"lines {at} contradict each other"))
            done.skipped += len(dropped)
        else:
            done.duplicates += len(alike)
        stage.executemany(f"DELETE FROM {_STAGED} WHERE place = ?", [(row[0],) for row in dropped])  # noqa: S608


# -- writing ------------------------------------------------------------------------------------------------


def _write(
    own: Store, stage: sqlite3.Connection, done: Imported, now_us: int, day: str, on_progress: OnProgress
) -> None:
    """Write the staged rows in the master's order, each transaction sized by how long the last one held the lock."""
    given = {"stamp": now_us // 1_000_000, "day": day}
    (last,) = stage.execute(f"SELECT coalesce(max(place), 0) FROM {_STAGED}").fetchone()  # noqa: S608
    read = f"SELECT {', '.join(COLUMNS)} FROM {_STAGED} WHERE place > ? AND place <= ? ORDER BY place"  # noqa: S608
    place, size, written = 0, CHUNK_FIRST, 0
    while place < last:
        part = {**given, "after": place, "upto": place + size}
        rows = [] if own.dialect == "sqlite" else stage.execute(read, (place, place + size)).fetchall()
        with own.session(durable=False, wait_s=WAIT_S, account="") as session:
            began = time.monotonic()
            if own.dialect == "sqlite":
                found = _write_staged(own, session, stage, part, size)
            else:
                found = on_server.write(session, PUT_ON_SERVER, rows, given)
            own.commit(session)
            held_s = time.monotonic() - began
        written += found
        done.transactions += 1
        done.held_ms_max = max(done.held_ms_max, held_s * 1000)
        on_progress("written", written, done.rows)
        # Whoever waits gets a turn: SQLite's lock has no queue, and we would take it again before they wake.
        time.sleep(min(held_s, TURN_S))
        place += size
        # No more than twice as many: what comes next may be all new, and costs more than what stood already.
        size = min(CHUNK_MAX, 2 * size, max(CHUNK_MIN, round(size * HOLD_S / max(held_s, 1e-4))))
        if done.transactions % TIDY_CHUNKS == 0:
            own.tidy()
    own.tidy()


def _write_staged(own: Store, session: Session, stage: sqlite3.Connection, part: dict[str, Any], size: int) -> int:
    """Write one part of what is staged beside the file, and return how many rows it had."""
    if session.connection is not stage:
        raise StoreUnavailableError(f"`{own.path}` was replaced meanwhile: run the import again")
    found = _confirm(session, part)
    for statement in (PUT, RESTATE):
        if found < size:
            found += session.run(statement, **part).rowcount
    return found


def _confirm(session: Session, part: dict[str, Any]) -> int:
    """
    Move `updated_at` of rows that stand as the master says them, and return how many: most of them, every day.

    It says which rows the newest master still has.
    """
    rowids = [rowid for (rowid,) in session.rows(UNCHANGED, **part) if rowid is not None]
    session.run_many(SEEN, [{"row": rowid, "stamp": part["stamp"]} for rowid in rowids])
    return len(rowids)


# -- showing ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Shown:
    """One number the checks will use, where it comes from, and since when."""

    what: str
    value: str
    source: str
    effective_from: str = ""
    confidence: str = ""


@dataclass(frozen=True, slots=True)
class Card:
    """An instrument as the checks see it on a day."""

    instrument: Instrument
    day: str
    updated_at_us: int
    facts: tuple[Shown, ...]


def find(store: Store, name: str, day: date) -> list[Card]:
    """
    Return what the checks will use on *day* for every instrument of that symbol, or for one `SEGMENT:ID`.

    Raises InstrumentsInvalidError when there is none.
    """
    segment, colon, security = name.partition(":")
    by_id = colon and segment in {each.value for each in Segment}
    tables, cards = market_tables(), []
    with store.session(durable=False, wait_s=WAIT_S) as session:
        if by_id:
            rows = session.rows(loader.INSTRUMENT, exchange_segment=segment, security_id=security)
        else:
            rows = session.rows(loader.BY_SYMBOL, symbol=name)
        for row in rows:
            (updated_s,) = session.row(UPDATED, exchange_segment=row[0], security_id=row[1]) or (0,)
            cards.append(_card(row, tables, day.isoformat(), updated_s * 1_000_000))
        store.roll_back(session)
    if not cards:
        raise InstrumentsInvalidError(
            f"no instrument {shown(name)}: give a trading symbol or `SEGMENT:ID`, after `riskguard instruments import`"
        )
    return cards


def _card(row: tuple[Any, ...], tables: MarketTables, day: str, updated_at_us: int) -> Card:
    named = dict(zip(loader.INSTRUMENT_COLUMNS, row, strict=True))
    instrument = loader.instrument_from(row, day)
    bare = loader.instrument_from(row)
    master = "instrument master"

    def table(name: str, what: str, value: str, otherwise: str) -> Shown:
        found = tables.at(name, bare, day)
        if found is None or all(each is None for each in found.values):
            return Shown(what, value, otherwise, "" if found is None else found.effective_from)
        return Shown(what, value, found.source, found.effective_from, found.confidence)

    def of_master(what: str, value: str, known: bool = True) -> Shown:
        return Shown(what, value, master if known else "nobody says")

    lot = str(instrument.lot_size) if named["lot_size"] else "not known: no order can be sized"
    facts = [of_master("lot", lot), of_master("tick", to_text(instrument.tick_e4))]
    in_table = tables.at("multipliers", bare, day)
    if in_table is not None and in_table.values[0] == instrument.multiplier is not None:
        facts.append(table("multipliers", "multiplier", str(instrument.multiplier), ""))
    elif instrument.multiplier is None:
        facts.append(Shown("multiplier", "not known", "nobody says: refused where it is needed"))
    else:
        usual = default_multiplier(instrument.exchange_segment, instrument.kind) == instrument.multiplier
        source = "the broker's quantity holds it" if usual else "set by the user"
        facts.append(Shown("multiplier", str(instrument.multiplier), source))
    freeze = tables.at("freeze", bare, day)
    if instrument.freeze_quantity is None:
        facts.append(of_master("freeze quantity", "none known", known=False))
    elif freeze is not None and freeze.values[0] == instrument.freeze_quantity:
        facts.append(table("freeze", "freeze quantity", str(instrument.freeze_quantity), ""))
    else:
        facts.append(of_master("freeze quantity", str(instrument.freeze_quantity)))
    if instrument.upper_band_e4 is None and instrument.lower_band_e4 is None:
        stale = named["band_date"]
        facts.append(Shown("circuit limits", "none for this day", f"{master} of {stale}" if stale else "nobody says"))
    else:
        lower, upper = (
            "none" if each is None else to_text(each) for each in (instrument.lower_band_e4, instrument.upper_band_e4)
        )
        facts.append(Shown("circuit limits", f"{lower} to {upper}", master, day))
    facts.append(
        table("price_bands", "price band", _larger(instrument.lpp_pct_e2, instrument.lpp_abs_e4), "nobody says")
    )
    facts.append(
        table(
            "stop_gaps",
            "stop-limit gap",
            _larger(instrument.stop_gap_pct_e2, instrument.stop_gap_abs_e4),
            "nobody says",
        )
    )
    percent = OPTION_PROTECTION_PCT if instrument.is_option else PROTECTION_PCT
    protection = instrument.protection_pct_e2
    said = f"{percent} %" if protection is None else f"{to_text(protection * 100)} %"
    facts.append(table("protection", "market-order protection", said, "conservative stand-in: nobody published one"))
    most = instrument.order_value_max_e4
    facts.append(table("order_values", "order value at most", "none" if most is None else rupees(most), "nobody says"))
    return Card(instrument, day, updated_at_us, tuple(facts))


def _larger(percent_e2: int | None, absolute_e4: int | None) -> str:
    """Say a rule of the form max(percent, rupees)."""
    parts = [] if percent_e2 is None else [f"{to_text(percent_e2 * 100)} %"]
    if absolute_e4 is not None:
        parts.append(rupees(absolute_e4))
    return "the larger of " + " and ".join(parts) if len(parts) == 2 else (parts or ["none known"])[0]
