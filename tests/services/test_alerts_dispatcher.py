"""Goal: what stands in the outbox arrives, once, on every channel that wants it, whatever hangs, dies or is away."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from riskguard.clock import SystemClock
from riskguard.services import alerts
from riskguard.services.alerts import OutboxAlerts, deliveries, senders
from riskguard.services.alerts.channels import Channel, channels
from riskguard.services.alerts.message import notice
from riskguard.services.alerts.senders import NotSentError
from riskguard.services.alerts.service import AlertService
from riskguard.services.wiring import open_guard
from riskguard.store.database import Database
from riskguard.store.secrets import keys as sources
from tests.services.alerting import (
    FAILING,
    HUNG,
    PATIENCE_S,
    WRITER,
    Receiver,
    add,
    dispatching,
    eventually,
    lines,
    program,
    rounds,
)
from tests.services.desk import START, Desk

SECOND = 1_000_000


def tell(desk: Desk, message: str, severity: str = "critical", **more: Any) -> None:
    with desk.store.session() as session:
        alerts.write(session, "leader", severity, message, desk.clock.now_us(), **more)


def states(desk: Desk) -> list[tuple[Any, ...]]:
    return desk.rows("SELECT channel, part, state, attempts FROM alert_deliveries ORDER BY id")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


# -- it arrives ------------------------------------------------------------------------------------------------------


def test_a_command_is_given_the_message_and_a_clean_environment(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """JSON on standard input; nothing of riskguard's environment, and no token of anybody's."""
    monkeypatch.setenv("RISKGUARD_OPERATOR_TOKEN", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    add(desk, "pager", argv=program(WRITER, tmp_path / "out"))
    tell(desk, "loss reached", code="DAILY_LOSS")
    with dispatching(desk) as made:
        rounds(made)
        rounds(made)

    (given,) = lines(tmp_path / "out")
    assert {key: given[key] for key in ("id", "account", "severity", "code", "message", "at", "test")} == {
        "id": "1-1", "account": "leader", "severity": "critical", "code": "DAILY_LOSS", "message": "loss reached",
        "at": "2025-06-02T10:30:02.000+05:30", "test": False,
    }  # fmt: skip
    assert not [name for name in given["environment"] if "RISKGUARD" in name or "SECRET" in name]
    assert "PATH" in given["environment"]
    assert states(desk) == [("pager", 1, "SENT", 1)]


def test_apprise_posts_to_a_real_receiver(desk: Desk, home: Path, receiver: Receiver) -> None:
    """Through the library itself, from a sealed URL; the URL lies nowhere in clear."""
    sources.create_file()
    add(desk, "hook", url=receiver.url("hook-canary-8812/"))
    tell(desk, "kill made")
    with dispatching(desk) as made:
        rounds(made)

    ((path, body),) = receiver.got
    assert path.startswith("/hook-canary-8812") and body["title"] == "riskguard CRITICAL: leader"
    assert (body["message"], body["type"]) == ("kill made", "failure")
    for file in desk.path.parent.rglob("*"):
        assert not file.is_file() or b"hook-canary-8812" not in file.read_bytes(), file


@pytest.mark.parametrize(
    ("least", "severity", "arrives"),
    [("info", "info", True), ("warning", "info", False), ("warning", "warning", True), ("critical", "warning", False)],
)
def test_a_channel_says_from_what_on_it_is_told(
    desk: Desk, tmp_path: Path, least: str, severity: str, arrives: bool
) -> None:
    """At its least severity it is told, below it is not."""
    add(desk, "pager", argv=program(WRITER, tmp_path / "out"), least=least)
    tell(desk, "x", severity)
    with dispatching(desk) as made:
        rounds(made)

    assert bool(lines(tmp_path / "out")) is arrives


def test_within_five_seconds(desk: Desk, tmp_path: Path) -> None:
    """From `tell` to the program's hands, with the thread of the daemon and nothing to help it."""
    add(desk, "pager", argv=program(WRITER, tmp_path / "out"))
    service = AlertService(desk.url, clock=desk.clock)
    service.start()
    began = time.monotonic()
    service.alerts.tell("leader", "critical", "kill made")
    eventually(lambda: lines(tmp_path / "out"))
    took_s = time.monotonic() - began
    service.stop()

    assert took_s < 5


