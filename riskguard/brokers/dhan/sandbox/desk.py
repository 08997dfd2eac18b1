"""
One account at the local Dhan server: its market, its standing instructions, its switches and its token.

Every rule that the real service is known to have, and that a guard must live with, is kept here.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from riskguard.brokers.dhan.sandbox.exchange import LIVE, MILLION, Exchange, Placed
from riskguard.brokers.dhan.sandbox.scenario import Scenario
from riskguard.core.money import to_e4
from riskguard.core.quote import Quote

IST: Final = dt.timezone(dt.timedelta(hours=5, minutes=30))
MODIFICATIONS_MAX: Final = 25


class RefusedByDhan(Exception):
    """What the server answers instead: Dhan's documented shape of an error."""

    def __init__(self, status: int, kind: str, code: str, message: str) -> None:
        self.status, self.kind, self.code, self.message = status, kind, code, message
        super().__init__(message)


def bad_input(message: str = "Missing required fields, bad values for parameters etc.") -> RefusedByDhan:
    return RefusedByDhan(400, "Input_Exception", "DH-905", message)


def bad_order(message: str, status: int = 400) -> RefusedByDhan:
    return RefusedByDhan(status, "Order_Error", "DH-906", message)


@dataclass(slots=True)
class Forever:
    """A standing order: one leg, or two of which the first to fire ends the other."""

    order_id: str
    correlation_id: str
    flag: str
    segment: str
    security_id: str
    side: str
    product: str
    order_type: str
    validity: str
    legs: list[tuple[str, int, int, int]]  # name, quantity, price, trigger
    created_us: int
    status: str = "CONFIRM"
    above: list[bool] = field(default_factory=list)  # whether each leg fires when the price rises to its trigger


@dataclass(slots=True)
class Alert:
    """A condition and the orders it places."""

    alert_id: str
    condition: dict[str, Any]
    orders: list[dict[str, Any]]
    created_us: int
    status: str = "ACTIVE"
    triggered_us: int | None = None
    last_e4: int | None = None


@dataclass(slots=True)
class Position:
    """One line of the position list, in units and 1/10000 rupee."""

    segment: str
    security_id: str
    product: str
    symbol: str = "SAMPLECO"
    carried: int = 0
    carried_price_e4: int = 0
    bought: int = 0
    bought_e4: int = 0
    sold: int = 0
    sold_e4: int = 0

    @property
    def net(self) -> int:
        return self.carried + self.bought - self.sold

    def sides(self) -> tuple[int, int, int, int]:
        """Return units and value bought, units and value sold, what was carried in included."""
        buy, buy_e4, sell, sell_e4 = self.bought, self.bought_e4, self.sold, self.sold_e4
        if self.carried > 0:
            buy, buy_e4 = buy + self.carried, buy_e4 + self.carried * self.carried_price_e4
        else:
            sell, sell_e4 = sell - self.carried, sell_e4 - self.carried * self.carried_price_e4
        return buy, buy_e4, sell, sell_e4

    def realised_e4(self) -> int:
        buy, buy_e4, sell, sell_e4 = self.sides()
        closed = min(buy, sell)
        return 0 if not closed else round(closed * (sell_e4 / sell - buy_e4 / buy))

    def unrealised_e4(self, last_e4: int | None) -> int:
        buy, buy_e4, sell, sell_e4 = self.sides()
        if not self.net or last_e4 is None:
            return 0
        average = buy_e4 / buy if self.net > 0 else sell_e4 / sell
        return round(self.net * (last_e4 - average))


