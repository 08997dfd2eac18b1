"""
Release: a person, a reason, preconditions; it names the kills it ends, and never touches the day's figures.
"""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable
from typing import Any

import pytest

from riskguard import admin
from riskguard.core.release import Family
from riskguard.core.seen import SeenPosition
from riskguard.core.state import Cause, TradingState
from riskguard.errors import (
    BrokerUnconfirmedError,
    ReleaseRefusedError,
    StoreUnavailableError,
    UnknownAccountError,
)
from riskguard.services import overview
from riskguard.services.kill import killswitch
from riskguard.services.kill.killrun import KillRunner
from riskguard.services.kill.killswitch import engage
from riskguard.services.sweeps.sweeper import Sweeper
from riskguard.store import books, controls, halt
from tests.core.tables import Row, table
from tests.services.desk import ACCOUNT, DAY, REFUSED, Desk
from tests.services.killing import quote_all, rest

MINUTE = 60


def release(desk: Desk, account: str | None = ACCOUNT, **how: Any) -> admin.Release:
    return admin.release(desk.store, account, **{"by": "asha", "reason": "understood", "clock": desk.clock, **how})


def refused(desk: Desk, account: str | None = ACCOUNT, **how: Any) -> str:
    """Return why a release is refused; the scope must be as halted as before."""
    before = desk.rows("SELECT count(*), max(id) FROM control_actions")
    with pytest.raises(ReleaseRefusedError) as said:
        release(desk, account, **how)
    assert desk.rows("SELECT count(*), max(id) FROM control_actions") == before
    assert desk.guard.state(account or ACCOUNT).state is TradingState.HALTED
    return str(said.value)


def lose(desk: Desk, loss: str = "90") -> None:
    """Trip the daily loss limit at once: 100 shares from ₹1,000 down to 10 × *loss* below the limit's 150 %."""
    desk.hold(100, "1000")
    desk.quote(loss + "0")
    desk.sweep()
    assert desk.rows("SELECT cause FROM kill_runs") == [("DAILY_LOSS",)]


# -- a manual kill ----------------------------------------------------------------------------------------------------

HELD = table("""
    hold_s  after_s    released
    60      0          no
    60      59.999999  no
    60      60         yes
    60      3600       yes
    0       0          yes
    300     299        no
    300     300        yes
""")


@pytest.mark.parametrize("row", HELD, ids=str)
def test_a_manual_kill_is_held_first(make_desk: Callable[..., Desk], row: Row) -> None:
    """Exactly the hold is enough; a second kill meanwhile starts it anew."""
    desk = make_desk(hold_s=row.number("hold_s"))
    desk.sweep()
    desk.kill()
    desk.clock.advance(float(row.after_s))
    desk.sweeper.sweep(now=True)
    if row.has("released"):
        done = release(desk)
        assert (done.scope, done.state, len(done.kill_ids)) == (ACCOUNT, TradingState.ACTIVE, 1)
        assert desk.guard.check(desk.order()).approved and desk.flags() == []
    else:
        assert "held for" in refused(desk)


def test_the_latest_kill_starts_the_hold(desk: Desk) -> None:
    desk.kill()
    desk.sweep(50)
    desk.kill()
    desk.sweep(50)
    assert "10 s are left" in refused(desk)
    desk.sweep(10)
    assert len(release(desk).kill_ids) == 2


WORDS = table("""
    by     reason       released
    asha   understood   yes
    asha   abc          yes
    asha   ab           no
    asha   blank        no
    blank  understood   no
""")


@pytest.mark.parametrize("row", WORDS, ids=str)
def test_it_wants_a_person_and_a_reason(desk: Desk, row: Row) -> None:
    desk.kill()
    desk.sweep(60)
    said = {"by": "  " if row.by == "blank" else row.by, "reason": "   " if row.reason == "blank" else row.reason}
    if row.has("released"):
        release(desk, **said)
        assert desk.rows("SELECT by_whom, reason FROM control_actions WHERE kind = 'RELEASE'") == [(row.by, row.reason)]
    else:
        refused(desk, **said)


def test_an_unknown_account_is_not_released(desk: Desk) -> None:
    with pytest.raises(UnknownAccountError):
        release(desk, "laeder")


# -- the book -------------------------------------------------------------------------------------------------------

DOUBT = table("""
    state     released
    GRANTED   yes
    ACKED     yes
    FILLED    yes
    REFUSED   yes
    SENT      no
    UNKNOWN   no
""")


@pytest.mark.parametrize("row", DOUBT, ids=str)
def test_nothing_may_be_in_doubt(desk: Desk, row: Row) -> None:
    """An order that was sent and never answered may be resting at the broker."""
    desk.guard.check(desk.order())
    desk.kill()
    desk.sweep(60)
    desk.sql("UPDATE permits SET state = ?", row.state)
    if row.has("released"):
        release(desk)
    else:
        assert "never answered" in refused(desk)


AGES = table("""
    age_s       released
    0           yes
    120         yes
    120.000001  no
    -           no
""")