def test_a_flood_is_one_message_and_then_a_count(desk: Desk, tmp_path: Path) -> None:
    """Fifty within the minute: one message at once, one count after it, nothing more."""
    add(desk, "pager", argv=program(WRITER, tmp_path / "out"))
    with dispatching(desk) as made:
        for number in range(50):
            tell(desk, f"marks are {number} s old", "warning")
            desk.clock.advance(0.5)
        rounds(made)
        assert [each["message"] for each in lines(tmp_path / "out")] == ["marks are 0 s old"]
        desk.clock.advance(35)  # 60 s after the first
        rounds(made)
        assert len(lines(tmp_path / "out")) == 1
        desk.clock.advance(1)
        rounds(made)
        desk.clock.advance(600)
        rounds(made)

    assert [(each["id"], each["message"]) for each in lines(tmp_path / "out")] == [
        ("1-1", "marks are 0 s old"),
        ("1-2", "49 more like it until 10:30:26 IST: marks are 0 s old"),
    ]


# -- what goes wrong ---------------------------------------------------------------------------------------------------


def test_a_hung_channel_is_killed_with_its_children_and_holds_up_nobody(desk: Desk, tmp_path: Path) -> None:
    """The other channel is served meanwhile; the hung script's own child dies with it."""
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-I', '-S', '-c', {HUNG!r}, sys.argv[1]])"
    add(desk, "hung", argv=program(child, tmp_path / "hung"), timeout_ms=3_000)
    add(desk, "pager", argv=program(WRITER, tmp_path / "out"))
    tell(desk, "kill made")
    with dispatching(desk) as made:
        made.tick()
        eventually(lambda: lines(tmp_path / "out"))
        assert ("hung", 1, "SENT", 1) not in states(desk)
        assert made.wait(PATIENCE_S)

    assert sorted(states(desk)) == [("hung", 1, "WAITING", 1), ("pager", 1, "SENT", 1)]
    assert "no end within 3 s" in desk.one("SELECT last_error FROM alert_deliveries WHERE channel = 'hung'")
    assert (tmp_path / "hung").exists()  # it did begin
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert str(tmp_path / "hung") not in listed


def test_a_hung_receiver_is_left_at_the_timeout(desk: Desk, home: Path, receiver: Receiver) -> None:
    """apprise may wait as long as it likes: its process does not."""
    sources.create_file()
    receiver.hangs = True
    # Its own limits are set beyond ours, so that ours is what ends it.
    add(desk, "hook", url=receiver.url("x") + "?rto=300&cto=300", timeout_ms=4_000)
    tell(desk, "kill made")
    with dispatching(desk) as made:
        rounds(made)

    assert states(desk) == [("hook", 1, "WAITING", 1)]
    assert "no end within 4 s" in desk.one("SELECT last_error FROM alert_deliveries")


