"""Goal: whatever a stranger sends, the webhook's server answers shortly, holds little, and tells nothing."""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from riskguard.clock import SystemClock
from riskguard.errors import SettingsError
from riskguard.feeds.postback_server import BODY_BYTES_MAX, HEADER_BYTES_MAX, PostbackServer, Reply

PATH = "/postback/s3cr3t-p4th-of-the-leader"
PATIENCE_S = 30.0


class Office:
    """Takes what is posted to one path, and keeps it in memory; can be made slow."""

    def __init__(self) -> None:
        self.taken: list[tuple[dict[str, str], bytes, str]] = []
        self.open = threading.Event()
        self.open.set()
        self.reply = Reply(200, "kept")

    def door(self, path: str) -> str | None:
        return "leader" if path == PATH else None

    def take(self, door: str, headers: Mapping[str, str], body: bytes, peer: str) -> Reply:
        assert self.open.wait(PATIENCE_S)
        self.taken.append((dict(headers), body, peer))
        return self.reply


Serve = Callable[..., tuple[PostbackServer[str], Office]]


@pytest.fixture
def serve() -> Iterator[Serve]:
    made: list[PostbackServer[str]] = []

    def start(**how: Any) -> tuple[PostbackServer[str], Office]:
        office = Office()
        server = PostbackServer(office, SystemClock(), **how)
        made.append(server)
        server.start()
        return server, office

    yield start
    for each in made:
        assert each.stop()


def ask(
    server: PostbackServer[str], method: str = "POST", path: str = PATH, body: bytes | None = b"{}", **headers: str
) -> Any:
    """Send one request with the standard client; return status, body and headers."""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_S)) as connection:
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, answer.read(), {name.lower(): value for name, value in answer.getheaders()}


