"""
SIGSTOP: a process sleeps for longer than every deadline while it holds something, and then goes on where it was.

Meanwhile the others answer in time and the kill halts; what the sleeper does when it wakes is judged anew.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from riskguard.services.kill import killswitch, latch
from riskguard.services.kill.killswitch import HALTED, HALTED_HERE
from riskguard.store import journal
from riskguard.store.engines.sqlite_store import SqliteStore
from tests.core.tables import Row, table
from tests.services.desk import ACCOUNT, Desk

_stopped: list[bool] = []


def stop_here() -> None:
    """Stop this process, once."""
    if not _stopped:
        _stopped.append(True)
        os.kill(os.getpid(), signal.SIGSTOP)


class Sleeper:
    """A child that checks, sends what was approved, and says what came of it; it stops itself where it is told."""

    def __init__(self, desk: Desk, where: str, *, blind: bool = False) -> None:
        read, write = os.pipe()
        self.child = os.fork()
        if self.child == 0:
            try:
                os.write(write, json.dumps(_sleep(desk, where, blind=blind)).encode())
            finally:
                os._exit(0)
        os.close(write)
        self._read = read
        _, status = os.waitpid(self.child, os.WUNTRACED)
        assert os.WIFSTOPPED(status), "it never came to where it should stop"

    def wake(self) -> dict[str, Any]:
        os.kill(self.child, signal.SIGCONT)
        _, status = os.waitpid(self.child, os.WUNTRACED)
        assert os.WIFEXITED(status), "it did not come to its end"
        with os.fdopen(self._read, "rb") as pipe:
            said: dict[str, Any] = json.loads(pipe.read())
        return said


def _sleep(desk: Desk, where: str, *, blind: bool) -> dict[str, Any]:
    if where == "before its transaction":
        begin = SqliteStore._begin

        def late(*given: Any) -> Any:
            stop_here()
            return begin(*given)

        SqliteStore._begin = late  # type: ignore[method-assign]
    elif where == "in its transaction":
        append = journal.append

        def held(*given: Any, **more: Any) -> Any:
            stop_here()
            return append(*given, **more)

        journal.append = held
    decision = desk.guard.check(desk.order(client_order_id="sleeper"))
    SqliteStore._begin, journal.append = PLAIN
    said: dict[str, Any] = {"approved": decision.approved, "codes": [each.code.value for each in decision.rejects]}
    if decision.permit is None:
        return said
    if blind:  # the control: the state is not looked at again before the wire
        latch.look = lambda *_: latch.NO_FLAGS
    try:
        with decision.permit.sending() as wire:
            if where == "before the wire":
                stop_here()
            if not blind:
                decision.approved_order.begin()
            wire.order_id = "B-1"
            said["sent"] = True
    except Exception as e:
        said["refused to send"] = str(e)
    return said


PLAIN = (SqliteStore._begin, journal.append)

PLACES = table("""
    where                     kill  approved  sent
    before-its-transaction    0     no        no
    in-its-transaction        5     yes       no
    before-the-wire           0     yes       no
""")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(killswitch, "LOCK_WAIT_S", 0.3)


@pytest.fixture
def sleeping(desk: Desk) -> Iterator[Callable[..., Sleeper]]:
    """Sleepers that do not outlive the test."""
    made: list[Sleeper] = []

    def sleeper(where: str, **how: Any) -> Sleeper:
        made.append(Sleeper(desk, where, **how))
        return made[-1]

    yield sleeper
    for each in made:
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(each.child, signal.SIGKILL)
            os.waitpid(each.child, 0)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("row", PLACES, ids=str)
def test_a_check_that_slept_through_a_kill_sends_nothing(
    desk: Desk, sleeping: Callable[..., Sleeper], row: Row
) -> None:
    """
    Stopped before its transaction it is refused; inside it, its approval began before the kill and is worth nothing at the
    wire; behind the mark, the wire is 250 ms too late.
    """
    other = desk.another_guard()
    other.store.deadline_s = 0.1
    sleeper = sleeping(row.where.replace("-", " "))
    if row.number("kill") == HALTED_HERE:
        assert [each.code for each in other.check(desk.order()).rejects] == ["STORE_BUSY"]
    outcome = killswitch.engage(desk.url, ACCOUNT, by="desk", reason="asleep", clock=desk.clock)
    assert outcome.exit_status == row.number("kill") in (HALTED, HALTED_HERE)
    assert not other.check(desk.order()).approved
    if row.where == "before-the-wire":
        time.sleep(0.3)  # the sleeper's own clock has to run 250 ms: this is the time that is tested
    said = sleeper.wake()

    assert said["approved"] == row.has("approved")
    assert "sent" not in said
    assert other.check(desk.order()).rejects[0].code in ("TRADING_HALTED", "STORE_BUSY")
    if row.has("approved"):
        assert desk.permit("sleeper") in ("VOID", "UNKNOWN", "GRANTED")
    desk.guard.check(desk.order())  # whoever comes adopts the flag
    assert desk.one("SELECT count(*) FROM kill_runs WHERE kill_id = ?", outcome.kill_id) == 1


@pytest.mark.usefixtures("impatient")
def test_the_control_a_sleeper_that_does_not_look_again_sends(desk: Desk, sleeping: Callable[..., Sleeper]) -> None:
    """The flag is all there is, because the sleeper held the lock: without the second look the order leaves."""
    sleeper = sleeping("in its transaction", blind=True)
    assert killswitch.engage(desk.url, ACCOUNT, by="desk", reason="asleep", clock=desk.clock).exit_status == HALTED_HERE

    assert sleeper.wake().get("sent")


def test_the_lock_of_the_dead_is_free_at_once(make_desk: Callable[..., Desk]) -> None:
    """SIGKILL instead of SIGCONT: nobody waits, and what the dead one had begun is undone."""
    desk = make_desk()
    desk.sweep()
    other = desk.another_guard()
    other.store.deadline_s = 0.1
    sleeper = Sleeper(desk, "in its transaction")
    assert [each.code for each in other.check(desk.order()).rejects] == ["STORE_BUSY"]
    os.kill(sleeper.child, signal.SIGKILL)
    os.waitpid(sleeper.child, 0)
    other.store.deadline_s = 5.0

    assert other.check(desk.order()).approved
    assert desk.rows("SELECT client_order_id FROM permits WHERE client_order_id = 'sleeper'") == []
