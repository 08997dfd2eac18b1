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
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from riskguard.home import sqlite_path, state_directories
from riskguard.store import halt

if TYPE_CHECKING:
    from riskguard.ports import Clock
    from riskguard.store.session import Store

LOCK_WAIT_S = 10.0
"""How long the row waits for the write lock behind the gate. The flag halts meanwhile."""
LOOK_S = 0.5

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


def raise_flags(url: str, account: str | None, *, by: str, reason: str, plan: str) -> tuple[str, str, list[Path], str]:
    """
    Put the flags on disk and return (kill id, scope, where they stand, what to know). Until they stand, standard
    library only.

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
        return kill_id, scope, flags, note
    known = _is_known(url, account)
    if known is not True:
        why = "is not in the database" if known is False else "could not be looked up"
        note = f"`{account}` {why}: everything is halted instead"
        scope = halt.GLOBAL
        flags += halt.raise_flag(directories, scope, kill_id, text)
    return kill_id, scope, flags, note


def _is_known(url: str, account: str) -> bool | None:
    """Say whether the account exists; None when the database does not tell."""
    found = _looked_up(url, "SELECT account FROM accounts WHERE account = ?", account)
    return None if found is None else bool(found)


def accounts_of_group(url: str, group: str) -> tuple[str, ...]:
    """
    Return the accounts of *group*, () when there is none or the database does not tell.

    Whoever kills a group and gets nothing kills everything: a misspelt name must not leave the right one trading.
    """
    asked = "SELECT account FROM accounts WHERE group_name = ? AND group_name <> '' ORDER BY account"
    return _looked_up(url, asked, group) or ()


def _looked_up(url: str, query: str, name: str) -> tuple[str, ...] | None:
    """Ask the database for account names; None when it does not tell within half a second."""
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
    members: tuple[str | None, ...] = accounts_of_group(url, halt.plain(group)) or (None,)
    who = halt.plain(by) or _user()
    why = halt.plain(reason) or f"group {halt.plain(group)} was killed"
    raised = [(name, raise_flags(url, name, by=who, reason=why, plan=plan)) for name in members]
    return tuple(
        engage(store, name, by=who, reason=why, plan=plan, cause=cause, clock=clock, raised=flags)
        for name, flags in raised
    )


def engage(
    store: Store | str, account: str | None, *, by: str = "", reason: str = "", plan: str = "cancel",
    cause: str = "MANUAL", clock: Clock | None = None, raised: Any = None,
) -> KillOutcome:  # fmt: skip
    """
    Halt *account* (None: everything): flags first, then the row behind a gate. Never raises for a machine's fault.

    *raised* hands over flags that `raise_flags` has put already (the command line does that first).
    """
    url = store if isinstance(store, str) else store.url
    by, reason = halt.plain(by) or _user(), halt.plain(reason)
    kill_id, scope, flags, note = raised or raise_flags(url, account, by=by, reason=reason, plan=plan)
    accounts: tuple[str, ...] = ()
    written = False
    try:
        accounts = _write_row(store, scope, kill_id, plan, cause, by, reason, clock)
        written = True
    except Exception as e:  # whatever it is, the flag stands and says so
        note = f"{note}\n{e}".strip()
    status = HALTED if written else HALTED_HERE if flags else NOT_HALTED
    with suppress(Exception):
        for directory in state_directories(url):
            halt.arm(directory)
    return KillOutcome(kill_id, scope, status, tuple(flags), accounts, note)


def _write_row(
    store: Store | str, scope: str, kill_id: str, plan: str, cause: str, by: str, reason: str, clock: Clock | None
) -> tuple[str, ...]:
    """Commit the kill on a connection of its own, ahead of every writer, and wait for the disk."""
    from riskguard.services.kill import latch
    from riskguard.store import controls
    from riskguard.store.queries.kill_rows import RUNS_OF_KILL
    from riskguard.store.session import Store as OpenStore
    from riskguard.store.session import clock_of

    own = OpenStore(store if isinstance(store, str) else store.url)
    try:
        with own.gate(), own.session(durable=True, wait_s=LOCK_WAIT_S, gated=False) as session:
            now_us = clock_of(own, clock).now_us()
            if session.row(RUNS_OF_KILL, kill_id=kill_id) is not None:
                return ()  # another process saw the flag and has adopted it already
            accounts = latch.record_kill(session, scope, kill_id, plan, cause, by, reason, now_us)
            generation = controls.advance_generation(session)
        latch.after_commit(own, generation)
    finally:
        own.close()
    return accounts


def _user() -> str:
    import getpass

    try:
        return getpass.getuser()
    except Exception:
        return "unknown"
