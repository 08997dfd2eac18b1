"""
The whole door under nonsense: 20,000 orders of anything, through `Order` and `guard.check`.

Each is either refused when it is built, with the one typed error, or answered: never an untyped exception, never an
approval of something that is not a finite, whole, positive number inside its range.
"""

from __future__ import annotations

import math
import random
from decimal import Decimal
from typing import Any

import pytest

from riskguard.core.order import QUANTITY_MAX, Order
from riskguard.core.quote import Quote
from riskguard.errors import InputError, OrderInvalidError, UnknownAccountError
from riskguard.services import overview
from tests.core.builders import limit
from tests.reliability.claiming import Claims
from tests.services.desk import ACCOUNT, SECOND, Desk

SEED = 20250602


class Text(str):
    """A string that lies about itself."""

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 7


class Whole(int):
    """An integer that is another when asked."""

    def __lt__(self, other: object) -> bool:
        return True


class Hostile:
    """Every protocol raises."""

    def __str__(self) -> str:
        raise RuntimeError("no")

    __repr__ = __str__

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no")

    def __hash__(self) -> int:
        raise RuntimeError("no")

    def __bool__(self) -> bool:
        raise RuntimeError("no")


class Fields(dict[str, Any]):
    """A mapping that says one thing when it is read by name and another when it is walked through."""

    def __getitem__(self, name: str) -> Any:
        return "SELL" if name == "side" else 10**30

    def get(self, name: str, default: Any = None) -> Any:
        return self[name]


class Broken(dict[str, Any]):
    """A mapping that cannot be walked through."""

    def __iter__(self) -> Any:
        raise RuntimeError("no")

    def keys(self) -> Any:
        raise RuntimeError("no")


UNCHECKED = limit("order_quantity", quantity_max=1, unit="units").params.model_construct(quantity_max="∞", unit=None)
"""A model nobody validated."""

ANYTHING: list[Any] = [
    None, True, False, 0, -1, 1, -0.0, 0.1, 1e400, -1e400, math.nan, math.inf, 10**30, 2**63, -(2**63), 10**5000,
    Decimal("NaN"), Decimal("sNaN"), Decimal("Infinity"), Decimal("-0"), Decimal("1E+999999"), Decimal("1E-999999"),
    Decimal("1650.05"), "", " ", "nan", "inf", "1e400", "-0", "+1", "1_000", "1650.00", "١٢٣", "1.00001", "0x10", "\x00", "a\nb",
    "leader\n", "\ud800", "\u202eleader", "x" * 100_000, "'; DROP TABLE decisions; --", "../../etc/passwd", "~", "%00",
    b"bytes", bytearray(b"x"), [], [1], {}, {"a": 1}, (), set(), object(), Hostile(), Text("BUY"), Whole(5), lambda: 1, int,
    1.0, 1j, float("1650"), memoryview(b"x"), range(3), NotImplemented, ...,
    Fields(side="BUY"), Broken(a=1), UNCHECKED,
]  # fmt: skip

USUAL: dict[str, list[Any]] = {
    "account": [ACCOUNT] * 20 + ["laeder"],
    "exchange_segment": ["NSE_EQ"] * 8 + ["NSE_FNO", "BSE_EQ", "MCX_COMM", "IDX_I"],
    "security_id": ["1333"] * 6 + ["2885", "35001", "50001", "404"],
    "side": ["BUY", "SELL"],
    "product": ["INTRADAY"] * 4 + ["CNC", "MARGIN", "MTF", "CO", "BO"],
    "order_type": ["LIMIT"] * 4 + ["MARKET", "STOP_LOSS", "STOP_LOSS_MARKET"],
    "quantity": [1, 2, 10, 25, 100, QUANTITY_MAX],
    "price": ["100", "100.05", "100.03", 100, Decimal("99.95"), None, "10000000", "0.05"],
    "trigger_price": [None] * 6 + ["99", "101"],
    "client_order_id": [None] * 4 + ["a", "b", "c" * 64],
    "validity": ["DAY"] * 5 + ["IOC"],
    "strategy": ["", "s1", "s2"],
    "disclosed_quantity": [0] * 6 + [1, 5],
    "exit_group": [""] * 6 + ["g"],
    "quote": [None] * 6 + [Quote(1_000_000, None, None, 1)],
}


def proposal(chance: random.Random) -> dict[str, Any]:
    """Return the arguments of an order: some usual, some nonsense, some missing, some that do not exist."""
    wild = chance.choice((0.0, 0.05, 0.3))
    fields = {
        name: chance.choice(ANYTHING) if chance.random() < wild else chance.choice(usual)
        for name, usual in USUAL.items()
    }
    if chance.random() < wild / 4:
        del fields[chance.choice(sorted(fields))]
    if chance.random() < wild / 8:
        fields["qty"] = 5
    return fields


