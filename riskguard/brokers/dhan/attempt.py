"""
One request on the wire: did it leave, and when is it given up?

A read timeout does not bound a call: a server that sends a byte a second is never late, and looking a name up has no
timeout at all. So each request runs on a thread of its own, and whoever asked waits until its deadline and no
longer. Leaving and giving up exclude each other: a request given up before it left never leaves.
"""

from __future__ import annotations

import contextlib
import functools
import socket
import threading
from collections.abc import Callable
from typing import Any

from riskguard.clock import SystemClock

_CLOCK = SystemClock()
_current = threading.local()
"""The attempt the present thread is sending; a thread sends one."""


class NotSentError(Exception):
    """The request was held back at the last moment: it never left."""


class Deadline:
    """A point in time, by the clock that no test freezes and no suspend stops."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._until_us = _CLOCK.elapsed_us() + round(seconds * 1_000_000)

    def left_s(self) -> float:
        """Return the seconds that are left; never below zero."""
        return max(0.0, (self._until_us - _CLOCK.elapsed_us()) / 1_000_000)


class Attempt:
    """
    One request. *before* is called when a connection stands and nothing has been sent: what it raises keeps the
    request here, and is kept in `held_by`.
    """

    def __init__(self, before: Callable[[], None] | None = None) -> None:
        self._before = before
        self._lock = threading.Lock()
        self._given_up = False
        self._socket: socket.socket | None = None
        self.left = False
        self.held_by: Exception | None = None

    def leave(self, wire: socket.socket | None) -> None:
        """Say that the first byte goes out now; raises NotSentError where it must not."""
        with self._lock:
            if self._given_up:
                raise NotSentError("given up before it left")
            if self._before is not None and not self.left:
                try:
                    self._before()
                except Exception as e:
                    self.held_by = e
                    raise NotSentError(str(e)) from e
            self.left, self._socket = True, wire

    def give_up(self) -> bool:
        """End it from outside, now; return whether it had left. What still waits for an answer is cut off."""
        with self._lock:
            self._given_up = True
            if self._socket is not None:
                with contextlib.suppress(OSError):
                    # Not the TLS object's own method: it belongs to the other thread.
                    socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
            return self.left

    def run(self, work: Callable[[], Any], deadline: Deadline) -> tuple[Any, Exception | None, bool]:
        """
        Do *work* on a thread of its own and wait for it until the deadline.

        Returns what it returned, what it raised, and whether it came back in time.
        """
        found: list[Any] = [None, None]

        def alone() -> None:
            _current.attempt = self
            try:
                found[0] = work()
            except Exception as e:
                found[1] = e

        thread = threading.Thread(target=alone, name="dhan-request", daemon=True)
        thread.start()
        try:
            thread.join(deadline.left_s())
        except BaseException:  # interrupted: nobody waits any more
            self.give_up()
            raise
        if thread.is_alive():
            self.give_up()
            return None, None, False
        return found[0], found[1], True


@functools.cache
def session_class() -> Any:
    """Return a `requests.Session` whose connections ask the attempt before they send. Imported when first needed."""
    import requests
    from requests.adapters import HTTPAdapter
    from urllib3.connection import HTTPConnection, HTTPSConnection
    from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

    class Plain(HTTPConnection):
        def request(self, *args: Any, **kwargs: Any) -> None:
            _ask(self)
            super().request(*args, **kwargs)

    class Secure(HTTPSConnection):
        def request(self, *args: Any, **kwargs: Any) -> None:
            _ask(self)
            super().request(*args, **kwargs)

    def _ask(connection: Any) -> None:
        if connection.sock is None:
            connection.connect()
        _current.attempt.leave(connection.sock)

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    pools = {"http": PlainPool, "https": SecurePool}

    class Adapter(HTTPAdapter):
        def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
            super().init_poolmanager(*args, **kwargs)
            self.poolmanager.pool_classes_by_scheme = pools

        def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
            manager = super().proxy_manager_for(*args, **kwargs)
            manager.pool_classes_by_scheme = pools
            return manager

    class Session(requests.Session):
        def __init__(self) -> None:
            super().__init__()
            self.mount("https://", Adapter(pool_connections=1, pool_maxsize=1, max_retries=0))
            self.mount("http://", Adapter(pool_connections=1, pool_maxsize=1, max_retries=0))

    return Session
