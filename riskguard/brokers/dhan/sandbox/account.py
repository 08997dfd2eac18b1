"""The endpoints of the local Dhan server that are no orders: portfolio, switches, funds, statements, prices, login."""

from __future__ import annotations

from typing import Any

from riskguard.brokers.dhan.sandbox import shapes
from riskguard.brokers.dhan.sandbox.desk import Desk, RefusedByDhan, bad_input, bad_order
from riskguard.brokers.dhan.sandbox.requests import PRODUCTS, SEGMENTS, Reply, Request
from riskguard.brokers.dhan.sandbox.shapes import number
from riskguard.core.money import to_e4, to_text

PAGE = 20
INTRADAY_DIVISOR = 5
"""A margin of a fifth for all but delivery: enough to see that a figure moves with the order."""


# -- portfolio ----------------------------------------------------------------------------------------------------


def positions(desk: Desk, _request: Request) -> Reply:
    return Reply(200, [shapes.position(desk, row) for row in desk.positions()])


def exit_all(desk: Desk, _request: Request) -> Reply:
    desk.exit_all()
    if desk.scenario.exit_all_reply == "empty":
        return Reply(202)
    if desk.scenario.exit_all_reply == "plain":
        return Reply(200, {})
    return Reply(200, {"status": "SUCCESS", "message": "All orders and positions exited successfully"})


def convert(desk: Desk, request: Request) -> Reply:
    request.own(desk)
    line = (
        request.word("exchangeSegment", SEGMENTS),
        request.word("securityId"),
        request.word("fromProductType", PRODUCTS),
    )
    to, units = request.word("toProductType", PRODUCTS), request.whole("convertQty")
    row = next(
        (each for each in desk.positions(lagging=False) if (each.segment, each.security_id, each.product) == line), None
    )
    if row is None or abs(row.net) < units or request.word("positionType") != ("LONG" if row.net > 0 else "SHORT"):
        raise bad_order("No such position to convert.")
    buy, buy_e4, sell, sell_e4 = row.sides()
    price_e4 = buy_e4 // buy if row.net > 0 else sell_e4 // sell
    desk.converted.append((line, to, units if row.net > 0 else -units, price_e4))
    return Reply(200, {"status": "success"})


def holdings(desk: Desk, _request: Request) -> Reply:
    told = shapes.holdings(desk)
    if not told and desk.scenario.no_holdings_is_error:
        raise RefusedByDhan(500, "HOLDING_ERROR", "DH-1111", "No holdings available")
    return Reply(200, told)


# -- switches -----------------------------------------------------------------------------------------------------


def kill(desk: Desk, request: Request) -> Reply:
    asked = request.asked("killSwitchStatus")
    if asked not in ("ACTIVATE", "DEACTIVATE"):
        raise bad_input("Invalid killSwitchStatus")
    if asked == "ACTIVATE" and not desk.kill_on and not desk.is_flat_and_quiet():
        if desk.scenario.kill_refusal == "sentence":
            said = "Kill Switch can be activated only after closing all positions and pending orders"
            return Reply(200, {"dhanClientId": desk.scenario.client_id, "killSwitchStatus": said})
        raise bad_order("Close all positions and cancel pending orders before the Kill Switch can be activated.")
    desk.kill_on = asked == "ACTIVATE"
    said = f"Kill Switch has been successfully {'activated' if desk.kill_on else 'deactivated'}"
    return Reply(200, {"dhanClientId": desk.scenario.client_id, "killSwitchStatus": said})


def kill_status(desk: Desk, _request: Request) -> Reply:
    state = "ACTIVATE" if desk.kill_on else "DEACTIVATE"
    return Reply(200, {"dhanClientId": desk.scenario.client_id, "killSwitchStatus": state})


def set_pnl_exit(desk: Desk, request: Request) -> Reply:
    request.own(desk)
    loss_e4, profit_e4 = request.rupees_e4("lossValue", None), request.rupees_e4("profitValue")
    products = request.body.get("productType")
    if not isinstance(products, list) or not products or not set(products) <= {"INTRADAY", "DELIVERY"}:
        raise bad_input("Invalid productType")
    if (loss_e4 < 0) != (desk.scenario.loss_sign == "negative"):
        raise bad_input("Invalid lossValue")
    desk.pnl_exit = {
        "status": "ACTIVE",
        "loss_e4": abs(loss_e4),
        "profit_e4": profit_e4,
        "products": products,
        "kill": request.body.get("enableKillSwitch") is True,
        "sent_e4": loss_e4,
    }
    desk.watch_pnl()
    return Reply(200, {"pnlExitStatus": "ACTIVE", "message": "P&L based exit configured successfully"})


