"""`riskguard limits`: what holds, what a rulebook would change, and applying it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from riskguard.cli.options import Account, By, Db, Json
from riskguard.cli.output import document, one_line_errors, say, table
from riskguard.home import database_url
from riskguard.locate import rulebook_text

if TYPE_CHECKING:
    from riskguard.core.rulebook import Change

app = typer.Typer(help="Limits: show them, plan and apply a rulebook.", no_args_is_help=True)

SIGNS = {"add": "+", "tighten": "~", "loosen": "!", "retire": "-", "keep": " "}


@app.command("show")
@one_line_errors
def show(db: Db = None, account: Account = None, as_json: Json = False) -> None:
    """
    Show the limits in force, with their numbers, authors and reasons.

    Exit status: 0 shown; 1 error; 2 no such account.
    """
    from riskguard.services import overview
    from riskguard.store.session import Store

    found = overview.limits(Store(database_url(db)), account)
    if as_json:
        document(found)
        return
    rows = [
        [
            each["account"], each["limit_id"], each["check"], _numbers(each["parameters"]), each["scope"],
            each["on_breach"] + ("" if each["mode"] == "enforce" else f" ({each['mode']})"), each["set_by"],
        ]
        for each in found
    ]  # fmt: skip
    table("limits", ["account", "limit", "check", "numbers", "scope", "on breach", "by"], rows)


def _numbers(parameters: dict[str, object]) -> str:
    return ", ".join(f"{key}={value}" for key, value in parameters.items()) or "—"


@app.command("plan")
@one_line_errors
def plan(
    file: Annotated[str, typer.Argument(help="A TOML file, or the name of a shipped rulebook.")],
    account: Annotated[str, typer.Option("--account", help="Account to compare with.")] = "leader",
    db: Db = None,
    as_json: Json = False,
) -> None:
    """
    Show what applying a rulebook would change; nothing is written.

    Exit status: 0 shown; 1 error; 2 the rulebook is malformed.
    """
    from riskguard.core.rulebook import parse
    from riskguard.services import rulebooks
    from riskguard.store.session import Store

    book = parse(rulebook_text(file), account=account)
    found = rulebooks.plan(Store(database_url(db)), account, book)
    if as_json:
        document({"rulebook": book.name, "digest": book.digest, "changes": [_as_dict(change) for change in found]})
        return
    _print(found)
    say(f"digest {book.digest[:16]}; apply with `riskguard limits apply {file} --account {account} --by NAME`")


@app.command("apply")
@one_line_errors
def apply(
    file: Annotated[str, typer.Argument(help="A TOML file, or the name of a shipped rulebook.")],
    account: Annotated[str, typer.Option("--account", help="Account to apply it to.")],
    by: By,
    reason: Annotated[str, typer.Option("--reason", help="Why; kept in the journal.")] = "",
    db: Db = None,
    as_json: Json = False,
) -> None:
    """
    Apply a rulebook in one transaction, journaled with its digest.

    Exit status: 0 applied; 1 error; 2 the rulebook is malformed, nothing was applied.
    """
    from riskguard import admin
    from riskguard.store.session import Store

    found = admin.apply_rulebook(
        Store(database_url(db)), rulebook_text(file), account=account, by=by, reason=reason
    )  # fmt: skip
    if as_json:
        document({"account": account, "changes": [_as_dict(change) for change in found]})
        return
    _print(found)
    say(f"applied to `{account}` by {by}")


def _print(found: tuple[Change, ...]) -> None:
    for change in found:
        if change.kind != "keep":
            say(f"{SIGNS[change.kind]} {change.limit_id} ({change.check}): {change.kind}")
            for name, before, after in change.fields:
                say(f"      {name}: {before} -> {after}")
    kinds = [change.kind for change in found]
    counted = ", ".join(f"{kinds.count(kind)} {kind}" for kind in SIGNS if kind in kinds)
    say(f"{counted or 'nothing'}")


def _as_dict(change: Change) -> dict[str, object]:
    return {
        "kind": change.kind,
        "limit_id": change.limit_id,
        "check": change.check,
        "fields": [{"name": name, "before": before, "after": after} for name, before, after in change.fields],
    }
