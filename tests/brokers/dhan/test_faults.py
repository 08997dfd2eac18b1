"""
Goal: every endpoint with every way it can go wrong is classified rightly, by the real client against a real server.

`ok` came and is right; `refused` is certain, and nothing of it is at the server; `unknown` may have been done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from riskguard.brokers.dhan.sandbox.scenario import HOWS, OpeningHolding, Voucher
from riskguard.errors import BrokerRefusedError, BrokerUnavailableError, BrokerUnconfirmedError
from tests.dhan_server import HASTY, ONCE, World

SLOW = ("slow", "trickle")
NEVER = 60.0  # seconds: no hasty call waits for it

# how it goes wrong        a read     a placement  a cancellation  a switch
TABLE = """
slow                       unknown    unknown      ok              unknown
trickle                    unknown    unknown      ok              unknown
reset_before               unknown    unknown      unknown         unknown
reset_after                unknown    unknown      ok              unknown
close_after                unknown    unknown      ok              unknown
truncated                  unknown    unknown      ok              unknown
html                       unknown    unknown      unknown         unknown
html_502                   unknown    unknown      ok              unknown
empty                      unknown    unknown      ok              ok
empty_before               unknown    unknown      ok              ok
error_inside               refused    unknown      refused         refused
error_list                 refused    unknown      refused         refused
error_text                 refused    refused      refused         refused
redirect                   unknown    unknown      unknown         unknown
blank_data                 unknown    unknown      ok              ok
server_error               unknown    unknown      unknown         unknown
server_error_after         unknown    unknown      ok              unknown
unreachable                unknown    unknown      unknown         unknown
gateway_404                refused    refused      refused         refused
DH-901                     refused    refused      refused         refused
DH-902                     refused    refused      refused         refused
DH-903                     refused    refused      refused         refused
DH-904                     refused    refused      refused         refused
DH-905                     refused    refused      refused         refused
DH-906                     refused    refused      refused         refused
DH-907                     refused    refused      refused         refused
DH-910                     unknown    unknown      unknown         unknown
DH-911                     refused    refused      refused         refused
DH-1111                    unknown    unknown      unknown         unknown
"""
ROWS = {line.split()[0]: line.split()[1:] for line in TABLE.strip().splitlines()}
BENT = {"duplicate", "unknown_status", "nan", "text_numbers", "missing_rows"}
"""These change what a good list says; `test_lists.py` has them."""

READS: dict[str, tuple[str, Callable[[World], Any]]] = {
    "orders": ("GET /orders", lambda world: world.broker.orders()),
    "super orders": ("GET /super/orders", lambda world: world.broker.orders()),
    "forever orders": ("GET /forever/orders", lambda world: world.broker.orders()),
    "alerts": ("GET /alerts/orders", lambda world: world.broker.orders()),
    "positions": ("GET /positions", lambda world: world.broker.positions()),
    "trades": ("GET /trades", lambda world: world.broker.trades()),
    "funds": ("GET /fundlimit", lambda world: world.broker.funds()),
    "holdings": ("GET /holdings", lambda world: world.broker.holdings()),
    "ledger": ("GET /ledger", lambda world: world.broker.ledger("2026-09-01", "2026-09-30")),
    "profile": ("GET /profile", lambda world: world.broker.profile()),
    "margin": ("POST /margincalculator", lambda world: world.broker.margin([world.order("BUY 1 LIMIT 100 -")])),
    "margins": ("POST /margincalculator/multi", lambda world: world.broker.margin([world.order("BUY 1 LIMIT 100 -")] * 2)),
    "is_locked": ("GET /killswitch", lambda world: world.broker.is_locked()),
}  # fmt: skip
SWITCHES: dict[str, tuple[str, Callable[[World], Any]]] = {
    "lock": ("POST /killswitch", lambda world: world.broker.lock()),
    "unlock": ("POST /killswitch", lambda world: world.broker.unlock()),
    "exit_all": ("DELETE /positions", lambda world: world.broker.exit_all()),
    "disarm": ("DELETE /pnlExit", lambda world: world.broker.disarm_backstop()),
}


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """One server for the table; each row breaks what it needs and mends it."""
    held = (OpeningHolding("1333", "INE040A01034", 5, "1500"),)
    with World(ONCE, holdings=held, ledger=(Voucher("2026-09-04", "FUNDS RECEIVED", "V1", credit="10.00"),)) as made:
        yield made


@pytest.fixture(scope="module")
def flat() -> Iterator[World]:
    """An account on which every switch works: nothing is held and nothing rests."""
    with World(ONCE) as made:
        yield made


@contextmanager
def broken(world: World, endpoint: str, how: str, times: int = 1) -> Iterator[None]:
    """Break an endpoint, and look with little patience where nothing will ever come."""
    patient = world.broker
    world.server.break_next(endpoint, how, times=times, seconds=NEVER)
    if how in SLOW:
        world.broker = world.broker_with(HASTY)
    try:
        yield
    finally:
        world.server.mend()
        world.broker = patient


def outcome(call: Callable[[], Any]) -> str:
    try:
        call()
    except BrokerRefusedError:
        return "refused"
    except BrokerUnconfirmedError:
        return "unknown"
    except BrokerUnavailableError:
        return "unavailable"
    return "ok"


def tags(world: World) -> set[str]:
    return {each.correlation_id for each in world.broker.orders()}


def test_every_fault_of_the_server_has_a_row() -> None:
    """A fault that the server learns and this table does not is a hole."""
    assert set(ROWS) | BENT == HOWS


# A slow answer is slow alike everywhere: three endpoints stand for all, and save a minute.
READ_CASES = [
    (name, how) for name in READS for how in ROWS
    if how not in SLOW or name in ("orders", "positions", "margin")
]  # fmt: skip
SWITCH_CASES = [
    (name, how) for name in SWITCHES for how in ROWS if how not in SLOW or name == "exit_all"
]  # fmt: skip


@pytest.mark.parametrize(("name", "how"), READ_CASES)
def test_a_read_that_goes_wrong_is_never_empty(world: World, name: str, how: str) -> None:
    """Only "none" is none: every broken answer raises."""
    endpoint, call = READS[name]
    expected = "ok" if (name, how) == ("holdings", "DH-1111") else ROWS[how][0]
    with broken(world, endpoint, how):
        assert outcome(lambda: call(world)) == expected


@pytest.mark.parametrize("name", READS)
def test_a_read_without_a_fault_answers(world: World, name: str) -> None:
    """The control: what the table breaks works when nothing is broken."""
    assert outcome(lambda: READS[name][1](world)) == "ok"


@pytest.mark.parametrize("how", ROWS)
def test_a_placement_that_goes_wrong_is_sent_once_and_judged_rightly(world: World, how: str) -> None:
    """Refused: nothing rests at the server. Unknown: it may. One request left, whatever happened."""
    before = world.server.counted("POST /orders")
    approved = world.approved("BUY 1 LIMIT 10 -")

    with broken(world, "POST /orders", how):
        assert outcome(lambda: world.broker.place(approved)) == ROWS[how][1]

    assert world.server.counted("POST /orders") == before + 1
    assert approved.begun == 1
    if ROWS[how][1] == "refused":
        assert approved.correlation_id not in tags(world)


@pytest.mark.parametrize("how", ["reset_after", "server_error_after", "html_502", "truncated", "close_after", "empty"])
def test_an_unknown_placement_did_act(world: World, how: str) -> None:
    """The control of the table: these faults leave an order behind, so "refused" would have been a lie."""
    approved = world.approved("BUY 1 LIMIT 10 -")

    with broken(world, "POST /orders", how):
        assert outcome(lambda: world.broker.place(approved)) == "unknown"
    assert approved.correlation_id in tags(world)


@pytest.mark.parametrize("how", ROWS)
def test_a_cancellation_is_done_when_the_book_says_so(world: World, how: str) -> None:
    """What it answers does not count, only what can be read back; what may still rest is never called cancelled."""
    order_id = world.place("BUY 1 LIMIT 10 -")

    with broken(world, "DELETE /orders/{id}", how, times=9):
        assert outcome(lambda: world.broker.cancel(order_id)) == ROWS[how][2]

    seen = world.seen(order_id)
    if ROWS[how][2] != "ok":
        assert seen.is_live
    elif how != "empty_before":  # it says taken and did nothing: guarantee 3 is why the kill reads back
        assert not seen.is_live


@pytest.mark.parametrize("how", ["reset_before", "html", "server_error", "unreachable"])
def test_a_cancellation_that_was_lost_once_is_repeated(world: World, how: str) -> None:
    """Read back, it still rests: the second request takes it out."""
    order_id = world.place("BUY 1 LIMIT 10 -")

    with broken(world, "DELETE /orders/{id}", how):
        world.broker.cancel(order_id)

    assert world.seen(order_id).status == "CANCELLED"


@pytest.mark.parametrize(("name", "how"), SWITCH_CASES)
def test_a_switch_that_goes_wrong_is_sent_once(flat: World, name: str, how: str) -> None:
    """Nothing is repeated by itself, and an error inside a success is a refusal."""
    endpoint, call = SWITCHES[name]
    before = flat.server.counted(endpoint)

    with broken(flat, endpoint, how):
        assert outcome(lambda: call(flat)) == ROWS[how][3]

    assert flat.server.counted(endpoint) == before + 1


def test_nobody_listens() -> None:
    """A refused connection never left: the one outcome after which a placement may be sent again at once."""
    gone = World(ONCE)
    gone.server.stop()

    assert outcome(gone.place) == "unavailable"
    assert outcome(gone.broker.positions) == "unavailable"
    assert outcome(lambda: gone.broker.cancel("1")) == "unavailable"
