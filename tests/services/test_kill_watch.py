"""What comes after a kill is done: the broker's switch, the watch to the session's end, close-everything, the backstop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from riskguard import admin
from riskguard.brokers.paper import PaperSettings
from riskguard.cli.progress import steps_done
from riskguard.core.seen import SeenProfile
from riskguard.services.kill import backstop
from riskguard.services.kill.killrun import KillRunner
from riskguard.services.kill.killrun.plans import TELL_AGAIN_US
from riskguard.services.kill.killrun.watch import WATCH_EVERY_US
from riskguard.store.kills import KillRun, cut_short
from tests.core.tables import Row, table
from tests.services.desk import ACCOUNT, SECOND, Desk, e4
from tests.services.killing import Judge, drive, hold, net_of, quote_all, rest, told


def option(desk: Desk, name: str, value: str) -> None:
    desk.configure(name, value)


def killed(desk: Desk, plan: str = "flatten", *, powers: tuple[str, ...] = (), s_max: int = 40) -> KillRunner:
    """Long 10, killed and done; returns the runner that watches it."""
    quote_all(desk)
    hold(desk, "share+10")
    desk.sweep()
    desk.sweep(6)
    quote_all(desk)
    desk.join_market(settings=PaperSettings(powers=powers))
    desk.kill(plan=plan)
    runner = KillRunner(desk.guard, ACCOUNT, desk.broker, desk.alerts)
    until: Callable[[KillRun], bool] = lambda run: run.state == "DONE"  # noqa: E731
    assert drive(desk, runner, s_max=s_max, move=lambda: quote_all(desk), until=until).state == "DONE"
    return runner


def watched(desk: Desk, runner: KillRunner) -> None:
    desk.clock.advance(WATCH_EVERY_US / SECOND + 1)
    quote_all(desk)
    runner.advance()


PASTS = table("""
    what                    plan     again
    nothing                 flatten  no
    a stop of what is held  cancel   no
    an order                cancel   yes
    a forever order         cancel   yes
    a position              flatten  yes
    a larger position       cancel   yes
    a smaller position      cancel   no
    the switch off          broker   yes
""")


@pytest.mark.parametrize("row", PASTS, ids=str)
def test_what_gets_past_a_finished_kill_runs_it_again(desk: Desk, row: Row) -> None:
    """New risk re-opens it, is journaled and told; what only takes away does not."""
    runner = killed(desk, row.plan, powers=("lock",))
    if row.what == "a stop of what is held":
        rest(desk, "stop10@90")
    elif row.what == "an order":
        rest(desk, "buy10@90")
    elif row.what == "a forever order":
        rest(desk, "forever10")
    elif row.what in ("a position", "a larger position"):
        hold(desk, "share+7")
    elif row.what == "a smaller position":
        hold(desk, "share-4")
    elif row.what == "the switch off":
        desk.broker.unlock()
    desk.clock.advance(8)
    watched(desk, runner)
    watched(desk, runner)

    assert (told(desk)["reruns"] > 0) == row.has("again")
    said = [message for _a, _s, message in desk.alerts.said if "bypass_after_kill" in message]
    assert bool(said) == row.has("again")
    if row.has("again"):
        run = drive(
            desk, runner, s_max=60, move=lambda: quote_all(desk), until=lambda run: told(desk)["state"] == "DONE"
        )
        assert run.state == "DONE" and told(desk)["reruns"] == 1
        assert [order for order in desk.broker.orders() if order.is_live] == []
        journaled = desk.rows("SELECT body FROM decisions WHERE kind = 'STATE' AND body LIKE '%bypass_after_kill%'")
        assert len(journaled) == 1
    if row.plan == "flatten":
        assert net_of(desk) == {}
    if row.what == "the switch off":
        assert desk.broker.is_locked()


def test_the_watch_ends_with_the_session(desk: Desk) -> None:
    """At midnight in India it is over: the latch holds on, the next day's live checks look on."""
    runner = killed(desk)
    until_us = told(desk)["watch_until_us"]
    desk.clock.at_us = until_us - 1 - 8 * SECOND
    watched(desk, runner)
    assert told(desk)["watch_until_us"] is None
    rest(desk, "buy10@90")
    watched(desk, runner)
    assert told(desk)["reruns"] == 0


def test_a_release_ends_the_watch(desk: Desk) -> None:
    """What is allowed again must not be killed again."""
    from riskguard import admin

    runner = killed(desk, "cancel")
    desk.clock.advance(61)
    desk.sweep()
    desk.sweep(6)
    admin.release(desk.store, ACCOUNT, by="asha", reason="mended", clock=desk.clock)
    rest(desk, "buy10@90")
    watched(desk, runner)

    assert told(desk)["watch_until_us"] is None and told(desk)["reruns"] == 0


