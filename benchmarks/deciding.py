"""`Order` and `decide`: microseconds on values alone, no database."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from benchmarks.measure import FLAT_RATIO_MAX, ON_THE_CORE, Row, interleaved, median, percentile, quiet, timed
from benchmarks.stage import ACCOUNT, START_US, add_closed_positions, build, order, rulebook
from riskguard.core.account import Account
from riskguard.core.decide import decide
from riskguard.core.order import Order
from riskguard.store import loader
from riskguard.store.session import Store

BATCH = 200
ROUNDS = 200
SINGLES = 20_000

SEGMENT_SCOPES = ("ACCOUNT", "SEGMENT:NSE_EQ", "INSTRUMENT:NSE_EQ:1333")


def rows(directory: Path) -> list[Row]:
    """Measure `Order` + `decide` with ten and thirty limits, refused, out of scope, and with a long closed book."""
    accounts = {
        "ten": account_of(directory / "ten", rulebook()),
        "thirty": account_of(directory / "thirty", rulebook(SEGMENT_SCOPES)),
        "others": account_of(directory / "others", rulebook(others=1_000)),
        "closed": account_of(directory / "closed", rulebook(), closed=2_000),
    }
    for name, account in accounts.items():
        assert decide(order("a"), account, START_US).approved, name
        assert not decide(order("a", 100), account, START_US).approved, name
    runs = {name: batch(account) for name, account in accounts.items()}
    runs["refused"] = batch(accounts["ten"], quantity=100)
    runs["floor"] = _empty_calls
    times = {name: median(each) / BATCH for name, each in interleaved(ROUNDS, ON_THE_CORE, **runs).items()}
    with quiet():
        ask = _one(accounts["ten"])
        singles = [timed(ask, ON_THE_CORE) for _ in range(SINGLES)]
    floor = f"ten empty Python calls: {times['floor']:.2f} µs"
    why = "`Order` 35 %, half of it Python's call of a class by keyword; the facts 16 %, the questions 29 %, the rest 20 %"
    return [
        Row("Order + decide, ten checks", times["ten"], "µs", 4.0, floor, why),
        Row("Order + decide, thirty checks", times["thirty"], "µs", 12.0, floor, "the fixed part of an order, as above"),
        Row("… ten checks, p99 ÷ p50", percentile(singles, 99) / percentile(singles, 50), "×", 3.0, "one call at a time"),
        Row("… ten checks, refused ÷ approved", times["refused"] / times["ten"], "×", 1.5, f"refused: {times['refused']:.2f} µs"),
        Row("… 1,000 limits out of scope", times["others"] / times["ten"], "×", FLAT_RATIO_MAX, "none out of scope"),
        Row("… 2,000 closed positions", times["closed"] / times["ten"], "×", FLAT_RATIO_MAX, "none closed"),
    ]  # fmt: skip


def account_of(directory: Path, text: str, *, closed: int = 0) -> Account:
    stage = build(directory, text)
    if closed:
        add_closed_positions(stage, closed)
    store = Store(stage.url)
    try:
        with store.session(durable=False) as session:
            session.read_heads(ACCOUNT)
            loaded = loader.load(session, ACCOUNT, "", START_US)
            loader.know_instrument(session, loaded, ("NSE_EQ", "1333"))
            store.roll_back(session)
    finally:
        store.close()
    return loaded.account


PRICES = tuple(f"{1600 + n}.{5 * (n % 20):02d}" for n in range(BATCH))
"""A day quotes the same few thousand ticks again and again; a price is parsed once and remembered."""


def _fields(number: int, quantity: int) -> dict[str, object]:
    return {
        "account": ACCOUNT, "client_order_id": f"d{number}", "exchange_segment": "NSE_EQ", "security_id": "1333",
        "side": "BUY", "product": "INTRADAY", "order_type": "LIMIT", "quantity": quantity, "price": PRICES[number],
        "strategy": "bench",
    }  # fmt: skip


def batch(account: Account, quantity: int = 10) -> Callable[[], None]:
    """Build an order as a strategy does, keyword by keyword, and decide on it; BATCH times."""

    def run() -> None:
        for number in range(BATCH):
            decide(
                Order(
                    account=ACCOUNT, client_order_id="d1", exchange_segment="NSE_EQ", security_id="1333", side="BUY",
                    product="INTRADAY", order_type="LIMIT", quantity=quantity, price=PRICES[number], strategy="bench",
                ),
                account,
                START_US,
            )  # fmt: skip

    return run


def _one(account: Account) -> Callable[[], object]:
    fields = _fields(1, 10)
    return lambda: decide(Order(**fields), account, START_US)  # type: ignore[arg-type]


def _empty_calls() -> None:
    for _ in range(BATCH):
        for _ in range(10):
            _nothing(None, None)


def _nothing(_facts: object, _params: object) -> None:
    return None
