"""
A link between a client and a PostgreSQL server that breaks as it is told: delayed, swallowed, cut, reset or refused.

It listens on 127.0.0.1 and knows the client's side of PostgreSQL's protocol as far as where one message ends, so that it
can cut at "the message that says COMMIT": before it reached the server, or after the server did it and before its answer
comes back. One thread for each direction of each connection.
"""

from __future__ import annotations

import contextlib
import re
import socket
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

CHUNK: Final = 1 << 16
LINGER_NONE: Final = struct.pack("ii", 1, 0)
"""Closing with this sends RST: the other end hears an error, not an end."""
NEGOTIATIONS: Final = (80877103, 80877104)
"""Codes of SSLRequest and GSSENCRequest, which come before the start-up message and are shaped like it."""

QUERY, SYNC = b"Q", b"S"
"""Messages after which a client waits: a text of statements, and the end of what went before."""


@dataclass
class Faults:
    """What the link does wrong now; all of it may be changed while connections are open."""

    to_server_s: float = 0.0  # each chunk is held back so long
    to_client_s: float = 0.0
    swallow_to_server: bool = False  # taken from the sender and dropped: a half-open link
    swallow_to_client: bool = False
    cut_after_bytes: int | None = None  # of what clients send from now on
    cut_at_message: int | None = None  # the n-th message of clients from now on does not arrive
    cut_before: re.Pattern[bytes] | None = None  # a client's message with this in it does not arrive
    cut_after: re.Pattern[bytes] | None = None  # it arrives, and the server's answer to it does not
    passing: int = 0  # so many messages that match come through whole first
    is_silent: bool = False  # a cut ends in silence, as when a cable is pulled; else in a reset
    server_hears: bool = True  # a cut is seen by the server too; else its session stays open


@dataclass
class _Link:
    """One connection through the proxy."""

    client: socket.socket
    server: socket.socket
    is_dead: bool = False
    answer_is_lost: bool = False
    started: bool = False
    pending: bytearray = field(default_factory=bytearray)


