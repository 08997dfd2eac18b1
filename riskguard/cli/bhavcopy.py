"""`riskguard bhavcopy`: closing and settlement prices from the exchanges' own files."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from riskguard.cli.options import Db, Json
from riskguard.cli.output import document, one_line_errors, say, table
from riskguard.home import database_url

app = typer.Typer(help="Closing and settlement prices, from the exchanges' own files.", no_args_is_help=True)


@app.command("import")
@one_line_errors
def import_(
    files: Annotated[
        list[Path], typer.Argument(help="NSE or BSE, cash or F&O, UDiFF form: csv, or the zip it comes in.")
    ],
    everything: Annotated[bool, typer.Option("--all", help="Keep every price, not only of what is held.")] = False,
    db: Db = None,
    as_json: Json = False,
) -> None:
    """
    Keep the day's official prices of what any account holds; previous closes that were missing are put in.

    A file is read whole before anything of it is written. The files are at the exchanges' own pages; nothing is fetched.

    Exit status: 0 imported; 1 error; 2 no bhavcopy, or a broken one.
    """
    from riskguard.services.bhavcopy import import_file
    from riskguard.store.session import Store

    store = Store(database_url(db))
    done = [import_file(store, path, keep_all=everything) for path in files]
    if as_json:
        document([asdict(each) for each in done])
        return
    for each in done:
        say(
            f"{each.file}: {each.exchange_segment} of {each.session_date}: {each.lines} lines, {each.kept} prices kept, "
            f"{each.unheld} of what nobody holds, {each.priceless} without a price"
        )
        for wrong in each.mismatched:
            say(f"  left out: {wrong}")
        if each.filled:
            say(f"  {each.filled} previous close(s) that were missing are known now")


@app.command("list")
@one_line_errors
def list_(db: Db = None, as_json: Json = False) -> None:
    """
    Show which days' prices are stored.

    Exit status: 0 shown; 1 error.
    """
    from riskguard.services.bhavcopy import stored
    from riskguard.store.session import Store

    found = stored(Store(database_url(db)))
    if as_json:
        document(found)
    elif found:
        table("", ["day", "segment", "prices"], [[str(value) for value in each.values()] for each in found])
    else:
        say("no prices are stored: `riskguard bhavcopy import FILE`")
