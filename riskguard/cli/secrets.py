"""`riskguard secrets`: the keys that stored tokens and other secrets are sealed with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from riskguard.cli.options import Db, Json
from riskguard.cli.output import ERROR, document, one_line_errors, say, table
from riskguard.home import database_url, sqlite_path

app = typer.Typer(help="The keys of stored secrets: make, show, renew.", no_args_is_help=True)


@app.command("init")
@one_line_errors
def init(
    keyring: Annotated[
        bool, typer.Option("--keyring", help="Put the key into the keyring of the operating system instead of a file.")
    ] = False,
    to: Annotated[
        str | None, typer.Option("--to", help="Another key file; name it in RISKGUARD_SECRET_KEY_FILE afterwards.")
    ] = None,
    db: Db = None,
    as_json: Json = False,
) -> None:
    """
    Make the first key. It is shown nowhere; back the file up apart from the database.

    Exit status: 0 made; 1 there is one already, or it cannot be written.
    """
    from riskguard.errors import SettingsError
    from riskguard.store.secrets import keys

    if keyring and to:
        raise SettingsError("`--keyring` and `--to` exclude each other")
    path = None if to is None else Path(to).absolute()
    made = keys.create_in_keyring() if keyring else keys.create_file(path)
    beside = None if keyring else _beside(path or keys.key_file(), db)
    if as_json:
        document({"source": made.source, "key_id": made.newest, "warnings": [beside] if beside else []})
        return
    say(f"key `{made.newest}` made in {made.source}")
    say("back it up apart from the database: without it no stored token can be read again")
    if beside:
        say(f"warning: {beside}")
    if path is not None and path != keys.key_file():
        say(f"it is used once RISKGUARD_SECRET_KEY_FILE names `{path}`")


def _beside(key_file: Path, db: str | None) -> str | None:
    database = sqlite_path(database_url(db))
    if database is None or database.parent.resolve() != key_file.parent.resolve():
        return None
    return (
        f"the key lies in the directory of the database: a copy of `{key_file.parent}` holds both; keep the key elsewhere "
        "(`--to`, `--keyring`, or a systemd credential)"
    )


@app.command("status")
@one_line_errors
def status(db: Db = None, as_json: Json = False) -> None:
    """
    Show where keys come from, their ids, and what is sealed with which. Never a key or a value.

    Exit status: 0 everything is sealed and opens; 1 something lies in clear or does not open, or an error.
    """
    from riskguard.services.secrets import standing
    from riskguard.store.database import open_database
    from riskguard.store.secrets import keys as sources

    keys = sources.at_hand()
    with open_database(database_url(db)) as database:
        found = standing(database, keys)
    plain = sum(each.plain for each in found)
    unreadable = [line for each in found for line in each.unreadable]
    locked = keys is None and any(each.by_key for each in found)
    unused = [] if keys is None else [key for key in keys.ids[1:] if not any(each.by_key[key] for each in found)]
    if as_json:
        document(
            {
                "source": None if keys is None else keys.source,
                "key_ids": [] if keys is None else list(keys.ids),
                "not_needed_here": unused,
                "warnings": [] if keys is None else list(keys.warnings),
                "fields": [{"field": each.name, "by_key": dict(each.by_key), "plain": each.plain} for each in found],
                "unreadable": unreadable,
            }
        )
    else:
        if keys is None:
            say("no key: `riskguard secrets init`")
        else:
            say(f"keys from {keys.source}, newest first: {', '.join(keys.ids)}")
            for warning in keys.warnings:
                say(f"warning: {warning}")
        rows = [
            [each.name, ", ".join(f"{key}: {count}" for key, count in each.by_key.items()) or "—", str(each.plain)]
            for each in found
        ]
        table("Secrets", ["field", "sealed, by key", "in clear"], rows)
        for line in unreadable:
            say(f"UNREADABLE: {line}")
        if locked:
            say("UNREADABLE: values are sealed and no key is at hand")
        if plain:
            say(f"{plain} values lie in clear: `riskguard secrets rotate` seals them")
        for key in unused:
            say(f"key `{key}` is needed by nothing in this database: {_may_go(key)}")
    if plain or unreadable or locked:
        raise typer.Exit(ERROR)


def _may_go(_key: str) -> str:
    return "drop its line once no other database and no backup you may restore needs it"


@app.command("rotate")
@one_line_errors
def rotate(
    new_key: Annotated[
        bool, typer.Option("--new-key/--no-new-key", help="Make a new key first; without, the newest there is is used.")
    ] = True,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be done; every value is opened.")
    ] = False,
    db: Db = None,
    as_json: Json = False,
) -> None:
    """
    Make a new key and bring every secret under it, in one transaction; what lies in clear is sealed.

    Older keys stay where they are: backups and other databases may need them. Cut off anywhere, every value is
    still readable; run it again.

    Exit status: 0 done; 1 nothing was changed (a value does not open, no key, the database is busy).
    """
    from riskguard.cli.upgrading import progress
    from riskguard.services.secrets import rotate as renew
    from riskguard.store.database import open_database

    with open_database(database_url(db)) as database, progress(quiet=as_json) as on_progress:
        done = renew(database, new_key=new_key, dry_run=dry_run, on_progress=on_progress)
    if as_json:
        document(
            {
                "key_id": done.key_id, "older": list(done.older), "source": done.source, "dry_run": done.dry_run,
                "fields": [
                    {"field": each.name, "current": each.current, "renewed": each.renewed, "encrypted": each.encrypted}
                    for each in done.fields
                ],
            }
        )  # fmt: skip
        return
    rows = [[each.name, str(each.current), str(each.renewed), str(each.encrypted)] for each in done.fields]
    table("Secrets", ["field", "under the key already", "from an older key", "from clear text"], rows)
    if done.dry_run:
        under = "a new key" if done.new_key else f"key `{done.key_id}`"
        say(f"every value opens; nothing was changed. Without `--dry-run` all of them come under {under}")
        return
    say(f"everything is sealed with key `{done.key_id}` from {done.source}")
    for key in done.older:
        say(f"key `{key}` is needed by nothing in this database: {_may_go(key)}")
    if any(each.encrypted for each in done.fields):
        say("what lay in clear may still stand in backups and in the disk's free blocks: make new tokens")