class Proxy:
    """See the module. *server* is a directory with PostgreSQL's socket, or (host, port)."""

    def __init__(self, server: Path | tuple[str, int]) -> None:
        self._upstream = server
        self.faults = Faults()
        self.cuts = 0  # how often a scripted cut happened: a test asks it, to know that its fault was one
        self.connections = 0
        self.asked = 0  # how often a client sent what it then waits for the answer to: round trips
        self._lock = threading.Lock()
        self._links: list[_Link] = []
        self._kept_open: list[socket.socket] = []
        self._closing = threading.Event()
        self._listener: socket.socket | None = None
        self.port = 0
        self.accept()

    def url(self, database: str, user: str = "postgres", **options: str) -> str:
        said = "".join(f"&{name}={value}" for name, value in options.items())
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}?sslmode=disable{said}"

    # -- what happens to the link ---------------------------------------------------------------------------------------

    def accept(self) -> None:
        """Listen, on the same port as before."""
        if self._listener is not None:
            return
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        listener.listen(128)
        self.port = listener.getsockname()[1]
        self._listener = listener
        threading.Thread(target=self._accepting, args=(listener,), daemon=True).start()

    def refuse(self) -> None:
        """Stop listening and reset what is open: the next connection is refused by the kernel."""
        listener, self._listener = self._listener, None
        if listener is not None:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)  # wakes the thread in accept(); closing alone does not
            listener.close()
        self.reset()

    def blackhole(self) -> None:
        """Take what comes, in new connections too, and never answer."""
        self.faults.swallow_to_server = self.faults.swallow_to_client = True

    def half_open(self, lost: str) -> None:
        """Lose one direction: `to_server` or `to_client`."""
        setattr(self.faults, f"swallow_{lost}", True)

    def reset(self) -> None:
        """Reset every open connection now."""
        with self._lock:
            links = list(self._links)
        for link in links:
            self._cut(link)

    def point_to(self, server: Path | tuple[str, int]) -> None:
        """Lead to another server from now on, as a changed address does; what was open is reset."""
        self._upstream = server
        self.reset()

    def heal(self) -> None:
        """Be a good link again. What was swallowed is gone, and so are the connections it was swallowed from."""
        was = self.faults
        self.faults = Faults()
        if was.swallow_to_server or was.swallow_to_client:
            self.reset()
        for each in self._kept_open:
            each.close()
        self._kept_open.clear()
        self.accept()

    def close(self) -> None:
        self._closing.set()
        self.faults = Faults()
        self.refuse()
        for each in self._kept_open:
            each.close()

    # -- how it is done -------------------------------------------------------------------------------------------------

    def _accepting(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            self.connections += 1
            try:
                server = self._connect()
            except OSError:
                _drop(client)
                continue
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            link = _Link(client, server)
            with self._lock:
                self._links.append(link)
            for target in (self._to_server, self._to_client):
                threading.Thread(target=target, args=(link,), daemon=True).start()

    def _connect(self) -> socket.socket:
        if isinstance(self._upstream, tuple):
            return socket.create_connection(self._upstream, timeout=None)
        server = socket.socket(socket.AF_UNIX)
        server.connect(str(self._upstream / ".s.PGSQL.5432"))
        return server

    def _to_server(self, link: _Link) -> None:
        with contextlib.suppress(OSError):
            while data := link.client.recv(CHUNK):
                faults = self.faults
                if faults.to_server_s:
                    self._closing.wait(faults.to_server_s)
                if not self._forward(link, data):
                    return
        self._end(link)

    def _forward(self, link: _Link, data: bytes) -> bool:
        """Send what came whole, message by message; False when the connection was cut."""
        link.pending += data
        for message in _messages(link):
            faults = self.faults
            if faults.swallow_to_server or link.is_dead:
                continue
            if faults.cut_after_bytes is not None:
                if len(message) > faults.cut_after_bytes:
                    link.server.sendall(message[: faults.cut_after_bytes])
                    return self._scripted(link)
                faults.cut_after_bytes -= len(message)
            if faults.cut_at_message is not None:
                faults.cut_at_message -= 1
                if faults.cut_at_message <= 0:
                    return self._scripted(link)
            pattern = faults.cut_before or faults.cut_after
            if pattern is not None and pattern.search(message):
                if faults.passing:
                    faults.passing -= 1
                elif faults.cut_before is not None:
                    return self._scripted(link)
                else:
                    link.answer_is_lost = True
            self.asked += message[:1] in (QUERY, SYNC)
            link.server.sendall(message)
        return True

    def _to_client(self, link: _Link) -> None:
        with contextlib.suppress(OSError):
            while data := link.server.recv(CHUNK):
                faults = self.faults
                if link.answer_is_lost:  # the server has done it and said so; nobody hears
                    self._scripted(link)
                    return
                if faults.to_client_s:
                    self._closing.wait(faults.to_client_s)
                if not self.faults.swallow_to_client and not link.is_dead:
                    link.client.sendall(data)
        self._end(link)

    def _scripted(self, link: _Link) -> bool:
        """Cut one connection as scripted, once: the next connection is a good one."""
        faults = self.faults
        faults.cut_after_bytes = faults.cut_at_message = faults.cut_before = faults.cut_after = None
        self.cuts += 1
        if faults.is_silent:
            link.is_dead = True  # both threads go on taking, and pass nothing on
            if faults.server_hears:
                _drop(link.server)
            return True
        self._cut(link)
        return False

    def _cut(self, link: _Link) -> None:
        link.is_dead = True
        with self._lock:
            if link in self._links:
                self._links.remove(link)
        _drop(link.client)
        if self.faults.server_hears:
            _drop(link.server)
        else:
            self._kept_open.append(link.server)

    def _end(self, link: _Link) -> None:
        """One side left by itself: the other hears it, unless the link is one that tells nobody."""
        if link.is_dead or self.faults.swallow_to_server or self.faults.swallow_to_client:
            return
        with self._lock:
            if link in self._links:
                self._links.remove(link)
        for each in (link.client, link.server):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()


def _messages(link: _Link) -> Iterator[bytes]:
    """Take the whole messages off what has come; the first of a connection have no type byte."""
    pending = link.pending
    while True:
        head = 0 if not link.started else 1
        if len(pending) < head + 4:
            return
        (length,) = struct.unpack_from("!I", pending, head)
        if len(pending) < head + length:
            return
        message = bytes(pending[: head + length])
        del pending[: head + length]
        if not link.started and struct.unpack_from("!I", message, 4)[0] not in NEGOTIATIONS:
            link.started = True
        yield message


def _drop(each: socket.socket) -> None:
    """Close with a reset, waking whoever waits on it."""
    with contextlib.suppress(OSError):
        each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NONE)
    # close() alone leaves a thread in recv() with the descriptor; RST is sent once the last user is gone.
    with contextlib.suppress(OSError):
        if each.family == socket.AF_UNIX:
            each.shutdown(socket.SHUT_RDWR)
    with contextlib.suppress(OSError):
        each.shutdown(socket.SHUT_RD)
    each.close()


@contextlib.contextmanager
def proxied(server: Path | tuple[str, int]) -> Iterator[Proxy]:
    """A proxy before *server*, gone with the block."""
    made = Proxy(server)
    try:
        yield made
    finally:
        made.close()
