"""
The pre-order check: what it answers, what is on disk when it has, and what it answers when the disk does not.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from riskguard.core.reject import RejectCode
from riskguard.core.state import TradingState
from riskguard.errors import (
    DatabaseMissingError,
    DecisionUnknownError,
    QuoteInvalidError,
    SchemaMismatchError,
    UnknownAccountError,
)
from riskguard.services import overview
from riskguard.services.orders.guard import RiskGuard
from riskguard.services.wiring import open_guard
from riskguard.store import halt, session
from riskguard.store.engines.sqlite import has_wal_reset_bug
from riskguard.store.gate import gate
from riskguard.store.generation import generation_path
from tests.core.tables import Row, table
from tests.services.desk import ACCOUNT, SECOND, Desk, e4, eventually, rulebook

TIGHT = rulebook(order_value='check = "order_value"\norder_value_inr_max = "1000"')


@pytest.fixture
def tight(make_desk: Callable[..., Desk]) -> Desk:
    """A desk whose orders may be worth ₹1,000."""
    made = make_desk(text=TIGHT)
    made.sweep()
    return made


def codes(decision: object) -> list[str]:
    return [each.code.value for each in decision.rejects]  # type: ignore[attr-defined]


# -- yes and no ---------------------------------------------------------------------------------------------------


def test_an_approval_is_journaled_with_its_permit(tight: Desk) -> None:
    """On the limit is allowed; what is on disk says what was answered."""
    decision = tight.guard.check(tight.order(quantity=10, price="100"))

    assert decision.approved and decision.recorded and decision.rejects == ()
    assert tight.rows("SELECT client_order_id, state, quantity, sequence, direction FROM permits") == [
        ("o-1", "GRANTED", 10, decision.sequence, "INCREASING")
    ]
    assert tight.rows("SELECT sequence, approved FROM decisions WHERE client_order_id = 'o-1'") == [
        (decision.sequence, 1)
    ]
    assert tight.rows("SELECT count(*) FROM risk_violations") == [(0,)]


def test_a_refusal_is_journaled_with_a_violation_that_names_its_limit(tight: Desk) -> None:
    """One paisa above the limit: the row says which limit, what was measured, and what would have passed."""
    decision = tight.guard.check(tight.order(quantity=10, price="100.05"))
    (reject,) = decision.rejects

    assert not decision.approved and decision.recorded and decision.permit is None
    assert (reject.code, reject.limit_id, reject.max_quantity) == (RejectCode.ORDER_VALUE_ABOVE_LIMIT, "order-value", 9)
    columns = (
        "violation_type, limit_value, actual_value, code, limit_id, scope, unit, measured, limit_text, client_order_id, "
        "sequence, action_taken, control_id"
    )
    row_id = tight.one("SELECT id FROM traders_control WHERE limit_id = 'order-value' AND is_active = 1")
    assert tight.rows(f"SELECT {columns} FROM risk_violations") == [  # noqa: S608
        ("ORDER_VALUE", 1000.0, 1000.5, "ORDER_VALUE_ABOVE_LIMIT", "order-value", "ACCOUNT:leader", "inr", "1000.50",
         "1000.00", "o-1", decision.sequence, "ORDER_REJECTED", row_id)
    ]  # fmt: skip
    assert tight.rows("SELECT count(*) FROM permits") == [(0,)]


def test_every_refusal_has_a_row_of_its_own(make_desk: Callable[..., Desk]) -> None:
    """An order over two limits leaves two violations under one decision, the weightiest first."""
    made = make_desk(
        text=rulebook(
            order_value='check = "order_value"\norder_value_inr_max = "1000"',
            order_quantity='check = "order_quantity"\nquantity_max = 5\nunit = "units"',
        )
    )
    made.sweep()
    decision = made.guard.check(made.order(quantity=20, price="100"))

    assert codes(decision) == ["ORDER_QUANTITY_ABOVE_LIMIT", "ORDER_VALUE_ABOVE_LIMIT"]
    assert made.rows("SELECT code, sequence FROM risk_violations ORDER BY id") == [
        ("ORDER_QUANTITY_ABOVE_LIMIT", decision.sequence),
        ("ORDER_VALUE_ABOVE_LIMIT", decision.sequence),
    ]


def test_a_number_too_large_for_its_column_is_still_recorded(tight: Desk) -> None:
    """A thousand million shares at a crore each: the old column holds its bound, the text the truth."""
    decision = tight.guard.check(tight.order(quantity=10**9, price="10000000"))

    assert decision.recorded
    assert tight.rows("SELECT actual_value, measured FROM risk_violations WHERE code = 'ORDER_VALUE_ABOVE_LIMIT'") == [
        (899_999_999_999_999.0, "10000000000000000.00")
    ]


def test_the_journal_is_gapless_and_replays(tight: Desk) -> None:
    """Approvals, refusals and a sweep in any order: the chain verifies, and deciding again on what was kept agrees."""
    for price in ("100", "100.05", "50", "200"):
        tight.guard.check(tight.order(quantity=10, price=price))
        tight.sweep()

    for entry in overview.verify(tight.store):
        assert (entry["wrong"], entry["replay_disagrees"]) == (None, [])
    assert overview.verify(tight.store)[1]["rows"] >= 4


def test_an_unknown_account_is_the_callers_mistake(desk: Desk) -> None:
    """Nothing is decided, nothing is written, and the known names are listed."""
    with pytest.raises(UnknownAccountError, match="leader"):
        desk.guard.check(desk.order(account="laeder"))
    assert desk.rows("SELECT count(*) FROM decisions WHERE kind = 'ORDER'") == [(0,)]


def test_without_an_id_one_is_made(desk: Desk) -> None:
    """It is the id the journal and the permit know, and no two are alike."""
    first, second = (desk.guard.check(desk.order(client_order_id=None, price=price)) for price in ("100", "101"))

    assert first.client_order_id and second.client_order_id and first.client_order_id != second.client_order_id
    assert desk.permit(first.client_order_id) == "GRANTED"


# -- asked twice ----------------------------------------------------------------------------------------------------


def test_the_same_order_asked_twice_is_answered_once(tight: Desk) -> None:
    """Same id, same contents: the recorded decision, and nothing new on disk."""
    asked = tight.order(quantity=10, price="100")
    first, second = tight.guard.check(asked), tight.another_guard().check(asked)

    assert second.approved and second.recorded and second.sequence == first.sequence
    assert second.permit is not None and second.permit.approved_order.correlation_id == (
        first.permit.approved_order.correlation_id  # type: ignore[union-attr]
    )
    assert tight.rows("SELECT count(*) FROM permits") == [(1,)]
    assert tight.rows("SELECT count(*) FROM decisions WHERE kind = 'ORDER'") == [(1,)]


def test_a_refused_order_stays_refused(tight: Desk) -> None:
    """The limit is widened meanwhile: the id still names an order that was refused."""
    asked = tight.order(quantity=20, price="100")
    first = tight.guard.check(asked)
    tight.sweep(60)
    second = tight.guard.check(asked)

    assert not second.approved and codes(second) == codes(first) and second.sequence == first.sequence
    assert second.rejects[0].message == first.rejects[0].message


OTHER_CONTENTS = table("""
    field             value
    quantity          11
    side              SELL
    price             99
    product           MARGIN
    security_id       2885
    strategy          other
    validity          IOC
    exit_group        g
    disclosed_quantity  4