class Desk:
    """The account. Not locked: the server holds its own lock around every call."""

    def __init__(self, scenario: Scenario, now_us: Callable[[], int], told: Callable[[Placed], None]) -> None:
        self.scenario, self.now_us = scenario, now_us
        self.exchange = Exchange(scenario, now_us, told)
        self.forevers: dict[str, Forever] = {}
        self.alerts: dict[str, Alert] = {}
        self.kill_on = False
        self.pnl_exit: dict[str, Any] | None = None
        self.token, self.token_until_us = scenario.token, self._life()
        self.ip = {"primaryIP": "10.200.10.10", "secondaryIP": "", "modifyDatePrimary": "", "modifyDateSecondary": ""}
        self.carried = {
            (each.segment, each.security_id, each.product): Position(
                each.segment, each.security_id, each.product, each.symbol, each.quantity, to_e4(each.price)
            )
            for each in scenario.positions
        }
        self.converted: list[tuple[tuple[str, str, str], str, int, int]] = []  # line, to, signed units, price
        for each in scenario.quotes:
            prices = {"ltp": each.ltp, "bid": each.bid or None, "ask": each.ask or None}
            self.quote(each.segment, each.security_id, **prices)

    def _life(self) -> int | None:
        life = self.scenario.token_life
        return None if life is None else self.now_us() + round(life * MILLION)

    def renew(self) -> str:
        """Make a new token; the earlier one is dead from now on, also for a running process."""
        self.token = f"{self.scenario.token}-{self.exchange.number()}"
        self.token_until_us = self._life()
        return self.token

    def is_token(self, given: str) -> bool:
        return given == self.token and (self.token_until_us is None or self.now_us() < self.token_until_us)

    # -- the market -----------------------------------------------------------------------------------------------

    def quote(self, segment: str, security_id: str, **prices: Any) -> None:
        """Move the market; raises QuoteInvalidError. Standing instructions and the P&L exit look at it after."""
        made = Quote.of(at_us=self.now_us(), **prices)
        before = self.exchange.quotes.get((segment, security_id))
        self.exchange.set_quote(segment, security_id, made)
        if made.ltp_e4 is not None:
            self._fire_forevers(segment, security_id, made.ltp_e4)
            self._fire_alerts(segment, security_id, made.ltp_e4, before.ltp_e4 if before else None)
        self._watch_pnl()

    def order(
        self, *, segment: str, security_id: str, side: str, product: str, order_type: str, quantity: int,
        price_e4: int = 0, trigger_e4: int = 0, validity: str = "DAY", correlation_id: str = "", after_market: bool = False,
        disclosed: int = 0,
    ) -> Placed:  # fmt: skip
        """Return a new order, not in the book yet."""
        now_us = self.now_us()
        number = self.exchange.number()
        return Placed(
            number, correlation_id or f"d{number}", segment, security_id, side, product, order_type, validity, quantity,
            price_e4, trigger_e4, now_us, now_us + round(self.scenario.transit_s * MILLION), after_market=after_market,
            disclosed=disclosed,
        )  # fmt: skip

    def _fire_forevers(self, segment: str, security_id: str, ltp_e4: int) -> None:
        for each in self.forevers.values():
            if each.status != "CONFIRM" or (each.segment, each.security_id) != (segment, security_id):
                continue
            for (_, quantity, price_e4, trigger_e4), above in zip(each.legs, each.above, strict=True):
                if (ltp_e4 >= trigger_e4) if above else (ltp_e4 <= trigger_e4):
                    each.status = "TRADED"
                    kind = "LIMIT" if price_e4 else "MARKET"
                    self.exchange.add(
                        self.order(
                            segment=segment, security_id=security_id, side=each.side, product=each.product,
                            order_type=kind, quantity=quantity, price_e4=price_e4, validity=each.validity,
                        )
                    )  # fmt: skip
                    break

    def _fire_alerts(self, segment: str, security_id: str, ltp_e4: int, before_e4: int | None) -> None:
        for each in self.alerts.values():
            at = each.condition
            if each.status != "ACTIVE" or (at.get("exchangeSegment"), str(at.get("securityId"))) != (
                segment,
                security_id,
            ):
                continue
            each.last_e4 = ltp_e4
            if at.get("comparisonType") != "PRICE_WITH_VALUE" or not _holds(at, ltp_e4, before_e4):
                continue
            each.triggered_us = self.now_us()
            if str(at.get("frequency", "ONCE")) == "ONCE":
                each.status = "TRIGGERED"
            for asked in each.orders:
                self.exchange.add(
                    self.order(
                        segment=str(asked["exchangeSegment"]), security_id=str(asked["securityId"]),
                        side=str(asked["transactionType"]), product=str(asked["productType"]),
                        order_type=str(asked["orderType"]), quantity=int(asked["quantity"]),
                        price_e4=_e4(asked.get("price")), trigger_e4=_e4(asked.get("triggerPrice")),
                    )
                )  # fmt: skip

    # -- positions ------------------------------------------------------------------------------------------------

    def positions(self, *, lagging: bool = True) -> list[Position]:
        """Return the position list, closed lines of the day too; as it was a while ago if *lagging*."""
        self.exchange.land()
        lag_us = round(self.scenario.position_lag_s * MILLION) if lagging else 0
        found = {
            line: Position(*line, each.symbol, each.carried, each.carried_price_e4)
            for line, each in self.carried.items()
        }
        for fill in self.exchange.filled_until(self.now_us() - lag_us):
            row = found.setdefault(fill.order.line, Position(*fill.order.line))
            value_e4 = fill.quantity * fill.price_e4
            if fill.order.side == "BUY":
                row.bought, row.bought_e4 = row.bought + fill.quantity, row.bought_e4 + value_e4
            else:
                row.sold, row.sold_e4 = row.sold + fill.quantity, row.sold_e4 + value_e4
        for line, product, units, price_e4 in self.converted:
            _move(found, line, -units, price_e4)
            _move(found, (line[0], line[1], product), units, price_e4)
        return list(found.values())

    def last_e4(self, segment: str, security_id: str) -> int | None:
        quote = self.exchange.quotes.get((segment, security_id))
        return None if quote is None else quote.ltp_e4

    def pnl_e4(self, products: Iterable[str]) -> int:
        """Return realised plus unrealised of the lines in *products*, charges left out."""
        wanted = set(products)
        rows = [row for row in self.positions(lagging=False) if row.product in wanted]
        return sum(row.realised_e4() + row.unrealised_e4(self.last_e4(row.segment, row.security_id)) for row in rows)

    # -- switches -------------------------------------------------------------------------------------------------

    def is_flat_and_quiet(self) -> bool:
        """What the broker's kill switch wants: every position closed, and no order pending."""
        self.exchange.land()
        nets = any(row.net for row in self.positions(lagging=False))
        return not nets and not any(order.status in LIVE for order in self.exchange.orders.values())

    def exit_all(self) -> None:
        """Cancel the day's open orders, if the scenario has it so, and close every line at the market."""
        if self.scenario.exit_all_cancels:
            for order in list(self.exchange.orders.values()):
                if order.is_live:
                    self.exchange.cancel(order)
        self._close(row for row in self.positions(lagging=False))

    def _close(self, rows: Iterable[Position]) -> None:
        for row in rows:
            if row.net:
                self.exchange.add(
                    self.order(
                        segment=row.segment, security_id=row.security_id, side="SELL" if row.net > 0 else "BUY",
                        product=row.product, order_type="MARKET", quantity=abs(row.net),
                    )
                )  # fmt: skip

    def _watch_pnl(self) -> None:
        """Fire the broker's exit at a loss: positions of its products are closed, MARGIN never."""
        armed = self.pnl_exit
        if armed is None or armed["status"] != "ACTIVE":
            return
        products = {"INTRADAY": ("INTRADAY",), "DELIVERY": ("CNC",)}
        covered = tuple(word for each in armed["products"] for word in products[each])
        pnl_e4 = self.pnl_e4(covered)
        if pnl_e4 <= -armed["loss_e4"] or (armed["profit_e4"] and pnl_e4 >= armed["profit_e4"]):
            armed["status"] = "INACTIVE"
            self._close([row for row in self.positions(lagging=False) if row.product in covered])
            if armed["kill"] and self.is_flat_and_quiet():
                self.kill_on = True

    def watch_pnl(self) -> None:
        """Look at once: what is breached already when it is set fires at once."""
        self._watch_pnl()


