"""
Dhan as `ports.Broker`, and as everything else a guard asks of a broker.

Reads are repeated inside a budget; a placement is sent once, whatever happens; a cancellation is repeated only after
reading back that the order still rests. What cannot be said is an error, never an empty list and never zero.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from riskguard.brokers.dhan import orders as listed
from riskguard.brokers.dhan import portfolio
from riskguard.brokers.dhan.answers import complaint_of, judged, parsed
from riskguard.brokers.dhan.attempt import Deadline
from riskguard.brokers.dhan.control import Control
from riskguard.brokers.dhan.placing import Placing
from riskguard.brokers.dhan.wire import LIVE_URL, Answer, Credentials, Meter, Timeouts, Wire
from riskguard.core.order import Order
from riskguard.core.seen import (
    SeenFunds,
    SeenHolding,
    SeenLedgerEntry,
    SeenMargin,
    SeenOrder,
    SeenPosition,
    SeenProfile,
    SeenTrade,
)
from riskguard.errors import (
    BrokerRefusedError,
    BrokerUnavailableError,
    BrokerUnconfirmedError,
    ExtraMissingError,
    SecretError,
    SettingsError,
)

BOOK, SUPER, FOREVER, ALERTS = "book", "super", "forever", "alerts"
ALL_LISTS: Final = (BOOK, SUPER, FOREVER, ALERTS)
NO_HOLDINGS: Final = "DH-1111"

Found = TypeVar("Found")


class DhanBroker(Placing, Control):
    """
    One account at Dhan. Threads share it, each on a connection of its own; a forked child makes new ones.

    Implements `ports.Broker`, `BrokerLock`, `ExitAll`, `BrokerBackstop`, `Holdings`, `Ledger`, `Profile`, `Margins`.
    """

    name = "dhan"
    look_apart_us: Final = 500_000
    """A kill run's look is six requests: twelve of the twenty reads a second that all programs of a client share. A
    refused one counts too, so that looking faster ends in seeing nothing."""

    def __init__(
        self, credentials: Callable[[], Credentials], *, account: str = "", base_url: str = LIVE_URL,
        timeouts: Timeouts | None = None, meter: Meter | None = None, lists: Sequence[str] | None = None,
    ) -> None:  # fmt: skip
        """
        Args:
            credentials: Asked before each request: a token set elsewhere is used by the next one.
            account: Whose orders are taken; an order of another account is refused. "": anybody's.
            base_url: Dhan, its sandbox, or a server on this machine; nothing else gets a token.
            lists: Which lists make up `orders`; all four, but on Dhan's own sandbox the book alone, for it has no others.
        """
        self.wire = Wire(credentials, base_url, timeouts, meter)
        self.account = account
        self.lists = tuple(lists) if lists is not None else (BOOK,) if "sandbox.dhan.co" in base_url else ALL_LISTS

    @classmethod
    def of(cls, client: Any, *, account: str = "", **options: Any) -> DhanBroker:
        """
        Return a broker with the login of an existing `dhanhq` object: no second login, and a connection of its own.

        The token is read from the object before each request, so one that is renewed there is used here.
        """
        http = client.dhan_http

        def credentials() -> Credentials:
            return Credentials(str(http.client_id), str(http.header["access-token"]))

        return cls(credentials, account=account, base_url=str(http.base_url), **options)

    def close(self) -> None:
        """Close the idle connections; the next call makes new ones."""
        self.wire.close()

    @property
    def order_requests(self) -> int:
        """How many requests `orders` is: one for each list."""
        return len(self.lists)

    # -- looking --------------------------------------------------------------------------------------------------

    def orders(self) -> tuple[SeenOrder, ...]:
        """
        Return every order that is or was, in one list: the book, legs of super orders, forever orders, conditional
        triggers. One list that fails fails them all.
        """
        deadline = Deadline(self.wire.timeouts.operation_s)
        legs: dict[str, list[SeenOrder]] = {}
        standing: list[SeenOrder] = []
        book = self._read("orders", lambda dhan: dhan.get_order_list(), listed.book_orders, deadline)
        if SUPER in self.lists:
            _, legs = self._read(
                "super orders", lambda dhan: dhan.get_super_order_list(), listed.super_orders, deadline
            )
        if FOREVER in self.lists:
            standing += self._read("forever orders", lambda dhan: dhan.get_forever(), listed.forever_orders, deadline)
        if ALERTS in self.lists:
            standing += self._read("alerts", lambda dhan: dhan.get_conditional_orders(), listed.alert_orders, deadline)
        return listed.merged(book, legs, standing)

    def positions(self) -> tuple[SeenPosition, ...]:
        """Return the position list. It lags behind orders and fills by some seconds."""
        return self._read("positions", lambda dhan: dhan.get_positions(), portfolio.positions)

    def trades(self) -> tuple[SeenTrade, ...]:
        """Return the fills of the day."""
        return self._read("trades", lambda dhan: dhan.get_trade_book(), portfolio.trades)

    def funds(self) -> SeenFunds:
        """Return the balance; what Dhan leaves out is None."""
        return self._read("funds", lambda dhan: dhan.get_fund_limits(), portfolio.funds)

    def holdings(self) -> tuple[SeenHolding, ...]:
        """Return the demat account. Dhan says "none" with HTTP 500 and DH-1111."""
        return self._read("holdings", lambda dhan: dhan.get_holdings(), portfolio.holdings, none_code=NO_HOLDINGS)

    def ledger(self, first: str, last: str) -> tuple[SeenLedgerEntry, ...]:
        """Return the book of money from *first* to *last* (ISO dates, both included)."""
        return self._read("ledger", lambda dhan: dhan.ledger_report(first, last), portfolio.ledger)

    def profile(self) -> SeenProfile:
        """Return what Dhan says of the account, and whether it takes orders from this host's address."""
        deadline = Deadline(self.wire.timeouts.operation_s)
        said = self._read(
            "profile",
            lambda dhan: dhan.dhan_http.get("/profile"),
            lambda value, client_id: (value, portfolio.profile(value, client_id, None)),
            deadline,
        )
        # It answers with errors on accounts that never registered an address: then it is not known.
        with contextlib.suppress(BrokerRefusedError, BrokerUnconfirmedError, BrokerUnavailableError):
            address = self._read(
                "address", lambda dhan: dhan.dhan_http.get("/ip/getIP"), lambda value, _: value, deadline
            )
            return portfolio.profile(said[0], "", address)
        return said[1]

    def margin(self, orders: Sequence[Order]) -> SeenMargin:
        """
        Return what Dhan wants for these orders together; positions and open orders are not counted in.

        Raises BrokerRefusedError for an order without any price to compute with: a margin of zero is no answer.
        """
        asked = [_margin_line(order) for order in orders]
        if not asked:
            raise BrokerRefusedError("`margin`: no order was given")
        if len(asked) == 1:
            return self._read("margin", lambda dhan: dhan.margin_calculator(**_single(asked[0])), _margin)
        return self._read("margins", lambda dhan: dhan.margin_calculator_multi(asked), _margin)

    # -- how a read is done -----------------------------------------------------------------------------------------

    def _read(
        self, what: str, use: Callable[[Any], Answer], make: Callable[[Any, str], Found],
        deadline: Deadline | None = None, none_code: str = "",
    ) -> Found:  # fmt: skip
        """
        Ask, and again if nothing usable came, until the attempts or the deadline are used up.

        What Dhan refuses is not asked again: neither a dead token nor a breached rate mends itself in a second.
        """
        try:
            import stamina
        except ImportError:
            raise ExtraMissingError("dhan", "stamina", "accounts at Dhan") from None
        limits = self.wire.timeouts
        whole = deadline or Deadline(limits.operation_s)
        for attempt in stamina.retry_context(
            on=_may_ask_again, attempts=limits.read_attempts, timeout=whole.left_s() or 0.001, wait_initial=0.1,
            wait_max=0.8, wait_jitter=0.1,
        ):  # fmt: skip
            with attempt:
                answer = self.wire.call(what, use, writes=False, deadline=whole)
                value: Any = [] if none_code and _code(answer) == none_code else judged(what, answer, writes=False)
                return make(value, self.wire.client_id())
        raise BrokerUnavailableError(
            f"`{what}` was not asked: its time was up"
        )  # pragma: no cover - it returns or raises