""")


@pytest.mark.parametrize("row", OTHER_CONTENTS, ids=str)
def test_the_same_id_with_other_contents_is_refused(desk: Desk, row: Row) -> None:
    """An id names one order for ever; the refusal is journaled and leaves the first decision alone."""
    first = desk.guard.check(desk.order(client_order_id="a1"))
    number = row.field in ("quantity", "disclosed_quantity")
    changed = desk.order(client_order_id="a1", **{row.field: int(row.value) if number else row.value})
    second = desk.guard.check(changed)

    assert codes(second) == ["CLIENT_ORDER_ID_REUSED"]
    assert second.recorded and second.sequence == (first.sequence or 0) + 1
    assert desk.rows("SELECT code FROM risk_violations") == [("CLIENT_ORDER_ID_REUSED",)]
    assert desk.permit("a1") == "GRANTED"


def test_the_quote_is_no_part_of_the_contents(desk: Desk) -> None:
    """Evidence of a moment may differ: it is still the same order."""
    from riskguard.core.quote import Quote

    desk.guard.check(desk.order(client_order_id="a1"))
    again = desk.guard.check(desk.order(client_order_id="a1", quote=Quote.of(ltp="100", at_us=desk.clock.now_us())))

    assert again.approved


def test_an_id_belongs_to_its_account(make_desk: Callable[..., Desk]) -> None:
    """Another account may use the same id for another order."""
    made = make_desk(accounts=(ACCOUNT, "follower"))
    made.sweep()
    for name in (ACCOUNT, "follower"):
        from riskguard.services.sweeps.sweeper import Sweeper

        Sweeper(made.guard, name, made.join_market(name)).sweep(now=True)
    first = made.guard.check(made.order(client_order_id="a1"))
    second = made.guard.check(made.order(client_order_id="a1", account="follower", quantity=3))

    assert first.approved and second.approved


PRESENT = table("""
    became      approved  code
    GRANTED     yes       -
    SENT        no        PERMIT_VOID
    ACKED       no        PERMIT_VOID
    UNKNOWN     no        PERMIT_VOID
    REFUSED     no        PERMIT_VOID
    FILLED      no        PERMIT_VOID
    CANCELLED   no        PERMIT_VOID
    EXPIRED     no        PERMIT_VOID
    VOID        no        PERMIT_VOID
    RELEASED    no        PERMIT_VOID
""")


@pytest.mark.parametrize("row", PRESENT, ids=str)
def test_asked_again_an_approval_shows_its_permits_present_state(desk: Desk, row: Row) -> None:
    """`approved` is true only while the permit can still be sent."""
    asked = desk.order()
    desk.guard.check(asked)
    desk.sql("UPDATE permits SET state = ?", row.became)
    again = desk.guard.check(asked)

    assert again.approved == row.has("approved") and again.recorded
    assert (codes(again) or ["-"])[0] == row.code
    assert row.code == "-" or row.became in again.rejects[0].detail


STATES = table("""
    scope  holds  direction   approved
    kill   none   INCREASING  no
    kill   long   REDUCING    no
    soft   none   INCREASING  no
    soft   long   REDUCING    yes
