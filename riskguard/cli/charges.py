"""`riskguard charges`: what trading costs, component by component."""

from __future__ import annotations

from datetime import date as Date
from typing import Annotated

import typer

from riskguard.cli.options import Db, Json
from riskguard.cli.output import document, one_line_errors, say, table
from riskguard.errors import SettingsError
from riskguard.home import database_url

app = typer.Typer(
    help="What trading costs: brokerage, exchange, SEBI, IPFT, STT, stamp duty, GST.", no_args_is_help=True
)


@app.command("explain")
@one_line_errors
def explain(
    account: Annotated[str | None, typer.Option("--account", help="Explain its stored fills.")] = None,
    day: Annotated[str | None, typer.Option("--date", help="Session date, YYYY-MM-DD; today when left out.")] = None,
    order: Annotated[str, typer.Option("--order", help="Only this order of the account, by the broker's id.")] = "",
    instrument: Annotated[
        str | None, typer.Option("--instrument", help="An order nobody sent: SEGMENT:SECURITY, as NSE_FNO:43123.")
    ] = None,
    product: Annotated[str, typer.Option("--product", help="CNC, INTRADAY, MARGIN, MTF.")] = "INTRADAY",
    side: Annotated[str, typer.Option("--side", help="BUY or SELL.")] = "BUY",
    quantity: Annotated[int, typer.Option("--quantity", help="In the broker's unit.")] = 0,
    price: Annotated[str, typer.Option("--price", help="Rupees a unit; of an option its premium.")] = "",
    kind: Annotated[
        str, typer.Option("--kind", help="EQUITY, FUTIDX, OPTSTK, …: for an instrument that is not in the database.")
    ] = "",
    db: Db = None,
    as_json: Json = False,
) -> None:
    """
    Show every component of a day's charges, or of one order's: base, rate, amount, rounding, source, confidence.

    With --account the stored fills of a session, or one order of them; with --instrument an order that is only thought
    of, as if it were the day's only one. Charges are rounded once a segment and day: single orders do not add up to it.

    Exit status: 0 shown; 1 error; 2 malformed input, or no fill to explain.
    """
    from riskguard.clock import SystemClock
    from riskguard.services import charges_explained
    from riskguard.services.sweeps.charging import charge_table
    from riskguard.store import loader
    from riskguard.store.session import Store

    if (account is None) == (instrument is None):
        raise SettingsError("say `--account NAME` for stored fills, or `--instrument SEGMENT:SECURITY` for an order")
    asked = day or loader.session_date(SystemClock().now_us())
    if account is not None:
        found = charges_explained.of_day(Store(database_url(db)), account, asked, order)
    else:
        segment, _, security_id = (instrument or "").partition(":")
        found = charges_explained.of_order(
            # With the kind said nothing is looked up, so that no database is needed.
            None if kind else Store(database_url(db)), date=asked, segment=segment, security_id=security_id,
            product=product, side=side, quantity=quantity, price=price, kind=kind,
        )  # fmt: skip
    said = charges_explained.as_document(found)
    if as_json:
        document(said)
        return
    until = charge_table().complete_until
    say(f"{said['of']} of {said['account'] or 'nobody'} on {asked}: {said['fills']} fill(s), ₹{said['total']}")
    table(
        "",
        ["segment", "component", "of", "side", "base", "rate", "amount", "rounding", "since", "source", "confidence"],
        [
            [
                each["segment"], each["component"] + (f" ({each['order']})" if each["order"] else ""), each["instrument"],
                each["side"], each["base_value"], each["rate"], each["amount"], each["rounding"],
                each["effective_from"] + (" (stands in)" if each["stands_in"] else ""), each["source"],
                each["confidence"],
            ]
            for each in said["components"]
        ],
    )  # fmt: skip
    for segment in said["segments"]:
        parts = ", ".join(f"{name} {value}" for name, value in segment["lines"].items() if value != "0.00")
        say(f"{segment['segment']}: {parts}: together {segment['total']}")
    if said["marginal"] is not None:
        say(f"it adds ₹{said['marginal']} to the day's charges")
    if said["pending_dp"] != "0.00":
        say(f"the ledger will show ₹{said['pending_dp']} more tomorrow: depository charges of delivery sales")
    for each in said["unknown"]:
        say(f"not known: {each}")
    for each in said["uncertain"]:
        say(f"uncertain: {each}")
    if until is not None and Date.fromisoformat(asked) > until:
        say(f"the table of charges is good until {until}: upgrade riskguard, or bring your own")
