"""
The account a guard keeps between checks is the account the database would give it.

A check costs microseconds because nothing is read again while no head moved: what this process committed is folded into
what it keeps. Whatever sequence of checks, sends and answers went by, both must be the same, or a limit would be judged
on a book that is not there.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from copy import copy as copied
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from riskguard.core.account import Account, TimeLog
from riskguard.core.book import Line, Working
from riskguard.errors import BrokerRefusedError, BrokerUnavailableError, BrokerUnconfirmedError, PermitError
from riskguard.services.orders.guard import RiskGuard
from riskguard.store import controls, folding, loader
from tests.services.desk import ACCOUNT, FUTURE, SHARE, Desk, EachDesk, rulebook

TIGHT = rulebook(
    net_position='check = "net_position"\nposition_max = "60"\nunit = "units"',
    order_rate=(
        'check = "order_rate"\nwindows = [{ messages_max = 8, reserve = 1, per_s = 1 }, '
        "{ messages_max = 30, reserve = 1, per_s = 60 }]"
    ),
    attempt_rate='check = "attempt_rate"\nattempts_max = 18\nper_s = 60',
    duplicate_order='check = "duplicate_order"\nwithin_s = 2',
)
SENT_WINDOWS_US, ATTEMPTS_WINDOW_US, SAME_WINDOW_US = (1_000_000, 60_000_000), 60_000_000, 2_000_000
"""As far back as the limits above look: further back nothing needs to be kept, and nothing is compared."""


SECOND_LIMIT = (
    "INSERT INTO traders_control (account_type, control_type, order_value_limit, is_active, created_at, updated_at) "
    "VALUES (?, 'RISK_LIMIT', ?, 1, 0, 0)"
)
"""As a program of version 3 writes one."""


def times(log: TimeLog, at_us: int) -> list[int]:
    return [log.count(at_us, window_us) for window_us in SENT_WINDOWS_US]


def plain(account: Account, at_us: int) -> dict[str, Any]:
    """Return everything the checks may read, as values that can be compared."""
    lines = {}
    for key, products in account.positions.items():
        for product, line in products.items():
            if line.working or line.start or line.filled or line.seen:
                lines[(key, product)] = (
                    line.start, line.filled, line.seen, line.up, line.down, line.near, line.buying, line.selling,
                    line.settled, line.buy_value_e4, line.sell_value_e4,
                    sorted(
                        (w.key, w.sign, w.remaining, w.reducing, w.protective, w.exit_group, w.order_id)
                        for w in line.working.values()
                    ),
                )  # fmt: skip
    return {
        "lines": lines,
        "causes": sorted((c.scope, c.state, c.code, c.detail) for c in account.causes),
        "state": account.state,
        "limits": (account.limits.digest, sorted(limit.row_id for limit in account.limits.limits)),
        "seen": account.position_seen_us,
        "sweep": (account.sweep_at_us, account.sweep_interval_us),
        "pnl": account.pnl,
        "equity": account.opening_equity_e4,
        "date": account.session_date,
        "sent": times(account.sent, at_us),
        "granted": account.granted,
        "same": {key: at for key, at in account.same.items() if at > at_us - SAME_WINDOW_US},
        "unanswered": {key: dict(value) for key, value in account.unanswered.items() if value},
        "exits": {key: value for key, value in account.reducing_live.items() if value},
        "attempts": {
            name: count for name, log in account.attempts.items() if (count := log.count(at_us, ATTEMPTS_WINDOW_US))
        },
    }


def compare(guard: RiskGuard, at_us: int) -> bool:
    """Hold what *guard* keeps against what the database says; False when it keeps nothing it would use."""
    kept = guard.kept.loaded.get(ACCOUNT)
    with guard.store.session(durable=False) as session:
        session.read_heads(ACCOUNT)
        is_due = kept is not None and kept.next_expiry_us is not None and kept.next_expiry_us <= at_us
        if kept is None or is_due or kept.key != loader.cache_key(session, ACCOUNT, "", guard.store.opened, at_us):
            guard.store.roll_back(session)
            return False
        fresh = loader.load(session, ACCOUNT, "", at_us).account
        guard.store.roll_back(session)
    expected, found = plain(fresh, at_us), plain(kept.account, at_us)
    for (_account, strategy, _violation), counted in guard.kept.repeats.counts.items():
        expected["attempts"][strategy] = expected["attempts"].get(strategy, 0) + counted.repeats  # not on disk yet
    assert found == expected
    return True


# -- the sequences --------------------------------------------------------------------------------------------------

ANSWERS: dict[str, Any] = {
    "ack": lambda order: f"B-{order.client_order_id}",
    "refuse": BrokerRefusedError("no"),
    "gone": BrokerUnavailableError("never left"),
    "silent": BrokerUnconfirmedError("no answer"),
    "broken": RuntimeError("the adapter broke"),
    "no id": None,
}

CHECKS = st.tuples(
    st.just("check"),
    st.sampled_from(["BUY", "SELL"]),
    st.sampled_from([5, 25, 50]),
    st.sampled_from([SHARE, FUTURE]),
    st.sampled_from(["INTRADAY", "MARGIN"]),
    st.sampled_from(["", "a"]),
    st.booleans(),  # by another process
)
STEPS = st.lists(
    st.one_of(
        CHECKS,
        CHECKS,
        st.tuples(st.just("send"), st.integers(0, 5), st.sampled_from(sorted(ANSWERS))),
        st.tuples(st.just("market"), st.integers(0, 5)),
        st.tuples(st.just("release"), st.integers(0, 5)),
        st.tuples(st.just("again"), st.integers(0, 5), st.booleans()),
        st.tuples(st.just("wait"), st.sampled_from([0.1, 0.9, 1.1, 4.0, 11.0])),
        st.tuples(st.just("sweep")),
        st.tuples(st.just("flush")),
        st.tuples(st.just("tighten")),
        st.tuples(st.just("limit"), st.sampled_from([ACCOUNT, "GLOBAL"]), st.integers(400, 2_000), st.booleans()),
        st.tuples(st.just("kill")),
    ),
    max_size=25,
)


class Sequence:
    """Plays steps on a desk and counts how often there was something to compare."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.other = desk.another_guard()
        self.permits: list[Any] = []
        self.orders: list[Any] = []
        self.compared = 0

    def step(self, step: tuple[Any, ...]) -> None:
        getattr(self, step[0])(*step[1:])
        at_us = self.desk.clock.now_us()
        self.compared += compare(self.desk.guard, at_us) + compare(self.other, at_us)

    def check(self, side: str, quantity: int, instrument: Any, product: str, strategy: str, elsewhere: bool) -> None:
        order = self.desk.order_of(instrument, side, quantity, "100", product=product, strategy=strategy)
        decision = (self.other if elsewhere else self.desk.guard).check(order)
        self.orders.append(order)
        if decision.permit is not None:
            self.permits.append(decision.permit)

    def send(self, which: int, how: str) -> None:
        if not self.permits:
            return
        permit, answer = self.permits[which % len(self.permits)], ANSWERS[how]
        with (
            contextlib.suppress(
                BrokerRefusedError, BrokerUnavailableError, BrokerUnconfirmedError, RuntimeError, PermitError
            ),
            permit.sending() as wire,
        ):
            if isinstance(answer, Exception):
                raise answer
            wire.order_id = answer and answer(permit.approved_order.order)

    def market(self, which: int) -> None:
        if self.permits:
            permit = self.permits[which % len(self.permits)]
            self.desk.quote("100")
            with contextlib.suppress(PermitError), permit.sending() as wire:
                wire.order_id = self.desk.broker.place(permit.approved_order)

    def release(self, which: int) -> None:
        if self.permits:
            with contextlib.suppress(PermitError):
                self.permits[which % len(self.permits)].release()

    def again(self, which: int, changed: bool) -> None:
        if self.orders:
            order = self.orders[which % len(self.orders)]
            self.desk.guard.check(order.replaced(quantity=order.quantity + 25) if changed else order)

    def wait(self, seconds: float) -> None:
        self.desk.clock.advance(seconds)

    def sweep(self) -> None:
        self.desk.sweep()

    def flush(self) -> None:
        self.desk.guard.flush_repeats()

    def tighten(self) -> None:
        self.desk.sql(
            "UPDATE traders_control SET position_size_limit = position_size_limit - 1 "
            "WHERE limit_id = 'net-position' AND is_active = 1 AND position_size_limit > 40"
        )

    def limit(self, owner: str, most: int, stands: bool) -> None:
        """Another program writes a limit of *most* rupees an order, and takes it back unless it *stands*."""
        with self.desk.plain() as connection:
            connection.execute("BEGIN IMMEDIATE" if self.desk.store.dialect == "sqlite" else "BEGIN")
            connection.execute(self.desk.spelled(SECOND_LIMIT), (owner, most))
            connection.execute("COMMIT" if stands else "ROLLBACK")

    def kill(self) -> None:
        if len(self.orders) > 12:  # late, or every sequence would be about a halted account
            self.desk.kill()