def test_two_watchers_open_it_once(desk: Desk) -> None:
    runner = killed(desk)
    other = KillRunner(desk.another_guard(), ACCOUNT, desk.broker)
    rest(desk, "buy10@90")
    desk.clock.advance(11)
    quote_all(desk)
    runner.advance()
    other.advance()

    assert told(desk)["reruns"] == 1


# -- close everything --------------------------------------------------------------------------------------------------

EXIT_ALL = table("""
    allowed  book                  broker          asked  ends
    on       share+10              -               1      flat
    off      share+10              -               0      flat
    on       share+10,call-25      -               1      flat
    on       share+10,share+4:CNC  -               0      kept
    on       share+10              exit_all:deaf   1      flat
    on       share+10              exit_all:lost   1      flat
    on       share+10              exit_all:silent  1      flat
    on       share+10              exit_all:refuse  1      flat
""")


@pytest.mark.parametrize("row", EXIT_ALL, ids=str)
def test_close_everything_is_asked_once_and_looked_after(desk: Desk, row: Row) -> None:
    """Only where the setting allows it and nothing is kept; whatever it answers, the plan finishes what it did not do."""
    option(desk, "flatten_exit_all", row.allowed)
    quote_all(desk)
    for word in row.book.split(","):
        hold(desk, word)
    desk.sweep()
    desk.sweep(6)
    quote_all(desk)
    desk.join_market(settings=PaperSettings(hang_s=0, powers=("exit_all",)))
    rest(desk, "stop10@90")
    desk.clock.advance(2)
    desk.kill(plan="flatten")
    from_us = desk.clock.now_us()
    if row.opt("broker"):
        desk.broker.behave(*row.broker.split(":"))
    runner = KillRunner(desk.guard, ACCOUNT, desk.broker)
    run = drive(desk, runner, s_max=60, move=lambda: quote_all(desk), until=lambda run: run.state == "DONE")

    assert run.state == "DONE", run.detail
    assert net_of(desk) == ({} if row.ends == "flat" else {"1333:CNC": 4})
    asked = [event for event in desk.broker.events() if event.fields.get("operation") == "exit_all"]
    assert len(asked) == row.number("asked")
    assert Judge(desk.broker.events(), from_us).replay({}) == []


# -- the backstop ------------------------------------------------------------------------------------------------------

ARMED = table("""
    percent  powers    fault               state    told
    0        backstop  -                   -        no
    110      backstop  -                   ARMED    no
    125      backstop  -                   ARMED    no
    110      -         -                   REFUSED  yes
    110      backstop  arm_backstop:refuse  REFUSED  yes
    110      backstop  arm_backstop:deaf   UNKNOWN  yes
    110      backstop  arm_backstop:silent  ARMED    no
    110      backstop  arm_backstop:lost   UNKNOWN  yes
    110      backstop  backstop:fail       UNKNOWN  yes
""")


@pytest.mark.parametrize("row", ARMED, ids=str)
def test_the_backstop_counts_only_when_it_reads_back(desk: Desk, row: Row) -> None:
    """₹5,000 of daily loss: armed beyond it, at what the setting says, and believed only as read."""
    option(desk, "backstop_pct", row.percent)
    powers = () if row.opt("powers") is None else (row.powers,)
    desk.join_market(settings=PaperSettings(hang_s=0, powers=powers))
    quote_all(desk)
    desk.sweep()
    if row.opt("fault"):
        desk.broker.behave(*row.fault.split(":"))
    found = backstop.keep_armed(desk.guard, ACCOUNT, desk.broker, desk.alerts)

    assert (found.state if found else None) == row.opt("state")
    assert bool(desk.alerts.said) == row.has("told")
    if row.opt("state") == "ARMED":
        assert desk.broker.backstop().loss_e4 == e4("50") * row.number("percent")
        again = backstop.keep_armed(desk.guard, ACCOUNT, desk.broker, desk.alerts)
        asked = [each for each in desk.broker.events() if each.fields.get("operation") == "arm_backstop"]
        assert again == found and len(asked) == 1


def test_the_backstop_is_armed_anew_each_session(desk: Desk) -> None:
    """It lapses at the broker with the day; the row of the day says how it stands."""
    option(desk, "backstop_pct", "110")
    desk.join_market(settings=PaperSettings(powers=("backstop",)))
    quote_all(desk)
    desk.sweep()
    backstop.keep_armed(desk.guard, ACCOUNT, desk.broker, desk.alerts)
    desk.clock.advance(86_400)
    quote_all(desk)
    desk.sweep()
    backstop.keep_armed(desk.guard, ACCOUNT, desk.broker, desk.alerts)

    assert desk.rows("SELECT session_date, state FROM backstops ORDER BY 1") == [
        ("2025-06-02", "ARMED"), ("2025-06-03", "ARMED"),
    ]  # fmt: skip


# -- people ------------------------------------------------------------------------------------------------------------


