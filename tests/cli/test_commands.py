"""
Goal: every documented option does what its help says, every exit status is reached, `--json` is one document, and
nothing a person can type shows a traceback.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from riskguard.brokers.paper import PaperBroker
from riskguard.clock import SystemClock
from tests.cli.shell import BUY, TOO_MUCH, Answer, Shell
from tests.core.tables import Row, table
from tests.services.desk import REFUSED

JSON_ORDER: dict[str, Any] = {
    "account": "leader", "exchange_segment": "NSE_EQ", "security_id": "1333", "side": "BUY", "product": "INTRADAY",
    "order_type": "LIMIT", "quantity": 10, "price": "1650", "client_order_id": "j1",
}  # fmt: skip

TIGHTER = """
rulebook = "tighter"

[[limit]]
id = "order-value"
check = "order_value"
order_value_inr_max = "50000"
why = "half"
source = "a test"
"""


# -- --json is one document, for every command that has it -------------------------------------------------------------

DOCUMENTS = table("""
    command                                             status  holds
    init --account follower --role follower --json      0       account
    status --json                                       0       accounts
    limits show --json                                  0       [0].limit_id
    limits show --account leader --json                 0       [0].parameters
    limits plan default --json                          0       changes
    limits apply default --account leader --by me --json  0     changes
    check --json ORDER --id c1                          0       approved
    check --json TOO_MUCH --id c2                       3       rejects
    violations --since all --json                       0       -
    violations --account leader --most 1 --json         0       -
    sweep --once --json                                 0       [0].account
    sweep --once --account leader --json                0       [0].day_pnl_e4
    exit leader --by me --reason test --json            0       -
    db version --json                                   0       schema
    db check --json                                     0       journals
    audit verify --json                                 0       accounts
    audit verify --replay --since 1 --account leader --json  0  accounts
    audit anchor --to anchors.jsonl --json              0       hash
    kill leader --no-wait --json                        0       halted
    release leader --by me --reason test --json         0       state
    explain nobody --json                               1       -
    limits plan nothing --json                          2       error
    limits show --account nobody --json                 2       message
    violations --since never --json                     2       error
    status --nonsense --json                            2       message
""")


def words(text: str) -> list[str]:
    """Split a table's command, with ORDER and TOO_MUCH written out."""
    said: list[str] = []
    for word in text.split():
        said += {"ORDER": BUY, "TOO_MUCH": TOO_MUCH}.get(word, (word,))
    return said


@pytest.mark.parametrize("row", DOCUMENTS, ids=str)
def test_json_is_exactly_one_document(shell: Shell, row: Row) -> None:
    """Standard output is one JSON document, whatever the outcome; what it must hold is there."""
    got = shell(*words(row.command))

    assert got.status == row.number("status"), got.err
    held: Any = got.document
    for key in [] if row.holds == "-" else row.holds.split("."):
        held = held[int(key.strip("[]"))] if key.startswith("[") else held[key]
    assert got.out.endswith("\n") and got.out.count("\n") == 1, "piped, a document is one line"
    assert (got.err == "") is (got.status in (0, 3)), got.err


def test_an_explanation_in_json_holds_order_facts_and_permit(shell: Shell) -> None:
    """Approved and refused: everything the decision rested on, and that deciding again agrees."""
    shell("check", *BUY, "--id", "a1")
    shell("check", *TOO_MUCH, "--id", "a2")

    (approved,) = shell("explain", "a1", "--json").document
    (refused,) = shell("explain", "a2", "--account", "leader", "--json").document

    assert (approved["approved"], approved["permit"]["state"], approved["replay_agrees"]) == (True, "GRANTED", True)
    assert (refused["approved"], refused["permit"], refused["replay_agrees"]) == (False, None, True)
    assert refused["rejects"][0]["code"] == "ORDER_VALUE_ABOVE_LIMIT"
    assert refused["order"]["quantity"] == 100 and refused["facts"]["known"] is True
    assert shell("explain", "a1", "--account", "follower").status == 1
    said = shell("explain", "a2").out
    assert "REFUSED" in said and "replay agrees" in said and "₹1,65,000.00" in said


# -- every exit status -------------------------------------------------------------------------------------------------

