"""
What both databases hold by themselves: plain SQL may tighten, never loosen, and whatever an account reads moves its head.

Each case runs on SQLite and on PostgreSQL. Every trigger is shown to be the one that holds: without it the failure is
there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

import pytest

from riskguard.store.tables import metadata
from riskguard.store.triggers import BUMPED, GLOBAL_TABLES
from riskguard.store.triggers.shared import DAY_ROWS
from tests.core.tables import Row, table
from tests.store.held import LATCHED, REFUSED, Held, act, close, head, insert, lite, rolled_back, row_of, seed

BOTH: Final = {"sqlite": lite, "postgresql": rolled_back}


@pytest.fixture(params=BOTH, ids=str)
def held(request: pytest.FixtureRequest) -> Iterator[Held]:
    with BOTH[request.param]() as made:
        seed(made)
        yield made


def per_database(rows: list[Row]) -> pytest.MarkDecorator:
    """Each row on the databases its `on` names; a statement the other one does not know is no case there."""
    cases = [
        pytest.param(database, row, id=f"{database}: {row.statement[:70]}")
        for row in rows
        for database in BOTH
        if row.on in ("both", database)
    ]
    return pytest.mark.parametrize(("held", "row"), cases, indirect=["held"])


def in_force(held: Held, account: str = "leader") -> list[tuple[Any, ...]]:
    """What holds for the account, whichever row says so."""
    return held.ask(
        "SELECT control_type, limit_id, scope, check_name, parameters, on_breach, mode, kill_plan, kill_switch_status, "
        "daily_loss_limit, position_size_limit, order_value_limit FROM traders_control "
        "WHERE account_type = ? AND is_active = 1 ORDER BY control_type",
        account,
    )


def drop(held: Held, trigger: str) -> None:
    (on,) = [name for name in metadata.tables if trigger.startswith(f"{name}_")][-1:]
    held.run(f"DROP TRIGGER {trigger}" + (f" ON {on}" if held.dialect == "postgresql" else ""))


# -- what loosens is refused ----------------------------------------------------------------------------------------

POLICY = "account_type, control_type, limit_id, check_name, parameters, scope, on_breach, mode, kill_plan"
SAME = f"{POLICY}, order_value_limit, daily_loss_limit, position_size_limit"

LOOSER = table("""
    on          statement
    both        UPDATE traders_control SET order_value_limit = 1000.01 WHERE {limit}
    both        UPDATE traders_control SET order_value_limit = NULL WHERE {limit}
    both        UPDATE traders_control SET position_size_limit = 51 WHERE {limit}
    both        UPDATE traders_control SET daily_loss_limit = 1e14 WHERE {limit}
    both        UPDATE traders_control SET is_active = 0 WHERE {limit}
    both        UPDATE traders_control SET is_active = NULL WHERE {limit}
    both        UPDATE traders_control SET is_active = 2 WHERE {limit}
    both        UPDATE traders_control SET mode = 'shadow' WHERE {limit}
    both        UPDATE traders_control SET mode = NULL WHERE {limit}
    both        UPDATE traders_control SET on_breach = 'warn' WHERE {limit}
    both        UPDATE traders_control SET kill_plan = 'halt' WHERE {limit}
    both        UPDATE traders_control SET parameters = '{{}} ' WHERE {limit}
    both        UPDATE traders_control SET scope = 'INSTRUMENT:NSE_EQ:9' WHERE {limit}
    both        UPDATE traders_control SET check_name = 'order_quantity' WHERE {limit}
    both        UPDATE traders_control SET limit_id = 'another' WHERE {limit}
    both        UPDATE traders_control SET account_type = 'nobody' WHERE {limit}
    both        UPDATE traders_control SET control_type = 'KILL_SWITCH' WHERE {limit}
    both        UPDATE traders_control SET control_type = 'POSITION_LIMIT' WHERE {limit}
    both        UPDATE traders_control SET order_value_limit = 1, daily_loss_limit = NULL WHERE {limit}
    both        UPDATE traders_control SET order_value_limit = CASE account_type WHEN 'leader' THEN 2000 ELSE 1 END
    both        DELETE FROM traders_control WHERE {limit}
    both        DELETE FROM traders_control
    both        INSERT INTO traders_control ({same}, is_active, created_at, updated_at) SELECT account_type, control_type, limit_id, check_name, parameters, scope, on_breach, 'shadow', kill_plan, 1, 1, 1, 1, 1, 1 FROM traders_control WHERE {limit}
    both        INSERT INTO traders_control ({same}, is_active, created_at, updated_at) SELECT account_type, control_type, limit_id, check_name, NULL, scope, on_breach, mode, kill_plan, 1, 1, 1, 1, 1, 1 FROM traders_control WHERE {limit}
    both        INSERT INTO traders_control (id, {same}, is_active, created_at, updated_at) SELECT id, {same}, 0, 1, 1 FROM traders_control WHERE {limit} ON CONFLICT (id) DO UPDATE SET order_value_limit = 2000
    both        INSERT INTO traders_control (id, {same}, is_active, created_at, updated_at) SELECT id, {same}, 0, 1, 1 FROM traders_control WHERE {limit} ON CONFLICT (id) DO UPDATE SET is_active = excluded.is_active
    both        INSERT INTO traders_control (id, {same}, is_active, created_at, updated_at) SELECT id, {same}, 1, 1, 1 FROM traders_control WHERE {limit} ON CONFLICT (id) DO UPDATE SET mode = 'shadow'
    both        INSERT INTO traders_control (id, {same}, is_active, created_at, updated_at) SELECT id, {same}, 1, 1, 1 FROM traders_control WHERE {limit}
    sqlite      UPDATE OR REPLACE traders_control SET order_value_limit = 2000 WHERE {limit}
    sqlite      UPDATE OR IGNORE traders_control SET order_value_limit = 2000, is_active = 0 WHERE {limit}
    sqlite      UPDATE OR REPLACE traders_control SET id = (SELECT id FROM traders_control WHERE {limit}) WHERE account_type = 'follower'
    sqlite      REPLACE INTO traders_control (id, {same}, is_active, created_at, updated_at) SELECT id, 'nobody', control_type, limit_id, check_name, parameters, scope, on_breach, mode, kill_plan, 1, 1, 1, 1, 1, 1 FROM traders_control WHERE {limit}
    sqlite      REPLACE INTO traders_control (id, {same}, is_active, created_at, updated_at) SELECT id, {same}, 0, 1, 1 FROM traders_control WHERE {limit}
    sqlite      INSERT OR IGNORE INTO traders_control ({same}, is_active, created_at) SELECT {same}, 1, 1 FROM traders_control WHERE {limit}
    sqlite      INSERT OR IGNORE INTO traders_control (id, {same}, is_active, created_at, updated_at) SELECT 1, {same}, 1, 1, 1 FROM traders_control WHERE {limit}
    sqlite      INSERT OR IGNORE INTO traders_control ({same}, is_active, created_at, updated_at) SELECT account_type, control_type, limit_id, check_name, parameters, scope, on_breach, mode, kill_plan, -5, 1, 1, 1, 1, 1 FROM traders_control WHERE {limit}
    sqlite      INSERT OR IGNORE INTO traders_control ({same}, is_active, created_at, updated_at) SELECT account_type, control_type, limit_id, check_name, parameters, scope, on_breach, mode, kill_plan, 'x', 1, 1, 1, 1, 1 FROM traders_control WHERE {limit}
    sqlite      INSERT INTO traders_control (id, {same}, is_active, created_at, updated_at) SELECT 1, {same}, 1, 1, 1 FROM traders_control WHERE {limit} ON CONFLICT DO NOTHING
    sqlite      INSERT INTO traders_control (id, account_type, control_type, is_active, created_at, updated_at) VALUES (-1, 'x', 'RISK_LIMIT', 1, 1, 1)
    sqlite      UPDATE traders_control SET id = -1 WHERE account_type = 'GLOBAL' AND control_type = 'RISK_LIMIT'
    postgresql  UPDATE traders_control SET order_value_limit = 'NaN' WHERE {limit}
    postgresql  UPDATE traders_control SET order_value_limit = 'Infinity' WHERE {limit}
    postgresql  UPDATE traders_control c SET order_value_limit = o.order_value_limit + 1 FROM traders_control o WHERE o.id = c.id AND c.limit_id = 'all'
    postgresql  MERGE INTO traders_control c USING (SELECT 1) s ON c.limit_id = 'all' AND c.account_type = 'leader' WHEN MATCHED THEN DELETE
    postgresql  MERGE INTO traders_control c USING (SELECT 1) s ON c.limit_id = 'all' AND c.account_type = 'leader' WHEN MATCHED THEN UPDATE SET order_value_limit = 2000
    postgresql  WITH gone AS (DELETE FROM traders_control WHERE {limit} RETURNING *) SELECT count(*) FROM gone
    postgresql  TRUNCATE traders_control
