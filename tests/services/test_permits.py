"""
From permission to wire: SENT is on disk before the order leaves, once at most, and a kill in between wins.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

from riskguard.brokers.paper import PaperSettings
from riskguard.core.decide import decide as core_decide
from riskguard.core.reject import RejectCode
from riskguard.errors import (
    BrokerRefusedError,
    BrokerUnavailableError,
    BrokerUnconfirmedError,
    PermitNotSendableError,
)
from riskguard.services.kill import latch
from riskguard.services.orders import guard as guard_module
from riskguard.services.orders import sending
from riskguard.services.orders.permits import Permit
from riskguard.store.engines import sqlite as lite
from tests.core.tables import Row, table
from tests.services.desk import ACCOUNT, SECOND, Desk, eventually, rulebook

PATIENCE_S = 60


def granted(desk: Desk, **changes: Any) -> Permit:
    """An approved order's permit."""
    decision = desk.guard.check(desk.order(**changes))
    assert decision.approved, decision.explain()
    assert isinstance(decision.permit, Permit)
    return decision.permit


def reduce_only(desk: Desk) -> None:
    desk.sql(
        "INSERT INTO state_causes (account, scope, state, code, detail, by_whom, is_soft, raised_at_us) "
        "VALUES ('leader', 'ACCOUNT:leader', 'REDUCE_ONLY', 'TEST', '', 'test', 1, ?)",
        desk.clock.now_us(),
    )


# -- sending --------------------------------------------------------------------------------------------------------


def test_sent_is_on_disk_before_the_block_begins(desk: Desk) -> None:
    """Another program reads the mark while the order has not left yet, and the message is counted."""
    permit = granted(desk)
    assert desk.rows("SELECT count(*) FROM order_messages") == [(0,)]
    with permit.sending() as wire:
        assert desk.rows("SELECT state, sent_at_us FROM permits") == [("SENT", desk.clock.now_us())]
        assert desk.rows("SELECT kind, client_order_id FROM order_messages") == [("NEW", "o-1")]
        wire.order_id = "B1"

    assert desk.rows("SELECT state, order_id FROM permits") == [("ACKED", "B1")]


