"""
What a day's loss is computed from stays, on SQLite and on PostgreSQL: no DELETE, no second row, no better number.

Each case names the trigger that holds; without it the failure is there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pytest

from tests.core.tables import Row, table
from tests.store.held import NOW_US, REFUSED, Held, lite, rolled_back, seed

BOTH: Final = {"sqlite": lite, "postgresql": rolled_back}
DAY: Final = "2025-11-22"


@pytest.fixture(params=BOTH, ids=str)
def held(request: pytest.FixtureRequest) -> Iterator[Held]:
    """A day with a baseline, a line carried in with two fills, its charges, and the rows of the fills."""
    with BOTH[request.param]() as made:
        seed(made)
        made.run(
            "INSERT INTO day_books (account, session_date, exchange_segment, security_id, product, start_quantity, "
            "previous_close_e4, filled_quantity, bought, sold, buy_value_e4, sell_value_e4, fills) "
            "VALUES ('leader', ?, 'NSE_EQ', '1333', 'MARGIN', 10, 1000000, 6, 10, 4, 9000, 4000, 2)",
            DAY,
        )
        made.run(
            "INSERT INTO day_baselines (account, session_date, at_us, source, opening_equity_e4, adjustment_e4) "
            "VALUES ('leader', ?, ?, 'OPEN', 1000, -50)",
            DAY, NOW_US,
        )  # fmt: skip
        made.run(
            "INSERT INTO day_charges (account, session_date, exchange_segment, fills, turnover_e4, total_e4, brokerage_e4, "
            "exchange_txn_e4, sebi_e4, ipft_e4, stt_e4, stamp_e4, gst_e4, is_known, at_us) "
            "VALUES ('leader', ?, 'NSE_EQ', 2, 13000, 500, 0, 0, 0, 0, 0, 0, 500, 1, ?)",
            DAY, NOW_US,
        )  # fmt: skip
        for name, date in (("new", DAY), ("old", "2025-11-21"), ("x:told", DAY)):
            made.run(
                "INSERT INTO trades (id, order_id, account_type, security_id, exchange_segment, side, product, quantity, "
                "price, trade_ts, created_at, booked_at_us, session_date) "
                "VALUES (?, ?, 'leader', '1333', 'NSE_EQ', 'BUY', 'MARGIN', 1, 100, 1763786700, 1763786700, ?, ?)",
                name, name, NOW_US, date,
            )  # fmt: skip
        yield made


HOLDS = table("""
    statement                                                                                       trigger
    DELETE FROM day_baselines                                                                       day_baselines_stays
    DELETE FROM day_books                                                                           day_books_stays
    DELETE FROM day_charges                                                                         day_charges_stays
    DELETE FROM trades WHERE id = 'new'                                                             trades_stay
    UPDATE day_baselines SET adjustment_e4 = -49                                                    day_baselines_holds
    UPDATE day_baselines SET source = 'PERSON'                                                      day_baselines_holds
    UPDATE day_baselines SET session_date = '2025-11-01'                                            day_baselines_holds
    UPDATE day_baselines SET opening_equity_e4 = 1001                                               day_baselines_holds
    UPDATE day_baselines SET opening_equity_e4 = NULL                                               day_baselines_holds
    UPDATE day_books SET start_quantity = 9                                                         day_books_holds
    UPDATE day_books SET previous_close_e4 = 999999                                                 day_books_holds
    UPDATE day_books SET buy_value_e4 = 8999                                                        day_books_holds
    UPDATE day_books SET sold = 3                                                                   day_books_holds
    UPDATE day_books SET fills = 0                                                                  day_books_holds
    UPDATE day_books SET fills = 1, buy_value_e4 = 0                                                day_books_holds
    UPDATE day_books SET account = 'follower'                                                       day_books_holds
    UPDATE day_charges SET total_e4 = 499                                                           day_charges_holds
    UPDATE day_charges SET fills = 1, total_e4 = 1                                                  day_charges_holds
