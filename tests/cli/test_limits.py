"""`riskguard limits`: what it shows, what it plans, when a second person is asked for, and one line for every mistake."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import pytest

from riskguard.core.calendar import Calendar
from riskguard.locate import rulebook_text
from riskguard.services.limits import rulebook_schema
from tests.cli.shell import Shell

VARIABLE = "RISKGUARD_OPERATOR_TOKEN"


@pytest.fixture
def looser(tmp_path: Path) -> str:
    """`default` with one limit more and one less, one number tighter and one looser."""
    text = rulebook_text("default").replace('order_value_inr_max = "100000"', 'order_value_inr_max = "150000"')
    text = text.replace("quantity_max = 5000", "quantity_max = 4000").replace('id = "lot-size"', 'id = "lots"')
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return str(path)


def in_session(shell: Shell) -> None:
    """
    Give the account a line in a segment no calendar knows: its session runs whenever the test does, on holidays, too.

    Of today and tomorrow, so that a test that begins before midnight may end after it.
    """
    today = Calendar.session_date(int(dt.datetime.now(dt.UTC).timestamp() * 1_000_000))
    for day in (today, today + dt.timedelta(days=1)):
        shell.write(
            "INSERT INTO day_books (account, session_date, exchange_segment, security_id, product) "
            "VALUES ('leader', :day, 'NOBODY_KNOWS', '1', 'MARGIN')",
            day=day.isoformat(),
        )


def value(shell: Shell) -> float:
    ((found,),) = shell.rows(
        "SELECT order_value_limit FROM traders_control WHERE limit_id = 'order-value' AND is_active = 1"
    )
    return float(found)


def test_plan_reads_like_a_diff_and_writes_nothing(shell: Shell, looser: str) -> None:
    """Sign, limit, which way, old and new number; the count of what stays; a summary to read at a glance."""
    before = shell.rows("SELECT * FROM traders_control")
    got = shell("limits", "plan", looser)

    lines = [line.partition(" from 2")[0] for line in got.out.splitlines()]
    assert got.status == 0
    for line in (
        "+ lots (lot_size)", "- lot-size (lot_size) retires", "~ order-quantity (order_quantity) tightens",
        "      quantity_max: 5000 → 4000", "~ order-value (order_value) loosens",
        "      order_value_inr_max: 100000.00 → 150000.00",
        "Plan: 1 to add, 2 to change (1 loosens), 1 to retire; 23 unchanged",
    ):  # fmt: skip
        assert line in lines, line
    assert shell.rows("SELECT * FROM traders_control") == before
    document = shell("limits", "plan", looser, "--json").document
    assert {each["kind"] for each in document["changes"]} == {"add", "tighten", "loosen", "retire", "keep"}


def test_a_loosening_in_the_session_waits_and_is_shown(shell: Shell, looser: str) -> None:
    """The tighter number counts now; the looser one is shown by apply, show and plan with its date, and withdrawn by an apply."""
    in_session(shell)
    got = shell("limits", "apply", looser, "--account", "leader", "--by", "asha")
    assert got.status == 0 and "2 of them loosen while the session runs" in got.out
    assert value(shell) == 100_000.0
    for words in (("limits", "show"), ("limits", "plan", "default")):
        out = shell(*words).out
        assert "waiting for the session of" in out and "~ order-value (order_value) loosens from" in out
    shown = {each["limit_id"]: each["waiting"] for each in shell("limits", "show", "--json").document}
    assert shown["order-value"]["kind"] == "loosen" and shown["order-quantity"] is None
    assert shell("limits", "apply", "default", "--account", "leader", "--by", "asha").status == 0
    waiting = shell("limits", "show").out
    assert "order-value (order_value)" not in waiting  # withdrawn; what now waits is the way back of the quantity
    assert "order-quantity (order_quantity) loosens" in waiting


@pytest.mark.parametrize(("second", "status"), [("meera", 0), ("asha", 3), ("Asha ", 3)])
def test_a_second_person_lets_it_count_now(shell: Shell, looser: str, second: str, status: int) -> None:
    """Another one than who applies; a refusal is one line and changes nothing."""
    in_session(shell)
    got = shell("limits", "apply", looser, "--account", "leader", "--by", "asha", "--second-approver", second)

    assert got.status == status
    assert value(shell) == (150_000.0 if status == 0 else 100_000.0)
    if status:
        assert got.is_one_line_error()


@pytest.mark.parametrize(("with_token", "status"), [(False, 3), (True, 0)])
def test_outside_of_paper_the_second_person_is_an_operator(
    empty: Shell, looser: str, with_token: bool, status: int
) -> None:
    """A program cannot name a second person by itself: a terminal or the operator's token, as for a release."""
    assert empty("init", "--profile", "library").status == 0
    in_session(empty)
    token = empty("operator-token").out.splitlines()[0]
    words = ("limits", "apply", looser, "--account", "leader", "--by", "asha", "--second-approver", "meera")

    got = empty(*words, **({VARIABLE: token} if with_token else {}))

    assert got.status == status
    assert value(empty) == (150_000.0 if with_token else 100_000.0)
    assert empty("limits", "apply", looser, "--account", "leader", "--by", "asha").status == 0  # without one: waits


