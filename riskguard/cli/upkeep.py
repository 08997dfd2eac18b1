"""`riskguard db backup`, `archive`, `attach` and `vacuum`: keeping the database file well."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from riskguard.cli.options import Db, Json
from riskguard.cli.output import ERROR, document, fail, one_line_errors, say, table
from riskguard.home import database_url, sqlite_path

if TYPE_CHECKING:
    from riskguard.services.upkeep.archive import Archived
    from riskguard.services.upkeep.archive_file import Archive
    from riskguard.services.upkeep.checkup import Finding

IST = dt.timezone(dt.timedelta(hours=5, minutes=30))
US_FROM = 100_000_000_000_000
"""Times from here on are microseconds: seconds of that size are three million years away."""


@contextmanager
def _interruptible(said: str) -> Iterator[None]:
    """Answer Ctrl-C with how things stand now."""
    try:
        yield
    except KeyboardInterrupt:
        fail(said, ERROR)


@one_line_errors
def backup(
    to: Annotated[
        str | None, typer.Argument(help="A directory, or a new file; the database's own directory if left out.")
    ] = None,
    db: Db = None,
    keep: Annotated[
        int | None, typer.Option(help="Keep so many of riskguard's backups in that directory; remove older ones.")
    ] = None,
    as_json: Json = False,
) -> None:
    """
    Make a verified backup while everything goes on.

    It gets its name only when it is proven: SQLite's own check, as many rows as the database, true journals. A
    file that is there is never written over. A backup that is restored halts until you release it.

    Exit status: 0 the backup is there; 1 not possible, none was made; 2 malformed input.
    """
    from riskguard.cli.upgrading import progress
    from riskguard.services.upkeep.backup import back_up

    with _interruptible("stopped: no backup was made"), progress(quiet=as_json) as on_progress:
        done = back_up(database_url(db), to, keep=keep, on_progress=on_progress)
    if as_json:
        document(asdict(done))
        return
    say(f"{done.path}: {_bytes(done.bytes)}, {done.rows} rows, verified in {done.seconds:.1f} s")
    say(CHAIN_ALONE)
    say(f"It knows of {done.generation} kills and releases; restored after a later one it halts.")
    for path in done.removed:
        say(f"removed {path}")
    for note in done.notes:
        say(f"Look at: {note}")


@one_line_errors
def archive(
    db: Db = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be moved, and move nothing.")] = False,
    listed: Annotated[bool, typer.Option("--list", help="Say which archives there are, and what they hold.")] = False,
    as_json: Json = False,
) -> None:
    """
    Move old rows into archive files beside the database, one per calendar year.

    How old is a setting; the journal, permits and everything a check still reads stay. Checks and sweeps go on
    meanwhile. Stopped or killed at any point it loses nothing: run it again.

    Exit status: 0 done; 1 not possible, or not to its end, no row was lost; 2 malformed input.
    """
    from riskguard.cli.upgrading import progress
    from riskguard.services.upkeep import archive as service
    from riskguard.services.upkeep import archive_file

    url = database_url(db)
    if listed:
        _show_archives(archive_file.listed(_checked_path(url)), as_json=as_json)
        return
    if dry_run:
        done = service.plan(url)
    else:
        stopped = "stopped: no row was lost, the rest waits for the next run"
        with _interruptible(stopped), progress(quiet=as_json) as on_progress:
            done = service.archive(url, on_progress=on_progress)
    if as_json:
        document({**asdict(done), "rows": done.rows})
    else:
        _show_moved(done)


@one_line_errors
def attach(
    db: Db = None,
    year: Annotated[list[int] | None, typer.Option(help="Only the archive of this year; may be given again.")] = None,
    as_json: Json = False,
) -> None:
    """
    Print the SQL that lets any SQLite tool ask the database and its archives at once.

    Each archived table gets a view, `all_orders`, `all_trades` and so on, for the connection that runs it. The
    nine newest archives, unless years are named.

    Exit status: 0 printed; 1 there is no such archive, or no database; 2 malformed input.
    """
    from riskguard.services.upkeep.archive_file import both

    statements = both(_checked_path(database_url(db)), tuple(year or ()))
    if as_json:
        document(statements)
        return
    for statement in statements:
        say(f"{statement};")


@one_line_errors
def vacuum(
    db: Db = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be freed, and free nothing.")] = False,
    whole: Annotated[bool, typer.Option("--whole", help="One VACUUM, also where short steps would do.")] = False,
    now: Annotated[
        bool, typer.Option("--now", help="Also while a market trades: checks are refused meanwhile.")
    ] = False,
    as_json: Json = False,
) -> None:
    """
    Give free space back to the disk.

    The first time that is one VACUUM: it writes the file anew, needs its size twice, and keeps every writer
    waiting, so that checks meanwhile are refused. It is refused itself while a market trades. Afterwards the
    file gives space back in steps of a few milliseconds, at any hour.

    Exit status: 0 done, or nothing to do; 1 not possible, the database is as it was; 2 malformed input.
    """
    from riskguard.cli.upgrading import progress
    from riskguard.services.upkeep.vacuum import vacuum as give_back

    with _interruptible("stopped: the database is whole"), progress(quiet=as_json) as on_progress:
        done = give_back(database_url(db), whole=whole, now=now, dry_run=dry_run, on_progress=on_progress)
    if as_json:
        document(asdict(done))
        return
    ways = {"steps": "in short steps", "whole": "in one VACUUM", "nothing": "no page is free"}
    would = "would free" if dry_run else "freed"
    say(f"{done.path}: {would} {_bytes(done.freed)} of {_bytes(done.bytes_before)}, {ways[done.way]}")
    if dry_run and done.way == "whole":
        say(f"It would want {_bytes(done.needs)} free on the disk, and keep every writer waiting meanwhile.")


def register(group: typer.Typer) -> None:
    """Add the commands to the `db` group."""
    group.command("backup")(backup)
    group.command("archive")(archive)
    group.command("attach")(attach)
    group.command("vacuum")(vacuum)


CHAIN_ALONE = "Of each journal this verified the chain; macs, anchors and what hangs on it: `riskguard audit verify`"


def show_findings(found: list[Finding]) -> None:
    """Print what a checkup found, one line each: how bad, what, and the way out."""
    words = {"error": "WRONG", "warning": "LOOK AT", "info": "note"}
    for each in found:
        say(f"{words[each.severity]}: {each.what}; {each.way_out}")


# -- showing -----------------------------------------------------------------------------------------------------------


def _checked_path(url: str) -> Any:
    """Return the database's file; raises what opening it raises."""
    from riskguard.store.engines import sqlite as lite
    from riskguard.store.engines.postgresql import only_files
    from riskguard.store.session import Store

    only_files(url, "riskguard db", "the server's own means, like `pg_dump`")
    path = Store(url).path
    lite.connect(path, durable=False).close()
    assert path == sqlite_path(url)
    return path


