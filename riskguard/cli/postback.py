"""`riskguard postback`: the webhook the broker posts order updates to. It can never approve, release or free anything."""

from __future__ import annotations

import signal
import sys
import threading
from dataclasses import asdict
from typing import Annotated

import typer

from riskguard.cli.options import Account, Db, Json
from riskguard.cli.output import ERROR, document, fail, one_line_errors, say, table
from riskguard.home import database_url

app = typer.Typer(help="The broker's webhook: its secret, serving it, how it stands.", no_args_is_help=True)


@app.command("set-secret")
@one_line_errors
def set_secret(
    account: Annotated[str, typer.Argument(help="Account whose orders are posted.")],
    url: Annotated[str, typer.Option("--url", help="What the broker reaches, such as https://desk.example.org.")],
    only: Annotated[
        bool, typer.Option("--only", help="End the earlier secret at once: it is known to others.")
    ] = False,
    signing_key: Annotated[
        bool, typer.Option("--signing-key", help="Show the key too, for a relay of your own that signs.")
    ] = False,
    db: Db = None,
    as_json: Json = False,
) -> None:
    """
    Make a new secret address for ACCOUNT, store it sealed, and show it this once: give it to the broker.

    The address before it goes on holding until `riskguard postback retire`, so that no message is lost in between.

    Exit status: 0 made; 1 error, nothing was changed; 2 malformed URL, or no such account.
    """
    from riskguard.services.feeds import doors
    from riskguard.store.database import open_database

    with open_database(database_url(db)) as database:
        made = doors.set_secret(database, account, url, only=only)
    if as_json:
        shown = {"account": account, "id": made.config_id, "url": made.url, "standing": made.standing}
        document({**shown, "signing_key": made.signing_key} if signing_key else shown)
        return
    say(f"the webhook of `{account}`, shown this once; whoever knows it can make riskguard ask the broker:")
    say(made.url)
    if signing_key:
        say(f"signing key: {made.signing_key}")
    if made.standing > 1:
        say(f"the address before it still holds: `riskguard postback retire {account}` once the broker has this one")


@app.command("retire")
@one_line_errors
def retire(
    account: Annotated[str, typer.Argument(help="Account whose earlier addresses end.")],
    db: Db = None,
    as_json: Json = False,
) -> None:
    """
    End every address of ACCOUNT but the newest.

    Exit status: 0 done; 1 error; 2 no such account.
    """
    from riskguard.services.feeds import doors
    from riskguard.store.database import open_database

    with open_database(database_url(db)) as database:
        ended = doors.retire(database, account)
    if as_json:
        document({"account": account, "retired": ended})
        return
    say(f"{ended} earlier addresses of `{account}` ended")


@app.command("status")
@one_line_errors
def status(account: Account = None, db: Db = None, as_json: Json = False) -> None:
    """
    Show each account's addresses (never the secret), what was posted and streamed today, and how the stream stands.

    Exit status: 0 shown; 1 error; 2 no such account.
    """
    from contextlib import closing

    from riskguard.errors import UnknownAccountError
    from riskguard.services.feeds.standing import standing
    from riskguard.services.tokens import ist
    from riskguard.store.database import open_database
    from riskguard.store.session import Store

    with open_database(database_url(db)) as database, closing(Store(database_url(db))) as store:
        known = database.authentication.accounts()
        if account is not None and account not in known:
            raise UnknownAccountError(account, known)
        now_us = database.clock.now_us()
        found = [standing(store, database, name, now_us) for name in ((account,) if account else known)]
    if as_json:
        document([asdict(each) for each in found])
        return
    rows = []
    for each in found:
        for secret in each.secrets or (None,):
            url = "—" if secret is None else secret.url + (f" ({secret.problem})" if secret.problem else "")
            kept = "—" if secret is None else secret.kept
            called = "—" if secret is None or secret.last_triggered_at is None else ist(secret.last_triggered_at)
            rows.append([each.account, url, kept, called])
    table("Webhook addresses, without their secret", ["account", "address", "kept", "last called"], rows)
    came = []
    for each in found:
        line = "never" if each.stream is None else each.stream.status
        posted, streamed = each.postbacks, each.stream_messages
        came.append(
            [
                each.account, str(posted.messages), str(posted.pending), str(posted.malformed), line,
                str(streamed.messages), str(streamed.pending), str(streamed.malformed),
            ]
        )  # fmt: skip
    columns = ["account", "posted", "waiting", "unreadable", "stream", "streamed", "waiting", "unreadable"]
    table("Today", columns, came)


@app.command("serve")
@one_line_errors
def serve(
    host: Annotated[str | None, typer.Option("--host", help="Address to listen at; else the setting's.")] = None,
    port: Annotated[
        int | None, typer.Option("--port", min=0, max=65535, help="Port; 0 takes a free one; else the setting's.")
    ] = None,
    db: Db = None,
) -> None:
    """
    Serve the webhook alone, until stopped (SIGTERM or Ctrl-C). `riskguard run` does so itself with `postback` on.

    Put a proxy that speaks TLS before it: riskguard listens in clear, by default to this machine only.

    Exit status: 0 stopped; 1 error, or the server died; 2 it cannot listen there, or nobody has an address.
    """
    import logging

    from riskguard.errors import SettingsError
    from riskguard.redaction import FILTER
    from riskguard.services.feeds.intake import Intake
    from riskguard.services.feeds.rereads import Rereads
    from riskguard.services.feeds.running import server_of
    from riskguard.services.wiring import open_guard, settings_of
    from riskguard.store.database import open_database

    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    handler.addFilter(FILTER)
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    log = logging.getLogger("riskguard")
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stopped.set())
    guard = open_guard(database_url(db), sweep=False)
    try:
        settings, accounts = settings_of(guard.store)
        with open_database(database_url(db)) as database:
            if not any(database.postback.get_configs(name) for name in accounts):
                raise SettingsError("no account has a webhook address: make one with `riskguard postback set-secret`")
            intake = Intake(
                guard,
                Rereads(lambda name, why: log.info("%s: the next sweep reads the lists (%s)", name, why), guard.clock),
            )
            server = server_of(guard, database, intake, settings, host=host, port=port)
            intake.start()
            server.start()
            say(f"serving the webhook at {host or settings.postback_host}:{server.port}")
            sys.stdout.flush()
            while not stopped.wait(1.0) and server.is_alive() and intake.is_alive():
                guard.store.tidy()
            died = not stopped.is_set()
            server.stop()
            intake.stop()
    finally:
        guard.close()
    if died:
        fail("the webhook's server died: start `riskguard postback serve` again", ERROR)
