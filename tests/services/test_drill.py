"""Goal: a drill kills the account's own book at a broker on this machine, says what would be in the way, and touches nothing."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from riskguard import admin
from riskguard.brokers.paper import PaperSettings
from riskguard.core.seen import SeenHolding
from riskguard.errors import DatabaseMissingError, ReleaseRefusedError, SettingsError, UnknownAccountError
from riskguard.services.drill.book import prepared
from riskguard.services.drill.outcome import Outcome, budget_s
from riskguard.services.drill.rehearsal import rehearse
from riskguard.services.drill.stage import DrillClock, own_home
from riskguard.services.feeds.portfolio import save_holdings
from tests.core.tables import Row, table
from tests.services.desk import CALL, SHARE, Desk, rulebook
from tests.services.killing import ORDER_RATE, hold, quote_all, rest

ROOT = Path(__file__).parents[2]
COPIED = "a drill copies the file; of a server it plays a scenario alone, and says so"


@pytest.fixture
def paced(make_desk: Callable[..., Desk]) -> Desk:
    """A desk whose account may send what the broker takes, and no more."""
    made = make_desk(text=rulebook(order_rate=ORDER_RATE))
    made.sweep()
    return made


def live(desk: Desk, book: str = "", orders: str = "") -> None:
    """Bring about a book in the words of `killing`, swept, and fresh prices."""
    carried = [word for word in book.split(",") if "^" in word]
    for word in carried:
        hold(desk, word)
    if carried:
        desk.clock.advance(86_400)
    quote_all(desk)
    for word in [each for each in book.split(",") if each and "^" not in each]:
        hold(desk, word)
    for word in [each for each in orders.split(",") if each]:
        rest(desk, word)
    desk.join_market(settings=PaperSettings())
    desk.sweep()
    desk.sweep(6)
    quote_all(desk)


def drilled(desk: Desk, plan: str = "flatten", *, release: Any = admin.release, after_s: float = 0) -> Outcome:
    """Drill the desk's account *after_s* seconds later."""
    at_us = desk.clock.now_us() + round(after_s * 1_000_000)
    with own_home() as directory:
        book, played = prepared(desk.url, None, None, directory, at_us)
        clock = DrillClock(at_us)
        return rehearse(book, directory, plan=plan, release=release, source="book", scenario=played, clock=clock)


def failed(outcome: Outcome) -> list[str]:
    return [each.name for each in outcome.steps if not each.passed]


def subjects(outcome: Outcome) -> set[str]:
    return {f"{each.severity.value}:{each.subject}" for each in outcome.would_block}


BOOKS = table("""
    plan     book                            orders                      failed        blocks            messages
    cancel   -                               buy10@90,stop10@90          -             -                 cancelled=2
    cancel   share+10                        stop10@90,buy5@90           -             -                 cancelled=1
    flatten  -                               -                           -             -                 -
    flatten  share+10,future-25              buy5@90                     -             -                 cancelled=1,placed=2
    flatten  share+10                        stop10@90                   -             -                 modified=1
    flatten  call-25,cover+25                -                           -             -                 placed=2
    flatten  share+10:CNC                    -                           -             info:kept         -
    flatten  call^-25,cover+25               -                           FLATTEN,VERIFY,WATCH  info:kept  -
    broker   share+10                        -                           -             -                 placed=1,switch=1
    broker   share+10,share+4:CNC            -                           BROKER_LOCK   error:kept        placed=1
""")


