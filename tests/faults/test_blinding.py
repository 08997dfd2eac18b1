"""
F2: one `open(db).read(); close()` in a trading process drops its locks, and the next program to leave deletes its log.

From then on the process would read and write files nobody else can see: each side whole, each side blind. The inodes of
database, log and shared memory are looked at before every transaction, and again after one that had to be durable.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from riskguard.errors import DecisionUnknownError
from riskguard.store import journal
from riskguard.store.engines import sqlite as lite
from riskguard.store.session import Session
from tests.core.tables import Row, table
from tests.services.desk import Desk

LAST_TO_LEAVE = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], timeout=10, isolation_level=None)
for statement in sys.argv[2:]:
    print(connection.execute(statement).fetchall())
connection.close()  # believes it is the last one: takes the log with it
"""
KILL = (
    "INSERT INTO traders_control (account_type, control_type, kill_switch_status, is_active, created_at, updated_at) "
    "VALUES ('leader', 'KILL_SWITCH', 'ACTIVE', 1, 1748840400, 1748840400)"
)


def another_program(desk: Desk, *statements: str) -> str:
    """Open the database, run *statements*, and close it, in a process that knows nothing of riskguard; return the rows."""
    done = subprocess.run(
        [sys.executable, "-S", "-E", "-c", LAST_TO_LEAVE, str(desk.path), *statements], check=True, capture_output=True, text=True
    )  # fmt: skip
    return done.stdout.strip()


def read_it(desk: Desk) -> None:
    desk.path.read_bytes()


def copy_all(desk: Desk) -> None:
    """A backup as one should not make it: every file of the database, read and closed."""
    for each in desk.path.parent.glob("risk.db*"):
        shutil.copyfile(each, desk.path.with_name("backup" + each.name))


def hash_it(desk: Desk) -> None:
    import hashlib

    with desk.path.open("rb") as file:
        hashlib.file_digest(file, "sha256")


STRAYS: dict[str, Callable[[Desk], None]] = {each.__name__: each for each in (read_it, copy_all, hash_it)}

SEEN = table("""
    stray     watch  approved
    read_it   yes    no
    copy_all  yes    no
    hash_it   yes    no
    -         yes    no
    read_it   no     yes
""")


@pytest.fixture
def unwatched(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """The protection removed: files are believed to be the ones that were opened."""
    yield lambda: monkeypatch.setattr(lite.FileWatch, "is_same", lambda _self: True)


@pytest.mark.parametrize("row", SEEN, ids=str)
def test_a_kill_by_sql_is_obeyed_after_a_stray_close(desk: Desk, row: Row, unwatched: Callable[[], None]) -> None:
    """
    No flag file helps here: the kill is a row, written by a program that was the last to leave.

    The row without the watch is the control: that guard approves past the kill.
    """
    if not row.has("watch"):
        unwatched()
    assert desk.guard.check(desk.order()).approved
    if row.opt("stray"):
        STRAYS[row.stray](desk)
    another_program(desk, "SELECT count(*) FROM accounts")  # it takes the log with it
    another_program(desk, KILL)  # and this is written into a new one

    assert desk.guard.check(desk.order()).approved == row.has("approved")


def test_nothing_is_lost_on_either_side(desk: Desk) -> None:
    """Blinded again and again while both write: every approval and every row of the other is in one whole file."""
    asked = []
    for _ in range(6):
        asked.append(desk.guard.check(desk.order()).client_order_id)
        read_it(desk)
        another_program(
            desk, "UPDATE traders_control SET order_value_limit = order_value_limit - 1 WHERE limit_id = 'order-value'"
        )

    assert desk.guard.check(desk.order()).approved
    assert {row[0] for row in desk.rows("SELECT client_order_id FROM permits")} >= set(asked)
    assert desk.rows(
        "SELECT order_value_limit FROM traders_control WHERE limit_id = 'order-value' AND is_active = 1"
    ) == [(10**8 - 6,)]
    assert desk.rows("PRAGMA integrity_check") == [("ok",)]


WRITTEN = table("""
    watch  answer
    yes    unknown
    no     lost
""")


@pytest.mark.parametrize("row", WRITTEN, ids=str)
def test_a_refusal_whose_log_was_deleted_under_it_is_not_called_recorded(
    desk: Desk, row: Row, unwatched: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    The other program leaves between this transaction's first statement and its COMMIT: what was synced lies in a file
    nobody can open. It is not known, says the answer; asked again it is decided again. Without the second look it says
    "recorded", and the row is gone: that is the control.
    """
    assert desk.guard.check(desk.order()).approved
    refused = desk.order(quantity=2_000_000, client_order_id="evidence")
    plain, left = journal.append, []

    def and_the_other_leaves(session: Session, *given: object, **more: object) -> object:
        if session.durable and not left:
            left.append(True)
            read_it(desk)
            another_program(desk, "SELECT count(*) FROM accounts")
            if not row.has("watch"):
                unwatched()
        return plain(session, *given, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(journal, "append", and_the_other_leaves)
    if row.answer == "unknown":
        with pytest.raises(DecisionUnknownError):
            desk.guard.check(refused)
    assert desk.guard.check(refused).recorded
    evidence = another_program(desk, "SELECT count(*) FROM risk_violations WHERE client_order_id = 'evidence'")
    assert (evidence == "[(0,)]") == (row.answer == "lost")


def test_a_forked_child_outlives_its_parent_and_is_not_blinded(desk: Desk) -> None:
    """
    SQLite in the child believes it holds the locks the parent held. The parent leaves, another program is the last to
    leave: the child's next check must still see what that program wrote.
    """
    assert desk.guard.check(desk.order()).approved
    to_child, to_parent = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        try:
            first = desk.guard.check(desk.order(client_order_id="child-1")).approved
            os.write(to_parent[1], b"1" if first else b"0")
            os.read(to_child[0], 1)
            os.write(to_parent[1], b"1" if desk.guard.check(desk.order(client_order_id="child-2")).approved else b"0")
        finally:
            os._exit(0)
    assert os.read(to_parent[0], 1) == b"1"
    desk.guard.close()  # the parent's locks are gone
    another_program(desk, "SELECT count(*) FROM accounts")
    another_program(desk, KILL)
    os.write(to_child[1], b"!")

    assert os.read(to_parent[0], 1) == b"0"
    os.waitpid(child, 0)
    assert desk.rows("PRAGMA integrity_check") == [("ok",)]
