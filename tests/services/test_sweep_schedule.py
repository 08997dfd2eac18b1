"""
Goal: whatever goes wrong with a sweep is noticed and told, and nothing that hangs stops anything else.

Each fault is made ten times. Deadlines are short where the test waits for them to pass; what a test waits for is an event.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import riskguard
from riskguard.clock import SystemClock
from riskguard.services.sweeps import schedule as module
from riskguard.services.sweeps.schedule import CLASSES, HEART, UPKEEP, Job, Schedule
from tests.services.desk import ACCOUNT, SECOND, Desk, eventually, rulebook

AGAIN = range(10)
DEADLINES_S = {"loss": 0.15, "book": 0.15, "funds": 0.15}


class Shifted:
    """The machine's clock, and how far it was set: what a person or NTP does to it."""

    def __init__(self) -> None:
        self._real = SystemClock()
        self.set_by_us = 0
        self.slept_us = 0

    def now_us(self) -> int:
        return self._real.now_us() + self.set_by_us + self.slept_us

    def elapsed_us(self) -> int:
        return self._real.elapsed_us() + self.slept_us


class Gate:
    """A job that waits to be let through, and counts who came."""

    def __init__(self) -> None:
        self.inside, self.through, self.came = threading.Event(), threading.Event(), 0

    def __call__(self) -> None:
        self.came += 1
        self.inside.set()
        self.through.wait(60)


@pytest.fixture
def made(desk: Desk) -> Iterator[Callable[..., Schedule]]:
    """Make schedules that are stopped at the end, whatever still hangs in them."""
    schedules: list[Schedule] = []

    def make(**how: Any) -> Schedule:
        schedules.append(Schedule(desk.guard, alerts=desk.alerts, **how))
        return schedules[-1]

    yield make
    for each in schedules:
        each.stop(0.0)


def told(desk: Desk, code: str) -> list[str]:
    """Return what `schedule` rows say under *code*, after everything noted was written."""
    found = desk.rows("SELECT findings FROM sweeps WHERE kind = 'schedule'")
    return [message for (text,) in found for said, _severity, message in json.loads(text) if said == code]


def wait_told(schedule: Schedule, desk: Desk, code: str) -> list[str]:
    """Wait until something is said under *code*: the schedule's own job may be writing it just now."""

    def is_told() -> bool:
        schedule.notices.flush()
        return bool(told(desk, code))

    eventually(is_told)
    return told(desk, code)


def watched_until(schedule: Schedule, done: Callable[[], bool]) -> None:
    """Look after the schedule as its pulse does, only more often, until *done*."""

    def is_done() -> bool:
        schedule.look_after()
        return done()

    eventually(is_done)


def heard(desk: Desk, words: str) -> bool:
    return any(words in message for _, _, message in desk.alerts.said)


# -- a job that hangs -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("again", AGAIN)
def test_a_hung_job_is_given_up_and_told_and_another_worker_takes_over(
    desk: Desk, made: Callable[..., Schedule], again: int
) -> None:
    """Past its deadline: a finding and an alert; the next fire runs although the first still hangs."""
    schedule, gate = made(deadlines_s=DEADLINES_S), Gate()
    schedule.add(Job("book-leader", "book", 0.05, gate, ACCOUNT))
    schedule.start()
    assert gate.inside.wait(20)
    watched_until(schedule, lambda: gate.came >= 2)

    assert schedule.hung >= 1 and schedule.is_alive()
    assert wait_told(schedule, desk, "JOB_HANGS") and heard(desk, "`book-leader` hangs")
    gate.through.set()
    eventually(lambda: schedule.hung == 0)