""")
PASSES = table("""
    statement
    DELETE FROM trades WHERE id = 'old'
    DELETE FROM trades WHERE id = 'x:told'
    UPDATE day_baselines SET adjustment_e4 = -51
    UPDATE day_baselines SET opening_equity_e4 = 999
    UPDATE day_books SET bought = 11, buy_value_e4 = 9900, filled_quantity = 7, fills = 3
    UPDATE day_books SET bought = 9, buy_value_e4 = 8100, filled_quantity = 5, fills = 1
    UPDATE day_books SET base_proven = 1
    UPDATE day_charges SET total_e4 = 501
    UPDATE day_charges SET total_e4 = 400, fills = 3
    UPDATE day_charges SET total_e4 = 400, turnover_e4 = 12999
""")


@pytest.mark.parametrize("row", HOLDS, ids=str)
def test_a_better_day_is_refused(held: Held, row: Row) -> None:
    """And it is this trigger that refuses it: without it the statement passes."""
    with pytest.raises(REFUSED):
        held.run(row.statement)
    tables = {"trades_stay": "trades"}
    on = tables.get(row.trigger, row.trigger.rpartition("_")[0])
    held.run(f"DROP TRIGGER {row.trigger}" + (f" ON {on}" if held.dialect == "postgresql" else ""))

    assert held.run(row.statement) == 1 if row.statement.endswith("'new'") else held.run(row.statement) >= 0


@pytest.mark.parametrize("row", PASSES, ids=str)
def test_a_worse_day_and_the_days_own_work_pass(held: Held, row: Row) -> None:
    """A lower figure, one more fill, a provisional fill that gives way, old rows for the archive."""
    assert held.run(row.statement) == 1


def test_a_close_nobody_knew_may_be_put_in_once(held: Held) -> None:
    """From unknown to known; from then on it stands."""
    held.run(
        "INSERT INTO day_books (account, session_date, exchange_segment, security_id, product, start_quantity) "
        "VALUES ('leader', ?, 'NSE_EQ', '9', 'MARGIN', 5)",
        DAY,
    )
    assert held.run("UPDATE day_books SET previous_close_e4 = 7 WHERE security_id = '9'") == 1
    with pytest.raises(REFUSED):
        held.run("UPDATE day_books SET previous_close_e4 = 8 WHERE security_id = '9'")


def test_before_the_baseline_a_line_may_still_begin(held: Held) -> None:
    """The day of another account has not begun: what was carried in is still being written."""
    held.run(
        "INSERT INTO day_books (account, session_date, exchange_segment, security_id, product) "
        "VALUES ('follower', ?, 'NSE_EQ', '9', 'MARGIN')",
        DAY,
    )
    assert held.run("UPDATE day_books SET start_quantity = 5, previous_close_e4 = 7 WHERE account = 'follower'") == 1


@pytest.mark.parametrize("name", ["day_baselines", "day_books", "day_charges"])
def test_a_second_row_of_the_same_key_is_passed_over(held: Held, name: str) -> None:
    """Also as a REPLACE, which deletes without asking: the first row stands as it was. Without the trigger it does not."""
    before = held.ask(f"SELECT * FROM {name}")  # noqa: S608
    columns = "account, session_date, at_us, source" if name == "day_baselines" else "*"
    word = "REPLACE" if held.dialect == "sqlite" else "INSERT"
    held.run(
        f"{word} INTO {name} ({columns}) SELECT {columns} FROM {name}"  # noqa: S608
        if columns != "*"
        else f"{word} INTO {name} SELECT * FROM {name}"  # noqa: S608
    )

    assert held.ask(f"SELECT * FROM {name}") == before  # noqa: S608
    held.run(f"DROP TRIGGER {name}_once" + (f" ON {name}" if held.dialect == "postgresql" else ""))
    if held.dialect == "postgresql":
        with pytest.raises(REFUSED):
            held.run(f"INSERT INTO {name} SELECT * FROM {name}")  # noqa: S608
    elif name == "day_baselines":
        held.run(
            "REPLACE INTO day_baselines (account, session_date, at_us, source) "
            "SELECT account, session_date, at_us, 'X' FROM day_baselines"
        )
        assert held.ask("SELECT source, adjustment_e4 FROM day_baselines") == [("X", 0)]