""")  # noqa: E501
FORMED: Final = {"limit": "limit_id = 'all' AND account_type = 'leader' AND is_active = 1", "same": SAME}


@per_database(LOOSER)
def test_a_loosening_is_refused(held: Held, row: Row) -> None:
    """Refused whole: what is in force stays, and an act makes the same statement no lie but a decision."""
    before = in_force(held)
    with pytest.raises(REFUSED):
        held.run(row.statement.format(**FORMED))

    assert in_force(held) == before
    assert held.ask("SELECT count(*) FROM control_changes WHERE is_adopted = 0") == [(0,)]


PASSED_OVER = table("""
    on          statement
    sqlite      INSERT OR IGNORE INTO traders_control SELECT * FROM traders_control WHERE {limit}
    sqlite      INSERT OR IGNORE INTO traders_control (id, {same}, is_active, created_at, updated_at) SELECT id, {same}, 1, 1, 1 FROM traders_control WHERE {limit}
    postgresql  INSERT INTO traders_control SELECT * FROM traders_control WHERE {limit} ON CONFLICT DO NOTHING
    postgresql  INSERT INTO traders_control (id, {same}, is_active, created_at, updated_at) SELECT id, {same}, 1, 1, 1 FROM traders_control WHERE {limit} ON CONFLICT (id) DO NOTHING
    postgresql  INSERT INTO traders_control (id, {same}, is_active, created_at, updated_at) SELECT (SELECT min(id) FROM traders_control), {same}, 1, 1, 1 FROM traders_control WHERE {limit} ON CONFLICT DO NOTHING
