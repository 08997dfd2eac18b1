"""
A market of round prices for tests of exposure: every figure of a table can be worked out in the head.

HDFCBANK trades at 100, its future (lot 5) at 101; NIFTY stands at 250, its future (lot 25) at 251. A NIFTY call of
strike 240 costs 12, the put 4. CRUDE is quoted at 50 and stands for 100 rupees a point.
"""

from __future__ import annotations

from riskguard.core.account import Account, PnlReading
from riskguard.core.book import Line, Working
from riskguard.core.instrument import Instrument
from riskguard.core.order import Order
from riskguard.core.quote import Quote
from tests.core.builders import NOW, SHARE, account, inr, option, order_of

FUTURE = Instrument("NSE_FNO", "35001", "NIFTY-FUT", "FUTIDX", lot_size=25, underlying="NIFTY", expiry="2024-06-27")
STOCK_FUTURE = Instrument(
    "NSE_FNO", "36001", "HDFCBANK-FUT", "FUTSTK", lot_size=5, underlying="HDFCBANK", expiry="2024-06-27"
)
CALL = option("50001", strike_e4=inr("240"))
NEAR_CALL = option("50003", expiry="2024-06-13", strike_e4=inr("240"))
PUT = option("50002", kind="PE", strike_e4=inr("240"))
CRUDE = Instrument("MCX_COMM", "77", "CRUDEOIL", "FUTCOM", multiplier=100, underlying="CRUDEOIL")

BY_NAME = {
    "share": SHARE, "fut": FUTURE, "stockfut": STOCK_FUTURE, "ce": CALL, "near": NEAR_CALL, "pe": PUT, "crude": CRUDE,
}  # fmt: skip
PRICES = {"share": "100", "fut": "251", "stockfut": "101", "ce": "12", "near": "12", "pe": "4", "crude": "50"}


def at(price: str, age_s: int = 0) -> Quote:
    return Quote.of(ltp=price, at_us=NOW - age_s * 1_000_000)


def holding(book: str, name: str = "leader", *, unpriced: str = "") -> Account:
    """
    An account that holds *book*: `share 60 +10 -90 MARGIN; ce -25` is 60 shares in MARGIN with 10 bought and 90 sold
    working, and a short call. `-` is an empty book. What *unpriced* names has no quote.
    """
    made = account(opening_equity_e4=inr("1000"))
    made.name = name
    made.instruments = {each.key: each for each in BY_NAME.values()}
    made.quotes = {BY_NAME[each].key: at(price) for each, price in PRICES.items() if each not in unpriced.split()}
    made.spots = {} if "NIFTY" in unpriced else {"NIFTY": at("250")}
    made.pnl = PnlReading(0, NOW, fresh_marks=True)
    for each in book.split(";") if book != "-" else ():
        word, net, *rest = each.split()
        product = next((part for part in rest if part.isalpha()), "INTRADAY")
        line = Line(product, start=int(net), seen=int(net), seen_us=NOW)
        for number, part in enumerate(part for part in rest if not part.isalpha()):
            sign = 1 if part.startswith("+") else -1
            line.working[f"w{number}"] = Working(f"w{number}", sign, abs(int(part)), reducing=False)
        made.positions.setdefault(BY_NAME[word].key, {})[product] = line.refresh()
    return made


def asking(text: str) -> Order:
    """`BUY 10 share 100` is an order: a limit order at the price, MARKET for `-`; a last word names the product."""
    side, quantity, word, price, *product = text.split()
    return order_of(
        BY_NAME[word], side, int(quantity), None if price == "-" else price, product=(product or ["INTRADAY"])[0]
    )


def working(sign: int, remaining: int, price: str | None = None, **more: object) -> Working:
    """A working order; prices in rupees."""
    fields = {name: inr(str(value)) if name.endswith("_e4") else value for name, value in more.items()}
    key = str(fields.pop("key", f"k{sign}-{remaining}-{price}"))
    return Working(key, sign, remaining, **{"reducing": False, "price_e4": inr(price) if price else None, **fields})  # type: ignore[arg-type]
