"""`riskguard alerts`: who is told, what was told, and whether it would arrive."""

from __future__ import annotations

import logging
import sys
from typing import Annotated, Any

import typer

from riskguard.cli.options import Account, Db, Json
from riskguard.cli.output import ERROR, document, one_line_errors, say, table
from riskguard.errors import SettingsError
from riskguard.home import database_url

app = typer.Typer(help="Alerts: try a channel, list what was told.", no_args_is_help=True)
channels_app = typer.Typer(help="Where alerts go besides the log.", no_args_is_help=True)
app.add_typer(channels_app, name="channels")

INPUT_CHARS_MAX = 16_384


@app.command("test")
@one_line_errors
def test(
    channel: Annotated[str | None, typer.Option("--channel", help="One channel; all when left out.")] = None,
    db: Db = None,
    as_json: Json = False,
) -> None:
    """
    Send one test message over each channel, now and from here, and say what became of it.

    Exit status: 0 every channel took it; 1 one did not, or there is none; 2 no such channel.
    """
    from riskguard.clock import SystemClock
    from riskguard.services.alerts import senders
    from riskguard.services.alerts.channels import LOG, channels
    from riskguard.services.alerts.message import payload
    from riskguard.store.database import open_database

    now_us = SystemClock().now_us()
    with open_database(database_url(db)) as database:
        known = channels(database)
        if channel not in (None, LOG, *(each.name for each in known)):
            names = ", ".join(f"`{each.name}`" for each in known) or "none but `log`"
            raise SettingsError(f"no channel `{str(channel)[:40]}` (known: {names})")
        said = "this is a test: alerts reach you here"
        message = payload(f"test-{now_us}", "GLOBAL", "info", "TEST", said, now_us, test=True)
        found: list[dict[str, Any]] = []
        if channel == LOG:
            logging.basicConfig(stream=sys.stderr)
            logging.getLogger("riskguard").warning("GLOBAL: %s", said)
            found.append({"channel": LOG, "sent": True, "error": ""})
        for each in known:
            if channel in (None, each.name):
                try:
                    senders.send(each, message)
                    found.append({"channel": each.name, "sent": True, "error": ""})
                except senders.NotSentError as e:
                    found.append({"channel": each.name, "sent": False, "error": str(e)})
    if as_json:
        document(found)
    else:
        for done in found:
            say(_line(done))
        if not found:
            say("no channel: alerts reach nobody but the log; `riskguard alerts channels add NAME`")
    if not found or not all(each["sent"] for each in found):
        raise typer.Exit(ERROR)


def _line(done: dict[str, Any]) -> str:
    return f"{done['channel']}: sent" if done["sent"] else f"{done['channel']}: NOT sent: {done['error']}"


@app.command("list")
@one_line_errors
def list_alerts(
    account: Account = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="How many, the newest first.")] = 50,
    db: Db = None,
    as_json: Json = False,
) -> None:
    """
    List alerts, newest first, and what became of each on its channels.

    Exit status: 0 done; 1 error; 2 no such account.
    """
    from riskguard.errors import UnknownAccountError
    from riskguard.services.alerts import records
    from riskguard.services.alerts.message import iso
    from riskguard.store.session import ACCOUNTS, Store

    store = Store(database_url(db))
    with store.session(durable=False, wait_s=records.WAIT_S) as session:
        known = tuple(row[0] for row in session.rows(ACCOUNTS))
        if account is not None and account not in (*known, "GLOBAL"):
            raise UnknownAccountError(account, known)
        found = records.recent(session, account=account, most=limit)
        store.roll_back(session)
    store.close()
    if as_json:
        document(found)
        return
    rows = [
        [
            iso(each["at_us"])[:19].replace("T", " "), each["severity"], each["account"], each["code"],
            each["message"] + (f" (again {each['came_again']} times)" if each["came_again"] else ""),
            ", ".join(_delivery(one) for one in each["deliveries"]) or "log only",
        ]
        for each in found
    ]  # fmt: skip
    table("Alerts", ["IST", "severity", "account", "code", "message", "channels"], rows)


def _delivery(one: dict[str, Any]) -> str:
    word = {"SENT": "sent", "WAITING": "waits", "SENDING": "being sent", "GIVEN_UP": "given up"}[one["state"]]
    part = f" (count {one['part'] - 1})" if one["part"] > 1 else ""
    why = f" after {one['attempts']} attempts: {one['last_error']}" if one["last_error"] else ""
    return f"{one['channel']}{part}: {word}{why}"


