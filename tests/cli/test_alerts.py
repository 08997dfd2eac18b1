"""Goal: `riskguard alerts` says who would be told, tries it for real, and never shows a URL."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator

import pytest

from tests.cli.shell import Shell
from tests.services.alerting import FAILING, WRITER, Receiver, eventually, lines, program

SECRET = "bot8812canary"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


def test_a_command_from_adding_to_removing(shell: Shell) -> None:
    """Added, shown, tried with a real process, listed, removed."""
    out = shell.directory / "out"
    added = shell("alerts", "channels", "add", "pager", "--from", "warning", "--", *program(WRITER, out))
    assert (added.status, "pager" in added.out) == (0, True)
    shown = shell("alerts", "channels", "show", "--json").document
    assert [(each["name"], each["kind"], each["least"], each["problem"]) for each in shown] == [
        ("log", "log", "info", ""), ("pager", "command", "warning", ""),
    ]  # fmt: skip
    assert shell("alerts", "test").out == "pager: sent\n"
    assert lines(out)[0]["test"] is True
    assert shell("alerts", "channels", "remove", "pager").status == 0
    assert [each["name"] for each in shell("alerts", "channels", "show", "--json").document] == ["log"]


def test_a_url_comes_from_standard_input_and_is_shown_nowhere(shell: Shell, receiver: Receiver) -> None:
    """Sealed, tried against a real receiver; not in any answer, and in no file but sealed."""
    assert shell("secrets", "init").status == 0
    url = receiver.url(SECRET)
    answers = [
        shell("alerts", "channels", "add", "hook", stdin=f"{url}\n".encode()),
        shell("alerts", "channels", "show"),
        shell("alerts", "channels", "show", "--json"),
        shell("alerts", "test", "--channel", "hook"),
        shell("secrets", "status"),
        shell("doctor"),
    ]

    assert [each.status for each in answers[:5]] == [0] * 5
    assert receiver.got and SECRET in receiver.got[0][0]
    assert not [each for each in answers if SECRET in each.out + each.err]
    for file in shell.directory.rglob("*"):
        assert not file.is_file() or file.name == ".stdin" or SECRET.encode() not in file.read_bytes(), file


@pytest.mark.parametrize(
    ("words", "stdin", "status", "said"),
    [
        (("channels", "add", "hook", f"json://h/{SECRET}"), "", 2, "a URL is a secret"),
        (("channels", "add", "log", "--", "/bin/true"), "", 2, "always there"),
        (("channels", "add", "Not A Name", "--", "/bin/true"), "", 2, "wants 1 to 32"),
        (("channels", "add", "p", "--from", "loud", "--", "/bin/true"), "", 2, "wants one of info"),
        (("channels", "add", "p", "--timeout", "nan", "--", "/bin/true"), "", 2, "timeout"),
        (("channels", "add", "p", "--timeout", "0.1", "--", "/bin/true"), "", 2, "timeout"),
        (("channels", "add", "p"), "", 2, "a command or a URL"),
        (("channels", "add", "p"), "not a url", 2, "no apprise URL"),
        (("channels", "add", "p"), f"nosuchscheme://{SECRET}1/x", 2, "apprise does not know"),
        (("channels", "add", "p"), f"json://h/{SECRET}", 1, "riskguard secrets init"),
        (("channels", "remove", "p"), "", 2, "no channel `p`"),
        (("test", "--channel", "p"), "", 2, "no channel `p`"),
        (("list", "--account", "nobody"), "", 2, "no account `nobody`"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(
    shell: Shell, words: tuple[str, ...], stdin: str, status: int, said: str
) -> None:
    """Malformed is 2, a missing key is 1; the URL is never repeated, and nothing is written."""
    answer = shell("alerts", *words, stdin=stdin.encode())

    assert answer.status == status, answer
    assert answer.is_one_line_error() and said in answer.err and SECRET not in answer.err
    assert shell.rows("SELECT 1 FROM alert_channels") == [] and not shell.rows(
        "SELECT 1 FROM config WHERE key LIKE 'alerts%'"
    )


def test_a_test_that_does_not_arrive_fails(shell: Shell) -> None:
    """Nobody to tell is a failure as well: who relies on it must know."""
    nobody = shell("alerts", "test")
    assert nobody.status == 1 and "reach nobody" in nobody.out
    shell("alerts", "channels", "add", "deaf", "--", *program(FAILING))
    shell("alerts", "channels", "add", "good", "--", sys.executable, "-c", "pass")
    both = shell("alerts", "test", "--json")
    assert both.status == 1
    assert [(each["channel"], each["sent"]) for each in both.document] == [("deaf", False), ("good", True)]
    assert "no line to the pager" in both.document[0]["error"]
    assert shell("alerts", "test", "--channel", "good").status == 0
    assert shell("alerts", "test", "--channel", "log").status == 0


def test_the_list_says_what_became_of_each(shell: Shell) -> None:
    """Waiting, sent, given up, and what only the log has."""
    at = 1_780_000_000_000_000
    for code, account, severity, at_us in (
        ("KILLED", "leader", "critical", at),
        ("HEARTBEAT", "GLOBAL", "info", at + 1),
    ):
        shell.write(
            "INSERT INTO alerts (account, severity, code, message, at_us, dedupe_key, said_at_us, last_at_us) "
            "VALUES (:account, :severity, :code, 'said', :at_us, :code, :at_us, :at_us)",
            account=account, severity=severity, code=code, at_us=at_us,
        )  # fmt: skip
    shell.write(
        "INSERT INTO alert_deliveries (alert_id, part, channel, message, state, attempts, next_at_us, last_error) "
        "VALUES (1, 1, 'pager', 'said', 'GIVEN_UP', 10, :at_us, 'no line')",
        at_us=at,
    )
    found = shell("alerts", "list", "--json").document
    assert [(each["code"], len(each["deliveries"])) for each in found] == [("HEARTBEAT", 0), ("KILLED", 1)]
    said = shell("alerts", "list", "--account", "leader").out
    assert "log only" in said and "pager: given up after 10 attempts: no line" in said


def test_doctor_looks_at_alerts(shell: Shell) -> None:
    """Where real money is, nobody to tell is a warning; a channel that never took one, and one that is stuck, too."""
    assert "alerts" not in {each["subject"] for each in shell("doctor", "--json").document["findings"]}
    shell.write("UPDATE config SET value = 'library' WHERE key = 'riskguard.profile'")
    assert "reach nobody" in shell("doctor").out
    shell("alerts", "channels", "add", "pager", "--", "/bin/true")
    assert "channel `pager` never took one" in shell("doctor").out


def test_a_running_daemon_tells_of_a_kill_from_another_process(shell: Shell) -> None:
    """The whole way: `riskguard run`, `riskguard kill` elsewhere, and the program's hands."""
    out = shell.directory / "out"
    assert shell("alerts", "channels", "add", "pager", "--from", "critical", "--", *program(WRITER, out)).status == 0
    daemon = shell.start("run")
    try:
        eventually(lambda: shell.rows("SELECT 1 FROM sweeps WHERE finished_at_us IS NOT NULL"), 60)
        began = time.monotonic()
        assert shell("kill", "leader", "--reason", "fat finger", "--no-wait").status in (0, 5)
        eventually(lambda: [each for each in lines(out) if each["code"] == "KILLED"], 60)
        took_s = time.monotonic() - began
    finally:
        daemon.terminate()
        daemon.communicate(timeout=60)

    (said,) = [each["message"] for each in lines(out) if each["code"] == "KILLED"]
    assert "fat finger" in said and "riskguard release leader" in said
    assert took_s < 30  # 2 to 4 s on a calm machine