def test_the_control_without_a_deadline_it_hangs_for_ever(desk: Desk, made: Callable[..., Schedule]) -> None:
    """The same job in a class that may take its time is never given up: that is what the deadline changes."""
    schedule, gate = made(deadlines_s=DEADLINES_S), Gate()
    schedule.add(Job("book-leader", "upkeep", 0.05, gate, ACCOUNT))
    schedule.start()
    assert gate.inside.wait(20)
    skipped = threading.Event()
    schedule._scheduler.add_listener(lambda _event: skipped.set(), 1 << 16)  # EVENT_JOB_MAX_INSTANCES
    assert skipped.wait(20)
    schedule.look_after()

    assert gate.came == 1 and schedule.hung == 0
    gate.through.set()


def test_what_hangs_stands_in_nobodys_way(desk: Desk, made: Callable[..., Schedule]) -> None:
    """Every worker of one class hangs: the others go on, each on threads of its own."""
    schedule, gate, other = made(), Gate(), threading.Event()
    for number in range(CLASSES["book"].workers + 3):
        schedule.add(Job(f"book-{number}", "book", 0.05, gate, ACCOUNT))
    schedule.start()
    assert gate.inside.wait(20)
    schedule.add(Job("loss-leader", "loss", 0.05, other.set, ACCOUNT))

    assert other.wait(20)
    gate.through.set()


