"""
The slow way: prices asked for, `POST /marketfeed/quote`, at most a thousand instruments and one call a second.

Numbers are read as decimals, never as floats. An instrument the answer leaves out has no price; an answer that is none raises.
The class of this call has its own limit, one a second for the whole account: it takes nothing from orders and exits.
"""

from __future__ import annotations

import datetime as dt
import http.client
import json
import ssl
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal, InvalidOperation
from typing import Any, Final
from urllib.parse import urlsplit

from riskguard.core.calendar import IST_OFFSET_US
from riskguard.core.money import PRICE_MAX_E4, SCALE
from riskguard.core.ticks import Tick
from riskguard.errors import BrokerRefusedError, BrokerUnavailableError, BrokerUnconfirmedError
from riskguard.feeds.market.access import QUOTES_URL, Ask, checked_url
from riskguard.feeds.market.book import Key
from riskguard.ports import Clock
from riskguard.redaction import redacted, remember

BATCH: Final = 1_000
TIMEOUT_S: Final = 3.0
BODY_BYTES_MAX: Final = 16 * 1024 * 1024
SHOWN_MAX: Final = 120
EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
TIMES: Final = ("%d/%m/%Y %H:%M:%S", "%Y-%m-%d %H:%M:%S")
"""How the last trade's time was seen written, in India."""


def _uncounted() -> None:
    """Nobody counts requests."""


class QuoteReader:
    """Asks for quotes on one connection, kept open; for one thread."""

    def __init__(
        self, ask: Ask, clock: Clock, *, url: str = QUOTES_URL, timeout_s: float = TIMEOUT_S,
        on_call: Callable[[], None] = _uncounted,
    ) -> None:  # fmt: skip
        """*on_call* is called before each request leaves. Raises SettingsError for a host a token may not go to."""
        self._ask, self.clock, self._timeout_s, self._on_call = ask, clock, timeout_s, on_call
        self._parts = urlsplit(checked_url(url))
        self._connection: http.client.HTTPConnection | None = None

    def read(self, keys: Iterable[Key]) -> dict[Key, Tick]:
        """
        Return a tick for each of *keys* the answer has; at most a thousand are asked for.

        Raises:
            BrokerRefusedError: The server said no (token, data plan, too many calls); the code stands in the message.
            BrokerUnconfirmedError: No answer, or one that cannot be read. BrokerUnavailableError: not reached.
        """
        asked: dict[str, list[int]] = {}
        for segment, security in sorted(set(keys))[:BATCH]:
            if security.isascii() and security.isdigit():
                asked.setdefault(segment, []).append(int(security))
        if not asked:
            return {}
        answer = self._post("/marketfeed/quote", asked)
        received_us = self.clock.now_us()
        return {key: _tick(row, received_us) for key, row in _rows(answer)}

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _post(self, path: str, asked: dict[str, list[int]]) -> Any:
        access = self._ask()
        remember(access.token)
        words = {
            "access-token": access.token, "client-id": access.client_id, "Content-Type": "application/json",
            "Accept": "application/json",
        }  # fmt: skip
        try:
            connection = self._opened()
        except (OSError, http.client.HTTPException) as e:
            self.close()
            raise BrokerUnavailableError(f"quotes: not reached ({type(e).__name__})") from None
        self._on_call()
        try:
            connection.request("POST", self._parts.path + path, json.dumps(asked), words)
            answer = connection.getresponse()
            body = answer.read(BODY_BYTES_MAX + 1)
        except (OSError, http.client.HTTPException) as e:
            self.close()  # what is left of the answer must not be taken for the next one's
            raise BrokerUnconfirmedError(f"quotes: no answer ({type(e).__name__})") from None
        if len(body) > BODY_BYTES_MAX:
            self.close()
            raise BrokerUnconfirmedError("quotes: the answer is longer than any")
        return _parsed(answer.status, body)

    def _opened(self) -> http.client.HTTPConnection:
        if self._connection is None:
            host, port = self._parts.hostname or "", self._parts.port
            if self._parts.scheme == "https":
                context = ssl.create_default_context()
                self._connection = http.client.HTTPSConnection(host, port, timeout=self._timeout_s, context=context)
            else:
                self._connection = http.client.HTTPConnection(host, port, timeout=self._timeout_s)
            self._connection.connect()
        return self._connection


def _parsed(status: int, body: bytes) -> Any:
    """Return the document of an answer that says yes; errors come under any status, and in several shapes."""
    try:
        found = json.loads(body, parse_float=Decimal, parse_constant=_no_number)
    except (ValueError, RecursionError, InvalidOperation):  # an exponent may be longer than any number's
        raise BrokerUnconfirmedError(f"quotes: HTTP {status} without a readable answer") from None
    if not isinstance(found, dict):
        raise BrokerUnconfirmedError(f"quotes: HTTP {status} with something else than an object")
    code = found.get("errorCode")
    if code is None and found.get("status") != "success" and isinstance(found.get("data"), dict):
        code = next((each for each in found["data"] if str(each).isdigit()), None)
    if code is not None or status >= 400 or found.get("status") != "success":
        said = redacted(f"{code or ''} {found.get('errorMessage') or found.get('remarks') or ''}".strip())[:SHOWN_MAX]
        raise BrokerRefusedError(f"quotes: refused (HTTP {status}{f', {said}' if said else ''})")
    return found


def _no_number(name: str) -> None:
    """NaN and infinity are no prices: unknown."""


def _rows(answer: Any) -> Iterator[tuple[Key, dict[str, Any]]]:
    data = answer.get("data")
    if not isinstance(data, dict):
        raise BrokerUnconfirmedError("quotes: the answer has no data")
    for segment, rows in data.items():
        if not isinstance(rows, dict):
            raise BrokerUnconfirmedError("quotes: the answer's data is not by segment")
        for security, row in rows.items():
            if isinstance(row, dict):
                yield (str(segment), str(security)), row


def _tick(row: dict[str, Any], received_us: int) -> Tick:
    depth = row.get("depth")
    sides = depth if isinstance(depth, dict) else {}
    return Tick(
        _price_e4(row.get("last_price")), _best_e4(sides.get("buy")), _best_e4(sides.get("sell")),
        _traded_us(row.get("last_trade_time")), received_us, _price_e4(row.get("lower_circuit_limit")),
        _price_e4(row.get("upper_circuit_limit")),
    )  # fmt: skip


def _best_e4(levels: Any) -> int | None:
    first = levels[0] if isinstance(levels, list) and levels else None
    return _price_e4(first.get("price")) if isinstance(first, dict) else None


def _price_e4(value: Any) -> int | None:
    """Return a price of JSON as 1/10000 rupee, rounded to it; None for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    try:
        scaled = int((Decimal(value) * SCALE).to_integral_value())
    except (InvalidOperation, OverflowError):
        return None
    return scaled if 0 < scaled <= PRICE_MAX_E4 else None


def _traded_us(text: Any) -> int | None:
    """Return when the last trade was; None where the answer does not say, or in no way we know."""
    if not isinstance(text, str):
        return None
    for form in TIMES:
        try:
            told = dt.datetime.strptime(text.strip(), form).replace(tzinfo=dt.UTC)
        except ValueError:
            continue
        return (told - EPOCH) // dt.timedelta(microseconds=1) - IST_OFFSET_US
    return None
