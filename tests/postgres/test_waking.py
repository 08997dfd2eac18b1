"""
A daemon whose notices are lost acts by its own clock, and listens again once it can: the fault is another each time.

The notices come through a link that breaks; the database itself is reached without it, as other programs do.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psycopg
import pytest

from riskguard.services import waking
from riskguard.services.daemon import Daemon
from riskguard.services.sweeps import cadence
from riskguard.services.waking import CHANNEL, Waking
from tests.postgres.ground import another, database_of, guarding, serving
from tests.postgres.proxy import Proxy, proxied
from tests.postgres.server import QUICK, Cluster
from tests.services.desk import eventually

PATIENCE_S: Final = 120
PAUSE_S: Final = 0.1
QUIET_S: Final = 2.5
"""How long a control looks for what must not come: longer than the 2 s a sweep has for itself."""
LISTENERS: Final = (
    "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'riskguard listen' AND state = 'idle' "
    "AND query = 'LISTEN riskguard' AND datname = %s"
)
TIGHTEN: Final = """
UPDATE traders_control SET daily_loss_limit = daily_loss_limit - 1
WHERE account_type = 'leader' AND daily_loss_limit IS NOT NULL AND is_active = 1
"""
ADOPTED: Final = "SELECT count(*) FROM decisions WHERE kind = 'ADOPTED'"
"""What plain SQL changed is taken into the journal by the next look of a daemon: that is how it is seen to have looked."""


@dataclass
class Rig:
    """One server, one daemon on it, and the link its notices come through."""

    server: Cluster
    url: str
    proxy: Proxy
    heard: queue.Queue[str] = field(default_factory=queue.Queue)

    def ask(self, query: str, *values: str) -> int:
        with psycopg.connect(self.url, autocommit=True) as connection:
            row = connection.execute(query.encode(), values).fetchone()
        return int(row[0]) if row else 0

    def tighten(self) -> Callable[[], bool]:
        """Change a limit as another program does; returns what says whether the daemon acted on it."""
        before = self.ask(ADOPTED)
        with psycopg.connect(self.url, autocommit=True) as connection:
            assert connection.execute(TIGHTEN.encode()).rowcount == 1
        return lambda: self.ask(ADOPTED) > before

    def listens(self) -> bool:
        return self.ask(LISTENERS, database_of(self.url)) == 1

    def say(self, word: str) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("SELECT pg_notify(%s, %s)", (CHANNEL, word))

    def hears(self, word: str) -> None:
        """Say *word* until it is told: nothing says when a listener that comes back has come."""

        def told() -> bool:
            self.say(word)
            return word in self.heard.queue

        wait_for(told)


def wait_for(done: Callable[[], bool]) -> None:
    """Wait for the daemon, and leave it the machine meanwhile."""
    eventually(lambda: done() or bool(threading.Event().wait(PAUSE_S)), PATIENCE_S)


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Cluster, str]]:
    with serving(QUICK) as server:
        yield server, another(server)


@pytest.fixture
def rig(served: tuple[Cluster, str], prepared_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    server, url = served
    with proxied(server.sockets) as proxy:
        monkeypatch.setenv("RISKGUARD_LISTEN", proxy.url(database_of(url)))
        monkeypatch.setattr(waking, "BACK_OFF_S", (0.05,))
        monkeypatch.setattr(cadence, "in_session", lambda *_: True)  # a look each 2 s, at whatever hour this runs
        yield Rig(server, url, proxy)


@contextlib.contextmanager
def watching(rig: Rig, *, has_clock: bool = True) -> Iterator[Daemon]:
    """A daemon at work. Without its clock it does what a notice asks for at once, and nothing else ever."""
    with guarding(rig.url) as guard:
        daemon = Daemon(guard, upkeep=False)
        listener = daemon._waking
        assert listener is not None
        wakes = listener._woken

        def woken(whose: str) -> None:
            rig.heard.put(whose)
            wakes(whose)

        listener._woken = woken
        if has_clock:
            daemon.start()
        else:
            daemon.take_up_accounts()
            daemon.schedule.fire = lambda job, **_: daemon.schedule._jobs[job].work()  # type: ignore[assignment,method-assign]
            listener.start()
        try:
            yield daemon
        finally:
            if has_clock:
                daemon.stop(PATIENCE_S)
            else:
                listener.stop()
                daemon.lease.give_back(guard.store, guard.clock.now_us())


def cut(rig: Rig) -> None:
    """The connection is reset, and a new one refused."""
    rig.proxy.refuse()


def swallowed(rig: Rig) -> None:
    """The connection stands, and what the server says on it does not arrive."""
    rig.proxy.half_open("to_client")


def restarted(rig: Rig) -> None:
    """The server goes down and comes up again: the listener is away until the link is, and so is all else of the daemon."""
    rig.proxy.refuse()
    rig.server.restart()


FAULTS: Final[tuple[Callable[[Rig], None], ...]] = (cut, swallowed, restarted)


def test_a_daemon_whose_notices_are_lost_acts_by_its_own_clock_and_listens_again(rig: Rig) -> None:
    """
    A limit is changed while the notices are lost, each time in another way: it is acted on all the same, and nothing was
    heard. Healed, the listener is back by itself, and hears what is said from then on.
    """
    with watching(rig):
        rig.hears("before")
        for number, fault in enumerate(FAULTS):
            fault(rig)
            while not rig.heard.empty():
                rig.heard.get()
            acted = rig.tighten()
            wait_for(acted)
            assert rig.heard.empty(), fault.__name__
            rig.proxy.heal()
            rig.hears(f"after {number}")


def test_the_control_without_a_clock_of_its_own_a_lost_notice_is_never_acted_on(rig: Rig) -> None:
    """Woken by notices alone: what it hears of it acts on, and what is swallowed stays as it is."""
    with watching(rig, has_clock=False):
        rig.hears("before")
        acted = rig.tighten()

        def woken() -> bool:
            rig.say("again")  # a sweep whose time is not up does nothing
            return acted()

        wait_for(woken)
        swallowed(rig)
        acted = rig.tighten()
        for _ in range(round(QUIET_S / PAUSE_S)):
            rig.say("again")
            threading.Event().wait(PAUSE_S)

        assert not acted()


def test_the_control_a_listener_that_does_not_try_again_stays_deaf(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same cut without the loop that connects again: nobody listens afterwards, and nothing is heard."""

    def once(self: Waking) -> None:
        with contextlib.suppress(psycopg.Error):
            self._listen()

    monkeypatch.setattr(Waking, "_run", once)
    with watching(rig) as daemon:
        rig.hears("before")
        cut(rig)
        assert daemon._waking is not None and daemon._waking._thread is not None
        daemon._waking._thread.join(PATIENCE_S)
        assert not daemon._waking._thread.is_alive()
        rig.proxy.heal()
        with psycopg.connect(rig.url, autocommit=True) as connection:
            connection.execute("SELECT pg_notify(%s, 'after')", (CHANNEL,))

        assert not rig.listens() and "after" not in rig.heard.queue