def asked(desk: Desk, fields: dict[str, Any], chance: random.Random) -> str:
    """Put one proposal to the guard; returns what came of it. Anything untyped fails the test."""
    try:
        order = Order.from_mapping(fields) if chance.random() < 0.5 else Order(**fields)
    except InputError:
        return "malformed"
    except TypeError as e:
        # Python's own answer to a call without, or with an unknown, argument.
        assert "argument" in str(e), e
        return "malformed"
    assert type(order.quantity) is int and 0 < order.quantity <= QUANTITY_MAX
    assert order.price_e4 is None or (type(order.price_e4) is int and order.price_e4 > 0)
    try:
        decision = desk.guard.check(order)
    except UnknownAccountError:
        return "unknown account"
    assert decision.recorded, decision.explain()
    if not decision.approved:
        assert decision.rejects and all(each.message for each in decision.rejects)
        assert "CHECK_BROKEN" not in {each.code.value for each in decision.rejects}, decision.explain()
        return "refused"
    assert order.account == ACCOUNT and math.isfinite(order.quantity)
    return "approved"


@pytest.mark.claim("I9", "orders of anything through the whole door", of="orders", ci=20_000, soak=200_000, seconds=75)
def test_nothing_but_the_typed_error_or_an_answer(desk: Desk, caplog: pytest.LogCaptureFixture, claim: Claims) -> None:
    """Seeded, so that a failure comes back; the journal it leaves verifies and replays."""
    chance = random.Random(SEED)
    desk.hold(100)
    found: dict[str, int] = {}
    orders = claim("I9").figure
    for number in range(orders):
        fields = proposal(chance)
        came = asked(desk, fields, chance)
        found[came] = found.get(came, 0) + 1
        if number % 50 == 0:
            desk.clock.advance(0.7)
        if number % 2_000 == 0:
            desk.sweep(11)  # permits nobody sent expire, as they would
            desk.quote("100")

    claim("I9").trials(orders)
    claim("I9").counted(**{name.replace(" ", "_"): count for name, count in found.items()})
    assert min(found.get(each, 0) for each in ("malformed", "refused", "approved")) > orders // 100, found
    assert not [record for record in caplog.records if record.exc_info], "a check broke"
    for entry in overview.verify(desk.store):
        assert (entry["wrong"], entry["replay_disagrees"]) == (None, [])


@pytest.mark.parametrize("kind", [Fields, Broken], ids=["lies", "breaks"])
def test_a_mapping_that_is_none_is_refused_or_read_as_one_order(desk: Desk, kind: type[dict[str, Any]]) -> None:
    """However it answers: the one typed error, or an order that is what its check was asked about."""
    usual = {name: values[0] for name, values in USUAL.items()}
    try:
        order = Order.from_mapping(kind(usual))
    except InputError as e:
        assert str(e).isprintable()
        return
    assert 0 < order.quantity <= QUANTITY_MAX and order.side in ("BUY", "SELL")
    assert desk.guard.check(order).recorded


FIELDS = sorted(USUAL)


@pytest.mark.parametrize("field", FIELDS)
def test_every_nonsense_in_every_field(desk: Desk, field: str) -> None:
    """One field at a time, everything else as it should be: refused when it is built, or a value of that very kind."""
    usual = {name: values[0] for name, values in USUAL.items()} | {"order_type": "LIMIT", "price": "100", "quantity": 1}
    for number, nonsense in enumerate(ANYTHING):
        try:
            order = Order(**{**usual, field: nonsense})
        except OrderInvalidError as e:
            assert e.field == field or (field, e.field) in (("order_type", "price"), ("order_type", "trigger_price")), (
                nonsense
            )
            assert len(str(e)) < 500 and "\n" not in str(e) and str(e).isprintable()
            continue
        kept = getattr(order, field if field not in ("price", "trigger_price") else f"{field}_e4")
        assert type(kept) in (str, int, type(None), Quote), (nonsense, kept)
        if order.account == ACCOUNT:
            decision = desk.guard.check(order.replaced(client_order_id=f"{field}-{number}", strategy=f"n{number}"))
            assert decision.recorded


def test_nonsense_pushed_as_a_quote_leaves_the_one_before(desk: Desk) -> None:
    """NaN, negative, crossed, from the future: the typed error, and the mark that stood stands."""
    desk.guard.quote("NSE_EQ", "1333", ltp="100")
    before = desk.guard.held_quote(("NSE_EQ", "1333"))
    for nonsense in ANYTHING:
        if nonsense is None or (type(nonsense) is int and 0 < nonsense < 10**7):
            continue
        try:
            made = desk.guard.quote("NSE_EQ", "1333", ltp=nonsense)
        except InputError:
            assert desk.guard.held_quote(("NSE_EQ", "1333")) is before
        else:
            assert made.ltp_e4 is not None and made.ltp_e4 > 0
            desk.clock.advance(1)
            before = desk.guard.quote("NSE_EQ", "1333", ltp="100")
    with pytest.raises(InputError):
        desk.guard.quote("NSE_EQ", "1333", bid="101", ask="100")
    assert desk.clock.now_us() > SECOND


def test_the_control_a_broken_check_would_be_seen(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the fuzz looks for can happen: a check that raises is answered `CHECK_BROKEN`, and the fuzz fails on it."""
    from riskguard.store import loader

    def broken(*args: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(loader, "know_instrument", broken)
    fields = {name: values[0] for name, values in USUAL.items()}
    with pytest.raises(AssertionError):
        asked(desk, fields, random.Random(1))
