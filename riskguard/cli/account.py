"""`riskguard init`, `status` and `baseline`: accounts, from their first row to how they stand."""

from __future__ import annotations

from typing import Annotated, Any, get_args

import typer

from riskguard.cli.options import By, Db, Json, Reason
from riskguard.cli.output import document, one_line_errors, say, table
from riskguard.errors import SettingsError
from riskguard.home import database_url

baseline_app = typer.Typer(help="Where an account's day began.", no_args_is_help=True)


@one_line_errors
def init(
    db: Db = None,
    profile: Annotated[str, typer.Option(help="paper, library or dhan (not served yet).")] = "paper",
    account: Annotated[str, typer.Option(help="Name of the account.")] = "leader",
    role: Annotated[str, typer.Option(help="leader, follower, or a word of your own.")] = "leader",
    group: Annotated[str, typer.Option(help="Group whose limits it shares.")] = "",
    rulebook: Annotated[str, typer.Option(help="A shipped rulebook by name, or a TOML file.")] = "default",
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
    if profile == "dhan":
        raise SettingsError(
            "`--profile dhan` is not served by this version; use `library` and push positions and fills"
        )
    made = initialise(
        database_url(db), profile=profile, account=account, role=role, group=group, rulebook=rulebook  # type: ignore[arg-type]
    )  # fmt: skip
    if as_json:
        document({"database": made.url, "account": made.account, "created": made.created, "limits": made.limits})
        return
    say(f"{'created' if made.created else 'opened'} {made.url} (profile {made.profile})")
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


def _show(each: dict[str, Any]) -> None:
    say(f"\n{each['account']} ({each['role']}): {each['state']}")
    for cause in each["causes"]:
        detail = f": {cause['detail']}" if cause["detail"] else ""
        say(f"  {cause['scope']} {cause['state']} ({cause['code']}, by {cause['by'] or 'unknown'}){detail}")
    pnl = "unknown" if each["day_pnl"] is None else f"₹{each['day_pnl']}"
    against = f" of a daily loss limit of ₹{each['daily_loss_limit']}" if each["daily_loss_limit"] else ""
    note = f" ({each['day_pnl_detail']})" if each["day_pnl_detail"] else ""
    say(f"  day P&L {pnl}{against}{note}")
    last = each["last_reading"]
    if each["day_pnl"] is None and last is not None and last["day_pnl"] is not None:
        say(f"  last watched on {last['session_date']}: day P&L ₹{last['day_pnl']}")
    say(f"  last sweep {_ago(each['sweep_age_ms'])}, positions {_ago(each['positions_age_ms'])}")
    say(f"  {each['limits']} limits, {each['permits_live']} live permits, {each['permits_in_doubt']} in doubt")
    for run in each["kill_runs"]:
        say(f"  kill run {run['id']} ({run['plan']}): {run['state']} at {run['step']}: {run['detail']}")
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
    Say what the day had lost before riskguard watched. It may only lower the figure, and only once a day.

    Exit status: 0 done; 1 error; 2 malformed input, or a baseline stands.
    """
    from riskguard import admin
    from riskguard.store.session import Store

    lowered_e4 = admin.set_baseline(Store(database_url(db)), account, day_pnl=day_pnl, by=by, reason=reason)
    say(f"`{account}` begins the day at ₹{lowered_e4 / 10_000:.2f}")
