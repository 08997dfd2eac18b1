"""
What is done while the disk fails: each public door of riskguard once, on a prepared state, as a program would.

A deed says what it was told before it goes on, so that whoever kills it knows what had been acknowledged.
"""

from __future__ import annotations

import contextlib
import logging
import os
import resource
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from riskguard import admin
from riskguard.brokers.paper import PaperBroker
from riskguard.core.checks import by_name
from riskguard.core.decide import Decision
from riskguard.errors import RiskGuardError
from riskguard.services import overview
from riskguard.services.kill import killswitch
from riskguard.services.setup import initialise
from riskguard.services.wiring import paper_path
from riskguard.store import halt, journal
from riskguard.store.engines import sqlite as lite
from riskguard.store.engines.sqlite_store import SqliteStore
from riskguard.store.session import Session
from tests.services.desk import ACCOUNT, START, Clock, Desk, build

LARGE = 2_000_000
"""More than the desk's limit on a position: such an order is refused."""
KILL_WAIT_S = 0.3
"""How long a kill's row waits for the lock in these tests; the flag stands meanwhile."""


class Scene:
    """One copy of a prepared state, what is asked of it, and where to say what was answered."""

    def __init__(self, directory: Path, options: dict[str, Any], say: Callable[..., None]) -> None:
        self.directory, self.options, self.say = directory, options, say
        self.clock = Clock(options.get("at_us", START))
        self._desk: Desk | None = None
        killswitch.LOCK_WAIT_S = KILL_WAIT_S
        lite.VERSION_LOOK_S = 0.0  # at every transaction: no test waits a second for it
        if options.get("without") == "flags":
            halt.raise_flag = lambda *_: []  # a control: the kill believes its row alone
        if options.get("without") == "looking":
            lite.FileWatch.is_same = lambda _self: True
            lite.VERSION_LOOK_S = 1e9
        if options.get("without") == "commit":
            _believe_every_commit()
        if options.get("without") == "sync":
            lite.sync = lambda _log: None  # a control: nobody waits for the disk
        if options.get("limited") == "pages":
            _no_more_pages()

    @property
    def path(self) -> Path:
        return self.directory / "risk.db"

    @property
    def url(self) -> str:
        return f"sqlite:///{self.path}"

    @property
    def desk(self) -> Desk:
        """The desk, opened at its first use: opening, too, can meet a disk that fails."""
        if self._desk is None:
            self._desk = Desk(self.path, self.clock, self.options.get("deadline_ms", 2_000))
            self._desk._asked = self.options.get("asked", 1000)
        return self._desk

    def warm(self) -> None:
        """Open everything and ask once, so that what follows is only the deed itself."""
        self.desk.guard.check(self.desk.order(client_order_id="warm"))
        if self.options.get("deed") == "sweep":
            self.desk.sweep()

    def before(self, deed: str) -> None:
        """Do what a deed wants done before the disk is armed."""
        if deed == "send":
            self.permit = self.desk.guard.check(self.desk.order(client_order_id="sent")).permit

    def limit(self) -> None:
        """Take from this process what its options say: room in files, or checks that work."""
        limited = self.options.get("limited", "")
        if limited == "file size":
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        elif limited.endswith("in a check"):
            raised = {"MemoryError": MemoryError, "KeyboardInterrupt": KeyboardInterrupt, "BaseException": Unheard}
            _raising.append(raised[limited.partition(" ")[0]])
            _undone.append(_raising.clear)

    def unlimit(self) -> None:
        if self.options.get("limited") == "file size":
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        for undo in _undone:
            undo()
        _undone.clear()

    def after(self) -> None:
        if self._desk is not None:
            self._desk.close()

    def told(self, what: str, decision: Decision) -> None:
        """Say what a decision was: what is acknowledged here must be found on disk afterwards."""
        self.say(
            **{what: decision.client_order_id}, approved=decision.approved,
            recorded=decision.recorded and decision.repeat_of is None,  # a repeat is counted, and has no row of its own
            codes=[each.code.value for each in decision.rejects],
        )  # fmt: skip


