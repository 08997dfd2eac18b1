"""`riskguard doctor`: what is going stale, missing or open, in one line each."""

from __future__ import annotations

from dataclasses import asdict

import typer

from riskguard.cli.options import Db, Json
from riskguard.cli.output import ERROR, document, one_line_errors, say
from riskguard.home import database_url


@one_line_errors
def doctor(db: Db = None, as_json: Json = False) -> None:
    """
    Look for what nothing else looks at: tables near their end, an old master, open files, nobody watching.

    With profile dhan the broker is asked too: token, clock, address, segments, its switch, its exit at a loss. Nothing is
    changed.

    Exit status: 0 nothing wrong, warnings at most; 1 something is wrong.
    """
    from riskguard.clock import SystemClock
    from riskguard.services.doctor import Severity, examine
    from riskguard.store.session import Store

    url = database_url(db)
    found = examine(lambda: Store(url), SystemClock().now_us())
    wrong = [each for each in found if each.severity is Severity.ERROR]
    if as_json:
        document(
            {
                "database": url,
                "wrong": len(wrong),
                "findings": [{**asdict(each), "status": each.status} for each in found],
            }
        )
    else:
        for each in found:
            way_out = f"; {each.way_out}" if each.way_out else ""
            say(f"{each.severity.upper()} {each.subject}: {each.what}{way_out}")
        if not wrong:
            good = all(each.severity is Severity.OK for each in found)
            say("nothing is wrong" if good else "nothing is wrong, but look at the above")
    if wrong:
        raise typer.Exit(ERROR)
