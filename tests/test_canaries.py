"""
Goal: secrets put in at every door come out at none. Each canary is searched in every byte that was written.

A canary that looks like nothing is the harder one: only its place, or that the process knows it, can betray it.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from riskguard.errors import BrokerRefusedError, BrokerUnconfirmedError
from riskguard.services.tokens import TokenSource, set_token
from riskguard.store.database import Database
from riskguard.store.rows import AuthTokenRow, EdisTransactionRow, PostbackConfigRow
from riskguard.store.secrets import keys as sources
from tests.cli.conftest import empty, forker, initialised, shell  # noqa: F401  (fixtures)
from tests.cli.shell import Answer, Shell
from tests.services.desk import Desk
from tests.store import v3_files
from tests.store.secret_desk import NOW_S, everything, jwt

HEADER = "access" + "-token"
TOKEN = jwt(exp=int(time.time()) + 72_000, canary="jwt-canary")
OPAQUE = "opaque-canary-4f1c9a7e"
SETTING, HOOK, TPIN, REFRESH = "setting-canary-77aa", "hook-canary-93bb", "73914682", "refresh-canary-51cc"
PASSWORD = "password-canary-x1"
CANARIES = (TOKEN, TOKEN[20:80], TOKEN.split(".")[1], OPAQUE, SETTING, HOOK, REFRESH, PASSWORD)


def found_in(text: str | bytes, canaries: tuple[str, ...] = CANARIES) -> list[str]:
    raw = text.encode() if isinstance(text, str) else text
    return [each for each in canaries if each.encode() in raw]


def found_under(directory: Path, canaries: tuple[str, ...] = CANARIES, *, but: tuple[str, ...] = ()) -> list[str]:
    """Search every byte of every file below *directory*, whatever it is called."""
    return [
        f"{path.relative_to(directory)}: {each}"
        for path in sorted(directory.rglob("*"))
        if path.is_file() and not any(word in path.name for word in but)
        for each in found_in(path.read_bytes(), canaries)
    ]


def test_the_search_finds_what_is_there(tmp_path: Path) -> None:
    """Negative control: a canary in a database, its -wal, or a log is found."""
    with closing(sqlite3.connect(tmp_path / "x.db", isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE t (x TEXT)")
        connection.execute("INSERT INTO t VALUES (?)", (OPAQUE,))
        assert any("wal" in each for each in found_under(tmp_path))
    assert found_in(f"sent {TOKEN}") and not found_in("nothing")


# -- in the process ----------------------------------------------------------------------------------------------------


@pytest.fixture
def written(desk: Desk, home: Path, caplog: pytest.LogCaptureFixture) -> Iterator[Callable[[], list[str]]]:
    """Return how to list the canaries in everything the test wrote: files, with the -wal, and the log at DEBUG."""
    caplog.set_level(logging.DEBUG)

    def search() -> list[str]:
        assert (desk.path.parent / "risk.db-wal").exists()
        logged = [
            f"log: {each}" for each in found_in(caplog.text + "".join(str(vars(each)) for each in caplog.records))
        ]
        return logged + found_under(desk.path.parent) + found_under(home, but=("secrets.key",))

    yield search


def test_stored_secrets_are_nowhere_in_clear(desk: Desk, home: Path, written: Callable[[], list[str]]) -> None:
    """Token, refresh token, setting, webhook secret and TPIN: not in the file, the -wal, the log, or any repr."""
    sources.create_file()
    with Database(desk.url, clock=desk.clock) as database:
        everything(database)
        for given in (TOKEN, OPAQUE):
            set_token(database, "leader", given)
        database.authentication.set_token("leader", OPAQUE, refresh_token=REFRESH)
        database.authentication.set_setting("bot", SETTING)
        hook = database.postback.add_config(
            PostbackConfigRow(
                account_type="leader",
                webhook_url="https://a.example",
                webhook_secret=HOOK,
                created_at=NOW_S,
                updated_at=NOW_S,
            )
        )
        database.postback.set_secret(hook, HOOK)
        row = EdisTransactionRow(
            account_type="leader", isin="INE1", qty=1, exchange="NSE", segment="EQ", status="PENDING", created_at=NOW_S,
            updated_at=NOW_S, tpin=TPIN, raw_request=f'{{"tpin": "{TPIN}"}}', error_message=f"tpin {TPIN} was wrong",
        )  # fmt: skip
        database.edis.add(row)
        database.edis.add(row, keep_tpin=True)
        source = TokenSource(database, "leader")
        shown = [
            repr(each)
            for each in (
                database, database.authentication.active("leader"), database.authentication.get_token("leader"), source,
                source.current(), database.postback.get_configs("leader"), database.edis.latest(),
                row.model_copy(update={"error_message": None}),
                AuthTokenRow(account_type="leader", access_token=OPAQUE, created_at=1, updated_at=1), database.authentication,
                sources.load(),
            )
        ]  # fmt: skip
        assert found_in("".join(shown)) == [] and TPIN not in "".join(shown)
        assert written() == []
        assert found_under(desk.path.parent, (TPIN,)) == []


def test_what_is_logged_about_calls_and_errors(desk: Desk, home: Path, written: Callable[[], list[str]]) -> None:
    """audit_log and error_log: headers, bodies and messages that hold the token, by name, by shape, by value."""
    sources.create_file()
    with Database(desk.url, clock=desk.clock) as database:
        set_token(database, "leader", OPAQUE)
        database.audit.log_audit(
            "GET /orders", "leader", request_data={"headers": {HEADER: TOKEN}, "note": f"as {OPAQUE}"},
            response_data=f'{{"access_token": "{SETTING}", "tpin": {TPIN}}}', error_message=f"401 {HEADER}: {HOOK}",
        )  # fmt: skip
        assert written() == []


class Leaky:
    """A broker whose every error shows the request, token and all, as HTTP libraries do."""

    name = "leaky"

    def _fail(self, kind: type[Exception] = BrokerUnconfirmedError) -> Any:
        raise kind(f"GET /orders failed: {{'{HEADER}': '{OPAQUE}', 'Authorization': 'Bearer {TOKEN}'}}")

    def place(self, approved: Any) -> str:
        approved.begin()
        return str(self._fail())

    def cancel(self, order_id: str) -> None:
        self._fail(BrokerRefusedError)

    def orders(self) -> Any:
        return self._fail()

    def positions(self) -> Any:
        return self._fail(RuntimeError)

    def trades(self) -> Any:
        return self._fail(ValueError)

    def funds(self) -> Any:
        return self._fail()


def test_a_broker_that_shows_the_token_in_its_errors(desk: Desk, home: Path, written: Callable[[], list[str]]) -> None:
    """A sweep, an order and a kill against it: findings, alerts, permits, kill steps and the log hold no token."""
    from riskguard.services.kill import killswitch
    from riskguard.services.kill.killrun import KillRunner
    from riskguard.services.sweeps.sweeper import Sweeper

    desk.sweep()
    desk.quote("100")
    with pytest.raises(BrokerUnconfirmedError):
        desk.guard.place(desk.order(), Leaky().place)
    sweeper = Sweeper(desk.guard, "leader", Leaky(), alerts=desk.alerts)
    report = sweeper.sweep(now=True)
    assert report.failures
    killswitch.engage(desk.store, "leader", by="a test", reason="a test", clock=desk.clock)
    KillRunner(desk.guard, "leader", Leaky()).advance()

    said = repr(report) + repr(desk.alerts.said)
    assert "[redacted]" in said and found_in(said) == []
    assert written() == []


def test_a_refusal_that_is_spooled(desk: Desk, home: Path, written: Callable[[], list[str]]) -> None:
    """What the database could not take goes to a file, without a token a strategy carried into its order's name."""
    from tests.services.desk import locked

    impatient = desk.another_guard(50)
    with locked(desk.path):
        decision = impatient.check(desk.order(client_order_id=TOKEN[:64]))
    assert not decision.approved and not decision.recorded
    spooled = [path for each in desk.store.directories for path in (each / "spool").glob("*")]

    assert spooled and all(TOKEN[:40] not in path.read_text() for path in spooled)


