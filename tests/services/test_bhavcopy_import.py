"""Official prices into the database: what is kept, what is refused, and closes that were missing."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from riskguard.errors import BhavcopyInvalidError
from riskguard.services import bhavcopy
from riskguard.services.bhavcopy import import_file, stored
from riskguard.services.sweeps.sweeper import Sweeper
from tests.core.tables import Row, table
from tests.core.test_bhavcopy import FLAIR, HEAD
from tests.services.desk import ACCOUNT, Desk, e4

HDFCBANK = FLAIR.replace("20372,INE00Y201027,FLAIR", "1333,INE040A01034,HDFCBANK").replace("2024-10-15", "2025-05-30")
OTHER = HDFCBANK.replace("1333,INE040A01034,HDFCBANK", "2885,INE002A01018,RELIANCE").replace("295.95", "1400.10")


@pytest.fixture
def library(make_desk: Callable[..., Desk]) -> Desk:
    """A share carried in, and nobody says at which close."""
    desk = make_desk(profile="library")
    desk.guard.report_positions([{"exchange_segment": "NSE_EQ", "security_id": "1333", "product": "MARGIN", "net": 10}])
    desk.guard.quote("NSE_EQ", "1333", ltp="295")
    return desk


def written(directory: Path, *lines: str, name: str = "BhavCopy_NSE_CM.csv") -> Path:
    path = directory / name
    path.write_text("\n".join([HEAD, *lines]) + "\n")
    return path


def reading(desk: Desk) -> int | None:
    desk.guard.quote("NSE_EQ", "1333", ltp="295", at=desk.clock.advance(2))
    Sweeper(desk.guard, ACCOUNT, None).sweep(now=True)
    found: int | None = desk.one("SELECT day_pnl_e4 FROM pnl_readings ORDER BY id DESC LIMIT 1")
    return found


def test_a_missing_close_is_put_in(library: Desk, tmp_path: Path) -> None:
    """The day was unknown; with the exchange's file of Friday it is known, and orders pass again. Imported twice is once."""
    assert reading(library) is None
    done = import_file(library.store, written(tmp_path, HDFCBANK, OTHER), clock=library.clock)

    assert (done.exchange_segment, done.session_date) == ("NSE_EQ", "2025-05-30")
    assert (done.lines, done.kept, done.unheld, done.filled) == (2, 1, 1, 1)
    assert reading(library) == 10 * (e4("295") - e4("295.95"))
    again = import_file(library.store, written(tmp_path, HDFCBANK.replace("295.95", "290")), clock=library.clock)
    assert (again.kept, again.filled) == (1, 0)
    assert reading(library) == 10 * (e4("295") - e4("295.95")), "a day is never re-based"
    assert stored(library.store) == [{"session_date": "2025-05-30", "exchange_segment": "NSE_EQ", "prices": 1}]


def test_a_file_of_another_day_fills_nothing(library: Desk, tmp_path: Path) -> None:
    """Thursday's close is not the previous one on Monday."""
    done = import_file(
        library.store, written(tmp_path, HDFCBANK.replace("2025-05-30", "2025-05-29")), clock=library.clock
    )

    assert (done.kept, done.filled) == (1, 0)
    assert reading(library) is None


def test_everything_may_be_kept(library: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In transactions of a few rows, so that no check waits long."""
    monkeypatch.setattr(bhavcopy, "CHUNK_ROWS", 2)
    many = [OTHER.replace("2885,INE002A01018", f"{number},") for number in range(5000, 5005)]
    done = import_file(library.store, written(tmp_path, HDFCBANK, *many), keep_all=True, clock=library.clock)

    assert (done.kept, done.unheld) == (6, 0)
    assert library.one("SELECT count(*) FROM settlement_prices") == 6


def test_a_price_of_another_security_is_left_out(library: Desk, tmp_path: Path) -> None:
    """Numbers are given to new contracts after a while: the ISIN says whose price it is."""
    done = import_file(
        library.store, written(tmp_path, HDFCBANK.replace("INE040A01034", "INE000000000")), clock=library.clock
    )

    assert (done.kept, len(done.mismatched)) == (0, 1)
    assert "ISIN `INE000000000` in the file" in done.mismatched[0]
    assert reading(library) is None


def test_a_zip_is_read_as_the_file_in_it(library: Desk, tmp_path: Path) -> None:
    plain = written(tmp_path, HDFCBANK)
    path = tmp_path / "BhavCopy.csv.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(plain, "BhavCopy_NSE_CM_0_0_0_20250530_F_0000.CSV")

    assert import_file(library.store, path, clock=library.clock).filled == 1


BROKEN = table("""
    what           message
    missing        cannot be read
    directory      cannot be read
    empty          no column
    head           no line below its head
    line           line 3: `ClsPric`
    latin          can't decode
    cut            zip
    two            holds 2
    bomb           larger than
""")


@pytest.mark.parametrize("row", BROKEN, ids=str)
def test_a_broken_file_changes_nothing(
    library: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, row: Row
) -> None:
    """It is read whole before anything is written: the good line before a broken one does not count either."""
    path = tmp_path / "file"
    if row.what == "directory":
        path.mkdir()
    elif row.what in ("empty", "head"):
        path.write_text("" if row.what == "empty" else HEAD + "\n")
    elif row.what == "line":
        path = written(tmp_path, HDFCBANK, OTHER.replace("1400.10", "14OO"))
    elif row.what == "latin":
        path.write_bytes(f"{HEAD}\n".encode() + HDFCBANK.replace("HDFCBANK", "HDFCB\xc4NK").encode("latin-1"))
    elif row.what in ("cut", "two", "bomb"):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("a.csv", f"{HEAD}\n{HDFCBANK}\n" + (f"{OTHER}\n" * 50 if row.what == "bomb" else ""))
            if row.what == "two":
                archive.writestr("b.csv", HEAD)
        if row.what == "cut":
            path.write_bytes(path.read_bytes()[:120])
            assert not zipfile.is_zipfile(path)
        monkeypatch.setattr(bhavcopy, "BYTES_MAX", 2_000)
    with pytest.raises(BhavcopyInvalidError, match=None if row.what == "cut" else row.message):
        import_file(library.store, path, clock=library.clock)

    assert library.one("SELECT count(*) FROM settlement_prices") == 0
