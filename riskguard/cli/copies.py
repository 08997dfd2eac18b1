"""`riskguard copies`: who copies whom, and at what size."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from riskguard.cli.options import Db, Json
from riskguard.cli.output import document, one_line_errors, say, table
from riskguard.errors import SettingsError
from riskguard.home import database_url

app = typer.Typer(help="Copy trading: who copies whom, and at what size.", no_args_is_help=True)


class Sizing(StrEnum):
    """How a copy is sized."""

    CAPITAL_PROPORTIONAL = "capital_proportional"
    FIXED_RATIO = "fixed_ratio"
    RISK_BASED = "risk_based"


@app.command("show")
@one_line_errors
def show(db: Db = None, as_json: Json = False) -> None:
    """
    Show the rule of every follower.

    Exit status: 0 shown; 1 error; 2 a stored rule is malformed.
    """
    from riskguard.store.copy_rules import read_rules
    from riskguard.store.session import Store

    store = Store(database_url(db))
    with store.session(durable=False, wait_s=2.0) as session:
        rules = read_rules(session)
        store.roll_back(session)
    store.close()
    shown = [rule.model_dump(mode="json") for rule in rules]
    if as_json:
        document(shown)
        return
    columns = ["leader", "follower", "sizing", "ratio", "risk_inr", "copy_delay_s", "copy_slippage_pct"]
    table("copies", columns, [[str(each[name] or "—") for name in columns] for each in shown])


@app.command("set")
@one_line_errors
def set_rule(
    leader: Annotated[str, typer.Argument(help="Account that is copied.")],
    follower: Annotated[str, typer.Argument(help="Account that copies; its earlier rule is replaced.")],
    sizing: Annotated[Sizing, typer.Option(help="How a copy is sized.")],
    ratio: Annotated[str | None, typer.Option(help="Follower units per leader unit, for fixed_ratio.")] = None,
    risk_inr: Annotated[str | None, typer.Option(help="Rupees an entry may lose at its stop, for risk_based.")] = None,
    copy_delay_s: Annotated[str, typer.Option(help="An entry older than this is not copied; exits always are.")] = "5",
    copy_slippage_pct: Annotated[
        str, typer.Option(help="An entry the market has left this far behind is not copied.")
    ] = "0.5",
    db: Db = None,
) -> None:
    """
    Say how FOLLOWER copies LEADER. Whole lots, rounded down; below one lot nothing is copied.

    Trading other people's accounts needs registration.

    Exit status: 0 kept; 1 error; 2 malformed, nothing was kept.
    """
    from pydantic import ValidationError

    from riskguard.clock import SystemClock
    from riskguard.core.copying import CopyRule
    from riskguard.core.params import explain
    from riskguard.store.copy_rules import save_rule
    from riskguard.store.session import Store

    try:
        rule = CopyRule.model_validate(
            {
                "leader": leader, "follower": follower, "sizing": sizing.value, "ratio": ratio, "risk_inr": risk_inr,
                "copy_delay_s": copy_delay_s, "copy_slippage_pct": copy_slippage_pct,
            }
        )  # fmt: skip
    except ValidationError as e:
        raise SettingsError(explain(e, tuple(CopyRule.model_fields))) from None
    store = Store(database_url(db))
    with store.session(wait_s=2.0) as session:
        save_rule(session, rule, SystemClock().now_us())
    store.close()
    say(f"`{follower}` copies `{leader}`: {sizing.value}")