@channels_app.command("show")
@one_line_errors
def show(db: Db = None, as_json: Json = False) -> None:
    """
    Show the channels, and whether each can be used. Never a URL.

    Exit status: 0 all can be used; 1 one cannot, or an error.
    """
    from riskguard.services.alerts.channels import LOG, channels
    from riskguard.store.database import open_database

    with open_database(database_url(db)) as database:
        found = channels(database)
    shown: list[dict[str, Any]] = [
        {
            "name": each.name, "kind": each.kind, "reaches": each.service(), "argv": list(each.argv), "least": each.least,
            "timeout_s": each.timeout_ms / 1000, "problem": each.problem,
        }
        for each in found
    ]  # fmt: skip
    shown.insert(
        0,
        {"name": LOG, "kind": LOG, "reaches": "the log of each process", "argv": [], "least": "info", "timeout_s": 0,
         "problem": ""},
    )  # fmt: skip
    if as_json:
        document(shown)
    else:
        rows = [
            [
                each["name"], each["kind"], " ".join(each["argv"]) or each["reaches"] or "—", each["least"],
                f"{each['timeout_s']:g} s" if each["timeout_s"] else "—", each["problem"],
            ]
            for each in shown
        ]  # fmt: skip
        table("Alert channels", ["name", "kind", "reaches", "from", "timeout", "look at"], rows)
    if any(each["problem"] for each in shown):
        raise typer.Exit(ERROR)


@channels_app.command("add")
@one_line_errors
def add(
    name: Annotated[str, typer.Argument(help="What you call it: `phone`, `desk-mail`.")],
    command: Annotated[
        list[str] | None, typer.Argument(help="A program and its words, after `--`; none: a URL is asked for.")
    ] = None,
    least: Annotated[
        str, typer.Option("--from", help="Least severity it is told: info, warning or critical.")
    ] = "info",
    timeout: Annotated[float, typer.Option("--timeout", help="Seconds until what sends is killed.")] = 10.0,
    db: Db = None,
    as_json: Json = False,
) -> None:
    """
    Add a channel, or replace the one of that name. An apprise URL is typed at the prompt or piped in, never an argument.

    A command gets each message as JSON on its standard input, in a clean environment: `… add pager -- /opt/page --loud`.

    Exit status: 0 added; 1 error, nothing was changed; 2 no such channel can be.
    """
    from riskguard.services.alerts import channels, senders
    from riskguard.store.database import open_database

    words = command or []
    if any("://" in word for word in words[:1]):
        # Not echoed: the shell's history and the process list have it already.
        raise SettingsError("a URL is a secret and no argument: leave it out, then type it at the prompt or pipe it in")
    timeout_ms = round(timeout * 1000) if 0 <= timeout <= 3_600 else -1
    url = "" if words else _given(name)
    channels.checked(name, argv=words, url=url, least=least, timeout_ms=timeout_ms)
    if url:
        senders.check_url(url.strip())
    with open_database(database_url(db)) as database:
        made = channels.add(database, name, argv=words, url=url, least=least, timeout_ms=timeout_ms)
    if as_json:
        document({"name": name, "kind": made.kind, "reaches": made.service(), "least": least})
        return
    say(f"channel `{name}` added: {made.service()}; try it with `riskguard alerts test --channel {name}`")


def _given(name: str) -> str:
    """Return the URL that was typed or piped in."""
    if sys.stdin is None:
        return ""
    if sys.stdin.isatty():
        import getpass

        return getpass.getpass(f"Apprise URL of {name}: ")
    return sys.stdin.buffer.read(INPUT_CHARS_MAX).decode("utf-8", "replace").strip()


@channels_app.command("remove")
@one_line_errors
def remove(name: Annotated[str, typer.Argument(help="The channel.")], db: Db = None) -> None:
    """
    Remove a channel and its URL; what waits for it is given up.

    Exit status: 0 removed; 1 error; 2 no such channel.
    """
    from riskguard.services.alerts import channels
    from riskguard.store.database import open_database

    with open_database(database_url(db)) as database:
        channels.remove(database, name)
    say(f"channel `{name}` removed")