""")


@pytest.mark.parametrize("row", STATES, ids=str)
def test_asked_again_after_the_state_changed(desk: Desk, row: Row) -> None:
    """A halt turns the recorded yes into a no; REDUCE_ONLY only that of orders that add risk."""
    if row.holds == "long":
        desk.hold(10)
    asked = desk.order("SELL" if row.holds == "long" else "BUY", 5)
    first = desk.guard.check(asked)
    assert first.approved and first.direction == row.direction
    if row.scope == "kill":
        desk.kill()
    else:
        desk.sql(
            "INSERT INTO state_causes (account, scope, state, code, detail, by_whom, is_soft, raised_at_us) "
            "VALUES ('leader', 'ACCOUNT:leader', 'REDUCE_ONLY', 'TEST', '', 'test', 1, ?)",
            desk.clock.now_us(),
        )

    assert desk.guard.check(asked).approved == row.has("approved")


# -- repeats --------------------------------------------------------------------------------------------------------

REPEATS = table("""
    after_s   violations  repeats
    0         1           1
    0.5       1           1
    0.999999  1           1
    1         2           0
    60        2           0
    -1        2           0
""")


@pytest.mark.parametrize("row", REPEATS, ids=str)
def test_a_repeated_refusal_costs_a_row_each_second(tight: Desk, row: Row) -> None:
    """The same refusal less than a second after the last written one is counted, not written."""
    first = tight.guard.check(tight.order(quantity=20))
    violation = tight.one("SELECT id FROM risk_violations")
    tight.clock.advance(float(row.after_s))
    second = tight.guard.check(tight.order(quantity=20))
    tight.guard.flush_repeats()

    assert not second.approved and second.recorded
    assert tight.one("SELECT count(*) FROM risk_violations") == row.number("violations")
    assert tight.one("SELECT coalesce(sum(repeats), 0) FROM refusal_repeats") == row.number("repeats")
    if row.number("repeats"):
        assert (second.sequence, second.repeat_of) == (None, violation)
    else:
        assert (second.sequence, second.repeat_of) == ((first.sequence or 0) + 1, None)


OTHER_KEY = table("""
    changed      written
    nothing      no
    price        no
    quantity     no
    strategy     yes
    security_id  yes
    side         yes
""")


@pytest.mark.parametrize("row", OTHER_KEY, ids=str)
def test_what_makes_a_refusal_another_one(tight: Desk, row: Row) -> None:
    """Account, strategy, instrument, side, code and limit; not the price or quantity of a loop that varies them."""
    values = {"price": "101", "quantity": 21, "strategy": "other", "security_id": "2885", "side": "SELL"}
    tight.guard.check(tight.order(quantity=20))
    changes = {} if row.changed == "nothing" else {row.changed: values[row.changed]}
    tight.guard.check(tight.order(**{"quantity": 20, **changes}))

    assert tight.one("SELECT count(*) FROM risk_violations") == (2 if row.has("written") else 1)


def test_the_window_runs_from_what_was_written(tight: Desk) -> None:
    """A loop that never pauses still writes once a second, with the count of what it asked in between."""
    for _ in range(25):
        tight.guard.check(tight.order(quantity=20))
        tight.clock.advance(0.1)
    tight.guard.flush_repeats()

    assert tight.rows("SELECT count(*) FROM risk_violations") == [(3,)]
    assert tight.one("SELECT sum(repeats) FROM refusal_repeats") == 22
    written = {row[0] for row in tight.rows("SELECT id FROM risk_violations")}
    assert {row[0] for row in tight.rows("SELECT violation_id FROM refusal_repeats")} <= written


REMEMBERED = table("""
    fourth_at_s   remembered   s2_again
    0.999999      s3           written
    1             s2+s3        counted
    1.499999      s2+s3        counted
    1.5           s3           written
""")


@pytest.mark.parametrize("row", REMEMBERED, ids=str)
def test_refusals_are_remembered_for_their_second(tight: Desk, row: Row, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where three fill what there is room for, the fourth drops those past; all of them when none is: each is written anew."""
    monkeypatch.setattr("riskguard.store.violations.REPEATS_KEPT_MAX", 3)
    repeats, began_us = tight.guard.kept.repeats, tight.clock.at_us
    for strategy, at_s in (("s0", 0.0), ("s1", 0.0), ("s2", 0.5), ("s3", float(str(row.fourth_at_s)))):
        tight.clock.at_us = began_us + round(at_s * SECOND)
        tight.guard.check(tight.order(quantity=20, strategy=strategy))

    assert "+".join(str(key[1]) for key in repeats.written) == row.remembered
    tight.guard.check(tight.order(quantity=20, strategy="s2"))
    assert tight.one("SELECT count(*) FROM risk_violations") == (5 if row.s2_again == "written" else 4)
    assert len(repeats.counts) == (row.s2_again == "counted")


def test_counts_of_repeats_survive_a_database_that_is_busy(tight: Desk) -> None:
    """A flush that finds no lock keeps its counts for the next one."""
    tight.guard.check(tight.order(quantity=20))
    tight.guard.check(tight.order(quantity=20))
    tight.store.deadline_s = 0.01
    with tight.locked():
        tight.guard.flush_repeats()
    assert tight.rows("SELECT count(*) FROM refusal_repeats") == [(0,)]
    tight.guard.flush_repeats()
    tight.guard.flush_repeats()

    assert tight.rows("SELECT repeats FROM refusal_repeats") == [(1,)]


