"""
The trading calendar of this process: the shipped ones, and the user's own file on top of them.

A holiday is declared at short notice: `calendar.toml` in the host directory, same form, is read after the shipped
texts and wins for its segments and dates. It is looked at whenever somebody asks for the calendar (one `stat`), and
read again when it changed, so that every process of the host obeys it without a restart.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

from riskguard import data
from riskguard.core.calendar import Calendar, CalendarError
from riskguard.home import host_home

log = logging.getLogger("riskguard")

NAME: Final = "calendar.toml"
BYTES_MAX: Final = 1024 * 1024

Stamp = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class _Kept:
    path: str
    stamp: Stamp | None
    calendar: Calendar


_kept: list[_Kept] = []  # one at most; replaced whole, so that threads see either


def calendar() -> Calendar:
    """
    Return the calendar this process judges by.

    A user's file that cannot be used makes every day unknown, with an error in the log: it may have declared a session
    where the shipped list says holiday, and an exit or a sweep must not be closed out on a guess. Sweeps then run, exits
    pass, and new orders go by their limit's `unknown_day`.
    """
    name = _name(os.environ.get("RISKGUARD_HOME"))
    stamp = _stamp(name) if name else None
    kept = _kept[0] if _kept else None
    if kept is None or kept.stamp != stamp or kept.path != name:
        kept = _Kept(name, stamp, _merged(Path(name), stamp))
        _kept[:] = [kept]
    return kept.calendar


@lru_cache(maxsize=8)
def _name(_home: str | None) -> str:
    """Return `user_path` as text, "" for none; looked up once for each host directory, because every check asks."""
    path = user_path()
    return "" if path is None else str(path)


def user_path() -> Path | None:
    """Return where the user's own calendar lies, whether it is there or not; None for a user without a home."""
    try:
        return host_home() / NAME
    except RuntimeError:
        return None


@lru_cache(maxsize=1)
def shipped() -> Calendar:
    """The shipped calendars alone, read once."""
    return Calendar.parse(*data.calendar_texts())


def read_text(path: Path) -> str:
    """Return a calendar file as text; raises CalendarError naming the file."""
    try:
        with path.open("rb") as file:
            content = file.read(BYTES_MAX + 1)
        if len(content) > BYTES_MAX:
            raise CalendarError(f"`{path}` is larger than {BYTES_MAX} bytes: that is no calendar")
        return content.decode("utf-8-sig")
    except OSError as e:
        raise CalendarError(f"`{path}` cannot be read: {e.strerror or type(e).__name__}") from None
    except UnicodeDecodeError:
        raise CalendarError(f"`{path}` is not UTF-8 text") from None


def with_text(text: str) -> Calendar:
    """Return the shipped calendars with *text* on top; raises CalendarError."""
    return Calendar.parse(*data.calendar_texts(), text)


def _merged(path: Path, stamp: Stamp | None) -> Calendar:
    if stamp is None:
        return shipped()
    try:
        return with_text(read_text(path))
    except CalendarError as e:
        log.error("your calendar cannot be used, every day counts as not known: `%s`: %s", path, e)
        return shipped().doubted()


def _stamp(path: str) -> Stamp | None:
    """Return what changes when a file does; None when there is none. One that cannot be looked at is there."""
    try:
        found = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError:
        return (0, 0, 0, 0)
    return (found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size)
