"""`riskguard postback`, as a person, a supervisor and a broker use it."""

from __future__ import annotations

import http.client
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from urllib.parse import urlsplit

import pytest

from tests.cli.shell import Shell
from tests.cli.test_run_daemon import PATIENCE_S, PROMPT_S, stop, until
from tests.services.feeding import posting

BASE = "https://desk.example.org"


def made(shell: Shell, *words: str) -> str:
    """Make a key and a secret; return its address."""
    shell("secrets", "init")
    answer = shell("postback", "set-secret", "leader", "--url", BASE, "--json", *words)
    assert answer.status == 0, answer.err
    return str(answer.document["url"])


def post(port: int, url: str, body: str) -> int:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)) as connection:
        connection.request("POST", urlsplit(url).path, body)
        return connection.getresponse().status


@contextmanager
def served(shell: Shell, *words: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    process = shell.start("postback", "serve", "--port", "0", *words)
    try:
        assert process.stdout is not None
        found = re.search(r":(\d+)$", process.stdout.readline().strip())
        assert found is not None
        yield process, int(found[1])
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


def test_a_secret_is_shown_once_and_kept_sealed(shell: Shell) -> None:
    """The address for the broker; the signing key only when asked for; `status` shows neither."""
    shell("secrets", "init")
    first = shell("postback", "set-secret", "leader", "--url", BASE)
    second = shell("postback", "set-secret", "leader", "--url", BASE, "--signing-key")
    status = shell("postback", "status")

    url = re.search(rf"^{BASE}/postback/([a-z2-7]{{32}})$", first.out, flags=re.MULTILINE)
    assert first.status == 0 and url is not None and "whsec_" not in first.out
    assert "whsec_" in second.out and "`riskguard postback retire leader`" in second.out
    assert status.status == 0 and url[1] not in status.out and f"{BASE}/postback/" in status.out
    assert all(each.startswith("rg1:") for (each,) in shell.rows("SELECT webhook_secret FROM postback_configs"))
    assert shell("db", "check").status == 0


def test_an_earlier_address_ends_when_it_is_retired(shell: Shell) -> None:
    """Two hold, then one; a third ends the first by itself."""
    made(shell)
    made(shell)
    assert shell("postback", "retire", "leader", "--json").document == {"account": "leader", "retired": 1}
    made(shell)
    made(shell)

    assert shell.rows("SELECT count(*) FROM postback_configs WHERE is_active = 1") == [(2,)]
    assert shell.rows("SELECT count(*) FROM postback_configs") == [(4,)]


WRONG = [
    (("postback", "set-secret", "leader", "--url", "http://desk.example.org"), 2),
    (("postback", "set-secret", "leader", "--url", "https://127.0.0.1"), 2),
    (("postback", "set-secret", "nobody", "--url", BASE), 2),
    (("postback", "set-secret", "leader"), 2),
    (("postback", "retire", "nobody"), 2),
    (("postback", "status", "--account", "nobody"), 2),
    (("postback", "serve", "--port", "70000"), 2),
    (("postback", "serve"), 2),
]


@pytest.mark.parametrize("case", WRONG, ids=lambda case: " ".join(case[0]) if isinstance(case, tuple) else None)
def test_what_cannot_be_done_is_one_line(shell: Shell, case: tuple[tuple[str, ...], int]) -> None:
    """Malformed, unknown, or no address yet."""
    shell("secrets", "init")
    answer = shell(*case[0])

    assert answer.status == case[1] and answer.is_one_line_error(), answer.err


def test_without_a_key_no_secret_is_made(shell: Shell) -> None:
    answer = shell("postback", "set-secret", "leader", "--url", BASE)

    assert answer.status == 1 and "riskguard secrets init" in answer.err and answer.is_one_line_error()


def test_status_as_json(shell: Shell) -> None:
    """How many came today, and how the stream stands: never, here."""
    made(shell)
    (found,) = shell("postback", "status", "--json").document

    assert found["account"] == "leader" and found["stream"] is None
    assert found["secrets"][0]["kept"] == "sealed" and found["secrets"][0]["last_triggered_at"] is None
    assert found["postbacks"] == {"messages": 0, "pending": 0, "malformed": 0, "last_s": None}


def test_it_is_served_alone_until_it_is_told_to_stop(shell: Shell) -> None:
    """A real process: the body is on the disk, the secret in no line it wrote, and SIGTERM ends it with 0."""
    url = made(shell)
    with served(shell) as (process, port):
        assert post(port, url, posting()) == 200
        assert post(port, BASE + "/postback/elsewhere", posting()) == 404
        until(lambda: shell.rows("SELECT is_processed FROM postback_events") == [(1,)], "the message is dealt with")
        took_s, out, err = stop(process)

    assert (process.returncode, took_s < PROMPT_S) == (0, True), err
    assert url.rpartition("/")[2] not in out + err and "Traceback" not in err
    (found,) = shell("postback", "status", "--json").document
    assert found["postbacks"]["messages"] == 1 and found["secrets"][0]["last_triggered_at"] is not None


def test_a_message_survives_the_death_of_who_took_it(shell: Shell) -> None:
    """SIGKILL right after the answer: it was on the disk, and the next process deals with it."""
    url = made(shell)
    with served(shell) as (process, port):
        for number in range(5):
            assert post(port, url, posting(f"X{number}")) == 200
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert shell.rows("SELECT count(*) FROM postback_events") == [(5,)]
    with served(shell) as (process, _port):
        until(lambda: shell.rows("SELECT count(*) FROM postback_events WHERE is_processed = 0") == [(0,)], "all are")
        stop(process)

    assert process.returncode == 0


def test_a_port_that_is_taken_is_one_line(shell: Shell) -> None:
    """Somebody else listens there."""
    made(shell)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        answer = shell("postback", "serve", "--port", str(taken.getsockname()[1]))

    assert answer.status == 2 and "cannot be served" in answer.err and "Traceback" not in answer.err


def test_the_daemon_serves_it_when_the_setting_says_so(shell: Shell) -> None:
    """`riskguard run` with `postback` on, and it ends as promptly as without."""
    url = made(shell)
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    shell.write(
        "UPDATE config SET value = 'on' WHERE key = 'riskguard.postback'",
        f"UPDATE config SET value = '{int(port)}' WHERE key = 'riskguard.postback_port'",  # noqa: S608
    )
    process = shell.start("run")

    def answered() -> bool:
        try:
            return post(port, url, posting()) == 200
        except OSError:
            return False

    try:
        until(answered, "the webhook answers")
        until(lambda: shell.rows("SELECT is_processed FROM postback_events") == [(1,)], "the message is dealt with")
        _took_s, out, err = stop(process)
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()

    assert process.returncode == 0 and "Traceback" not in err and url.rpartition("/")[2] not in out + err