def test_a_password_in_the_database_url() -> None:
    """No error, repr or log of a database that cannot be reached shows it."""
    url = f"postgresql://user:{PASSWORD}@127.0.0.1:9/none"
    with Database(url, deadline_ms=100) as database:
        with pytest.raises(Exception) as caught, database.reading():
            pass
        assert found_in(repr(database) + str(caught.value) + repr(caught.value)) == []


class Deaf:
    """Hears the stream and keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return lambda *what: self.told.append(f"{name} {what!r}")


def _logged_in(server: Any) -> str:
    """Log in to the order stream, rightly and with a token that is dead; returns all that was told and shown."""
    from pydantic import SecretStr

    from riskguard.clock import SystemClock
    from riskguard.feeds.order_updates import Login, OrderUpdates, Timing

    shown = []
    for version, token in enumerate((OPAQUE, TOKEN)):
        deaf, login = Deaf(), Login("1100099001", SecretStr(token), version)
        stream = OrderUpdates(
            "leader", lambda login=login: login, deaf, SystemClock(), url=server.stream_url, timing=Timing(back_off_s=0.05)
        )  # fmt: skip
        stream.start()
        end = time.monotonic() + 20
        while not deaf.told and time.monotonic() < end:
            time.sleep(0.01)
        stream.stop()
        assert deaf.told
        shown += [repr(login), repr(stream), *deaf.told]
    return "".join(shown)


def test_an_account_at_dhan_through_every_door(
    desk: Desk, home: Path, written: Callable[[], list[str]], caplog: pytest.LogCaptureFixture
) -> None:
    """Adapter, the user's guarded client, the login of the order stream, sweep, kill, doctor and drill, in good and in bad."""
    from dhanhq import DhanContext, dhanhq

    from riskguard import GuardedDhan, admin
    from riskguard.brokers.dhan.sandbox import Sandbox, Scenario
    from riskguard.services import doctor
    from riskguard.services.drill.book import prepared
    from riskguard.services.drill.rehearsal import rehearse
    from riskguard.services.drill.stage import own_home
    from riskguard.services.kill.killrun import KillRunner
    from riskguard.services.wiring import broker_of, settings_of, sweeper_of

    sources.create_file()
    desk.sweep()
    with Sandbox(Scenario(token=OPAQUE, rate_limits=False)) as server:
        server.quote("NSE_EQ", "1333", ltp="100")
        for name, value in (
            ("riskguard.profile", "dhan"), ("riskguard.dhan_base_url", server.url), ("dhan.client_id.leader", "1100099001")
        ):  # fmt: skip
            desk.sql("INSERT OR REPLACE INTO config (key, value, updated_at) VALUES (?, ?, 1)", name, value)
        with Database(desk.url, clock=desk.clock) as database:
            set_token(database, "leader", OPAQUE)
        settings, _ = settings_of(desk.store)
        broker = broker_of(desk.guard, settings, "leader")
        assert broker is not None
        context = DhanContext("1100099001", OPAQUE)
        context.get_dhan_http().base_url = server.url
        guarded = GuardedDhan(dhanhq(context), desk.guard)
        said = [repr(broker), repr(vars(broker)), repr(guarded)]
        for how in ("good", "DH-901", "reset_after", "error_text"):
            if how != "good":
                server.break_next("*", how, 40)
            said.append(repr(guarded.place_order("1333", "NSE_EQ", "BUY", 1, "LIMIT", "INTRADAY", 90.0)))
            said.append(repr(sweeper_of(desk.guard, settings, "leader", alerts=desk.alerts).sweep(now=True)))
            said.append(repr(doctor.examine(lambda: type(desk.store)(desk.url), desk.clock.now_us())))
            server.mend()
        desk.kill()
        said.append(repr(KillRunner(desk.guard, "leader", broker, desk.alerts).advance()))
        said.append(_logged_in(server))
        with own_home() as directory:
            book, played = prepared(desk.url, None, None, directory)
            found = rehearse(book, directory, plan="cancel", release=admin.release, source="book", scenario=played)
            said += [repr(found.as_document()), repr(book)]
            assert found_under(directory) == []
        assert server.counted("GET /killswitch") and server.counted("POST /orders") and server.counted("GET /positions")

    assert found_in("".join(said) + repr(desk.alerts.said)) == []
    assert written() == []


