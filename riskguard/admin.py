"""
What a strategy must not be able to do to itself: apply limits, release a halt, set a baseline.

Import it in operators' tools, never in a strategy. Each act names a person and is journaled before it counts.
"""

from __future__ import annotations

from dataclasses import dataclass

from riskguard.clock import SystemClock
from riskguard.core.money import rupees, to_e4
from riskguard.core.rulebook import Change, parse
from riskguard.core.state import Cause, TradingState
from riskguard.errors import ReleaseRefusedError, ReportInvalidError, UnknownAccountError
from riskguard.ports import Clock
from riskguard.services.kill import latch
from riskguard.services.limits import rulebooks
from riskguard.services.settings import read_settings
from riskguard.store import books, controls, halt, journal, loader, runs
from riskguard.store.session import ACCOUNTS, GLOBAL, Session, Store

WAIT_S = 5.0
SAME_DAY_HOLD_US = 30 * 60 * 1_000_000
"""A loss released the same day is held this long first, with a second approver who types the scope's name."""
LOSS_CAUSES = frozenset({"DAILY_LOSS"})
SNAPSHOT_FRESH_US = 120_000_000


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
    if approver and _same_person(approver, by):
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


def _same_person(one: str, other: str) -> bool:
    return one.strip().casefold() == other.strip().casefold()


@dataclass(frozen=True, slots=True)
class Release:
    """What was released, and what the scope admits now."""

    scope: str
    state: TradingState
    kill_ids: tuple[str, ...]
    said: str


def release(
    store: Store, account: str | None, *, by: str, reason: str, approver: str = "", typed_scope: str = "",
    clock: Clock | None = None,
) -> Release:  # fmt: skip
    """
    Release *account*, or GLOBAL when None. Never touches the day's baseline; if a loss still stands, the next
    sweep trips again.

    A manual kill is held for the `release_hold_s` setting. A loss is held to the next session, or, the same
    day, 30 minutes with a second *approver* and the scope's name typed; it returns to REDUCE_ONLY.

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
    with store.session(durable=True, wait_s=WAIT_S) as session:
        known = tuple(row[0] for row in session.rows(ACCOUNTS))
        if account is not None and account not in known:
            raise UnknownAccountError(account, known)
        session.read_heads(owner)
        session.read_heads(GLOBAL)
        kills = _standing_kills(session, store, owner)
        is_loss = any(cause in LOSS_CAUSES for cause, _started in kills.values()) or _loss_stands(session, owner)
        _check_waits(session, kills, is_loss, owner, approver, by, typed_scope, now_us)
        _check_book(session, (account,) if account is not None else known, now_us)
        kill_ids = tuple(sorted(kills))
        action_id = controls.open_action(session, owner, "RELEASE", by, reason, now_us, " ".join(kill_ids))
        override = {"approver": approver} if approver else {}
        contents = {"scope": owner, "kill_ids": list(kill_ids), "by": by, "reason": reason, "loss": is_loss, **override}
        head = journal.append(session, owner, "RELEASE", contents, now_us)
        controls.unlatch(session, owner, by, reason, action_id, now_us)
        controls.clear_causes(session, owner, TradingState.HALTED, action_id, now_us)
        controls.clear_causes(session, owner, TradingState.REDUCE_ONLY, action_id, now_us)
        session.run(runs.REARM_WATCHES, of_account=owner)
        runs.end_kills(session, kill_ids, f"released by {by}", now_us)
        state = TradingState.ACTIVE
        if is_loss and owner != GLOBAL:
            state = TradingState.REDUCE_ONLY
            said = "probation after a loss: `riskguard release` again makes it ACTIVE"
            controls.raise_cause(session, owner, Cause(f"ACCOUNT:{owner}", state, "PROBATION", said, by, now_us))
        controls.close_action(session, action_id, head.sequence)
        above = controls.kill_causes(session, owner, "") if owner != GLOBAL else []
        generation = controls.advance_generation(session, halt.read_generation(store.path) or 0)
    latch.after_commit(store, generation)
    halt.lower_flags(store.directories, frozenset(kill_ids))
    said = f"{owner} is {state.name}; {len(kill_ids)} kill(s) released by {by}"
    if above:
        state = TradingState.HALTED
        said = f"{owner} stays HALTED: {above[0].sentence()}; {len(kill_ids)} kill(s) of its own released by {by}"
    return Release(owner, state, kill_ids, said)


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


def _loss_stands(session: Session, owner: str) -> bool:
    standing = controls.standing_causes(session, owner, "")
    return any(cause.code in LOSS_CAUSES for cause in standing)


def _check_waits(
    session: Session, kills: dict[str, tuple[str, int]], is_loss: bool, owner: str, approver: str, by: str,
    typed_scope: str, now_us: int,
) -> None:  # fmt: skip
    settings = read_settings(session)
    started_us = max((started for _cause, started in kills.values()), default=0)
    held_us = now_us - started_us
    if not is_loss:
        wait_us = settings.release_hold_s * 1_000_000
        if started_us and held_us < wait_us:
            left_s = -((held_us - wait_us) // 1_000_000)
            raise ReleaseRefusedError(f"held for {settings.release_hold_s} s after a kill: {left_s} s are left")
        return
    since = [cause.since_us for cause in controls.standing_causes(session, owner, "") if cause.code in LOSS_CAUSES]
    started_us = max([started_us, *since])
    if loader.session_date(started_us) != loader.session_date(now_us):
        return
    if not approver or approver == by:
        raise ReleaseRefusedError("a loss is released next session, or today with a second person: `--approver NAME`")
    if typed_scope != owner:
        raise ReleaseRefusedError(f"type the scope's name to release a loss today: `--scope {owner}`")
    if now_us - started_us < SAME_DAY_HOLD_US:
        left_s = (SAME_DAY_HOLD_US - (now_us - started_us)) // 1_000_000
        raise ReleaseRefusedError(f"a loss is held for 30 minutes: {left_s} s are left")


def _check_book(session: Session, accounts: tuple[str, ...], now_us: int) -> None:
    """Nothing in doubt, and a position list fresh enough to trade on."""
    for account in accounts:
        count, _youngest = runs.in_doubt(session, account)
        if count:
            raise ReleaseRefusedError(f"{count} order(s) of `{account}` were sent and never answered: reconcile first")
        header = session.row(books.LATEST_SNAPSHOT, account=account, kind="positions")
        if header is None or now_us - header[1] > SNAPSHOT_FRESH_US:
            raise ReleaseRefusedError(
                f"the position list of `{account}` is old or missing: `riskguard sweep --once` first"
            )


def set_baseline(store: Store, account: str, *, day_pnl: str, by: str, reason: str, clock: Clock | None = None) -> int:
    """
    Say what the day had made or lost before riskguard watched; it may only lower the figure. Returns 1/10000 ₹.

    Raises ReportInvalidError for a profit, a malformed figure, or a baseline that stands already.
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
        date = loader.session_date(now_us)
        wrote = books.write_baseline(
            session, account, date, now_us, source="PERSON", opening_equity_e4=None, adjustment_e4=day_pnl_e4, by=by,
            reason=reason,
        )  # fmt: skip
        if not wrote:
            raise ReportInvalidError(f"`{account}` has a baseline for {date} already; a day is never re-based")
        journal.append(session, account, "BASELINE", {"day_pnl_e4": day_pnl_e4, "by": by, "reason": reason}, now_us)
    return day_pnl_e4
