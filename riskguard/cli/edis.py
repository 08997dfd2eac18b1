"""`riskguard edis`: which holdings may be sold."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from riskguard.cli.options import Db, Json
from riskguard.cli.output import document, one_line_errors, say, table
from riskguard.home import database_url

app = typer.Typer(help="Demat debit authorisations (eDIS).", no_args_is_help=True)


@app.command("status")
@one_line_errors
def status(
    account: Annotated[str | None, typer.Argument(help="Account; all when left out.")] = None,
    db: Db = None,
    as_json: Json = False,
) -> None:
    """
    Show what is authorised, pending and expired per ISIN, in shares, from what was recorded. Nothing is asked of
    the broker, and a TPIN is never shown.

    Exit status: 0 shown; 1 error; 2 no such account.
    """
    from riskguard.errors import UnknownAccountError
    from riskguard.services import edis
    from riskguard.services.tokens import ist
    from riskguard.store.database import open_database

    with open_database(database_url(db)) as database:
        known = database.authentication.accounts()
        if account is not None and account not in known:
            raise UnknownAccountError(account, known)
        found = edis.status(database, account, database.clock.now_us() // 1_000_000)
    if as_json:
        document([asdict(each) for each in found])
        return
    if not found:
        say("no authorisation was recorded")
        return
    rows = [
        [
            each.account, each.isin, str(each.authorised), str(each.pending), str(each.expired), str(each.rejected),
            str(each.other), "—" if each.expires_at is None else ist(each.expires_at), each.last,
        ]
        for each in found
    ]  # fmt: skip
    columns = ["account", "ISIN", "authorised", "pending", "expired", "rejected", "other", "first ends", "last word"]
    table("Authorisations, shares", columns, rows)
