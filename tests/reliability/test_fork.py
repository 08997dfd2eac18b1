"""
A guard across fork: the child opens its own connections, shares nothing, and each sees what the other commits.

Pre-forking servers and `multiprocessing` do this to every library that holds a database open.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable
from typing import Any

import pytest

from riskguard.clock import SystemClock
from riskguard.services import overview
from riskguard.services.sweeps.sweeper import Sweeper
from riskguard.services.wiring import open_guard
from riskguard.store.engines import sqlite as lite
from tests.reliability.claiming import Claims
from tests.services.desk import ACCOUNT, Desk, eventually


def in_child(work: Callable[[], Any], wait_s_max: float = 30.0) -> str:
    """Run *work* in a forked child; returns what it says, or fails when it hangs."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        try:
            said = repr(work())
        except BaseException as e:
            said = f"raised {type(e).__name__}: {e}"
        os.write(write, said.encode()[:60_000])
        os._exit(0)
    os.close(write)
    done: list[bytes] = []

    def listen() -> None:
        with os.fdopen(read, "rb") as pipe:
            done.append(pipe.read())

    listener = threading.Thread(target=listen)
    listener.start()
    listener.join(wait_s_max)
    if listener.is_alive():
        os.kill(child, 9)
        listener.join()
        os.waitpid(child, 0)
        pytest.fail("the child hangs")
    os.waitpid(child, 0)
    return done[0].decode()


def test_a_forked_child_checks_at_once(desk: Desk) -> None:
    """The first check in the child is an ordinary one, and parent and child know each other's orders."""
    assert desk.guard.check(desk.order()).approved
    mine = desk.order(client_order_id="child")

    assert in_child(lambda: (desk.guard.check(mine).approved, desk.guard.check(mine).recorded)) == "(True, True)"
    assert desk.permit("child") == "GRANTED"
    again = desk.guard.check(mine)
    assert again.approved and desk.guard.check(desk.order()).approved
    assert desk.rows("SELECT count(*) FROM permits") == [(3,)]
    assert overview.verify(desk.store)[1]["wrong"] is None


@pytest.mark.claim("I2", "a parent and four forked children check side by side", of="orders", ci=200, soak=200)
def test_parent_and_children_check_side_by_side(desk: Desk, claim: Claims) -> None:
    """Four children and the parent, forty orders each: all recorded, no id twice, the chain whole."""
    desk.guard.check(desk.order())
    children = []
    for number in range(4):
        child = os.fork()
        if child == 0:
            try:
                found = [desk.guard.check(desk.order(client_order_id=f"c{number}-{each}")) for each in range(40)]
                os._exit(0 if all(decision.approved and decision.recorded for decision in found) else 1)
            except BaseException:
                os._exit(2)
        children.append(child)
    mine = [desk.guard.check(desk.order(client_order_id=f"p-{each}")) for each in range(40)]
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]

    assert codes == [0] * 4 and all(decision.approved for decision in mine)
    assert desk.rows("SELECT count(*) FROM permits") == [(201,)]
    claim("I2").trials(200)
    assert overview.verify(desk.store)[1]["wrong"] is None
    if desk.store.dialect == "sqlite":  # what a carried lock breaks is the file; a server checks its own pages
        assert desk.rows("PRAGMA integrity_check") == [("ok",)]


def test_the_childs_end_takes_nothing_from_the_parent(desk: Desk) -> None:
    """A child that closes its guard, or just dies, must not drop the parent's locks or its write-ahead log."""
    desk.guard.check(desk.order())
    for work in (desk.guard.close, lambda: desk.guard.check(desk.order(client_order_id="x")) and desk.guard.close()):
        assert in_child(work) == "None"
        desk.sql("UPDATE traders_control SET order_value_limit = order_value_limit - 1 WHERE limit_id = 'order-value'")
        before = desk.one("SELECT count(*) FROM permits")
        assert desk.guard.check(desk.order()).approved
        assert desk.one("SELECT count(*) FROM permits") == before + 1  # another program sees what the parent wrote


def test_a_kill_crosses_the_fork_both_ways(desk: Desk) -> None:
    """The parent kills what the child kept, and the child what the parent kept."""
    desk.guard.check(desk.order())
    assert in_child(lambda: desk.kill().exit_status) == "0"
    assert not desk.guard.check(desk.order()).approved
    assert in_child(lambda: desk.guard.check(desk.order(client_order_id="c")).approved) == "False"


