"""
What a strategy must not be able to do to itself: apply limits, release a halt, set a baseline.

Import it in operators' tools, never in a strategy. Each act names a person and is journaled before it counts.
"""

from __future__ import annotations

from dataclasses import dataclass

from riskguard.clock import SystemClock
from riskguard.core.money import rupees, to_e4
from riskguard.core.release import PROBATION, Family, Waiting, family_of, goes_on_probation, objection, same_person
from riskguard.core.rulebook import Change, parse
from riskguard.core.state import Cause, TradingState
from riskguard.errors import ReleaseRefusedError, ReportInvalidError, UnknownAccountError
from riskguard.ports import BrokerLock, Clock
from riskguard.redaction import redacted
from riskguard.services import baseline
from riskguard.services.kill import latch
from riskguard.services.limits import rulebooks
from riskguard.services.settings import read_settings
from riskguard.store import books, controls, halt, journal, loader, releases, runs, watches
from riskguard.store.session import ACCOUNTS, GLOBAL, Session, Store

WAIT_S = 5.0
SAME_DAY_HOLD_US = 30 * 60 * 1_000_000
"""A loss released the same day is held this long first, with a second approver who types the scope's name."""
SNAPSHOT_FRESH_US = 120_000_000
NUMBERS_BEFORE_S = 60
"""A breach is written a moment before the kill it makes."""


def apply_rulebook(
    store: Store, text: str, *, account: str, by: str, reason: str = "", approver: str = "", origin: str = "",
    clock: Clock | None = None,
) -> tuple[Change, ...]:  # fmt: skip
    """
    Apply a rulebook to *account* in one transaction, journaled with its digest and what stands afterwards.

    Returns what changes. A loosening while the session runs waits for the next one (`Change.from_date`), unless
    *approver* names a second person, whom the caller has made sure of. *origin* is the file, for `riskguard doctor`.

    Raises RulebookError (nothing is applied), ReleaseRefusedError (the approver is who applies),
    UnknownAccountError.
    """
    if approver and same_person(approver, by):
        raise ReleaseRefusedError(
            f"`{approver}` cannot approve what `{by}` applies: a second approver is another person"
        )
    book = parse(text, account=account, author=by)
    now_us = (clock or SystemClock()).now_us()
    with store.session(durable=True, wait_s=WAIT_S) as session:
        session.read_heads(account)
        action_id = controls.open_action(session, account, "APPLY", by, reason, now_us)
        return rulebooks.write(
            session, account, book, by, reason, now_us, action_id, approver=approver.strip(), origin=origin
        )


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