def test_a_loop_cannot_hide_behind_its_repeats(make_desk: Callable[..., Desk]) -> None:
    """Questions that were only counted count in `attempt_rate`, here and in another process, whatever else moves."""
    made = make_desk(
        text=rulebook(
            order_value='check = "order_value"\norder_value_inr_max = "1000"',
            attempt_rate='check = "attempt_rate"\nattempts_max = 50\nper_s = 60',
        )
    )
    made.sweep()
    found = []
    for _ in range(10):  # ten a second for ten seconds, a sweep in every second
        for _ in range(10):
            found += codes(made.guard.check(made.order(quantity=20)))
        made.sweep(1)
    made.guard.flush_repeats()

    assert found.count("ATTEMPT_RATE_ABOVE_LIMIT") == 50
    assert "ATTEMPT_RATE_ABOVE_LIMIT" in codes(made.another_guard().check(made.order(quantity=1)))


# -- a database that does not answer --------------------------------------------------------------------------------


def gone(desk: Desk) -> None:
    desk.path.unlink()


def empty(desk: Desk) -> None:
    desk.path.write_bytes(b"")


def replaced_by_junk(desk: Desk) -> None:
    other = desk.path.with_name("junk")
    other.write_bytes(os.urandom(8192))
    os.replace(other, desk.path)


def replaced_by_another_kind(desk: Desk) -> None:
    other = desk.path.with_name("other")
    with contextlib.closing(sqlite3.connect(other)) as connection:
        connection.execute("CREATE TABLE t (x)")
    os.replace(other, desk.path)


def another_version(desk: Desk) -> None:
    desk.sql("PRAGMA user_version = 99")
    desk.guard.store.close()


def without_a_table(desk: Desk) -> None:
    desk.sql("DROP TABLE permits")