@pytest.mark.parametrize("row", AGES, ids=str)
def test_the_position_list_must_be_fresh(desk: Desk, row: Row) -> None:
    """Two minutes; without a list at all nobody knows what is held."""
    desk.kill()
    desk.sweep(60)
    if row.opt("age_s") is None:
        desk.sql("DELETE FROM snapshots")
    else:
        desk.clock.advance(float(row.age_s))
    if row.has("released"):
        release(desk)
    else:
        assert "position list" in refused(desk)


def test_a_lost_halt_directory_is_brought_back_by_a_release(desk: Desk) -> None:
    """Only a person may say that what was lost with it is settled; one that cannot be made is not overlooked."""
    directory = desk.store.directories[0] / halt.HALT
    directory.rmdir()
    assert desk.guard.state(ACCOUNT).state is TradingState.HALTED
    directory.touch()
    assert "halt directory" in refused(desk)
    directory.unlink()
    release(desk)

    assert directory.is_dir() and desk.guard.check(desk.order()).approved


def test_a_release_that_dies_before_its_commit_brings_no_directory_back(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    """Whatever ends it: until the release stands in the journal the directory stays lost, at no moment is it there."""
    directory = desk.store.directories[0] / halt.HALT
    directory.rmdir()
    seen: list[bool] = []

    def ends(*_args: Any) -> int:
        seen.append(directory.exists())
        raise MemoryError

    with monkeypatch.context() as patched, pytest.raises(MemoryError):
        patched.setattr(controls, "advance_generation", ends)
        release(desk)

    assert seen == [False] and not directory.exists() and not desk.guard.check(desk.order()).approved
    release(desk)
    assert directory.is_dir() and desk.guard.check(desk.order()).approved


def test_a_directory_that_cannot_be_made_stays_lost_after_a_release(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk takes no new directory: the release stands and says that everybody is still halted, and by what."""
    desk.kill()
    desk.sweep(61)
    directory = desk.store.directories[0] / halt.HALT
    shutil.rmtree(directory)

    def full(_directory: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(halt, "prepare", full)
        done = release(desk)
    assert done.state is TradingState.HALTED and "stays HALTED: a halt directory cannot be made" in done.said
    assert not desk.guard.check(desk.order()).approved
    assert release(desk).state is TradingState.ACTIVE and desk.guard.check(desk.order()).approved


LOST = table("""
    accounts  released  only          said
    1         leader    -             -
    1         leader    STRATEGY:dip  `STRATEGY:dip`_of_`leader`
    2         leader    -             `leader`_alone
    2         leader    STRATEGY:dip  `STRATEGY:dip`_of_`leader`
    2         all       -             -
""")


@pytest.mark.parametrize("row", LOST, ids=str)
def test_what_halts_everybody_is_brought_back_for_everybody_or_not_at_all(
    make_desk: Callable[..., Desk], row: Row
) -> None:  # fmt: skip
    """A lost directory halts all accounts, and may have held the kill of any: a release of less than all is refused."""
    names = (ACCOUNT, "follower")[: int(row.accounts)]
    desk = make_desk(accounts=names)
    for name in names:
        desk.guard.report_positions([], account=name)
    how: dict[str, Any] = {}
    if row.only != "-":
        raise_cause(desk, "SLIPPAGE", TradingState.REDUCE_ONLY, row.only)
        how = {"only": row.only}
    desk.sweep(0)
    directory = desk.store.directories[0] / halt.HALT
    shutil.rmtree(directory)
    account = None if row.released == "all" else row.released
    reviewed = admin.review(desk.store, account, clock=desk.clock, **how)
    if row.said != "-":
        said = refused(desk, account, **how)
        assert row.said.replace("_", " ") in said and "`riskguard release --all`" in said and str(directory) in said
        assert reviewed.objection == said and not directory.exists()
        assert all(desk.guard.state(name).state is TradingState.HALTED for name in names)
    else:
        assert reviewed.objection == "" and reviewed.returns_to is TradingState.ACTIVE
        assert f"`{directory}` is there again" in release(desk, account, **how).said
        assert all(desk.guard.state(name).state is TradingState.ACTIVE for name in names)
        ((entry,),) = desk.rows("SELECT body FROM decisions WHERE kind = 'RELEASE'")
        assert str(directory) in str(entry)


def test_a_release_that_is_refused_brings_no_directory_back(desk: Desk) -> None:
    """Its loss halts everybody; a release that does not hold its preconditions must not let them go by trying."""
    desk.kill()
    directory = desk.store.directories[0] / halt.HALT
    shutil.rmtree(directory)
    assert "held" in refused(desk) or not directory.is_dir()

    assert not directory.is_dir() and desk.guard.state(ACCOUNT).state is TradingState.HALTED
    desk.sweep(61)
    release(desk)
    assert directory.is_dir() and desk.guard.check(desk.order()).approved


# -- what it returns to ------------------------------------------------------------------------------------------------


def raise_cause(desk: Desk, code: str, state: TradingState, scope: str = f"ACCOUNT:{ACCOUNT}") -> None:
    """Let a limit or a sweep have stopped something, now."""
    with desk.store.session(durable=True, wait_s=1.0) as session:
        session.read_heads(ACCOUNT)
        controls.raise_cause(session, ACCOUNT, Cause(scope, state, code, "seen", "sweep", desk.clock.now_us()))


RETURNS = table("""
    before                 killed  returns_to
    -                      yes     ACTIVE
    FEED_HEALTH            yes     REDUCE_ONLY
    TRADES_PER_DAY         yes     REDUCE_ONLY
    FEED_HEALTH            no      ACTIVE
    RECONCILIATION:HALTED  no      REDUCE_ONLY
    RECONCILIATION:HALTED  yes     REDUCE_ONLY
    LIMIT_BREACHED:HALTED  no      REDUCE_ONLY
    BROKER_SWITCH:HALTED   no      REDUCE_ONLY
""")


@pytest.mark.parametrize("row", RETURNS, ids=str)
def test_it_returns_to_what_its_cause_says(desk: Desk, row: Row) -> None:
    """A manual kill to the state before it; a runaway and the broker's switch to REDUCE_ONLY, which another ends."""
    if row.opt("before"):
        code, _, state = row.before.partition(":")
        raise_cause(desk, code, TradingState[state or "REDUCE_ONLY"])
    if row.has("killed"):
        desk.kill()
    desk.sweep(61)
    assert admin.review(desk.store, ACCOUNT, clock=desk.clock).returns_to is TradingState[row.returns_to]

    assert release(desk).state is TradingState[row.returns_to] is desk.guard.state(ACCOUNT).state
    if row.returns_to == "REDUCE_ONLY" and "HALTED" in row.before:
        assert [each.code for each in desk.guard.state(ACCOUNT).causes] == ["PROBATION"]
        assert release(desk, reason="second look").state is TradingState.ACTIVE


def test_a_runaway_wants_books_that_agree(desk: Desk) -> None:
    """While the broker's list and our fills differ it stays halted; a manual kill does not ask that."""
    desk.hold(10)
    raise_cause(desk, "RECONCILIATION", TradingState.HALTED)
    desk.sweep(61)
    with desk.store.session(durable=True, wait_s=1.0) as session:
        session.read_heads(ACCOUNT)
        seen = (SeenPosition("NSE_EQ", "1333", "INTRADAY", 7),)
        snapshot = books.begin_snapshot(session, ACCOUNT, "positions", desk.clock.now_us(), 1, "test")
        books.add_positions(session, ACCOUNT, snapshot, desk.clock.now_us(), seen)
        books.complete_snapshot(session, snapshot)
    said = refused(desk)
    assert "differ" in said and "ours 10, the broker's 7" in said

    desk.sweep()
    assert release(desk).state is TradingState.REDUCE_ONLY


def test_one_stopped_strategy_is_released_by_its_name(desk: Desk) -> None:
    """`only` gives one part back and leaves the rest; what is not stopped cannot be given back."""
    for name in ("dip", "trend"):
        raise_cause(desk, "LIMIT_BREACHED", TradingState.HALTED, f"STRATEGY:{name}")
    desk.sweep(61)
    with pytest.raises(ReleaseRefusedError, match="nothing stops `STRATEGY:other`"):
        release(desk, only="STRATEGY:other")
    assert not desk.guard.check(desk.order("BUY", 1, strategy="dip")).approved

    assert release(desk, only="STRATEGY:dip").kill_ids == ()

    assert desk.guard.check(desk.order("BUY", 1, strategy="dip")).approved
    assert not desk.guard.check(desk.order("BUY", 1, strategy="trend")).approved


class Switch:
    """A broker's own kill switch: on, off, or silent; *stuck* takes requests and does nothing. Keeps what it was asked."""

    def __init__(self, answer: bool | None, *, stuck: str = "") -> None:
        self.answer = answer
        self.stuck = stuck
        self.asked: list[str] = []

    def lock(self) -> None:
        self.asked.append("lock")
        self.answer = True if self.stuck != "off" else self.answer

    def unlock(self) -> None:
        self.asked.append("unlock")
        self.answer = False if self.stuck != "on" else self.answer

    def is_locked(self) -> bool:
        if self.answer is None:
            raise BrokerUnconfirmedError("killswitch", "", 3.0)
        return self.answer


SWITCHES = table("""
    answer  refused
    off     -
    on      is on
    silent  cannot be read
""")


@pytest.mark.parametrize("row", SWITCHES, ids=str)
def test_the_brokers_own_switch_must_read_off(desk: Desk, row: Row) -> None:
    """On refuses, and so does one nobody can read: local and broker state would disagree."""
    desk.kill()
    desk.sweep(61)
    switch = Switch({"off": False, "on": True, "silent": None}[row.answer])
    if row.opt("refused"):
        assert row.refused in refused(desk, locks={ACCOUNT: switch})
        switch.unlock()
    assert release(desk, locks={ACCOUNT: switch}).state is TradingState.ACTIVE


# -- the broker's switch, switched off for the release ------------------------------------------------------------------


def test_the_switch_goes_off_after_every_precondition(desk: Desk) -> None:
    """A release that is refused never touches it; one that goes through switches it off, and reads it back first."""
    desk.kill()
    desk.sweep(59)
    switch = Switch(True)
    how: dict[str, Any] = {"locks": {ACCOUNT: switch}, "unlock": True}
    assert "1 s are left" in refused(desk, **how)
    assert switch.asked == [] and switch.answer is True
    assert "1 s are left" in admin.review(desk.store, ACCOUNT, clock=desk.clock, **how).objection

    desk.sweep(1)
    assert admin.review(desk.store, ACCOUNT, clock=desk.clock, **how).objection == "" and switch.asked == []
    assert release(desk, **how).state is TradingState.ACTIVE
    assert switch.asked == ["unlock"] and switch.answer is False


def test_a_release_that_fails_after_the_switch_went_off_switches_it_on_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database fails in between: the account stays halted here and at the broker, and the error says so."""
    desk.kill()
    desk.sweep(61)
    for stuck, said in (("", "is on again"), ("off", "could not be switched on again")):
        switch = Switch(True, stuck=stuck)
        with monkeypatch.context() as hook, pytest.raises(StoreUnavailableError) as failed:
            hook.setattr(controls, "close_action", _no_room)
            release(desk, locks={ACCOUNT: switch}, unlock=True)
        assert switch.asked == ["unlock", "lock"]
        assert any(said in note and f"`{ACCOUNT}`" in note for note in failed.value.__notes__)
        assert desk.guard.state(ACCOUNT).state is TradingState.HALTED


def _no_room(*_args: object) -> None:
    raise StoreUnavailableError("close the act")


def test_a_switch_that_takes_the_request_and_stays_on_is_refused(make_desk: Callable[..., Desk]) -> None:
    """Only the read-back counts; what was switched off before it is on again, each account's by its name."""
    desk = make_desk(accounts=(ACCOUNT, "follower"))
    desk.sweep()
    desk.kill()
    desk.sweep(61)
    first, second = Switch(True), Switch(True, stuck="on")

    said = refused(desk, locks={ACCOUNT: first, "follower": second}, unlock=True)

    assert "`follower` still reads on" in said and "`leader`, `follower` is on again" in said
    assert first.asked == ["unlock", "lock"] and first.answer is True


def test_every_accounts_switch_is_asked_for_a_global_release(make_desk: Callable[..., Desk]) -> None:
    """One that is on, of whichever account, keeps GLOBAL halted."""
    desk = make_desk(accounts=(ACCOUNT, "follower"))
    from riskguard.services.sweeps.sweeper import Sweeper

    desk.sweep()
    Sweeper(desk.guard, "follower", desk.join_market("follower")).sweep()
    desk.kill(None)
    desk.clock.advance(60)
    desk.sweeper.sweep(now=True)
    Sweeper(desk.guard, "follower", desk.join_market("follower")).sweep(now=True)
    locks = {ACCOUNT: Switch(False), "follower": Switch(True)}

    assert "of `follower` is on" in refused(desk, None, locks=locks)
    locks["follower"].unlock()
    assert release(desk, None, locks=locks).state is TradingState.ACTIVE


# -- what `only` and plain SQL may not get round -------------------------------------------------------------------------

PARTS = table("""
    only                 part
    ACCOUNT:leader       no
    GLOBAL               no
    leader               no
    account:leader       no
    strategy:dip         no
    STRATEGY:dip         yes
    SEGMENT:NSE_EQ       yes
    UNDERLYING:NIFTY     yes
    INSTRUMENT:NSE_EQ:1  yes
""")


@pytest.mark.parametrize("row", PARTS, ids=str)
def test_only_names_a_part_of_the_account(desk: Desk, row: Row) -> None:
    """The whole account, asked for as a part, would come back without its probation."""
    raise_cause(desk, "RECONCILIATION", TradingState.HALTED)
    raise_cause(desk, "LIMIT_BREACHED", TradingState.HALTED, row.only)
    desk.sweep(61)
    if row.has("part"):
        release(desk, only=row.only)
        assert [each.code for each in desk.guard.state(ACCOUNT).causes] == ["RECONCILIATION"]
    else:
        assert "wants a part of the account" in refused(desk, only=row.only)
        assert "wants a part" in admin.review(desk.store, ACCOUNT, only=row.only, clock=desk.clock).objection


SQL_KILL = """INSERT INTO traders_control (account_type, control_type, kill_switch_status, is_active, created_at, updated_at)
    VALUES ('leader', 'KILL_SWITCH', 'ACTIVE', 1, ?, ?)"""

SQL_KILLS = table("""
    since_s  after_s  released
    0        59       no
    0        60       yes
    9999999  0        yes
""")


@pytest.mark.parametrize("row", SQL_KILLS, ids=str)
def test_a_kill_by_sql_nobody_adopted_yet_is_a_manual_kill(desk: Desk, row: Row) -> None:
    """
    With a soft cause beside it the whole is not soft: the kill is held, and the soft cause stays.

    A row dated to come (SQL may write anything) says nothing of how long it was held, and must not hold for ever.
    """
    desk.sweep()
    raise_cause(desk, "FEED_HEALTH", TradingState.REDUCE_ONLY)
    desk.sweep(61)
    since_s = desk.clock.now_us() // 1_000_000 + row.number("since_s")
    desk.sql(SQL_KILL, since_s, since_s)
    desk.clock.advance(float(row.after_s))
    found = admin.review(desk.store, ACCOUNT, clock=desk.clock)
    assert desk.one("SELECT count(*) FROM kill_runs") == 0
    assert found.family is Family.MANUAL and found.returns_to is TradingState.REDUCE_ONLY
    if row.has("released"):
        assert release(desk).state is TradingState.REDUCE_ONLY
        assert [each.code for each in desk.guard.state(ACCOUNT).causes] == ["FEED_HEALTH"]
    else:
        assert "held for 60 s" in found.objection and "held for 60 s" in refused(desk)


def test_a_review_says_what_is_wrong_with_the_halt_directories(desk: Desk) -> None:
    """Missing: it halts, and a release makes it anew. No directory at all: the objection. Neither is an exception."""
    directory = desk.store.directories[0] / halt.HALT
    directory.rmdir()
    found = admin.review(desk.store, ACCOUNT, clock=desk.clock)
    assert found.objection == "" or "halt directory" not in found.objection
    assert any("missing" in each for each in found.causes) and found.returns_to is TradingState.ACTIVE
    directory.touch()
    assert "unreadable" in admin.review(desk.store, ACCOUNT, clock=desk.clock).objection
    directory.unlink()


def test_a_loss_of_the_group_that_stands_against_the_account_is_a_loss(desk: Desk) -> None:
    """Its scope is wider than the account, its row is the account's: it is released with it, as a loss."""
    raise_cause(desk, "GROUP_LOSS", TradingState.HALTED, "GROUP:desk")
    desk.sweep(61)
    found = admin.review(desk.store, ACCOUNT, clock=desk.clock)
    assert (found.family, found.returns_to) == (Family.LOSS, TradingState.REDUCE_ONLY)
    assert "next session" in refused(desk)


def test_a_review_says_what_stays_above(desk: Desk) -> None:
    """GLOBAL halts on after the account is released: the review and the release say HALTED, by what."""
    desk.kill()
    desk.kill(None)
    desk.sweep(61)
    found = admin.review(desk.store, ACCOUNT, clock=desk.clock)
    assert found.returns_to is TradingState.HALTED and any(each.startswith("GLOBAL") for each in found.causes)

    done = release(desk)

    assert done.state is TradingState.HALTED and "stays HALTED: GLOBAL" in done.said


def test_a_review_says_everything_and_changes_nothing(desk: Desk) -> None:
    """Scope, cause, numbers, what the kill did, what will be allowed, and why not now."""
    lose(desk)
    desk.sweep()
    before = desk.rows("SELECT count(*) FROM decisions")

    found = admin.review(desk.store, ACCOUNT, by="asha", clock=desk.clock)

    assert found.scope == ACCOUNT and found.family is Family.LOSS and found.returns_to is TradingState.REDUCE_ONLY
    assert any("KILL" in each for each in found.causes)
    assert any("loss ₹10,0" in each and "of ₹5,000.00" in each for each in found.numbers), found.numbers
    assert "next session" in found.objection and "reduce" in found.allows
    assert desk.rows("SELECT count(*) FROM decisions") == before
    assert desk.guard.state(ACCOUNT).state is TradingState.HALTED


# -- a loss ---------------------------------------------------------------------------------------------------------

LOSS = table("""
    after_min  approver  scope   released
    29         ravi      leader  no
    29.999     ravi      leader  no
    30         ravi      leader  yes
    30         -         leader  no
    30         asha      leader  no
    30         ravi      -       no
    30         ravi      Leader  no
    30         ravi      GLOBAL  no
    600        -         -       no
    day        -         -       yes
""")


@pytest.mark.parametrize("row", LOSS, ids=str)
def test_a_loss_is_released_next_session_or_by_two_people_after_30_minutes(desk: Desk, row: Row) -> None:
    """On the same day: a second person, the scope's name typed, half an hour; it returns to REDUCE_ONLY either way."""
    lose(desk)
    desk.clock.advance(DAY / 1_000_000 if row.after_min == "day" else float(row.after_min) * MINUTE)
    desk.sweeper.sweep(now=True)
    how = {"approver": row.opt("approver") or "", "typed_scope": row.opt("scope") or ""}
    if not row.has("released"):
        refused(desk, **how)
        return
    done = release(desk, **how)

    assert done.state is TradingState.REDUCE_ONLY is desk.guard.state(ACCOUNT).state
    assert not desk.guard.check(desk.order("BUY", 1)).approved
    assert desk.guard.check(desk.order("SELL", 1)).approved
    if row.opt("approver"):
        assert '"approver":"ravi"' in desk.one("SELECT body FROM decisions WHERE kind = 'RELEASE'")


MIDNIGHT = table("""
    tripped_at           released_at          released
    2025-06-02T10:30:00  2025-06-02T23:59:59  no
    2025-06-02T10:30:00  2025-06-03T00:00:00  yes
    2025-06-02T10:30:00  2025-06-02T18:30:00  no
    2025-06-02T23:59:40  2025-06-03T00:00:00  yes
    2025-06-03T00:00:00  2025-06-03T23:59:59  no
""")


@pytest.mark.parametrize("row", MIDNIGHT, ids=str)
def test_the_session_is_the_indian_day(desk: Desk, row: Row) -> None:
    """Not the machine's: midnight in India, whatever the day is elsewhere."""
    import datetime as dt

    def us(text: str) -> int:
        moment = dt.datetime.fromisoformat(text + "+05:30")
        return int(moment.timestamp() * 1_000_000)

    desk.clock.at_us = max(desk.clock.at_us, us(row.tripped_at))
    desk.sweep()
    lose(desk)
    desk.clock.at_us = us(row.released_at)
    desk.sweeper.sweep(now=True)
    if row.has("released"):
        assert release(desk).state is TradingState.REDUCE_ONLY
    else:
        assert "next session" in refused(desk)


def test_probation_ends_with_a_second_release(desk: Desk) -> None:
    """After a loss only exits pass until a person looks again."""
    lose(desk)
    desk.sweep(DAY / 1_000_000)
    assert release(desk).state is TradingState.REDUCE_ONLY
    desk.quote("900")
    desk.sweep()
    assert release(desk, reason="second look").state is TradingState.ACTIVE
    assert desk.guard.state(ACCOUNT).state is TradingState.ACTIVE
    assert desk.guard.check(desk.order("BUY", 1)).approved


def test_a_release_changes_nothing_of_the_day_and_a_standing_loss_trips_again(desk: Desk) -> None:
    """Baseline, book and figures stay; the next sweeps see the same loss and kill again: that is right."""
    lose(desk)
    day = "SELECT * FROM day_baselines ORDER BY session_date", "SELECT * FROM day_books"
    before = [desk.rows(query) for query in day]
    desk.sweep(31 * MINUTE)
    release(desk, approver="ravi", typed_scope=ACCOUNT)
    assert [desk.rows(query) for query in day] == before
    assert desk.guard.state(ACCOUNT).state is TradingState.REDUCE_ONLY
    desk.quote("900")
    desk.sweep()

    assert desk.guard.state(ACCOUNT).state is TradingState.HALTED
    assert desk.one("SELECT count(*) FROM kill_runs WHERE cause = 'DAILY_LOSS'") == 2


def test_a_manual_kill_on_top_of_a_loss_is_a_loss(desk: Desk) -> None:
    """The harder precondition of the two counts."""
    lose(desk)
    desk.kill()
    desk.sweep(61)

    assert "next session" in refused(desk)


# -- which kills ------------------------------------------------------------------------------------------------------


def test_it_names_the_kills_it_ends_and_removes_only_their_files(desk: Desk) -> None:
    first, second = desk.kill().kill_id, desk.kill().kill_id
    desk.sweep(60)
    done = release(desk)

    assert set(done.kill_ids) == {first, second}
    assert desk.one("SELECT kill_ids FROM control_actions WHERE kind = 'RELEASE'") == " ".join(sorted((first, second)))
    assert desk.flags() == []


def test_a_kill_that_comes_while_a_release_is_written_stays(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its flag is put after the release has looked, its row waits for the lock: neither is taken away."""
    desk.kill()
    desk.sweep(60)
    raised: list[Any] = []
    plain = controls.close_action

    def late(*args: Any) -> None:
        raised.append(killswitch.raise_flags(desk.url, ACCOUNT, by="late", reason="still wrong", plan="cancel"))
        plain(*args)

    with monkeypatch.context() as hook:
        hook.setattr(controls, "close_action", late)
        done = release(desk)
    assert raised[0][0] not in done.kill_ids
    assert len(desk.flags()) == len(desk.store.directories)
    assert desk.guard.state(ACCOUNT).state is TradingState.HALTED
    outcome = engage(desk.url, ACCOUNT, by="late", reason="still wrong", raised=raised[0], clock=desk.clock)

    assert outcome.exit_status == 0 and not desk.guard.check(desk.order()).approved


def test_a_flag_named_by_a_release_whose_row_comes_later_halts(desk: Desk) -> None:
    """The release saw the flag, the kill's row was still waiting: once it is written the account is halted again."""
    raised = killswitch.raise_flags(desk.url, ACCOUNT, by="late", reason="slow", plan="cancel")
    release(desk)
    assert desk.guard.state(ACCOUNT).state is TradingState.ACTIVE
    outcome = engage(desk.url, ACCOUNT, by="late", reason="slow", raised=raised, clock=desk.clock)

    assert outcome.exit_status == 0 and not desk.guard.check(desk.order()).approved


def test_kill_and_release_at_once_end_as_the_journal_says(make_desk: Callable[..., Desk]) -> None:
    """Thirty races: whichever is journaled last counts, and no flag file contradicts it."""
    desk = make_desk(hold_s=0)
    desk.sweep()
    ends = set()
    for _ in range(30):
        desk.kill()
        start = threading.Barrier(2)

        def pull(start: threading.Barrier = start) -> None:
            start.wait()
            engage(desk.url, ACCOUNT, by="race", clock=desk.clock)

        thread = threading.Thread(target=pull)
        thread.start()
        start.wait()
        release(desk)
        thread.join()
        last = desk.one("SELECT kind FROM decisions WHERE kind IN ('KILL', 'RELEASE') ORDER BY sequence DESC LIMIT 1")
        ends.add(last)
        expected = TradingState.HALTED if last == "KILL" else TradingState.ACTIVE
        assert desk.guard.state(ACCOUNT).state is expected
        assert desk.guard.check(desk.order()).approved == (last == "RELEASE")
        assert (desk.flags() == []) or last == "KILL"
        release(desk)
    assert ends  # which of the two orders came up is the machine's choice


def test_a_global_halt_is_released_apart(make_desk: Callable[..., Desk]) -> None:
    """Releasing one account leaves GLOBAL, releasing GLOBAL leaves the account's own kill."""
    desk = make_desk(accounts=(ACCOUNT, "follower"))
    desk.sweep()
    from riskguard.services.sweeps.sweeper import Sweeper

    Sweeper(desk.guard, "follower", desk.join_market("follower")).sweep()
    desk.kill()
    desk.kill(None)
    desk.sweep(60)
    release(desk)
    assert [cause.scope for cause in desk.guard.state(ACCOUNT).causes if cause.code == "KILL"] == ["GLOBAL"]
    desk.kill()
    desk.sweep(60)
    release(desk, None)

    assert desk.guard.state("follower").state is TradingState.ACTIVE
    assert desk.guard.state(ACCOUNT).state is TradingState.HALTED


def test_a_global_release_wants_the_book_of_every_account(make_desk: Callable[..., Desk]) -> None:
    """The follower was never looked at."""
    desk = make_desk(accounts=(ACCOUNT, "follower"))
    desk.sweep()
    desk.kill(None)
    desk.sweep(60)

    assert "`follower`" in refused(desk, None)


def test_the_kill_run_of_a_released_kill_stops(desk: Desk) -> None:
    """What is allowed again is not cancelled any more, and the run does not come back at the next sweep."""
    desk.quote("100")
    desk.kill()
    desk.sweep(60)
    assert desk.one("SELECT state FROM kill_runs") == "OPEN"
    release(desk)
    resting = desk.place(desk.order(price="90"))
    for _ in range(4):
        desk.sweep()

    assert desk.one("SELECT state FROM kill_runs") == "DONE"
    assert "released" in desk.one("SELECT detail FROM kill_runs")
    assert [(order.order_id, order.is_live) for order in desk.broker.orders()] == [(resting.permit.row.order_id, True)]
    assert KillRunner(desk.guard, ACCOUNT, desk.broker).advance() == []


UNFINISHED = table("""
    plan     sweeps  said
    flatten  0       `flatten`_of_`leader`_is_not_finished,_it_is_at_CANCEL
    flatten  1       `flatten`_of_`leader`_is_not_finished,_it_is_at_CANCEL:_nothing_that_adds_risk_rests
    flatten  9       -
    cancel   1       `cancel`_of_`leader`_is_not_finished,_it_is_at_CANCEL:_nothing_that_adds_risk_rests
    halt     0       -
""")


@pytest.mark.parametrize("row", UNFINISHED, ids=str)
def test_a_release_says_what_its_kill_had_not_finished(desk: Desk, row: Row) -> None:
    """
    A plan that was to close a position and has not is ended, also under another halt: nobody may take it for done.

    The review says so before, the release and the journal after; of what is over, or owes nothing, none of them does.
    """
    desk.quote("100")
    desk.past(desk.order("BUY", 10, "100", product="INTRADAY"))
    desk.sweep()
    desk.kill(None, plan=row.plan)
    desk.kill(plan="cancel")
    for _ in range(row.number("sweeps") - 1):
        desk.clock.advance(3)
        desk.quote("100")
        desk.sweep()
    desk.clock.advance(MINUTE)
    desk.quote("100")
    if row.number("sweeps"):
        desk.sweep()
    expected = row.said.replace("_", " ") if row.said != "-" else ""

    found = admin.review(desk.store, None, clock=desk.clock)
    done = release(desk, None)

    assert [each for each in found.gone if "not finished" in each] == ([expected] if expected else [])
    assert done.said.endswith(f"; {expected}, and ends there" if expected else "released by asha"), done.said
    entry = json.loads(desk.one("SELECT body FROM decisions WHERE kind = 'RELEASE'"))
    assert entry.get("unfinished", []) == ([expected] if expected else [])
    held = sum(each.net for each in desk.broker.positions())
    for _ in range(4):
        desk.clock.advance(3)
        desk.sweep()
    assert sum(each.net for each in desk.broker.positions()) == held == (0 if row.sweeps == "9" else 10)
    assert desk.guard.state(ACCOUNT).state is TradingState.HALTED


class ReleasedMeanwhile:
    """A broker during whose first cancellation somebody releases the account."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.said = ""

    def __getattr__(self, name: str) -> Any:
        return getattr(self.desk.broker, name)

    def cancel(self, order_id: str) -> None:
        self.desk.broker.cancel(order_id)
        if not self.said:
            self.said = release(self.desk).said


@pytest.mark.parametrize("in_the_middle", [True, False])
def test_a_release_names_the_stop_its_kill_took_away_for_an_exit(desk: Desk, in_the_middle: bool) -> None:
    """
    The leg of a super order goes for the exit of its line; a release in that moment ends the run before the exit goes.

    The position stands without its stop: the release says which. One that comes after the exit has nothing to say of it.
    """
    quote_all(desk)
    rest(desk, "supernow10")
    desk.sweep(6)
    desk.kill(plan="flatten")
    desk.clock.advance(MINUTE)
    broker = ReleasedMeanwhile(desk)
    sweeper = Sweeper(desk.guard, ACCOUNT, broker if in_the_middle else desk.broker)
    for _ in range(6):
        desk.clock.advance(3)
        quote_all(desk)
        sweeper.sweep()
    said = broker.said if in_the_middle else release(desk).said

    assert ("on NSE_EQ:1333:INTRADAY was taken away and is not put back" in said) == in_the_middle
    assert sum(each.net for each in desk.broker.positions()) == (10 if in_the_middle else 0)


def test_a_void_permit_stays_void(desk: Desk) -> None:
    """Release gives no order back that the kill took away."""
    order = desk.order()
    desk.guard.check(order)
    desk.kill()
    desk.sweep(60)
    release(desk)

    assert desk.permit("o-1") == "VOID" and not desk.guard.check(order).approved


# -- SQL is no release --------------------------------------------------------------------------------------------

LOWERINGS = table("""
    statement
    UPDATE traders_control SET kill_switch_status = 'INACTIVE' WHERE kill_switch_status = 'ACTIVE'
    UPDATE traders_control SET kill_switch_status = 'off' WHERE kill_switch_status = 'ACTIVE'
    UPDATE traders_control SET is_active = 0 WHERE kill_switch_status = 'ACTIVE'
    UPDATE traders_control SET account_type = 'other' WHERE kill_switch_status = 'ACTIVE'
    UPDATE traders_control SET control_type = 'RISK_LIMIT' WHERE kill_switch_status = 'ACTIVE'
    DELETE FROM traders_control WHERE kill_switch_status = 'ACTIVE'
""")


@pytest.mark.parametrize("row", LOWERINGS, ids=str)
def test_the_database_lowers_no_latch(desk: Desk, row: Row) -> None:
    desk.kill()
    with pytest.raises(REFUSED, match="riskguard release"):
        desk.sql(row.statement)
    assert not desk.guard.check(desk.order()).approved


INACTIVE = (
    "INSERT INTO traders_control (account_type, control_type, kill_switch_status, is_active, created_at, updated_at) "
    "VALUES (?, 'KILL_SWITCH', 'INACTIVE', 1, 1748840400, 1748840400)"
)


def test_inactive_written_over_a_halt_is_refused(desk: Desk) -> None:
    """An INSERT that would supersede the latch with a lower one is no way around it."""
    desk.kill()
    with pytest.raises(REFUSED, match="riskguard release"):
        desk.sql(INACTIVE, ACCOUNT)
    assert not desk.guard.check(desk.order()).approved


@pytest.mark.parametrize("owner", [ACCOUNT, "GLOBAL"])
def test_inactive_without_a_release_behind_it_is_halted(desk: Desk, owner: str) -> None:
    """It takes the place of the row that `init` journaled: from then on nobody stands behind the word."""
    assert desk.guard.check(desk.order()).approved
    desk.sql(INACTIVE, owner)

    assert [each.code.value for each in desk.guard.check(desk.order()).rejects] == ["TRADING_HALTED"]
    assert "UNRELEASED" in {cause.code for cause in desk.guard.state(ACCOUNT).causes}
    desk.sweep(60)
    release(desk, None if owner == "GLOBAL" else owner)
    assert desk.guard.check(desk.order()).approved


def test_the_journal_of_it_all_verifies(desk: Desk) -> None:
    """Kill, refusals, release and another kill: one chain, and every decision replays."""
    for _ in range(2):
        desk.guard.check(desk.order())
        desk.kill()
        desk.guard.check(desk.order())
        desk.sweep(60)
        release(desk)

    for entry in overview.verify(desk.store):
        assert (entry["wrong"], entry["replay_disagrees"]) == (None, [])