def _show_moved(done: Archived) -> None:
    would = "would move" if done.dry_run else "moved"
    if done.moved:
        rows = [
            [each.table, str(each.rows), _when(each.oldest), _when(each.newest), _bytes(each.bytes), each.target.name]
            for each in done.moved
        ]
        table("Rows", ["table", "rows", "oldest", "newest", "bytes", "to"], rows)
    for note in done.notes:
        say(f"Look at: {note}")
    say(f"{done.path}: {would} {done.rows} rows in {done.seconds:.1f} s")
    if done.moved and not done.dry_run:
        say("The space they leave is free inside the file; `riskguard db vacuum` gives it back to the disk.")


def _show_archives(found: list[Archive], *, as_json: bool) -> None:
    if as_json:
        document([asdict(each) for each in found])
    for each in () if as_json else found:
        say(f"{each.path}: {each.year}, {_bytes(each.bytes)}{f': WRONG: {each.wrong}' if each.wrong else ''}")
        rows = [[held.table, str(held.rows), _when(held.oldest), _when(held.newest)] for held in each.tables]
        if rows:
            table("", ["table", "rows", "oldest", "newest"], rows)
    if not found and not as_json:
        say("no archives yet")
    if any(each.wrong for each in found):
        raise typer.Exit(ERROR)


def _when(value: int | None) -> str:
    """Return a time of a table as a person in India reads it."""
    if value is None:
        return "—"
    seconds = value // 1_000_000 if value >= US_FROM else value
    return dt.datetime.fromtimestamp(seconds, IST).strftime("%Y-%m-%d %H:%M")


def _bytes(count: int) -> str:
    for unit, size in (("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1_000)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} bytes"
