"""`riskguard calendar`: what trades when, whether that is known for long enough, and your own additions."""

from __future__ import annotations

import calendar as months
import re
import sys
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from riskguard.cli.options import Json
from riskguard.cli.output import ERROR, document, one_line_errors, say, table
from riskguard.errors import CalendarInvalidError, SettingsError

app = typer.Typer(help="When the exchanges trade: show, check, and add what was announced.", no_args_is_help=True)

Segments = Annotated[list[str] | None, typer.Option("--segment", help="This segment alone; may be given again.")]


@app.command("show")
@one_line_errors
def show(
    day: Annotated[str | None, typer.Option("--date", help="One date, YYYY-MM-DD.")] = None,
    month: Annotated[str | None, typer.Option("--month", help="A whole month, YYYY-MM.")] = None,
    segment: Segments = None,
    as_json: Json = False,
) -> None:
    """
    Show the trading days and hours (in India) that checks and sweeps go by; today when no date is named.

    Exit status: 0 shown; 2 malformed input.
    """
    from riskguard.clock import SystemClock
    from riskguard.core.calendar import Calendar
    from riskguard.services.calendar.looking import days
    from riskguard.store.calendar import calendar

    merged = calendar()
    if day is not None and month is not None:
        raise SettingsError("`--date` and `--month`: name one of them")
    if month is not None:
        first, last = _month(month)
    else:
        first = last = _day("--date", day) if day is not None else Calendar.session_date(SystemClock().now_us())
    unknown = sorted(set(segment or ()) - merged.listed)
    if unknown:
        raise SettingsError(f"`--segment {unknown[0]}`: known are {', '.join(sorted(merged.listed))}")
    found = list(days(merged, sorted(set(segment or merged.listed)), first, last))
    if as_json:
        document([each.document() for each in found])
        return
    rows: dict[tuple[str, ...], list[str]] = {}
    for each in found:
        hours = ", ".join(f"{opens}-{closes}" for opens, closes in each.windows) or "closed"
        auction = "" if each.auction is None else "-".join(each.auction)
        known = "" if each.known else "not known"
        said = (f"{each.date} {each.date:%a}", each.label, hours, auction, known)
        rows.setdefault(said, []).append(each.segment)
    table(
        "", ["date", "segments", "what", "hours (IST)", "closing auction", ""],
        [[said[0], " ".join(whose), *said[1:]] for said, whose in rows.items()],
    )  # fmt: skip


@app.command("check")
@one_line_errors
def check(as_json: Json = False) -> None:
    """
    Look at how long the calendar is known for, and at your own file beside the shipped one.

    Exit status: 0 nothing to do, differences at most; 1 something to do: it ends soon, or your file is wrong.
    """
    from riskguard.clock import SystemClock
    from riskguard.services.calendar.looking import findings
    from riskguard.services.finding import Severity

    found = list(findings(SystemClock().now_us()))
    to_do = [each for each in found if each.severity is not Severity.INFO]
    if as_json:
        document({"to_do": len(to_do), "findings": [asdict(each) for each in found]})
    else:
        for each in found:
            say(f"{each.severity.upper()} {each.what}{f'; {each.way_out}' if each.way_out else ''}")
        if not to_do:
            say("nothing to do")
    if to_do:
        raise typer.Exit(ERROR)


@app.command("import")
@one_line_errors
def import_(
    files: Annotated[
        list[str],
        typer.Argument(help="Calendar TOML, or CSV lists of holidays, special or mock sessions; `-` is stdin."),
    ],
    segment: Annotated[
        list[str] | None,
        typer.Option("--segment", help="Whose days a CSV lists; NSE and BSE cash and equity derivatives if left out."),
    ] = None,
    complete_from: Annotated[
        str | None, typer.Option("--complete-from", help="First date the lists are whole for.")
    ] = None,
    complete_until: Annotated[
        str | None, typer.Option("--complete-until", help="Last date they are whole for.")
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Begin anew instead of adding to your file.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read and judge; write nothing.")] = False,
    as_json: Json = False,
) -> None:
    """
    Add days to your own calendar, `calendar.toml` in the host directory; what it was is kept beside it.

    Yours wins over the shipped one for a segment and date. Every process of this host goes by it from its next check or
    sweep on.

    Exit status: 0 done; 1 the file cannot be written; 2 malformed input, nothing was changed.
    """
    from riskguard.clock import SystemClock
    from riskguard.services.calendar.importing import EQUITY, import_texts

    if (complete_from is None) != (complete_until is None):
        raise SettingsError("`--complete-from` and `--complete-until`: give both or neither")
    complete = None
    if complete_from is not None and complete_until is not None:
        complete = _day("--complete-from", complete_from), _day("--complete-until", complete_until)
        if complete[0] > complete[1]:
            raise SettingsError(f"`--complete-from {complete[0]}` is after `--complete-until {complete[1]}`")
    done = import_texts(
        [(each, _text(each)) for each in files], now_us=SystemClock().now_us(), segments=segment or EQUITY,
        complete=complete, replace=replace, dry_run=dry_run,
    )  # fmt: skip
    if as_json:
        document(asdict(done))
        return
    say(f"{done.added} added, {done.changed} changed, {done.same} as they stood (dates by segment)")
    if done.written:
        say(f"wrote {done.path}{f'; what it was: {done.kept}' if done.kept else ''}")
    else:
        say(f"{done.path} is as it was")


def _text(name: str) -> str:
    """Read one file, or standard input; raises CalendarInvalidError."""
    from riskguard.core.calendar import CalendarError
    from riskguard.store.calendar import BYTES_MAX, read_text

    try:
        if name != "-":
            return read_text(Path(name))
        return sys.stdin.buffer.read(BYTES_MAX).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise CalendarInvalidError("standard input is not UTF-8 text") from None
    except CalendarError as e:
        raise CalendarInvalidError(str(e)) from None


def _day(option: str, text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise SettingsError(f"`{option} {text}`: wants YYYY-MM-DD") from None


def _month(text: str) -> tuple[date, date]:
    if re.fullmatch(r"[0-9]{4}-(0[1-9]|1[0-2])", text) is None or text < "0001":
        raise SettingsError(f"`--month {text}`: wants YYYY-MM")
    year, month = int(text[:4]), int(text[5:])
    if year == 0:
        raise SettingsError(f"`--month {text}`: wants YYYY-MM")
    return date(year, month, 1), date(year, month, months.monthrange(year, month)[1])
