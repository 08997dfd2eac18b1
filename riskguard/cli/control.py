"""`riskguard release`, `exit` and `operator-token`: what only a person does."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from riskguard.cli.operator import VARIABLE, is_operator, new_token, token_file
from riskguard.cli.options import By, Db, Json, Reason
from riskguard.cli.output import REFUSED, document, fail, one_line_errors, say
from riskguard.errors import ReleaseRefusedError, SettingsError
from riskguard.home import database_url

if TYPE_CHECKING:
    from riskguard.admin import Review
    from riskguard.ports import BrokerLock
    from riskguard.services.orders.guard import RiskGuard
    from riskguard.services.settings import DatabaseSettings


@one_line_errors
def release(
    by: By,
    reason: Reason = "",
    account: Annotated[str | None, typer.Argument(help="Account to release.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Release a GLOBAL halt.")] = False,
    only: Annotated[str, typer.Option("--only", help="One stopped part of the account, like `STRATEGY:dip`.")] = "",
    approver: Annotated[str, typer.Option("--approver", help="Second person, for a loss on the same day.")] = "",
    scope: Annotated[str, typer.Option("--scope", help="The scope's name, typed, for a loss on the same day.")] = "",
    unlock_broker: Annotated[
        bool, typer.Option("--unlock-broker", help="Also switch the broker's own kill switch off, last of all.")
    ] = False,
    look: Annotated[bool, typer.Option("--review", help="Only say what it would do; release nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
    db: Db = None,
    as_json: Json = False,
) -> None:
    """
    Release a halt. Never changes the day's baseline: if a loss still stands, the next sweep trips again.

    Says first which scope, which cause, which numbers, what will be allowed again, and what was cancelled and is gone.

    Exit status: 0 released, or reviewed; 1 error; 2 malformed input; 3 a precondition does not hold, still halted.
    """
    from riskguard import admin
    from riskguard.services.wiring import open_guard, settings_of
    from riskguard.store.session import Store

    if (account is None) == (not everything):
        raise SettingsError("name one account, or `--all` for a GLOBAL halt")
    if not reason and not look:
        raise SettingsError('a release wants a reason: `--reason "…"`')
    if only and account is None:
        raise SettingsError("`--only` names a part of one account: give the account too")
    url = database_url(db)
    store = Store(url)
    settings, accounts = settings_of(store)
    if settings.profile != "paper" and not look and not is_operator():
        raise ReleaseRefusedError(f"a release wants a terminal, or the operator token in {VARIABLE}")
    # The book must be fresh to be released on: profiles that sweep by themselves sweep once here.
    guard = open_guard(url)
    try:
        locks = _locks_of(guard, settings, accounts if account is None else (account,))
        how: dict[str, Any] = {
            "approver": approver, "typed_scope": scope, "only": only, "locks": locks, "unlock": unlock_broker,
        }  # fmt: skip
        found = admin.review(guard.store, account, by=by, **how)
        if look:
            _show_review(found, as_json)
            return
        if found.objection:
            raise ReleaseRefusedError(found.objection)
        if sys.stdin.isatty() and not yes:
            _show_review(found, as_json=False)
            if not typer.confirm(f"`{only or found.scope}` becomes {found.returns_to.name}. Release?"):
                fail("not released", REFUSED)
        # The broker's switch goes off in there, last of all: a release that is refused must leave it on.
        done = admin.release(guard.store, account, by=by, reason=reason, **how)
    finally:
        guard.close()
    if as_json:
        document({"scope": done.scope, "state": done.state.name, "kill_ids": list(done.kill_ids)})
        return
    say(done.said)
    if done.state.name == "REDUCE_ONLY":
        say("only orders that reduce a position pass until it is released again")


def _locks_of(guard: RiskGuard, settings: DatabaseSettings, accounts: tuple[str, ...]) -> dict[str, BrokerLock]:
    """Return the broker's own kill switch of each account, where its broker has one."""
    from riskguard.ports import BrokerLock
    from riskguard.services.counting import CountedBroker
    from riskguard.services.wiring import broker_of

    found: dict[str, BrokerLock] = {}
    for account in accounts:
        broker = broker_of(guard, settings, account)
        inner: Any = broker.inner if isinstance(broker, CountedBroker) else broker
        if isinstance(inner, BrokerLock):
            found[account] = inner
    return found


def _show_review(found: Review, as_json: bool) -> None:
    if as_json:
        document(asdict(found) | {"family": found.family.name, "returns_to": found.returns_to.name})
        return
    say(f"{found.scope}: stopped by {found.family.name.lower()}")
    for title, lines in (("why", found.causes), ("numbers", found.numbers), ("done by the kill", found.gone)):
        for line in lines:
            say(f"  {title}: {line}")
    say(f"  after a release: {found.returns_to.name}: {found.allows}")
    if found.objection:
        say(f"  not now: {found.objection}")


@one_line_errors
def exit_positions(
    account: Annotated[str, typer.Argument(help="Account whose positions are closed.")],
    by: By,
    reason: Reason,
    security: Annotated[str | None, typer.Option("--security", help="Only this security id.")] = None,
    db: Db = None,
    as_json: Json = False,
) -> None:
    """
    Let a person close positions of an account, also while it is halted. Each exit is verified as reducing.

    Exit status: 0 every exit was placed, or nothing was open; 1 error; 2 malformed input; 3 an exit was refused.
    """
    from riskguard.services.orders.exits import exit_all
    from riskguard.services.wiring import broker_of, open_guard, settings_of

    guard = open_guard(database_url(db))
    try:
        settings, accounts = settings_of(guard.store)
        if account not in accounts:
            from riskguard.errors import UnknownAccountError

            raise UnknownAccountError(account, accounts)
        found = exit_all(guard, account, broker_of(guard, settings, account), by=by, reason=reason, security=security)
    finally:
        guard.close()
    if as_json:
        document(found)
    else:
        for each in found:
            say(f"{each['instrument']} {each['product']}: {each['side']} {each['quantity']}: {each['outcome']}")
        if not found:
            say("nothing is open")
    if any(not each["placed"] for each in found):
        raise typer.Exit(REFUSED)


@one_line_errors
def operator_token() -> None:
    """
    Make an operator token: for programs that may flatten or release without a terminal. It is shown once.

    Exit status: 0 made; 1 error.
    """
    if not sys.stdin.isatty() and token_file().exists():
        fail("a new operator token wants a terminal: one is set already", REFUSED)
    say(new_token())
    say(f"put it into the environment as {VARIABLE}; only its hash is kept, in {token_file()}")