""")  # noqa: E501


@per_database(PASSED_OVER)
def test_a_row_that_is_passed_over_supersedes_nothing(held: Held, row: Row) -> None:
    """The trigger has run by the time the row is found to be there already; the limit must not have stepped down."""
    before = in_force(held)
    assert held.run(row.statement.format(**FORMED)) == 0

    assert in_force(held) == before


LOWERED = table("""
    on          statement
    both        UPDATE traders_control SET kill_switch_status = 'INACTIVE' WHERE {kill}
    both        UPDATE traders_control SET kill_switch_status = 'off' WHERE {kill}
    both        UPDATE traders_control SET is_active = 0 WHERE {kill}
    both        UPDATE traders_control SET is_active = NULL WHERE {kill}
    both        UPDATE traders_control SET account_type = 'nobody' WHERE {kill}
    both        UPDATE traders_control SET control_type = 'RISK_LIMIT' WHERE {kill}
    both        DELETE FROM traders_control WHERE {kill}
    both        INSERT INTO traders_control (account_type, control_type, kill_switch_status, is_active, created_at, updated_at) VALUES ('leader', 'KILL_SWITCH', 'INACTIVE', 1, 1, 1)
    both        INSERT INTO traders_control (account_type, control_type, kill_switch_status, is_active, created_at, updated_at, limit_id) VALUES ('leader', 'KILL_SWITCH', 'INACTIVE', 1, 1, 1, 'x')
    both        UPDATE traders_control SET is_active = 1 WHERE account_type = 'leader' AND kill_switch_status = 'INACTIVE'
    both        INSERT INTO traders_control (id, account_type, control_type, kill_switch_status, is_active, created_at, updated_at) SELECT id, 'leader', 'KILL_SWITCH', 'INACTIVE', 1, 1, 1 FROM traders_control WHERE {kill} ON CONFLICT (id) DO UPDATE SET kill_switch_status = excluded.kill_switch_status
    sqlite      UPDATE OR REPLACE traders_control SET is_active = 1 WHERE account_type = 'leader' AND kill_switch_status = 'INACTIVE'
    sqlite      UPDATE OR REPLACE traders_control SET id = (SELECT id FROM traders_control WHERE {kill}) WHERE account_type = 'leader' AND kill_switch_status = 'INACTIVE'
    sqlite      UPDATE OR REPLACE traders_control SET account_type = 'leader' WHERE account_type = 'follower' AND kill_switch_status = 'INACTIVE'
    sqlite      REPLACE INTO traders_control (id, account_type, control_type, kill_switch_status, is_active, created_at, updated_at) SELECT id, 'leader', 'KILL_SWITCH', 'INACTIVE', 1, 1, 1 FROM traders_control WHERE {kill}
    postgresql  UPDATE traders_control SET account_type = 'leader' WHERE account_type = 'follower' AND kill_switch_status = 'INACTIVE'
