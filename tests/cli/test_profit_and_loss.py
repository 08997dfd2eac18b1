"""`riskguard charges`, `bhavcopy` and `baseline show`: what they print, and their exit status."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.shell import Shell
from tests.core.tables import Row, table
from tests.core.test_bhavcopy import FLAIR, HEAD

HYPOTHETICAL = (
    "charges", "explain", "--instrument", "NSE_FNO:43123", "--kind", "OPTIDX", "--side", "SELL", "--quantity", "75",
    "--price", "150.10", "--date", "2025-08-14",
)  # fmt: skip


def test_an_order_is_explained_for_people(shell: Shell) -> None:
    """Base, rate, amount, rounding, source and confidence of each component, and what the lines come to."""
    answer = shell(*HYPOTHETICAL)

    assert answer.status == 0, answer.err
    for word in ("11257.5", "0.0003503", "segment_day:0.01:half_up", "FATAX63809", "confirmed", "brokerage 20.00"):
        assert word in answer.out, word
    assert "stt 11.00" in answer.out


def test_an_order_is_explained_for_programs(shell: Shell) -> None:
    """One document, money as exact text; 75 × 150.10 sold pays 11.2575 of tax, which is 11."""
    said = shell(*HYPOTHETICAL, "--json").document
    by_name = {each["component"]: each for each in said["components"]}

    assert said["is_known"] and said["account"] is None
    assert (by_name["stt"]["base_value"], by_name["stt"]["amount"]) == ("11257.5", "11.2575")
    assert said["segments"][0]["lines"]["stt"] == "11.00"
    total = sum(round(float(value) * 100) for value in said["segments"][0]["lines"].values())
    assert round(float(said["total"]) * 100) == total


def test_the_instrument_is_looked_up_in_the_database(shell: Shell) -> None:
    """Without a kind; one that is not there asks for it."""
    words = ("charges", "explain", "--side", "BUY", "--quantity", "10", "--price", "100", "--date", "2025-08-14")
    assert shell(*words, "--instrument", "NSE_EQ:1333", "--product", "CNC").status == 0
    unknown = shell(*words, "--instrument", "NSE_EQ:9")
    assert unknown.status == 2 and unknown.is_one_line_error() and "--kind" in unknown.err


def test_where_the_day_began(shell: Shell) -> None:
    """A new paper account begins flat; a name nobody knows is malformed input."""
    plain, said = shell("baseline", "show", "leader"), shell("baseline", "show", "leader", "--json").document

    assert plain.status == 0 and "INIT" in plain.out and "equity at the start unknown" in plain.out
    assert (said["source"], said["opening_equity"], said["adjustment"], said["carried"]) == ("INIT", None, "0.00", [])
    assert shell("baseline", "show", "nobody").status == 2


def test_prices_are_imported_and_listed(shell: Shell, tmp_path: Path) -> None:
    """What nobody holds is left out unless everything is asked for."""
    path = tmp_path / "bhav.csv"
    path.write_text(f"{HEAD}\n{FLAIR}\n")
    held = shell("bhavcopy", "import", str(path))
    assert held.status == 0 and "0 prices kept, 1 of what nobody holds" in held.out
    assert "no prices are stored" in shell("bhavcopy", "list").out
    (made,) = shell("bhavcopy", "import", "--all", str(path), "--json").document

    assert (made["exchange_segment"], made["session_date"], made["kept"]) == ("NSE_EQ", "2024-10-15", 1)
    assert shell("bhavcopy", "list", "--json").document == [
        {"session_date": "2024-10-15", "exchange_segment": "NSE_EQ", "prices": 1}
    ]


MALFORMED = table("""
    words
    charges explain
    charges explain --account nobody
    charges explain --account leader --date tomorrow
    charges explain --account leader --date 2025-08-14
    charges explain --account leader --instrument NSE_EQ:1333
    charges explain --instrument NSE_EQ --quantity 1 --price 1
    charges explain --instrument WHAT:1 --quantity 1 --price 1 --kind EQUITY
    charges explain --instrument NSE_EQ:1333 --quantity 0 --price 1
    charges explain --instrument NSE_EQ:1333 --quantity 1 --price nan
    charges explain --instrument NSE_EQ:1333 --quantity 1 --price 1 --side buy
    charges explain --instrument NSE_EQ:1333 --quantity 1 --price 1 --product XYZ
    bhavcopy import nowhere.csv
    bhavcopy import .
    baseline show nobody
""")


@pytest.mark.parametrize("row", MALFORMED, ids=str)
def test_malformed_input_is_one_line(shell: Shell, row: Row) -> None:
    """Exit status 2, one line that names the way out, and no traceback."""
    answer = shell(*row.words.split(" "))

    assert answer.status == 2 and answer.is_one_line_error(), answer.err