def test_a_lock_another_thread_held_at_the_fork_is_not_inherited(desk: Desk) -> None:
    """A thread of the parent is in the middle of a transaction: in the child it does not exist and holds nothing."""
    desk.guard.check(desk.order())
    inside, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with desk.store.session():
            inside.set()
            leave.wait(30)

    holder = threading.Thread(target=hold)
    holder.start()
    inside.wait(10)

    def work() -> list[str]:
        desk.store.deadline_s = 0.2
        return [each.code.value for each in desk.guard.check(desk.order(client_order_id="c")).rejects]

    said = in_child(work)
    leave.set()
    holder.join()

    assert said == "['STORE_BUSY']"  # the parent's thread really holds the database's lock; ours is free
    assert in_child(lambda: desk.guard.check(desk.order(client_order_id="d")).approved) == "True"


def test_asyncio_works_in_the_child(desk: Desk) -> None:
    """The thread that answers `acheck` stayed with the parent: the child starts its own instead of waiting for ever."""
    assert asyncio.run(desk.guard.acheck(desk.order())).approved
    mine = desk.order(client_order_id="child")

    assert in_child(lambda: asyncio.run(desk.guard.acheck(mine)).approved) == "True"


def test_repeats_are_counted_once(desk: Desk) -> None:
    """What the parent has counted and not written is the parent's: a child must not write it again."""
    for _ in range(5):
        desk.guard.check(desk.order(quantity=2_000_000))
    in_child(desk.guard.flush_repeats)
    in_child(desk.guard.close)
    desk.guard.flush_repeats()

    assert desk.rows("SELECT sum(repeats) FROM refusal_repeats") == [(4,)]


def test_a_child_writes_its_own_first_refusal(desk: Desk) -> None:
    """A repeat refers to a row the same process wrote: the child's first refusal is on disk for itself."""
    desk.guard.check(desk.order(quantity=2_000_000))
    mine = desk.order(quantity=2_000_000, client_order_id="child")

    assert in_child(lambda: desk.guard.check(mine).repeat_of) == "None"
    assert desk.rows("SELECT client_order_id FROM risk_violations GROUP BY client_order_id ORDER BY min(id)") == [
        ("o-1",),
        ("child",),
    ]


def test_a_permit_of_the_parent_is_sent_once(desk: Desk) -> None:
    """Both hold the same permit after the fork: whoever marks it first sends it."""
    permit = desk.guard.check(desk.order()).permit
    assert permit is not None

    def send() -> str:
        with permit.sending() as wire:  # type: ignore[attr-defined]
            wire.order_id = "B1"
        return "sent"

    assert in_child(send) == "'sent'"
    with pytest.raises(Exception, match="may not be sent"):
        send()
    assert desk.rows("SELECT count(*) FROM order_messages") == [(1,)]


def test_a_guard_that_sweeps_in_a_thread_survives_the_fork(templates: Any, tmp_path: Any, home: Any) -> None:
    """The parent goes on sweeping; the child checks, and leaves without waiting for threads it has not."""
    from tests.services.desk import build

    path = build(tmp_path / "db", profile="library", clock=SystemClock())
    with open_guard(f"sqlite:///{path}", deadline_ms=5_000) as guard:
        guard.report_positions([])
        Sweeper(guard, ACCOUNT, None).sweep(now=True)
        from tests.reliability.actors import order

        mine = order(client_order_id="child")

        def work() -> bool:
            approved = guard.check(mine).approved
            guard.close()
            return approved

        assert in_child(work) == "True"
        with contextlib.closing(lite.connect(path, durable=False)) as reader:
            swept = "SELECT count(*) FROM sweeps WHERE finished_at_us IS NOT NULL"
            before = reader.execute(swept).fetchone()
            eventually(lambda: reader.execute(swept).fetchone() > before)


def test_the_control_a_connection_carried_across_is_noticed(desk: Desk) -> None:
    """What the guard must not do: the same store with its pid forged goes on using the parent's connection."""
    desk.guard.check(desk.order())
    store: Any = desk.store
    inherited = store._held if store.dialect == "sqlite" else store._wire._kept
    assert inherited is not None

    def carried() -> bool:
        store._pid = os.getpid()  # as if it had never forked
        with desk.store.session(durable=False) as session:
            return session.connection is inherited

    def opened() -> bool:
        with desk.store.session(durable=False) as session:
            return session.connection is inherited

    assert in_child(carried) == "True"
    assert in_child(opened) == "False"
