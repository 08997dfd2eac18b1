"""
Wakes a daemon when a kill or a limit changed at the server: the kill run and the sweep begin now, not at the next look.

Nothing rests on it. A notice that is lost, a connection that is cut, a pooler that swallows LISTEN: the next look, which
comes every few seconds, finds what it would have told.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from riskguard.redaction import redacted

log = logging.getLogger("riskguard")

CHANNEL: Final = "riskguard"
OFF: Final = "off"
LOOK_S: Final = 1.0
BACK_OFF_S: Final = (1, 2, 5, 15, 30)


class Waking:
    """Listens on a thread of its own until `stop`; *woken* is told the account, `GLOBAL` or a group's name."""

    def __init__(self, url: str, woken: Callable[[str], None]) -> None:
        self.url, self._woken = url, woken
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="riskguard listen", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ask it to end; it does within a second, and nobody has to wait for it."""
        self._stopping.set()

    def _run(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            began = time.monotonic()
            try:
                self._listen()
            except Exception as e:  # whatever it is: it costs latency, and nothing else
                failures = 0 if time.monotonic() - began > BACK_OFF_S[-1] else failures + 1
                log.debug("no notices from the server: %s", redacted(str(e)))
                self._stopping.wait(BACK_OFF_S[min(failures, len(BACK_OFF_S) - 1)])

    def _listen(self) -> None:
        import psycopg

        from riskguard.store.engines import postgresql

        arguments: dict[str, Any] = {
            "connect_timeout": 5, "application_name": "riskguard listen", "keepalives_idle": 5, "keepalives_interval": 2,
            "keepalives_count": 3, **postgresql.driver_arguments(self.url),
        }  # fmt: skip
        with psycopg.connect(autocommit=True, prepare_threshold=None, **arguments) as connection:
            connection.execute(f"LISTEN {CHANNEL}")
            while not self._stopping.is_set():
                for notice in connection.notifies(timeout=LOOK_S):
                    self._woken(notice.payload)


def waking(url: str, dialect: str, setting: str | None, woken: Callable[[str], None]) -> Waking | None:
    """Return who listens for the database at *url*; *setting* is `RISKGUARD_LISTEN`: `off`, or a URL past the pooler."""
    if dialect != "postgresql" or setting == OFF:
        return None
    return Waking(setting or url, woken)
