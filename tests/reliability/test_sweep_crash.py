"""
A sweep that is killed at any of its side effects leaves nothing double and nothing missing once another one has swept.

A side effect is what the world outside the process can see: a commit, a flag file, a request to the broker. The child
dies by `os._exit` right before or right after the n-th of them, and whoever comes next does the rest.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from riskguard.core.seen import SeenOrder
from riskguard.services.kill import killswitch
from riskguard.services.settings import DatabaseSettings
from riskguard.services.sweeps.cadence import Cadence
from riskguard.services.sweeps.claims import Lease
from riskguard.services.sweeps.sweeper import Sweeper
from tests.reliability.claiming import Claims
from tests.services.desk import ACCOUNT, Clock, Desk, eventually, rulebook

DIED = 9
ROUNDS = 6
PATIENCE_S = 60.0


@pytest.fixture
def fresh(make_desk: Callable[..., Desk], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Desk]:
    """Make desks on hosts of their own: a kill's flag halts its account everywhere on one host."""
    made: list[Desk] = []

    def desk(**how: Any) -> Desk:
        monkeypatch.setenv("RISKGUARD_HOME", str(tmp_path / f"home{len(made)}"))
        made.append(make_desk(clock=Clock(), **how))
        return made[-1]

    return desk


class Side:
    """Counts side effects and dies at the n-th: before it on odd runs, after it on even ones."""

    def __init__(self, at: int, *, before: bool) -> None:
        self.at, self.before, self.count = at, before, 0

    def around(self, act: Callable[..., Any]) -> Callable[..., Any]:
        def acted(*given: Any, **more: Any) -> Any:
            self.count += 1
            mine = self.count == self.at
            if mine and self.before:
                os._exit(DIED)
            found = act(*given, **more)
            if mine:
                os._exit(DIED)
            return found

        return acted


def armed(desk: Desk, side: Side) -> Sweeper:
    """A sweeper of the daemon's kind on connections of its own, whose every side effect is counted."""
    guard = desk.another_guard()
    broker = desk.join_market()
    sweeper = Sweeper(
        guard, ACCOUNT, broker, alerts=desk.alerts, marks=broker, cadence=Cadence.of(DatabaseSettings()), lease=Lease()
    )
    kind: Any = type(guard.store)
    kind._commit = side.around(kind._commit)
    killswitch.halt.raise_flag = side.around(killswitch.halt.raise_flag)  # type: ignore[attr-defined]
    for name in ("place", "cancel"):
        setattr(broker, name, side.around(getattr(broker, name)))
    return sweeper


def work(desk: Desk, sweeper: Sweeper) -> None:
    """What a daemon does in the moments in which the day's loss is reached."""
    for _ in range(ROUNDS):
        desk.clock.advance(2)
        desk.clock.skipped_us += 2_000_000
        price = "240" if desk.clock.at_us % 4 else "241"
        desk.guard.quote("NSE_EQ", "1333", ltp=price, at=desk.clock.now_us())
        sweeper.book()
        sweeper.slow()
        sweeper.loss()
        sweeper.follow_kills()


def begin(desk: Desk) -> None:
    """Ten shares at ₹1,000, an order that rests, and one somebody placed in the app."""
    desk.sweep()
    desk.hold(10, "1000")
    desk.place(desk.order(price="900", quantity=5))
    desk.past(desk.order(price="901", quantity=5))


def truth(desk: Desk) -> dict[str, Any]:
    """Everything a sweep is to bring about, once each."""
    cancelled: list[SeenOrder] = [order for order in desk.broker.orders() if order.status == "CANCELLED"]
    return {
        "kills": desk.one("SELECT count(*) FROM kill_runs"),
        "run": desk.rows("SELECT state FROM kill_runs"),
        # A row is a verdict. One that died before its kill is given again by whoever pulls the switch; the run is the effect.
        "violations": desk.rows("SELECT DISTINCT action_taken FROM risk_violations ORDER BY action_taken"),
        "resting": [order.order_id for order in desk.broker.orders() if order.is_live],
        "cancelled": len(cancelled),
        "book": desk.rows("SELECT security_id, product, filled_quantity, fills FROM day_books WHERE fills > 0"),
        "trades": desk.one("SELECT count(*) FROM trades"),
        "unsolicited": desk.one("SELECT count(*) FROM unsolicited_orders"),
        "baselines": desk.one("SELECT count(*) FROM day_baselines"),
        "halted": desk.guard.state(ACCOUNT).state.name,
    }