@pytest.mark.sqlite_only(COPIED)
@pytest.mark.parametrize("row", BOOKS, ids=lambda row: f"{row.plan}|{row.book}|{row.orders}")
def test_a_book_is_killed_as_the_real_one_would_be(paced: Desk, row: Row) -> None:
    """Each step passes or not, what is in the way is named, and the messages are those of this book."""
    live(paced, "" if row.book == "-" else row.book, "" if row.orders == "-" else row.orders)

    outcome = drilled(paced, row.plan)

    assert ",".join(failed(outcome)).replace(" ", "_") == ("" if row.failed == "-" else row.failed), outcome.ends
    assert outcome.passed == (row.failed == "-")
    writes = {kind: count for kind, count in outcome.messages.items() if kind != "read"}
    assert writes == {
        kind: int(count) for kind, _, count in (each.partition("=") for each in row.messages.split(",") if each != "-")
    }
    assert {each for each in subjects(outcome) if each.endswith(":kept")} == ({row.blocks} - {"-"})


@pytest.mark.sqlite_only(COPIED)
def test_standing_orders_are_copied_in_their_own_lists(paced: Desk) -> None:
    """A super order rests as entry and legs of one group, and one cancellation takes all three."""
    live(paced, "", "super10")

    outcome = drilled(paced, "cancel")

    assert outcome.passed and outcome.messages["cancelled"] == 1


@pytest.mark.sqlite_only(COPIED)
def test_slices_time_and_cost(paced: Desk) -> None:
    """200 000 units of a contract that freezes at 60 000 go in four orders; they cost their slippage and charges."""
    with paced.store.session() as session:
        session.connection.execute(
            "UPDATE instruments SET freeze_quantity = 50000 WHERE security_id = ?", (CALL.security_id,)
        )
    live(paced, "call+200000")
    paced.guard.quote(*CALL.key, ltp="10", bid="9.90", ask="10.10", at=paced.clock.now_us() + 1)
    paced.sql("UPDATE marks SET bid_e4 = 99000, ask_e4 = 101000 WHERE security_id = ?", CALL.security_id)

    outcome = drilled(paced)

    assert outcome.passed, outcome.ends
    ((line, count),) = outcome.slices.items()
    assert line == f"NSE_FNO:{CALL.security_id}:MARGIN" and count == outcome.messages["placed"] >= 4
    assert outcome.costs.charges_e4 > 0 and (outcome.costs.spread_e4 or 0) > 0
    assert outcome.flat_s is not None and outcome.proven_s is not None and 0 < outcome.flat_s < outcome.proven_s
    assert outcome.refused == 0


@pytest.mark.sqlite_only(COPIED)
def test_a_spread_nobody_shows_is_unknown_and_not_zero(paced: Desk) -> None:
    """With a last price alone, what an exit loses to the other side of the market cannot be said."""
    live(paced, "share+10")

    outcome = drilled(paced)

    assert (outcome.costs.spread_e4, outcome.costs.unpriced) == (None, 1) and outcome.costs.charges_e4 > 0
    assert outcome.as_document()["cost_inr"]["spread"] is None


@pytest.mark.sqlite_only(COPIED)
def test_many_orders_take_the_seconds_their_messages_want(paced: Desk) -> None:
    """Ten a second: 31 cancellations are not faster than three seconds, and none is refused as too many."""
    live(paced, "", ",".join(["buy1@90"] * 31))

    outcome = drilled(paced, "cancel")

    assert outcome.passed and outcome.messages["cancelled"] == 31
    assert outcome.budget_s == 3 <= (outcome.flat_s or 0) and outcome.refused == 0


@pytest.mark.parametrize(("messages", "seconds"), [(0, 0), (10, 0), (11, 1), (250, 24), (251, 60)])
def test_the_least_time_of_so_many_messages(paced: Desk, messages: int, seconds: int) -> None:
    """The eleventh waits for the second window, the 251st for the minute."""
    with paced.store.session() as session:
        from riskguard.store import loader

        session.read_heads("leader")
        account = loader.load(session, "leader", "", paced.clock.now_us()).account

    assert budget_s(account, messages) == seconds


WAYS = table("""
    what        subject              severity
    nothing     -                    -
    unknown     instruments          error
    freeze      freeze               warning
    stale       marks                warning
    closed      hours                warning
    holdings    holdings             info
    old         book                 warning
""")