def get_pnl_exit(desk: Desk, _request: Request) -> Reply:
    armed = desk.pnl_exit
    if armed is None:
        raise RefusedByDhan(400, "Data_Error", "DH-907", "No P&L based exit is configured.")
    told = {
        "pnlExitStatus": armed["status"], "profit": to_text(armed["profit_e4"]), "loss": to_text(armed["sent_e4"]),
        "productType": armed["products"], "enable_kill_switch": armed["kill"],
    }  # fmt: skip
    return Reply(200, told)


def stop_pnl_exit(desk: Desk, _request: Request) -> Reply:
    desk.pnl_exit = None
    return Reply(200, {"pnlExitStatus": "DISABLED", "message": "P&L based exit stopped successfully"})


# -- money --------------------------------------------------------------------------------------------------------


def funds(desk: Desk, _request: Request) -> Reply:
    return Reply(200, shapes.funds(desk))


def _margin_e4(desk: Desk, asked: dict[str, Any]) -> int:
    request = Request("POST", "", "", {}, asked)
    request.word("exchangeSegment", SEGMENTS)
    request.word("securityId")
    request.word("transactionType", frozenset({"BUY", "SELL"}))
    value_e4 = request.whole("quantity") * request.rupees_e4("price", None)
    return value_e4 if request.word("productType", PRODUCTS) == "CNC" else value_e4 // INTRADAY_DIVISOR


def margin(desk: Desk, request: Request) -> Reply:
    request.own(desk)
    total_e4 = _margin_e4(desk, request.body)
    left_e4 = to_e4(desk.scenario.available)
    told = {
        "totalMargin": number(total_e4), "spanMargin": 0.0, "exposureMargin": 0.0, "availableBalance": number(left_e4),
        "variableMargin": number(total_e4), "insufficientBalance": number(max(0, total_e4 - left_e4)), "brokerage": 0.0,
        "leverage": "1X",
    }  # fmt: skip
    return Reply(200, told)


def margin_multi(desk: Desk, request: Request) -> Reply:
    request.own(desk)
    asked = request.body.get("scripList")
    if not isinstance(asked, list) or not asked:
        raise bad_input("Invalid scripList")
    total_e4 = sum(_margin_e4(desk, each) for each in asked)
    if desk.scenario.margin_multi_reply == "snake":
        told: dict[str, Any] = {
            "total_margin": to_text(total_e4), "span_margin": to_text(total_e4), "exposure_margin": "0.00",
            "equity_margin": "0.00", "fo_margin": to_text(total_e4), "commodity_margin": "0.00", "currency": "0.00",
            "hedge_benefit": "0.00",
        }  # fmt: skip
    else:
        told = {
            "clientId": desk.scenario.client_id, "totalMargin": number(total_e4), "spanMargin": number(total_e4),
            "exposure": 0.0, "equityMargin": 0.0, "foMargin": number(total_e4), "commodity": 0.0, "currency": 0.0,
        }  # fmt: skip
    return Reply(200, told)


def ledger(desk: Desk, request: Request) -> Reply:
    first, last = request.asked("from-date"), request.asked("to-date")
    if not first or not last:
        raise bad_input()
    kept = [
        line
        for line, voucher in zip(shapes.ledger(desk), desk.scenario.ledger, strict=True)
        if first <= voucher.date <= last
    ]
    return Reply(200, kept)


def trade_history(desk: Desk, request: Request) -> Reply:
    page = request.parts["page"]
    if not page.isdecimal():
        raise bad_input()
    told = [shapes.past_trade(desk, fill) for fill in desk.exchange.fills]
    return Reply(200, told[int(page) * PAGE : (int(page) + 1) * PAGE])


# -- prices -------------------------------------------------------------------------------------------------------