STATUSES = table("""
    command                                      status
    check ORDER                                  0
    check TOO_MUCH                               3
    check --account nobody ORDER                 2
    status --db missing.db                       1
    status                                       0
    explain nobody                               1
    limits apply default --account nobody --by me  2
    release leader --by me --reason x            3
    release --by me --reason test                2
    release leader --all --by me --reason test   2
    release nobody --by me --reason test         2
    exit nobody --by me --reason test            2
    sweep                                        2
    sweep --once --account nobody                2
    init                                         2
    init --profile dhan --db new.db              0
    init --profile dhan --base-url http://example.com --db new.db  2
    init --profile nonsense --db new.db          2
    init --account GLOBAL                        2
    init --rulebook nothing --db new.db          2
    baseline set leader --day-pnl -100 --by me --reason late    2
    baseline set leader --day-pnl 100 --by me --reason late     2
    baseline set leader --day-pnl nan --by me --reason late     2
    baseline set nobody --day-pnl -1 --by me --reason late      2
    db upgrade                                   0
    db check                                     0
    audit verify                                 0
    audit verify --since never                   2
    audit verify --account nobody                2
    audit verify --anchors missing.jsonl         1
    audit anchor                                 1
    audit accept --by me --reason begun          1
    audit key status                             1
    kill nobody --no-wait                        0
    demo --day 2024-07-99                        2
    --version                                    0
    --help                                       0
    kill --help                                  0
""")


@pytest.mark.parametrize("row", STATUSES, ids=str)
def test_exit_statuses(shell: Shell, row: Row) -> None:
    """0, 1, 2 and 3 are reached as documented (4 and 5: test_kill_command.py); errors are one line."""
    got = shell(*words(row.command))

    assert got.status == row.number("status"), got.out + got.err
    if got.status in (1, 2) or (got.status == 3 and not got.out):
        assert got.is_one_line_error(), got.err
    else:
        assert got.err == ""


# -- what a person can mistype -----------------------------------------------------------------------------------------

MISTYPED = table("""
    command                                                  names
    kil leader                                               'kill'
    statsu                                                   'status'
    status extra                                             extra
    status --nonsense                                        --nonsense
    check                                                    security_id
    check --security 1333 --segment NSE_EQ                   side
    check ORDER --qty 0                                      quantity
    check ORDER --qty -5                                     quantity
    check ORDER --qty 1.5                                    quantity
    check ORDER --qty 1e3                                    quantity
    check ORDER --qty 99999999999999999999                   quantity
    check ORDER --qty ten                                    quantity
    check ORDER --price -1                                   price
    check ORDER --price 0                                    price
    check ORDER --price nan                                  price
    check ORDER --price inf                                  price
    check ORDER --price 1e400                                price
    check ORDER --price 1650.00001                           price
    check ORDER --price 99999999999                          price
    check ORDER --side HOLD                                  side
    check ORDER --side buy                                   side
    check ORDER --segment NSE                                exchange_segment
    check ORDER --security x\x07                             security_id
    check ORDER --type LIMITED                               order_type
    check ORDER --type MARKET                                price
    check ORDER --type STOP_LOSS                             trigger_price
    check ORDER --trigger 1600                               trigger_price
    check ORDER --product DELIVERY                           product
    check ORDER --id ÿ                                       client_order_id
    check ORDER --strategy ₹                                 strategy
    check ORDER --qty                                        --qty
    check nonsense                                           nonsense
    violations --since yesterday                             --since
    violations --since ²h                                    --since
    violations --since 2024-13-01                            --since
    violations --most 0                                      --most
    violations --most many                                   --most
    explain                                                  client_order_id
    limits                                                   -
    limits plan                                              file
    limits plan .                                            rulebook
    limits plan nothing.toml                                 nothing.toml
    limits apply default --by me                             --account
    limits apply default --account leader                    --by
    release leader --reason test                             --by
    release leader --by me                                   --reason
    exit leader --by me                                      --reason
    sweep --often                                            --often
    baseline set leader                                      --day-pnl
    db                                                       -
    db version extra                                         extra
    status --db postgresql://nobody@localhost/none           postgresql
    init --db mysql://x                                      mysql
    demo --day tomorrow                                      --day
    demo --day 2024-06-05                                    --day
    demo --speed -1                                          --speed
""")


