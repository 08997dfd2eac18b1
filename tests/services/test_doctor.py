"""`doctor`: each finding on both sides of its edge, on a real database, and what a broken look does to the others."""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path

import pytest

from riskguard import data
from riskguard.core.calendar import Calendar, ist_us
from riskguard.core.market import VALUES, MarketTables
from riskguard.services import doctor
from riskguard.services.doctor import FINDINGS, WARN_DAYS, Finding, Severity, examine
from riskguard.store import halt, market
from riskguard.store.session import Store
from tests.services.desk import DAY, FUTURE, SECOND, START, Desk

HORIZONS = MarketTables.parse({name: (data.market_text(name),) for name in VALUES}).horizons()
CALENDAR_ENDS = Calendar.parse(data.calendar_text()).complete_until


def noon(day: date) -> int:
    return ist_us(day, 12 * 3600)


def said(found: Iterable[Finding], subject: str = "") -> list[tuple[str, str]]:
    """Severity and subject of what was found, of one subject or all."""
    return [(each.severity.value, each.subject) for each in found if not subject or each.subject == subject]


EDGES = [
    # days between today and the last known day, what is said
    (WARN_DAYS, None), (WARN_DAYS - 1, "warning"), (0, "warning"), (-1, "error"), (-400, "error"),
]  # fmt: skip


@pytest.mark.parametrize(("left", "severity"), EDGES)
def test_the_end_of_the_calendar_is_told_in_time(desk: Desk, left: int, severity: str | None) -> None:
    """Silent sixty days before, a warning from then on, an error the day after the last."""
    found = list(doctor.calendar(desk.store, noon(CALENDAR_ENDS - timedelta(days=left))))

    assert said(found) == ([] if severity is None else [(severity, "calendar")])


@pytest.mark.parametrize("table", sorted(VALUES))
@pytest.mark.parametrize(("left", "severity"), EDGES)
def test_the_end_of_each_market_table_is_told_in_time(desk: Desk, table: str, left: int, severity: str | None) -> None:
    """The same of every dated table."""
    found = doctor.market_tables(desk.store, noon(HORIZONS[table] - timedelta(days=left)))

    subject = f"market table `{table}`"
    assert said(found, subject) == ([] if severity is None else [(severity, subject)])


def test_tables_of_contracts_are_no_concern_of_who_has_shares_alone(desk: Desk) -> None:
    """A freeze quantity of NIFTY says nothing of HDFCBANK; the ceiling of one order does."""
    desk.sql("DELETE FROM instruments WHERE exchange_segment NOT IN ('NSE_EQ', 'BSE_EQ')")

    found = doctor.market_tables(desk.store, noon(max(HORIZONS.values()) + timedelta(days=1)))

    assert said(found) == [("error", "market table `order_values`")]


def test_a_broken_table_of_the_user_is_an_error_and_a_newer_one_moves_the_end(desk: Desk, home: Path) -> None:
    """What is left out must be said; what is known longer is known longer."""
    day = HORIZONS["freeze"] + timedelta(days=1)
    folder = home / market.FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    own = folder / "freeze.csv"
    own.write_text(data.market_text("freeze").replace(HORIZONS["freeze"].isoformat(), "2027-06-30", 1))
    assert said(doctor.market_tables(desk.store, noon(day)), "market table `freeze`") == []

    own.write_text("# complete_until = tomorrow\n")

    found = list(doctor.market_tables(desk.store, noon(day)))
    assert said(found, "market tables") == [("error", "market tables")]
    assert said(found, "market table `freeze`") == [("error", "market table `freeze`")]