@pytest.mark.sqlite_only(COPIED)
@pytest.mark.parametrize("row", WAYS, ids=lambda row: row.what)
def test_what_would_be_in_the_way_is_named(paced: Desk, row: Row) -> None:
    """Each thing that stops or slows the real kill, and a book without any of them."""
    live(paced, "call+25")
    security = CALL.security_id
    if row.what == "unknown":
        paced.sql("DELETE FROM instruments WHERE security_id = ?", security)
    if row.what != "freeze":
        paced.sql("UPDATE instruments SET freeze_quantity = 1800 WHERE security_id = ?", security)
    else:
        paced.sql(
            "UPDATE instruments SET freeze_quantity = NULL, underlying_symbol = 'NOBODY' WHERE security_id = ?",
            security,
        )
    if row.what == "stale":
        paced.sql("UPDATE marks SET at_us = at_us - 600000000")
    if row.what == "holdings":
        with paced.store.session() as session:
            shares = (SeenHolding(*SHARE.key, 7, 7, isin="INE040A01034"),)
            save_holdings(session, "leader", paced.clock.now_us(), shares, "test")
    after_s = {"closed": 8 * 3600, "old": 61}.get(row.what, 0)

    outcome = drilled(paced, after_s=after_s)

    assert row.subject == "-" or f"{row.severity}:{row.subject}" in subjects(outcome), subjects(outcome)
    if row.what == "nothing":
        assert subjects(outcome) == set()
    assert "FLATTEN" not in failed(outcome), "what is in the way of the real one is told, not played"


@pytest.mark.sqlite_only(COPIED)
def test_a_release_that_is_not_refused_is_a_step_that_failed(paced: Desk) -> None:
    """Negative control: were release to look at nothing, the drill would say so."""
    live(paced, "share+10")

    assert failed(drilled(paced, "cancel", release=lambda *_args, **_more: None)) == ["RELEASE"]

    def refuses(*_args: Any, **_more: Any) -> None:
        raise ReleaseRefusedError("no")

    assert failed(drilled(paced, "cancel", release=refuses)) == []


# -- nothing is touched ------------------------------------------------------------------------------------------------


def digest(*directories: Path) -> dict[str, str]:
    """
    Every file below, with its contents; the names alone tell of a new one. Of a `-shm` only that it is there: it is
    SQLite's table of who reads, and a copy is a reader.
    """
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        if path.is_file() and not path.name.endswith("-shm")
        else "there"
        for each in directories
        for path in sorted(each.rglob("*"))
    }


WATCHED = """
import json, sys
seen = []
def hook(event, args):
    if event == "socket.connect":
        seen.append(str(args[1][0]) if isinstance(args[1], tuple) else str(args[1]))
    elif event == "socket.getaddrinfo":
        seen.append(str(args[0]))
sys.addaudithook(hook)
from riskguard.cli.main import main
sys.argv = ["riskguard", *sys.argv[1:]]
try:
    main()
finally:
    sys.stderr.write("CONNECTED " + json.dumps(sorted(set(seen))))
"""


