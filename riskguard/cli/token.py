"""`riskguard token`: the access tokens of accounts. A token is typed at a prompt or piped in, never an argument."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Annotated

import typer

from riskguard.cli.options import Db, Json
from riskguard.cli.output import ERROR, REFUSED, document, one_line_errors, say, table
from riskguard.home import database_url

app = typer.Typer(help="Access tokens: set, show, seal anew.", no_args_is_help=True)

INPUT_CHARS_MAX = 65_536
EXTRA = {"allow_extra_args": True, "ignore_unknown_options": True}


@app.command("set", context_settings=EXTRA)
@one_line_errors
def set_token(
    context: typer.Context,
    account: Annotated[str, typer.Argument(help="Account the token is for.")],
    force: Annotated[
        bool, typer.Option("--force", help="Store it even if it has expired by this host's clock.")
    ] = False,
    db: Db = None,
    as_json: Json = False,
) -> None:
    """
    Store ACCOUNT's access token, sealed; the earlier one is switched off with it. A running daemon uses it at once.

    Type it at the prompt (nothing is shown), or pipe it in: `riskguard token set leader < token.txt`. When it
    expires is read from the token itself, unverified.

    Exit status: 0 stored; 1 error, nothing was stored; 2 no token, malformed or expired, or no such account.
    """
    from riskguard.errors import TokenInvalidError
    from riskguard.services import tokens
    from riskguard.store.database import open_database

    if context.args:
        # Not echoed: the shell's history and the process list have it already.
        raise TokenInvalidError(
            "a token is no argument, and there is no such option: type it at the prompt or pipe it in; if that was a "
            "token, it stands in the shell's history now: make a new one"
        )
    with open_database(database_url(db)) as database:
        done = tokens.set_token(database, account, _given(account), force=force)
    if as_json:
        document({**asdict(done), "warnings": list(done.warnings)})
        return
    until = "" if done.expires_at is None else f", until {tokens.ist(done.expires_at)}"
    say(f"token of `{account}` stored, sealed with key `{done.key_id}`{until}")
    for warning in done.warnings:
        print(f"riskguard: warning: the token {warning}", file=sys.stderr)


def _given(account: str) -> str:
    """Return what was typed or piped in."""
    if sys.stdin is None:
        return ""
    if sys.stdin.isatty():
        import getpass

        return getpass.getpass(f"Access token of {account}: ")
    return sys.stdin.buffer.read(INPUT_CHARS_MAX).decode("utf-8", "replace")


@app.command("status")
@one_line_errors
def status(
    account: Annotated[str | None, typer.Argument(help="Account; all when left out.")] = None,
    db: Db = None,
    as_json: Json = False,
) -> None:
    """
    Show whether each account has a token, how it is kept, with which key, and when it expires. Never the token.

    Exit status: 0 each has one that can be used; 1 error, or one cannot be read; 2 no such account; 3 one has none,
    or it has expired.
    """
    from riskguard.errors import UnknownAccountError
    from riskguard.services import tokens
    from riskguard.store.database import open_database

    with open_database(database_url(db)) as database:
        known = database.authentication.accounts()
        if account is not None and account not in known:
            raise UnknownAccountError(account, known)
        found = [tokens.status(database, name) for name in ((account,) if account else known)]
    if as_json:
        document([asdict(each) for each in found])
    else:
        rows = [
            [
                each.account, each.token, each.kept or "—", each.key_id or "—", each.source or "—",
                "—" if each.expires_in_s is None else _span(each.expires_in_s), each.problem,
            ]
            for each in found
        ]  # fmt: skip
        table("Access tokens", ["account", "token", "kept", "key", "key from", "expires in", "look at"], rows)
    if any(each.token == "unreadable" for each in found):
        raise typer.Exit(ERROR)
    if any(each.token in ("none", "expired") for each in found):
        raise typer.Exit(REFUSED)


def _span(seconds: int) -> str:
    """Return a span as `3 h 05 min`, or how long ago it was."""
    minutes = abs(seconds) // 60
    said = f"{minutes // 60} h {minutes % 60:02d} min"
    return said if seconds > 0 else f"{said} ago"


@app.command("rotate")
@one_line_errors
def rotate(
    account: Annotated[str, typer.Argument(help="Account whose tokens are sealed anew.")],
    db: Db = None,
    as_json: Json = False,
) -> None:
    """
    Seal ACCOUNT's stored tokens with the newest key; one that lies in clear is sealed. The token stays the same.

    For a new token use `riskguard token set`, for a new key `riskguard secrets rotate`.

    Exit status: 0 done; 1 nothing was changed (no key, or one does not open); 2 no such account.
    """
    from riskguard.errors import UnknownAccountError
    from riskguard.store.database import open_database

    with open_database(database_url(db)) as database:
        known = database.authentication.accounts()
        if account not in known:
            raise UnknownAccountError(account, known)
        done = database.authentication.rotate(account)
        keys = database.authentication.vault.require()
    renewed, encrypted = sum(each.renewed for each in done), sum(each.encrypted for each in done)
    if as_json:
        document({"account": account, "key_id": keys.newest, "renewed": renewed, "encrypted": encrypted})
        return
    say(
        f"tokens of `{account}` are sealed with key `{keys.newest}`: {renewed} from an older key, {encrypted} from clear"
    )
    if encrypted:
        say("what lay in clear may still stand in backups and in the disk's free blocks: make a new token")