@pytest.mark.parametrize(("days", "severity"), [(7, None), (8, "warning")])
def test_an_old_master_is_told(desk: Desk, days: int, severity: str | None) -> None:
    """A week is one expiry."""
    desk.sql("UPDATE instruments SET updated_at = ?", START // SECOND)

    found = list(doctor.master_age(desk.store, START + days * DAY))

    assert said(found) == ([] if severity is None else [(severity, "instruments")])


def test_no_master_at_all_is_an_error(desk: Desk) -> None:
    desk.sql("DELETE FROM instruments")

    assert said(doctor.master_age(desk.store, START)) == [("error", "instruments")]


def hold(desk: Desk, segment: str, security: str, quantity: int = 25) -> None:
    """Carry a position into the day of the desk's clock."""
    desk.sql(
        "INSERT INTO day_books (account, session_date, exchange_segment, security_id, product, start_quantity) "
        "VALUES ('leader', '2025-06-02', ?, ?, 'MARGIN', ?)", segment, security, quantity,
    )  # fmt: skip


def test_a_position_nobody_knows_is_an_error(desk: Desk) -> None:
    """Held and not in the master; a flat line of the book is no position."""
    hold(desk, "NSE_FNO", "424242", 0)
    assert said(doctor.held_instruments(desk.store, START)) == []
    hold(desk, "NSE_FNO", "434343")

    (found,) = doctor.held_instruments(desk.store, START)

    assert (found.severity, "`NSE_FNO:434343`" in found.what) == (Severity.ERROR, True)


@pytest.mark.parametrize(("expiry", "expired"), [("2025-06-01", True), ("2025-06-02", False), ("2025-06-03", False)])
def test_an_expired_position_is_an_error_the_day_after(desk: Desk, expiry: str, expired: bool) -> None:
    """On its last day a contract still trades."""
    hold(desk, FUTURE.exchange_segment, FUTURE.security_id)
    desk.sql("UPDATE instruments SET expiry_date = ? WHERE security_id = ?", expiry, FUTURE.security_id)

    found = list(doctor.held_instruments(desk.store, START))

    assert ["expired" in each.what for each in found] == ([True] if expired else [])


@pytest.mark.parametrize(("older_s", "gone"), [(0, False), (1, True)])
def test_a_position_the_newest_master_does_not_have_is_a_warning(desk: Desk, older_s: int, gone: bool) -> None:
    """Its row is older than the newest of its segment."""
    hold(desk, FUTURE.exchange_segment, FUTURE.security_id)
    desk.sql("UPDATE instruments SET updated_at = 1000")
    desk.sql("UPDATE instruments SET updated_at = ? WHERE security_id = ?", 1000 - older_s, FUTURE.security_id)

    assert said(doctor.held_instruments(desk.store, START)) == ([("warning", "positions")] if gone else [])


@pytest.mark.sqlite_only("who may read a file; who may connect is the server's: tests/store/test_postgres_roles.py")
@pytest.mark.parametrize(
    ("mode", "severity"), [(0o600, None), (0o640, "warning"), (0o604, "warning"), (0o620, "error")]
)
def test_a_database_others_may_use_is_told(desk: Desk, mode: int, severity: str | None) -> None:
    """Reading is a warning, writing an error."""
    os.chmod(desk.path, mode)

    found = [each for each in doctor.permissions(desk.store, START) if f"`{desk.path}`" in each.what]

    assert said(found) == ([] if severity is None else [(severity, "permissions")])


@pytest.mark.parametrize(("mode", "severity"), [(0o700, None), (0o755, "warning"), (0o770, "error")])
def test_a_halt_directory_others_may_use_is_told(desk: Desk, mode: int, severity: str | None) -> None:
    """Whoever may write it may lift a halt."""
    place = desk.store.directories[0] / halt.HALT
    os.chmod(place, mode)

    found = [each for each in doctor.permissions(desk.store, START) if f"`{place}`" in each.what]

    assert said(found) == ([] if severity is None else [(severity, "permissions")])


def test_a_lost_halt_directory_is_an_error_and_a_standing_flag_is_said(desk: Desk) -> None:
    """Without it everything reads as halted; with a flag in it that is meant."""
    assert said(doctor.halt_directories(desk.store, START)) == []
    place = desk.store.directories[0] / halt.HALT
    (place / halt.flag_name("ACCOUNT:leader", "k1")).touch()
    assert said(doctor.halt_directories(desk.store, START)) == [("info", "halt")]
    (place / halt.flag_name("ACCOUNT:leader", "k1")).unlink()
    place.rmdir()

    assert said(doctor.halt_directories(desk.store, START)) == [("error", "halt")]


def test_spares_that_are_used_up_are_told(desk: Desk) -> None:
    """A full disk needs them."""
    next((desk.store.directories[0] / halt.ARMED).iterdir()).unlink()

    assert said(doctor.halt_directories(desk.store, START)) == [("warning", "halt")]


@pytest.mark.parametrize(("intervals", "severity"), [(3, None), (4, "warning"), (-3, None), (-4, "error")])
def test_nobody_watching_is_told(desk: Desk, intervals: int, severity: str | None) -> None:
    """Three intervals are in order; a look in the future says that the clock is wrong."""
    at_us, interval_us = desk.rows(
        "SELECT finished_at_us, interval_us FROM sweeps WHERE kind = 'daily_loss' ORDER BY finished_at_us DESC"
    )[0]

    found = list(doctor.heartbeat(desk.store, at_us + intervals * interval_us))

    assert said(found) == ([] if severity is None else [(severity, "sweep")])


def test_an_account_nobody_ever_watched_is_told(desk: Desk) -> None:
    desk.sql("DELETE FROM sweeps")

    assert said(doctor.heartbeat(desk.store, START)) == [("warning", "sweep")]


def test_a_sqlite_with_the_bug_is_told(desk: Desk, monkeypatch: pytest.MonkeyPatch, store_kind: str) -> None:
    """And one without it is not; nor where the database is a server's."""
    told = [("warning", "sqlite")] if store_kind == "sqlite" else []
    for has, expected in ((True, told), (False, [])):
        monkeypatch.setattr(doctor, "has_wal_reset_bug", lambda has=has: has)
        assert said(doctor.sqlite_version(desk.store, START)) == expected


def test_a_look_that_breaks_is_a_finding_and_hides_no_other(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each function stands alone; the worst comes first."""

    def broken(store: Store, now_us: int) -> Iterable[Finding]:
        raise ZeroDivisionError("of all things")

    def small(store: Store, now_us: int) -> Iterable[Finding]:
        yield Finding(Severity.INFO, "small", "a word")

    monkeypatch.setattr(doctor, "FINDINGS", (small, broken))

    assert said(examine(lambda: Store(desk.url), START)) == [("error", "broken"), ("info", "small")]


def test_no_database_is_one_finding(tmp_path: Path) -> None:
    """Not a traceback, and nothing is created."""
    path = tmp_path / "none.db"

    assert said(examine(lambda: Store(f"sqlite:///{path}"), START)) == [("error", "database")]
    assert not path.exists()


def test_every_look_looks_and_changes_nothing(desk: Desk, store_kind: str) -> None:
    """All of them run on a healthy desk, and the database is as it was."""
    heads = "SELECT account, sequence, version FROM account_heads ORDER BY account"
    before = desk.rows(heads)

    found = [finding for look in FINDINGS for finding in look(desk.store, START)]

    assert all(each.what and each.subject for each in found)
    # The tests' server keeps nothing on disk, and they come to it as its superuser: that has to be told.
    ours = [each for each in found if each.subject != "postgresql"]
    assert {each.severity for each in ours} <= {Severity.WARNING}, found
    assert (ours == found) is (store_kind == "sqlite")
    assert desk.rows(heads) == before