def test_people_hear_of_a_blocked_run_again_and_again(desk: Desk) -> None:
    """Once when it gets stuck, then every five minutes over all processes, and once when it is done."""
    quote_all(desk)
    rest(desk, "buy10@90")
    desk.kill()
    desk.broker.behave("cancel", "refuse")
    runner = KillRunner(desk.guard, ACCOUNT, desk.broker, desk.alerts)
    for _ in range(45):
        desk.clock.advance(10)
        runner.advance()
    blocked = [message for _a, severity, message in desk.alerts.said if severity == "critical"]
    assert 1 <= len(blocked) <= 2 and all("CANCEL_REFUSED" in message for message in blocked)
    other = KillRunner(desk.another_guard(), ACCOUNT, desk.broker, desk.alerts)
    before = len(desk.alerts.said)
    other.advance()
    assert len(desk.alerts.said) == before
    desk.clock.advance(TELL_AGAIN_US / SECOND)
    runner.advance()
    assert len(desk.alerts.said) == before + 1


class Released:
    """A broker that takes so long over its orders that somebody has released the account meanwhile."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.took = desk, 0

    def orders(self) -> Any:
        self.took += 1
        if self.took == 1:
            admin.release(self.desk.store, ACCOUNT, by="asha", reason="looked at it", clock=self.desk.clock)
        return self.desk.broker.orders()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.desk.broker, name)


def test_a_run_released_in_the_middle_of_a_round_is_not_said_to_be_done(make_desk: Callable[..., Desk]) -> None:
    """Its position is there: neither people nor whoever carries it on may take the end of the run for a proof."""
    desk = make_desk(hold_s=0)
    quote_all(desk)
    hold(desk, "share+10")
    desk.sweep()
    desk.sweep(6)
    desk.kill(plan="flatten")
    broker = Released(desk)
    (run,) = KillRunner(desk.guard, ACCOUNT, broker, desk.alerts).advance()  # type: ignore[arg-type]

    assert broker.took == 1 and net_of(desk) == {"1333:INTRADAY": 10}
    assert (run.state, run.step, cut_short(run.kill_plan, run.state, run.step)) == ("DONE", "CANCEL", "CANCEL")
    assert steps_done(run) == 0
    (said,) = [message for _account, _severity, message in desk.alerts.said if "(plan flatten)" in message]
    assert said.endswith("(plan flatten) ended at CANCEL, not finished: released by asha")


class Telling:
    """A broker whose lists fail and which says why of itself."""

    name = "paper"

    def __init__(self, broker: Any, profile: SeenProfile) -> None:
        self.broker, self.seen = broker, profile

    def profile(self) -> SeenProfile:
        return self.seen

    def __getattr__(self, name: str) -> Any:
        return getattr(self.broker, name)


WHY = table("""
    until_s  may_place  code
    60       yes        BROKER_UNREADABLE
    -1       yes        TOKEN
    60       no         IP
    -1       no         IP
""")


@pytest.mark.parametrize("row", WHY, ids=str)
def test_token_and_address_are_told_apart(desk: Desk, row: Row) -> None:
    """A person can mend those at once, so they are said at once; anything else is waited for a minute first."""
    desk.kill()
    until_us = desk.clock.now_us() + row.number("until_s") * SECOND
    broker = Telling(desk.broker, SeenProfile(until_us, (), row.has("may_place")))
    desk.broker.behave("orders", "fail")
    runner = KillRunner(desk.guard, ACCOUNT, broker)  # type: ignore[arg-type]
    runner.advance()
    first = told(desk)["blocked_by"]
    desk.clock.advance(61 if row.code == "BROKER_UNREADABLE" else 1)
    runner.advance()

    assert first == ("" if row.code == "BROKER_UNREADABLE" else row.code)
    assert told(desk)["blocked_by"] == (
        "TOKEN" if until_us <= desk.clock.now_us() and row.has("may_place") else row.code
    )


def test_a_closed_market_names_its_next_opening(desk: Desk) -> None:
    """Killed after the close on a Friday: Monday 09:15 in India, and the position is closed then."""
    quote_all(desk)
    desk.clock.advance(4 * 86_400)
    quote_all(desk)
    desk.sweep()
    hold(desk, "share+10")
    desk.sweep()
    desk.sweep(6)
    desk.clock.advance(6 * 3600)
    desk.join_market(settings=PaperSettings(keeps_hours=True))
    desk.kill(plan="flatten")
    runner = KillRunner(desk.guard, ACCOUNT, desk.broker)
    run = drive(desk, runner, s_max=20, move=lambda: None, until=lambda run: run.state == "BLOCKED")
    assert run.blocked_by == "MARKET_CLOSED" and "2025-06-09 09:15 IST" in run.detail
    assert [order for order in desk.broker.orders() if order.side == "SELL"] == []
    assert run.retry_at_us is not None
    assert runner.next_at_us is not None
