"""`riskguard check`, `violations` and `explain`: one order asked, what was refused, and why."""

from __future__ import annotations

import datetime as dt
import json
import sys
from typing import Annotated, Any

import typer

from riskguard.cli.options import Account, Db, Json
from riskguard.cli.output import ERROR, REFUSED, document, fail, one_line_errors, say, table
from riskguard.core.money import rupees, to_e4
from riskguard.errors import OrderInvalidError, SettingsError
from riskguard.home import database_url

STDIN_BYTES_MAX = 65_536


@one_line_errors
def check(
    source: Annotated[str, typer.Argument(help="`-` reads the order as JSON from standard input.")] = "",
    db: Db = None,
    account: Annotated[str, typer.Option("--account", help="Account that would trade.")] = "leader",
    segment: Annotated[str, typer.Option("--segment", help="NSE_EQ, NSE_FNO, BSE_EQ, BSE_FNO, MCX_COMM …")] = "",
    security: Annotated[str, typer.Option("--security", help="Security id within the segment.")] = "",
    side: Annotated[str, typer.Option("--side", help="BUY or SELL.")] = "",
    product: Annotated[str, typer.Option("--product", help="CNC, INTRADAY, MARGIN, MTF.")] = "INTRADAY",
    order_type: Annotated[str, typer.Option("--type", help="LIMIT, MARKET, STOP_LOSS, STOP_LOSS_MARKET.")] = "LIMIT",
    quantity: Annotated[str, typer.Option("--qty", help="Quantity in the broker's unit.")] = "",
    price: Annotated[str | None, typer.Option("--price", help="Limit price, rupees.")] = None,
    trigger: Annotated[str | None, typer.Option("--trigger", help="Trigger price, rupees.")] = None,
    client_order_id: Annotated[
        str | None, typer.Option("--id", help="Client order id; one is made if left out.")
    ] = None,
    strategy: Annotated[str, typer.Option("--strategy", help="Name it is counted under.")] = "",
    as_json: Json = False,
) -> None:
    """
    Ask whether an order may be sent. An approval reserves what it needs for ten seconds.

    Exit status: 0 approved; 1 error or unknown outcome; 2 malformed input; 3 refused.
    """
    from riskguard.core.order import Order
    from riskguard.services.orders.guard import RiskGuard

    if source == "-":
        order = Order.from_mapping(_stdin())
    elif source:
        raise SettingsError(f"`{source[:40]}`: give options, or `-` for JSON on standard input")
    else:
        fields = {
            "account": account, "exchange_segment": segment, "security_id": security, "side": side, "product": product,
            "order_type": order_type, "quantity": _whole(quantity), "price": price, "trigger_price": trigger,
            "client_order_id": client_order_id, "strategy": strategy,
        }  # fmt: skip
        order = Order.from_mapping(fields)
    with RiskGuard.open(database_url(db)) as guard:
        decision = guard.check(order)
    if as_json or source == "-":
        document(decision.as_dict())
    elif decision.approved:
        say(f"APPROVED {decision.client_order_id} ({decision.direction})")
        if decision.adjusted_to is not None:
            say(f"adjusted to {decision.adjusted_to!r}")
    else:
        say(f"REFUSED {decision.client_order_id}{'' if decision.recorded else ' (not recorded yet)'}")
        for reject in decision.rejects:
            say(f"  {reject.code.value}: {reject.message}")
    if not decision.approved:
        raise typer.Exit(REFUSED)


def _stdin() -> dict[str, Any]:
    raw = sys.stdin.buffer.read(STDIN_BYTES_MAX + 1)
    if len(raw) > STDIN_BYTES_MAX:
        raise OrderInvalidError("order", "…", f"standard input is longer than {STDIN_BYTES_MAX} bytes")
    try:
        # Numbers stay text: a price must not pass through binary floating point on its way in.
        read = json.loads(raw.decode(), parse_float=str, parse_constant=str)
    except (ValueError, RecursionError) as e:
        raise OrderInvalidError("order", raw[:40], f"is not JSON: {e}") from None
    if not isinstance(read, dict):
        raise OrderInvalidError("order", type(read).__name__, "wants a JSON object of named fields")
    return read


