"""
Importing an instrument master, and saying what the checks will use of it.

The file is read whole before the table is touched: a master that is none, is cut off or is mostly broken changes
nothing. It is then written in short transactions, so that checks go on meanwhile; an import that is interrupted is
simply run again. Rows the new master does not have are kept, because positions and the journal may name them; what
tells them is an older `updated_at`.
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
from dataclasses import dataclass, field
from datetime import date
from typing import Any, BinaryIO, Final, Protocol

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from riskguard.core.instrument import Instrument, default_multiplier
from riskguard.core.market import MarketTables
from riskguard.core.money import rupees, to_text
from riskguard.core.pricing import OPTION_PROTECTION_PCT, PROTECTION_PCT
from riskguard.core.terms import Segment
from riskguard.errors import InstrumentsInvalidError, SettingsError, shown
from riskguard.services.master import COLUMNS, Elsewhere, Entry, Layout, Problem, entries
from riskguard.store import loader
from riskguard.store.market import market_tables
from riskguard.store.session import Store
from riskguard.store.statements import Prepared, param, prepare
from riskguard.store.tables.instruments import instruments

WAIT_S: Final = 10.0
LINE_BYTES_MAX: Final = 16 * 1024
LINES_MAX: Final = 3_000_000
STAGE_ROWS: Final = 2_000
SKIPPED_MAX_PCT: Final = 5

HOLD_S: Final = 0.015
"""How long one transaction of an import aims to hold the write lock: a check waits 50 ms for it at most."""
TURN_S: Final = 0.002
CHUNK_MIN, CHUNK_MAX = 16, 2_000
TIDY_CHUNKS: Final = 16

SHRINK_ROWS_MIN: Final = 100
"""A segment of fewer contracts is a starter's or a test's: a smaller one is no sign of a cut file."""

_i = instruments.c
_NAMES: Final = (*COLUMNS, "band_date", "updated_at")
_KEY: Final = ("security_id", "exchange_segment")
_INDEXED: Final = ("symbol", "trading_symbol", "instrument_type", "expiry_date")
_INDEXED_OR_UNSAID: Final = ("underlying_security_id", "isin")
_UNSAID: Final = ("meta", "freeze_quantity", "series")
_BANDS: Final = ("lower_band", "upper_band", "band_date")


def _upsert() -> Prepared:
    """
    INSERT a row, or bring the one that stands up to date; `multiplier` is nobody's but the user's.

    What this layout does not say is kept, as long as the row is still of the same contract: brokers give an
    expired contract's number to a new one.
    """
    put = insert(instruments).values({name: param(name) for name in _NAMES})
    new = put.excluded
    same = sa.and_(
        _i.trading_symbol.is_not_distinct_from(new.trading_symbol),
        _i.expiry_date.is_not_distinct_from(new.expiry_date),
    )
    values: dict[str, Any] = {name: new[name] for name in _NAMES if name not in _KEY}
    for name in (*_INDEXED_OR_UNSAID, *_UNSAID):
        values[name] = sa.case((same, sa.func.coalesce(new[name], _i[name])), else_=new[name])
    for name in _BANDS:  # together: yesterday's lower limit is no limit beside today's upper one
        values[name] = sa.case((sa.and_(same, new.band_date.is_(None)), _i[name]), else_=new[name])
    values["multiplier"] = sa.case((same, _i.multiplier), else_=None)
    return prepare(put.on_conflict_do_update(index_elements=list(_KEY), set_=values))


def _touch() -> Prepared:
    """
    UPDATE a row whose indexed columns say the same as the master: most rows, every day.

    Six indexes hang on the table, and an upsert writes them all anew: this takes a third of its time.
    """
    new: dict[str, sa.BindParameter[Any]] = {name: param(f"new_{name}") for name in _NAMES}
    values: dict[str, Any] = {name: new[name] for name in _NAMES if name not in (*_KEY, *_INDEXED, *_INDEXED_OR_UNSAID)}
    for name in _UNSAID:
        values[name] = sa.func.coalesce(new[name], _i[name])
    for name in _BANDS:
        values[name] = sa.case((new["band_date"].is_(None), _i[name]), else_=new[name])
    alike = [_i[name].is_not_distinct_from(new[name]) for name in (*_KEY, *_INDEXED)]
    alike += [sa.or_(new[name].is_(None), _i[name] == new[name]) for name in _INDEXED_OR_UNSAID]
    return prepare(sa.update(instruments).where(*alike).values(values))


UPSERT = _upsert()
TOUCH = _touch()
_NEW_NAMES: Final = tuple(f"new_{name}" for name in _NAMES)
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
        SettingsError: A segment nobody knows. StoreBusyError: The lock was not to be had; what was written
        before stands, and running the import again completes it.
    """
    unknown = sorted(segments - {each.value for each in Segment})
    if unknown:
        known = ", ".join(each.value for each in Segment)
        raise SettingsError(f"`--segment {unknown[0]}` is no segment (known: {known})")
    began = time.monotonic()
    done = Imported(dry_run=dry_run)
    today = loader.session_date(now_us)
    with contextlib.closing(_stage()) as stage:
        _fill(stage, source, size, segments, done, on_problem, on_progress)
        _settle_doubles(stage, done, on_problem)
        counted = stage.execute("SELECT exchange_segment, count(*) FROM staged GROUP BY 1 ORDER BY 1")
        done.by_segment = dict(counted.fetchall())
        done.rows = sum(done.by_segment.values())
        if not done.rows and not done.skipped:
            raise InstrumentsInvalidError(f"the master holds no row{' of these segments' if segments else ''}")
        with store.session(durable=False, wait_s=WAIT_S) as session:
            live: dict[str, int] = {row[0]: row[1] for row in session.rows(LIVE, today=today)}
            before = session.rows(COUNT)[0][0]
            store.roll_back(session)
        done.refused = _refusal(done, live, skipped_max_pct, accept_smaller)
        if not done.refused and not dry_run:
            _write(store, stage, done, now_us, day or today, on_progress)
            with store.session(durable=False, wait_s=WAIT_S) as session:
                done.added = session.rows(COUNT)[0][0] - before
                aged = {row[0]: row[1] for row in session.rows(AGED, today=today, since=now_us // 1_000_000)}
                store.roll_back(session)
            done.updated = done.rows - done.added
            done.not_in_master = {name: count for name, count in aged.items() if name in done.by_segment}
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


def _stage() -> sqlite3.Connection:
    """Open a private database that lives as long as its connection, on disk where it grows: memory stays bounded."""
    stage = sqlite3.connect("", isolation_level=None)
    stage.execute("PRAGMA journal_mode = OFF")
    stage.execute(f"CREATE TABLE staged (line INTEGER PRIMARY KEY, {', '.join(COLUMNS)})")
    return stage


def _fill(
    stage: sqlite3.Connection, source: BinaryIO, size: int | None, segments: frozenset[str], done: Imported,
    on_problem: Callable[[Problem], None], on_progress: OnProgress,
) -> None:  # fmt: skip
    """Read every line into the stage; problems are told as they come."""
    put = f"INSERT INTO staged VALUES ({', '.join('?' * (len(COLUMNS) + 1))})"  # noqa: S608 - our own column names
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
    stage.execute("CREATE INDEX by_key ON staged (security_id, exchange_segment)")
    doubled = stage.execute(
        "SELECT security_id, exchange_segment FROM staged GROUP BY 1, 2 HAVING count(*) > 1"
    ).fetchall()
    for key in doubled:
        rows = stage.execute("SELECT * FROM staged WHERE security_id = ? AND exchange_segment = ? ORDER BY line", key)
        first, *others = rows.fetchall()
        alike = [row for row in others if row[1:] == first[1:]]
        dropped = alike
        if len(alike) < len(others):
            dropped = [first, *others]
            at = ", ".join(str(row[0]) for row in dropped[:5])
            for row in dropped:
                on_problem(Problem(row[0], "security id", f"{key[1]}:{key[0]}", f"lines {at} contradict each other"))
            done.skipped += len(dropped)
        else:
            done.duplicates += len(alike)
        stage.executemany("DELETE FROM staged WHERE line = ?", [(row[0],) for row in dropped])


# -- writing ------------------------------------------------------------------------------------------------


def _write(
    store: Store, stage: sqlite3.Connection, done: Imported, now_us: int, day: str, on_progress: OnProgress
) -> None:
    """Write the staged rows in key order, each transaction sized by how long the last one held the lock."""
    rows = stage.execute(f"SELECT {', '.join(COLUMNS)} FROM staged ORDER BY security_id, exchange_segment")  # noqa: S608
    stamp = now_us // 1_000_000
    size, written = 64, 0
    upper_at, lower_at = COLUMNS.index("upper_band"), COLUMNS.index("lower_band")
    while chunk := rows.fetchmany(size):
        prepared = []
        for row in chunk:
            banded = row[upper_at] is not None or row[lower_at] is not None
            prepared.append((*row, day if banded else None, stamp))
        with store.session(durable=False, wait_s=WAIT_S) as session:
            began = time.monotonic()
            for values in prepared:
                if not session.run(TOUCH, **dict(zip(_NEW_NAMES, values, strict=True))).rowcount:
                    session.run(UPSERT, **dict(zip(_NAMES, values, strict=True)))
            store.commit(session)
            held_s = time.monotonic() - began
        done.transactions += 1
        done.held_ms_max = max(done.held_ms_max, held_s * 1000)
        written += len(chunk)
        on_progress("written", written, done.rows)
        # Whoever waits gets a turn: SQLite's lock has no queue, and we would take it again before they wake.
        time.sleep(min(held_s, TURN_S))
        size = min(CHUNK_MAX, max(CHUNK_MIN, round(len(chunk) * HOLD_S / max(held_s, 1e-4))))
        if done.transactions % TIDY_CHUNKS == 0:
            store.tidy()
    store.tidy()


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
