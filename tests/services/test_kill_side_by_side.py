"""
Several runs of one account at once: a line is closed by one of them, and never stands bare because of the other.

A kill that is pulled twice, a task that is at work when the kill comes, a task beside a kill. The judge replays the broker's
own events; the control takes the rule away, and the judge sees the line bare.
"""

from __future__ import annotations

from collections import defaultdict

import pytest

from riskguard.services.kill.killrun import KillRunner, converting, sharing
from riskguard.services.kill.killrun.sharing import Others, going_first
from riskguard.store.kills import KillRun
from tests.core.tables import Row, table
from tests.services.desk import ACCOUNT, SECOND, Desk
from tests.services.killing import Judge, drive, hold, net_of, quote_all, rest, settings_of
from tests.services.test_kill_tasks import ask

TOGETHER = table("""
    opened                 manners
    kill,kill              fill=3
    kill,kill,kill         fill=7,cancel=2
    task,kill              fill=3
    kill,task              fill=3
    task,kill              olag=3,fill=5
    task,task              fill=3
""")


def guarded(desk: Desk, manners: str) -> int:
    """Hold forty shares with a stop under all of them, at a broker of these *manners*; returns the time."""
    quote_all(desk)
    hold(desk, "share+40")
    rest(desk, "stop40@90")
    desk.sweep()
    desk.sweep(6)
    desk.join_market(settings=settings_of(manners)[0])
    quote_all(desk)
    return desk.clock.now_us()


def open_run(desk: Desk, what: str, number: int) -> None:
    if what == "kill":
        assert desk.kill(ACCOUNT, plan="flatten").exit_status == 0
    else:
        assert ask(desk, "INSTRUMENT:NSE_EQ:1333", cause=f"CAUSE_{number}")


def play(desk: Desk, row: Row) -> list[str]:
    """Open the runs a second apart and carry them to their end; returns what the judge found wrong."""
    from_us = guarded(desk, row.manners)
    runner = KillRunner(desk.guard, ACCOUNT, desk.broker)
    for number, what in enumerate(row.opened.split(",")):
        open_run(desk, what, number)
        runner.advance()
        desk.clock.advance(1)
        quote_all(desk)
    drive(
        desk, runner, s_max=75, move=lambda: quote_all(desk),
        until=lambda _: not desk.rows("SELECT 1 FROM kill_runs WHERE state <> 'DONE'"),
    )  # fmt: skip
    assert [state for (state,) in desk.rows("SELECT state FROM kill_runs")] == ["DONE"] * len(row.opened.split(","))
    assert net_of(desk) == {}
    return Judge(desk.broker.events(), from_us).replay({})


@pytest.mark.parametrize("row", TOGETHER, ids=str)
def test_a_line_is_closed_by_one_run_and_never_bare(desk: Desk, row: Row) -> None:
    """All of them end, nothing is held, and at no moment was there neither a stop nor an exit."""
    assert play(desk, row) == []

    at_work: defaultdict[int, set[int]] = defaultdict(set)
    for run_id, at_us in desk.rows(
        "SELECT run_id, at_us FROM kill_steps WHERE step IN ('FLATTEN', 'CONVERT', 'REPRICE', 'ASIDE')"
    ):
        at_work[at_us // SECOND].add(run_id)
    assert at_work and all(len(runs) == 1 for runs in at_work.values()), at_work


def test_the_control_two_runs_that_know_nothing_of_each_other(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is guarded against happens: without the rule one run takes the other's exit away, and the line is bare."""

    def alone(session: object, run: KillRun, now_us: int) -> Others:
        from riskguard.store import kills

        mine = [each.target for each in kills.steps_of(session, run.id) if each.step == "CONVERT"]  # type: ignore[arg-type]
        return Others(converted=frozenset(mine))

    monkeypatch.setattr(sharing, "read_others", alone)
    monkeypatch.setattr(sharing, "is_outranked", lambda *_: False)
    wrong = play(desk, TOGETHER[0])

    assert any(each.startswith("naked") for each in wrong), wrong


FIRST = table("""
    mine      others                       first
    1k        2k:flatten                   -
    2k        1k:flatten                   1
    2k        1k:broker                    1
    2k        1k:cancel                    -
    2k        1k:halt                      -
    1t        2k:flatten                   2
    2k        1t:flatten                   -
    2t        1t:flatten                   1
    3t        1t:flatten,2k:flatten,4k:flatten   1,2,4
""")


@pytest.mark.parametrize("row", FIRST, ids=str)
def test_who_goes_first(row: Row) -> None:
    """A kill (k) before a task (t), an older one before a younger; one that closes nothing goes before nobody."""
    others = [made(*each.split(":")) for each in row.others.split(",")]

    first = going_first(made(row.mine, "flatten"), others)

    assert ",".join(str(run.id) for run in first) == row.first.replace("-", "")


def made(name: str, plan: str) -> KillRun:
    return KillRun(
        id=int(name[:-1]), kill_id=name, account=ACCOUNT, kill_plan=plan, state="OPEN", step="FLATTEN", cause="", by_whom="",
        reason="", detail="", holder="", token=1, lease_until_us=None, started_at_us=0, deadline_us=0, clean_at_us=None,
        scope="", halts=int(name[-1] == "k"),
    )  # fmt: skip


@pytest.mark.parametrize("what", ["kill", "task"])
def test_a_kill_that_comes_in_the_middle_of_a_tasks_round_stops_its_writes(
    desk: Desk, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between a task's look and its write a kill opens: the write is the kill's to make. Another task changes nothing."""
    from_us = guarded(desk, "fill=3")
    open_run(desk, "task", 1)
    runner = KillRunner(desk.guard, ACCOUNT, desk.broker)
    honest, came = converting.convert, []

    def interrupted(*args: object) -> None:
        if not came:
            came.append(True)
            open_run(desk, what, 2)
        honest(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(converting, "convert", interrupted)
    for _ in range(8):
        runner.advance()
        if came:
            break
        desk.clock.advance(1)
        quote_all(desk)
    assert came
    sent = desk.rows("SELECT count(*) FROM kill_steps WHERE step = 'CONVERT' AND state = 'DONE'")[0][0]
    assert sent == (0 if what == "kill" else 1)
    drive(
        desk, runner, s_max=75, move=lambda: quote_all(desk),
        until=lambda _: not desk.rows("SELECT 1 FROM kill_runs WHERE state <> 'DONE'"),
    )  # fmt: skip
    assert Judge(desk.broker.events(), from_us).replay({}) == [] and net_of(desk) == {}
