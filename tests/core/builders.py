"""The usual order, instrument, book and account of a test; a test names only what it is about."""

from __future__ import annotations

from typing import Any

from riskguard.core.account import Account, PnlReading
from riskguard.core.book import Line, Working
from riskguard.core.facts import Facts
from riskguard.core.instrument import Instrument
from riskguard.core.limits import Check, Limit, LimitSet, limit_from
from riskguard.core.money import to_e4
from riskguard.core.order import Order
from riskguard.core.quote import Quote
from riskguard.core.reject import Reject
from riskguard.core.scope import Scope
from riskguard.core.state import Cause, TradingState

SECOND = 1_000_000
NOW = 1_717_472_700 * SECOND  # 2024-06-04 09:15 in India
SHARE = Instrument("NSE_EQ", "1333", "HDFCBANK")
FUTURE = Instrument("NSE_FNO", "35001", "NIFTY-FUT", "FUTIDX", lot_size=25, underlying="NIFTY", expiry="2024-06-27")


def option(security_id: str = "50001", *, expiry: str = "2024-06-27", kind: str = "CE", **more: Any) -> Instrument:
    """A NIFTY option of lot 25."""
    more = {"lot_size": 25, "underlying": "NIFTY", **more}
    return Instrument(
        "NSE_FNO", security_id, f"NIFTY-{kind}-{security_id}", "OPTIDX", expiry=expiry, option_type=kind, **more
    )


def order(side: str = "BUY", quantity: int = 10, price: str | None = "100", **changes: Any) -> Order:
    """A LIMIT order of the share, intraday; MARKET when *price* is None and no type is named."""
    fields: dict[str, Any] = {
        "account": "leader",
        "exchange_segment": "NSE_EQ",
        "security_id": "1333",
        "side": side,
        "product": "INTRADAY",
        "order_type": "MARKET" if price is None else "LIMIT",
        "quantity": quantity,
        "price": price,
    }
    return Order(**{**fields, **changes})


def order_of(
    instrument: Instrument, side: str = "BUY", quantity: int = 25, price: str | None = "100", **changes: Any
) -> Order:
    """The same in another instrument."""
    return order(
        side,
        quantity,
        price,
        exchange_segment=instrument.exchange_segment,
        security_id=instrument.security_id,
        **changes,
    )


def quote(bid: str | None, ltp: str | None, ask: str | None, age_s: int = 0) -> Quote:
    return Quote.of(bid=bid, ltp=ltp, ask=ask, at_us=NOW - age_s * SECOND)


def line(
    net: int = 0,
    *,
    product: str = "INTRADAY",
    seen: int | None = None,
    buys: int = 0,
    sells: int = 0,
    working: tuple[Working, ...] = (),
    **more: Any,
) -> Line:
    """A settled line of *net* units, unless *seen* says the broker shows something else."""
    made = Line(product, start=net, seen=net if seen is None else seen, seen_us=NOW, **more)
    for sign, remaining in ((1, buys), (-1, sells)):
        if remaining:
            made.working[f"w{sign}"] = Working(f"w{sign}", sign, remaining, reducing=False)
    for each in working:
        made.working[each.key] = each
    return made.refresh()


def account(
    *lines: Line,
    instrument: Instrument = SHARE,
    others: tuple[tuple[Instrument, Line], ...] = (),
    quoted: Quote | None = None,
    limits: LimitSet | None = None,
    causes: tuple[Cause, ...] = (),
    known: bool = True,
    **more: Any,
) -> Account:
    """An account whose book is fresh, whose sweep has just finished and that has lost nothing."""
    made = Account("leader", "2024-06-04", causes=causes)
    made.instruments = {each.key: each for each in (SHARE, FUTURE, instrument, *(each for each, _ in others))}
    for each in lines:
        made.positions.setdefault(instrument.key, {})[each.product] = each
    for other, each in others:
        made.positions.setdefault(other.key, {})[each.product] = each
    if quoted is not None:
        made.quotes[instrument.key] = quoted
    if limits is not None:
        made.limits = limits
    made.position_seen_us = NOW if known else None
    made.sweep_at_us, made.sweep_interval_us = NOW, SECOND
    made.pnl = PnlReading(0, NOW, fresh_marks=True)
    for name, value in more.items():
        setattr(made, name, value)
    made.settle_state()
    return made


def facts(asked: Order, of: Account | None = None, emergency_by: str = "") -> Facts:
    return Facts.of(asked, account() if of is None else of, NOW, emergency_by)


def ask(
    check: Check, asked: Order, of: Account | None = None, emergency_by: str = "", scope: str = "ACCOUNT:leader",
    **parameters: Any,
) -> Reject | None:  # fmt: skip
    """Put one order to one check, as a limit of *scope* would."""
    params = check.params.read(parameters, where="the test")
    return check.question(Scope.parse(scope), params)(facts(asked, of, emergency_by), params)


def code(reject: Reject | None) -> str:
    """Return the code, `-` for no objection."""
    return "-" if reject is None else reject.code.value


def limit(check: str, id: str | None = None, scope: str = "ACCOUNT:leader", **rest: Any) -> Limit:
    """A limit of *check*; what is no attribute of a limit is a parameter."""
    known = ("on_breach", "mode", "plan", "row_id", "acknowledged_by", "acknowledged_until")
    attributes = {name: rest.pop(name) for name in known if name in rest}
    return limit_from(id=id or check, check=check, parameters=rest, scope=scope, **attributes)


LOSS: dict[str, Any] = {"warn_at_pct": [80], "reduce_only_at_pct": 80, "at_once_pct": 150}
WINDOW = {"messages_max": 10, "reserve": 3, "per_s": 1}


def mandatory(**replaced: Limit | None) -> list[Limit]:
    """Every mandatory limit, generous; `order_value=None` leaves one out, a limit takes its place."""
    made: dict[str, Limit | None] = {
        "trading_state": limit("trading_state"),
        "order_validity": limit("order_validity"),
        "data_freshness": limit("data_freshness", snapshot_age_s_max=60),
        "sweep_heartbeat": limit("sweep_heartbeat", intervals_max=3),
        "daily_loss": limit("daily_loss", daily_loss_inr_max="5000", **LOSS),
        "order_value": limit("order_value", order_value_inr_max="100000"),
        "unconfirmed_in_flight": limit("unconfirmed_in_flight", answer_s_max=5),
        "repeated_execution": limit("repeated_execution", trip_at_fills=50, trip_at_refusals=50, per_s=60),
        "order_rate": limit("order_rate", windows=[WINDOW]),
        "reconciliation": limit("reconciliation", reads_max=2, halt_after_s=60),
    }
    made |= replaced
    return [each for each in made.values() if each is not None]


def halted(scope: str = "ACCOUNT:leader", state: TradingState = TradingState.HALTED) -> Cause:
    return Cause(scope, state, "MANUAL", "fat finger", "desk", NOW)


def inr(text: str) -> int:
    return to_e4(text)