@pytest.mark.parametrize("row", MISTYPED, ids=str)
def test_mistakes_are_one_line_that_names_them(shell: Shell, row: Row) -> None:
    """Status 2 (1 where only the machine can tell), one line on standard error that names what was wrong."""
    before = sorted(path.name for path in shell.directory.iterdir() if not path.name.startswith(".std"))

    got = shell(*words(row.command))

    assert got.status in ((1, 2) if "postgresql" in row.command else (2,)), got.out + got.err
    assert "Traceback" not in got.out + got.err
    if row.names != "-":
        assert got.is_one_line_error(), got.err
        assert row.names in got.err
    assert before == sorted(path.name for path in shell.directory.iterdir() if not path.name.startswith(".std"))


def test_bytes_that_are_no_text_are_refused_like_other_mistakes(shell: Shell) -> None:
    """A command line may hold any bytes; none of them is worth a traceback, and none reaches the journal."""
    junk = "\udcff"
    for command in (
        ("check", *BUY, "--id", junk), ("check", *BUY, "--strategy", junk), ("check", "--account", junk, *BUY),
        ("init", "--account", junk), ("explain", junk), ("limits", "show", "--account", junk),
        ("violations", "--account", junk), ("release", junk, "--by", "me", "--reason", "test"),
        ("release", "leader", "--by", "me", "--reason", f"te{junk}st"), ("exit", "leader", "--by", junk, "--reason", junk),
        ("limits", "apply", "default", "--account", "leader", "--by", junk),
        ("baseline", "set", "leader", "--day-pnl", junk, "--by", "me", "--reason", "test"),
    ):  # fmt: skip
        got = shell(*command)
        assert got.status == 2, command
        assert got.is_one_line_error(), (command, got.err)
    assert shell("audit", "verify").status == 0


# -- which database ----------------------------------------------------------------------------------------------------


def test_db_wins_over_the_environment_and_both_take_urls_and_paths(shell: Shell) -> None:
    """`--db` over RISKGUARD_DB over the host's own; a plain path and a URL mean the same file."""
    other = shell.directory / "other" / "b.db"
    assert shell("init", "--db", "other/b.db", "--account", "second").status == 0

    def accounts(*words: str, **more: str) -> list[str]:
        got = shell("status", "--json", *words, **more)
        assert got.status == 0, got.err
        return [each["account"] for each in got.document["accounts"]]

    assert accounts() == ["leader"]
    assert accounts("--db", str(other)) == ["second"]
    assert accounts("--db", f"sqlite:///{other}") == ["second"]
    assert accounts(RISKGUARD_DB="other/b.db") == ["second"]
    assert shell("init", RISKGUARD_DB="", RISKGUARD_HOME=str(shell.directory / "own")).status == 0
    assert accounts(RISKGUARD_DB="", RISKGUARD_HOME=str(shell.directory / "own")) == ["leader"]
    assert (shell.directory / "own" / "riskguard.db").exists()


def test_init_options_end_in_the_database(empty: Shell) -> None:
    """Profile, role, group and rulebook are what was asked for; a second account joins the same file."""
    made = empty("init", "--profile", "library", "--account", "f1", "--role", "follower", "--group", "desk", "--json")
    assert made.document["created"] is True and made.document["limits"] == 26
    assert empty("init", "--account", "f2", "--rulebook", "demo-index-futures", "--json").document["created"] is False
    assert empty("init", "--account", "f1").status == 2, "an account is added once"

    assert empty.rows("SELECT account, role, group_name FROM accounts ORDER BY 1") == [
        ("f1", "follower", "desk"), ("f2", "leader", ""),
    ]  # fmt: skip
    assert empty("status", "--json").document["profile"] == "library"


def test_a_failed_init_leaves_nothing_behind(empty: Shell) -> None:
    """A malformed rulebook makes no database: half of one would be refused for ever."""
    (empty.directory / "bad.toml").write_text('rulebook = "bad"\n[[limit]]\nid = "x"\ncheck = "order_valeu"\n')

    got = empty("init", "--rulebook", "bad.toml")

    assert got.status == 2 and got.is_one_line_error()
    assert "did you mean `order_value`?" in got.err
    assert not empty.database.exists()


# -- check -------------------------------------------------------------------------------------------------------------