""")  # noqa: E501
KILL: Final = {"kill": "account_type = 'leader' AND kill_switch_status = 'ACTIVE'"}


@per_database(LOWERED)
def test_a_latch_is_not_lowered(held: Held, row: Row) -> None:
    """No single statement takes a kill out of force, whatever row it goes by."""
    held.run(LATCHED.format(owner="leader"))
    before = in_force(held)
    with pytest.raises(REFUSED):
        held.run(row.statement.format(**KILL))

    assert in_force(held) == before
    assert before[0][0] == "KILL_SWITCH" and before[0][8] == "ACTIVE"


WORDS = table("""
    word          halts
    'ACTIVE'      yes
    'on'          yes
    ''            yes
    NULL          yes
    'INACTIVE '   yes
    'ınactive'    yes
    'ÍNACTIVE'    yes
    'INACTIVE'    no
    'Inactive'    no
    'deactivated'  no
    'OFF'         no
""")


@pytest.mark.parametrize("row", WORDS, ids=str)
def test_which_words_hold_the_latch(held: Held, row: Row) -> None:
    """A word that halts cannot be taken back; letters of other alphabets make no word of ours."""
    held.run(LATCHED.format(owner="leader").replace("'ACTIVE'", row.word))
    mine = "account_type = 'leader' AND control_type = 'KILL_SWITCH' AND is_active = 1"
    lower = " ".join(("UPDATE traders_control SET is_active = 0 WHERE", mine))
    if row.halts == "no":
        assert held.run(lower) == 1
        return
    with pytest.raises(REFUSED):
        held.run(lower)


# -- what tightens counts -------------------------------------------------------------------------------------------

SECOND = table("""
    first_value  first_size  second_value  second_size  value  size
    1000         -           500           -            500    -
    500          -           1000          -            500    -
    500          10          1000          20           500    10
    500          20          1000          10           500    10
    500          -           -             10           500    10
    -            10          500           -            500    10
    500          10          -             -            500    10
    500          10          500           10           500    10
""")


@pytest.mark.parametrize("row", SECOND, ids=str)
def test_a_second_row_takes_the_place_of_the_first_and_keeps_the_tighter(held: Held, row: Row) -> None:
    """Programs of version 3 insert a row for every change: it does not fail, and it does not loosen."""
    for value, size in ((row.first_value, row.first_size), (row.second_value, row.second_size)):
        numbers = [None if each == "-" else float(each) for each in (value, size)]
        held.run(
            "INSERT INTO traders_control (account_type, control_type, order_value_limit, position_size_limit, is_active, "
            "created_at, updated_at) VALUES ('leader', 'POSITION_LIMIT', ?, ?, 1, 1, 2)",
            *numbers,
        )
    rows = "SELECT order_value_limit, position_size_limit, is_active, deactivated_at FROM traders_control "
    found = held.ask(rows + "WHERE control_type = 'POSITION_LIMIT' ORDER BY id")

    expected = tuple(None if cell == "-" else float(cell) for cell in (row.value, row.size))
    assert found[1] == (*expected, 1, None)
    assert found[0][2:] == (0, 1)  # the first stepped down when the second came, and stays as history


def test_many_rows_of_one_statement_end_at_the_tightest(held: Held) -> None:
    rows = [
        {"account_type": "leader", "control_type": "POSITION_LIMIT", "order_value_limit": value, "created_at": 1, "updated_at": 1}
        for value in (900.0, 700.0, 800.0, 300.0, 1000.0, 299.5, 301.0)
    ]  # fmt: skip
    assert insert(held, "traders_control", *rows) == 7

    query = "SELECT order_value_limit FROM traders_control WHERE control_type = 'POSITION_LIMIT' AND is_active = 1"
    assert held.ask(query) == [(299.5,)]


TIGHTER = table("""
    statement                                                                          value
    UPDATE traders_control SET order_value_limit = 999.99 WHERE {limit}               999.99
    UPDATE traders_control SET order_value_limit = 1000 WHERE {limit}                 1000
    UPDATE traders_control SET reason = 'said again', updated_at = 9 WHERE {limit}    1000
