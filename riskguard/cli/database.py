"""`riskguard db`: what the file is, and whether it is whole."""

from __future__ import annotations

import contextlib
import sqlite3
from dataclasses import asdict
from enum import StrEnum
from typing import Annotated

import typer

from riskguard.cli.options import Db, Json
from riskguard.cli.output import ERROR, document, one_line_errors, say
from riskguard.cli.upkeep import register
from riskguard.errors import RiskGuardError
from riskguard.home import database_url, sqlite_path

app = typer.Typer(help="The database: version, upgrade, check.", no_args_is_help=True)


@app.command("version")
@one_line_errors
def version(db: Db = None, as_json: Json = False) -> None:
    """
    Say which schema the database has, and which SQLite or PostgreSQL serves it.

    Exit status: 0 shown; 1 not readable.
    """
    from riskguard.store.engines.sqlite import SCHEMA_VERSION, has_wal_reset_bug
    from riskguard.store.inspect import identify

    url = database_url(db)
    if sqlite_path(url) is None:
        _server_version(url, SCHEMA_VERSION, as_json)
        return
    found = identify(url)
    data = {
        "database": str(found.path), "schema": found.version, "kind": found.kind, "this_version_wants": SCHEMA_VERSION,
        "sqlite": sqlite3.sqlite_version, "sqlite_has_wal_reset_bug": has_wal_reset_bug(),
    }  # fmt: skip
    if as_json:
        document(data)
        return
    say(f"{found.path}: {found.kind}, schema {found.version}; this riskguard wants {SCHEMA_VERSION}")
    if has_wal_reset_bug():
        say(f"SQLite {sqlite3.sqlite_version} has the WAL-reset bug: riskguard checkpoints only under the write lock")


def _server_version(url: str, wanted: int, as_json: bool) -> None:
    from riskguard.store import catalog
    from riskguard.store.engines import postgresql

    where = postgresql.place(url)
    with postgresql.connect(url) as connection, postgresql.one_line(where), connection.begin():
        found = catalog.identify(connection)
    if as_json:
        document(
            {"database": where, "schema": found.version, "kind": found.kind, "this_version_wants": wanted,
             "postgresql": found.server}
        )  # fmt: skip
        return
    say(f"{where}: {found.kind}, schema {found.version}; this riskguard wants {wanted}; PostgreSQL {found.server}")


class Unit(StrEnum):
    """What the numbers of `position_size_limit` count."""

    UNITS = "units"
    LOTS = "lots"
    INR = "inr"


@app.command("upgrade")
@one_line_errors
def upgrade(
    file: Annotated[str | None, typer.Argument(help="The database, instead of `--db`.", show_default=False)] = None,
    db: Db = None,
    position_size_unit: Annotated[
        Unit | None,
        typer.Option(help="What `position_size_limit` of the old file counts; it does not say so itself."),
    ] = None,
    rulebook: Annotated[
        str, typer.Option(help="Gives the mandatory limits the old file does not have: a shipped name, or a file.")
    ] = "default",
    as_json: Json = False,
) -> None:
    """
    Bring a copy-trading database of schema 1, 2 or 3, or an empty PostgreSQL database, to this version's schema.

    A verified backup is made beside it first. Every row comes along, or is kept in `quarantine` with the
    reason. A database that is there already is left as it is.

    Exit status: 0 up to date; 1 not possible, the file is untouched.
    """
    from riskguard.cli.upgrading import progress, report
    from riskguard.services.upgrade import upgrade as bring_up

    url = database_url(file or db)
    if sqlite_path(url) is None:
        _raise_server(url, as_json)
        return
    with progress(quiet=as_json) as on_progress:
        done = bring_up(
            url,
            position_size_unit=None if position_size_unit is None else position_size_unit.value,
            rulebook=rulebook,
            on_progress=on_progress,
        )
    if as_json:
        document(asdict(done))
    else:
        report(done)


def _raise_server(url: str, as_json: bool) -> None:
    from riskguard.services.server import upgrade as bring_up

    done = bring_up(url)
    if as_json:
        document(asdict(done))
    elif done.already:
        say(f"{done.database} is already at schema {done.version}")
    else:
        say(f"{done.database}: empty → schema 4. Nobody may trade yet: it has no account and no limits")


@app.command("check")
@one_line_errors
def check(
    db: Db = None,
    quick: Annotated[bool, typer.Option("--quick", help="Leave out what reads the whole file.")] = False,
    as_json: Json = False,
) -> None:
    """
    Check that the database is whole: integrity, the declared schema, and every account's journal.

    Also what surrounds it: permissions, halt directories, backups, archives, space. What is only to be looked at
    is said, and leaves the exit status 0. On PostgreSQL the schema, by the role that owns it, and the journals; integrity
    is the server's (`pg_amcheck`).

    Of a journal the chain alone: its macs, anchors and what hangs on it is for `riskguard audit verify`.

    Exit status: 0 all is well; 1 something is wrong.
    """
    from riskguard.cli.upkeep import CHAIN_ALONE, show_findings
    from riskguard.services import overview
    from riskguard.services.upkeep.checkup import findings
    from riskguard.store.session import Store

    url = database_url(db)
    path = sqlite_path(url)
    if path is None:
        _check_server(url, quick, as_json)
        return
    with contextlib.closing(Store(url)) as store:
        found = findings(store, quick=quick)
        journals = overview.verify(store, with_replay=False) if as_json and not quick else []
    wrong = [each.what for each in found if each.severity == "error"]
    if as_json:
        listed = [asdict(each) for each in found]
        document({"database": str(path), "wrong": wrong, "journals": journals, "findings": listed})
    else:
        show_findings(found)
        say(f"{path}: {'all is well' if not wrong else f'{len(wrong)} things are wrong'}")
        if not quick:
            say(CHAIN_ALONE)
    if wrong:
        raise typer.Exit(ERROR)


def _check_server(url: str, quick: bool, as_json: bool) -> None:
    from riskguard.cli.upkeep import CHAIN_ALONE
    from riskguard.services import overview
    from riskguard.services.audit.reading import snapshot
    from riskguard.services.upkeep.checkup import chains
    from riskguard.store import catalog
    from riskguard.store.engines import postgresql
    from riskguard.store.session import Store
    from riskguard.store.tables.base import SCHEMA_VERSION

    where = postgresql.place(url)
    with postgresql.connect(url) as connection, postgresql.one_line(where):
        wrong = catalog.check(connection)
        with connection.begin():
            found = catalog.identify(connection)
    # Of another schema, or none of ours, there is no journal we could read.
    reads = not quick and found.kind == "riskguard" and found.version == SCHEMA_VERSION
    journals = []
    if reads:
        try:
            with contextlib.closing(Store(url)) as store:
                with snapshot(store) as session:
                    wrong += [f"{each.what}; {each.way_out}" for each in chains(session)]
                journals = overview.verify(store, with_replay=False) if as_json else []
        except RiskGuardError as e:
            wrong.append(f"the journals cannot be read: {e}")  # a table that is gone hides nothing the schema told
    if as_json:
        document({"database": where, "wrong": wrong, "journals": journals})
    else:
        for each in wrong:
            say(f"WRONG: {each}")
        say(f"{where}: {'the schema is as declared' if not wrong else f'{len(wrong)} things are wrong'}")
        if reads:
            say(CHAIN_ALONE)
    if wrong:
        raise typer.Exit(ERROR)


register(app)
