"""`riskguard init`, `status` and `baseline`: accounts, from their first row to how they stand."""

from __future__ import annotations

from typing import Annotated, Any, get_args

import typer

from riskguard.cli.options import By, Db, Json, Reason
from riskguard.cli.output import document, one_line_errors, say, table
from riskguard.core.money import rupees, to_e4
from riskguard.errors import SettingsError
from riskguard.home import database_url

baseline_app = typer.Typer(help="Where an account's day began.", no_args_is_help=True)


@one_line_errors
def init(
    db: Db = None,
    profile: Annotated[str, typer.Option(help="paper, library or dhan.")] = "paper",
    account: Annotated[str, typer.Option(help="Name of the account.")] = "leader",
    role: Annotated[str, typer.Option(help="leader, follower, or a word of your own.")] = "leader",
    group: Annotated[str, typer.Option(help="Group whose limits it shares.")] = "",
    rulebook: Annotated[str, typer.Option(help="A shipped rulebook by name, or a TOML file.")] = "default",
    client_id: Annotated[
        str, typer.Option("--client-id", help="Dhan's number of the account; without it the token says it.")
    ] = "",
    base_url: Annotated[
        str, typer.Option("--base-url", help="Instead of Dhan: its sandbox, or what `riskguard sandbox` says.")
    ] = "",
    as_json: Json = False,
) -> None:
    """
    Create a database with one account, its limits and its kill switch; or add an account to one that stands.

    Exit status: 0 done; 1 error; 2 malformed input, or the account is there already.
    """
    from riskguard.services.settings import Profile
    from riskguard.services.setup import initialise

    if profile not in get_args(Profile):
        raise SettingsError(f"`--profile {profile}`: wants one of {', '.join(get_args(Profile))}")
    made = initialise(
        database_url(db), profile=profile, account=account, role=role, group=group, rulebook=rulebook,  # type: ignore[arg-type]
        client_id=client_id, base_url=base_url,
    )  # fmt: skip
    if as_json:
        document({"database": made.url, "account": made.account, "created": made.created, "limits": made.limits,
                  "lost": [str(each) for each in made.lost]})  # fmt: skip
        return
    say(f"{'created' if made.created else 'opened'} {made.url} (profile {made.profile})")
    for each in made.lost:
        say(f"halted: `{each}` was lost, and only `riskguard release --all` brings it back")
    if not made.limits:
        say(f"account `{made.account}` stands as it is; this host joined")
        return
    say(f"account `{made.account}` with {made.limits} limits from `{rulebook}`; see them with `riskguard limits show`")


@one_line_errors
def status(db: Db = None, as_json: Json = False) -> None:
    """
    Show how every account stands: state and cause, day P&L, positions, who watches.

    Exit status: 0 shown; 1 error.
    """
    from riskguard.clock import SystemClock
    from riskguard.services import overview
    from riskguard.store.session import Store

    found = overview.status(Store(database_url(db)), SystemClock())
    if as_json:
        document(found)
        return
    say(f"{found['database']} (profile {found['profile']})")
    markets = found["markets"]
    trading = [each["segment"] for each in markets if each["open"]]
    doubt = "" if all(each["known"] for each in markets) else " (beyond the calendar's horizon: taken as open)"
    say(f"trading now: {', '.join(trading) or 'no market'}{doubt}")
    for each in found["accounts"]:
        _show(each)


def _inr(text: str | None) -> str:
    """Return an amount as every other command shows it, `-₹1,650.00`; what is not known is a word."""
    return "unknown" if text is None else rupees(to_e4(text))