def review(
    store: Store, account: str | None, *, by: str = "", approver: str = "", typed_scope: str = "", only: str = "",
    lock: BrokerLock | None = None, clock: Clock | None = None,
) -> Review:  # fmt: skip
    """
    Say what a release of *account* (GLOBAL when None) would do, and whether it would be refused. Changes nothing.

    Raises UnknownAccountError, StoreUnavailableError.
    """
    now_us = (clock or SystemClock()).now_us()
    owner = GLOBAL if account is None else account
    switch = _switch_objection(lock)
    with store.session(durable=False, wait_s=WAIT_S) as session:
        known = _known(session, account)
        session.read_heads(owner)
        session.read_heads(GLOBAL)
        standing = _Standing.of(session, store, owner, only)
        said = switch or _objection(session, standing, known, account, by, approver, typed_scope, now_us)
        numbers = releases.breaches(session, owner, max(0, standing.since_us // 1_000_000 - NUMBERS_BEFORE_S))
        gone = tuple(said for kill_id in sorted(standing.kills) for said in releases.steps(session, kill_id))
        store.roll_back(session)
    state = standing.returns_to()
    allows = (
        "only orders that reduce a position, until it is released once more"
        if state is TradingState.REDUCE_ONLY
        else "orders that add risk, as far as the limits let them"
    )
    return Review(
        owner, standing.family, tuple(each.sentence() for each in standing.causes), numbers, gone, state, allows, said
    )


def release(
    store: Store, account: str | None, *, by: str, reason: str, approver: str = "", typed_scope: str = "",
    only: str = "", lock: BrokerLock | None = None, clock: Clock | None = None,
) -> Release:  # fmt: skip
    """
    Release *account*, or GLOBAL when None. Never touches the day's baseline; if a loss still stands, the next
    sweep trips again.

    A manual kill is held for the `release_hold_s` setting and returns to the state before it. A loss is held to the
    next session, or, the same day, 30 minutes with a second *approver* and the scope's name typed; it, a runaway and
    a broker's switch return to REDUCE_ONLY, which the next release ends. *only* names one part of the account that is
    stopped, like `STRATEGY:dip`, and leaves all else as it is. *lock* is the broker's own switch: it must read off.

    Raises:
        ReleaseRefusedError: Names the precondition that does not hold. The scope stays halted.
    """
    if len(reason.strip()) < 3:
        raise ReleaseRefusedError('a release wants a reason: `--reason "…"`')
    if not by.strip():
        raise ReleaseRefusedError("a release wants a person: `--by NAME`")
    now_us = (clock or SystemClock()).now_us()
    owner = GLOBAL if account is None else account
    try:
        for directory in store.directories:
            halt.prepare(directory)  # a lost halt directory halts; a person's release is what brings it back
    except OSError as e:
        raise ReleaseRefusedError(f"a halt directory cannot be made ({e}): mend it, then release") from None
    refused = _switch_objection(lock)  # asked outside the lock, and before anything is written
    if refused:
        raise ReleaseRefusedError(refused)
    with store.session(durable=True, wait_s=WAIT_S) as session:
        known = _known(session, account)
        session.read_heads(owner)
        session.read_heads(GLOBAL)
        standing = _Standing.of(session, store, owner, only)
        refused = _objection(session, standing, known, account, by, approver, typed_scope, now_us)
        if refused:
            raise ReleaseRefusedError(refused)
        kill_ids = tuple(sorted(standing.kills))
        action_id = controls.open_action(session, owner, "RELEASE", by, reason, now_us, " ".join(kill_ids))
        contents = {
            "scope": owner, "kill_ids": list(kill_ids), "by": by, "reason": reason,
            "loss": standing.family is Family.LOSS, "family": standing.family.name,
            "causes": [each.sentence() for each in standing.causes], **({"only": only} if only else {}),
            **({"approver": approver} if approver else {}),
        }  # fmt: skip
        head = journal.append(session, owner, "RELEASE", contents, now_us)
        state = _let_go(session, standing, by, reason, action_id, now_us)
        controls.close_action(session, action_id, head.sequence)
        above = controls.kill_causes(session, owner, "") if owner != GLOBAL else []
        generation = controls.advance_generation(session, halt.read_generation(store.path) or 0)
    latch.after_commit(store, generation)
    halt.lower_flags(store.directories, frozenset(kill_ids))
    said = f"{only or owner} is {state.name}; {len(kill_ids)} kill(s) released by {by}"
    if above and not only:
        state = TradingState.HALTED
        said = f"{owner} stays HALTED: {above[0].sentence()}; {len(kill_ids)} kill(s) of its own released by {by}"
    return Release(owner, state, kill_ids, said)


@dataclass(frozen=True, slots=True)
class _Standing:
    """What stops one scope: kills by id (cause, started), and the causes apart from them."""

    owner: str
    only: str
    kills: dict[str, tuple[str, int]]
    latched: tuple[Cause, ...]  # of the latch itself
    apart: tuple[Cause, ...]  # raised by limits and sweeps
    family: Family
    since_us: int  # of the newest of what is released; 0: nobody knows

    @classmethod
    def of(cls, session: Session, store: Store, owner: str, only: str) -> _Standing:
        apart = tuple(
            each for each in controls.standing_causes(session, owner, "")
            if not only or each.scope == only
        )  # fmt: skip
        if only:
            kills: dict[str, tuple[str, int]] = {}
            latched: tuple[Cause, ...] = ()
        else:
            kills = _standing_kills(session, store, owner)
            latched = tuple(
                each for each in controls.kill_causes(session, owner, "")
                if (each.scope == GLOBAL) == (owner == GLOBAL)
            )  # fmt: skip
        codes = [cause for cause, _started in kills.values()] + [each.code for each in apart]
        family = family_of(codes)
        deciding = [each.since_us for each in apart if family is not Family.LOSS or family_of([each.code]) is family]
        since_us = max([started for _cause, started in kills.values()] + deciding, default=0)
        return cls(owner, only, kills, latched, apart, family, since_us)

    @property
    def causes(self) -> tuple[Cause, ...]:
        return (*self.latched, *self.apart)

    @property
    def is_halted(self) -> bool:
        return bool(self.kills or self.latched) or any(each.state is TradingState.HALTED for each in self.apart)

    def stays(self) -> tuple[Cause, ...]:
        """Return the causes a release leaves: those a manual kill came on top of, and has nothing to do with."""
        if not self.is_halted or self.family is not Family.MANUAL:
            return ()
        return tuple(each for each in self.apart if each.state is TradingState.REDUCE_ONLY)

    def goes_on_probation(self) -> bool:
        """Say whether REDUCE_ONLY follows; it ends with the next release, also after a day of its own."""
        if self.only or self.owner == GLOBAL or not goes_on_probation(self.family):
            return False
        return self.is_halted or self.family is Family.LOSS

    def returns_to(self) -> TradingState:
        return TradingState.REDUCE_ONLY if self.goes_on_probation() or self.stays() else TradingState.ACTIVE


def _let_go(session: Session, standing: _Standing, by: str, reason: str, action_id: int, now_us: int) -> TradingState:
    """Take the causes back, inside the open action; returns the state the scope has then."""
    owner = standing.owner
    if standing.only:
        controls.clear_scope(session, owner, standing.only, action_id, now_us)
        return TradingState.ACTIVE
    controls.unlatch(session, owner, by, reason, action_id, now_us)
    controls.clear_causes(session, owner, TradingState.HALTED, action_id, now_us)
    if not standing.stays():
        controls.clear_causes(session, owner, TradingState.REDUCE_ONLY, action_id, now_us)
    watches.rearm(session, owner, now_us)
    runs.end_kills(session, tuple(sorted(standing.kills)), f"released by {by}", now_us)
    state = standing.returns_to()
    if standing.goes_on_probation():
        what = {Family.LOSS: "a loss", Family.RUNAWAY: "a runaway", Family.BROKER: "the broker's switch"}
        said = f"probation after {what[standing.family]}: `riskguard release` again makes it ACTIVE"
        controls.raise_cause(session, owner, Cause(f"ACCOUNT:{owner}", state, PROBATION, said, by, now_us))
    return state


def _known(session: Session, account: str | None) -> tuple[str, ...]:
    known = tuple(row[0] for row in session.rows(ACCOUNTS))
    if account is not None and account not in known:
        raise UnknownAccountError(account, known)
    return known


def _standing_kills(session: Session, store: Store, owner: str) -> dict[str, tuple[str, int]]:
    """Return the kills a release of *owner* ends: {kill id: (cause, started)}; rows and flags alike."""
    released = controls.released_kills(session)
    own_scope = halt.scope_name(None if owner == GLOBAL else owner)
    found = {
        kill_id: (cause, started_us)
        for kill_id, cause, started_us in session.rows(runs.KILLS_OF_SCOPE, scope=own_scope)
        if kill_id not in released
    }
    names = halt.standing(tuple(str(directory / halt.HALT) for directory in store.directories))
    if names is None:
        raise ReleaseRefusedError("a halt directory is missing or unreadable: mend it, then release")
    for name in names:
        scope, kill_id = halt.parse_flag(name)
        if scope == own_scope and kill_id not in found:
            found[kill_id] = ("FLAG_FILE", 0)
    return found


def _objection(
    session: Session, standing: _Standing, known: tuple[str, ...], account: str | None, by: str, approver: str,
    typed_scope: str, now_us: int,
) -> str:  # fmt: skip
    """Return the precondition that does not hold, "" when all do."""
    if standing.only and not standing.apart:
        return f"nothing stops `{standing.only}`: `riskguard status` shows what does"
    since_us = standing.since_us
    early = objection(
        Waiting(
            family=standing.family,
            held_us=now_us - since_us if since_us else None,
            is_same_session=loader.session_date(since_us) == loader.session_date(now_us),
            hold_us=read_settings(session).release_hold_s * 1_000_000 if standing.kills else 0,
            loss_hold_us=SAME_DAY_HOLD_US,
            scope=standing.owner,
            by=by,
            approver=approver,
            typed_scope=typed_scope,
        )
    )
    return early or _book_objection(session, (account,) if account is not None else known, standing.family, now_us)


def _book_objection(session: Session, accounts: tuple[str, ...], family: Family, now_us: int) -> str:
    """Nothing in doubt, a position list fresh enough to trade on, and after a runaway one that agrees with our fills."""
    for account in accounts:
        count, _youngest = runs.in_doubt(session, account)
        if count:
            return f"{count} order(s) of `{account}` were sent and never answered: reconcile first"
        header = session.row(books.LATEST_SNAPSHOT, account=account, kind="positions")
        if header is None or now_us - header[1] > SNAPSHOT_FRESH_US:
            return f"the position list of `{account}` is old or missing: `riskguard sweep --once` first"
        if family is Family.RUNAWAY:
            session.read_heads(account)
            book = loader.load_book(session, account, now_us).account
            differs = [
                f"{segment}:{security} {product} (ours {line.net}, the broker's {line.seen})"
                for (segment, security), lines in sorted(book.positions.items())
                for product, line in lines.items()
                if line.seen is not None and line.seen != line.net
            ]
            if differs:
                return f"the books of `{account}` differ: {differs[0]}: reconcile first"
    return ""


def _switch_objection(lock: BrokerLock | None) -> str:
    """Return why the broker's own switch forbids a release; without one to ask there is nothing to know."""
    if lock is None:
        return ""
    try:
        is_locked = lock.is_locked()
    except Exception as e:  # whatever the adapter raises: a switch nobody could read may be on
        return f"the broker's own kill switch cannot be read ({redacted(str(e))[:200]}): try again"
    if is_locked:
        return "the broker's own kill switch is on: `riskguard release --unlock-broker`, or switch it off in its app"
    return ""


def set_baseline(store: Store, account: str, *, day_pnl: str, by: str, reason: str, clock: Clock | None = None) -> int:
    """
    Say what the day has made or lost where riskguard cannot know it; it may only lower the figure. Returns 1/10000 ₹.

    Raises ReportInvalidError for a profit, a malformed figure, or one above what is known already.
    """
    try:
        day_pnl_e4 = to_e4(day_pnl)
    except ValueError as e:
        raise ReportInvalidError(f"`--day-pnl` = {day_pnl[:40]}: {e}") from None
    if day_pnl_e4 > 0:
        raise ReportInvalidError(
            f"`--day-pnl` = {rupees(day_pnl_e4)}: it may only lower the day's figure, so 0 or less"
        )
    now_us = (clock or SystemClock()).now_us()
    with store.session(durable=True, wait_s=WAIT_S) as session:
        known = tuple(row[0] for row in session.rows(ACCOUNTS))
        if account not in known:
            raise UnknownAccountError(account, known)
        session.read_heads(account)
        baseline.lower(session, account, day_pnl_e4, by, reason, now_us)
        session.read_heads(account)
        journal.append(session, account, "BASELINE", {"day_pnl_e4": day_pnl_e4, "by": by, "reason": reason}, now_us)
    return day_pnl_e4