""")


@pytest.mark.parametrize("row", TIGHTER, ids=str)
def test_a_tightening_counts_and_is_kept(held: Held, row: Row) -> None:
    """Old and new numbers stand in `control_changes`, and the head has moved."""
    before = head(held)
    assert held.run(row.statement.format(**FORMED)) == 1

    assert in_force(held)[-1][-1] == float(row.value)
    assert head(held) > before
    ((what, old, new, adopted),) = held.ask(
        "SELECT what, old_values, new_values, is_adopted FROM control_changes WHERE is_adopted = 0"
    )
    assert (what, adopted) == ("UPDATED", 0)
    assert json.loads(old)["order_value_limit"] == 1000 and json.loads(new)["order_value_limit"] == float(row.value)


def test_a_kill_by_sql_takes_the_place_of_the_row_that_says_inactive(held: Held) -> None:
    """Written as version 3 writes it; a second one too. What stood is kept as history."""
    before = head(held)
    for _ in range(2):
        assert held.run(LATCHED.format(owner="leader")) == 1

    rows = "SELECT kill_switch_status, is_active FROM traders_control WHERE control_type = 'KILL_SWITCH'"
    assert held.ask(rows + " AND account_type = 'leader' ORDER BY id") == [
        ("INACTIVE", 0),
        ("ACTIVE", 0),
        ("ACTIVE", 1),
    ]
    assert head(held) > before
    kept = held.ask("SELECT what, account FROM control_changes WHERE is_adopted = 0 ORDER BY id")
    assert sorted(kept) == [("INSERTED", "leader")] * 2 + [("SUPERSEDED", "leader")] * 2
    assert held.ask("SELECT count(*) FROM control_actions WHERE kind = 'SUPERSEDE'") == [(0,)]


# -- acts -----------------------------------------------------------------------------------------------------------

ACTS = table("""
    account   state   through
    leader    open    yes
    GLOBAL    open    yes
    follower  open    no
    leader    closed  no
    GLOBAL    closed  no
    nobody    open    no
""")
LOOSENINGS: Final = (
    "UPDATE traders_control SET order_value_limit = 2000 WHERE limit_id = 'all' AND account_type = 'leader'",
    "UPDATE traders_control SET is_active = 0 WHERE limit_id = 'all' AND account_type = 'leader'",
    "DELETE FROM traders_control WHERE limit_id = 'all' AND account_type = 'leader'",
    "UPDATE traders_control SET kill_switch_status = 'INACTIVE' WHERE account_type = 'leader' AND kill_switch_status = 'ACTIVE'",
    LATCHED.format(owner="leader").replace("'ACTIVE'", "'INACTIVE'"),
    " ".join(("INSERT INTO traders_control (", SAME, ", is_active, created_at, updated_at) SELECT",
              POLICY.replace("mode", "'shadow'"), ", 1, 1, 1, 1, 1, 1 FROM traders_control",
              "WHERE limit_id = 'all' AND account_type = 'leader'")),
)  # fmt: skip


@pytest.mark.parametrize("statement", LOOSENINGS, ids=lambda each: each[:60])
@pytest.mark.parametrize("row", ACTS, ids=str)
def test_an_act_lets_through_what_it_answers_for(held: Held, row: Row, statement: str) -> None:
    """Open, and of this account or of all: a person answers for it. Nothing of it is kept as plain SQL's."""
    held.run(LATCHED.format(owner="leader"))
    held.run("UPDATE control_changes SET is_adopted = 1")
    act(held, row.account)
    if row.state == "closed":
        close(held)
    if row.through == "no":
        with pytest.raises(REFUSED):
            held.run(statement)
        return
    assert held.run(statement) == 1
    kept = held.ask("SELECT what FROM control_changes WHERE is_adopted = 0")
    assert {what for (what,) in kept} <= {"SUPERSEDED"}


