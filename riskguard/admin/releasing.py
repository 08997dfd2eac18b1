"""Release: a person, a reason, preconditions; it names what it ends, and never touches the day's figures."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from riskguard.admin.standing import Standing, concerned, let_go, objection_to
from riskguard.admin.switches import Switches
from riskguard.core.release import Family
from riskguard.core.state import TradingState
from riskguard.errors import ReleaseRefusedError
from riskguard.ports import BrokerLock, Clock
from riskguard.services.kill import latch
from riskguard.services.kill.killrun import aside
from riskguard.store import controls, halt, journal, kills
from riskguard.store.generation import read_generation
from riskguard.store.queries import releases
from riskguard.store.session import GLOBAL, Session, Store, clock_of

log = logging.getLogger("riskguard")

WAIT_S = 5.0
NUMBERS_BEFORE_S = 60
"""A breach is written a moment before the kill it makes."""


@dataclass(frozen=True, slots=True)
class Release:
    """What was released, and what the scope admits now."""

    scope: str
    state: TradingState
    kill_ids: tuple[str, ...]
    said: str


@dataclass(frozen=True, slots=True)
class Review:
    """
    What a person should read before releasing: what stopped the scope, with its numbers, and what follows.

    `objection` is why a release would be refused now, "" if it would not. `returns_to` is the state after it.
    """

    scope: str
    family: Family
    causes: tuple[str, ...]
    numbers: tuple[str, ...]  # of the breaches behind it
    gone: tuple[str, ...]  # what the kill cancelled or closed, and what it left undone
    returns_to: TradingState
    allows: str
    objection: str


ALLOWS = {
    TradingState.ACTIVE: "orders that add risk, as far as the limits let them",
    TradingState.REDUCE_ONLY: "only orders that reduce a position, until it is released once more",
    TradingState.HALTED: "nothing yet: what is above it still stops it",
}


def review(
    store: Store, account: str | None, *, by: str = "", approver: str = "", typed_scope: str = "", only: str = "",
    locks: Mapping[str, BrokerLock] | None = None, unlock: bool = False, clock: Clock | None = None,
) -> Review:  # fmt: skip
    """
    Say what a release of *account* (GLOBAL when None) would do, and whether it would be refused. Changes nothing.

    What forbids the release is the review's `objection`, a halt directory or a switch nobody can read among it.

    Raises UnknownAccountError, StoreUnavailableError.
    """
    switch = Switches(locks).objection(unlock=unlock)
    with store.session(durable=False, wait_s=WAIT_S) as session:
        now_us = clock_of(store, clock).now_us()
        standing, said = _judged(session, store, account, by, approver, typed_scope, only, now_us)
        numbers = releases.breaches(session, standing.owner, max(0, standing.since_us // 1_000_000 - NUMBERS_BEFORE_S))
        gone = tuple(said for kill_id in sorted(standing.kills) for said in releases.steps(session, kill_id))
        gone += _unfinished(session, standing)
        store.roll_back(session)
    state = standing.returns_to()
    causes = tuple(each.sentence() for each in (*standing.causes, *standing.above, *standing.losses()))
    return Review(standing.owner, standing.family, causes, numbers, gone, state, ALLOWS[state], switch or said)


def release(
    store: Store, account: str | None, *, by: str, reason: str, approver: str = "", typed_scope: str = "",
    only: str = "", locks: Mapping[str, BrokerLock] | None = None, unlock: bool = False, clock: Clock | None = None,
) -> Release:  # fmt: skip
    """
    Release *account*, or GLOBAL when None. Never touches the day's baseline; if a loss still stands, the next
    sweep trips again. A lost halt directory is made again, unless only a part of those it halts is released: that is refused.

    A manual kill is held for the `release_hold_s` setting and returns to the state before it. A loss is held to the
    next session, or, the same day, 30 minutes with a second *approver* and the scope's name typed; it, a runaway and
    a broker's switch return to REDUCE_ONLY, which the next release ends. *only* names one part of the account that is
    stopped, like `STRATEGY:dip`, and leaves all else as it is; it may not name the account itself.

    *locks* are the brokers' own switches, by account: each must read off. With *unlock* those that are on are switched
    off when every other precondition holds, and on again if the release then fails.

    Raises:
        ReleaseRefusedError: Names the precondition that does not hold. The scope stays halted.
        StoreError: Nothing is known to be released. What became of the switches is in the error's notes.
    """
    if len(reason.strip()) < 3:
        raise ReleaseRefusedError('a release wants a reason: `--reason "…"`')
    if not by.strip():
        raise ReleaseRefusedError("a release wants a person: `--by NAME`")
    switches = Switches(locks)
    refused = switches.objection(unlock=unlock)  # asked outside the lock, and before anything is written
    if refused:
        raise ReleaseRefusedError(refused)
    opened: tuple[str, ...] = ()
    if unlock:
        with store.session(durable=False, wait_s=WAIT_S) as session:
            now_us = clock_of(store, clock).now_us()
            _standing, refused = _judged(session, store, account, by, approver, typed_scope, only, now_us)
            store.roll_back(session)
        if refused:
            raise ReleaseRefusedError(refused)
        opened = switches.unlock()
    try:
        with store.session(durable=True, wait_s=WAIT_S) as session:
            now_us = clock_of(store, clock).now_us()
            standing, refused = _judged(session, store, account, by, approver, typed_scope, only, now_us)
            if refused:
                raise ReleaseRefusedError(refused)
            undone = _unfinished(session, standing)
            generation = _write(session, store, standing, by, reason, approver, undone, now_us)
    except BaseException as e:  # also a person's Ctrl-C: a switch must not stay off for a release that was not
        said = switches.lock_again(opened)
        if said:
            log.critical("release of %s failed: %s", account or GLOBAL, said)
            e.add_note(said)
        raise
    latch.after_commit(store, generation)
    kill_ids = tuple(sorted(standing.kills))
    halt.lower_flags(store.directories, frozenset(kill_ids))
    still_lost = _bring_back(store, standing.lost)
    left = "".join(f"; {each}, and ends there" for each in undone)
    owner, state = standing.owner, standing.returns_to()
    if still_lost:
        said = f"{only or owner} stays HALTED: {still_lost}; {len(kill_ids)} kill(s) released by {by}"
        return Release(owner, TradingState.HALTED, kill_ids, said + left)
    said = f"{only or owner} is {state.name}; {len(kill_ids)} kill(s) released by {by}"
    if state > standing.own_state():
        cause = max(standing.above, key=lambda each: each.state)
        said = f"{only or owner} stays {state.name}: {cause.sentence()}; {len(kill_ids)} kill(s) of its own released by {by}"
    said += "".join(f"; `{each / halt.HALT}` is there again" for each in standing.lost)
    return Release(owner, state, kill_ids, said + left)


def _bring_back(store: Store, lost: tuple[Path, ...]) -> str:
    """
    Make the halt directories again that this release names as lost, and every spare. Returns what could not be made, "".

    After the commit, so that nothing but a release that stands ever brings one back; whoever dies before this point has
    left it lost, which halts. One that was lost meanwhile is not among them and stays so.
    """
    said = ""
    for directory in store.directories:
        if directory in lost or (directory / halt.HALT).is_dir():
            try:
                halt.prepare(directory)
            except OSError as e:
                said = said or f"a halt directory cannot be made ({e}): mend it, then release again"
    return said if any(not (directory / halt.HALT).is_dir() for directory in lost) else ""


def _judged(
    session: Session, store: Store, account: str | None, by: str, approver: str, typed_scope: str, only: str, now_us: int,
) -> tuple[Standing, str]:  # fmt: skip
    """Return what stops the scope and which precondition of its release does not hold, "" when all do."""
    accounts, group = concerned(session, account)
    owner = GLOBAL if account is None else account
    session.read_heads(owner)
    session.read_heads(GLOBAL)
    standing = Standing.of(session, store, owner, group, only, now_us)
    return standing, objection_to(session, standing, accounts, by, approver, typed_scope, now_us)


def _unfinished(session: Session, standing: Standing) -> tuple[str, ...]:
    """Return what the kills this release ends have not done yet: positions may be open that a plan was to close, or bare."""
    found: list[str] = []
    for kill_id in sorted(standing.kills):
        for run_id, account, said in releases.unfinished(session, kill_id):
            found.append(said)
            found += (
                f"the stop `{order_id}` of `{account}` on {line} was taken away and is not put back"
                for order_id, line in aside.taken_away(kills.steps_of(session, run_id)).items()
            )
    return tuple(found)


def _write(
    session: Session, store: Store, standing: Standing, by: str, reason: str, approver: str, undone: tuple[str, ...],
    now_us: int,
) -> int:  # fmt: skip
    """Write the release in the open transaction: the act, its journal entry, what it takes back. Returns the generation."""
    owner, kill_ids = standing.owner, sorted(standing.kills)
    action_id = controls.open_action(session, owner, "RELEASE", by, reason, now_us, " ".join(kill_ids))
    contents = {
        "scope": owner, "kill_ids": kill_ids, "by": by, "reason": reason,
        "loss": standing.family is Family.LOSS, "family": standing.family.name,
        "causes": [each.sentence() for each in standing.causes], **({"only": standing.only} if standing.only else {}),
        **({"approver": approver} if approver else {}),
        **({"made_again": [str(each / halt.HALT) for each in standing.lost]} if standing.lost else {}),
        **({"unfinished": list(undone)} if undone else {}),
    }  # fmt: skip
    head = journal.append(session, owner, "RELEASE", contents, now_us)
    let_go(session, standing, by, reason, action_id, now_us)
    controls.close_action(session, action_id, head.sequence)
    return controls.advance_generation(session, read_generation(store.path) or 0)
