"""What the local Dhan server writes: the keys and types of the real answers, as recorded or documented."""

from __future__ import annotations

import datetime as dt
from typing import Any

from riskguard.brokers.dhan.sandbox.desk import IST, Alert, Desk, Forever, Position
from riskguard.brokers.dhan.sandbox.exchange import MILLION, Fill, Placed
from riskguard.core.money import SCALE, to_e4

UNSET_DATE, UNSET_TIME = "0001-01-01", "0001-01-01 00:00:00"
DERIVATIVE: dict[str, Any] = {"drvExpiryDate": UNSET_DATE, "drvOptionType": "NA", "drvStrikePrice": 0.0}


def number(e4: int | float) -> float:
    """Return rupees as the JSON number the real service sends."""
    return round(e4 / SCALE, 4)


def stamp(us: int) -> str:
    """Return a time as the service writes it: India, no zone."""
    return dt.datetime.fromtimestamp(us // MILLION, IST).strftime("%Y-%m-%d %H:%M:%S")


def average(order: Placed) -> float:
    return number(order.value_e4 / order.filled) if order.filled else 0.0


def order(desk: Desk, each: Placed) -> dict[str, Any]:
    """An entry of the order book."""
    left = each.quantity - each.filled if each.is_live else 0
    on_exchange = each.status != "TRANSIT" and not each.after_market
    return {
        "dhanClientId": desk.scenario.client_id, "orderId": each.order_id,
        "exchangeOrderId": f"13{each.order_id}" if on_exchange else "0",
        "correlationId": each.correlation_id, "orderStatus": each.status, "transactionType": each.side,
        "exchangeSegment": each.segment, "productType": each.product, "orderType": each.order_type,
        "validity": each.validity, "tradingSymbol": f"S{each.security_id}", "securityId": each.security_id,
        "quantity": each.quantity, "disclosedQuantity": each.disclosed, "price": number(each.price_e4),
        "triggerPrice": number(each.trigger_e4), "afterMarketOrder": each.after_market, "boProfitValue": 0.0,
        "boStopLossValue": 0.0, "legName": each.leg, "createTime": stamp(each.created_us),
        "updateTime": stamp(each.updated_us), "exchangeTime": stamp(each.updated_us) if on_exchange else UNSET_TIME,
        **DERIVATIVE, "omsErrorCode": each.code,
        "omsErrorDescription": each.detail or ("CONFIRMED" if on_exchange else ""), "algoId": "0",
        "remainingQuantity": left, "averageTradedPrice": average(each), "filledQty": each.filled,
    }  # fmt: skip


def trade(desk: Desk, fill: Fill) -> dict[str, Any]:
    """An entry of the trade book."""
    each = fill.order
    return {
        "dhanClientId": desk.scenario.client_id, "orderId": each.order_id, "exchangeOrderId": f"13{each.order_id}",
        "exchangeTradeId": fill.trade_id, "transactionType": each.side, "exchangeSegment": each.segment,
        "productType": each.product, "orderType": each.order_type, "tradingSymbol": f"S{each.security_id}",
        "customSymbol": None, "securityId": each.security_id, "tradedQuantity": fill.quantity,
        "tradedPrice": number(fill.price_e4), "createTime": stamp(each.created_us), "updateTime": stamp(fill.at_us),
        "exchangeTime": stamp(fill.at_us), **DERIVATIVE,
    }  # fmt: skip


def past_trade(desk: Desk, fill: Fill) -> dict[str, Any]:
    """An entry of the trade history, with its charges."""
    charges = ("sebiTax", "stt", "brokerageCharges", "serviceTax", "exchangeTransactionCharges", "stampDuty")
    told = {**trade(desk, fill), "isin": "NA", "instrument": "EQUITY", **dict.fromkeys(charges, 0.01)}
    return {**told, "createTime": "NA", "updateTime": "NA"}


def super_order(desk: Desk, each: Placed) -> dict[str, Any]:
    """An entry with its legs. `totalQuatity` is the service's own spelling."""
    told = {
        name: value
        for name, value in order(desk, each).items()
        if name not in {"disclosedQuantity", "triggerPrice", "boProfitValue", "boStopLossValue", "omsErrorCode", *DERIVATIVE}
    }  # fmt: skip
    last_e4 = desk.last_e4(each.segment, each.security_id) or 0
    legs = []
    for leg in each.legs:
        price_e4 = leg.trigger_e4 or leg.price_e4
        legs.append(
            {
                "orderId": leg.order_id, "legName": leg.leg, "transactionType": leg.side, "totalQuatity": leg.quantity,
                "remainingQuantity": leg.quantity - leg.filled, "triggeredQuantity": leg.filled,
                "price": number(price_e4), "orderStatus": leg.status, "trailingJump": number(leg.trailing_e4),
            }
        )  # fmt: skip
    trailing = max((leg.trailing_e4 for leg in each.legs), default=0)
    return {**told, "ltp": number(last_e4), "trailingJump": number(trailing), "legDetails": legs}


def forever(desk: Desk, each: Forever) -> list[dict[str, Any]]:
    """One row per leg; the legs share an id, and `orderType` carries the flag."""
    return [
        {
            "dhanClientId": desk.scenario.client_id, "orderId": each.order_id, "orderStatus": each.status,
            "transactionType": each.side, "exchangeSegment": each.segment, "productType": each.product,
            "orderType": each.flag, "tradingSymbol": f"S{each.security_id}", "securityId": each.security_id,
            "quantity": quantity, "price": number(price_e4), "triggerPrice": number(trigger_e4), "legName": name,
            "createTime": stamp(each.created_us), "updateTime": None, "exchangeTime": None, "drvExpiryDate": None,
            "drvOptionType": None, "drvStrikePrice": 0,
        }
        for name, quantity, price_e4, trigger_e4 in each.legs
    ]  # fmt: skip


def alert(each: Alert) -> dict[str, Any]:
    """A conditional trigger; its times are UTC, its prices text."""

    def utc(us: int | None) -> str | None:
        if us is None:
            return None
        return dt.datetime.fromtimestamp(us // MILLION, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    return {
        "alertId": each.alert_id, "alertStatus": each.status, "createdTime": utc(each.created_us),
        "triggeredTime": utc(each.triggered_us), "lastPrice": "" if each.last_e4 is None else str(number(each.last_e4)),
        "condition": each.condition, "orders": each.orders,
    }  # fmt: skip


def position(desk: Desk, row: Position) -> dict[str, Any]:
    """A line of the position list; it has no last price."""
    buy, buy_e4, sell, sell_e4 = row.sides()
    carried_e4 = abs(row.carried) * row.carried_price_e4
    last_e4 = desk.last_e4(row.segment, row.security_id)
    bought, sold = (row.carried, 0) if row.carried > 0 else (0, -row.carried)
    average_buy, average_sell = number(buy_e4 / buy) if buy else 0.0, number(sell_e4 / sell) if sell else 0.0
    return {
        "dhanClientId": desk.scenario.client_id, "tradingSymbol": row.symbol, "securityId": row.security_id,
        "positionType": "LONG" if row.net > 0 else "SHORT" if row.net else "CLOSED", "exchangeSegment": row.segment,
        "productType": row.product, "buyAvg": average_buy, "buyQty": buy,
        "costPrice": average_buy if row.net >= 0 else average_sell, "sellAvg": average_sell, "sellQty": sell,
        "netQty": row.net, "realizedProfit": number(row.realised_e4()),
        "unrealizedProfit": number(row.unrealised_e4(last_e4)), "rbiReferenceRate": 1.0, "multiplier": 1,
        "carryForwardBuyQty": bought, "carryForwardSellQty": sold,
        "carryForwardBuyValue": number(carried_e4) if bought else 0.0,
        "carryForwardSellValue": number(carried_e4) if sold else 0.0, "dayBuyQty": row.bought, "daySellQty": row.sold,
        "dayBuyValue": number(row.bought_e4), "daySellValue": number(row.sold_e4), **DERIVATIVE, "crossCurrency": False,
    }  # fmt: skip


def funds(desk: Desk) -> dict[str, Any]:
    """The balance; `availabelBalance` and `receiveableAmount` are the service's own spellings."""
    opening_e4 = to_e4(desk.scenario.available)
    realised_e4 = sum(row.realised_e4() for row in desk.positions(lagging=False))
    used_e4 = sum(
        abs(row.net) * (desk.last_e4(row.segment, row.security_id) or 0) for row in desk.positions(lagging=False)
    )
    return {
        "dhanClientId": desk.scenario.client_id, "availabelBalance": number(opening_e4 + realised_e4 - used_e4),
        "sodLimit": number(opening_e4), "collateralAmount": 0.0, "receiveableAmount": 0.0,
        "utilizedAmount": number(used_e4), "blockedPayoutAmount": 0.0, "withdrawableBalance": number(opening_e4 - used_e4),
    }  # fmt: skip


def holdings(desk: Desk) -> list[dict[str, Any]]:
    """The demat account."""
    return [
        {
            "exchange": "ALL", "tradingSymbol": each.symbol, "securityId": each.security_id, "isin": each.isin,
            "totalQty": each.quantity, "dpQty": each.quantity - each.t1, "t1Qty": each.t1,
            "availableQty": each.quantity - each.collateral, "collateralQty": each.collateral,
            "avgCostPrice": number(to_e4(each.price)),
            "lastTradedPrice": number(desk.last_e4("NSE_EQ", each.security_id) or to_e4(each.price)),
        }
        for each in desk.scenario.holdings
    ]  # fmt: skip


def ledger(desk: Desk) -> list[dict[str, Any]]:
    """The ledger: all texts, the balance running."""
    balance_e4, lines = 0, []
    for each in desk.scenario.ledger:
        balance_e4 += to_e4(each.credit) - to_e4(each.debit)
        day = dt.date.fromisoformat(each.date).strftime("%b %d, %Y")
        lines.append(
            {
                "dhanClientId": desk.scenario.client_id, "narration": each.narration or each.description,
                "voucherdate": day, "exchange": "NSE_CASH", "voucherdesc": each.description,
                "vouchernumber": each.number, "debit": each.debit, "credit": each.credit,
                "runbal": f"{number(balance_e4):.2f}",
            }
        )  # fmt: skip
    return lines


def profile(desk: Desk) -> dict[str, Any]:
    """The account itself."""
    until_us = desk.token_until_us or desk.now_us() + 86_400 * MILLION
    until = dt.datetime.fromtimestamp(until_us // MILLION, IST).strftime("%d/%m/%Y %H:%M")
    return {
        "dhanClientId": desk.scenario.client_id, "tokenValidity": until, "activeSegment": desk.scenario.segments,
        "ddpi": "Active", "mtf": "Active", "dataPlan": "Active", "dataValidity": "2030-12-05 09:37:52.0",
    }  # fmt: skip


def order_alert(desk: Desk, each: Placed) -> dict[str, Any]:
    """A message of the order-update stream, in the case seen on the wire."""
    products = {"CNC": "C", "INTRADAY": "I", "MARGIN": "M", "MTF": "F", "CO": "V", "BO": "B"}
    kinds = {"LIMIT": "LMT", "MARKET": "MKT", "STOP_LOSS": "SL", "STOP_LOSS_MARKET": "SLM"}
    exchange, _, market = each.segment.partition("_")
    fills = [fill for fill in desk.exchange.fills if fill.order is each]
    last = fills[-1] if fills else None
    return {
        "Data": {
            "exchange": exchange, "segment": {"EQ": "E", "FNO": "D", "CURRENCY": "C", "COMM": "M"}.get(market, "E"),
            "source": "P", "securityId": each.security_id, "clientId": desk.scenario.client_id,
            "exchOrderNo": f"13{each.order_id}", "orderNo": each.order_id, "product": products.get(each.product, "I"),
            "txnType": each.side[0], "orderType": kinds.get(each.order_type, "LMT"), "validity": each.validity,
            "discQuantity": each.disclosed, "discQtyRem": 0, "remainingQuantity": each.quantity - each.filled,
            "quantity": each.quantity, "tradedQty": each.filled, "price": number(each.price_e4),
            "triggerPrice": number(each.trigger_e4), "tradedPrice": number(last.price_e4) if last else 0,
            "avgTradedPrice": average(each), "algoOrdNo": each.parent, "offMktFlag": "1" if each.after_market else "0",
            "orderDateTime": stamp(each.created_us), "exchOrderTime": stamp(each.updated_us),
            "lastUpdatedTime": stamp(each.updated_us), "remarks": "Super Order" if each.parent or each.legs else "NR",
            "mktType": "NL", "reasonDescription": each.detail or "CONFIRMED",
            "legNo": {"STOP_LOSS_LEG": 2, "TARGET_LEG": 3}.get(each.leg, 1), "instrument": "EQUITY",
            "symbol": f"S{each.security_id}", "productName": each.product, "status": each.status.title(), "lotSize": 1,
            "strikePrice": 0, "expiryDate": UNSET_TIME, "optType": "XX", "displayName": f"S{each.security_id}",
            "isin": "NA", "series": "XX", "goodTillDaysDate": stamp(each.created_us)[:10],
            "refLtp": number(desk.last_e4(each.segment, each.security_id) or 0), "tickSize": 0.05, "algoId": "0",
            "multiplier": 1, "correlationId": each.correlation_id,
        },
        "Type": "order_alert",
    }  # fmt: skip