class Unheard(BaseException):
    """What a rule might raise that is no Exception."""


_undone: list[Callable[[], None]] = []
_raising: list[type[BaseException]] = []


def _breakable() -> None:
    """Let the check of the order's value raise whatever `_raising` holds: plans are compiled from it once."""
    check = by_name("order_value")
    plain = check.run

    def run(*given: Any) -> Any:
        for each in _raising:
            raise each
        return plain(*given)

    object.__setattr__(check, "run", run)


def _believe_every_commit() -> None:
    """A control: what COMMIT answers is not looked at."""
    plain = SqliteStore._commit

    def deaf(store: SqliteStore, session: Session) -> None:
        with contextlib.suppress(Exception):
            plain(store, session)

    SqliteStore._commit = deaf  # type: ignore[method-assign]


def _no_more_pages() -> None:
    """Let no database of this process grow: SQLite itself answers that the disk is full."""
    plain = lite.connect

    def small(path: Path, *, durable: bool, **more: Any) -> Any:
        connection = plain(path, durable=durable, **more)
        connection.execute(f"PRAGMA max_page_count = {connection.execute('PRAGMA page_count').fetchone()[0]}")
        return connection

    lite.connect = small
    _undone.append(lambda: setattr(lite, "connect", plain))


@contextlib.contextmanager
def judged(scene: Scene) -> Iterator[None]:
    """Say whatever is raised, and whether riskguard raised it on purpose."""
    try:
        yield
    except BaseException as e:
        scene.say(raised=type(e).__name__, typed=isinstance(e, RiskGuardError), text=str(e)[:300])


def approve(scene: Scene) -> None:
    """An order that is within every limit."""
    scene.told("asked", scene.desk.guard.check(scene.desk.order(client_order_id="yes")))


def refuse(scene: Scene) -> None:
    """An order that is above a limit."""
    scene.told("asked", scene.desk.guard.check(scene.desk.order(client_order_id="no", quantity=LARGE)))


def refusals(scene: Scene) -> None:
    """So many of them, each of a strategy of its own: a repeat would only be counted."""
    for number in range(scene.options["count"]):
        asked = scene.desk.order(client_order_id=f"no-{number}", quantity=LARGE, strategy=f"s{number}")
        scene.told("asked", scene.desk.guard.check(asked))


def spool(scene: Scene) -> None:
    """An order while the database is gone."""
    desk = scene.desk
    desk.path.rename(desk.path.with_name("hidden"))
    scene.told("asked", desk.guard.check(desk.order(client_order_id="spooled")))
    desk.path.with_name("hidden").rename(desk.path)


def send(scene: Scene) -> None:
    """Mark a permit SENT and say so at the wire."""
    assert scene.permit is not None
    with scene.permit.sending() as wire:
        scene.say(wire="sent")
        wire.order_id = "B-1"
    scene.say(answered="sent")


def place(scene: Scene) -> None:
    """Check and send in one call."""

    def wire(approved: Any) -> str:
        scene.say(wire=approved.order.client_order_id)
        return "B-2"

    scene.told("asked", scene.desk.guard.place(scene.desk.order(client_order_id="placed"), wire))


def kill(scene: Scene) -> None:
    """Halt the account, in a process that has nothing open."""
    outcome = killswitch.engage(
        scene.url, ACCOUNT, by="desk", reason=scene.options.get("reason", "fat finger"), clock=scene.clock
    )
    scene.say(killed=outcome.kill_id, exit_status=outcome.exit_status, flags=len(outcome.flags))


def kill_and_ask(scene: Scene) -> None:
    """Kill, and check at once in the process that has everything open."""
    kill(scene)
    scene.told("asked", scene.desk.guard.check(scene.desk.order(client_order_id="after the kill")))


def calls(scene: Scene) -> None:
    """Several deeds one after the other under the same fault; says how long each took."""
    for name in scene.options["calls"]:
        began = time.monotonic()
        with judged(scene):
            DEEDS[name](scene)
        scene.say(call=name, took_s=time.monotonic() - began)


