"""
What a local Dhan server plays: the account it begins with, how it behaves, and what goes wrong when.

A scenario is a value, written in Python or read from TOML; every key is optional and every figure is bounded.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import UnionType
from typing import Any, Final, Literal, Union, get_args, get_origin, get_type_hints

from riskguard.core.money import to_e4
from riskguard.errors import SettingsError, shown

CLIENT_ID: Final = "1100099001"
TOKEN: Final = "sandbox-token-of-1100099001"
SECONDS_MAX: Final = 120.0
ENTRIES_MAX: Final = 10_000

HOWS: Final = frozenset(
    {
        "slow",  # answers rightly, after `seconds`
        "trickle",  # a byte at a time, `seconds` apart: no single read is ever late
        "reset_before",  # the connection is reset and nothing was done
        "reset_after",  # it was done, and the connection is reset
        "close_after",  # it was done, and the connection is closed without a word
        "truncated",  # it was done; the body is cut in the middle
        "html",  # it was not done; a page of a load balancer, with status 200
        "html_502",  # it was done; the page says 502
        "empty",  # it was done; the success has no body
        "empty_before",  # it was not done; the success has no body
        "error_inside",  # it was not done; 200, and the body says ERROR
        "error_list",  # it was not done; 200, and a list of one ERROR
        "error_text",  # it was not done; 200, and Dhan's shape of an error
        "redirect",  # it was not done; 301 to elsewhere
        "duplicate",  # every row of the list comes twice
        "unknown_status",  # every status is a word nobody knows
        "blank_data",  # it was done; the body is an empty text
        "nan",  # numbers of the body are NaN
        "text_numbers",  # numbers of the body are texts
        "missing_rows",  # an empty list, whatever there is
        "server_error",  # it was not done; 500 with DH-908
        "server_error_after",  # it was done; 500 with DH-908
        "unreachable",  # it was not done; 400 with DH-909
        "gateway_404",
        "DH-901", "DH-902", "DH-903", "DH-904", "DH-905", "DH-906", "DH-907", "DH-910", "DH-911", "DH-1111",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Fault:
    """
    One thing that goes wrong.

    Args:
        call: The endpoint as the server names it: `POST /orders`, `DELETE /orders/{id}`, `*` for each.
        how: A word of `HOWS`. on: Which calls of that endpoint, from 1; empty: each one.
        seconds: For `slow` and `trickle`.
    """

    call: str
    how: str
    on: tuple[int, ...] = ()
    seconds: float = 0.5

    def __post_init__(self) -> None:
        if self.how not in HOWS:
            raise SettingsError(f"fault `how` = {shown(self.how)}: wants one of {', '.join(sorted(HOWS))}")
        if not 0 <= self.seconds <= SECONDS_MAX:
            raise SettingsError(f"fault `seconds` = {shown(self.seconds)}: wants 0 to {SECONDS_MAX:g}")


@dataclass(frozen=True, slots=True)
class OpeningQuote:
    """A price the market begins with; rupees as text."""

    segment: str
    security_id: str
    ltp: str
    bid: str = ""
    ask: str = ""

    def __post_init__(self) -> None:
        _rupees(self, "ltp")
        _rupees(self, "bid", empty=True)
        _rupees(self, "ask", empty=True)


@dataclass(frozen=True, slots=True)
class OpeningPosition:
    """A position carried in, long > 0 or short < 0, at its cost."""

    segment: str
    security_id: str
    product: str
    quantity: int
    price: str
    symbol: str = "SAMPLECO"

    def __post_init__(self) -> None:
        _rupees(self, "price")


@dataclass(frozen=True, slots=True)
class OpeningHolding:
    """Shares in the demat account."""

    security_id: str
    isin: str
    quantity: int
    price: str
    symbol: str = "SAMPLECO"
    collateral: int = 0
    t1: int = 0

    def __post_init__(self) -> None:
        _rupees(self, "price")


@dataclass(frozen=True, slots=True)
class Voucher:
    """A line of the ledger: ISO date, rupees as text."""

    date: str
    description: str
    number: str
    debit: str = "0.00"
    credit: str = "0.00"
    narration: str = ""


@dataclass(frozen=True, slots=True)
class Scenario:
    """
    Args:
        client_id, token: Whom the server knows. token_life_s: Seconds until DH-901; 0: it lives on.
        available: Rupees the account begins with.
        transit_s: How long a new order is TRANSIT. position_lag_s: How old the position list is.
        fill_quantity_max: Units an order gets per quote; 0: all of it at once.
        protection_bps: How far from the last price a MARKET order becomes a resting LIMIT.
        ip_registered: False: every write is refused for its address.
        rate_limits: Whether 10 a second, 250 a minute, 1000 an hour and 7000 a day hold for writes, 20 a second for reads.
        kill_refusal: How the kill switch says that it will not: an error, or a sentence with status 200.
        exit_all_reply: What DELETE /positions answers with. exit_all_cancels: Whether it cancels open orders too.
        loss_sign: Which sign of lossValue POST /pnlExit takes.
        margin_multi_reply: The shape of the answer to a basket.
        shared_leg_ids: Whether the legs of a super order carry the entry's id, as the documented sample shows.
        legs_in_book: Whether legs show in the order book, too.
        no_holdings_is_error: Without holdings: HTTP 500 with DH-1111, as live, or an empty list.
        by_id_is_list: Whether GET /orders/{id} and GET /trades/{id} answer a list.
        segments: What the profile says may be traded.
    """

    client_id: str = CLIENT_ID
    token: str = TOKEN
    token_life_s: float = 0
    available: str = "1000000"
    transit_s: float = 0
    position_lag_s: float = 0
    fill_quantity_max: int = 0
    protection_bps: int = 300
    ip_registered: bool = True
    rate_limits: bool = True
    kill_refusal: Literal["error", "sentence"] = "error"
    exit_all_reply: Literal["object", "empty", "plain"] = "object"
    exit_all_cancels: bool = True
    loss_sign: Literal["negative", "positive"] = "negative"
    margin_multi_reply: Literal["camel", "snake"] = "snake"
    shared_leg_ids: bool = False
    legs_in_book: bool = True
    no_holdings_is_error: bool = True
    by_id_is_list: bool = True
    segments: str = "E, D, C, M, "
    quotes: tuple[OpeningQuote, ...] = ()
    positions: tuple[OpeningPosition, ...] = ()
    holdings: tuple[OpeningHolding, ...] = ()
    ledger: tuple[Voucher, ...] = ()
    faults: tuple[Fault, ...] = field(default=())

    def __post_init__(self) -> None:
        for name in ("token_life_s", "transit_s", "position_lag_s"):
            if not 0 <= getattr(self, name) <= (SECONDS_MAX if name != "token_life_s" else 90_000):
                raise SettingsError(f"`{name}` = {shown(getattr(self, name))}: out of its range")
        for name, most in (("fill_quantity_max", 10**9), ("protection_bps", 5_000)):
            if not 0 <= getattr(self, name) <= most:
                raise SettingsError(f"`{name}` = {shown(getattr(self, name))}: wants 0 to {most}")
        _rupees(self, "available")
        if not self.client_id or not self.token:
            raise SettingsError("`client_id` and `token` want a word each")

    @property
    def token_life(self) -> float | None:
        return self.token_life_s or None


def read_scenario(path: Path) -> Scenario:
    """
    Read a scenario from TOML: the names of `Scenario`, its lists as tables (`[[quotes]]`, `[[faults]]`, …).

    Raises SettingsError naming the file, the key and what it wants.
    """
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as e:
        raise SettingsError(f"scenario `{path}` cannot be read: {e.strerror or e}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as e:
        raise SettingsError(f"scenario `{path}` is no TOML: {e}") from None
    try:
        made: Scenario = _build(Scenario, given, "")
    except SettingsError as e:
        raise SettingsError(f"scenario `{path}`: {e}") from None
    return made


def _build(kind: Any, given: Any, place: str) -> Any:
    """Return a value of the dataclass *kind* from a table; every wrong key and type is named by its *place*."""
    if not isinstance(given, dict):
        raise SettingsError(f"`{place}` wants a table")
    hints, known = get_type_hints(kind), {each.name for each in fields(kind)}
    for name in given:
        if name not in known:
            raise SettingsError(f"`{place}{name}` is no key here; there are {', '.join(sorted(known))}")
    values = {name: _value(hints[name], value, f"{place}{name}") for name, value in given.items()}
    try:
        return kind(**values)
    except TypeError as e:
        raise SettingsError(f"`{place.rstrip('.') or 'the file'}`: {str(e).partition(') ')[2] or e}") from None


def _value(hint: Any, value: Any, place: str) -> Any:
    origin, inner = get_origin(hint), get_args(hint)
    if origin is tuple:
        if not isinstance(value, list) or len(value) > ENTRIES_MAX:
            raise SettingsError(f"`{place}` wants a list")
        item = inner[0]
        if item is int:
            return tuple(_value(int, each, place) for each in value)
        return tuple(_build(item, each, f"{place}[{n}].") for n, each in enumerate(value))
    if origin is Literal:
        if value not in inner:
            raise SettingsError(f"`{place}` = {shown(value)}: wants one of {', '.join(inner)}")
        return value
    if origin in (Union, UnionType):  # pragma: no cover - no field has one
        raise SettingsError(f"`{place}` cannot be read from a file")
    if hint is float and type(value) is int:
        return float(value)
    if type(value) is not hint:
        raise SettingsError(f"`{place}` = {shown(value)}: wants {hint.__name__}")
    return value


def _rupees(owner: object, name: str, *, empty: bool = False) -> None:
    text = getattr(owner, name)
    if empty and text == "":
        return
    try:
        to_e4(text)
    except ValueError as e:
        raise SettingsError(f"`{name}` = {shown(text)}: {e}") from None