def _show(each: dict[str, Any]) -> None:
    say(f"\n{each['account']} ({each['role']}): {each['state']}")
    for cause in each["causes"]:
        detail = f": {cause['detail']}" if cause["detail"] else ""
        say(f"  {cause['scope']} {cause['state']} ({cause['code']}, by {cause['by'] or 'unknown'}){detail}")
    pnl = _inr(each["day_pnl"])
    against = f" of a daily loss limit of {_inr(each['daily_loss_limit'])}" if each["daily_loss_limit"] else ""
    note = f" ({each['day_pnl_detail']})" if each["day_pnl_detail"] else ""
    say(f"  day P&L {pnl}{against}{note}")
    last = each["last_reading"]
    if each["day_pnl"] is None and last is not None and last["day_pnl"] is not None:
        say(f"  last watched on {last['session_date']}: day P&L {_inr(last['day_pnl'])}")
    say(f"  last sweep {_ago(each['sweep_age_ms'])}, positions {_ago(each['positions_age_ms'])}")
    say(f"  {each['limits']} limits, {each['permits_live']} live permits, {each['permits_in_doubt']} in doubt")
    for run in each["kill_runs"]:
        what = "kill run" if run["halts"] else f"task on {run['scope']}"
        why = f" ({run['blocked_by']})" if run["blocked_by"] else ""
        say(f"  {what} {run['id']} ({run['plan']}): {run['state']}{why} at {run['step']}: {run['detail']}")
    if each["backstop"]:
        stop = each["backstop"]
        say(f"  the broker's own exit at a loss: {stop['state']} at ₹{stop['loss']} {stop['detail']}".rstrip())
    if each["positions"]:
        table(
            "",
            ["instrument", "product", "net", "working buy", "working sell"],
            [
                [f"{p['exchange_segment']}:{p['security_id']}", p["product"], str(p["net"]), str(p["working_buy"]),
                 str(p["working_sell"])]
                for p in each["positions"]
            ],
        )  # fmt: skip


def _ago(age_ms: int | None) -> str:
    return "never" if age_ms is None else f"{age_ms / 1000:.1f} s ago"


@baseline_app.command("set")
@one_line_errors
def baseline_set(
    account: Annotated[str, typer.Argument(help="The account.")],
    day_pnl: Annotated[str, typer.Option("--day-pnl", help="Rupees made so far today, 0 or less.")],
    by: By,
    reason: Reason,
    db: Db = None,
) -> None:
    """
    Say what the day made or lost where nothing else can know it. It may only lower the figure.

    A first start in mid-session that cannot be rebuilt, or a carried position without a previous close, makes the day
    unknown until somebody says this; from then on what is held counts from its mark of now.

    Exit status: 0 done; 1 error; 2 malformed input, or the figure is not below what is known.
    """
    from riskguard import admin
    from riskguard.store.session import Store

    lowered_e4 = admin.set_baseline(Store(database_url(db)), account, day_pnl=day_pnl, by=by, reason=reason)
    say(f"`{account}` stands at {rupees(lowered_e4)} for the day")


@baseline_app.command("show")
@one_line_errors
def baseline_show(
    account: Annotated[str, typer.Argument(help="The account.")],
    db: Db = None,
    as_json: Json = False,
) -> None:
    """
    Show where the account's day began: by whom it was written, equity, what was carried in and at which close.

    Exit status: 0 shown; 1 error; 2 no such account.
    """
    from riskguard.clock import SystemClock
    from riskguard.errors import UnknownAccountError
    from riskguard.services import baseline
    from riskguard.store.session import ACCOUNTS, Store

    with Store(database_url(db)).session(durable=False, wait_s=2.0) as session:
        known = tuple(row[0] for row in session.rows(ACCOUNTS))
        if account not in known:
            raise UnknownAccountError(account, known)
        found = baseline.show(session, account, SystemClock().now_us())
    if as_json:
        document(found)
        return
    if found["source"] is None:
        say(f"`{account}` has no baseline for {found['session_date']}: the day's P&L is unknown")
    else:
        equity = _inr(found["opening_equity"])
        say(f"`{account}` on {found['session_date']}: {found['source']}, equity at the start {equity}")
        put_right, flows = _inr(found["adjustment"]), _inr(found["cash_flows"])
        say(f"  put right by a person: {put_right}; deposits less payouts today: {flows}")
    if found["carried"]:
        table(
            "",
            ["instrument", "product", "carried", "previous close", "broker agrees"],
            [
                [f"{each['exchange_segment']}:{each['security_id']}", each["product"], str(each["carried"]),
                 each["previous_close"] or "unknown", "yes" if each["broker_agrees"] else "not proven"]
                for each in found["carried"]
            ],
        )  # fmt: skip