def _move(found: dict[tuple[str, str, str], Position], line: tuple[str, str, str], units: int, price_e4: int) -> None:
    row = found.setdefault(line, Position(*line))
    if units > 0:
        row.bought, row.bought_e4 = row.bought + units, row.bought_e4 + units * price_e4
    else:
        row.sold, row.sold_e4 = row.sold - units, row.sold_e4 - units * price_e4


def _holds(at: dict[str, Any], ltp_e4: int, before_e4: int | None) -> bool:
    value_e4 = _e4(at.get("comparingValue"))
    operator = at.get("operator")
    if operator in ("GREATER_THAN", "GREATER_THAN_EQUAL", "LESS_THAN", "LESS_THAN_EQUAL", "EQUAL", "NOT_EQUAL"):
        return {
            "GREATER_THAN": ltp_e4 > value_e4, "GREATER_THAN_EQUAL": ltp_e4 >= value_e4, "LESS_THAN": ltp_e4 < value_e4,
            "LESS_THAN_EQUAL": ltp_e4 <= value_e4, "EQUAL": ltp_e4 == value_e4, "NOT_EQUAL": ltp_e4 != value_e4,
        }[operator]  # fmt: skip
    if before_e4 is None:
        return False
    up, down = before_e4 < value_e4 <= ltp_e4, before_e4 > value_e4 >= ltp_e4
    return {"CROSSING_UP": up, "CROSSING_DOWN": down, "CROSSING_ANY_SIDE": up or down}.get(str(operator), False)


def _e4(value: object) -> int:
    """Return rupees of a request, number or text; nothing is zero."""
    if value in (None, ""):
        return 0
    try:
        return to_e4(str(value))
    except ValueError:
        raise bad_input() from None