@pytest.mark.sqlite_only("asks SQLite how it syncs")
def test_the_mark_is_synced(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """It waits for the disk; an approval does not, because it was never sent, and the answer can be asked for."""
    synced: list[int] = []
    plain = lite.sync
    monkeypatch.setattr(lite, "sync", lambda log: (synced.append(log), plain(log)))
    permit = granted(desk)
    assert not synced
    with permit.sending() as wire:
        assert len(synced) == 1
        wire.order_id = "B1"
    assert len(synced) == 1


OUTCOMES = table("""
    leaving                         raised  state
    an order id                     no      ACKED
    no order id                     no      UNKNOWN
    an empty order id               no      UNKNOWN
    an order id that is no text     no      UNKNOWN
    refused                         yes     REFUSED
    never left                      yes     REFUSED
    never left, after it had begun  yes     UNKNOWN
    no answer                       yes     UNKNOWN
    a broken adapter                yes     UNKNOWN
    interrupted                     yes     UNKNOWN
    asked to exit                   yes     UNKNOWN
    closed as a generator           yes     UNKNOWN
""")

RAISED: dict[str, BaseException] = {
    "refused": BrokerRefusedError("no margin"),
    "never left": BrokerUnavailableError("no route"),
    "never left, after it had begun": BrokerUnavailableError("no route"),
    "no answer": BrokerUnconfirmedError("late"),
    "a broken adapter": ZeroDivisionError("x"),
    "interrupted": KeyboardInterrupt(),
    "asked to exit": SystemExit(1),
    "closed as a generator": GeneratorExit(),
}


@pytest.mark.parametrize("row", OUTCOMES, ids=str)
def test_how_the_block_is_left_says_what_the_broker_did(desk: Desk, row: Row) -> None:
    """Only an id acknowledges and only a refusal refuses; everything else is unknown and stays reserved."""
    permit = granted(desk)

    def send() -> None:
        with permit.sending() as wire:
            if "begun" in row.leaving:
                permit.approved_order.begin()
            if row.leaving in RAISED:
                raise RAISED[row.leaving]
            wire.order_id = {"an order id": "B1", "no order id": None, "an empty order id": ""}.get(row.leaving, 7)  # type: ignore[assignment]

    if row.has("raised"):
        with pytest.raises(type(RAISED[row.leaving])):
            send()
    else:
        send()

    assert desk.permit("o-1") == row.state == permit.state
    is_reserved = desk.rows("SELECT count(*) FROM permits WHERE state IN ('GRANTED', 'SENT', 'ACKED', 'UNKNOWN')")
    assert is_reserved == [(0 if row.state == "REFUSED" else 1,)]


@pytest.mark.parametrize("how", ["ack", "refuse", "unknown"])
def test_it_is_sent_once_at_most_whatever_came_of_it(desk: Desk, how: str) -> None:
    """A second time, by the same permit, a new permit of the same id, another process, or a thread beside."""
    order = desk.order()
    permit = desk.guard.check(order).permit
    assert permit is not None
    with pytest.raises(BrokerRefusedError) if how == "refuse" else _nothing(), permit.sending() as wire:
        if how == "refuse":
            raise BrokerRefusedError("no")
        wire.order_id = "B1" if how == "ack" else None
    with pytest.raises(PermitNotSendableError), permit.sending():
        raise AssertionError("sent twice")
    again = desk.another_guard().check(order)

    assert not again.approved and again.permit is None
    assert again.rejects[0].code is RejectCode.PERMIT_VOID
    assert desk.rows("SELECT count(*) FROM order_messages") == [(1,)]


def _nothing() -> Any:
    import contextlib

    return contextlib.nullcontext()


def test_eight_threads_with_the_same_permit_send_it_once(desk: Desk) -> None:
    """Whoever marks it first sends it."""
    order = desk.order()
    guards = [desk.guard, desk.another_guard()]
    found = [guards[number % 2].check(order).permit for number in range(8)]
    sent: list[int] = []

    def send(number: int) -> None:
        try:
            with found[number].sending() as wire:  # type: ignore[union-attr]
                sent.append(number)
                wire.order_id = "B1"
        except PermitNotSendableError:
            pass

    threads = [threading.Thread(target=send, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(sent) == 1
    assert desk.rows("SELECT count(*) FROM order_messages") == [(1,)]


def test_an_order_in_doubt_blocks_its_instrument_after_five_seconds(desk: Desk) -> None:
    """SENT without an answer: at 5 s another order of the instrument still passes, after it none but one exit."""
    with granted(desk).sending():
        pass
    desk.clock.advance(5)
    assert desk.guard.check(desk.order()).approved
    desk.clock.advance(0.000001)
    refused = desk.guard.check(desk.order())

    assert [each.code for each in refused.rejects] == [RejectCode.UNCONFIRMED_IN_FLIGHT]
    assert desk.guard.check(desk.order(security_id="2885")).approved


def test_place_is_all_of_it_in_one_call(desk: Desk) -> None:
    """A refusal is returned and nothing is placed; what the broker raises is raised, after it is recorded."""
    desk.quote("100")
    assert desk.guard.place(desk.order(), desk.broker.place).approved
    assert not desk.guard.place(desk.order(quantity=2_000_000), desk.broker.place).approved
    desk.broker.behave("place", "refuse", 1)
    with pytest.raises(BrokerRefusedError):
        desk.guard.place(desk.order(), desk.broker.place)

    assert len(desk.broker.orders()) == 1
    assert [desk.permit("o-1"), desk.permit("o-3")] == ["ACKED", "REFUSED"]


def test_an_answer_that_cannot_be_written_is_only_doubt(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The order is out: a locked database may not raise at its sender, and the permit stays reserved."""
    from riskguard.services.orders import sending

    monkeypatch.setattr(sending, "ANSWER_WAIT_S", 0.02)
    permit = granted(desk)
    desk.quote("100")
    with permit.sending() as wire:
        wire.order_id = desk.broker.place(permit.approved_order)
        lock = desk.locked()
        lock.__enter__()
    lock.__exit__(None, None, None)
    assert desk.permit("o-1") == "SENT"
    desk.sweep()

    assert desk.permit("o-1") == "FILLED"


def test_the_answer_that_comes_after_the_fill_changes_nothing(desk: Desk) -> None:
    """A feed was faster than the broker's reply: what it proved stands."""
    permit = granted(desk)
    desk.quote("100")
    with permit.sending() as wire:
        order_id = desk.broker.place(permit.approved_order)
        desk.sweep()
        wire.order_id = order_id

    assert desk.permit("o-1") == "FILLED"


# -- begin() --------------------------------------------------------------------------------------------------------

BEGIN = table("""
    after_ms  begins
    0         yes
    200       yes
    251       no
    60000     no
""")


@pytest.mark.parametrize("row", BEGIN, ids=str)
def test_the_request_leaves_within_250_ms_of_its_mark(desk: Desk, row: Row) -> None:
    """Later, a kill may already have looked and gone on. The wait is the machine's clock, not the wall's."""
    permit = granted(desk)
    desk.quote("100")
    with pytest.raises(PermitNotSendableError, match="250 ms") if not row.has("begins") else _nothing():  # noqa: SIM117
        with permit.sending() as wire:
            desk.clock.skipped_us += row.number("after_ms") * 1000
            wire.order_id = desk.broker.place(permit.approved_order)

    assert len(desk.broker.orders()) == (1 if row.has("begins") else 0)
    assert desk.permit("o-1") == ("ACKED" if row.has("begins") else "UNKNOWN")


def test_nothing_reaches_the_broker_outside_sending(desk: Desk) -> None:
    """Not marked, marked and done, or begun before: the adapter's gate says no, and no order rests there."""
    permit = granted(desk)
    with pytest.raises(PermitNotSendableError, match="inside"):
        desk.broker.place(permit.approved_order)
    with permit.sending() as wire:
        wire.order_id = desk.broker.place(permit.approved_order)
        with pytest.raises(PermitNotSendableError, match="left already"):
            desk.broker.place(permit.approved_order)
    with pytest.raises(PermitNotSendableError):
        desk.broker.place(permit.approved_order)

    assert len(desk.broker.orders()) == 1


def test_a_refused_order_has_nothing_to_send(desk: Desk) -> None:
    decision = desk.guard.check(desk.order(quantity=2_000_000))

    assert decision.permit is None
    with pytest.raises(PermitNotSendableError, match="refused"):
        _ = decision.approved_order


def test_the_broker_is_told_a_name_of_the_order_and_nothing_else(desk: Desk) -> None:
    """`rg` and 20 base32 characters of SHA-256 over account and id: the same for ever, another for every order."""
    import base64
    import hashlib

    permit = granted(desk, client_order_id="a1")
    digest = hashlib.sha256(b"leader\x00a1").digest()

    assert permit.approved_order.correlation_id == "rg" + base64.b32encode(digest).decode()[:20]
    assert len(permit.approved_order.correlation_id) == 22
    assert granted(desk, client_order_id="a2").approved_order.correlation_id != permit.approved_order.correlation_id


# -- expiry ---------------------------------------------------------------------------------------------------------

EXPIRY = table("""
    after_s    sent  room
    0          yes   no
    9.999999   yes   no
    10         no    yes
    11         no    yes
""")


@pytest.mark.parametrize("row", EXPIRY, ids=str)
def test_a_permit_nobody_sends_is_gone_after_10_s(make_desk: Callable[..., Desk], row: Row) -> None:
    """At 10 s it cannot be sent any more, and its reservation is free for another order."""
    desk = make_desk(text=rulebook(net_position='check = "net_position"\nposition_max = "10"\nunit = "units"'))
    desk.sweep()
    permit = granted(desk)
    desk.clock.advance(float(row.after_s))
    assert desk.another_guard().check(desk.order()).approved == row.has("room")
    if row.has("sent"):
        with permit.sending() as wire:
            wire.order_id = "B1"
    else:
        with pytest.raises(PermitNotSendableError, match=r"EXPIRED|expired"), permit.sending():
            raise AssertionError("sent after it expired")
        assert desk.permit("o-1") == "EXPIRED"


@pytest.mark.parametrize("state", ["SENT", "UNKNOWN", "ACKED"])
def test_age_frees_nothing_that_was_sent(desk: Desk, state: str) -> None:
    """Only the broker's evidence or the day's end moves it: an hour later it is still reserved."""
    permit = granted(desk)
    desk.sql("UPDATE permits SET state = ?, sent_at_us = granted_at_us", state)
    desk.clock.advance(3600)
    desk.sweeper.broker = None  # nobody looks at the broker: no evidence
    desk.sweeper.sweep()
    desk.guard.check(desk.order(security_id="2885"))

    assert desk.permit(permit.row.client_order_id) == state


# -- the state between check and send -----------------------------------------------------------------------------

CLASSES = table("""
    held  side  quantity  direction   reduce_only
    0     BUY   10        INCREASING  VOID
    10    BUY   10        INCREASING  VOID
    10    SELL  10        REDUCING    sent
    10    SELL  4         REDUCING    sent
    10    SELL  11        FLIP        VOID
    -10   BUY   10        REDUCING    sent
    -10   SELL  1         INCREASING  VOID
""")


@pytest.mark.parametrize("row", CLASSES, ids=str)
def test_a_kill_between_check_and_send_wins(desk: Desk, row: Row) -> None:
    """All become VOID, an exit too: nobody stands behind it, so it cannot be sent, and it holds no room."""
    if row.number("held"):
        desk.hold(row.number("held"))
    permit = granted(desk, side=row.side, quantity=row.number("quantity"))
    assert permit.row.direction == row.direction
    desk.kill()
    with pytest.raises(PermitNotSendableError), permit.sending():
        raise AssertionError("sent after the kill")

    assert desk.permit(permit.row.client_order_id) == "VOID"
    assert all(order.correlation_id != permit.row.correlation_id for order in desk.broker.orders())


KILL_OF_ALL = "UPDATE traders_control SET kill_switch_status = 'ACTIVE' WHERE account_type = 'GLOBAL' AND is_active = 1"


def approved_while_all_is_killed(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Permit:
    """
    A permit whose check was deciding when another program killed everything by plain SQL.

    No check locks the GLOBAL head: on a server the kill commits under it. A file has one lock, and the kill has to wait
    for it until the check's own commit. Either way the check approves.
    """
    killing = threading.Thread(target=desk.sql, args=(KILL_OF_ALL,))
    committed: list[bool] = []

    def decide(*values: Any) -> Any:
        decision = core_decide(*values)
        if not committed:
            killing.start()
            killing.join(PATIENCE_S if desk.store.dialect == "postgresql" else 0.05)
            committed.append(not killing.is_alive())
        return decision

    monkeypatch.setattr(guard_module, "decide", decide)
    permit = granted(desk)
    killing.join(PATIENCE_S)
    assert committed == [desk.store.dialect == "postgresql"] and not killing.is_alive()
    return permit


def test_a_kill_of_all_by_sql_that_a_check_misses_is_caught_when_it_is_sent(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    """The approval stood before the kill was seen; its order never reaches the broker, and no check is approved after."""
    permit = approved_while_all_is_killed(desk, monkeypatch)
    with pytest.raises(PermitNotSendableError), permit.sending():
        raise AssertionError("sent after the kill")

    assert desk.permit(permit.row.client_order_id) in ("GRANTED", "VOID")
    assert desk.broker.orders() == ()
    assert not desk.guard.check(desk.order()).approved


def test_the_control_without_the_look_at_sent_that_order_goes_out(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same race with nothing asked before the wire: the order is at the broker after everything was killed."""
    permit = approved_while_all_is_killed(desk, monkeypatch)
    monkeypatch.setattr(sending, "_unsendable", lambda *_: "")
    monkeypatch.setattr(latch, "adopt_sql", lambda *_: False)  # which would take the permit's room back
    with permit.sending() as wire:
        wire.order_id = desk.broker.place(permit.approved_order)

    assert len(desk.broker.orders()) == 1


@pytest.mark.parametrize("row", CLASSES, ids=str)
def test_reduce_only_between_check_and_send_lets_exits_out(desk: Desk, row: Row) -> None:
    """The state is looked at again, for the class the order has."""
    if row.number("held"):
        desk.hold(row.number("held"))
    permit = granted(desk, side=row.side, quantity=row.number("quantity"))
    reduce_only(desk)
    if row.reduce_only == "sent":
        with permit.sending() as wire:
            wire.order_id = desk.broker.place(permit.approved_order)
    else:
        with pytest.raises(PermitNotSendableError, match=r"REDUCE_ONLY|VOID"), permit.sending():
            raise AssertionError("sent although only exits pass")


def test_the_sweeps_reduce_only_voids_what_adds_risk_and_nothing_else(desk: Desk) -> None:
    """At 80 % of the loss limit: a waiting buy is void, a waiting exit of the position stays."""
    desk.hold(10, "1000")
    adding, leaving = granted(desk, security_id="2885"), granted(desk, side="SELL", quantity=10)
    desk.quote("590")
    desk.sweeper.sweep(now=True)

    assert desk.one("SELECT state FROM state_causes WHERE cleared_at_us IS NULL") == "REDUCE_ONLY"
    assert desk.permit(adding.row.client_order_id) == "VOID"
    assert desk.permit(leaving.row.client_order_id) == "GRANTED"
    with leaving.sending() as wire:
        wire.order_id = desk.broker.place(leaving.approved_order)


def test_a_kill_leaves_what_was_sent_to_its_kill_run(desk: Desk) -> None:
    """SENT and UNKNOWN are never void: only the broker knows what became of them."""
    first, second = granted(desk), granted(desk)
    with second.sending():
        pass
    with first.sending() as wire:
        desk.kill()
        assert desk.permit("o-1") == "SENT"
        wire.order_id = "B1"

    assert [desk.permit("o-1"), desk.permit("o-2")] == ["ACKED", "UNKNOWN"]


def test_a_kill_pulled_by_the_block_itself_does_not_hang(desk: Desk) -> None:
    """No lock is held while the order is on the wire."""
    desk.quote("100")
    with granted(desk).sending() as wire:
        assert desk.kill().exit_status == 0
        wire.order_id = "B1"


def test_an_emergency_exit_needs_a_person_and_a_position(desk: Desk) -> None:
    """A halted account lets out what reduces and has a name behind it, also at the moment of sending."""
    desk.hold(10)
    desk.kill()
    assert not desk.guard.check(desk.order("SELL", 10)).approved
    assert not desk.guard.check(desk.order("BUY", 10), emergency_exit="asha").approved
    assert not desk.guard.check(desk.order("SELL", 11), emergency_exit="asha").approved
    decision = desk.guard.check(desk.order("SELL", 10), emergency_exit="asha")
    assert decision.approved and decision.permit is not None
    with decision.permit.sending() as wire:  # type: ignore[attr-defined]
        wire.order_id = desk.broker.place(decision.approved_order)

    assert desk.one("SELECT emergency_by FROM permits WHERE state = 'ACKED'") == "asha"


# -- cancel first ---------------------------------------------------------------------------------------------------


def test_an_exit_waits_for_the_stop_that_holds_its_room(desk: Desk) -> None:
    """The whole position has a protective stop: an exit is approved, and sent only once the stop is gone."""
    desk.hold(10)
    stop = desk.place(desk.order("SELL", 10, price="89", order_type="STOP_LOSS", trigger_price="90"))
    desk.sweep()
    stop_id = stop.permit.row.order_id
    decision = desk.guard.check(desk.order("SELL", 10, price=None))
    permit = decision.permit
    assert decision.approved and decision.cancel_first == (stop_id,) and permit is not None
    with pytest.raises(PermitNotSendableError, match=stop_id), permit.sending():
        raise AssertionError("two exits for one position")
    desk.broker.cancel(stop_id)
    with pytest.raises(PermitNotSendableError, match=stop_id), permit.sending():
        raise AssertionError("cancelled, but not read back yet")
    desk.sweep()
    with permit.sending() as wire:
        wire.order_id = desk.broker.place(permit.approved_order)  # type: ignore[attr-defined]


# -- release --------------------------------------------------------------------------------------------------------


def test_a_released_reservation_is_free_and_its_id_is_used(make_desk: Callable[..., Desk]) -> None:
    """Room for another order at once; the id itself stays taken for ever."""
    desk = make_desk(text=rulebook(net_position='check = "net_position"\nposition_max = "10"\nunit = "units"'))
    desk.sweep()
    order = desk.order()
    permit = desk.guard.check(order).permit
    assert permit is not None and not desk.guard.check(desk.order()).approved
    permit.release()

    assert desk.guard.check(desk.order(strategy="next")).approved
    assert desk.guard.check(order).rejects[0].code is RejectCode.PERMIT_VOID
    with pytest.raises(PermitNotSendableError), permit.sending():  # type: ignore[attr-defined]
        raise AssertionError("sent after it was released")


@pytest.mark.parametrize("state", ["SENT", "ACKED", "UNKNOWN", "FILLED", "RELEASED", "VOID", "EXPIRED"])
def test_only_what_was_never_sent_can_be_released(desk: Desk, state: str) -> None:
    permit = granted(desk)
    desk.sql("UPDATE permits SET state = ?", state)
    with pytest.raises(PermitNotSendableError, match=state):
        permit.release()
    assert desk.permit("o-1") == state


# -- asyncio --------------------------------------------------------------------------------------------------------


def test_acheck_answers_as_check_does_and_leaves_the_loop_free(desk: Desk) -> None:
    """While the database is locked the loop goes on turning."""

    async def ask() -> tuple[Any, int]:
        turned = 0
        lock = desk.locked()
        lock.__enter__()
        asking = asyncio.ensure_future(desk.guard.acheck(desk.order()))
        for _ in range(20):
            await asyncio.sleep(0.001)
            turned += not asking.done()
        lock.__exit__(None, None, None)
        return await asking, turned

    decision, turned = asyncio.run(ask())

    assert decision.approved and turned == 20


def test_cancelling_acheck_releases_what_it_may_have_got(desk: Desk) -> None:
    """The caller is gone: the permit its check still gets must not hold room for 10 s."""

    async def ask() -> None:
        lock = desk.locked()
        lock.__enter__()
        asking = asyncio.ensure_future(desk.guard.acheck(desk.order()))
        await asyncio.sleep(0.02)
        asking.cancel()
        lock.__exit__(None, None, None)
        with pytest.raises(asyncio.CancelledError):
            await asking

    asyncio.run(ask())
    eventually(lambda: desk.rows("SELECT state FROM permits") == [("RELEASED",)])


def test_cancelling_acheck_of_a_refused_order_is_quiet(desk: Desk) -> None:
    """There is nothing to release; the refusal is on disk all the same."""

    async def ask() -> None:
        asking = asyncio.ensure_future(desk.guard.acheck(desk.order(quantity=2_000_000)))
        await asyncio.sleep(0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking

    asyncio.run(ask())
    eventually(lambda: desk.one("SELECT count(*) FROM risk_violations") > 0)


# -- a process that dies --------------------------------------------------------------------------------------------

DIES = """
import os, sys
from riskguard.brokers.paper import PaperBroker
from riskguard.core.order import Order
from riskguard.services.wiring import open_guard, paper_path
from tests.services.desk import Clock
url, at_us, where = sys.argv[1], int(sys.argv[2]), sys.argv[3]
clock = Clock(at_us)
guard = open_guard(url, sweep=False, clock=clock, deadline_ms=5000)
broker = PaperBroker.open(paper_path(guard.store.path), "leader", clock=clock)
order = Order(account="leader", client_order_id="d1", exchange_segment="NSE_EQ", security_id="1333", side="BUY",
              product="INTRADAY", order_type="LIMIT", quantity=10, price="100")
permit = guard.check(order).permit
if where == "granted":
    os._exit(9)
with permit.sending() as wire:
    if where == "marked":
        os._exit(9)
    wire.order_id = broker.place(permit.approved_order)
    if where == "placed":
        os._exit(9)
os._exit(9)
"""

DEATHS = table("""
    where    left     swept    orders
    granted  GRANTED  EXPIRED  0
    marked   SENT     SENT     0
    placed   SENT     FILLED   1
    done     ACKED    FILLED   1
""")


@pytest.mark.parametrize("row", DEATHS, ids=str)
def test_a_sender_that_dies_leaves_its_order_known(desk: Desk, row: Row) -> None:
    """Wherever it dies, what may be at the broker is reserved until the broker says; it is never sent twice."""
    desk.quote("100")
    done = subprocess.run(
        [sys.executable, "-c", DIES, desk.url, str(desk.clock.now_us()), row.where], timeout=60, check=False
    )
    assert done.returncode == 9
    assert desk.permit("d1") == row.left
    desk.sweep(11)

    assert desk.permit("d1") == row.swept
    assert len(desk.broker.orders()) == row.number("orders")
    again = desk.guard.check(desk.order(client_order_id="d1", quantity=10, price="100"))
    assert not again.approved


def test_a_slow_market_leaves_doubt_until_it_answers(make_desk: Callable[..., Desk]) -> None:
    """The broker acted and nobody heard it: found again by the name it was given, never by a guess."""
    desk = make_desk()
    desk.join_market(settings=PaperSettings(transit_s=4))
    desk.sweep()
    desk.quote("100")
    desk.broker.behave("place", "silent", 1)
    with pytest.raises(BrokerUnconfirmedError):
        desk.guard.place(desk.order(), desk.broker.place)
    assert desk.permit("o-1") == "UNKNOWN"
    desk.sweep()
    assert desk.permit("o-1") == "ACKED"
    desk.quote("100")
    desk.sweep(4)

    assert desk.permit("o-1") == "FILLED"
    assert desk.guard.state(ACCOUNT).causes == ()
    assert desk.clock.now_us() > SECOND