def test_check_options_reach_the_order(shell: Shell) -> None:
    """Every option of the command is the field of the order it names."""
    got = shell(
        "check", "--account", "leader", "--segment", "NSE_EQ", "--security", "1333", "--side", "SELL", "--product",
        "MARGIN", "--type", "STOP_LOSS", "--qty", "7", "--price", "1640", "--trigger", "1645.5", "--id", "o1",
        "--strategy", "mean", "--json",
    )  # fmt: skip
    assert got.status in (0, 3)

    (told,) = shell("explain", "o1", "--json").document

    wanted = {
        "account": "leader", "exchange_segment": "NSE_EQ", "security_id": "1333", "side": "SELL", "product": "MARGIN",
        "order_type": "STOP_LOSS", "quantity": 7, "price": "1640.00", "trigger_price": "1645.50",
        "client_order_id": "o1", "strategy": "mean",
    }  # fmt: skip
    assert {name: told["order"][name] for name in wanted} == wanted


def test_an_id_is_answered_once_and_made_when_left_out(shell: Shell) -> None:
    """Same id, same order: the recorded answer. Same id, another order: refused. No id: one is made and shown."""
    first = shell("check", *BUY, "--id", "a1", "--json").document
    again = shell("check", *BUY, "--id", "a1", "--json").document
    reused = shell("check", *BUY, "--qty", "9", "--id", "a1", "--json")
    made = shell("check", *BUY, "--qty", "8", "--json").document

    assert first["approved"] and again["approved"]
    assert shell.rows("SELECT count(*) FROM decisions WHERE client_order_id = 'a1'") == [(1,)]
    assert reused.status == 3 and reused.document["rejects"][0]["code"] == "CLIENT_ORDER_ID_REUSED"
    assert made["approved"] and made["client_order_id"].startswith("rg-")


STDIN = table("""
    name            text                                          status  names
    as-is           ORDER                                         0       -
    float-price     ORDER price 1650.05                           0       -
    long-float      ORDER price 1650.000000000000001              2       price
    float-quantity  ORDER quantity 10.0                           2       quantity
    huge-quantity   ORDER quantity 1000000000000000000000         2       quantity
    bool-quantity   ORDER quantity true                           2       quantity
    text-quantity   ORDER quantity "10"                           2       quantity
    nan-price       ORDER price NaN                               2       price
    inf-price       ORDER price -Infinity                         2       price
    huge-price      ORDER price 1e400                             2       price
    list-price      ORDER price [1]                               2       price
    object-side     ORDER side {"BUY":1}                          2       side
    null-account    ORDER account null                            2       account
    unknown-field   ORDER prise "1650"                            2       prise
    surrogate-id    ORDER client_order_id "\\ud800"               2       client_order_id
    newline-id      ORDER client_order_id "a\\nb"                 2       client_order_id
    unknown-account  ORDER account "nobody"                       2       nobody
    not-json        {                                             2       not JSON
    empty           EMPTY                                         2       not JSON
    a-list          [1,2]                                         2       object
    a-number        12                                            2       object
    a-text          "order"                                       2       object
    no-fields       {}                                            2       missing
    two-documents   {}{}                                          2       not JSON
    not-utf-8       LATIN                                         2       not JSON
    deep            DEEP                                          2       not JSON
    a-megabyte      MEGABYTE                                      2       longer than
    many-digits     DIGITS                                        2       -
""")


def stdin_bytes(text: str) -> bytes:
    """Return what a row of STDIN stands for; `ORDER name value` replaces one field by raw JSON."""
    special = {
        "EMPTY": b"", "LATIN": b'{"account": "\xff"}', "DEEP": b"[" * 60_000, "MEGABYTE": b'"' + b"x" * 1_000_000 + b'"',
        "DIGITS": json.dumps({**JSON_ORDER, "quantity": 0}).replace(": 0", ": " + "9" * 5_000).encode(),
    }  # fmt: skip
    if text in special:
        return special[text]
    if not text.startswith("ORDER"):
        return text.encode()
    name, _, value = text.removeprefix("ORDER").strip().partition(" ")
    if not name:
        return json.dumps(JSON_ORDER).encode()
    fields = {key: json.dumps(each) for key, each in JSON_ORDER.items()}
    fields[name] = value
    return ("{" + ", ".join(f'"{key}": {each}' for key, each in fields.items()) + "}").encode()