def release(scene: Scene) -> None:
    """Give the account back, as a person does at the command line."""
    from riskguard.store.session import Store

    store = Store(scene.url)
    with contextlib.closing(store):
        released = admin.release(store, ACCOUNT, by="priya", reason="looked at it", clock=scene.clock)
        scene.say(released=list(released.kill_ids))


def sweep(scene: Scene) -> None:
    """One whole sweep."""
    report = scene.desk.sweep()
    scene.say(swept=True, report=str(report)[:200])


def state(scene: Scene) -> None:
    """Ask what the account admits."""
    scene.say(state=scene.desk.guard.state(ACCOUNT).state.name)


def status(scene: Scene) -> None:
    """What `riskguard status` shows."""
    document = overview.status(scene.desk.store, scene.clock)
    scene.say(state=document["accounts"][0]["state"])


def init(scene: Scene) -> None:
    """Make a database where there is none."""
    made = initialise(f"sqlite:///{scene.directory / 'new.db'}", profile="paper")
    scene.say(made=made.created)


def look(scene: Scene) -> None:
    """
    Look at what is left, with nothing armed: is it whole, what does it hold, and does it work?

    `asked` of an id asks again with the order it was asked with.
    """
    desk = scene.desk
    found: dict[str, Any] = {
        "whole": desk.rows("PRAGMA integrity_check") == [("ok",)],
        "violations": sorted(row[0] for row in desk.rows("SELECT DISTINCT client_order_id FROM risk_violations") if row[0]),
        "permits": dict(desk.rows("SELECT client_order_id, state FROM permits")),
        "flags": sorted({halt.parse_flag(each.name)[1] for each in desk.flags()}),
    }  # fmt: skip
    with desk.store.session() as session:
        for account in (ACCOUNT, "GLOBAL"):
            found[f"chain of {account}"] = journal.verify(session, account)[1]
        desk.store.roll_back(session)
    found["check"] = desk.guard.check(desk.order(client_order_id=f"after-{desk.clock.now_us()}")).approved
    found["codes"] = [each.code.value for each in desk.guard.check(desk.order()).rejects]
    found["state"] = desk.guard.state(ACCOUNT).state.name
    found["kills"] = sorted(row[0] for row in desk.rows("SELECT DISTINCT kill_id FROM kill_runs"))
    found["flags_after"] = sorted({halt.parse_flag(each.name)[1] for each in desk.flags()})
    scene.say(**found)


DEEDS: dict[str, Callable[[Scene], None]] = {
    each.__name__: each
    for each in (
        approve, refuse, refusals, spool, send, place, kill, kill_and_ask, calls, release, sweep, state, status, init, look,
    )
}  # fmt: skip


def rehearse() -> None:
    """Do every deed once in this process and leave nothing open: what is compiled and imported then is warm."""
    logging.disable(logging.CRITICAL)
    _breakable()
    directory = Path(tempfile.mkdtemp(prefix="rehearsal-"))
    try:
        prepare(directory)
        scene = Scene(directory, {"at_us": START}, lambda **said: None)
        for deed in (approve, refuse, sweep, state, status, kill, look):
            deed(scene)
        scene.after()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def prepare(directory: Path) -> Path:
    """Make the state every deed begins with: one paper account, flat, swept, its market beside it."""
    path = build(directory)
    for each in (directory, directory / "home"):
        halt.prepare(each)
    os.environ["RISKGUARD_HOME"] = str(directory / "home")
    desk = Desk(path, Clock(START))
    desk.sweep()
    desk.close()
    assert PaperBroker and paper_path(path).exists()
    return directory


def prepare_killed(directory: Path) -> Path:
    """The same, killed and held long enough: a release would be let through at `START` + 70 s."""
    prepare(directory)
    clock = Clock(START)
    desk = Desk(directory / "risk.db", clock)
    desk.kill()
    desk.sweep(66)
    desk.close()
    return directory