def test_the_file_it_came_from_is_remembered(shell: Shell, looser: str) -> None:
    """`doctor` can say that it has changed since."""
    assert shell("limits", "apply", looser, "--account", "leader", "--by", "asha").status == 0
    assert "differs from what was applied" not in shell("doctor").out
    Path(looser).write_text(rulebook_text("default"))

    assert "differs from what was applied to `leader`" in shell("doctor").out


def test_schema_prints_the_published_file(shell: Shell) -> None:
    assert shell("limits", "schema").out == rulebook_schema.text()


def test_suggest_says_what_it_lacks_and_gives_a_rulebook(shell: Shell, tmp_path: Path) -> None:
    """On a new account nothing is suggested, and the whole rulebook it prints changes nothing."""
    got = shell("limits", "suggest")
    assert got.status == 0 and "order-value (order_value) too little history; 0 approved orders on 0 days" in got.out
    path = tmp_path / "suggested.toml"
    path.write_text(shell("limits", "suggest", "--toml").out)
    assert (
        "Plan: 0 to add, 0 to change (0 loosens), 0 to retire; 26 unchanged" in shell("limits", "plan", str(path)).out
    )
    document = shell("limits", "suggest", "--json").document
    assert document["rulebook"] == path.read_text()
    assert {each["kind"] for each in document["suggestions"]} == {"too little history", "not suggested"}


WRONG = [
    (("limits", "plan", "no-such-book"), 2),
    (("limits", "plan", "default", "--account", "laeder"), 2),
    (("limits", "apply", "default", "--account", "laeder", "--by", "asha"), 2),
    (("limits", "suggest", "--account", "laeder"), 2),
    (("limits", "suggest", "--days", "0"), 2),
    (("limits", "show", "--account", "laeder"), 2),
]


@pytest.mark.parametrize(("words", "status"), WRONG, ids=lambda each: " ".join(each) if isinstance(each, tuple) else "")
def test_a_mistake_is_one_line(shell: Shell, words: tuple[str, ...], status: int) -> None:
    got = shell(*words)

    assert got.status == status and got.is_one_line_error(), got


MALFORMED = ["", "rulebook = ", 'rulebook = "x"', 'rulebook = "x"\n[[limit]]\nid = "a"\ncheck = "order_valu"']


@pytest.mark.parametrize("text", MALFORMED)
def test_a_malformed_rulebook_is_one_line(shell: Shell, tmp_path: Path, text: str) -> None:
    """Planned or applied, in words or as a document; nothing is written."""
    path = tmp_path / "bad.toml"
    path.write_text(text)
    before = shell.rows("SELECT * FROM traders_control")
    for words in (("plan", str(path)), ("apply", str(path), "--account", "leader", "--by", "asha")):
        got = shell("limits", *words)
        assert got.status == 2 and got.is_one_line_error()
        assert json.loads(shell("limits", *words, "--json").out)["error"] == "RulebookError"
    assert shell.rows("SELECT * FROM traders_control") == before
