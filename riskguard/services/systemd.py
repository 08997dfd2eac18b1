"""
A word to systemd (`Type=notify`): ready, still well, stopping. Standard library only; without systemd nothing happens.

The socket's name is in `NOTIFY_SOCKET`; a name that begins with `@` is an abstract one.
"""

from __future__ import annotations

import os
import socket

WATCHDOG_AGAIN = 3
"""Beats in the time systemd waits: two may be lost."""


def notify(state: str) -> bool:
    """Send one state (`READY=1`, `WATCHDOG=1`, `STATUS=…`, `STOPPING=1`); False when nobody listens. Never raises."""
    name = os.environ.get("NOTIFY_SOCKET", "")
    if not name:
        return False
    address = "\0" + name[1:] if name.startswith("@") else name
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as link:
            link.settimeout(1.0)
            link.sendto(state.encode(), address)
    except OSError:
        return False
    return True


def watchdog_s() -> float | None:
    """Return how often systemd wants to hear from this process; None: it does not ask, or asks another process."""
    asked, pid = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID", "")
    if not asked.isdigit() or (pid and pid != str(os.getpid())):
        return None
    return int(asked) / 1_000_000 / WATCHDOG_AGAIN or None
