"""How `db upgrade` shows itself: a bar while it works, and a report a person can keep."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from riskguard.cli.output import say, table

if TYPE_CHECKING:
    from riskguard.services.upgrade import Progress, Upgraded

BIG = 20_000
"""Rows, or pages, from which a file takes long enough to be worth a bar."""

_SAYS = {"backup": "backup, pages", "rows": "rows", "verify": "tables read back", "entries": "entries"}


@contextmanager
def progress(*, quiet: bool) -> Iterator[Progress]:
    """Give the function that moves a bar on standard error; small files need none."""
    if quiet:
        yield lambda _what, _done, _total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    # A log wants no bar, and an error is one line.
    bars = Progress(*columns, console=console, disable=not console.is_terminal)
    shown: dict[str, TaskID] = {}

    def on_progress(what: str, done: int, total: int) -> None:
        if what not in shown:
            if total < BIG and not shown:
                return
            if not shown:
                bars.start()
            shown[what] = bars.add_task(_SAYS.get(what, what), total=total)
        bars.update(shown[what], completed=done, total=total)

    try:
        yield on_progress
    finally:
        if shown:
            bars.stop()


def report(done: Upgraded) -> None:
    """Say what was carried over, what was not, and where the old file lies."""
    if done.already:
        say(f"{done.path} is already at schema {done.version}")
        return
    rows = [
        [each.table, str(each.rows), str(each.copied), str(each.refused), _sum(each.before), _sum(each.after)]
        for each in done.tables
    ]
    say(f"{done.path}: schema {done.version} → 4")
    table(
        "Rows",
        ["table", "rows before", "rows now", "in quarantine", "checksum before", "checksum now"],
        rows,
    )
    for title, lines in (("Kill switch", done.kills), ("Limits", done.limits), ("Look at", done.notes)):
        for line in lines:
            say(f"{title}: {line}")
    if not done.kills:
        say("Kill switch: nothing was halted")
    say(f"Accounts: {', '.join(done.accounts) or 'none'}")
    say(f"Backup: {done.backup}")
    say(f"Done in {done.seconds:.1f} s. Programs that had the old file open must be started again.")


def _sum(columns: dict[str, str]) -> str:
    """Return one checksum for a table; `--json` lists them by column."""
    import hashlib

    if not columns:
        return "—"
    return hashlib.blake2b("".join(columns.values()).encode(), digest_size=6).hexdigest()
