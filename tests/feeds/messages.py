"""Messages as Dhan sends them, in the shapes of its documentation and of the wire; every value is invented."""

from __future__ import annotations

import json
from typing import Any

POSTBACK: dict[str, Any] = {
    "dhanClientId": "1100099001", "orderId": "82260922104417", "correlationId": "rg-kx-000042", "orderStatus": "TRADED",
    "transactionType": "SELL", "exchangeSegment": "NSE_FNO", "productType": "INTRADAY", "orderType": "LIMIT",
    "validity": "DAY", "tradingSymbol": "NIFTY-Oct2026-25200-CE", "securityId": "52211", "quantity": 150,
    "disclosedQuantity": 0, "price": 118.35, "triggerPrice": 0.0, "afterMarketOrder": False, "boProfitValue": 0.0,
    "boStopLossValue": 0.0, "legName": None, "createTime": "2026-09-22 10:44:17", "updateTime": "2026-09-22 10:44:31",
    "exchangeTime": "2026-09-22 10:44:31", "drvExpiryDate": "2026-10-27", "drvOptionType": "CALL",
    "drvStrikePrice": 25200.0, "omsErrorCode": None, "omsErrorDescription": None, "filled_qty": 150, "algoId": None,
}  # fmt: skip

CAMEL: dict[str, Any] = {
    "exchange": "NSE", "segment": "D", "source": "P", "securityId": "52211", "clientId": "1100099001",
    "exchOrderNo": "1300000047710233", "orderNo": "82260922104417", "product": "I", "txnType": "S", "orderType": "LMT",
    "validity": "DAY", "discQuantity": 0, "discQtyRem": 0, "remainingQuantity": 75, "quantity": 150, "tradedQty": 75,
    "price": 118.35, "triggerPrice": 0, "tradedPrice": 118.4, "avgTradedPrice": 118.4, "algoOrdNo": "", "offMktFlag": "0",
    "orderDateTime": "2026-09-22 10:44:17", "exchOrderTime": "2026-09-22 10:44:18", "lastUpdatedTime": "2026-09-22 10:44:19",
    "remarks": "NR", "mktType": "NL", "reasonDescription": "CONFIRMED", "legNo": 1, "instrument": "OPTIDX", "symbol": "NIFTY",
    "productName": "INTRADAY", "status": "Pending", "lotSize": 75, "strikePrice": 25200, "optType": "CE", "isin": "NA",
    "expiryDate": "2026-10-27 14:30:00", "displayName": "NIFTY 27 OCT 25200 CALL", "series": "XX", "refLtp": 118.6,
    "goodTillDaysDate": "2026-09-22", "tickSize": 0.05, "algoId": "0", "multiplier": 1, "correlationId": "rg-kx-000042",
}  # fmt: skip

PASCAL = {
    {"clientId": "ClientId"}.get(name, name[0].upper() + name[1:]): str(value) if name != "legNo" else value
    for name, value in CAMEL.items()
}
"""The same in the spelling of the tables, every number as text."""


def alert(data: dict[str, Any] | None = None, **changes: Any) -> str:
    """Return a message of the stream; None takes a key out."""
    inner = {**(CAMEL if data is None else data), **changes}
    return json.dumps({"Data": {k: v for k, v in inner.items() if v is not None}, "Type": "order_alert"})


def posted(**changes: Any) -> str:
    """Return a postback's body; the word `absent` takes a key out."""
    return json.dumps({k: v for k, v in {**POSTBACK, **changes}.items() if v != "absent"})