@pytest.mark.parametrize("row", STDIN, ids=lambda row: row.name)
def test_an_order_from_standard_input(shell: Shell, row: Row) -> None:
    """JSON in, JSON out: numbers keep their digits, and what is no order is one line that says so."""
    got = shell("check", "--json", "-", stdin=stdin_bytes(row.text))

    assert got.status == row.number("status"), got.out + got.err
    assert isinstance(got.document, dict)
    if got.status == 2:
        assert got.is_one_line_error(), got.err
        assert len(got.err) < 400, "a message is for people"
        assert row.names == "-" or row.names in got.err
        assert got.document["error"] and shell.rows("SELECT count(*) FROM decisions WHERE kind = 'ORDER'") == [(0,)]
    else:
        assert got.document["approved"] is True


def test_a_price_from_json_keeps_its_digits(shell: Shell) -> None:
    """1650.05 is no binary fraction; the order must still say 1650.05."""
    shell("check", "--json", "-", stdin=stdin_bytes("ORDER price 1650.05"))

    assert shell("explain", "j1", "--json").document[0]["order"]["price"] == "1650.05"


# -- limits ------------------------------------------------------------------------------------------------------------


def test_a_plan_writes_nothing_and_applying_it_does_what_it_said(shell: Shell) -> None:
    """Plan, then apply: the changes are the same, the author stands beside the limit, the next order obeys."""
    (shell.directory / "tighter.toml").write_text(TIGHTER)
    before = shell("limits", "show", "--json").document

    planned = shell("limits", "plan", "tighter.toml", "--account", "leader", "--json").document
    assert shell("limits", "show", "--json").document == before
    applied = shell(
        "limits", "apply", "tighter.toml", "--account", "leader", "--by", "chief", "--reason", "review", "--json"
    ).document  # fmt: skip

    assert applied["changes"] == planned["changes"]
    assert {"kind": "tighten", "limit_id": "order-value"}.items() <= next(
        each for each in planned["changes"] if each["limit_id"] == "order-value"
    ).items()
    (kept,) = [each for each in shell("limits", "show", "--json").document if each["limit_id"] == "order-value"]
    assert kept["parameters"] == {"order_value_inr_max": "50000.00"}
    assert shell("limits", "show").out.count("order-value") == 1


def test_a_malformed_rulebook_changes_nothing(shell: Shell) -> None:
    """One wrong key of one limit: status 2, the limit and key named, every limit as before."""
    (shell.directory / "bad.toml").write_text(TIGHTER.replace("order_value_inr_max", "order_value_inr_mex"))
    before = shell("limits", "show", "--json").document

    got = shell("limits", "apply", "bad.toml", "--account", "leader", "--by", "chief")

    assert got.status == 2 and got.is_one_line_error()
    assert "order-value" in got.err and "did you mean `order_value_inr_max`?" in got.err
    assert shell("limits", "show", "--json").document == before


# -- violations --------------------------------------------------------------------------------------------------------


def test_violations_are_filtered_by_account_time_and_number(shell: Shell) -> None:
    """`--account`, `--since` in each of its spellings, and `--most`, newest first."""
    for number in range(3):
        shell("check", *TOO_MUCH, "--id", f"v{number}", "--strategy", f"s{number}")

    def ids(*words: str) -> list[str]:
        return [each["client_order_id"] for each in shell("violations", "--json", *words).document]

    assert ids() == ["v2", "v1", "v0"]
    assert ids("--most", "1") == ["v2"]
    assert ids("--account", "nobody") == []
    for since, found in (
        ("all", 3),
        ("today", 3),
        ("90m", 3),
        ("24h", 3),
        ("7d", 3),
        ("2020-01-01", 3),
        ("2999-01-01", 0),
    ):
        assert len(ids("--since", since)) == found, since
    said = shell("violations").out
    assert "3 violations" in said and "₹1,65,000.00" in said


# -- exit, sweep -------------------------------------------------------------------------------------------------------