def unreadable_limit(desk: Desk) -> None:
    """Only with an action open can such a row be written at all: the database holds the policy columns still."""
    with contextlib.closing(sqlite3.connect(desk.path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(
            "INSERT INTO control_actions (account, kind, by_whom, at_us) VALUES ('leader', 'APPLY', 'test', ?)",
            (desk.clock.now_us(),),
        )
        connection.execute("UPDATE traders_control SET parameters = '{nonsense' WHERE limit_id = 'order-rate'")
        connection.execute("UPDATE control_actions SET is_open = 0")
        connection.execute("COMMIT")


def pages_overwritten(desk: Desk) -> None:
    """Overwrite everything after the first page while nobody has it open, as a failing disk would."""
    desk.guard.store.close()
    with contextlib.suppress(FileNotFoundError):
        desk.path.with_name(desk.path.name + "-wal").unlink()
    size = desk.path.stat().st_size
    with open(desk.path, "r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (size - 4096))


BROKEN = {
    each.__name__: each
    for each in (
        gone, empty, replaced_by_junk, replaced_by_another_kind, another_version, without_a_table, unreadable_limit,
        pages_overwritten,
    )
}  # fmt: skip


@pytest.mark.parametrize("fault", BROKEN)
@pytest.mark.sqlite_only("what happens to a file; the server's faults are in tests/postgres")
def test_a_database_that_cannot_be_used_refuses_and_spools(desk: Desk, fault: str) -> None:
    """No approval, no exception: a refusal that says it is not recorded, and a line in the spool file."""
    assert desk.guard.check(desk.order()).approved  # the control: a moment before, the same order passed
    BROKEN[fault](desk)
    decision = desk.guard.check(desk.order())

    assert codes(decision) == ["STORE_UNAVAILABLE"]
    assert not decision.approved and not decision.recorded and decision.sequence is None
    (line,) = [json.loads(line) for path in desk.spool_files() for line in path.read_text().splitlines()]
    assert [(row["client_order_id"], row["code"]) for row in line] == [(f"o-{desk._asked}", "STORE_UNAVAILABLE")]
    assert desk.guard.state(ACCOUNT).state is TradingState.HALTED


@pytest.mark.sqlite_only("what happens to a file; the server's faults are in tests/postgres")
def test_a_read_only_database_refuses_and_spools(desk: Desk) -> None:
    """Root may write anything, so SQLite itself is told to refuse writing."""
    assert desk.guard.check(desk.order()).approved
    assert desk.store._held is not None
    desk.store._held.execute("PRAGMA query_only = ON")
    decision = desk.guard.check(desk.order())

    assert codes(decision) == ["STORE_UNAVAILABLE"] and not decision.recorded
    assert len(desk.spool_files()) == 1


@pytest.mark.sqlite_only("what happens to a file; the server's faults are in tests/postgres")
def test_a_full_database_refuses_and_spools(desk: Desk) -> None:
    """SQLITE_FULL in the middle of a transaction: undone, refused, and the file is whole."""
    assert desk.guard.check(desk.order()).approved
    connection = desk.store._held
    assert connection is not None
    connection.execute(f"PRAGMA max_page_count = {connection.execute('PRAGMA page_count').fetchone()[0]}")
    decisions = [desk.guard.check(desk.order(strategy="s" * 60)) for _ in range(60)]
    refused = [each for each in decisions if not each.approved]

    assert refused and all(codes(each) == ["STORE_UNAVAILABLE"] and not each.recorded for each in refused)
    assert desk.rows("PRAGMA integrity_check") == [("ok",)]
    assert overview.verify(desk.store)[1]["wrong"] is None
    granted = {row[0] for row in desk.rows("SELECT client_order_id FROM permits")}
    assert granted == {each.client_order_id for each in decisions if each.approved} | {"o-1"}


@pytest.mark.sqlite_only("what happens to a file; the server's faults are in tests/postgres")
def test_an_open_guard_goes_on_when_the_database_comes_back(desk: Desk) -> None:
    """The fault is over: the next check is decided again, and a second fault is noticed again."""
    hidden = desk.path.with_name("hidden")
    for _ in range(2):
        desk.path.rename(hidden)
        assert codes(desk.guard.check(desk.order())) == ["STORE_UNAVAILABLE"]
        hidden.rename(desk.path)
        assert desk.guard.check(desk.order()).approved


@pytest.mark.sqlite_only("what happens to a file; the server's faults are in tests/postgres")
def test_a_copy_put_in_its_place_is_what_counts_from_then_on(desk: Desk) -> None:
    """The file was replaced under an open guard: it must not go on writing to one nobody else can see."""
    assert desk.guard.check(desk.order()).approved
    desk.guard.store.close()
    copied = desk.path.with_name("copied")
    shutil.copyfile(desk.path, copied)
    assert desk.guard.check(desk.order()).approved  # the guard has the old file open
    os.replace(copied, desk.path)
    decision = desk.guard.check(desk.order())

    assert decision.approved or not decision.recorded
    known = {row[0] for row in desk.rows("SELECT client_order_id FROM decisions WHERE approved = 1")}
    assert not decision.approved or decision.client_order_id in known


@pytest.mark.sqlite_only("what happens to a file; the server's faults are in tests/postgres")
def test_a_file_read_by_another_program_does_not_blind_the_guard(desk: Desk) -> None:
    """Closing any descriptor of the file drops our locks; a writer that then cleans up must still be seen."""
    assert desk.guard.check(desk.order()).approved
    with open(desk.path, "rb") as file:
        file.read(100)
    desk.sql("UPDATE traders_control SET order_value_limit = 1 WHERE limit_id = 'order-value'")

    assert codes(desk.guard.check(desk.order())) == ["ORDER_VALUE_ABOVE_LIMIT"]


def test_opening_never_creates(desk: Desk, tmp_path: Path) -> None:
    """Absent, empty and foreign files are told apart, and none of them is made into a database."""
    absent, nothing, foreign = (tmp_path / name for name in ("absent.db", "empty.db", "foreign.db"))
    nothing.touch()
    with contextlib.closing(sqlite3.connect(foreign)) as connection:
        connection.execute("CREATE TABLE t (x)")
    for path, error in (
        (absent, DatabaseMissingError),
        (nothing, DatabaseMissingError),
        (foreign, SchemaMismatchError),
    ):
        with pytest.raises(error):
            open_guard(f"sqlite:///{path}", sweep=False)
    assert not absent.exists() and nothing.stat().st_size == 0


# -- a database that is busy ----------------------------------------------------------------------------------------


def test_a_locked_database_refuses_within_the_deadline(make_desk: Callable[..., Desk], store_kind: str) -> None:
    """Another process holds the lock: refused `STORE_BUSY` and spooled; the moment it lets go the check passes."""
    deadline_ms = 50 if store_kind == "sqlite" else 500  # a server's answer has to come back in it
    made = make_desk(deadline_ms=deadline_ms)
    made.sweep()
    with made.locked():
        began = time.monotonic()
        decision = made.guard.check(made.order())
        took_s = time.monotonic() - began

    assert codes(decision) == ["STORE_BUSY"] and not decision.recorded and len(made.spool_files()) == 1
    # PostgreSQL gives up a little before, so that its answer is still in time.
    assert (1.0 if store_kind == "sqlite" else 0.7) * deadline_ms <= took_s * 1000 < 10 * deadline_ms
    assert made.guard.check(made.order()).approved


def test_the_deadline_is_waited_out_not_given_up(desk: Desk) -> None:
    """A lock that is free again in time costs nothing but the wait."""
    held, let_go = threading.Event(), threading.Event()

    def hold() -> None:
        with desk.locked():
            held.set()
            let_go.wait(10)

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(10)
    threading.Timer(0.1, let_go.set).start()
    decision = desk.guard.check(desk.order())
    holder.join()

    assert decision.approved


@pytest.mark.sqlite_only("only SQLite's lock is unfair enough to want a gate")
def test_a_gate_makes_writers_stand_back_and_never_halts(make_desk: Callable[..., Desk]) -> None:
    """While a kill holds the gate a check waits at most its deadline; a gate nobody holds is swept away."""
    made = make_desk(deadline_ms=50)
    made.sweep()
    directory = made.store.directories[0]
    with gate(directory):
        assert codes(made.guard.check(made.order())) == ["STORE_BUSY"]
    stale = directory / halt.GATE / "left-behind"
    stale.touch()
    os.utime(stale, (1, 1))

    assert made.guard.check(made.order()).approved
    assert not stale.exists()


def test_threads_share_one_guard(desk: Desk) -> None:
    """Eight threads, one guard: every answer is its own, every approval reserved once, the chain whole."""
    orders = [desk.order() for _ in range(80)]
    answers: list[object] = []

    def ask(mine: list[object]) -> None:
        for each in mine:
            answers.append(desk.guard.check(each))  # type: ignore[arg-type]

    threads = [threading.Thread(target=ask, args=(orders[number::8],)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(each.client_order_id for each in answers) == sorted(each.client_order_id for each in orders)  # type: ignore[attr-defined]
    assert all(each.approved for each in answers)  # type: ignore[attr-defined]
    assert desk.rows("SELECT count(*) FROM permits WHERE state = 'GRANTED'") == [(80,)]
    assert overview.verify(desk.store)[1]["wrong"] is None


@pytest.mark.sqlite_only("the commit of SQLite's session; PostgreSQL's is cut in tests/postgres")
def test_an_interrupted_commit_is_not_a_no(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """When COMMIT itself fails the answer is unknown: asked again with the same id it is what stands."""
    asked = desk.order()

    def commit(store: session.Store, within: session.Session) -> None:
        if within.connection.in_transaction:
            within.connection.execute("COMMIT")
            raise session.CommitUnknownError("the disk went away")

    with monkeypatch.context() as broken:
        broken.setattr(type(desk.store), "_commit", commit)
        with pytest.raises(DecisionUnknownError, match="same client order id"):
            desk.guard.check(asked)

    again = desk.guard.check(asked)
    assert again.approved and again.permit is not None
    assert desk.rows("SELECT count(*) FROM permits") == [(1,)]


# -- the spool ------------------------------------------------------------------------------------------------------


@pytest.fixture
def spooled(desk: Desk) -> Iterator[Desk]:
    """A desk with three refusals in its spool file."""
    desk.store.deadline_s = 0.005 if desk.store.dialect == "sqlite" else 0.2  # a round trip has to fit in
    with desk.locked():
        for _ in range(3):
            desk.guard.check(desk.order())
    desk.store.deadline_s = 5
    yield desk


def violations(desk: Desk) -> list[str]:
    return [
        row[0] for row in desk.rows("SELECT client_order_id FROM risk_violations WHERE code = 'STORE_BUSY' ORDER BY id")
    ]


def test_the_next_sweep_adopts_the_spool_exactly_once(spooled: Desk) -> None:
    """Its rows become violations and the file is gone; a file of this minute may still grow and is left alone."""
    spooled.sweep()
    assert violations(spooled) == [] and len(spooled.spool_files()) == 1
    spooled.age_spool()
    spooled.sweep()
    assert len(violations(spooled)) == 3 and spooled.spool_files() == []
    spooled.sweep()
    assert len(violations(spooled)) == 3


def test_a_spool_file_left_behind_by_a_crash_counts_once(spooled: Desk) -> None:
    """The sweep committed and died before it removed the file: the file's digest is known."""
    spooled.age_spool()
    (path,) = spooled.spool_files()
    kept = path.read_bytes()
    spooled.sweep()
    path.write_bytes(kept)
    spooled.sweep()

    assert len(violations(spooled)) == 3 and spooled.spool_files() == []


def test_a_torn_last_line_costs_only_itself(spooled: Desk) -> None:
    """The process died while writing: what was whole before is adopted."""
    spooled.age_spool()
    (path,) = spooled.spool_files()
    with open(path, "ab") as file:
        file.write(b'[{"account_type": "lea')
    spooled.sweep()

    assert len(violations(spooled)) == 3


def test_a_torn_line_does_not_take_the_next_one_with_it(desk: Desk) -> None:
    """The disk was full in the middle of a line and then was not: what comes after it begins a line of its own."""
    from riskguard.store import violations

    desk.lose()
    desk.guard.check(desk.order(client_order_id="before"))
    (path,) = desk.spool_files()
    with path.open("ab") as file:
        file.write(b'[{"torn')
    desk.guard.check(desk.order(client_order_id="after"))
    lines = [line for line in path.read_text().splitlines() if not line.endswith("torn")]

    assert [json.loads(line)[0]["client_order_id"] for line in lines] == ["before", "after"]
    assert path.parent.name == violations.SPOOL


def test_a_spool_file_that_was_taken_over_is_not_written_into(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped for a minute between opening and writing: the sweep has removed the file, so the line goes to a new one."""
    desk.lose()
    plain, taken = os.write, []

    def late(descriptor: int, text: bytes) -> int:
        for each in desk.spool_files() if not taken else []:
            taken.append(each)
            each.unlink()
        return plain(descriptor, text)

    monkeypatch.setattr(os, "write", late)
    desk.guard.check(desk.order(client_order_id="late"))

    assert taken and [json.loads(each.read_text())[0]["client_order_id"] for each in desk.spool_files()] == ["late"]


def test_two_sweepers_adopt_it_once(spooled: Desk) -> None:
    """Two daemons on one database meet the same file."""
    from riskguard.services.sweeps.sweeper import Sweeper

    spooled.age_spool()
    other = Sweeper(spooled.another_guard(), ACCOUNT, spooled.join_market())
    both = [threading.Thread(target=each.sweep, kwargs={"now": True}) for each in (spooled.sweeper, other)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()

    assert len(violations(spooled)) == 3


# -- beside the database --------------------------------------------------------------------------------------------


def test_a_generation_ahead_of_the_database_halts(desk: Desk) -> None:
    """A restored backup may lack a halt: what the file beside it counts, the database must know."""
    path = generation_path(desk.path)
    assert desk.guard.check(desk.order()).approved
    path.write_text("1")
    desk.sweep()
    decision = desk.guard.check(desk.order())
    assert codes(decision) == ["TRADING_HALTED"] and "GENERATION" in decision.rejects[0].detail
    path.write_text("nonsense")
    desk.sweep()
    assert codes(desk.guard.check(desk.order())) == ["TRADING_HALTED"]
    path.write_text("0")
    desk.sweep()
    assert desk.guard.check(desk.order()).approved


@pytest.mark.sqlite_only("what happens to a file; the server's faults are in tests/postgres")
def test_a_restored_backup_is_noticed(desk: Desk) -> None:
    """Killed after the backup was made: restoring it does not lift the halt, not even with the flags gone."""
    desk.guard.store.close()
    backup = desk.path.with_name("backup")
    shutil.copyfile(desk.path, backup)
    desk.kill()
    desk.guard.store.close()
    for flag in desk.flags():
        flag.unlink()
    os.replace(backup, desk.path)

    assert codes(desk.guard.check(desk.order())) == ["TRADING_HALTED"]
    assert desk.one("SELECT count(*) FROM kill_runs") == 0  # the database itself does not know of any kill


@pytest.mark.parametrize(
    "which",
    [
        pytest.param(0, marks=pytest.mark.sqlite_only("a directory beside the file"), id="beside the database"),
        pytest.param(-1, id="of the host"),
    ],
)
@pytest.mark.parametrize("how", ["missing", "a file", "unreadable"])
def test_a_halt_directory_that_cannot_be_read_halts(
    desk: Desk, which: int, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Flags may be lost with it; when it is back the account is what it was."""
    directory = desk.store.directories[which] / halt.HALT
    aside = directory.with_name("aside")
    assert desk.guard.check(desk.order()).approved
    if how == "unreadable" and os.geteuid() != 0:
        directory.chmod(0)
    else:
        directory.rename(aside)
        if how == "a file":
            directory.touch()
        if how == "unreadable":
            directory.symlink_to(directory)  # root may read everything but a loop
    decision = desk.guard.check(desk.order())
    assert codes(decision) == ["TRADING_HALTED"] and decision.recorded
    assert desk.guard.state(ACCOUNT).state is TradingState.HALTED
    if aside.exists():
        if how != "missing":
            directory.unlink()
        aside.rename(directory)
    else:
        directory.chmod(0o700)

    assert desk.guard.check(desk.order()).approved


def test_a_check_that_breaks_refuses_and_says_so(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever breaks inside: no approval, no exception, and the next check is decided as usual."""
    from riskguard.store import loader

    def broken(*args: object) -> None:
        raise MemoryError

    with monkeypatch.context() as context:
        context.setattr(loader, "know_instrument", broken)
        decision = desk.guard.check(desk.order())

    assert codes(decision) == ["CHECK_BROKEN"] and not decision.recorded and len(desk.spool_files()) == 1
    assert desk.guard.check(desk.order()).approved


def test_an_interrupt_is_not_swallowed(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person's Ctrl-C comes through, nothing is reserved, and the guard stays usable."""
    from riskguard.store import loader

    def interrupted(*args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as context:
        context.setattr(loader, "know_instrument", interrupted)
        with pytest.raises(KeyboardInterrupt):
            desk.guard.check(desk.order())

    assert desk.rows("SELECT count(*) FROM permits") == [(0,)]
    assert desk.guard.check(desk.order()).approved


INTERRUPTED = table("""
    at
    begin
    commit
""")


@pytest.mark.parametrize("row", INTERRUPTED, ids=str)
def test_an_interrupt_leaves_no_lock_behind(desk: Desk, monkeypatch: pytest.MonkeyPatch, row: Row) -> None:
    """Ctrl-C between BEGIN and COMMIT, outside any code of the check: undone, and everybody else goes on."""
    plain = getattr(type(desk.store), f"_{row.at}")

    def interrupted(store: session.Store, *args: object) -> object:
        if row.at == "begin":
            plain(store, *args)
        raise KeyboardInterrupt

    with monkeypatch.context() as context:
        context.setattr(type(desk.store), f"_{row.at}", interrupted)
        with pytest.raises(KeyboardInterrupt):
            desk.guard.check(desk.order())

    assert desk.sql("UPDATE account_heads SET version = version + 1 WHERE account = 'leader'") == 1
    assert desk.rows("SELECT count(*) FROM permits") == [(0,)]
    assert desk.guard.check(desk.order()).approved


# -- quotes ---------------------------------------------------------------------------------------------------------


def test_a_quote_reaches_other_processes_through_the_database(make_desk: Callable[..., Desk]) -> None:
    """A market order is valued at the mark another process pushed; without one its price is unknown."""
    made = make_desk(text=TIGHT)
    made.sweep()
    other = made.another_guard()
    assert codes(other.check(made.order(price=None, quantity=5))) == ["PRICE_UNKNOWN"]
    made.guard.quote("NSE_EQ", "1333", ltp="100")
    assert other.check(made.order(price=None, quantity=5)).approved
    assert codes(other.check(made.order(price=None, quantity=10, side="BUY"))) == ["ORDER_VALUE_ABOVE_LIMIT"]
    made.clock.advance(5.000001)
    assert codes(other.check(made.order(price=None, quantity=5))) == ["PRICE_UNKNOWN"]


STAMPS = table("""
    first_s  then_s  stands  shared
    0        -1      100     100
    0        0       101     101
    1        0       100     100
    2        0       100     100
    3        0       101     101
    864000   0       101     101
""")


@pytest.mark.parametrize("row", STAMPS, ids=str)
def test_a_stamp_of_the_future_does_not_stand_before_every_true_one(desk: Desk, row: Row) -> None:
    """Two seconds are two clocks; more is a wrong one, and what it stamped goes, here and for other processes."""
    for price, stamp in (("100", row.first_s), ("101", row.then_s)):
        desk.guard.quote("NSE_EQ", "1333", ltp=price, at=desk.clock.now_us() + int(stamp) * SECOND)
        desk.guard._saved_marks.clear()  # shared at most once a second

    held = desk.guard.held_quote(("NSE_EQ", "1333"))
    assert held is not None and held.ltp_e4 == e4(row.stands)
    assert desk.rows("SELECT ltp_e4 FROM marks WHERE security_id = '1333'") == [(e4(row.shared),)]


def test_another_process_s_older_push_does_not_take_a_newer_mark_away(desk: Desk) -> None:
    """It was stopped, or its feed went back in time; a stamp of 1970 is the oldest of all."""
    desk.guard.quote("NSE_EQ", "1333", ltp="100")
    for late_us in (desk.clock.now_us() - 1, 1):
        desk.another_guard().quote("NSE_EQ", "1333", ltp="7", at=late_us)
        assert desk.rows("SELECT ltp_e4 FROM marks WHERE security_id = '1333'") == [(e4("100"),)]
    desk.another_guard().quote("NSE_EQ", "1333", ltp="101")

    assert desk.rows("SELECT ltp_e4 FROM marks WHERE security_id = '1333'") == [(e4("101"),)]


@pytest.mark.parametrize("at", [dt.datetime.fromisoformat("2025-06-02T10:30"), "10:30", 1.5, True, 0, -1])
def test_a_quote_says_when_it_was_true(desk: Desk, at: Any) -> None:
    """A time without a zone would be read by the host's: refused, as what is no time at all."""
    with pytest.raises(QuoteInvalidError, match="wants the time"):
        desk.guard.quote("NSE_EQ", "1333", ltp="100", at=at)
    assert desk.guard.quote("NSE_EQ", "1333", ltp="100", at=dt.datetime(2025, 6, 2, 5, tzinfo=dt.UTC))


def test_an_older_quote_is_ignored(desk: Desk) -> None:
    """The newest stands, whatever order they arrive in."""
    desk.guard.quote("NSE_EQ", "1333", ltp="100", at=desk.clock.now_us())
    held = desk.guard.quote("NSE_EQ", "1333", ltp="90", at=desk.clock.now_us() - SECOND)

    assert held.ltp_e4 == 1_000_000 == desk.guard.held_quote(("NSE_EQ", "1333")).ltp_e4  # type: ignore[union-attr]


# -- the SQLite that runs it ----------------------------------------------------------------------------------------

VERSIONS = table("""
    version   affected
    3.40.1    yes
    3.44.5    yes
    3.44.6    no
    3.45.0    yes
    3.50.6    yes
    3.50.7    no
    3.51.2    yes
    3.51.3    no
    3.52.0    no
""")


@pytest.mark.parametrize("row", VERSIONS, ids=str)
def test_which_sqlite_can_corrupt_a_wal(row: Row) -> None:
    """The fixed set exactly: later releases of an unfixed branch are affected too."""
    assert has_wal_reset_bug(tuple(int(each) for each in row.version.split("."))) == row.has("affected")


@pytest.mark.sqlite_only("what happens to a file; the server's faults are in tests/postgres")
def test_the_janitor_keeps_the_wal_small_while_others_write(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing checkpoints by itself; the janitor does, and what is in the database stays."""
    from riskguard.store.engines import sqlite as lite

    wal = desk.path.with_name(desk.path.name + "-wal")
    monkeypatch.setattr(lite, "WAL_BYTES_MAX", 200_000)
    for _ in range(60):
        desk.guard.check(desk.order())
    before = wal.stat().st_size
    assert desk.store.tidy()
    for _ in range(10):
        desk.guard.check(desk.order())

    assert wal.stat().st_size == before > 200_000  # it starts over from its beginning instead of growing
    assert desk.rows("PRAGMA integrity_check") == [("ok",)]
    assert desk.rows("SELECT count(*) FROM permits") == [(70,)]


def test_closing_and_opening_again_changes_nothing(desk: Desk) -> None:
    """A guard that was closed opens its connections again at the next question."""
    desk.guard.check(desk.order())
    desk.guard.close()
    desk.guard.close()

    assert desk.guard.check(desk.order()).approved
    eventually(lambda: desk.one("SELECT count(*) FROM permits") == 2)


def test_a_guard_says_what_it_is(desk: Desk) -> None:
    """Its repr names the database and the process, and nothing secret."""
    with RiskGuard.open(desk.url, sweep=False, clock=desk.clock) as guard:
        assert repr(guard) == f"<RiskGuard {desk.url} in process {os.getpid()}>"
        assert guard.accounts() == (ACCOUNT,)