def watched(desk: Desk, home: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a process that notes every address it connects to or looks up."""
    env = {**os.environ, "RISKGUARD_HOME": str(home), "RISKGUARD_DB": desk.url, **more}
    return subprocess.run(
        [sys.executable, "-c", WATCHED, *words],
        capture_output=True,
        text=True,
        env=env,
        cwd=ROOT,
        timeout=120,
        check=False,
    )


@pytest.mark.sqlite_only(COPIED)
@pytest.mark.parametrize("closed", [True, False], ids=["at rest", "in use"])
def test_neither_database_nor_flags_nor_the_network_are_touched(paced: Desk, home: Path, closed: bool) -> None:
    """
    Every byte of the database's directory and of the host's is as before, a halted flag among them; every connection goes
    to this machine, also where the environment names a proxy; and no file is left.
    """
    live(paced, "share+10", "buy5@90")
    if closed:
        paced.close()
    before = digest(paced.path.parent, home)
    scratch = paced.path.parents[1] / "scratch"
    scratch.mkdir()
    proxy = {name: "http://192.0.2.1:3128" for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY")}

    done = watched(paced, home, "drill", "leader", "--plan", "broker", "--json", TMPDIR=str(scratch), **proxy)

    said, _, connected = done.stderr.partition("CONNECTED ")
    assert json.loads(connected) == ["127.0.0.1"], done.stderr
    assert done.returncode in (0, 3) and said == "", done.stderr
    assert [each["name"] for each in json.loads(done.stdout)["steps"]][:2] == ["HALT", "CANCEL"]
    assert digest(paced.path.parent, home) == before
    assert list(scratch.iterdir()) == []


@pytest.mark.sqlite_only(COPIED)
def test_the_digest_would_see_a_flag(paced: Desk, home: Path) -> None:
    """Negative control: a real kill changes what the digest is of."""
    before = digest(paced.path.parent, home)
    paced.kill()

    assert digest(paced.path.parent, home) != before


# -- what is asked wrongly ---------------------------------------------------------------------------------------------


def test_what_cannot_be_drilled_says_why(make_desk: Callable[..., Desk], tmp_path: Path, store_kind: str) -> None:
    """No database, an account nobody knows, several and none named, another kind of database: typed, and said."""
    both = make_desk(accounts=("leader", "follower"))
    with own_home() as directory, pytest.raises(DatabaseMissingError):
        prepared(f"sqlite:///{tmp_path}/none.db", None, None, directory)
    with own_home() as directory, pytest.raises(SettingsError, match="sqlite"):
        prepared("postgresql://h/d", None, None, directory)
    if store_kind == "postgresql":  # a real one, its account named or not: it is the server that is not copied
        for account in (None, "leader", "nobody"):
            with own_home() as directory, pytest.raises(SettingsError, match="--scenario"):
                prepared(both.url, account, None, directory)
        return
    for account, error in ((None, SettingsError), ("nobody", UnknownAccountError)):
        with own_home() as directory, pytest.raises(error):
            prepared(both.url, account, None, directory)
    with own_home() as directory:
        assert prepared(both.url, "follower", None, directory)[0].account == "follower"


@pytest.mark.parametrize(
    "words",
    [("--plan", "halt"), ("--scenario", "none.toml"), ("--from-book", "--scenario", "none.toml"), ("nobody",)],
    ids=" ".join,
)
def test_bad_words_are_one_line(paced: Desk, home: Path, words: tuple[str, ...]) -> None:
    """Exit status 2, one line, no traceback."""
    done = watched(paced, home, "drill", *words)
    said = done.stderr.partition("CONNECTED ")[0]

    assert done.returncode == 2 and said.startswith("riskguard: ") and len(said.splitlines()) == 1, said


def test_a_scenario_needs_no_database(home: Path, tmp_path: Path) -> None:
    """The shipped limits hold; a server that refuses every write fails the steps, and the status says so."""
    path = tmp_path / "day.toml"
    text = (
        '[[quotes]]\nsegment = "NSE_EQ"\nsecurity_id = "1333"\nltp = "1600"\n'
        '[[positions]]\nsegment = "NSE_EQ"\nsecurity_id = "1333"\nproduct = "INTRADAY"\nquantity = 10\nprice = "1600"\n'
    )
    found = {}
    for name, head in (("good", ""), ("bad", "ip_registered = false\n")):
        path.write_text(head + text)
        with own_home() as directory:
            book, played = prepared(f"sqlite:///{tmp_path}/none.db", None, path, directory)
            found[name] = rehearse(
                book, directory, plan="flatten", release=admin.release, source="scenario", scenario=played
            )

    assert found["good"].passed and failed(found["bad"]) == ["FLATTEN", "VERIFY", "WATCH"]
    assert "IP" in found["bad"].ends