# -- each trigger is the one that holds -----------------------------------------------------------------------------

WITHOUT = table("""
    sqlite                               postgresql                      statement
    traders_control_limit_holds          traders_control_holds           UPDATE traders_control SET order_value_limit = 2000 WHERE limit_id = 'all' AND account_type = 'leader'
    traders_control_latch_holds          traders_control_holds           UPDATE traders_control SET is_active = 0 WHERE kill_switch_status = 'ACTIVE'
    traders_control_row_stays            traders_control_row_stays       DELETE FROM traders_control WHERE is_active = 1
    decisions_update_refused             decisions_refused               UPDATE decisions SET approved = 0
    decisions_delete_refused             decisions_refused               DELETE FROM decisions
    limit_sets_update_refused            limit_sets_refused              UPDATE limit_sets SET body = '[]'
    limit_sets_delete_refused            limit_sets_refused              DELETE FROM limit_sets
    decisions_replace_refused            -                               REPLACE INTO decisions SELECT account, sequence, client_order_id, kind, 1 - approved, strategy, decided_at_us, body, previous_hash, hash, mac FROM decisions
    limit_sets_replace_refused           -                               REPLACE INTO limit_sets SELECT digest, '[]' FROM limit_sets
    traders_control_place_is_taken       -                               UPDATE OR REPLACE traders_control SET is_active = 1 WHERE account_type = 'leader' AND kill_switch_status = 'INACTIVE'
    traders_control_id_counts            -                               INSERT INTO traders_control (id, account_type, control_type, created_at, updated_at) VALUES (-1, 'x', 'RISK_LIMIT', 1, 1)
    traders_control_id_stays             -                               UPDATE traders_control SET id = -1 WHERE account_type = 'GLOBAL' AND control_type = 'RISK_LIMIT'
""")  # noqa: E501


@pytest.mark.parametrize(
    ("held", "row"),
    [
        pytest.param(each, row, id=f"{each}: {row.sqlite}")
        for row in WITHOUT
        for each in BOTH
        if getattr(row, each) != "-"
    ],
    indirect=["held"],
)
def test_without_its_trigger_the_same_statement_passes(held: Held, row: Row) -> None:
    """PostgreSQL has neither REPLACE nor ids of its own making before an insert."""
    trigger = getattr(row, held.dialect)
    held.run(LATCHED.format(owner="leader"))
    insert(held, "decisions", row_of("decisions", client_order_id="o-1"))
    insert(held, "limit_sets", row_of("limit_sets"))
    with pytest.raises(REFUSED):
        held.run(row.statement)
    drop(held, trigger)

    assert held.run(row.statement) > 0


def test_without_superseding_a_second_row_fails(held: Held) -> None:
    """The index that allows one row in force would refuse a version 3 program's every change."""
    drop(held, "traders_control_supersedes")
    with pytest.raises(REFUSED):
        held.run(LATCHED.format(owner="leader"))


# -- heads ----------------------------------------------------------------------------------------------------------

HEADED: Final = {**BUMPED, **dict.fromkeys(GLOBAL_TABLES, ""), "positions": "account_type"}
GIVEN: Final = {"control_actions": {"is_open": 0}, "positions": {"snapshot_id": 0}}