def test_a_person_may_close_a_position_of_a_halted_account(shell: Shell) -> None:
    """Flat: nothing to do. Halted with a position: `exit` closes it, one security at a time, and names the person."""
    assert shell("exit", "leader", "--by", "me", "--reason", "test").out.strip() == "nothing is open"
    hold(shell, 10)
    assert shell("kill", "leader", "--no-wait").status == 0

    other = shell("exit", "leader", "--security", "9999", "--by", "me", "--reason", "close", "--json")
    assert other.status == 0 and other.document == []
    got = shell("exit", "leader", "--security", "1333", "--by", "anita", "--reason", "close", "--json")

    assert got.status == 0, got.err
    assert [(each["side"], each["quantity"], each["placed"]) for each in got.document] == [("SELL", 10, True)]
    ((body,),) = shell.rows("SELECT body FROM decisions WHERE kind = 'OVERRIDE' ORDER BY sequence DESC LIMIT 1")
    assert json.loads(body)["by"] == "anita"
    assert shell.rows("SELECT emergency_by FROM permits ORDER BY sequence DESC LIMIT 1") == [("anita",)]


def hold(shell: Shell, quantity: int) -> None:
    """Buy on the paper market through the guard, as a strategy would, until the position list shows it."""
    code = f"""
import time
from riskguard import Order, RiskGuard
from riskguard.services.wiring import broker_of, settings_of
with RiskGuard.open() as guard:
    settings, _ = settings_of(guard.store)
    broker = broker_of(guard, settings, "leader")
    guard.quote("NSE_EQ", "1333", ltp="1650", bid="1649.95", ask="1650")
    order = Order(account="leader", exchange_segment="NSE_EQ", security_id="1333", side="BUY", product="INTRADAY",
                  order_type="LIMIT", quantity={quantity}, price="1651")
    decision = guard.place(order, broker.place)
    assert decision.approved, decision.explain()
    for _ in range(100):
        time.sleep(0.1)
        if sum(row.net for row in broker.positions()) == {quantity}:
            break
    else:
        raise SystemExit("not filled")
    guard.quote("NSE_EQ", "1333", ltp="1650", bid="1649.95", ask="1650")
    time.sleep(2.1)
"""
    import subprocess
    import sys

    subprocess.run([sys.executable, "-c", code], check=True, env=shell.environment(), cwd=shell.directory, timeout=60)


def test_one_sweep_measures_and_leaves_a_heartbeat(shell: Shell) -> None:
    """After `sweep --once` the last sweep is young, and the day's P&L is known."""
    assert shell.rows("SELECT count(*) FROM sweeps WHERE finished_at_us IS NOT NULL") == [(0,)]

    got = shell("sweep", "--once", "--json")

    assert got.document[0]["account"] == "leader" and got.document[0]["day_pnl_e4"] == 0
    assert shell.rows("SELECT count(*) FROM sweeps WHERE finished_at_us IS NOT NULL") == [(1,)]
    (standing,) = shell("status", "--json").document["accounts"]
    assert standing["sweep_age_ms"] < 60_000 and standing["day_pnl"] == "0.00"


@pytest.mark.parametrize(
    ("broken", "status"), [((), 0), (("positions",), 0), (("positions", "orders", "trades"), 0), (("all",), 1)]
)
def test_a_sweep_whose_every_read_failed_is_no_sweep_that_was_done(
    shell: Shell, broken: tuple[str, ...], status: int
) -> None:
    """One answer is a look; none is an error, in one line that says why. The document is there either way."""
    assert shell("sweep", "--once").status == 0
    with closing(PaperBroker.open(shell.market, "leader", clock=SystemClock())) as broker:
        for each in broken:
            broker.behave(each, "fail")

    got = shell("sweep", "--once", "--json")

    assert got.status == status
    assert bool(got.document[0]["failures"]) == bool(broken)
    assert (got.err == "") == (status == 0)
    if status:
        assert got.is_one_line_error() and "answered nothing about leader" in got.err


# -- db ----------------------------------------------------------------------------------------------------------------


def a_riskguard_file(shell: Shell, path: Path) -> None:
    shutil.copy(shell.database, path)


def not_sqlite(_shell: Shell, path: Path) -> None:
    path.write_bytes(b"these are no pages\n" * 1_000)


def an_empty_file(_shell: Shell, path: Path) -> None:
    path.touch()


def nothing(_shell: Shell, _path: Path) -> None:
    return