@contextlib.contextmanager
def playing(each_desk: EachDesk) -> Iterator[Sequence]:
    with each_desk(text=TIGHT) as desk:
        desk.sweep()
        yield Sequence(desk)


ASKED_AGAIN_WITH_OTHER_CONTENTS = [
    ("check", "BUY", 5, SHARE, "INTRADAY", "", False),
    ("again", 0, True),
    ("check", "BUY", 5, SHARE, "INTRADAY", "", False),
]


@example(steps=ASKED_AGAIN_WITH_OTHER_CONTENTS)
@settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(steps=STEPS)
def test_what_is_kept_is_what_would_be_loaded(steps: list[tuple[Any, ...]], each_desk: EachDesk) -> None:
    """After every step, in both processes: the kept account is used only where it equals the freshly loaded one."""
    with playing(each_desk) as sequence:
        for step in steps:
            sequence.step(step)


def test_there_is_something_to_compare(each_desk: EachDesk) -> None:
    """The control: an ordinary sequence is answered from what is kept, and a wrong figure there is found."""
    with playing(each_desk) as sequence:
        for step in (
            ("check", "BUY", 25, SHARE, "INTRADAY", "", False),
            ("send", 0, "ack"),
            ("check", "BUY", 50, SHARE, "INTRADAY", "", False),
            ("check", "BUY", 5, FUTURE, "MARGIN", "a", False),
        ):
            sequence.step(step)
        assert sequence.compared == 4
        sequence.desk.guard.kept.loaded[ACCOUNT].account.granted += 1
        with pytest.raises(AssertionError):
            compare(sequence.desk.guard, sequence.desk.clock.now_us())


