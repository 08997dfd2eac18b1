"""
Brings lists of days into the user's own calendar, `calendar.toml` of the host directory.

The file is replaced whole, synced, 0600, under a lock; what stood before is kept beside it. What is given is added to what
stands, and wins for its segments and dates. Nothing is written before the result was read back and understood.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from riskguard.core.calendar import CalendarError, Span
from riskguard.core.calendar_text import Part, read, render
from riskguard.core.terms import Segment
from riskguard.errors import CalendarInvalidError, UpkeepError
from riskguard.services.calendar import tables
from riskguard.store import calendar as own

EQUITY: Final = ("NSE_EQ", "BSE_EQ", "NSE_FNO", "BSE_FNO")
"""Whose days a list without segments is of: cash and equity derivatives keep the same ones."""

HEADING: Final = """Your own trading calendar, read after the shipped one; yours wins for a segment and date.
Written by `riskguard calendar import`; remarks are not kept by the next import."""


@dataclass(frozen=True, slots=True)
class Imported:
    """
    What an import did, or would do.

    Attributes:
        path: Your file. kept: The copy of what it was before; "" when there was none or nothing changed.
        added, changed, same: Dates by segment that were not in your file, said otherwise, or stood there already.
    """

    path: str
    kept: str
    added: int
    changed: int
    same: int
    written: bool


def import_texts(
    texts: Sequence[tuple[str, str]], *, now_us: int, segments: Sequence[str] = EQUITY, complete: Span | None = None,
    replace: bool = False, dry_run: bool = False,
) -> Imported:  # fmt: skip
    """
    Add *texts* (name and content, in order) to the user's calendar.

    Args:
        texts: TOML of the form of a calendar, or CSV lists (see `tables`).
        segments: Whose days the CSV lists are; a TOML text names its own.
        complete: First and last date the lists are complete for, for *segments*.
        replace: Begin with an empty file instead of what stands.

    Raises:
        CalendarInvalidError: Names the text and entry; nothing was changed. UpkeepError: the file cannot be written.
    """
    path = own.user_path()
    if path is None:
        raise UpkeepError("this user has no home directory: set RISKGUARD_HOME")
    unknown = [each for each in segments if each not in set(Segment)]
    if unknown:
        raise CalendarInvalidError(f"no segment `{unknown[0]}`: known are {', '.join(Segment)}")
    given = _together(texts, tuple(segments), complete)
    with _locked(path):
        before = _standing(path) if not replace else None
        after = given if before is None else before.merged(given)
        old = before.days if before is not None else {}
        added = sum(key not in old for key in given.days)
        changed = sum(key in old and old[key] != entry for key, entry in given.days.items())
        text = render(after, HEADING)
        _proven(after, text)
        same = len(given.days) - added - changed
        if dry_run or (before == after and path.exists()):
            return Imported(str(path), "", added, changed, same, False)
        kept = _write(path, text, now_us)
    return Imported(str(path), kept, added, changed, same, True)


def _together(texts: Sequence[tuple[str, str]], segments: tuple[str, ...], complete: Span | None) -> Part:
    """Read every text; a later one wins over an earlier one."""
    made: Part | None = None
    for name, text in texts:
        try:
            part = tables.read(text, segments) if tables.looks_like_csv(text) else read(text)
        except CalendarError as e:
            raise CalendarInvalidError(f"`{name}`: {e}; nothing was changed") from None
        made = part if made is None else made.merged(part)
    if made is None:
        raise CalendarInvalidError("no list was given")
    if complete is not None:
        made = made.merged(Part(segments, complete=dict.fromkeys(segments, (complete,))))
    return made


def _standing(path: Path) -> Part | None:
    """Return what stands; raises CalendarInvalidError when it cannot be read: it might hold what nobody else knows."""
    if not path.exists():
        return None
    try:
        return read(own.read_text(path))
    except CalendarError as e:
        raise CalendarInvalidError(
            f"`{path}` cannot be added to: {e}; mend it, or begin anew with `--replace`"
        ) from None


def _proven(part: Part, text: str) -> None:
    """Raise CalendarInvalidError unless *text* says exactly *part*, and goes with the shipped calendars."""
    try:
        if read(text) != part:
            raise CalendarInvalidError("the lists cannot be written as a calendar: nothing was changed")
        own.with_text(text)
    except CalendarError as e:
        raise CalendarInvalidError(f"the lists do not go together: {e}; nothing was changed") from None


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Let one import work at a time; the lock dies with its process."""
    import fcntl

    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path.with_name(f"{path.name}.lock"), os.O_CREAT | os.O_RDWR, 0o600)
    except OSError as e:
        raise UpkeepError(f"cannot write to `{path.parent}` ({e.strerror}); nothing was changed") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _write(path: Path, text: str, now_us: int) -> str:
    """Put *text* in the place of *path*, synced; returns the copy of what was there, "" for none."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    kept = ""
    try:
        _create(temporary, text.encode())
        if path.exists():
            kept = _keep(path, now_us)
        os.replace(temporary, path)
        _sync(path.parent)
    except OSError as e:
        raise UpkeepError(f"`{path}` cannot be written ({e.strerror}); it is as it was") from None
    finally:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
    return kept


def _keep(path: Path, now_us: int) -> str:
    """Copy *path* beside itself under the time it is replaced at, 0600; a name that is taken gets a number."""
    stamp = dt.datetime.fromtimestamp(now_us // 1_000_000, dt.UTC).strftime("%Y%m%dT%H%M%SZ")
    content = path.read_bytes()
    for number in range(1, 1_000):
        copy = path.with_name(f"{path.stem}-{stamp}{'' if number == 1 else f'-{number}'}{path.suffix}")
        try:
            _create(copy, content)
        except FileExistsError:
            continue
        return str(copy)
    raise FileExistsError(17, "a thousand copies of this second are kept already")


def _create(path: Path, content: bytes) -> None:
    with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
