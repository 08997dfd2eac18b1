"""`riskguard instruments`: read the broker's master, and show what the checks will use of it."""

from __future__ import annotations

import contextlib
import csv
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from riskguard.cli.options import Db, Json
from riskguard.cli.output import ERROR, document, fail, one_line_errors, say, table
from riskguard.core.calendar import Calendar
from riskguard.errors import SettingsError
from riskguard.home import database_url

if TYPE_CHECKING:
    from riskguard.services.instruments.importing import Imported, OnProgress
    from riskguard.services.instruments.master import Problem

app = typer.Typer(help="The instrument master: import it, show what the checks use.", no_args_is_help=True)

SHOWN_MAX = 20
BIG_BYTES = 1_000_000
"""A file from which an import takes long enough to be worth a bar."""


@app.command("import")
@one_line_errors
def import_(
    file: Annotated[
        str, typer.Argument(help="Dhan's scrip master, compact or detailed, plain or .gz; `-` reads standard input.")
    ],
    db: Db = None,
    segment: Annotated[
        list[str] | None, typer.Option("--segment", help="Take this segment alone; may be given again.")
    ] = None,
    day: Annotated[
        str | None,
        typer.Option("--date", help="The session the master is of, YYYY-MM-DD; the file's own date when left out."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read and judge the file; write nothing.")] = False,
    errors: Annotated[
        str | None, typer.Option("--errors", help="Write every line that was left out, with its reason, to this CSV.")
    ] = None,
    skipped_max_pct: Annotated[
        int, typer.Option(min=0, max=100, help="Refuse a master of which more than this part cannot be read.")
    ] = 5,
    accept_smaller: Annotated[
        bool, typer.Option("--accept-smaller", help="Take a master with less than half the contracts of a segment.")
    ] = False,
    as_json: Json = False,
) -> None:
    """
    Read an instrument master; checks go on meanwhile.

    A line that cannot be read is reported and left out, never guessed. A master that is cut off or mostly broken
    changes nothing. Contracts it does not have are kept as they are.

    Exit status: 0 imported, also with lines left out; 1 refused, nothing changed; 2 this is no master.
    """
    from riskguard.clock import SystemClock
    from riskguard.services.instruments.importing import import_master
    from riskguard.store.session import Store

    now_us = SystemClock().now_us()
    asked = _day(day)
    store = Store(database_url(db))
    kept: list[Problem] = []
    with contextlib.ExitStack() as stack:
        stack.callback(store.close)
        source, size, dated = stack.enter_context(_opened(file))
        asked = asked or dated
        told = stack.enter_context(_written(errors)) if errors is not None else None

        def on_problem(problem: Problem) -> None:
            if len(kept) < SHOWN_MAX:
                kept.append(problem)
            if told is not None:
                told(problem)

        on_progress = stack.enter_context(_progress(quiet=as_json or (size is not None and size < BIG_BYTES)))
        done = import_master(
            store,
            source,
            now_us=now_us,
            day="" if asked is None else asked.isoformat(),
            size=size,
            segments=frozenset(segment or ()),
            dry_run=dry_run,
            skipped_max_pct=skipped_max_pct,
            accept_smaller=accept_smaller,
            on_problem=on_problem,
            on_progress=on_progress,
        )
    if as_json:
        document({**asdict(done), "problems": [each._asdict() for each in kept]})
    else:
        _report(done, kept, errors)
    if done.refused:
        fail(f"nothing was changed: {done.refused}", ERROR)


def _day(text: str | None) -> date | None:
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError:
        raise SettingsError(f"`--date {text}`: wants YYYY-MM-DD") from None


def _report(done: Imported, kept: list[Problem], errors: str | None) -> None:
    for each in kept:
        where = f" {each.column}" if each.column else ""
        say(f"line {each.line}:{where} `{each.value}`: {each.reason}")
    if done.skipped > len(kept):
        more = f"in `{errors}`" if errors else "write them with `--errors FILE`"
        say(f"… and {done.skipped - len(kept)} more lines left out: {more}")
    say(f"{done.layout} master, {done.lines} lines")
    rows = [
        [name, str(count), str(done.not_in_master.get(name, 0)) if not (done.dry_run or done.refused) else "—"]
        for name, count in done.by_segment.items()
    ]
    table("", ["segment", "rows", "known, not in this master"], rows)
    for what, count in done.elsewhere.items():
        say(f"{what}: {count} rows are no business of ours")
    if done.left_by_filter:
        say(f"{done.left_by_filter} rows of other segments")
    if done.duplicates:
        say(f"{done.duplicates} rows said again what another says")
    if done.refused:
        return
    if done.dry_run:
        say(f"{done.rows} rows would be written, {done.skipped} left out; nothing was changed")
    else:
        say(f"{done.added} new, {done.updated} brought up to date, {done.skipped} left out; {done.seconds:.1f} s")


@contextmanager
def _opened(file: str) -> Iterator[tuple[BinaryIO, int | None, date | None]]:
    """
    Open the master for reading, and say its size and the day in India it was last written, where anybody knows.

    Standard input is not ours to close.
    """
    if file == "-":
        yield sys.stdin.buffer, None, None
        return
    path = Path(file)
    try:
        source = path.open("rb")
    except IsADirectoryError:
        raise SettingsError(f"`{file}` is a directory: name the master itself") from None
    except OSError as e:
        raise SettingsError(f"cannot read `{file}`: {e.strerror}") from None
    with source:
        status = os.fstat(source.fileno())
        yield source, status.st_size or None, Calendar.session_date(status.st_mtime_ns // 1_000)


@contextmanager
def _written(name: str) -> Iterator[Callable[[Problem], object]]:
    """Open the CSV of what was left out, and give the function that adds a line to it."""
    with contextlib.ExitStack() as stack:
        try:
            opened = Path(name).open("w", encoding="utf-8", errors="backslashreplace", newline="")  # noqa: SIM115
        except OSError as e:
            raise SettingsError(f"cannot write `--errors {name}`: {e.strerror}") from None
        file = stack.enter_context(opened)
        writer = csv.writer(file)
        writer.writerow(("line", "column", "value", "reason"))
        yield writer.writerow


@contextmanager
def _progress(*, quiet: bool) -> Iterator[OnProgress]:
    """Give the function that moves a bar on standard error; a log wants none."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=True, quiet=quiet)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    bars = Progress(*columns, console=console, disable=quiet or not console.is_terminal)
    shown: dict[str, TaskID] = {}

    def on_progress(what: str, done: int, total: int | None) -> None:
        if what not in shown:
            shown[what] = bars.add_task(what, total=total)
        bars.update(shown[what], completed=done, total=total)

    with bars:
        yield on_progress


@app.command("show")
@one_line_errors
def show(
    name: Annotated[str, typer.Argument(help="A trading symbol, or SEGMENT:ID.")],
    db: Db = None,
    day: Annotated[
        str | None, typer.Option("--date", help="As of this session, YYYY-MM-DD; today when left out.")
    ] = None,
    as_json: Json = False,
) -> None:
    """
    Show what the checks will use of an instrument: each number, where it comes from, and since when.

    Exit status: 0 shown; 2 there is no such instrument.
    """
    from riskguard.clock import SystemClock
    from riskguard.services.instruments.importing import find
    from riskguard.store.session import Store

    asked = _day(day) or Calendar.session_date(SystemClock().now_us())
    with contextlib.closing(Store(database_url(db))) as store:
        cards = find(store, name, asked)
    if as_json:
        document(
            [
                {
                    "instrument": asdict(each.instrument), "date": each.day, "updated_at_us": each.updated_at_us,
                    "facts": [asdict(fact) for fact in each.facts],
                }
                for each in cards
            ]
        )  # fmt: skip
        return
    if len(cards) > 1:
        rows = [
            [f"{each.instrument.exchange_segment}:{each.instrument.security_id}", each.instrument.kind, each.instrument.expiry,
             str(each.instrument.lot_size)]
            for each in cards[:SHOWN_MAX]
        ]  # fmt: skip
        table(f"{len(cards)} instruments are called {name}", ["instrument", "kind", "expiry", "lot"], rows)
        say("Name one: `riskguard instruments show SEGMENT:ID`")
        return
    (card,) = cards
    found = card.instrument
    hangs = f", on {found.underlying}" if found.underlying else ""
    until = f", until {found.expiry}" if found.expiry else ""
    title = (
        f"{found.exchange_segment}:{found.security_id} {found.symbol} ({found.kind}{hangs}{until}), as of {card.day}"
    )
    rows = [[each.what, each.value, each.effective_from, each.source, each.confidence] for each in card.facts]
    table(title, ["what", "value", "since", "source", "confidence"], rows)