def expected(fresh: Callable[..., Desk]) -> tuple[dict[str, Any], int]:
    """The same minute without a crash, and how many side effects it has."""
    desk = fresh()
    begin(desk)
    counted, read = os.pipe(), Side(0, before=True)
    child = os.fork()
    if not child:
        try:
            work(desk, armed(desk, read))
            os.write(counted[1], str(read.count).encode())
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    effects = int(os.read(counted[0], 20))
    desk.clock.advance(60)
    follow(desk)
    return truth(desk), effects


def follow(desk: Desk) -> None:
    """Whoever comes next: another process, after the dead one's lease and claims are over."""
    sweeper = Sweeper(
        desk.another_guard(), ACCOUNT, desk.join_market(), alerts=desk.alerts, marks=desk.broker,
        cadence=Cadence.of(DatabaseSettings()), lease=Lease(),
    )  # fmt: skip
    work(desk, sweeper)


@pytest.mark.claim(
    "I7", "the sweeper dies before or after its n-th side effect", of="crashes", ci=20, soak=1_000, seconds=120
)
def test_a_crash_at_any_side_effect_leaves_nothing_double_and_nothing_missing(
    fresh: Callable[..., Desk], claim: Claims
) -> None:
    """Before and after each of them, spread over the whole minute: the end is the same as without a crash."""
    shown = claim("I7")
    points = shown.figure
    wanted, effects = expected(fresh)
    assert wanted["halted"] == "HALTED" and wanted["resting"] == [] and wanted["run"] == [("DONE",)]
    assert effects >= 30, "the minute has too few side effects to prove anything"
    died = 0
    for point in range(points):
        desk = fresh()
        begin(desk)
        at, before = 1 + point * effects // points, bool(point % 2)
        child = os.fork()
        if not child:
            try:
                work(desk, armed(desk, Side(at, before=before)))
                os._exit(0)
            finally:
                os._exit(1)
        died += os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == DIED
        desk.clock.advance(60)
        follow(desk)
        found = truth(desk)
        desk.close()
        shown.trial(found == wanted, f"died {'before' if before else 'after'} side effect {at} of {effects}: {found}")

    assert died >= points * 9 // 10, "the children must really die"