def _whole(text: str) -> object:
    """A number typed as a whole one; anything else goes on as it is, for `Order` to refuse by name."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else text


@one_line_errors
def violations(
    db: Db = None,
    account: Account = None,
    since: Annotated[
        str, typer.Option("--since", help="today, all, a date (2026-08-03), or a span like 90m, 24h, 7d.")
    ] = "24h",
    most: Annotated[int, typer.Option("--most", min=1, max=10_000, help="At most this many, newest first.")] = 50,
    as_json: Json = False,
) -> None:
    """
    Show what was refused or breached, newest first.

    Exit status: 0 shown; 1 error; 2 malformed input.
    """
    from riskguard.clock import SystemClock
    from riskguard.services import overview
    from riskguard.store.session import Store

    since_s = _since(since, SystemClock().now_us() // 1_000_000)
    found = overview.violations(Store(database_url(db)), account=account, since_s=since_s, most=most)
    if as_json:
        document(found)
        return
    rows = [
        [
            dt.datetime.fromtimestamp(each["violated_at"], _IST).strftime("%m-%d %H:%M:%S"), each["account_type"],
            each["code"] or each["violation_type"], each["limit_id"] or "", _number(each["measured"], each["unit"]),
            _number(each["limit_text"], each["unit"]), each["action_taken"] or "", each["client_order_id"] or "",
        ]
        for each in found
    ]  # fmt: skip
    columns = ["when (IST)", "account", "code", "limit", "measured", "allowed", "action", "client order id"]
    table(f"{len(rows)} violations", columns, rows)


_IST = dt.timezone(dt.timedelta(hours=5, minutes=30))


def _number(text: str | None, unit: str | None) -> str:
    if text is None:
        return "—"
    return rupees(to_e4(text)) if unit == "inr" else f"{text} {unit or ''}".strip()


def _since(text: str, now_s: int) -> int:
    if text == "all":
        return 0
    if text == "today":
        return (now_s + 19_800) // 86_400 * 86_400 - 19_800
    if text.isascii() and text[:-1].isdigit() and len(text) < 9 and text[-1] in "mhd":
        return now_s - int(text[:-1]) * {"m": 60, "h": 3600, "d": 86_400}[text[-1]]
    try:
        day = dt.date.fromisoformat(text)
    except ValueError:
        raise SettingsError(f"`--since {text[:20]}`: wants today, all, a date, or a span like 24h") from None
    return int(dt.datetime.combine(day, dt.time(), _IST).timestamp())


@one_line_errors
def explain(
    client_order_id: Annotated[str, typer.Argument(help="The client order id that was asked about.")],
    db: Db = None,
    account: Account = None,
    as_json: Json = False,
) -> None:
    """
    Explain one decision: the facts it read, each refusal with its limit, and what became of its permit.

    Exit status: 0 shown; 1 nobody asked about that id, or error.
    """
    from riskguard.services import overview
    from riskguard.store.session import Store

    found = overview.explain(Store(database_url(db)), client_order_id, account)
    if as_json:
        document(found)
    if not found:
        fail(f"nobody asked about `{client_order_id}` here; see `riskguard violations`", ERROR)
    if as_json:
        return
    for each in found:
        verdict = "approved" if each["approved"] else "REFUSED"
        when = dt.datetime.fromtimestamp(each["decided_at_us"] / 1_000_000, _IST).strftime("%Y-%m-%d %H:%M:%S.%f")
        say(
            f"{each['account']} {client_order_id}: {verdict} as {each['direction']} at {when} IST, decision {each['sequence']}"
        )
        order = each["order"]
        at = f" at {order['price']}" if order["price"] else ""
        say(
            f"  {order['side']} {order['quantity']} {order['exchange_segment']}:{order['security_id']} "
            f"{order['product']} {order['order_type']}{at}"
        )
        for reject in each["rejects"]:
            say(f"  {reject['code']}: {reject['message']}")
        if each["permit"] is not None:
            permit = each["permit"]
            say(f"  permit {permit['state']}, filled {permit['filled']}, broker order {permit['order_id'] or '—'}")
        facts = each["facts"]
        if facts is not None:
            say(
                f"  book then: net {facts['net_near']}, working buy {facts['buying']}, working sell {facts['selling']}; "
                f"limits {each['limits_digest'][:12]}; replay {'agrees' if each['replay_agrees'] else 'DISAGREES'}"
            )
