"""What stops a scope, what of it a release takes back, and what forbids that now."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from riskguard.core.release import PROBATION, Family, Waiting, family_of, goes_on_probation, objection
from riskguard.core.state import NARROW, Cause, TradingState, severest
from riskguard.errors import UnknownAccountError
from riskguard.services.settings import read_settings
from riskguard.store import books, controls, halt, loader, runs, watches
from riskguard.store.session import ACCOUNTS, GLOBAL, Session, Store

SAME_DAY_HOLD_US = 30 * 60 * 1_000_000
"""A loss released the same day is held this long first, with a second approver who types the scope's name."""
SNAPSHOT_FRESH_US = 120_000_000


@dataclass(frozen=True, slots=True)
class Standing:
    """What stops one scope: kills by id (cause, started), the causes apart from them, and what stops it from above."""

    owner: str
    only: str
    kills: dict[str, tuple[str, int]]
    latched: tuple[Cause, ...]  # of the latch itself
    apart: tuple[Cause, ...]  # raised by limits and sweeps
    above: tuple[Cause, ...]  # of GLOBAL and the group: a release of this scope leaves them
    family: Family
    since_us: int  # of the newest of what is released; 0: nobody knows
    unreadable: str  # a halt directory nobody can list: it may hold kills this does not name
    lost: tuple[Path, ...]  # state directories without their `halt/`: its loss halts everybody, this release ends that

    @classmethod
    def of(cls, session: Session, store: Store, owner: str, group: str, only: str, now_us: int) -> Standing:
        """Read what stands; *owner* is an account or GLOBAL, *only* one part of it."""
        # By the account a cause was raised for, not by its scope: a loss of the group may stand against one account.
        own = controls.own_causes(session, owner)
        wider = [] if owner == GLOBAL else controls.standing_causes(session, GLOBAL, group)
        apart = tuple(each for each in own if not only or each.scope == only)
        names, lost, unreadable = _flags(store)
        latched = controls.kill_causes(session, owner, group)
        above = (
            *(each for each in latched if _is_above(each, owner)),
            *wider,
            *_flags_above(names, owner),
        )
        kills: dict[str, tuple[str, int]] = {}
        if only:
            latched = []
        else:
            kills = _kills(session, names, owner)
            latched = [each for each in latched if not _is_above(each, owner)]
        # A kill that is a row alone (plain SQL, not adopted yet) is a kill like any other: without its code a soft
        # cause beside it would make the whole look as if it cleared itself.
        family = family_of(
            [*(cause for cause, _started in kills.values()), *(each.code for each in (*latched, *apart))]
        )
        deciding = [each.since_us for each in apart if family is not Family.LOSS or family_of([each.code]) is family]
        # The row's time is whatever SQL wrote: one that is still to come says nothing.
        deciding += [each.since_us for each in latched if each.since_us <= now_us]
        since_us = max([*(started for _cause, started in kills.values()), *deciding], default=0)
        return cls(owner, only, kills, tuple(latched), apart, above, family, since_us, unreadable, lost)

    @property
    def causes(self) -> tuple[Cause, ...]:
        return (*self.latched, *self.apart)

    def losses(self) -> tuple[Cause, ...]:
        """Return what the lost directories stop: everybody."""
        return tuple(
            Cause(GLOBAL, TradingState.HALTED, "HALT_DIRECTORY", _lost(each), "riskguard", 0) for each in self.lost
        )

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

    def own_state(self) -> TradingState:
        """Return the state of the scope itself after a release."""
        return TradingState.REDUCE_ONLY if self.goes_on_probation() or self.stays() else TradingState.ACTIVE

    def returns_to(self) -> TradingState:
        """Return what the scope admits after a release: what stops it from above goes on stopping it."""
        return max(self.own_state(), severest(self.above))


def _is_above(cause: Cause, owner: str) -> bool:
    return owner != GLOBAL and (cause.scope == GLOBAL or cause.scope.startswith("GROUP:"))


def _lost(directory: Path) -> str:
    return f"the halt directory {directory / halt.HALT} is missing: a release makes it anew"


def _flags(store: Store) -> tuple[list[str], tuple[Path, ...], str]:
    """
    Return the flags of every halt directory, where one is missing, and why one cannot be listed.

    A missing directory halts, and holds nothing: a person's release is what makes it anew.
    """
    names: list[str] = []
    lost: list[Path] = []
    for directory in store.directories:
        path = directory / halt.HALT
        try:
            names += os.listdir(path)
        except FileNotFoundError:
            lost.append(directory)
        except OSError as e:
            return names, tuple(lost), f"a halt directory is unreadable ({e}): mend it, then release"
    return names, tuple(lost), ""