# -- the command -------------------------------------------------------------------------------------------------------


def doors(at: Shell) -> list[Answer]:
    """Run every command a secret can come near; give it secrets in every place, right and wrong."""
    url = f"postgresql://user:{PASSWORD}@127.0.0.1:9/none"
    answers = [
        at("token", "set", "leader", stdin=TOKEN.encode()),
        at("token", "set", "leader", "--json", stdin=OPAQUE.encode()),
        at("token", "set", "leader", stdin=f"{HEADER}: {OPAQUE}".encode()),
        at("token", "set", "leader", stdin=f"{OPAQUE} {OPAQUE}".encode()),
        at("token", "set", "leader", TOKEN),
        at("token", "set", "leader", "--token", OPAQUE),
        at("token", "set", "nobody", stdin=OPAQUE.encode()),
        at("token", "set", "leader", stdin=jwt(exp=1, canary="jwt-canary").encode()),
        at("token", "status", TOKEN),
        at("no-such-command", TOKEN),
    ]
    for words in (
        ("status",),
        ("limits", "show"),
        ("sweep", "--once"),
        ("violations",),
        ("edis", "status"),
        ("db", "check"),
    ):
        answers += [
            at(*words, "--json"),
            at(*words, "--db", url, "--json"),
        ]
    for words in (
        ("token", "status"),
        ("secrets", "status"),
        ("secrets", "rotate", "--dry-run"),
        ("secrets", "rotate"),
    ):
        answers += [at(*words), at(*words, "--json"), at(*words, "--db", url, RISKGUARD_DEBUG="1")]
    return answers