def test_tried_again_with_growing_pauses_then_given_up_and_told(desk: Desk, tmp_path: Path) -> None:
    """Ten attempts over some forty minutes; then the other channel hears that this one is deaf."""
    add(desk, "deaf", argv=program(FAILING))
    add(desk, "pager", argv=program(WRITER, tmp_path / "out"))
    tell(desk, "kill made")
    pauses = []
    with dispatching(desk) as made:
        for attempt in range(1, deliveries.ATTEMPTS_MAX + 1):
            rounds(made)
            assert states(desk)[0][3] == attempt
            next_us = desk.one("SELECT next_at_us FROM alert_deliveries WHERE channel = 'deaf'")
            pauses.append((next_us - desk.clock.now_us()) // SECOND)
            desk.clock.at_us = next_us - 1
            desk.clock.skipped_us += 3_600 * SECOND  # the channel's rest is over
            rounds(made)
            assert states(desk)[0][3] == attempt  # a microsecond early it is not tried
            desk.clock.at_us = next_us
        rounds(made)

    assert pauses == [5, 10, 20, 40, 80, 160, 320, 600, 600, 600]
    assert states(desk)[0] == ("deaf", 1, "GIVEN_UP", 10)
    said = [each["message"] for each in lines(tmp_path / "out")]
    assert len(said) == 2 and said[0] == "kill made"
    assert "`deaf`" in said[1] and "ended with 7: no line to the pager" in said[1]
    assert not [row for row in states(desk)[1:] if row[0] == "deaf"]  # it is not told of itself


def test_a_channel_that_is_back_is_told_what_waited_at_once(desk: Desk, home: Path, receiver: Receiver) -> None:
    """What rests for minutes goes out with the first message that arrives again; the weightiest goes first."""
    sources.create_file()
    add(desk, "hook", url=receiver.url("x"))
    receiver.status = 500
    tell(desk, "old news", "info")
    with dispatching(desk) as made:
        rounds(made)
        desk.clock.advance(5)
        desk.clock.skipped_us += 60 * SECOND
        rounds(made)  # now it waits 10 s more
        receiver.status = 200
        tell(desk, "kill made")
        desk.clock.skipped_us += 60 * SECOND
        rounds(made)

    assert [body["message"] for _, body in receiver.got[2:]] == ["kill made", "old news"]


def test_a_crash_between_send_and_mark_sends_again_under_the_same_id(desk: Desk, tmp_path: Path) -> None:
    """At least once: the claim of the dead runs out, not before; the dead one's late mark changes nothing."""
    add(desk, "pager", argv=program(WRITER, tmp_path / "out"))
    tell(desk, "kill made")
    (channel,) = _channels(desk)
    with dispatching(desk) as made, Database(desk.url, clock=desk.clock) as dead:
        deliveries.hand_out(dead, [channel], desk.clock.now_us())
        claimed = deliveries.claim(dead, channel, desk.clock.now_us())
        assert claimed is not None
        senders.send(channel, claimed.payload)  # and here it dies
        rounds(made)
        assert len(lines(tmp_path / "out")) == 1
        desk.clock.advance(channel.timeout_ms / 1000 + 15)
        rounds(made)
        deliveries.failed(dead, channel, claimed, "back from the dead", desk.clock.now_us())

    assert [each["id"] for each in lines(tmp_path / "out")] == ["1-1", "1-1"]
    assert states(desk) == [("pager", 1, "SENT", 2)]


def _channels(desk: Desk) -> list[Channel]:
    with Database(desk.url, clock=desk.clock) as database:
        return channels(database)


def test_two_dispatchers_send_once(desk: Desk, tmp_path: Path) -> None:
    """Forty messages and two daemons at the same outbox: each arrives once."""
    add(desk, "pager", argv=["never run"])
    got: list[str] = []
    meet = threading.Barrier(2, timeout=PATIENCE_S)

    def keep(_channel: Channel, message: dict[str, Any], **_: Any) -> None:
        got.append(message["id"])  # appending is atomic

    with desk.store.session() as session:
        for number in range(40):
            alerts.write(session, "leader", "warning", "x", START, key=f"k{number}")
    with dispatching(desk, send=keep) as one, dispatching(desk, send=keep) as other:

        def work(made: Any) -> None:
            meet.wait()
            for _ in range(5):
                rounds(made)

        both = [threading.Thread(target=work, args=(made,)) for made in (one, other)]
        for each in both:
            each.start()
        for each in both:
            each.join(PATIENCE_S)

    assert sorted(got) == sorted(f"{number}-1" for number in range(1, 41))
    assert {row[2] for row in states(desk)} == {"SENT"}


CRASHER = """
import os, sys
from riskguard.services.alerts.dispatcher import Dispatcher
url, place, dies = sys.argv[1:]
def send(channel, message, **_):
    with open(place, "a") as file:
        file.write(message["id"] + "\\n")
        file.flush()
        os.fsync(file.fileno())
    if dies == "yes":
        os._exit(9)
made = Dispatcher(url, send=send)
made.tick()
made.wait(30)
made.stop()
"""


def test_a_daemon_killed_while_sending_loses_none(make_desk: Callable[..., Desk], tmp_path: Path) -> None:
    """A process dies with the message sent and unmarked; a second daemon waits for the claim, then sends it."""
    desk = make_desk(clock=SystemClock())
    add(desk, "pager", argv=["x"], timeout_ms=500)
    tell(desk, "kill made")

    def daemon(dies: str) -> int:
        words = [sys.executable, "-c", CRASHER, desk.url, str(tmp_path / "sent"), dies]
        return subprocess.run(words, timeout=PATIENCE_S, check=False).returncode

    assert daemon("yes") == 9
    assert states(desk) == [("pager", 1, "SENDING", 1)]
    assert daemon("no") == 0
    assert (tmp_path / "sent").read_text().splitlines() == ["1-1"]  # the claim holds
    desk.sql("UPDATE alert_deliveries SET next_at_us = next_at_us - 60000000")
    assert daemon("no") == 0

    assert (tmp_path / "sent").read_text().splitlines() == ["1-1", "1-1"]
    assert states(desk) == [("pager", 1, "SENT", 2)]


def test_with_the_database_locked_it_waits_and_then_sends(desk: Desk, tmp_path: Path) -> None:
    """Nothing raises, nothing is lost."""
    add(desk, "pager", argv=program(WRITER, tmp_path / "out"))
    tell(desk, "kill made")
    with dispatching(desk) as made:
        made.database.deadline_s = 0.05
        with desk.unwritable():
            rounds(made)
            assert lines(tmp_path / "out") == []
        rounds(made)

    assert len(lines(tmp_path / "out")) == 1


def test_what_the_database_never_took_goes_straight_to_the_channels(desk: Desk, tmp_path: Path) -> None:
    """A database in trouble is what people must hear of; once a minute, not at each sweep."""
    add(desk, "pager", argv=program(WRITER, tmp_path / "out"))
    with dispatching(desk) as made:
        rounds(made)  # it knows its channels
        made.database.deadline_s = 0.05
        told = OutboxAlerts(desk.url, clock=desk.clock, directly=made.directly, write_wait_s=0.02)
        with desk.unwritable():
            for number in range(5):
                told.tell("leader", "critical", f"the database was busy for {number} s")
            assert told.flush(PATIENCE_S)
            assert made.wait(PATIENCE_S)
        told.close()

    ((said),) = [each["message"] for each in lines(tmp_path / "out")]
    assert said == "the database was busy for 0 s" and desk.one("SELECT count(*) FROM alerts") == 0


def test_an_alert_of_last_week_is_not_sent_today(desk: Desk, tmp_path: Path) -> None:
    """A daemon that comes back after days tells nobody of last week; a day old to the microsecond is still sent."""
    add(desk, "pager", argv=program(WRITER, tmp_path / "out"))
    tell(desk, "just a day", key="a")
    desk.clock.at_us -= 1
    tell(desk, "older", key="b")
    desk.clock.at_us += 1 + 86_400 * SECOND
    with dispatching(desk) as made:
        rounds(made)

    assert [each["message"] for each in lines(tmp_path / "out")] == ["just a day"]
    assert [row[2] for row in states(desk)] == ["SENT", "GIVEN_UP"]


def test_a_clock_set_back_does_not_hold_a_message_for_hours(desk: Desk, tmp_path: Path) -> None:
    """What is put off beyond an hour was written before the clock was set back: it is sent now."""
    add(desk, "pager", argv=program(WRITER, tmp_path / "out"))
    tell(desk, "kill made")
    desk.clock.advance(7_200)
    with Database(desk.url, clock=desk.clock) as database:
        deliveries.hand_out(database, channels(database), desk.clock.now_us())
    desk.clock.advance(-7_200)
    with dispatching(desk) as made:
        rounds(made)

    assert len(lines(tmp_path / "out")) == 1


def test_a_watch_that_breaks_holds_up_no_alert(desk: Desk, tmp_path: Path) -> None:
    """A bug in what looks at other processes, at every tick: what stands in the outbox is sent all the same."""
    add(desk, "pager", argv=program(WRITER, tmp_path / "out"))
    tell(desk, "kill made")

    def watch(_database: Database, _now_us: int) -> None:
        raise ZeroDivisionError

    with dispatching(desk, watch=watch) as made:
        rounds(made)

    assert len(lines(tmp_path / "out")) == 1


def test_what_was_not_told_by_tell_is_logged_by_the_dispatcher(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    """An alert written in a sweep's transaction reaches the log after its commit, once, without any channel."""
    tell(desk, "written with the sweep")
    with dispatching(desk) as made:
        rounds(made)
        rounds(made)

    assert caplog.text.count("written with the sweep") == 1


# -- senders -----------------------------------------------------------------------------------------------------------


def command(*words: str, timeout_ms: int = 10_000) -> Channel:
    return Channel("pager", "command", words, "info", timeout_ms)


MESSAGE = {"id": "1-1", "title": "t", "message": "m" * 200_000, "severity": "info"}


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (("/no/such/program",), "cannot be started"),
        (tuple(program("import sys; sys.exit(3)")), "ended with 3: (it said nothing)"),
        (tuple(program("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")), "ended with -11"),
    ],
)
def test_a_command_that_fails_says_why(argv: tuple[str, ...], said: str) -> None:
    """Missing, ended badly, or killed by a signal."""
    with pytest.raises(NotSentError) as caught:
        senders.send(command(*argv), MESSAGE)

    assert said in str(caught.value)