def a_version_3_file(_shell: Shell, path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        for name in ("orders", "copy_mappings", "traders_control"):
            connection.execute(f"CREATE TABLE {name} (id INTEGER PRIMARY KEY)")


def a_strange_sqlite_file(_shell: Shell, path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE songs (id INTEGER PRIMARY KEY)")


def a_directory(_shell: Shell, path: Path) -> None:
    path.mkdir()


FILES: list[tuple[Callable[[Shell, Path], None], tuple[int, ...], tuple[int, ...], tuple[int, ...]]] = [
    # file                   version  upgrade  check
    (a_riskguard_file,       (0,),    (0,),    (0,)),
    (not_sqlite,             (1,),    (1,),    (1,)),
    (an_empty_file,          (1,),    (1,),    (1,)),
    (nothing,                (1,),    (1,),    (1,)),
    (a_strange_sqlite_file,  (0,),    (1,),    (1,)),
    (a_version_3_file,       (0,),    (0, 1),  (0, 1)),  # too little of one to be upgraded, or upgraded
    (a_directory,            (1,),    (1,),    (1,)),
]  # fmt: skip


@pytest.mark.sqlite_only("kinds of files; kinds of servers are in tests/store/test_postgresql.py")
@pytest.mark.parametrize(("make", "version", "upgrade", "check"), FILES, ids=lambda each: getattr(each, "__name__", ""))
def test_db_commands_say_what_a_file_is_and_leave_it_alone(
    shell: Shell, make: Callable[[Shell, Path], None], version: tuple[int, ...], upgrade: tuple[int, ...],
    check: tuple[int, ...],
) -> None:  # fmt: skip
    """`version`, `upgrade` and `check` on every kind of file: the documented status; what fails changes not one byte."""
    path = shell.directory / "a" / "file.db"
    path.parent.mkdir()
    make(shell, path)
    before = contents(path)

    for command, statuses in (("version", version), ("upgrade", upgrade), ("check", check)):
        got = shell("db", command, "--db", str(path))
        assert got.status in statuses, (command, got.out, got.err)
        assert contents(path) == before or (command == "upgrade" and got.status == 0)
        assert "Traceback" not in got.out + got.err
        assert got.status == 0 or got.is_one_line_error() or got.out.startswith("WRONG"), (command, got.err)


def contents(path: Path) -> str | None:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None


@pytest.mark.sqlite_only("kinds of files; kinds of servers are in tests/store/test_postgresql.py")
def test_db_version_tells_kinds_apart(shell: Shell) -> None:
    """By what is in the file, not by its name."""
    found = {}
    for make in (a_riskguard_file, a_version_3_file, a_strange_sqlite_file):
        path = shell.directory / f"{make.__name__}.db"
        make(shell, path)
        got = shell("db", "version", "--db", str(path), "--json").document
        found[make.__name__] = (got["kind"], got["schema"])

    assert found == {
        "a_riskguard_file": ("riskguard", 4), "a_version_3_file": ("copy-trading", 3),
        "a_strange_sqlite_file": ("unknown", 0),
    }  # fmt: skip


def test_db_check_finds_a_schema_that_was_changed(shell: Shell) -> None:
    """A trigger that was dropped, and a table nobody declared."""
    # Each store has triggers of its own names; what one of several does on SQLite, one does alone on PostgreSQL.
    name = "traders_control_holds" if shell.server_url else "traders_control_latch_holds"
    on = " ON traders_control" if shell.server_url else ""
    shell.write(f"DROP TRIGGER {name}{on}", "CREATE TABLE mine (id INTEGER)")

    got = shell("db", "check", "--json")

    assert got.status == 1
    # A server names the columns of a table, too: one that was added to a table of ours is found that way.
    columns = ["schema: column mine.id is not declared"] if shell.server_url else []
    assert sorted(got.document["wrong"]) == [
        *columns, "schema: table mine is not declared", f"schema: trigger {name} is missing",
    ]  # fmt: skip


# -- audit -------------------------------------------------------------------------------------------------------------

TAMPERED = {
    "an edited body": "UPDATE decisions SET body = replace(body, '\"quantity\":', '\"quantity\":1') WHERE sequence = :middle",
    "an edited column": "UPDATE decisions SET approved = 1 - approved WHERE account = 'leader' AND sequence = :middle",
    "an edited hash": "UPDATE decisions SET hash = :zeros WHERE account = 'leader' AND sequence = :last",
    "a deletion in the middle": "DELETE FROM decisions WHERE account = 'leader' AND sequence = :middle",
    "a cut at the end": "DELETE FROM decisions WHERE account = 'leader' AND sequence >= :middle",
    "a row put at the end": (
        "INSERT INTO decisions (account, sequence, client_order_id, kind, approved, strategy, decided_at_us, body, "
        "previous_hash, hash) SELECT account, sequence + 1, 'x', kind, approved, strategy, decided_at_us, body, hash, hash "
        "FROM decisions WHERE account = 'leader' AND sequence = :last"
    ),
    "two rows exchanged": (
        "UPDATE decisions SET sequence = CASE sequence WHEN :last THEN :middle ELSE :last END + 1000 "
        "WHERE account = 'leader' AND sequence IN (:last, :middle)"
    ),
    "everything deleted": "DELETE FROM decisions WHERE account = 'leader'",
}


@pytest.mark.parametrize("how", TAMPERED)
def test_audit_finds_what_was_done_to_the_journal(shell: Shell, how: str) -> None:
    """With the triggers dropped anybody can write; the chain still shows it, and `db check` says so too."""
    for number in range(4):
        shell("check", *BUY, "--qty", str(10 - number), "--id", f"a{number}")
    assert shell("audit", "verify").status == 0
    ((last,),) = shell.rows("SELECT sequence FROM account_heads WHERE account = 'leader'")
    with shell.disarmed("decisions"):
        shell.write(TAMPERED[how], last=last, middle=last - 2, zeros="0" * 64)
        if how == "two rows exchanged":
            shell.write("UPDATE decisions SET sequence = sequence - 1000 WHERE sequence > 1000")

    got = shell("audit", "verify", "--json")

    assert got.status == 1, how
    (leader,) = [each for each in got.document["accounts"] if each["account"] == "leader"]
    assert leader["wrong"], how
    assert shell("db", "check").status == 1


def test_the_journal_refuses_an_edit_while_its_triggers_stand(shell: Shell) -> None:
    """Plain SQL cannot change or delete a decision."""
    shell("check", *BUY, "--id", "a1")

    for sql in ("UPDATE decisions SET approved = 0", "DELETE FROM decisions"):
        with pytest.raises(REFUSED, match="append-only"):
            shell.write(sql)


# -- words and looks ---------------------------------------------------------------------------------------------------


def test_every_command_has_help_with_its_exit_statuses(shell: Shell) -> None:
    """`riskguard COMMAND --help` ends with 0 and says which statuses there are."""
    for command in commands(shell):
        got = shell(*command, "--help")
        assert got.status == 0, command
        assert "Exit status:" in got.out, command


def commands(shell: Shell) -> list[tuple[str, ...]]:
    """Return every command as the help lists them."""
    found: list[tuple[str, ...]] = []
    waiting: list[tuple[str, ...]] = [(name,) for name in listed(shell("--help"))]
    while waiting:
        command = waiting.pop()
        said = shell(*command, "--help")
        if "COMMAND [ARGS]" in said.out:
            waiting += [(*command, each) for each in listed(said)]
        else:
            found.append(command)
    return found


def listed(answer: Answer) -> list[str]:
    lines = answer.out.split("Commands:\n")[1].splitlines()
    return [line.split()[0] for line in lines if line.startswith("  ") and line[2] != " "]


def test_tables_are_whole_when_piped(shell: Shell) -> None:
    """No terminal's width cuts what a program reads, and no colour is in it."""
    shell("check", *TOO_MUCH, "--id", "a-very-long-client-order-id-that-must-not-be-cut-anywhere-12345")

    for command in (("limits", "show"), ("violations",), ("status",)):
        got = shell(*command, COLUMNS="20")
        assert got.status == 0 and "\x1b" not in got.out and "…" not in got.out
    assert "a-very-long-client-order-id-that-must-not-be-cut-anywhere-12345" in shell("violations").out


def test_a_closed_pipe_is_no_error_of_ours(shell: Shell) -> None:
    """`riskguard limits show | head -1`: whoever reads us may leave; no traceback."""
    process = shell.start("limits", "show")
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    said = process.stderr.read()
    process.stderr.close()
    process.wait(60)
    assert said == ""
