"""
The kill switch: flag, gate, row. Everything that halts goes through `engage`.

Until the flag is on disk nothing but the standard library is imported: a broken installation, a locked, full
or missing database must not be able to stop a kill.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from riskguard.home import state_directories
from riskguard.services.kill.lookup import Lookup
from riskguard.store import halt

if TYPE_CHECKING:
    from riskguard.ports import Clock
    from riskguard.store.session import Store

LOCK_WAIT_S = 10.0
"""How long the row waits for the write lock behind the gate. The flag halts meanwhile."""
CONNECT_S = 1.0
"""So long a new connection is tried for the row at least, whatever the one that broke has used up."""

HALTED, NOT_HALTED, HALTED_HERE = 0, 4, 5


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
    url: str, account: str | None, *, by: str, reason: str, plan: str, lookup: Lookup | None = None
) -> Raised:  # fmt: skip
    """
    Put the flags of a new kill on disk. Until they stand, standard library only.

    *lookup* is asked for the name, and keeps what it opened for that; without it nothing is kept.

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
    with _asking(lookup, url) as asked:
        known = asked.is_known(account)
    if known is not True:
        why = "is not in the database" if known is False else "could not be looked up"
        note = f"`{account}` {why}: everything is halted instead"
        scope = halt.GLOBAL
        flags += halt.raise_flag(directories, scope, kill_id, text)
    return Raised(kill_id, scope, flags, note)


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
    with _at_hand(store) as open_store, closing(Lookup(url, open_store)) as lookup:
        members: tuple[str | None, ...] = lookup.accounts_of(halt.plain(group)) or (None,)
        raised = [(name, raise_flags(url, name, by=who, reason=why, plan=plan, lookup=lookup)) for name in members]
        return tuple(
            engage(store, name, by=who, reason=why, plan=plan, cause=cause, clock=clock, raised=flags, lookup=lookup)
            for name, flags in raised
        )


def engage(
    store: Store | str, account: str | None, *, by: str = "", reason: str = "", plan: str = "cancel",
    cause: str = "MANUAL", clock: Clock | None = None, raised: Raised | None = None, lookup: Lookup | None = None,
) -> KillOutcome:  # fmt: skip
    """
    Halt *account* (None: everything): flags first, then the row behind a gate. Never raises for a machine's fault.

    *raised* hands over flags that `raise_flags` has put already (the command line does that first), and *lookup* what was
    asked for their name.
    """
    url = store if isinstance(store, str) else store.url
    by, reason = halt.plain(by) or _user(), halt.plain(reason)
    accounts: tuple[str, ...] = ()
    written = False
    with _at_hand(store) as open_store, _asking(lookup, url, open_store) as asked:
        kill_id, scope, flags, note = raised or raise_flags(
            url, account, by=by, reason=reason, plan=plan, lookup=asked
        )  # fmt: skip
        try:
            accounts = _write_row(open_store, url, asked, Kill(scope, kill_id, plan, cause, by, reason), clock)
            written = True
        except Exception as e:  # whatever it is, the flag stands and says so
            note = f"{note}\n{e}".strip()
    status = HALTED if written else HALTED_HERE if flags else NOT_HALTED
    with suppress(Exception):
        for directory in state_directories(url):
            halt.arm(directory)
    return KillOutcome(kill_id, scope, status, tuple(flags), accounts, note)


def _asking(given: Lookup | None, url: str, at_hand: Store | None = None) -> AbstractContextManager[Lookup]:
    """Return the look-up that was given, else one that ends with the block."""
    return closing(Lookup(url, at_hand)) if given is None else nullcontext(given)


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


def _write_row(
    open_store: Store | None, url: str, lookup: Lookup, kill: Kill, clock: Clock | None
) -> tuple[str, ...]:  # fmt: skip
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
        opened = lookup.hand_over()
        if opened is not None:
            own.adopt(*opened)
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