def test_a_command_that_reads_nothing_or_writes_for_ever_blocks_nobody() -> None:
    """A message larger than a pipe is not waited with; output beyond a bound is thrown away."""
    senders.send(command(*program("pass")), MESSAGE)
    with pytest.raises(NotSentError, match="killed"):
        senders.send(command(*program("while True: print('x' * 65536)"), timeout_ms=700), MESSAGE)


def test_stopping_does_not_wait_for_a_hung_command() -> None:
    """The daemon leaves at once; the message is sent again by whoever comes next."""
    stopped = threading.Event()
    stopped.set()
    began = time.monotonic()
    with pytest.raises(NotSentError):
        senders.send(command(*program("import time; time.sleep(600)"), timeout_ms=60_000), MESSAGE, stopped=stopped)

    assert time.monotonic() - began < 30


def test_an_error_shows_no_secret(home: Path, receiver: Receiver) -> None:
    """A URL whose service refuses: what apprise and the receiver say passes without the token."""
    from riskguard.services.alerts.channels import checked

    receiver.status = 403
    made = checked("hook", argv=(), url=receiver.url("bot55canary9911"), least="info", timeout_ms=10_000)
    with pytest.raises(NotSentError) as caught:
        senders.send(made, {"id": "1", "title": "t", "message": "m", "severity": "info"})

    assert "canary" not in f"{caught.value!r}{made!r}" and "403" in str(caught.value)


