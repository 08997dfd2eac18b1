"""Takes the exchanges' files of closing and settlement prices into `settlement_prices`, and puts in closes it was missing."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from riskguard.clock import SystemClock
from riskguard.core.bhavcopy import BhavcopyError, DayPrice, Tally, read
from riskguard.core.instrument import Instrument
from riskguard.errors import BhavcopyInvalidError
from riskguard.ports import Clock
from riskguard.services.sweeps.rollover import fill_closes
from riskguard.store import books, days, loader
from riskguard.store.session import ACCOUNTS, Session, Store

WAIT_S: Final = 5.0
BYTES_MAX: Final = 256 * 1024 * 1024
"""Uncompressed; the largest file of an ordinary day is about 20 MB."""
CHUNK_ROWS: Final = 200
"""Rows of one transaction: a check that waits behind it must not miss its deadline."""
HELD_DAYS: Final = 7
MISMATCHES_MAX: Final = 20


@dataclass(slots=True)
class ImportedPrices:
    """
    What became of one file. `kept` prices were stored, `unheld` left out because no account holds the instrument;
    `mismatched` names those that belong to another contract of the same number, `filled` counts the previous closes
    that were missing and are known now.
    """

    file: str
    session_date: str = ""
    exchange_segment: str = ""
    lines: int = 0
    priceless: int = 0
    kept: int = 0
    unheld: int = 0
    mismatched: tuple[str, ...] = ()
    filled: int = 0


def import_file(store: Store, path: Path, *, keep_all: bool = False, clock: Clock | None = None) -> ImportedPrices:
    """
    Read one bhavcopy, csv or zip, and keep the prices of what some account holds (*keep_all*: of everything).

    The file is read whole before anything is written; a day that was imported before is replaced. Previous closes of the
    running session that nobody knew are put in; those that stand stay.

    Raises:
        BhavcopyInvalidError: No such file, no bhavcopy, or a broken line. No price of it was taken.
    """
    now_us = (clock or SystemClock()).now_us()
    tally, done = Tally(), ImportedPrices(path.name)
    with store.session(durable=False, wait_s=WAIT_S) as session:
        held = None if keep_all else _held(session, now_us)
    wanted: list[DayPrice] = []
    try:
        with _open(path) as lines:
            for price in read(lines, tally):
                done.session_date, done.exchange_segment = price.session_date, price.exchange_segment
                if held is None or (price.exchange_segment, price.security_id) in held:
                    wanted.append(price)
                else:
                    done.unheld += 1
    except (BhavcopyError, UnicodeDecodeError, EOFError, zipfile.BadZipFile) as e:
        raise BhavcopyInvalidError(f"`{path}`: {e}") from None
    except OSError as e:
        raise BhavcopyInvalidError(f"`{path}` cannot be read: {e.strerror or e}") from None
    if not tally.lines:
        raise BhavcopyInvalidError(f"`{path}` holds no line below its head: is it cut off?")
    done.lines, done.priceless = tally.lines, tally.priceless
    wrong: list[str] = []
    for first in range(0, len(wanted), CHUNK_ROWS):
        with store.session(durable=True, wait_s=WAIT_S) as session:
            for price in wanted[first : first + CHUNK_ROWS]:
                why = _another(session, price)
                if why:
                    wrong.append(why)
                    continue
                session.run(
                    days.SAVE_SETTLEMENT, exchange_segment=price.exchange_segment, security_id=price.security_id,
                    session_date=price.session_date, price_e4=price.price_e4, underlying_e4=price.underlying_e4,
                    source=path.name, imported_at_us=now_us,
                )  # fmt: skip
                done.kept += 1
    done.mismatched = tuple(wrong[:MISMATCHES_MAX])
    with store.session(durable=True, wait_s=WAIT_S) as session:
        date = loader.session_date(now_us)
        for account, *_rest in session.rows(ACCOUNTS):
            if books.baseline(session, account, date) is not None:
                done.filled += fill_closes(session, account, date)
    return done


def stored(store: Store, most: int = 30) -> list[dict[str, Any]]:
    """Return which days are stored, newest first: date, segment, prices."""
    with store.session(durable=False, wait_s=WAIT_S) as session:
        rows = session.rows(days.SETTLED_DAYS, most=most)
    return [{"session_date": row[0], "exchange_segment": row[1], "prices": row[2]} for row in rows]


@contextmanager
def _open(path: Path) -> Iterator[Iterator[str]]:
    """Yield the lines of a csv file, or of the one csv in a zip; a larger text than any exchange writes is refused."""
    with path.open("rb") as file:
        if not zipfile.is_zipfile(file):
            file.seek(0)
            yield _bounded(io.TextIOWrapper(file, encoding="utf-8-sig", newline=""))
            return
        with zipfile.ZipFile(file) as archive:
            inside = [each for each in archive.infolist() if each.filename.lower().endswith(".csv")]
            if len(inside) != 1:
                raise BhavcopyError(f"wants one csv file in the zip, and holds {len(inside)}")
            if inside[0].flag_bits & 0x1:
                raise BhavcopyError("the csv in the zip is encrypted")
            with archive.open(inside[0]) as member:
                yield _bounded(io.TextIOWrapper(member, encoding="utf-8-sig", newline=""))


def _bounded(text: io.TextIOWrapper) -> Iterator[str]:
    left = BYTES_MAX
    while line := text.readline(1 << 20):
        left -= len(line)
        if left < 0:
            raise BhavcopyError(f"is larger than {BYTES_MAX} bytes: that is no bhavcopy")
        yield line


def _held(session: Session, now_us: int) -> frozenset[tuple[str, str]]:
    """Return what any account holds, held lately, or has in the broker's last lists."""
    since = loader.session_date(now_us - HELD_DAYS * 86_400_000_000)
    found = {(row[0], row[1]) for row in session.rows(days.BOOKED_SINCE, since=since)}
    for account, *_rest in session.rows(ACCOUNTS):
        for kind, statement in (("positions", books.SNAPSHOT_POSITIONS), ("holdings", books.SNAPSHOT_HOLDINGS)):
            header = session.row(books.LATEST_SNAPSHOT, account=account, kind=kind)
            if header is not None:
                found |= {(row[0], row[1]) for row in session.rows(statement, snapshot_id=header[0])}
    return frozenset(found)


def _another(session: Session, price: DayPrice) -> str:
    """Say why a price belongs to another instrument than the one we know by its number; "" when it does not."""
    row = session.row(loader.INSTRUMENT, exchange_segment=price.exchange_segment, security_id=price.security_id)
    if row is None:
        return ""
    known: Instrument = loader.instrument_from(row)
    for what, ours, theirs in (
        ("ISIN", known.isin, price.isin),
        ("expiry", known.expiry, price.expiry),
        ("strike", known.strike_e4, price.strike_e4),
        ("option type", known.option_type, price.option_type),
    ):
        if ours and theirs and ours != theirs:
            return f"{price.exchange_segment}:{price.security_id}: {what} `{theirs}` in the file, `{ours}` in our instruments"
    return ""
