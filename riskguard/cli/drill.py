"""`riskguard drill`: the whole kill, rehearsed with the account's own book, before anything real depends on it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from riskguard.cli.options import Db, Json
from riskguard.cli.output import REFUSED, document, one_line_errors, say
from riskguard.core.money import rupees
from riskguard.errors import SettingsError
from riskguard.home import database_url

if TYPE_CHECKING:
    from riskguard.services.drill.outcome import Outcome

PLANS = ("flatten", "cancel", "broker")


@one_line_errors
def drill(
    account: Annotated[str | None, typer.Argument(help="Account; the only one when left out.")] = None,
    plan: Annotated[str, typer.Option(help="flatten, cancel or broker: what the kill is to do.")] = "flatten",
    from_book: Annotated[
        bool, typer.Option("--from-book", help="The account's book as its database has it (the default).")
    ] = False,
    scenario: Annotated[
        Path | None, typer.Option("--scenario", help="Instead: a scenario of `riskguard sandbox`, a TOML file.")
    ] = None,
    db: Db = None,
    as_json: Json = False,
) -> None:
    """
    Rehearse a kill of ACCOUNT against a Dhan of our own on this machine, with a copy of its book and limits.

    Nothing real is touched: no order, no flag, no row, and no connection leaves this machine. See docs/how-to/drill.md.

    Exit status: 0 every step passed; 3 a step did not; 1 error; 2 malformed input.
    """
    from riskguard import admin
    from riskguard.services.drill import book as books
    from riskguard.services.drill.rehearsal import rehearse
    from riskguard.services.drill.stage import own_home

    if plan not in PLANS:
        raise SettingsError(f"`--plan {plan[:40]}`: wants one of {', '.join(PLANS)}")
    if from_book and scenario is not None:
        raise SettingsError("`--from-book` and `--scenario` are two books: give one of them")
    url = database_url(db)
    with own_home() as directory:
        found, played = books.prepared(url, account, scenario, directory)
        outcome = rehearse(
            found, directory, plan=plan, release=admin.release, scenario=played,
            source="book" if played is None else f"scenario {scenario}",
            tell=(lambda _line: None) if as_json else say,
        )  # fmt: skip
    if as_json:
        document(outcome.as_document())
    else:
        _show(outcome)
    if not outcome.passed:
        raise typer.Exit(REFUSED)


def _show(found: Outcome) -> None:
    say("")
    say(f"{found.account}, plan {found.plan}, from the {found.source}: {found.ends}")
    flat = "never flat" if found.flat_s is None else f"flat after {found.flat_s:g} s"
    proven = "not proven" if found.proven_s is None else f"proven after {found.proven_s:g} s"
    say(f"time      {flat}, {proven}; the messages alone take {found.budget_s} s of the account's windows")
    say("messages  " + (", ".join(f"{count} {kind}" for kind, count in found.messages.items()) or "none"))
    if found.refused:
        say(f"          {found.refused} were refused as too many")
    for line, count in found.slices.items():
        say(f"slices    {line} in {count} orders")
    costs = found.costs
    spread = (
        f"{costs.unpriced} exits without a bid and offer: the spread is unknown"
        if costs.spread_e4 is None
        else f"{rupees(costs.spread_e4)} against the last price"
    )
    unsure = (
        f"; unknown rates stand in at their highest: {', '.join(costs.charges_unknown)}"
        if costs.charges_unknown
        else ""
    )
    say(f"cost      {rupees(costs.charges_e4)} of charges, {spread}{unsure}")
    for each in found.would_block:
        way_out = f"; {each.way_out}" if each.way_out else ""
        say(f"{each.severity.upper()} {each.subject}: {each.what}{way_out}")
    say("every step passed" if found.passed else "a step did not pass")
