"""
The kill switch: flag, gate, row. Everything that halts goes through `engage`.

Until the flag is on disk nothing but the standard library is imported: a broken installation, a locked, full
or missing database must not be able to stop a kill.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from riskguard.home import sqlite_path, state_directories
from riskguard.store import halt

if TYPE_CHECKING:
    from riskguard.ports import Clock
    from riskguard.store.session import Store

LOCK_WAIT_S = 10.0
"""How long the row waits for the write lock behind the gate. The flag halts meanwhile."""
CONNECT_S = 1.0
"""So long a new connection is tried for the row at least, whatever the one that broke has used up."""
LOOK_S = 0.5

HALTED, NOT_HALTED, HALTED_HERE = 0, 4, 5

Look = Callable[[str, str, float], "tuple[str, ...] | None"]
"""Asks for names within a time; see `Store.glance`."""


class KillOutcome(NamedTuple):  # `dataclasses` would cost a cold kill a tenth of its time
    """
    What a kill reached.

    Attributes:
        exit_status: 0 halted; 4 NOT halted; 5 halted on this host, the database not updated (the flag is
            adopted by the next process that reaches it).
        scope: GLOBAL, or ACCOUNT:name. note: what the caller should know besides.
        accounts: Accounts whose kill run is now open.
    """

    kill_id: str
    scope: str
    exit_status: int
    flags: tuple[Path, ...]
    accounts: tuple[str, ...] = ()
    note: str = ""

    @property
    def halted(self) -> bool:
        return self.exit_status != NOT_HALTED

    def report(self) -> str:
        """Say in plain words what is halted and what is not."""
        who = "everything" if self.scope == halt.GLOBAL else f"account {self.scope.partition(':')[2]}"
        if self.exit_status == HALTED:
            said = f"HALTED: {who} (kill {self.kill_id})"
        elif self.exit_status == HALTED_HERE:
            said = f"HALTED ON THIS HOST ONLY: {who}; the database was not updated (kill {self.kill_id})"
        else:
            said = (
                f"NOT HALTED: no flag could be written and the database took no row ({who}). Stop the programs by hand."
            )
        return said + (f"\n{self.note}" if self.note else "")


class Raised(NamedTuple):
    """Flags that stand on disk: of which kill and scope, where, and what whoever killed should know."""

    kill_id: str
    scope: str
    flags: list[Path]
    note: str


class Kill(NamedTuple):
    """What the row of a kill says of it."""

    scope: str
    kill_id: str
    plan: str
    cause: str
    by: str
    reason: str


def raise_flags(
    url: str, account: str | None, *, by: str, reason: str, plan: str, look: Look | None = None
) -> Raised:  # fmt: skip
    """
    Put the flags of a new kill on disk. Until they stand, standard library only.

    *look* asks an open connection for the name; where it does not tell, one is opened for it.

    An account that does not exist, or that cannot be looked up, halts GLOBAL too: a misspelt name must not
    leave the right one trading.
    """
    directories = state_directories(url)
    account = None if account is None else halt.plain(account)
    by, reason = halt.plain(by), halt.plain(reason)
    kill_id = halt.new_kill_id()
    text = json.dumps({"by": by, "reason": reason, "plan": plan, "pid": os.getpid(), "at": time.time()})
    scope = halt.scope_name(account)
    flags = halt.raise_flag(directories, scope, kill_id, text)
    note = ""
    if account is None:
        return Raised(kill_id, scope, flags, note)
    known = _is_known(url, account, look)
    if known is not True:
        why = "is not in the database" if known is False else "could not be looked up"
        note = f"`{account}` {why}: everything is halted instead"
        scope = halt.GLOBAL
        flags += halt.raise_flag(directories, scope, kill_id, text)
    return Raised(kill_id, scope, flags, note)


def _is_known(url: str, account: str, look: Look | None) -> bool | None:
    """Say whether the account exists; None when the database does not tell."""
    found = _looked_up(url, "SELECT account FROM accounts WHERE account = ?", account, look)
    return None if found is None else bool(found)


def accounts_of_group(url: str, group: str, look: Look | None = None) -> tuple[str, ...]:
    """
    Return the accounts of *group*, () when there is none or the database does not tell.

    Whoever kills a group and gets nothing kills everything: a misspelt name must not leave the right one trading.
    """
    asked = "SELECT account FROM accounts WHERE group_name = ? AND group_name <> '' ORDER BY account"
    return _looked_up(url, asked, group, look) or ()


def _looked_up(url: str, query: str, name: str, look: Look | None) -> tuple[str, ...] | None:
    """Ask the database for account names; None when it does not tell within half a second."""
    if look is not None:
        with suppress(Exception):  # whatever it is, the database itself is asked again
            if (told := look(query, name, LOOK_S)) is not None:
                return told
    path = sqlite_path(url)
    if path is None:
        try:  # the import too: a broken installation must not stop what comes after the flag
            from riskguard.store.engines.postgresql_look import names

            return names(url, query.replace("?", "%s"), name, LOOK_S)
        except Exception:
            return None
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=LOOK_S)) as connection:
            return tuple(row[0] for row in connection.execute(query, (name,)))
    except sqlite3.Error:
        return None


def engage_group(
    store: Store | str, group: str, *, by: str = "", reason: str = "", plan: str = "cancel", cause: str = "MANUAL",
    clock: Clock | None = None,
) -> tuple[KillOutcome, ...]:  # fmt: skip
    """
    Halt every account of *group*: one kill per account, each with an outcome of its own. All flags stand before any row.

    A group nobody knows halts everything.
    """
    url = store if isinstance(store, str) else store.url
    who = halt.plain(by) or _user()
    why = halt.plain(reason) or f"group {halt.plain(group)} was killed"
    with _at_hand(store) as open_store:
        look = None if open_store is None else open_store.glance
        members: tuple[str | None, ...] = accounts_of_group(url, halt.plain(group), look) or (None,)
        raised = [(name, raise_flags(url, name, by=who, reason=why, plan=plan, look=look)) for name in members]
        return tuple(
            engage(store, name, by=who, reason=why, plan=plan, cause=cause, clock=clock, raised=flags)
            for name, flags in raised
        )


def engage(
    store: Store | str, account: str | None, *, by: str = "", reason: str = "", plan: str = "cancel",
    cause: str = "MANUAL", clock: Clock | None = None, raised: Raised | None = None,
) -> KillOutcome:  # fmt: skip
    """
    Halt *account* (None: everything): flags first, then the row behind a gate. Never raises for a machine's fault.

    *raised* hands over flags that `raise_flags` has put already (the command line does that first).
    """
    url = store if isinstance(store, str) else store.url
    by, reason = halt.plain(by) or _user(), halt.plain(reason)
    accounts: tuple[str, ...] = ()
    written = False
    with _at_hand(store) as open_store:
        look = None if open_store is None else open_store.glance
        kill_id, scope, flags, note = raised or raise_flags(url, account, by=by, reason=reason, plan=plan, look=look)
        try:
            accounts = _write_row(open_store, url, Kill(scope, kill_id, plan, cause, by, reason), clock)
            written = True
        except Exception as e:  # whatever it is, the flag stands and says so
            note = f"{note}\n{e}".strip()
    status = HALTED if written else HALTED_HERE if flags else NOT_HALTED
    with suppress(Exception):
        for directory in state_directories(url):
            halt.arm(directory)
    return KillOutcome(kill_id, scope, status, tuple(flags), accounts, note)


@contextmanager
def _at_hand(store: Store | str) -> Iterator[Store | None]:
    """
    Give the store where its connection is open and nobody uses it: opening one reads the whole schema, and on a server
    starts a process, which takes longer than all the rest of a kill.

    It is kept from other threads before the gate is up: one of them would else wait behind it with the connection.
    """
    found: Store | None = None
    with ExitStack() as kept:
        if not isinstance(store, str):
            with suppress(Exception):  # no flag may wait for what is wrong with a connection
                found = store if kept.enter_context(store.at_hand()) else None
        yield found


def _write_row(open_store: Store | None, url: str, kill: Kill, clock: Clock | None) -> tuple[str, ...]:
    """Commit the kill ahead of every writer, and wait for the disk: on the connection at hand, or one of its own."""
    from riskguard.store.session import CommitUnknownError, StoreBusyError
    from riskguard.store.session import Store as OpenStore

    until = time.monotonic() + LOCK_WAIT_S
    if open_store is not None and open_store.is_idle():  # it is not where it did not answer the look
        try:
            return _written(open_store, LOCK_WAIT_S, kill, clock)
        except (StoreBusyError, CommitUnknownError):
            raise  # others hold the lock, or it may stand: another connection would do no better
        except Exception:  # a connection that broke: a new one is tried before the kill counts as not written
            pass
    own = OpenStore(url)
    try:
        return _written(own, max(until - time.monotonic(), CONNECT_S), kill, clock)
    finally:
        own.close()


def _written(store: Store, wait_s: float, kill: Kill, clock: Clock | None) -> tuple[str, ...]:
    from riskguard.services.kill import latch
    from riskguard.store import controls
    from riskguard.store.queries.kill_rows import RUNS_OF_KILL
    from riskguard.store.session import clock_of

    with store.gate(), store.session(durable=True, wait_s=wait_s, gated=False) as session:
        now_us = clock_of(store, clock).now_us()
        if session.row(RUNS_OF_KILL, kill_id=kill.kill_id) is not None:
            return ()  # another process saw the flag and has adopted it already
        accounts = latch.record_kill(session, *kill, now_us)
        generation = controls.advance_generation(session)
    latch.after_commit(store, generation)
    return accounts


def _user() -> str:
    import getpass

    try:
        return getpass.getuser()
    except Exception:
        return "unknown"