WORKING = st.tuples(
    st.sampled_from([1, -1]),
    st.integers(0, 500),
    st.sampled_from(["", "", "oco", "other"]),
    st.booleans(),
    st.booleans(),
)


@given(orders=st.lists(WORKING, max_size=12))
def test_one_more_order_adds_up_as_all_of_them_would(orders: list[tuple[int, int, str, bool, bool]]) -> None:
    """Exits of one OCO group count once; what is added one by one is what `refresh` finds in all of them."""
    line = Line("INTRADAY", start=10, filled=-3, seen=7)
    for number, (sign, remaining, group, reducing, covers) in enumerate(orders):
        key = f"o-{number}"
        line.working[key] = Working(key, sign, remaining, reducing, exit_group=group, covers=covers)
        folding.add_up(line, key)
        assert line == copied(line).refresh()


# -- limits are read again when they changed, and only then -----------------------------------------------------------

CHANGED: dict[str, tuple[str, tuple[object, ...]]] = {
    "its own": (SECOND_LIMIT, (ACCOUNT, 100)),
    "everybody's": (SECOND_LIMIT, ("GLOBAL", 100)),
    "its group's": (SECOND_LIMIT, ("GROUP:family", 100)),
    "a tighter number": (
        "UPDATE traders_control SET order_value_limit = 100 WHERE order_value_limit > 100 AND is_active = ?", (1,),
    ),
}  # fmt: skip