def test_the_command_shows_no_secret(shell: Shell) -> None:  # noqa: F811
    """Standard output, standard error and every file of the directory, after each command saw every secret."""
    assert shell("secrets", "init").status == 0
    answers = doors(shell)

    assert [answer.status for answer in answers[:2]] == [0, 0]
    for answer in answers:
        assert found_in(answer.out + answer.err) == [], answer
    assert found_under(shell.directory, but=(".stdin", "secrets.key")) == []


def test_a_daemon_at_work_logs_no_secret(shell: Shell) -> None:  # noqa: F811
    """`riskguard run --json` beside a token that is about to end: it warns, and the log holds no part of it."""
    assert shell("secrets", "init").status == 0
    ending = jwt(exp=int(time.time()) + 600, canary="jwt-canary")
    assert shell("token", "set", "leader", stdin=ending.encode()).status == 0
    process = shell.start("run", "--json")
    assert process.stderr is not None
    patience = threading.Timer(60, process.kill)
    patience.start()
    lines: list[str] = []
    for line in process.stderr:
        lines.append(line)
        if "expires in" in line:
            break
    process.terminate()
    out, err = process.communicate(timeout=60)
    patience.cancel()

    said = "".join(lines) + out + err
    assert "expires in" in said and found_in(said, (ending, ending[20:80])) == []


def test_an_upgrade_of_a_file_with_plaintext(empty: Shell) -> None:  # noqa: F811
    """Tables, quarantine, unknown tables and columns: no byte of the new file, the report or the log holds one."""
    assert empty("secrets", "init").status == 0
    with closing(v3_files.build(empty.database, 3)) as connection:
        v3_files.fill(connection, 5)
        with connection:
            connection.execute("DELETE FROM auth_tokens")
            for number, active in enumerate((0, 1, 1)):
                connection.execute(
                    "INSERT INTO auth_tokens (account_type, access_token, refresh_token, is_active, created_at, updated_at) "
                    "VALUES ('leader', ?, ?, ?, ?, 1)",
                    (TOKEN if number else OPAQUE, REFRESH, active, number),
                )
            connection.execute(
                "INSERT INTO edis_transactions (account_type, isin, qty, exchange, segment, tpin, status, created_at, updated_at) "
                "VALUES ('leader', 'INE1', -5, 'NSE', 'EQ', ?, 'PENDING', 1, 1)",
                (OPAQUE,),  # a quantity the new table refuses: the row goes into the quarantine
            )
            connection.execute(
                "INSERT INTO postback_configs (account_type, webhook_url, webhook_secret, created_at, updated_at) "
                "VALUES ('leader', 'https://a.example', ?, 1, 1)",
                (HOOK,),
            )
            connection.execute("INSERT INTO config VALUES ('bot', ?, 'string', '', '', 1, 1)", (SETTING,))
            connection.execute("CREATE TABLE logins (user TEXT, password TEXT, seen TEXT)")
            connection.execute("INSERT INTO logins VALUES ('a', ?, ?)", (PASSWORD, f"with {TOKEN}"))
            connection.execute("ALTER TABLE postback_configs ADD COLUMN old_secret TEXT")
            connection.execute("UPDATE postback_configs SET old_secret = ?", (HOOK,))

    done = empty("db", "upgrade", "--position-size-unit", "inr", RISKGUARD_DEBUG="1")

    assert done.status == 0, done.err
    assert found_in(done.out + done.err) == []
    assert found_under(empty.directory, but=("backup", "secrets.key", ".stdin")) == []
    assert empty.rows("SELECT count(*) FROM quarantine WHERE raw LIKE '%rg1:%'")[0][0] >= 3
    (backup,) = empty.directory.glob("*backup*")
    assert len(found_in(backup.read_bytes())) > 5, "the backup is the original, and says so"
    assert "in clear, keep it safe" in done.out
    assert empty("secrets", "rotate").status == 0
    assert found_under(empty.directory, but=("backup", "secrets.key", ".stdin")) == []


def test_an_internal_error_shows_no_secret(home: Path) -> None:
    """What nobody foresaw: its one line, and with RISKGUARD_DEBUG its traceback, are redacted too."""
    code = f"""
import sys
from riskguard.cli import account, main
sys.argv = ["riskguard", "status"]
import riskguard.services.overview as overview
def broken(*_a, **_k):
    raise KeyError("{HEADER}: {OPAQUE} and {TOKEN} at postgresql://u:{PASSWORD}@h/d")
overview.status = broken
main.main()
"""
    for more in ({}, {"RISKGUARD_DEBUG": "1"}):
        env = {**os.environ, **more, "RISKGUARD_DB": str(home / "none.db")}
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, env=env, timeout=60, check=False
        )
        said = done.stdout + done.stderr
        assert done.returncode == 1 and found_in(said) == []
        assert ("Traceback" in said) == bool(more)