def test_a_kill_waits_for_no_channel(make_desk: Callable[..., Desk], tmp_path: Path) -> None:
    """With every channel hung and a queue full of alerts a kill takes as long as ever; it is told of all the same."""
    desk = make_desk(clock=SystemClock())
    for number in range(4):
        add(desk, f"hung{number}", argv=program(HUNG, tmp_path / "hung"), timeout_ms=60_000)
    service = AlertService(desk.url, clock=desk.clock)
    service.start()
    with desk.store.session() as session:
        for number in range(200):
            alerts.write(session, "leader", "critical", "x", desk.clock.now_us(), key=f"k{number}")
    eventually(lambda: (tmp_path / "hung").exists() and len((tmp_path / "hung").read_text().splitlines()) == 4)
    began = time.monotonic()
    outcome = desk.kill()
    took_s = time.monotonic() - began
    eventually(lambda: desk.rows("SELECT 1 FROM alerts WHERE code = 'KILLED'"))
    service.stop()

    assert outcome.exit_status == 0
    assert took_s < 2.0, f"{took_s:.3f} s"  # on a calm machine some 20 ms: a hung channel would make it a minute


def test_a_bot_that_sweeps_by_itself_tells_over_its_channels(make_desk: Callable[..., Desk], tmp_path: Path) -> None:
    """No daemon: the guard of the library sends what its own sweeps find, and what others did to its database."""
    desk = make_desk(profile="library")
    add(desk, "pager", argv=program(WRITER, tmp_path / "out"))
    desk.kill()
    with open_guard(desk.url, clock=desk.clock, deadline_ms=5_000):
        eventually(lambda: [each for each in lines(tmp_path / "out") if each["code"] == "KILLED"])


def test_notices_keep_their_words(desk: Desk) -> None:
    """A notice handed to the log has what the row had."""
    assert notice("a", "info", "m", 1, code="C").code == "C"