def test_too_many_hung_threads_and_a_supervisor_should_begin_anew(
    desk: Desk, made: Callable[..., Schedule], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Threads left to themselves are bounded: from there on the schedule says that it is not well."""
    monkeypatch.setattr(module, "HUNG_MAX", 3)
    schedule, gate = made(deadlines_s={"book": 0.05}), Gate()
    schedule.add(Job("book-leader", "book", 0.02, gate, ACCOUNT))
    schedule.start()
    watched_until(schedule, lambda: schedule.hung >= 3)

    assert not schedule.is_alive()
    gate.through.set()


def test_a_stop_waits_for_what_runs_and_leaves_what_hangs(desk: Desk, made: Callable[..., Schedule]) -> None:
    """True when all ended; False, promptly, when something hangs: the process then leaves without it."""
    clock = SystemClock()
    calm = made()
    ran = threading.Event()
    calm.add(Job("loss-leader", "loss", 0.02, ran.set, ACCOUNT))
    calm.start()
    assert ran.wait(20)
    assert calm.stop(20.0)

    schedule, gate = made(), Gate()
    schedule.add(Job("book-leader", "book", 0.02, gate, ACCOUNT))
    schedule.start()
    assert gate.inside.wait(20)
    began_us = clock.elapsed_us()
    assert not schedule.stop(0.3)
    assert clock.elapsed_us() - began_us < 10 * SECOND
    gate.through.set()


# -- a job that breaks --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("again", range(3))
@pytest.mark.parametrize("error", [RuntimeError("no"), SystemExit(3), KeyboardInterrupt(), MemoryError()], ids=repr)
def test_a_job_that_breaks_is_told_and_fired_again(
    desk: Desk, made: Callable[..., Schedule], error: BaseException, again: int
) -> None:
    """`SystemExit` in a job is an error like any other: it ends nothing and is not swallowed."""
    came = threading.Semaphore(0)

    def breaks() -> None:
        came.release()
        raise error

    schedule = made()
    schedule.add(Job("loss-leader", "loss", 0.02, breaks, ACCOUNT))
    schedule.start()
    assert came.acquire(timeout=20) and came.acquire(timeout=20)
    (said,) = wait_told(schedule, desk, "JOB_BROKE")

    assert schedule.is_alive() and heard(desk, "broke")
    assert type(error).__name__ in said


def test_the_same_notice_is_kept_once_a_minute(desk: Desk, made: Callable[..., Schedule]) -> None:
    """A job that breaks fifty times a second is one row and one alert; another job's is another."""
    schedule = made()
    for _ in range(50):
        schedule.notices.note("JOB_BROKE", "job `a` broke", account=ACCOUNT, about="a")
    schedule.notices.note("JOB_BROKE", "job `b` broke", account=ACCOUNT, about="b")
    schedule.notices.flush()
    assert len(told(desk, "JOB_BROKE")) == 2
    desk.clock.skipped_us += 61 * SECOND
    schedule.notices.note("JOB_BROKE", "job `a` broke", account=ACCOUNT, about="a")
    schedule.notices.flush()

    assert sorted(told(desk, "JOB_BROKE"))[0] == "job `a` broke"
    assert "49 more in the minute before" in " ".join(told(desk, "JOB_BROKE"))


def test_a_notice_waits_for_the_database_and_people_do_not(
    desk: Desk, made: Callable[..., Schedule], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database is locked: the alert goes out, the row follows when it can."""
    monkeypatch.setattr("riskguard.services.sweeps.notices.WAIT_S", 0.05)
    schedule = made()
    schedule.notices.note("JOB_HANGS", "job `x` hangs", account=ACCOUNT, about="x")
    with desk.locked():
        schedule.notices.flush()
        assert heard(desk, "job `x` hangs")
    assert told(desk, "JOB_HANGS") == []
    schedule.notices.flush()

    assert told(desk, "JOB_HANGS") == ["job `x` hangs"]
    assert len([1 for each in desk.alerts.said if "`x` hangs" in each[2]]) == 1, "told once"


# -- a job that comes too late --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("again", AGAIN)
def test_a_missed_job_is_told(desk: Desk, made: Callable[..., Schedule], again: int) -> None:
    """Its run was due an hour ago: APScheduler passes over it in silence, we do not."""
    schedule = made()
    ran = threading.Event()
    schedule.add(Job("loss-leader", "loss", 86_400, ran.set, ACCOUNT))
    late = dt.datetime.now(schedule._scheduler.timezone) - dt.timedelta(hours=1)
    schedule._scheduler.start(paused=True)
    schedule._scheduler.modify_job("loss-leader", next_run_time=late)
    schedule._scheduler.resume()
    wait_told(schedule, desk, "JOB_LATE")

    assert not ran.is_set() and heard(desk, "`loss-leader` was not run when it was due")


@pytest.mark.parametrize("again", AGAIN)
def test_a_run_that_overlaps_the_next_is_told_where_it_matters(
    desk: Desk, made: Callable[..., Schedule], again: int
) -> None:
    """A loss sweep longer than its interval is news; a backup longer than its minute is not."""
    schedule, gate, long = made(), Gate(), Gate()
    schedule.add(Job("loss-leader", "loss", 0.05, gate, ACCOUNT))
    schedule.add(Job(UPKEEP, "upkeep", 0.05, long, outlasts=True))
    schedule.start()
    assert gate.inside.wait(20) and long.inside.wait(20)
    wait_told(schedule, desk, "JOB_LATE")

    assert all("loss-leader" in each for each in told(desk, "JOB_LATE"))
    gate.through.set()
    long.through.set()


# -- the scheduler itself -----------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("again", AGAIN)
def test_the_death_of_the_schedulers_thread_is_noticed(desk: Desk, made: Callable[..., Schedule], again: int) -> None:
    """Its loop raises, as a broken job store made it: `running` stays True for ever, `is_alive` does not."""
    schedule = made()
    schedule.start()
    assert schedule.is_alive()

    def dies() -> float:
        raise RuntimeError("as a job store that cannot be read")

    schedule._scheduler._process_jobs = dies
    schedule._scheduler.wakeup()
    eventually(lambda: not schedule.is_alive())

    assert schedule._scheduler.running, "the control: what APScheduler says of itself"


@pytest.mark.parametrize("again", AGAIN)
def test_a_heart_that_stops_is_noticed(desk: Desk, made: Callable[..., Schedule], again: int) -> None:
    """The thread lives and fires nothing: woken after three seconds, dead after fifteen."""
    clock = Shifted()
    schedule = made(clock=clock)
    schedule._scheduler.start(paused=True)  # it fires nothing, whatever is due
    schedule._pulse = threading.Thread(target=schedule._stopping.wait, daemon=True)
    schedule._pulse.start()
    assert schedule.is_alive()
    schedule._beaten_us -= 4 * SECOND
    schedule.look_after()
    assert wait_told(schedule, desk, "SCHEDULER_LATE") and schedule.is_alive()
    schedule._beaten_us -= 12 * SECOND

    assert not schedule.is_alive()


@pytest.mark.parametrize("again", AGAIN)
def test_a_machine_that_slept_is_noticed_and_everything_is_fired(
    desk: Desk, made: Callable[..., Schedule], again: int
) -> None:
    """Five minutes of suspend or SIGSTOP: told, and nothing waits for its old time."""
    clock, ran = Shifted(), threading.Event()
    schedule = made(clock=clock)
    schedule.add(Job("loss-leader", "loss", 3600, ran.set, ACCOUNT))
    schedule.start()
    clock.slept_us += 300 * SECOND
    watched_until(schedule, ran.is_set)

    assert any("nothing ran for 30" in each for each in wait_told(schedule, desk, "OVERSLEPT"))
    assert schedule.is_alive()


@pytest.mark.parametrize("again", range(5))
@pytest.mark.parametrize("hours", [-1, 1], ids=["back", "forward"])
def test_a_clock_that_is_set_is_noticed_and_everything_is_fired(
    desk: Desk, made: Callable[..., Schedule], hours: int, again: int
) -> None:
    """Set back by an hour, every job is dated an hour ahead: without the pulse nothing would run until then."""
    clock, ran = Shifted(), threading.Event()
    schedule = made(clock=clock)
    schedule.add(Job("loss-leader", "loss", 3600, ran.set, ACCOUNT))
    schedule.start()
    clock.set_by_us += hours * 3600 * SECOND
    watched_until(schedule, ran.is_set)

    way = "forward" if hours > 0 else "back"
    assert any(f"set {way} by 3600 s" in each for each in wait_told(schedule, desk, "CLOCK_JUMPED"))


def test_the_control_a_clock_that_drifts_is_not_news(desk: Desk, made: Callable[..., Schedule]) -> None:
    """NTP slews a clock by milliseconds: nothing is told and nothing is fired."""
    clock, ran = Shifted(), threading.Event()
    schedule = made(clock=clock)
    schedule.add(Job("loss-leader", "loss", 3600, ran.set, ACCOUNT))
    for _ in range(5):
        clock.set_by_us += 300_000
        schedule.look_after()
    schedule.notices.flush()

    assert not ran.is_set() and told(desk, "CLOCK_JUMPED") == []


# -- check() notices ------------------------------------------------------------------------------------------------------

INTERVAL_US = 2 * SECOND
ENDS: dict[str, type[BaseException]] = {"dies": RuntimeError, "exits": SystemExit}
FAULTS = ("dies", "hangs", "exits", "is stopped")


@pytest.mark.parametrize("fault", FAULTS)
def test_a_sweep_that_fails_is_noticed_by_the_next_check(
    make_desk: Callable[..., Desk], fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Two intervals and a second after the sweep that did not come, what adds risk is refused: ten times, each recovered.

    The default of three intervals counts from the last one that came, which is one interval earlier.
    """
    desk = make_desk(text=rulebook(sweep_heartbeat='check = "sweep_heartbeat"\nintervals_max = 3'))
    desk.sweep()
    desk.hold(10)
    plain = desk.broker.orders
    for _ in AGAIN:
        desk.sweep()
        due_us = desk.clock.now_us() + INTERVAL_US
        let_go = threading.Event()
        if fault != "is stopped":
            desk.clock.at_us = due_us

            def broken(let_go: threading.Event = let_go) -> Any:
                if fault == "hangs":
                    let_go.wait(60)
                    return plain()
                raise ENDS[fault]("fault")

            with monkeypatch.context() as context:
                if fault == "hangs":
                    context.setattr(desk.broker, "orders", broken)
                else:
                    context.setattr(desk.sweeper, "_judge", lambda *_given, **_more: broken())
                fired = threading.Thread(target=_suppressed, args=(desk.sweeper.sweep,))
                fired.start()
                if fault != "hangs":
                    fired.join(20)
                desk.clock.at_us = due_us + 2 * INTERVAL_US + SECOND
                refused = desk.guard.check(desk.order())
                desk.clock.skipped_us += 60 * SECOND  # the hung one is given up long since
                let_go.set()
                fired.join(20)
        else:
            desk.clock.at_us = due_us + 2 * INTERVAL_US + SECOND
            refused = desk.guard.check(desk.order())

        assert [each.code.value for each in refused.rejects] == ["SWEEP_STALE"]
        assert desk.guard.check(desk.order("SELL", 1)).approved, "exits still pass"
        desk.sweep()
        assert desk.guard.check(desk.order("BUY", 1)).approved, "the next sweep lets orders out again"


def _suppressed(work: Callable[[], object]) -> None:
    try:
        work()
    except BaseException:
        return


def test_the_control_a_sweep_in_time_is_not_refused(make_desk: Callable[..., Desk]) -> None:
    """Within three intervals of the last finished one nothing is noticed, because nothing is wrong."""
    desk = make_desk(text=rulebook(sweep_heartbeat='check = "sweep_heartbeat"\nintervals_max = 3'))
    desk.sweep()
    desk.hold(10)
    for _ in AGAIN:
        desk.sweep()
        desk.clock.at_us += 3 * INTERVAL_US
        assert desk.guard.check(desk.order("BUY", 1)).approved


# -- how it is built ---------------------------------------------------------------------------------------------------------


def test_no_weekday_is_a_number_and_no_crontab_is_read() -> None:
    """APScheduler numbers weekdays from Monday = 0 and crontab from Sunday = 0: neither stands anywhere."""
    files = list(Path(riskguard.__file__).parent.rglob("*.py"))
    found = [
        f"{path}: {line.strip()}"
        for path in files
        for line in path.read_text().splitlines()
        if re.search(r"from_crontab|day_of_week\s*=\s*[\"']?\d|CronTrigger|SQLAlchemyJobStore", line)
    ]

    assert len(files) > 100 and found == []


def test_every_class_of_work_has_threads_and_a_grace_of_its_own(desk: Desk, made: Callable[..., Schedule]) -> None:
    """No default of APScheduler's (one second of grace, one pool of ten) is left to chance; times are India's."""
    schedule = made()
    schedule.watch(desk.sweeper, 2.0)
    schedule.start()
    jobs = {each.id: each for each in schedule._scheduler.get_jobs()}

    assert {HEART, "notices", "loss-leader", "book-leader", "funds-leader", "kill-leader"} == set(jobs)
    assert {jobs[f"{kind}-leader"].executor for kind in ("loss", "book", "funds", "kill")} == {
        "loss", "book", "funds", "kill"
    }  # fmt: skip
    for job in jobs.values():
        assert job.misfire_grace_time == CLASSES[job.executor].grace_s >= 10
        assert job.max_instances == 1 and job.coalesce
        assert str(job.trigger.timezone) == "Asia/Kolkata"
    assert type(schedule._scheduler._jobstores["default"]).__name__ == "MemoryJobStore"


def test_in_a_forked_child_there_is_nothing_to_stop(desk: Desk, made: Callable[..., Schedule]) -> None:
    """The threads stayed with the parent: a child that leaves must not wait for them."""
    schedule, gate = made(), Gate()
    schedule.add(Job("book-leader", "book", 0.02, gate, ACCOUNT))
    schedule.start()
    assert gate.inside.wait(20)
    child = os.fork()
    if not child:
        os._exit(0 if schedule.stop() else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    gate.through.set()