def _flags_above(names: list[str], owner: str) -> list[Cause]:
    if owner == GLOBAL:
        return []
    found = {kill_id for scope, kill_id in map(halt.parse_flag, names) if scope == GLOBAL}
    return [
        Cause(GLOBAL, TradingState.HALTED, "FLAG_FILE", "a halt flag stands", "", 0, each) for each in sorted(found)
    ]


def _kills(session: Session, names: list[str], owner: str) -> dict[str, tuple[str, int]]:
    """Return the kills a release of *owner* ends: {kill id: (cause, started)}; rows and flags alike."""
    released = controls.released_kills(session)
    own_scope = halt.scope_name(None if owner == GLOBAL else owner)
    found = {
        kill_id: (cause, started_us)
        for kill_id, cause, started_us in session.rows(runs.KILLS_OF_SCOPE, scope=own_scope)
        if kill_id not in released
    }
    for name in names:
        scope, kill_id = halt.parse_flag(name)
        if scope == own_scope and kill_id not in found:
            found[kill_id] = ("FLAG_FILE", 0)
    return found


def let_go(session: Session, standing: Standing, by: str, reason: str, action_id: int, now_us: int) -> None:
    """Take the causes back, inside the open action."""
    owner = standing.owner
    if standing.only:
        controls.clear_scope(session, owner, standing.only, action_id, now_us)
        return
    controls.unlatch(session, owner, by, reason, action_id, now_us)
    controls.clear_causes(session, owner, TradingState.HALTED, action_id, now_us)
    if not standing.stays():
        controls.clear_causes(session, owner, TradingState.REDUCE_ONLY, action_id, now_us)
    watches.rearm(session, owner, now_us)
    runs.end_kills(session, tuple(sorted(standing.kills)), f"released by {by}", now_us)
    if standing.goes_on_probation():
        what = {Family.LOSS: "a loss", Family.RUNAWAY: "a runaway", Family.BROKER: "the broker's switch"}
        said = f"probation after {what[standing.family]}: `riskguard release` again makes it ACTIVE"
        cause = Cause(f"ACCOUNT:{owner}", TradingState.REDUCE_ONLY, PROBATION, said, by, now_us)
        controls.raise_cause(session, owner, cause)


def concerned(session: Session, account: str | None) -> tuple[tuple[str, ...], str]:
    """
    Return the accounts whose books a release of *account* rests on (all of them for GLOBAL), and its group.

    Raises UnknownAccountError.
    """
    groups = {name: group for name, _role, group, _broker in session.rows(ACCOUNTS)}
    if account is None:
        return tuple(groups), ""
    if account not in groups:
        raise UnknownAccountError(account, tuple(groups))
    return (account,), groups[account] or ""


def objection_to(
    session: Session, standing: Standing, accounts: tuple[str, ...], by: str, approver: str, typed_scope: str,
    now_us: int,
) -> str:  # fmt: skip
    """Return the precondition that does not hold, "" when all do. The broker's switch is asked apart: see `switches`."""
    if standing.unreadable:
        return standing.unreadable
    if standing.lost and standing.owner != GLOBAL:
        everybody = tuple(row[0] for row in session.rows(ACCOUNTS))
        if standing.only or len(everybody) > 1:
            return _lost_for_all(standing)
    only = standing.only
    if only and only.partition(":")[0] not in NARROW:
        kinds = ", ".join(sorted(NARROW))
        return (
            f"`--only {only}`: wants a part of the account ({kinds}, like `STRATEGY:dip`); leave it out for the whole"
        )
    if only and not standing.apart:
        return f"nothing stops `{only}`: `riskguard status` shows what does"
    since_us = standing.since_us
    is_killed = bool(standing.kills or standing.latched)
    early = objection(
        Waiting(
            family=standing.family,
            held_us=now_us - since_us if since_us else None,
            is_same_session=loader.session_date(since_us) == loader.session_date(now_us),
            hold_us=read_settings(session).release_hold_s * 1_000_000 if is_killed else 0,
            loss_hold_us=SAME_DAY_HOLD_US,
            scope=standing.owner,
            by=by,
            approver=approver,
            typed_scope=typed_scope,
        )
    )
    return early or _book_objection(session, accounts, standing.family, now_us)


def _lost_for_all(standing: Standing) -> str:
    """The loss of a directory halts everybody: who releases less than everybody has not said that it is settled."""
    part = f"`{standing.only}` of `{standing.owner}`" if standing.only else f"`{standing.owner}` alone"
    whole = "`riskguard release --all`"
    return (
        f"the halt directory {standing.lost[0] / halt.HALT} is missing, which halts every account, and a release of {part} "
        f"does not say that the others may go on: {whole} brings it back"
    )


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