def raw(server: PostbackServer[str], text: bytes) -> bytes:
    """Send bytes as they are and read to the end."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE_S) as connection:
        connection.sendall(text)
        found = b""
        with contextlib.suppress(ConnectionError):
            while piece := connection.recv(65_536):
                found += piece
        return found


def test_what_is_posted_to_the_path_is_taken(serve: Serve) -> None:
    """With its headers in small letters and who called; the connection ends with the answer."""
    server, office = serve()
    status, body, headers = ask(server, body=b'{"orderId": "1"}', webhook_id="m1")

    assert (status, body, headers["connection"]) == (200, b"kept\n", "close")
    ((given, kept, peer),) = office.taken
    assert given["webhook-id"] == "m1" and kept == b'{"orderId": "1"}' and peer == "127.0.0.1"
    assert headers["server"] == "riskguard" or headers["server"].startswith("riskguard")
    assert "Python" not in headers["server"]


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE", "CONNECT", "BREW"])
def test_only_post(serve: Serve, method: str) -> None:
    """Whatever the path: the method is no way to find it out."""
    server, office = serve()
    for path in (PATH, "/elsewhere"):
        status, _body, headers = ask(server, method, path, None)
        assert (status, headers["allow"]) == (405, "POST")
    assert office.taken == []


@pytest.mark.parametrize("path", ["/", "/postback/", PATH + "x", PATH[:-1], PATH.upper(), "//", "*", "http://x" + PATH])
def test_another_path_is_not_found(serve: Serve, path: str) -> None:
    """And its body is not read."""
    server, office = serve()
    assert (
        raw(server, f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{{}}".encode())[:12]
        == b"HTTP/1.1 404"
    )
    assert office.taken == []


LENGTHS = {
    "none": (b"", b"411"),
    "negative": (b"Content-Length: -1\r\n", b"400"),
    "a word": (b"Content-Length: ten\r\n", b"400"),
    "in other digits": ("Content-Length: ٢\r\n".encode(), b"400"),
    "two that differ": (b"Content-Length: 2\r\nContent-Length: 3\r\n", b"400"),
    "chunks": (b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n", b"411"),
    "endless": (b"Content-Length: 99999999999999999999\r\n", b"400"),
    "one too long": (f"Content-Length: {BODY_BYTES_MAX + 1}\r\n".encode(), b"413"),
}


@pytest.mark.parametrize("what", LENGTHS)
def test_a_body_without_a_fair_length_is_not_read(serve: Serve, what: str) -> None:
    """Decided by the header alone, before a byte of the body."""
    server, office = serve()
    header, wanted = LENGTHS[what]
    answer = raw(server, b"POST " + PATH.encode() + b" HTTP/1.1\r\nHost: x\r\n" + header + b"\r\n{}")

    assert answer.split(b" ")[1] == wanted and office.taken == []


def test_the_longest_body_that_is_taken(serve: Serve) -> None:
    """64 KiB exactly; a byte more is refused, and the refusal arrives although the body was sent."""
    server, office = serve()

    assert ask(server, body=b"x" * BODY_BYTES_MAX)[0] == 200 and len(office.taken[0][1]) == BODY_BYTES_MAX
    assert ask(server, body=b"x" * (BODY_BYTES_MAX + 1))[0] == 413 and len(office.taken) == 1


def test_endless_headers_are_refused(serve: Serve) -> None:
    """They are not held in memory."""
    server, office = serve()
    filler = b"X-Filler: " + b"a" * 1_000 + b"\r\n"
    head = b"POST " + PATH.encode() + b" HTTP/1.1\r\nContent-Length: 2\r\n" + filler * (HEADER_BYTES_MAX // 1_000 + 1)

    assert raw(server, head + b"\r\n{}").split(b" ")[1] == b"431" and office.taken == []


NOISE = {
    "empty lines": b"\r\n\r\n", "a word": b"hello\r\n\r\n", "tls": b"\x16\x03\x01\x02\x00\x01\xfc",
    "a path without end": b"POST " + b"/" * 40_000, "zeros": b"\x00" * 64,
}  # fmt: skip


@pytest.mark.parametrize("text", NOISE.values(), ids=NOISE.keys())
def test_what_is_no_http_gets_a_short_answer_or_none(serve: Serve, text: bytes) -> None:
    """TLS on a port without it, a scanner, noise."""
    server, office = serve(request_s_max=0.5)
    answer = raw(server, text)

    assert len(answer) < 400 and b"Traceback" not in answer and office.taken == []
    assert ask(server)[0] == 200


def test_a_body_that_stops_halfway_is_not_taken(serve: Serve) -> None:
    """Half a message is none."""
    server, office = serve(request_s_max=1.0)
    answer = raw(server, b"POST " + PATH.encode() + b" HTTP/1.1\r\nContent-Length: 10\r\n\r\n{}")

    assert answer == b"" or answer.split(b" ")[1] == b"408"
    assert office.taken == []


@pytest.mark.parametrize("where", ["head", "body"])
def test_who_sends_byte_by_byte_is_cut_off_in_time(serve: Serve, where: str) -> None:
    """Each byte comes in time, and the whole never does: the time is for the whole. Others are served meanwhile."""
    server, office = serve(request_s_max=0.5)
    whole = b"POST " + PATH.encode() + b" HTTP/1.1\r\nContent-Length: 1000\r\n\r\n"
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE_S) as connection:
        if where == "body":
            connection.sendall(whole)
        assert ask(server)[0] == 200
        with contextlib.suppress(OSError):
            while time.monotonic() - began < PATIENCE_S:
                connection.sendall(b"a")
                time.sleep(0.05)
        assert time.monotonic() - began < PATIENCE_S / 2
    assert len(office.taken) == 1


def test_connections_are_bounded(serve: Serve) -> None:
    """One more than may be is closed without a word; when one ends there is room again."""
    server, office = serve(connections_max=3)
    office.open.clear()
    threads = [threading.Thread(target=ask, args=(server,)) for _ in range(3)]
    for each in threads:
        each.start()
    end = time.monotonic() + PATIENCE_S
    while len(server._server._open) < 3 and time.monotonic() < end:
        time.sleep(0.005)
    with pytest.raises((http.client.HTTPException, OSError)):
        ask(server)
    assert server.refused >= 1
    office.open.set()
    for each in threads:
        each.join(PATIENCE_S)

    assert ask(server)[0] == 200 and len(office.taken) == 4


ALLOWED = [("127.0.0.0/8", True), ("10.0.0.0/8", False), ("2001:db8::/32", False)]


@pytest.mark.parametrize("case", ALLOWED, ids=str)
def test_only_the_networks_that_may_call(serve: Serve, case: tuple[str, bool]) -> None:
    """Another one is not answered at all."""
    server, office = serve(allow=(ipaddress.ip_network(case[0]),))
    if case[1]:
        assert ask(server)[0] == 200
    else:
        with pytest.raises((http.client.HTTPException, OSError)):
            ask(server)
    assert bool(office.taken) == case[1]


def test_a_wish_to_continue_is_granted(serve: Serve) -> None:
    """Some clients ask before they send a body."""
    server, office = serve()
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE_S) as connection:
        connection.sendall(b"POST " + PATH.encode() + b" HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        assert connection.recv(1_000).startswith(b"HTTP/1.1 100")
        connection.sendall(b"{}")
        assert connection.recv(1_000).startswith(b"HTTP/1.1 200")
    assert len(office.taken) == 1


def test_an_answer_can_say_when_to_come_again(serve: Serve) -> None:
    server, office = serve()
    office.reply = Reply(503, "not kept", 7)
    status, _body, headers = ask(server)

    assert (status, headers["retry-after"]) == (503, "7")


def test_the_path_and_the_body_are_in_no_log(
    serve: Serve, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Nor in an answer, whatever goes wrong."""
    caplog.set_level(logging.DEBUG)
    server, office = serve(request_s_max=0.5)
    office.take = lambda *_args: 1 / 0  # type: ignore[method-assign, assignment, return-value]
    answers = [raw(server, f"{method} {PATH} {version}\r\nContent-Length: 6\r\n\r\nb0dy!!".encode()) for method, version in (
        ("POST", "HTTP/1.1"), ("GET", "HTTP/1.1"), ("POST", "HTTP/9.9"), ("POST", "nonsense"), ("POST", "HTTP/1.1 more"),
    )]  # fmt: skip
    said = caplog.text + "".join(capfd.readouterr()) + b"".join(answers).decode()

    assert "s3cr3t" not in said and "b0dy" not in said
    assert "a posted request broke: ZeroDivisionError" in caplog.text


def test_an_address_that_is_taken_is_one_error(serve: Serve) -> None:
    server, _office = serve()
    with pytest.raises(SettingsError, match="cannot be served"):
        PostbackServer(Office(), SystemClock(), port=server.port)
    with pytest.raises(SettingsError, match="cannot be served"):
        PostbackServer(Office(), SystemClock(), host="no.such.host.invalid", port=1)


def test_stopping_ends_what_is_at_hand() -> None:
    """A caller that says nothing does not hold the stop up."""
    server = PostbackServer(Office(), SystemClock(), request_s_max=PATIENCE_S)
    server.start()
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE_S) as connection:
        connection.sendall(b"POST ")
        began = time.monotonic()
        assert server.stop() and not server.is_alive()
        assert time.monotonic() - began < PATIENCE_S / 2
        with contextlib.suppress(ConnectionError):
            assert connection.recv(10) == b""
