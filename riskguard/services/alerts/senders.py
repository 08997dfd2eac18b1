"""
Sending: one process per message, given JSON on standard input, killed with its children when its time is over.

Nothing that a channel does can hang the process that watches losses: not a library, not a name server, not a script.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from riskguard.errors import SettingsError
from riskguard.redaction import redacted
from riskguard.services.alerts.channels import Channel

ERROR_CHARS_MAX: Final = 300
OUTPUT_BYTES_MAX: Final = 65_536
READ_S_MAX: Final = 1.0
CHILD: Final = Path(__file__).with_name("apprise_child.py")
# Enough for curl, mail, notify-send and a script of one's own; nothing of riskguard's, no token of anybody's.
KEPT: Final = frozenset(
    {
        "PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "DISPLAY",
        "WAYLAND_DISPLAY", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS", "SSL_CERT_FILE", "SSL_CERT_DIR",
    }
)  # fmt: skip
PROXIES: Final = frozenset({"http_proxy", "https_proxy", "no_proxy", "all_proxy"})


class NotSentError(Exception):
    """One attempt failed; its text is redacted and short."""

    def __init__(self, said: str) -> None:
        text = redacted(" ".join(said.split()))
        super().__init__(text if len(text) <= ERROR_CHARS_MAX else f"{text[: ERROR_CHARS_MAX - 1]}…")


def send(channel: Channel, message: dict[str, Any], *, stopped: threading.Event | None = None) -> None:
    """
    Send one message over one channel; raises NotSentError. It may have arrived all the same: a timeout is not a refusal.

    A command succeeds when it ends with 0 within the channel's time.
    """
    if channel.problem:
        raise NotSentError(channel.problem)
    if channel.kind == "command":
        _run(channel.argv, json.dumps(message), channel.timeout_ms / 1000, _clean_environment(), stopped)
        return
    assert channel.url is not None, "a channel without a URL has a problem"
    given = {**message, "url": channel.url.get_secret_value()}
    _apprise(given, channel.timeout_ms / 1000, stopped)


def run_command(argv: Sequence[str], given: str, timeout_s: float) -> None:
    """Run a program of the user's, without a shell, on *given*; raises NotSentError unless it ends with 0 in time."""
    _run(argv, given, timeout_s, _clean_environment(), None)


def check_url(url: str, *, timeout_s: float = 20.0) -> None:
    """See whether apprise knows a URL, without sending; raises SettingsError, which never shows it."""
    try:
        _apprise({"url": url, "check": True}, timeout_s, None)
    except NotSentError as e:
        raise SettingsError(f"that URL cannot be used: {e}; see the apprise documentation for your service") from None


def _apprise(given: dict[str, Any], timeout_s: float, stopped: threading.Event | None) -> None:
    words = [sys.executable, "-P", str(CHILD)]
    # Its own interpreter needs more than a command does: where packages lie, and the way out to the network.
    more = {name: value for name, value in os.environ.items() if name in ("PYTHONPATH", "VIRTUAL_ENV")}
    said = _run(words, json.dumps(given), timeout_s, {**_clean_environment(), **more}, stopped, answers=True)
    try:
        answer = json.loads(said)
        ok, error = bool(answer["ok"]), str(answer["error"])
    except (ValueError, KeyError, TypeError):
        raise NotSentError(f"apprise broke off: {said[-200:]}") from None
    if not ok:
        raise NotSentError(error or "apprise did not send it")


def _clean_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name in KEPT or name.lower() in PROXIES}


def _run(
    argv: Sequence[str], given: str, timeout_s: float, env: dict[str, str], stopped: threading.Event | None, *,
    answers: bool = False,
) -> str:  # fmt: skip
    """
    Run a program on *given* and return the end of what it wrote; raises NotSentError.

    Its input is a file, and its output is read and thrown away beyond a bound: a program that never reads, or that
    writes for ever, blocks nobody and fills no disk. It leads a process group of its own, so that at its timeout the
    children of a hung script die with it; what a script that ended left running is its own affair.
    """
    kept = bytearray()
    with tempfile.TemporaryFile() as stdin:
        stdin.write(given.encode())
        stdin.seek(0)
        try:
            process = subprocess.Popen(
                list(argv), stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env,
                start_new_session=True, close_fds=True,
            )  # fmt: skip
        except (OSError, ValueError) as e:
            raise NotSentError(f"`{argv[0]}` cannot be started: {e}") from None
    reader = threading.Thread(target=_drain, args=(process, kept), daemon=True)
    reader.start()
    try:
        _wait(process, timeout_s, stopped)
    except subprocess.TimeoutExpired:
        raise NotSentError(f"no end within {timeout_s:g} s: killed; it may have been sent") from None
    finally:
        _kill(process)
    reader.join(READ_S_MAX)  # a child of its own that holds the output open is not waited for
    said = bytes(kept).decode("utf-8", "replace")
    if process.returncode != 0 and not (answers and said.startswith("{")):
        raise NotSentError(f"`{argv[0]}` ended with {process.returncode}: {said[-200:] or '(it said nothing)'}")
    return said


def _drain(process: subprocess.Popen[bytes], kept: bytearray) -> None:
    """Read to the end, keeping the last of it."""
    assert process.stdout is not None
    with process.stdout as pipe, contextlib.suppress(OSError, ValueError):
        while chunk := os.read(pipe.fileno(), OUTPUT_BYTES_MAX):
            kept += chunk
            del kept[:-OUTPUT_BYTES_MAX]


def _wait(process: subprocess.Popen[bytes], timeout_s: float, stopped: threading.Event | None) -> None:
    """Wait in short steps, so that a daemon that is told to stop need not wait for a hung channel."""
    end = time.monotonic() + timeout_s
    while True:
        left = end - time.monotonic()
        try:
            process.wait(max(0.001, left if stopped is None else min(0.1, left)))
            return
        except subprocess.TimeoutExpired:
            if left <= 0.1 or (stopped is not None and stopped.is_set()):
                raise


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill the whole group of one that has not ended; its number is its own until it is waited for."""
    if process.poll() is not None:
        return
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(5)
