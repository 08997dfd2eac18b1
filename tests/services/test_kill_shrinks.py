"""
A stop larger than what it guards is made smaller in its place: the line is never without it, not even while an exit was sent
and never answered, beside which no new stop would be let out.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from riskguard.brokers.paper import PaperSettings
from riskguard.core.quote import Quote
from riskguard.errors import BrokerUnconfirmedError
from riskguard.services.kill.killrun import KillRunner, shrinking
from riskguard.store.kills import KillRun
from tests.services.desk import ACCOUNT, Desk
from tests.services.killing import Judge, drive, quote_all, rest


def killed(desk: Desk, *, plan: str = "cancel", words: str = "stop20@90") -> tuple[KillRun, list[str]]:
    """Long 15 behind *words*, an exit of it that got lost on its way, and a kill; the run, and what was ever wrong."""
    desk.sweep()
    quote_all(desk)
    desk.hold(15)
    desk.sweep(6)
    quote_all(desk)
    desk.broker.behave("place", "lost", 1)
    with pytest.raises(BrokerUnconfirmedError):
        desk.guard.place(desk.order("SELL", 15, "120"), desk.broker.place)
    for word in words.split(","):
        rest(desk, word)
    desk.clock.advance(1)
    from_us = desk.clock.now_us()
    desk.kill(plan=plan)
    runner = KillRunner(desk.guard, ACCOUNT, desk.broker)
    ended = drive(
        desk, runner, s_max=60, move=lambda: quote_all(desk),
        until=lambda run: run.state == "DONE" or run.blocked_by == "EXIT_UNANSWERED",
    )  # fmt: skip
    return ended, Judge(desk.broker.events(), from_us).replay({})


def resting(desk: Desk) -> list[tuple[str, int]]:
    return [(each.order_type, each.remaining) for each in desk.broker.orders() if each.is_live]


@pytest.mark.parametrize("words", ["stop20@90", "stop20@90,stop20@91", "stop20@90,sell10@120"])
@pytest.mark.parametrize("plan", ["cancel", "flatten"])
def test_a_line_keeps_its_stop_while_an_exit_is_unanswered(desk: Desk, plan: str, words: str) -> None:
    """The exit may have closed it, so none is sent on a guess; meanwhile one stop of what is held stands."""
    ended, wrong = killed(desk, plan=plan, words=words)

    assert (ended.state, ended.blocked_by) == (("DONE", "") if plan == "cancel" else ("BLOCKED", "EXIT_UNANSWERED"))
    assert wrong == []
    assert resting(desk) == [("STOP_LOSS", 15)]


@pytest.mark.parametrize("plan", ["cancel", "flatten"])
def test_the_control_a_stop_that_is_cancelled_does_not_come_back_beside_it(
    make_desk: Callable[..., Desk], monkeypatch: pytest.MonkeyPatch, plan: str
) -> None:
    """Two exits of all that is held could cross zero: none is let out beside the one nobody answered."""
    monkeypatch.setattr(shrinking, "can", lambda *_: False)
    desk = make_desk()
    _ended, wrong = killed(desk, plan=plan)

    assert any(said.startswith("naked") for said in wrong)
    assert resting(desk) == []


def test_the_small_ones_stay_and_the_large_one_takes_the_rest(desk: Desk) -> None:
    """Held 15 behind stops of 4 and 20: 4 and 11, by one message."""
    _ended, wrong = killed(desk, words="stop4@92,stop20@90")

    assert wrong == []
    assert sorted(resting(desk)) == [("STOP_LOSS", 4), ("STOP_LOSS", 11)]
    assert desk.rows("SELECT step, state FROM kill_steps") == [("SHRINK", "DONE")]


@pytest.mark.parametrize(
    ("how", "asked"),
    [
        ("refuse", ["SHRINK FAILED", "CANCEL DONE", "PUT_BACK DONE"]),
        ("deaf", ["SHRINK DONE", "SHRINK DONE", "CANCEL DONE", "PUT_BACK DONE"]),
    ],
)
def test_a_broker_that_does_not_change_it_is_asked_to_cancel_it(desk: Desk, how: str, asked: list[str]) -> None:
    """What adds risk has no time for many tries: refused once, or taken twice without effect."""
    desk.sweep()
    quote_all(desk)
    desk.hold(15)
    rest(desk, "stop20@90")
    desk.sweep(6)
    desk.broker.behave("modify", how)
    desk.kill()
    runner = KillRunner(desk.guard, ACCOUNT, desk.broker)
    drive(desk, runner, s_max=60, move=lambda: quote_all(desk), until=lambda run: run.state == "DONE")

    assert [" ".join(row) for row in desk.rows("SELECT step, state FROM kill_steps ORDER BY id")] == asked
    assert resting(desk) == [("STOP_LOSS", 15)]


@pytest.mark.parametrize(("how", "ended"), [("refuse", ["CANCELLED"]), ("silent", [])])
def test_a_refusal_ends_it_in_the_round_that_heard_it(desk: Desk, how: str, ended: list[str]) -> None:
    """Left to the next look, it may have traded by then, and crossed. No answer is no refusal."""
    desk.sweep()
    quote_all(desk)
    desk.hold(15)
    rest(desk, "stop20@90")
    desk.sweep(6)
    desk.broker.behave("modify", how, 1)
    desk.kill()
    KillRunner(desk.guard, ACCOUNT, desk.broker).advance()

    assert [each.fields["status"] for each in desk.broker.events() if each.what == "ENDED"] == ended
    assert resting(desk) == [("STOP_LOSS", 15)]


def test_what_has_filled_is_part_of_the_quantity_the_broker_is_told(desk: Desk) -> None:
    """A broker's quantity is the whole: of 25, 5 have filled and 15 are still held, so it is told 20."""
    desk.sweep()
    quote_all(desk)
    desk.hold(20)
    rest(desk, "stop25@90")
    desk.sweep(6)
    desk.join_market(settings=PaperSettings(hang_s=0, fill_quantity_max=5))
    desk.broker.set_quote("NSE_EQ", "1333", Quote.of(ltp="90", at_us=desk.clock.now_us()))
    desk.sweep(6)
    (stop,) = (each for each in desk.broker.orders() if each.is_live)
    assert 0 < stop.filled < 20
    desk.kill()
    KillRunner(desk.guard, ACCOUNT, desk.broker).advance()

    changed = [each.fields["quantity"] for each in desk.broker.events() if each.what == "CHANGED"]
    assert changed == [20]