@pytest.mark.parametrize("heeded", [True, False], ids=["heeded", "control"])
@pytest.mark.parametrize("change", CHANGED)
def test_a_changed_limit_holds_for_the_next_order(
    make_desk: Callable[..., Desk], monkeypatch: pytest.MonkeyPatch, change: str, heeded: bool
) -> None:
    """Whoever changed it, wherever it stands. The control: were the change not looked for, the order would pass."""
    desk = make_desk(accounts=(ACCOUNT, "sibling"), group="family")
    desk.sweep()
    if not heeded:
        monkeypatch.setattr(loader, "limits_key", lambda _session, name, _group: (name,))
    assert desk.guard.check(desk.order()).approved

    desk.sql(CHANGED[change][0], *CHANGED[change][1])
    # Adopted by another process, so that this one has nothing to write and reads with what it kept beside it.
    assert not desk.another_guard().check(desk.order()).approved
    decision = desk.guard.check(desk.order())

    assert decision.approved is not heeded, decision.explain()


def test_what_did_not_change_is_not_read_again(make_desk: Callable[..., Desk], monkeypatch: pytest.MonkeyPatch) -> None:
    """Other processes' orders leave the limits alone: a desk with a thousand of them reads none of them for each."""
    desk = make_desk()
    desk.sweep()
    other, read = desk.another_guard(), []
    limits = controls.limits
    monkeypatch.setattr(controls, "limits", lambda *asked: read.append(asked) or limits(*asked))

    for guard in (desk.guard, other, desk.guard, other, desk.guard):
        assert guard.check(desk.order(quantity=1)).approved

    assert len(read) == 2  # each guard once


@pytest.mark.parametrize("heeded", [True, False], ids=["heeded", "control"])
def test_a_sweep_judges_by_a_changed_limit(
    make_desk: Callable[..., Desk], monkeypatch: pytest.MonkeyPatch, heeded: bool
) -> None:
    """It reads them once, and again when one changed; the rows that did not change are the limits they were."""
    desk, judged = make_desk(), []
    honest = loader.load

    def load(*args: Any, **more: Any) -> Any:
        loaded = honest(*args, **more)
        judged.append(loaded.account.limits)
        return loaded

    monkeypatch.setattr(loader, "load", load)
    if not heeded:
        monkeypatch.setattr(loader, "limits_key", lambda _session, name, _group: (name,))
    for _ in range(3):
        desk.sweep()
    assert judged and all(each is judged[0] for each in judged)
    before = judged[0]

    desk.sql(CHANGED["its own"][0], *CHANGED["its own"][1])
    desk.sweep()

    assert (judged[-1].digest != before.digest) is heeded
    if heeded:
        kept = {each.row_id: each for each in before.limits}
        same = [each for each in judged[-1].limits if each.row_id in kept]
        assert same and all(kept[each.row_id] is each for each in same)


def test_limits_nobody_can_date_are_read_each_time(make_desk: Callable[..., Desk]) -> None:
    """What a group's limits would change is its head: where there is none, nothing kept of them is believed."""
    desk = make_desk()
    with desk.store.session(durable=False) as session:
        session.read_heads(ACCOUNT)
        found = loader.limits_key(session, ACCOUNT, ""), loader.limits_key(session, ACCOUNT, "nobody")
        desk.store.roll_back(session)

    assert found[0] is not None and found[1] is None


# -- how far back the attempts are read -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("behind_us", "counted"),
    [
        (loader.CLOCK_STEP_US, 3),  # set right within what is allowed for: the two before it still count
        (loader.CLOCK_STEP_US + 1, 1),  # further behind than any clock of a machine that keeps time
    ],
    ids=["a-step", "beyond-a-step"],
)
def test_attempts_are_read_back_past_a_clock_that_stepped(
    make_desk: Callable[..., Desk], behind_us: int, counted: int
) -> None:
    """Newest first, the reading stops at what is too old; one row of a clock that was behind does not stop it."""
    desk = make_desk(text=TIGHT)
    desk.sweep()
    start_us = desk.clock.now_us()
    for at_us in (0, 1, 10 - ATTEMPTS_WINDOW_US - behind_us, 10):
        desk.clock.advance((start_us + at_us - desk.clock.now_us()) / 1_000_000)
        desk.guard.check(desk.order(quantity=5, strategy="a"))
    with desk.store.session(durable=False) as session:
        session.read_heads(ACCOUNT)
        found = loader.load(session, ACCOUNT, "", start_us + 10).account
        desk.store.roll_back(session)

    assert found.attempts["a"].count(start_us + 10, ATTEMPTS_WINDOW_US) == counted