def test_the_control_an_effect_without_its_key_is_done_twice(
    fresh: Callable[..., Desk], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fills booked without asking whether they were booked before: the same minute ends with a wrong book."""
    from riskguard.services.sweeps import reconciler
    from riskguard.store import books

    wanted, _ = expected(fresh)
    desk = fresh()
    begin(desk)
    monkeypatch.setattr(books, "known_trades", lambda *_given: frozenset())
    monkeypatch.setattr(reconciler.books, "save_trade", lambda *_given, **_more: True)
    desk.clock.advance(60)
    follow(desk)

    assert truth(desk)["book"] != wanted["book"]


# -- between the mark SENT and the answer ---------------------------------------------------------------------------------


@pytest.mark.claim(
    "I3", "processes killed between the request and its answer", of="SIGKILLs", ci=10, soak=100, seconds=60
)
def test_after_a_crash_no_order_passes_until_a_sweep_has_settled_the_one_in_doubt(
    fresh: Callable[..., Desk], claim: Claims
) -> None:
    """
    SIGKILL after the request left and before its answer was written, at the broker or lost on the way there.

    What is asked afterwards is refused until a sweep has found the order by the name it was given.
    """
    text = rulebook(unconfirmed_in_flight='check = "unconfirmed_in_flight"\nanswer_s_max = 5')
    for _ in range(claim("I3").figure):
        desk = fresh(text=text)
        desk.sweep()
        desk.quote("100")
        order = desk.order(price="95")
        child = os.fork()
        if not child:
            plain = desk.broker.place

            def place(approved: Any, plain: Callable[..., Any] = plain) -> Any:
                plain(approved)
                os.kill(os.getpid(), signal.SIGKILL)

            desk.guard.place(order, place)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
        desk.clock.advance(6)
        guard = desk.another_guard()
        assert desk.permit("o-1") == "SENT"
        assert [each.code.value for each in guard.check(desk.order(price="94")).rejects] == ["UNCONFIRMED_IN_FLIGHT"]
        sweeper = Sweeper(
            guard, ACCOUNT, desk.join_market(), cadence=Cadence.of(DatabaseSettings()), lease=Lease(), marks=desk.broker
        )
        sweeper.loss()
        assert [each.code.value for each in guard.check(desk.order(price="93")).rejects] == ["UNCONFIRMED_IN_FLIGHT"]
        assert sweeper.book(), "the loss sweep saw a message without an answer and wants the book"
        assert desk.permit("o-1") == "ACKED"
        assert guard.check(desk.order(price="92")).approved
        assert desk.rows("SELECT count(*) FROM unsolicited_orders") == [(0,)]
        claim("I3").trial()
        desk.close()


# -- stopped, and let go again ----------------------------------------------------------------------------------------------


def test_a_sweep_that_is_stopped_is_noticed_and_writes_nothing_when_it_goes_on(fresh: Callable[..., Desk]) -> None:
    """
    SIGSTOP while it looks at the broker: the check refuses after three intervals, another daemon takes over, and what the
    stopped one saw is dropped when it wakes, because its lease is gone.
    """
    desk = fresh(text=rulebook(sweep_heartbeat='check = "sweep_heartbeat"\nintervals_max = 3'))
    desk.sweep()
    heard, told = os.pipe()
    child = os.fork()
    if not child:
        sweeper = armed(desk, Side(0, before=True))
        desk.clock.advance(20)
        plain = sweeper.broker.positions  # type: ignore[union-attr]

        def positions() -> Any:
            os.write(told, b"looking")
            os.kill(os.getpid(), signal.SIGSTOP)
            return plain()

        sweeper.broker.positions = positions  # type: ignore[union-attr,method-assign]
        os._exit(1 if sweeper.book() else 0)
    assert os.read(heard, 7) == b"looking"
    eventually(lambda: os.waitpid(child, os.WUNTRACED | os.WNOHANG)[0] == child, PATIENCE_S)
    desk.clock.advance(7)
    assert [each.code.value for each in desk.guard.check(desk.order()).rejects] == ["SWEEP_STALE"]
    desk.clock.advance(20)
    follow(desk)
    done = desk.rows("SELECT slot, holder FROM sweeps WHERE kind = 'book' AND finished_at_us IS NOT NULL ORDER BY slot")
    os.kill(child, signal.SIGCONT)
    end = time.monotonic() + PATIENCE_S
    while True:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            break
        assert time.monotonic() < end
        time.sleep(0.01)

    assert os.waitstatus_to_exitcode(status) == 0, "it must say that nothing was done"
    assert desk.rows(
        "SELECT slot, holder FROM sweeps WHERE kind = 'book' AND finished_at_us IS NOT NULL ORDER BY slot"
    ) == done  # fmt: skip
    assert desk.guard.check(desk.order()).approved


def test_the_seam_dies_where_it_says(tmp_path: Path) -> None:
    """Before: the effect did not happen; after: it did. The one before it stands in both."""
    for before, written in ((True, "x"), (False, "xx")):
        path = tmp_path / str(before)
        path.write_text("")
        child = os.fork()
        if not child:
            act = Side(2, before=before).around(partial(_append, path))
            for _ in range(5):
                act()
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == DIED
        assert path.read_text() == written


def _append(path: Path) -> None:
    with path.open("a") as file:
        file.write("x")