def _quotes(desk: Desk, request: Request, whole: bool, ohlc: bool) -> Reply:
    if request.headers.get("client-id") != desk.scenario.client_id:
        raise RefusedByDhan(400, "Invalid_Authentication", "810", "Client ID is invalid")
    told: dict[str, dict[str, Any]] = {}
    for segment, ids in request.body.items():
        if segment == "dhanClientId":
            continue
        if not isinstance(ids, list):
            return Reply(200, {"data": {}, "status": "success"})
        for each in ids:
            quote = desk.exchange.quotes.get((segment, str(each)))
            if quote is None or quote.ltp_e4 is None:
                continue  # an unknown id is simply missing
            last = number(quote.ltp_e4)
            row: dict[str, Any] = {"last_price": last}
            if ohlc or whole:
                row["ohlc"] = {"open": last, "close": 0, "high": last, "low": last}
            if whole:
                row |= _depth(quote.bid_e4, quote.ask_e4, last)
            told.setdefault(segment, {})[str(each)] = row
    return Reply(200, {"data": told, "status": "success"})


def _depth(bid_e4: int | None, ask_e4: int | None, last: float) -> dict[str, Any]:
    def side(e4: int | None) -> list[dict[str, Any]]:
        first = {"quantity": 100 if e4 else 0, "orders": 1 if e4 else 0, "price": number(e4) if e4 else 0}
        return [first, *({"quantity": 0, "orders": 0, "price": 0} for _ in range(4))]

    return {
        "average_price": last, "buy_quantity": 0, "depth": {"buy": side(bid_e4), "sell": side(ask_e4)},
        "last_quantity": 0, "last_trade_time": "", "lower_circuit_limit": round(last * 0.8, 2), "net_change": 0, "oi": 0,
        "oi_day_high": 0, "oi_day_low": 0, "sell_quantity": 0, "upper_circuit_limit": round(last * 1.2, 2), "volume": 0,
    }  # fmt: skip


def ltp(desk: Desk, request: Request) -> Reply:
    return _quotes(desk, request, whole=False, ohlc=False)


def ohlc(desk: Desk, request: Request) -> Reply:
    return _quotes(desk, request, whole=False, ohlc=True)


def quote(desk: Desk, request: Request) -> Reply:
    return _quotes(desk, request, whole=True, ohlc=True)


# -- the account itself -------------------------------------------------------------------------------------------


def profile(desk: Desk, _request: Request) -> Reply:
    return Reply(200, shapes.profile(desk))


def renew(desk: Desk, request: Request) -> Reply:
    if request.headers.get("dhanclientid", desk.scenario.client_id) != desk.scenario.client_id:
        raise bad_input("Invalid dhanClientId")
    return Reply(200, {**shapes.profile(desk), "accessToken": desk.renew()})


def get_ip(desk: Desk, _request: Request) -> Reply:
    allowed = desk.scenario.ip_registered
    return Reply(200, {**desk.ip, "detectedIP": "127.0.0.1", "ipMatchStatus": allowed, "ordersAllowed": allowed})


def set_ip(desk: Desk, request: Request) -> Reply:
    request.own(desk)
    flag = request.word("ipFlag", frozenset({"PRIMARY", "SECONDARY"}))
    desk.ip["primaryIP" if flag == "PRIMARY" else "secondaryIP"] = request.word("ip")
    return Reply(200, {"message": "IP saved", "status": "SUCCESS"})


def tpin(desk: Desk, _request: Request) -> Reply:
    return Reply(202)


def edis_form(desk: Desk, request: Request) -> Reply:
    request.own(desk)
    form = "<form>a page for a person</form>"
    return Reply(200, {"dhanClientId": desk.scenario.client_id, "edisFormHtml": form})


def edis_inquire(desk: Desk, request: Request) -> Reply:
    isin = request.parts["isin"]
    kept = [each for each in desk.scenario.holdings if isin in ("ALL", each.isin)]
    told = [
        {
            "clientId": desk.scenario.client_id, "isin": each.isin, "totalQty": each.quantity, "aprvdQty": 0,
            "status": "PENDING", "remarks": "",
        }
        for each in kept
    ]  # fmt: skip
    return Reply(200, told[0] if isin != "ALL" and told else told)
