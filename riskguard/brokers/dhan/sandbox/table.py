"""Which call goes where: method, path, handler, and whether it is a write that wants a registered address."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, NamedTuple

from riskguard.brokers.dhan.sandbox import account, routes
from riskguard.brokers.dhan.sandbox.desk import Desk
from riskguard.brokers.dhan.sandbox.requests import Reply, Request

Handler = Callable[[Desk, Request], Reply]


class Route(NamedTuple):
    """One endpoint. *name* is what faults and counts are kept by."""

    name: str
    pattern: re.Pattern[str]
    handler: Handler
    writes: bool


def _route(name: str, handler: Handler, *, writes: bool = False) -> Route:
    path = name.partition(" ")[2]
    return Route(name, re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path)), handler, writes)


ROUTES: Final = (
    _route("POST /orders", routes.place, writes=True),
    _route("POST /orders/slicing", routes.place_sliced, writes=True),
    _route("GET /orders", routes.book),
    _route("GET /orders/external/{tag}", routes.by_tag),
    _route("GET /orders/{id}", routes.by_id),
    _route("PUT /orders/{id}", routes.modify, writes=True),
    _route("DELETE /orders/{id}", routes.cancel, writes=True),
    _route("GET /trades", routes.trades),
    _route("GET /trades/{id}", routes.trades_of),
    _route("GET /trades/{first}/{last}/{page}", account.trade_history),
    _route("POST /super/orders", routes.place_super, writes=True),
    _route("GET /super/orders", routes.supers),
    _route("PUT /super/orders/{id}", routes.modify_super, writes=True),
    _route("DELETE /super/orders/{id}/{leg}", routes.cancel_super, writes=True),
    _route("POST /forever/orders", routes.place_forever, writes=True),
    _route("GET /forever/orders", routes.forevers),
    _route("PUT /forever/orders/{id}", routes.modify_forever, writes=True),
    _route("DELETE /forever/orders/{id}", routes.cancel_forever, writes=True),
    _route("POST /alerts/orders", routes.place_alert, writes=True),
    _route("GET /alerts/orders", routes.alerts),
    _route("GET /alerts/orders/{id}", routes.alert),
    _route("PUT /alerts/orders/{id}", routes.modify_alert, writes=True),
    _route("DELETE /alerts/orders/{id}", routes.cancel_alert, writes=True),
    _route("POST /alerts/multi/orders", routes.place_multi, writes=True),
    _route("GET /positions", account.positions),
    _route("DELETE /positions", account.exit_all, writes=True),
    _route("POST /positions/convert", account.convert, writes=True),
    _route("GET /holdings", account.holdings),
    _route("GET /edis/tpin", account.tpin),
    _route("POST /edis/form", account.edis_form),
    _route("POST /edis/bulkform", account.edis_form),
    _route("GET /edis/inquire/{isin}", account.edis_inquire),
    _route("POST /killswitch", account.kill, writes=True),
    _route("GET /killswitch", account.kill_status),
    _route("POST /pnlExit", account.set_pnl_exit, writes=True),
    _route("GET /pnlExit", account.get_pnl_exit),
    _route("DELETE /pnlExit", account.stop_pnl_exit, writes=True),
    _route("GET /fundlimit", account.funds),
    _route("POST /margincalculator", account.margin),
    _route("POST /margincalculator/multi", account.margin_multi),
    _route("GET /ledger", account.ledger),
    _route("POST /marketfeed/ltp", account.ltp),
    _route("POST /marketfeed/ohlc", account.ohlc),
    _route("POST /marketfeed/quote", account.quote),
    _route("GET /profile", account.profile),
    _route("GET /RenewToken", account.renew),
    _route("POST /ip/setIP", account.set_ip),
    _route("PUT /ip/modifyIP", account.set_ip),
    _route("GET /ip/getIP", account.get_ip),
)


def find(method: str, path: str) -> tuple[Route, dict[str, str]] | None:
    """Return the endpoint of a call and the named parts of its path; the first that fits wins."""
    for route in ROUTES:
        if route.name.startswith(f"{method} "):
            match = route.pattern.fullmatch(path)
            if match is not None:
                return route, match.groupdict()
    return None
