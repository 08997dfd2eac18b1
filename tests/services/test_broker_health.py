"""Goal: what the doctor says of an account at Dhan is what the server says, in good and in bad states; unknown is never ok."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from riskguard.services import doctor
from riskguard.services.broker_health import broker_account
from riskguard.services.finding import Finding
from riskguard.services.kill.options import PREFIX
from riskguard.services.setup import initialise
from riskguard.services.tokens import set_token
from riskguard.store.database import Database
from riskguard.store.secrets import keys
from tests.core.tables import Row, table
from tests.dhan_server import World
from tests.services.desk import START, Clock, Desk, rulebook
from tests.store.secret_desk import jwt

CLIENT = "1100099001"
TOKEN = jwt(exp=START // 1_000_000 + 80_000, dhanClientId=CLIENT)
SUBJECTS = ("token", "clock", "address", "segments", "switch", "backstop")


class Account(Desk):
    """A desk whose broker is the local Dhan server."""

    world: World


@pytest.fixture
def make(tmp_path: Path, home: Path) -> Iterator[Callable[..., Account]]:
    """Make a database of profile `dhan` aimed at a server, with a token unless told otherwise."""
    with contextlib.ExitStack() as stack:

        def account(*, token: str = TOKEN, **scenario: Any) -> Account:
            world = stack.enter_context(World(**{"token": TOKEN, "token_life_s": 80_000, **scenario}))
            world.clock.us = START
            world.server.desk.token_until_us = world.server.desk._life()
            (tmp_path / "book.toml").write_text(rulebook())
            path, clock = tmp_path / "risk.db", Clock()
            initialise(
                f"sqlite:///{path}", profile="dhan", rulebook=str(tmp_path / "book.toml"), clock=clock,
                client_id=CLIENT, base_url=world.server.url,
            )  # fmt: skip
            if token:
                keys.create_file()
                with Database(f"sqlite:///{path}", clock=clock) as database:
                    set_token(database, "leader", token)
            made = Account(path, clock)
            made.world = world
            stack.callback(made.close)
            return made

        yield account


def said(found: list[Finding]) -> dict[str, str]:
    return {each.subject.partition(" ")[0]: each.status for each in found}


STATES = table("""
    state            subject    status
    good             token      ok
    good             clock      ok
    good             address    ok
    good             segments   ok
    good             switch     ok
    good             backstop   ok
    ends_soon        token      warn
    lasts            token      ok
    dead_token       token      fail
    dead_token       broker     warn
    no_token         broker     warn
    fast_4s          clock      fail
    slow_4s          clock      fail
    fast_1s          clock      ok
    slow_1s          clock      ok
    address          address    fail
    nobody_says      address    warn
    segment          segments   fail
    other_segment    segments   ok
    switch_on        switch     warn
    switch_unread    broker     warn
    not_armed        backstop   warn
    armed_elsewhere  backstop   warn
    armed            backstop   ok
    unreachable      broker     warn
""")


def bring_about(desk: Account, state: str) -> None:
    server, seconds = desk.world.server, 1_000_000
    if state == "ends_soon":
        server.desk.token_until_us = START + 7_000 * seconds
    elif state == "lasts":
        server.desk.token_until_us = START + 7_300 * seconds
    elif state == "dead_token":
        server.expire_token()
    elif state.startswith(("fast", "slow")):
        away = int(state[5:-1]) * seconds
        desk.world.clock.us += -away if state.startswith("fast") else away
    elif state in ("segment", "other_segment"):
        segment = "MCX_COMM" if state == "segment" else "NSE_EQ"
        desk.sql(
            "INSERT INTO day_books (account, session_date, exchange_segment, security_id, product, start_quantity) "
            "VALUES ('leader', '2025-06-02', ?, '1', 'MARGIN', 1)",
            segment,
        )
    elif state == "switch_on":
        server.desk.kill_on = True
    elif state == "nobody_says":
        server.break_next("GET /ip/getIP", "error_list", 9)
    elif state == "switch_unread":
        server.break_next("GET /killswitch", "unknown_status", 9)
    elif state in ("not_armed", "armed_elsewhere", "armed"):
        desk.sql("INSERT OR REPLACE INTO config (key, value, updated_at) VALUES (?, '110', 1)", f"{PREFIX}backstop_pct")
        if state != "not_armed":
            desk.world.broker.arm_backstop(55_000_000, ("INTRADAY",))
        if state == "armed":
            desk.sql(
                "INSERT INTO backstops (account, session_date, state, loss_e4, products, detail, at_us) "
                "VALUES ('leader', '2025-06-02', 'ARMED', 55000000, 'INTRADAY', '', ?)",
                START,
            )
    elif state == "unreachable":
        server.stop()


@pytest.mark.parametrize("row", STATES, ids=str)
def test_each_state_of_the_broker_is_told(make: Callable[..., Account], row: Row) -> None:
    """Both sides of each: what is well is ok, what is wrong fails, what could not be asked warns."""
    scenario: dict[str, Any] = {"ip_registered": False} if row.state == "address" else {}
    if row.state in ("segment", "other_segment"):
        scenario["segments"] = "E, "
    desk = make(token="" if row.state == "no_token" else TOKEN, **scenario)
    bring_about(desk, row.state)

    found = said(list(broker_account(desk.store, START)))

    assert found[row.subject] == row.status, found
    if row.state == "unreachable":
        assert set(found) == {"broker"}, "what was not asked is not ok"


def test_the_whole_report_asks_once_and_writes_nothing(make: Callable[..., Account]) -> None:
    """Five or six reads, no write at the broker, no count in the database; and a paper account is not asked at all."""
    desk = make()

    found = doctor.examine(lambda: type(desk.store)(desk.url), START)

    assert {name for name in SUBJECTS} <= set(said(found))
    names = [name for name, _ in desk.world.server.calls]
    assert len(names) == len(set(names)) <= 6 and all(name.startswith("GET ") for name in names)
    assert desk.rows("SELECT count(*) FROM rate_limit_tracking") == [(0,)]


def test_other_profiles_are_asked_nothing(desk: Desk) -> None:
    """Nobody is there to ask."""
    assert list(broker_account(desk.store, START)) == []


def test_what_is_wrong_shows_no_token(make: Callable[..., Account]) -> None:
    """Neither the stored token nor what the server answered with it is in a finding."""
    desk = make()
    desk.world.server.expire_token()

    assert TOKEN not in repr(list(broker_account(desk.store, START)))
