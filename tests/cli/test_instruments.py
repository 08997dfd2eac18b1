"""`riskguard instruments` and `riskguard doctor`, as a person runs them: what they say, and their exit status."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import pytest

from tests.cli.shell import Shell

DATA = Path(__file__).parents[1] / "data" / "instruments"
MASTER = DATA / "detailed_2026-09-14.csv"
HEAD, *LINES = MASTER.read_text().splitlines()


def test_import_says_what_it_did_and_show_what_the_checks_use(shell: Shell) -> None:
    """Nine rows; then one of them with each number, its source and its day."""
    done = shell("instruments", "import", str(MASTER))

    assert (done.status, done.err) == (0, "")
    assert "detailed master, 10 lines" in done.out and "8 new, 1 brought up to date, 0 left out" in done.out
    shown = shell("instruments", "show", "NIFTY-Sep2026-23950-CE", "--date", "2026-09-14")
    assert (shown.status, shown.err) == (0, "")
    assert "NSE_FNO:47317 NIFTY-Sep2026-23950-CE (OPTIDX, on NIFTY, until 2026-09-15)" in shown.out
    assert "1756" in shown.out and "20 %" in shown.out and "stand-in" in shown.out
    assert "NSE circular" not in shown.out, "the master's quantity is the lower one"
    sensex = shell("instruments", "show", "BSE_FNO:869699", "--date", "2026-06-28").out
    assert "40.00 %" not in sensex and "the larger of 20.00 % and ₹10.00" in sensex
    assert (
        "the larger of 40.00 % and ₹20.00" in shell("instruments", "show", "BSE_FNO:869699", "--date", "2026-06-29").out
    )


def test_show_as_json_says_sources_and_days(shell: Shell) -> None:
    """One document; numbers in our units, facts with source and first day."""
    shell("instruments", "import", str(MASTER))

    (found,) = shell("instruments", "show", "MCX_COMM:565899", "--date", "2026-09-14", "--json").document

    assert (found["instrument"]["multiplier"], found["instrument"]["underlying"]) == (100, "CRUDEOIL")
    facts = {each["what"]: each for each in found["facts"]}
    assert "barrels" in facts["multiplier"]["source"] and facts["multiplier"]["confidence"] == "confirmed"
    assert facts["freeze quantity"] == {
        "what": "freeze quantity", "value": "100", "source": "instrument master", "effective_from": "", "confidence": "",
    }  # fmt: skip


def test_a_name_of_several_is_listed(shell: Shell) -> None:
    """RELIANCE trades twice: the answer says where, and how to name one."""
    both = f"{HEAD}\n{LINES[7]}\n{LINES[7].replace('NSE,', 'BSE,', 1).replace('2885', '500325')}\n"
    assert shell("instruments", "import", "-", stdin=both.encode()).status == 0

    shown = shell("instruments", "show", "RELIANCE")

    assert shown.status == 0
    assert "NSE_EQ:2885" in shown.out and "BSE_EQ:500325" in shown.out and "SEGMENT:ID" in shown.out


@pytest.mark.parametrize("name", ["NOBODY", "NSE_EQ:1", "NSE_EQ:", ":", "MCX:565899", "x' OR '1'='1"])
def test_an_unknown_instrument_is_one_line(shell: Shell, name: str) -> None:
    shown = shell("instruments", "show", name)

    assert shown.status == 2 and shown.is_one_line_error()


def test_standard_input_and_archives(shell: Shell) -> None:
    """`-` reads either; the name of a file says nothing."""
    packed = gzip.compress(MASTER.read_bytes())
    (shell.directory / "master.csv").write_bytes(packed)

    assert shell("instruments", "import", "-", stdin=MASTER.read_bytes()).status == 0
    assert shell("instruments", "import", "-", stdin=packed).status == 0
    assert shell("instruments", "import", "master.csv").status == 0


def test_lines_left_out_are_shown_and_written(shell: Shell) -> None:
    """Twenty on the screen, all in the file; exit status 0 with few of them, 1 with many and nothing changed."""
    broken = [LINES[7].replace("2885,", f"{number}E5,", 1) for number in range(25)]
    text = "\n".join((HEAD, *LINES, *broken, "")).encode()
    before = shell.rows("SELECT count(*) FROM instruments")

    many = shell("instruments", "import", "-", "--errors", "left.csv", stdin=text)

    assert many.status == 1
    assert many.out.count("wants digits") == 20 and "and 5 more lines left out: in `left.csv`" in many.out
    assert "nothing was changed: 25 of 34 rows could not be read" in many.err and many.is_one_line_error()
    assert shell.rows("SELECT count(*) FROM instruments") == before
    with (shell.directory / "left.csv").open(encoding="utf-8") as file:
        told = list(csv.DictReader(file))
    assert [int(each["line"]) for each in told] == list(range(11, 36))
    assert {each["column"] for each in told} == {"SECURITY_ID"} and told[3]["value"] == "3E5"
    few = shell("instruments", "import", "-", "--skipped-max-pct", "80", "--json", stdin=text)
    assert few.status == 0
    assert (few.document["skipped"], few.document["rows"], len(few.document["problems"])) == (25, 9, 20)


def test_a_dry_run_and_a_segment(shell: Shell) -> None:
    before = shell.rows("SELECT count(*) FROM instruments")

    dry = shell("instruments", "import", str(MASTER), "--dry-run")

    assert dry.status == 0 and "nothing was changed" in dry.out
    assert shell.rows("SELECT count(*) FROM instruments") == before
    assert shell("instruments", "import", str(MASTER), "--segment", "MCX_COMM", "--segment", "NSE_FNO").status == 0
    assert {each[0] for each in shell.rows("SELECT DISTINCT exchange_segment FROM instruments")} >= {
        "MCX_COMM",
        "NSE_FNO",
    }
    assert shell.rows("SELECT * FROM instruments WHERE exchange_segment = 'BSE_FNO'") == []


BAD = [
    # words, standard input, status, part of the line
    (("nothing.csv",), b"", 2, "cannot read `nothing.csv`"),
    ((".",), b"", 2, "is a directory"),
    (("-",), b"", 2, "empty"),
    (("-",), b"<html>", 2, "no scrip master"),
    (("-",), b"\x00\xff\x00", 2, "no scrip master"),
    (("-",), b'"a,b,c\n', 2, "quote"),
    (("-", "--segment", "MCX"), MASTER.read_bytes(), 2, "is no segment"),
    (("-", "--date", "15/09/2026"), MASTER.read_bytes(), 2, "wants YYYY-MM-DD"),
    (("-", "--errors", "no/such/place.csv"), MASTER.read_bytes(), 2, "cannot write"),
    (("-", "--skipped-max-pct", "101"), MASTER.read_bytes(), 2, "skipped-max-pct"),
    (("-", "--db", "none.db"), MASTER.read_bytes(), 1, "riskguard init"),
]


@pytest.mark.parametrize("case", BAD, ids=lambda case: " ".join(case[0]) + f" {case[1][:6]!r}")
def test_bad_input_is_one_line_and_never_a_traceback(
    shell: Shell, case: tuple[tuple[str, ...], bytes, int, str]
) -> None:
    words, stdin, status, part = case
    before = shell.rows("SELECT * FROM instruments")

    done = shell("instruments", "import", *words, stdin=stdin)

    assert (done.status, done.is_one_line_error()) == (status, True)
    assert part in done.err
    assert shell.rows("SELECT * FROM instruments") == before


# -- doctor ---------------------------------------------------------------------------------------------------------


def test_doctor_ends_with_1_when_something_is_wrong(shell: Shell) -> None:
    """One line a finding, the worst first, each with its way out; JSON holds the same."""
    place = (shell.home if shell.server_url else shell.directory) / "halt"
    for flag in place.iterdir():
        flag.unlink()
    place.rmdir()

    done = shell("doctor")
    told = shell("doctor", "--json")

    assert (done.status, told.status) == (1, 1)
    assert done.out.startswith("ERROR ") and "everything is halted" in done.out and "riskguard release" in done.out
    document = told.document
    assert document["wrong"] >= 1
    assert len(document["findings"]) == len(done.out.splitlines())
    assert {"severity", "status", "subject", "what", "way_out"} == set(document["findings"][0])


def test_doctor_without_a_database_says_so(empty: Shell) -> None:
    """It looks; it makes nothing."""
    done = empty("doctor")

    assert done.status == 1 and "riskguard init" in done.out
    assert not empty.database.exists()


def test_what_doctor_says_of_the_sweep_is_not_wrong_but_worth_a_line(shell: Shell) -> None:
    """A fresh database was never watched: a warning does not fail a script."""
    findings = shell("doctor", "--json").document["findings"]

    (sweep,) = [each for each in findings if each["subject"] == "sweep"]
    assert sweep["severity"] == "warning" and "riskguard run" in sweep["way_out"]
