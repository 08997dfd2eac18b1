"""
The latch as every service sees it: flags on disk, rows in the database, and which of the two knows more.

A flag without a row is adopted by whoever reaches the database first; a flag whose kill a committed release
names is removed; whatever disagrees, the safer one wins.
"""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from riskguard.core.account import Account
from riskguard.core.state import Cause, TradingState
from riskguard.store import controls, halt, journal, permits
from riskguard.store.generation import write_generation
from riskguard.store.queries.kill_rows import ADD_RUN, known
from riskguard.store.session import ACCOUNTS, BUMP_EPOCH, GLOBAL, Session, Store

log = logging.getLogger("riskguard")

KILL_RUN_LIFE_US = 15 * 60 * 1_000_000


class Flags(NamedTuple):
    """What lies in the halt directories, as it concerns one account."""

    names: tuple[str, ...]
    causes: tuple[Cause, ...]


NO_FLAGS = Flags((), ())


@contextmanager
def obeyed(account: Account, flags: Flags) -> Iterator[None]:
    """Let *account* stand under *flags* for a moment: they are not rows, and must not stay in what is kept."""
    if not flags.causes:
        yield
        return
    kept_causes = account.causes
    account.causes = (*kept_causes, *flags.causes)
    account.settle_state()
    try:
        yield
    finally:
        account.causes = kept_causes
        account.settle_state()


def look(directories: tuple[str, ...], account: str, now_us: int) -> Flags:
    """Read the flags; a directory that cannot be read is a cause by itself."""
    names = halt.standing(directories)
    if names is None:
        said = f"a halt directory is missing or unreadable ({', '.join(directories)})"
        return Flags((), (Cause(GLOBAL, TradingState.HALTED, "HALT_DIRECTORY", said, "riskguard", now_us),))
    if not names:
        return NO_FLAGS
    causes = []
    for name in dict.fromkeys(names):  # the same kill stands in every directory
        scope, kill_id = halt.parse_flag(name)
        if scope in (GLOBAL, f"ACCOUNT:{account}"):
            causes.append(Cause(scope, TradingState.HALTED, "FLAG_FILE", "a halt flag stands", "", now_us, kill_id))
    return Flags(tuple(names), tuple(causes))


def record_kill(
    session: Session, scope: str, kill_id: str, plan: str, cause: str, by: str, reason: str, now_us: int
) -> tuple[str, ...]:
    """
    Write the kill in the open transaction: row, epoch, journal, kill runs, void permits. Returns the accounts.

    A GLOBAL kill has one run per account, because each has its own broker to be flat at.
    """
    everyone = tuple(row[0] for row in session.rows(ACCOUNTS))
    owner = GLOBAL if scope == GLOBAL else scope.partition(":")[2]
    concerned = everyone if owner == GLOBAL else (owner,)
    session.read_heads(GLOBAL)
    changes = controls.latch(session, owner, by, reason, now_us)
    for account in dict.fromkeys((owner, *concerned)):
        session.read_heads(account)
        permits.void(session, account, TradingState.HALTED, now_us, f"killed: {reason}")
        contents = {
            "scope": scope, "kill_id": kill_id, "plan": plan, "cause": cause, "by": by, "reason": reason,
            "changes": changes if account == owner else [],
        }  # fmt: skip
        journal.append(session, account, "KILL", contents, now_us)
    # Without an account there is nothing to run, but the row is what says that this flag is known.
    for account in concerned or (GLOBAL,):
        session.run(
            ADD_RUN, kill_id=kill_id, account=account, scope=scope, kill_plan=plan, cause=cause, by_whom=by, reason=reason,
            state="OPEN" if concerned else "DONE", started_at_us=now_us, deadline_us=now_us + KILL_RUN_LIFE_US,
        )  # fmt: skip
    return concerned


