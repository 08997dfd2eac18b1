"""Reports as files: whole or not at all, and for nobody but their owner."""

from __future__ import annotations

import contextlib
import json
import os
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from riskguard.errors import StoreUnavailableError
from riskguard.services.reporting.day import DayReport
from riskguard.services.reporting.page import page
from riskguard.services.reporting.reading import day_report

if TYPE_CHECKING:
    from riskguard.services.orders.guard import RiskGuard

FOLDER: Final = "reports"
_PLAIN: Final = re.compile(r"[^A-Za-z0-9._-]")


def write_end_of_day(guard: RiskGuard, account: str, date: str) -> Path:
    """
    Write the page and the figures of a session beside the database, in `reports/`; returns the page.

    Doing it again replaces both. Raises StoreUnavailableError when they cannot be written, and what `day_report` raises.
    """
    report = day_report(guard.store, account, date, clock=guard.clock)
    directory = guard.store.path.parent / FOLDER
    # Two names that differ only in signs a file cannot have must not share a file.
    plain = _PLAIN.sub(lambda found: f"%{ord(found[0]):x}", account)
    place = directory / f"{date}-{plain}.html"
    try:
        directory.mkdir(mode=0o700, exist_ok=True)
        write_file(place.with_suffix(".json"), json.dumps(report.as_dict(), indent=1, ensure_ascii=False) + "\n")
        write_file(place, page([report]))
    except OSError as e:
        raise StoreUnavailableError(f"the report `{place}` cannot be written: {e.strerror}; free some space") from None
    return place


def write_pages(path: Path, reports: Sequence[DayReport]) -> None:
    """Write one page of several reports; raises OSError."""
    write_file(path, page(reports))


def write_file(path: Path, text: str) -> None:
    """Write *text* beside its place and move it there, readable by its owner only; raises OSError."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # 0600 by itself
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise
