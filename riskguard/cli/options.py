"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

Db = Annotated[
    str | None, typer.Option("--db", envvar="RISKGUARD_DB", help="Database: a sqlite:/// URL or a file path.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output.")]
By = Annotated[str, typer.Option("--by", envvar="RISKGUARD_BY", help="The person who decides; kept in the journal.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; kept in the journal.")]
Account = Annotated[str | None, typer.Option("--account", help="Account; all when left out.")]
