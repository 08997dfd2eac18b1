"""The typer application: each command reads its options, calls one service, and prints."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from riskguard.cli import (
    account,
    alerts,
    audit,
    bhavcopy,
    calendar,
    charges,
    control,
    copies,
    daemon,
    database,
    demo,
    doctor,
    drill,
    edis,
    instruments,
    limits,
    orders,
    postback,
    report,
    sandbox,
    secrets,
    token,
    upkeep,
)
from riskguard.cli.kill import HELP as KILL_HELP

app = typer.Typer(
    name="riskguard",
    help="A risk-control engine with a kill switch for people who trade by program.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

app.command("init")(account.init)
app.command("status")(account.status)
app.add_typer(limits.app, name="limits")
app.add_typer(copies.app, name="copies")
app.command("check")(orders.check)
app.command("violations")(orders.violations)
app.command("explain")(orders.explain)
app.command("release")(control.release)
app.command("exit")(control.exit_positions)
app.command("operator-token")(control.operator_token)
app.command("sweep")(daemon.sweep)
app.command("run")(daemon.run)
upkeep.register(database.app)
app.add_typer(instruments.app, name="instruments")
app.add_typer(calendar.app, name="calendar")
app.command("doctor")(doctor.doctor)
app.add_typer(database.app, name="db")
app.add_typer(audit.app, name="audit")
app.add_typer(account.baseline_app, name="baseline")
app.add_typer(bhavcopy.app, name="bhavcopy")
app.add_typer(charges.app, name="charges")
app.add_typer(token.app, name="token")
app.add_typer(secrets.app, name="secrets")
app.add_typer(postback.app, name="postback")
app.add_typer(edis.app, name="edis")
app.add_typer(alerts.app, name="alerts")
app.command("report")(report.report)
app.command("demo")(demo.demo)
app.command("sandbox")(sandbox.sandbox)
app.command("drill")(drill.drill)


@app.command(
    "kill",
    help=KILL_HELP,
    short_help="Halt ACCOUNT, or everything when none is named.",
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
)
def kill(context: typer.Context) -> None:
    # Listed here so that `riskguard --help` shows it; `riskguard.cli.main` runs it before typer is imported.
    from riskguard.cli.kill import main

    raise typer.Exit(main(context.args))


def _version(wanted: bool) -> None:
    if wanted:
        from riskguard import __version__

        print(f"riskguard {__version__} (Python {sys.version.split()[0]})")
        raise typer.Exit


@app.callback()
def top(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and leave.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """A risk-control engine with a kill switch for people who trade by program."""