def adopt_flags(store: Store, session: Session, names: tuple[str, ...], now_us: int) -> tuple[bool, frozenset[str]]:
    """
    Take over flags the database does not know; return (something was written, kills that were released).

    The caller removes the flags of released kills once the transaction stands.
    """
    released = controls.released_kills(session)
    kill_ids = {name: halt.parse_flag(name)[1] for name in names}
    settled = {*released, *known(session, {*kill_ids.values()} - released)}
    wrote = False
    for name, kill_id in kill_ids.items():  # the same kill stands in every directory
        if kill_id in settled:
            continue
        scope = halt.parse_flag(name)[0]
        accounts = {row[0] for row in session.rows(ACCOUNTS)}
        if scope != GLOBAL and scope.partition(":")[2] not in accounts:
            continue  # another database's account: its flag halts here only accounts of that name
        session.need_wide()
        text = _flag_text(store.directories, name)
        record_kill(
            session, scope, kill_id, text.get("plan", "cancel"), "FLAG_FILE", text.get("by", ""),
            text.get("reason", "") or "adopted from a halt flag", now_us,
        )  # fmt: skip
        settled.add(kill_id)  # one kill may have flags of two scopes
        wrote = True
    return wrote, frozenset(kill_ids.values()) & released


def adopt_sql(session: Session, name: str, group: str, now_us: int) -> bool:
    """
    Journal what plain SQL changed; a kill written that way gets its epoch, void permits and kill runs.

    Returns False when there was nothing to adopt.
    """
    changes = controls.open_changes(session, name, group)
    if not changes:
        return False
    session.need_wide()  # a kill is followed for everybody it halts
    journal.append(session, name, "ADOPTED", {"changes": controls.said_of(changes)}, now_us)
    killed = {change[1] for change in changes if change[4] == "KILL_SWITCH"}
    for cause in controls.kill_causes(session, name, group) if killed else ():
        if cause.scope.removeprefix("ACCOUNT:") in killed:
            _follow_sql(session, name, cause, f"sql-{changes[-1][0]}-{secrets.token_hex(4)}", now_us)
    for owner in dict.fromkeys(change[1] for change in changes):
        controls.adopt_changes(session, owner)
    return True


def _follow_sql(session: Session, name: str, cause: Cause, kill_id: str, now_us: int) -> None:
    """Open the runs of a kill that is a row already, for every account it halts: nobody else will."""
    group = cause.scope.removeprefix("GROUP:") if cause.scope.startswith("GROUP:") else None
    for account, _role, group_name, _broker in session.rows(ACCOUNTS):
        if account == name or cause.scope == GLOBAL or group_name == group:
            session.run(
                ADD_RUN, kill_id=kill_id, account=account, scope=cause.scope, kill_plan="cancel", state="OPEN", cause="SQL",
                by_whom=cause.by, reason=cause.detail, started_at_us=now_us, deadline_us=now_us + KILL_RUN_LIFE_US,
            )  # fmt: skip
            permits.void(session, account, TradingState.HALTED, now_us, "killed by SQL")
            session.run(BUMP_EPOCH, of_account=account)


def _flag_text(directories: tuple[Path, ...], name: str) -> dict[str, str]:
    """Read who and why from a flag; it may be empty or torn, and says then nothing."""
    for directory in directories:
        try:
            said = json.loads((directory / halt.HALT / name).read_text())
        except (OSError, ValueError):
            continue
        if isinstance(said, dict):
            plan = said.get("plan")
            return {
                **{key: halt.plain(str(value)) for key, value in said.items()},
                "plan": plan if plan in ("halt", "cancel", "flatten", "broker") else "cancel",
            }
    return {}


def after_commit(store: Store, generation: int) -> None:
    """Write the GENERATION file once a latch or release stands; a failure leaves the old, which only warns less."""
    try:
        write_generation(store.path, generation)
    except OSError as e:
        log.warning("the GENERATION file is not written, so that a restored backup could go unnoticed: %s", e)