@pytest.mark.parametrize("name", HEADED)
def test_every_write_to_what_an_account_reads_moves_its_head(held: Held, name: str) -> None:
    """Insert, update, delete; of another account only its own; and without the trigger the head stands still."""
    column = HEADED[name]
    owner, other = ("leader", "follower") if column else ("GLOBAL", "leader")
    act(held, "GLOBAL")
    held.run(f"DELETE FROM {name}" + (" WHERE is_open = 0" if name == "control_actions" else ""))  # noqa: S608
    row = row_of(name, **GIVEN.get(name, {}))
    mine = f"{column} = 'leader'" if column else "0 = 0"
    some = next(each.name for each in metadata.tables[name].columns if each.name in row and each.name != column)
    update, delete = f"UPDATE {name} SET {some} = {some} WHERE {mine}", f"DELETE FROM {name} WHERE {mine}"  # noqa: S608

    def moved(events: tuple[str, ...] = ("insert", "update", "delete")) -> list[tuple[str, int, int]]:
        found = []
        for event in events:
            before = head(held, owner), head(held, other)
            written = (
                insert(held, name, row) if event == "insert" else held.run(update if event == "update" else delete)
            )
            assert written == 1
            found.append((event, head(held, owner) - before[0], head(held, other) - before[1]))
        return found

    if name in DAY_ROWS:
        drop(held, f"{name}_stays")  # a day's row is not deleted at all; what moves the head must not rest on that
    assert moved() == [("insert", 1, 0), ("update", 1, 0), ("delete", 1, 0)]
    for event in ("insert", "update", "delete"):
        drop(held, f"{name}_{event}_bumps")
    assert moved() == [("insert", 0, 0), ("update", 0, 0), ("delete", 0, 0)]


def test_a_row_that_changes_hands_moves_both_heads(held: Held) -> None:
    insert(held, "orders", row_of("orders"))
    before = head(held), head(held, "follower")
    held.run("UPDATE orders SET account_type = 'follower'")

    assert (head(held), head(held, "follower")) == (before[0] + 1, before[1] + 1)


def test_rows_of_several_accounts_in_one_statement_move_each_head(held: Held) -> None:
    """And one that writes no row moves none."""
    before = head(held), head(held, "follower")
    rows = [
        row_of("orders", id=f"{account}-{n}", account_type=account)
        for account in ("leader", "follower")
        for n in range(3)
    ]
    insert(held, "orders", *rows)
    after = head(held), head(held, "follower")
    held.run("UPDATE orders SET status = 'x' WHERE id = 'none'")

    assert after > before and after[1] > before[1]
    assert (head(held), head(held, "follower")) == after


HEADERLESS = table("""
    snapshot  moves
    0         yes
    7         no
""")


@pytest.mark.parametrize("row", HEADERLESS, ids=str)
def test_a_position_row_counts_at_once_only_without_a_header(held: Held, row: Row) -> None:
    """A version 3 program's row has none; rows of ours become visible with their header, which moves the head."""
    before = head(held)
    insert(held, "positions", row_of("positions", snapshot_id=int(row.snapshot)))
    held.run("UPDATE positions SET net_qty = 5")

    assert (head(held) > before) == (row.moves == "yes")


# -- what a version 3 program writes --------------------------------------------------------------------------------

KEPT = table("""
    name         key                              theirs        ours              kept
    orders       id                               status        client_order_id   'a-1'
    trades       id                               price         booked_at_us      1763786700000000
    instruments  security_id,exchange_segment     symbol        multiplier        100
""")


@pytest.mark.parametrize("row", KEPT, ids=lambda row: row.name)
def test_a_version_3_writer_keeps_our_columns(held: Held, row: Row) -> None:
    """SQLite's REPLACE is turned into an update; PostgreSQL's upsert is one by nature."""
    theirs = row_of(row.name)
    insert(held, row.name, theirs)
    held.run(f"UPDATE {row.name} SET {row.ours} = {row.kept}")  # noqa: S608
    changed = {**theirs, row.theirs: "NEW" if isinstance(theirs[row.theirs], str) else 9}
    if held.dialect == "sqlite":
        names, marks = ", ".join(changed), ", ".join("?" for _ in changed)
        held.run(f"INSERT OR REPLACE INTO {row.name} ({names}) VALUES ({marks})", *changed.values())  # noqa: S608
    else:
        sets = ", ".join(f"{each} = excluded.{each}" for each in changed if each not in row.key.split(","))
        assert insert(held, row.name, changed, tail=f"ON CONFLICT ({row.key}) DO UPDATE SET {sets}") == 1

    ((ours, now),) = held.ask(f"SELECT {row.ours}, {row.theirs} FROM {row.name}")  # noqa: S608
    assert (str(ours), now) == (row.kept.strip("'"), changed[row.theirs])
