"""`riskguard limits`: what holds, what a rulebook would change, applying it, and what history suggests."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from riskguard.cli.operator import VARIABLE, is_operator
from riskguard.cli.options import Account, By, Db, Json
from riskguard.cli.output import document, one_line_errors, say, table
from riskguard.errors import ReleaseRefusedError
from riskguard.home import database_url
from riskguard.locate import rulebook_text

if TYPE_CHECKING:
    from riskguard.core.rulebook import Change
    from riskguard.services.limits.rulebooks import Waiting
    from riskguard.services.limits.suggest import Suggestion

app = typer.Typer(help="Limits: show them, plan and apply a rulebook.", no_args_is_help=True)

SIGNS = {"add": "+", "tighten": "~", "loosen": "~", "retire": "-", "keep": " "}
SAID = {"add": "", "tighten": " tightens", "loosen": " loosens", "retire": " retires", "keep": ""}

File = Annotated[str, typer.Argument(help="A TOML file, or the name of a shipped rulebook.")]


@app.command("show")
@one_line_errors
def show(db: Db = None, account: Account = None, as_json: Json = False) -> None:
    """
    Show the limits in force, with their numbers, authors and reasons, and what waits for the next session.

    Exit status: 0 shown; 1 error; 2 no such account.
    """
    from riskguard.services import overview
    from riskguard.services.limits import rulebooks
    from riskguard.store.session import Store

    store = Store(database_url(db))
    found = overview.limits(store, account)
    waiting = rulebooks.waiting_changes(store, None if account is None else [account])
    if as_json:
        by_limit = {
            (name, each.limit_id): _as_dict(each) for name, due in waiting.items() for each in due.changes
        }  # fmt: skip
        document([{**each, "waiting": by_limit.get((each["account"], each["limit_id"]))} for each in found])
        return
    rows = [
        [
            each["account"], each["limit_id"], each["check"], _numbers(each["parameters"]), each["scope"],
            each["on_breach"] + _mode(each), each["set_by"],
        ]
        for each in found
    ]  # fmt: skip
    table("limits", ["account", "limit", "check", "numbers", "scope", "on breach", "by"], rows)
    for name, due in waiting.items():
        _print_waiting(name, due)


def _numbers(parameters: dict[str, object]) -> str:
    return ", ".join(f"{key}={value}" for key, value in parameters.items()) or "—"


def _mode(limit: dict[str, Any]) -> str:
    if limit["mode"] == "enforce" and not limit["acknowledged_until"]:
        return ""
    until = f" until {limit['acknowledged_until']} by {limit['acknowledged_by']}" if limit["acknowledged_until"] else ""
    return f" ({limit['mode']}{until})"


def _print_waiting(account: str, due: Waiting) -> None:
    say(f"waiting for the session of {due.from_date} (`{account}`, by {due.by}; applying a rulebook withdraws it):")
    for change in due.changes:
        _print_change(change)


@app.command("plan")
@one_line_errors
def plan(
    file: File,
    account: Annotated[str, typer.Option("--account", help="Account to compare with.")] = "leader",
    db: Db = None,
    as_json: Json = False,
) -> None:
    """
    Show what applying a rulebook would change; nothing is written.

    Exit status: 0 shown; 1 error; 2 the rulebook is malformed.
    """
    from riskguard.clock import SystemClock
    from riskguard.core.rulebook import parse
    from riskguard.services.limits import rulebooks
    from riskguard.store.session import Store

    book, store = parse(rulebook_text(file), account=account), Store(database_url(db))
    found = rulebooks.plan(store, account, book, SystemClock().now_us())
    waiting = rulebooks.waiting_changes(store, [account]).get(account)
    if as_json:
        document({
            "rulebook": book.name, "digest": book.digest, "changes": [_as_dict(change) for change in found],
            "waiting": [] if waiting is None else [_as_dict(change) for change in waiting.changes],
        })  # fmt: skip
        return
    _print(found, "Plan")
    if waiting is not None:
        _print_waiting(account, waiting)
    say(f"digest {book.digest[:16]}; apply with `riskguard limits apply {file} --account {account} --by NAME`")


@app.command("apply")
@one_line_errors
def apply(
    file: File,
    account: Annotated[str, typer.Option("--account", help="Account to apply it to.")],
    by: By,
    reason: Annotated[str, typer.Option("--reason", help="Why; kept in the journal.")] = "",
    approver: Annotated[
        str, typer.Option("--second-approver", help="Second person, for a loosening while the session runs.")
    ] = "",
    db: Db = None,
    as_json: Json = False,
) -> None:
    """
    Apply a rulebook in one transaction, journaled with its digest.

    What tightens counts at once. What loosens while the session runs waits for the next one, unless a second person
    approves it, at a terminal or with the operator token.

    Exit status: 0 applied; 1 error; 2 the rulebook is malformed; 3 the second approver is not accepted. Nothing was
    applied but at 0.
    """
    from riskguard import admin
    from riskguard.services.wiring import settings_of
    from riskguard.store.session import Store

    store = Store(database_url(db))
    if approver:
        settings, _accounts = settings_of(store)
        if settings.profile != "paper" and not is_operator():
            raise ReleaseRefusedError(f"a second approver wants a terminal, or the operator token in {VARIABLE}")
    found = admin.apply_rulebook(
        store, rulebook_text(file), account=account, by=by, reason=reason, approver=approver, origin=_origin(file)
    )
    if as_json:
        document({"account": account, "changes": [_as_dict(change) for change in found]})
        return
    _print(found, "Applied")
    say(f"applied to `{account}` by {by}" + (f", approved by {approver}" if approver else ""))


def _origin(file: str) -> str:
    """Return where the file lies, "" for a shipped rulebook, which is known by its name."""
    path = Path(file)
    return str(path.resolve()) if path.suffix == ".toml" or path.name != file else ""


def _print(found: tuple[Change, ...], what: str) -> None:
    for change in found:
        if change.kind != "keep":
            _print_change(change)
    kinds = [change.kind for change in found]
    changed = kinds.count("tighten") + kinds.count("loosen")
    say(
        f"{what}: {kinds.count('add')} to add, {changed} to change ({kinds.count('loosen')} loosens), "
        f"{kinds.count('retire')} to retire; {kinds.count('keep')} unchanged"
    )
    later = [change for change in found if change.from_date]
    if later:
        say(
            f"{len(later)} of them loosen while the session runs and count from {later[0].from_date}; "
            "at once with `--second-approver NAME`"
        )


def _print_change(change: Change) -> None:
    from_date = f" from {change.from_date}" if change.from_date else ""
    say(f"{SIGNS[change.kind]} {change.limit_id} ({change.check}){SAID[change.kind]}{from_date}")
    if change.kind == "add" and change.after is not None:
        for name, value in change.after.params.model_dump(mode="json", exclude_none=True).items():
            say(f"      {name} = {value}")
        say(f"      on_breach = {change.after.on_breach}{'' if change.after.mode == 'enforce' else ' (shadow)'}")
    for name, before, after in change.fields:
        say(f"      {name}: {before} → {after}")


def _as_dict(change: Change) -> dict[str, object]:
    return {
        "kind": change.kind,
        "limit_id": change.limit_id,
        "check": change.check,
        "from_date": change.from_date or None,
        "fields": [{"name": name, "before": before, "after": after} for name, before, after in change.fields],
    }


@app.command("schema")
@one_line_errors
def schema() -> None:
    """
    Print the JSON Schema of a rulebook, for editors.

    Exit status: 0 printed.
    """
    from riskguard.services.limits.rulebook_schema import text

    print(text(), end="")


@app.command("suggest")
@one_line_errors
def suggest(
    account: Annotated[str, typer.Option("--account", help="Account whose history is read.")] = "leader",
    days: Annotated[int, typer.Option("--days", min=1, max=366, help="How many days back.")] = 30,
    toml: Annotated[bool, typer.Option("--toml", help="Print the whole rulebook with the suggested numbers.")] = False,
    db: Db = None,
    as_json: Json = False,
) -> None:
    """
    Suggest numbers for the limits in force, from what the account did. Nothing is changed.

    `riskguard limits suggest --toml > mine.toml`, read it, then `riskguard limits plan mine.toml`.

    Exit status: 0 shown, also when the history is too short to suggest anything; 1 error; 2 no such account.
    """
    from dataclasses import asdict

    from riskguard.clock import SystemClock
    from riskguard.services.limits import suggest as suggesting
    from riskguard.store.session import Store

    found = suggesting.suggest(Store(database_url(db)), account, SystemClock().now_us(), days=days)
    if as_json:
        document({"account": account, "days": days, "rulebook": found.toml,
                  "suggestions": [asdict(each) for each in found.suggestions]})  # fmt: skip
        return
    if toml:
        print(found.toml, end="")
        return
    for each in found.suggestions:
        _print_suggestion(each)


def _print_suggestion(each: Suggestion) -> None:
    what = f"{each.kind}: {each.current} → {each.suggested}" if each.suggested else each.kind
    say(f"{each.limit_id} ({each.check}) {what}; {each.reason}")