def _may_ask_again(error: Exception) -> bool:
    """A read that brought nothing usable; one that lacks its token or its settings will lack them again."""
    lasting = isinstance(error.__cause__, SecretError | SettingsError)
    return isinstance(error, BrokerUnconfirmedError | BrokerUnavailableError) and not lasting


def _code(answer: Answer) -> str:
    try:
        found = complaint_of(parsed(answer))
    except ValueError:
        return ""
    return "" if found is None else found.code


def _margin(value: Any, _client_id: str) -> SeenMargin:
    return portfolio.margin(value)


def _margin_line(order: Order) -> dict[str, Any]:
    price_e4 = order.price_e4 or order.trigger_price_e4 or (order.quote.ltp_e4 if order.quote is not None else None)
    if price_e4 is None:
        raise BrokerRefusedError(f"`margin`: {order.security_id} has no price: give the order a limit or a quote")
    line = {
        "exchangeSegment": order.exchange_segment, "transactionType": order.side, "quantity": order.quantity,
        "productType": order.product, "securityId": order.security_id, "price": portfolio.as_number(price_e4),
    }  # fmt: skip
    if order.trigger_price_e4:
        line["triggerPrice"] = portfolio.as_number(order.trigger_price_e4)
    return line


def _single(line: dict[str, Any]) -> dict[str, Any]:
    return {
        "security_id": line["securityId"], "exchange_segment": line["exchangeSegment"],
        "transaction_type": line["transactionType"], "quantity": line["quantity"], "product_type": line["productType"],
        "price": line["price"], "trigger_price": line.get("triggerPrice", 0),
    }  # fmt: skip
