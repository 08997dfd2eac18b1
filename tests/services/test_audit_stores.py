"""Goal: the journal verifies on both databases, across archive files, while others write, and at a million entries."""

from __future__ import annotations

import contextlib
import os
import random
import resource
import sqlite3
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from riskguard.services.audit.verify import verify
from riskguard.services.upkeep.archive import archive
from riskguard.services.upkeep.files import archives
from riskguard.store.session import Store
from tests.services.auditing import ACCOUNTS, BOOK, live, million
from tests.services.desk import ACCOUNT, DAY, Clock, Desk, build

FORGERIES = (
    ("UPDATE decisions SET approved = 1 - approved WHERE account = 'leader' AND sequence = 12", 12, "column"),
    (
        "UPDATE decisions SET body = replace(body, 'NSE', 'BSE') WHERE account = 'leader' AND sequence = 12",
        12,
        "content",
    ),
    ("DELETE FROM decisions WHERE account = 'leader' AND sequence = 12", 12, "gap"),
    ("UPDATE account_heads SET sequence = sequence + 1 WHERE account = 'leader'", None, "cut"),
    ("UPDATE permits SET quantity = quantity + 1 WHERE account = 'leader' AND sequence = 4", 4, "permit"),
    (
        "UPDATE risk_violations SET limit_value = limit_value + 1 WHERE account_type = 'leader' AND sequence = 5",
        5,
        "violation",
    ),
    ("DELETE FROM control_actions WHERE account = 'leader' AND kind = 'APPLY' AND sequence = 2", 2, "act"),
    ("UPDATE kill_runs SET by_whom = 'x' WHERE account = 'leader' AND halts = 1 AND cause <> 'SQL'", None, "kill"),
)


@pytest.mark.parametrize("store_kind", ["sqlite", "postgresql"])
def test_both_databases_say_the_same(make_desk: Callable[..., Desk], store_kind: str) -> None:
    """The same past is proven on both, and the same forgery is found on both, by the same name."""
    desk = make_desk(text=BOOK, accounts=ACCOUNTS)
    live(desk)
    verify(Store(desk.url), replay=True).require()
    if store_kind == "sqlite":
        for (name,) in desk.rows("SELECT name FROM sqlite_master WHERE type = 'trigger'"):
            desk.sql(f'DROP TRIGGER "{name}"')
        _judge_on_sqlite(desk)
    else:
        _judge_on_postgresql(desk)


def _judge_on_sqlite(desk: Desk) -> None:
    whole = desk.path.read_bytes()
    for statement, sequence, what in FORGERIES:
        assert desk.sql(statement) > 0, statement
        _is_named(desk, statement, sequence, what)
        desk.path.write_bytes(whole)


def _judge_on_postgresql(desk: Desk) -> None:
    """A superuser may leave triggers out of a session; what was forged stays, and the first bad row comes earlier each time."""
    for statement, sequence, what in FORGERIES:
        with contextlib.closing(Store(desk.url)) as store, store.session() as session:
            session.connection.execute("SET LOCAL session_replication_role = replica")
            assert session.connection.execute(statement.replace("%", "%%")).rowcount > 0, statement
            store.commit(session)
        _is_named(desk, statement, sequence, what, whole=False)


def _is_named(desk: Desk, statement: str, sequence: int | None, what: str, whole: bool = True) -> None:
    wrong = verify(Store(desk.url)).of(ACCOUNT).wrong
    assert wrong, statement
    if whole:
        first = min(wrong, key=lambda each: (each.sequence is None, each.sequence or 0))
        assert first.what == what and (sequence is None or first.sequence == sequence), (statement, wrong)


# -- archive files ----------------------------------------------------------------------------------------------


@pytest.mark.sqlite_only("archive files are SQLite's: on PostgreSQL `archive` refuses")
def test_violations_in_the_archive_still_hang_on_their_entries(desk: Desk) -> None:
    """Moved, they verify; gone or changed in the archive, their entry is named; without the archive file, too."""
    refused = [desk.guard.check(desk.order(quantity=100_000_000, strategy=f"s{n}")).sequence for n in range(4)]
    desk.guard.close()
    desk.sql(
        "INSERT OR REPLACE INTO config (key, value, updated_at) VALUES ('riskguard.archive_violations_after_days', 1827, 1)"
    )
    desk.clock.at_us += 1_900 * DAY
    done = archive(desk.url, clock=desk.clock)
    assert sum(each.rows for each in done.moved if each.table == "risk_violations") >= 4
    assert desk.one("SELECT count(*) FROM risk_violations") == 0
    verify(Store(desk.url)).require()

    (path,) = archives(desk.path).values()
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute("UPDATE risk_violations SET detail = 'another' WHERE sequence = ?", (refused[2],))
    (found,) = verify(Store(desk.url)).wrong
    assert found[1].what == "violation" and found[1].sequence == refused[2]
    path.unlink()
    assert verify(Store(desk.url)).of(ACCOUNT).first_wrong[0] == refused[0]  # type: ignore[index]


# -- while others write -----------------------------------------------------------------------------------------


def test_it_reads_one_instant_and_nobody_waits(desk: Desk) -> None:
    """Orders go on while it verifies again and again; each time it is true, and no check is refused for it."""
    done = threading.Event()
    seen: list[int] = []

    def verifying() -> None:
        while not done.is_set():
            found = verify(Store(desk.url))
            found.require()
            seen.append(found.rows)

    watching = threading.Thread(target=verifying)
    watching.start()
    try:
        for _ in range(150):
            assert desk.guard.check(desk.order()).approved
    finally:
        done.set()
        watching.join(60)
    assert seen and not watching.is_alive()


# -- a million ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("entries", [3_000, pytest.param(1_000_000, marks=pytest.mark.soak)])
def test_a_long_journal_is_verified_in_flat_memory(tmp_path: Path, entries: int) -> None:
    """
    Approvals and refusals with all that hangs on them. In soak a million: 10 s on two calm cores is the aim; the bound here
    is on CPU, and wide, because soaks run beside others.

    A single wrong row deep inside is found there too.
    """
    path = build(tmp_path, text=BOOK, accounts=ACCOUNTS)
    desk = Desk(path, Clock())
    live(desk)
    desk.close()
    million(path, entries)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began, cpu = time.monotonic(), _cpu_s()
    steps: list[int] = []
    jobs = 1 if entries < 100_000 else min(os.cpu_count() or 1, 8)
    found = verify(Store(f"sqlite:///{path}"), jobs=jobs, on_progress=lambda done, _total: steps.append(done))
    took_s, used_s = time.monotonic() - began, _cpu_s() - cpu
    found.require()
    assert found.rows > entries and steps[-1] == found.rows and steps == sorted(steps)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 60_000
    print(f"{found.rows} entries in {took_s:.1f} s, {used_s / found.rows * 1e6:.1f} µs of CPU each", file=sys.stderr)
    if entries >= 1_000_000:
        assert used_s / jobs <= 30
    at = random.Random(entries).randrange(entries // 2, entries)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for (name,) in connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'decisions'"
        ).fetchall():
            connection.execute(f'DROP TRIGGER "{name}"')
        connection.execute(
            "UPDATE decisions SET decided_at_us = decided_at_us + 1 WHERE account = 'leader' AND sequence = ?", (at,)
        )
    (wrong,) = verify(Store(f"sqlite:///{path}"), since=at - 10, accounts=[ACCOUNT]).wrong
    assert wrong[1].sequence == at


def _cpu_s() -> float:
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime
