"""`riskguard demo`: a real day, a strategy that does not stop, and the guard that stops it."""

from __future__ import annotations

import datetime as dt
import logging
import os
import shutil
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from riskguard.cli.output import one_line_errors
from riskguard.errors import SettingsError

DIRECTORY = "riskguard-demo"
MARKER = ".made-by-riskguard-demo"
HALT = "halt"


@one_line_errors
def demo(
    day: Annotated[str, typer.Option("--day", help="2024-06-04, 2024-07-16 or 2020-03-23.")] = "2024-06-04",
    speed: Annotated[float, typer.Option("--speed", min=0.0, help="Minutes of the day per second; 0: no pause.")] = 0.0,
    db: Annotated[
        str | None, typer.Option("--db", help=f"Database to make (default: {DIRECTORY}/DAY.db here).")
    ] = None,
    strategy: Annotated[str, typer.Option("--strategy", help="dip or breakout.")] = "dip",
    rulebook: Annotated[
        str, typer.Option("--rulebook", help="Limits: a shipped rulebook or a TOML file.")
    ] = "demo-index-futures",
) -> None:
    """
    Replay a real trading day through the guard, and say what it would have cost without.

    Index futures are traded on the paper broker and marked by the index's minute bars. Nothing leaves this
    machine, and no halt outside the demo's own directory is touched.

    Exit status: 0 played; 1 error; 2 malformed input.
    """
    from riskguard.cli.screen import Progress, closing_screen
    from riskguard.feeds.bars import UnknownDayError, load_day
    from riskguard.home import host_home
    from riskguard.services.replay import Replay, run_unguarded
    from riskguard.store import halt

    try:
        played = load_day(dt.date.fromisoformat(day))
    except UnknownDayError as e:
        raise SettingsError(f"`--day`: {e}") from None
    except ValueError:
        raise SettingsError(f"`--day {day[:20]}`: wants a date like 2024-06-04") from None
    path = _place(db, day)
    for name in ("apscheduler", "riskguard"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # the closing screen tells what happened
    halt.prepare_new(host_home())  # so that `riskguard status` finds this host's own directories in order
    # Its own home: the kill of a demo must never halt a real account of this host.
    os.environ["RISKGUARD_HOME"] = str(path.parent)
    replay = Replay(played, f"sqlite:///{path}", strategy=strategy, rulebook=rulebook)
    try:
        with Progress(played) as progress:
            outcome = replay.run(pause_s=1 / speed if speed else 0.0, show=progress.show)
    finally:
        replay.close()
    with tempfile.TemporaryDirectory() as directory:
        outcome.unguarded, outcome.unguarded_orders = run_unguarded(played, Path(directory), strategy=strategy)
    closing_screen(outcome, played, path)


def _place(db: str | None, day: str) -> Path:
    """Return the database to make. An earlier demo's is replaced; anything else of that name is left alone."""
    from riskguard.home import database_url, sqlite_path

    if db is not None:
        path = sqlite_path(database_url(db))
        if path is None:
            raise SettingsError("`--db`: the demo makes a SQLite file")
        if path.exists():
            raise SettingsError(f"`--db {path}` exists: the demo makes a new file, name another")
        if (path.parent / HALT).exists():
            # Flags hold for every database of their directory: the demo's kill would halt what trades beside it.
            raise SettingsError(f"`--db {path}`: another database halts in that directory, name one of the demo's own")
        return path
    directory = Path.cwd() / DIRECTORY / day
    if directory.exists():
        if not (directory / MARKER).exists():
            raise SettingsError(f"`{directory}` is not the demo's: move it away, or give `--db`")
        shutil.rmtree(directory)
    directory.mkdir(parents=True, mode=0o700)
    (directory / MARKER).touch()
    return directory / "demo.db"
