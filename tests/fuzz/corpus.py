"""Where the fuzzing begins: real inputs of each target, the words they are made of, and mutations of both."""

from __future__ import annotations

import json
import random
from typing import Final

from riskguard.locate import folder, rulebook_text
from tests.feeds import messages
from tests.services.desk import rulebook

NUMBERS: Final = (
    "0", "-1", "-0", "1", "nan", "inf", "-inf", "1e400", "9" * 400, "1e-400", "0x10", "1_000", "1.00001", "9223372036854775808",
    "NaN", "Infinity", "-Infinity", "true", "false", "null", '""', "[]", "{}", '"∞"', "\x00", "\\u0000", "\\ud800", "\u202e", "\n",
)  # fmt: skip
TOML: Final = (
    "[[limit]]", "[limit]", "id = ", "check = ", "scope = ", "on_breach = ", "mode = ", "plan = ", "acknowledged_until = ", '"""',
    "'''", "= =", "#", "unlimited = true", "2025-06-02", "net_position", "daily_loss", "order_rate", "windows = ", "{ messages_max",
    "position_max", "_inr_max", '"shadow"', '"kill"', '"flatten"', "warn_at_pct", "GLOBAL", "SEGMENT:NSE_EQ", "INSTRUMENT:",
)  # fmt: skip
JSON: Final = (
    '"Data":', '"Type":', '"order_alert"', '"orderId":', '"orderNo":', '"orderStatus":', '"status":', '"TRADED"', '"REJECTED"',
    '"quantity":', '"tradedQty":', '"filled_qty":', '"price":', '"legName":', '"correlationId":', '"updateTime":', "[[[[",
    '{"Data":', '"2026-09-22 10:44:31"', '"transactionType":', '"B"', '"S"', '"exchangeSegment":', '"NSE_FNO"', '"side":',
    '"account":',
    '"leader"',     '"client_order_id":', '"product":', '"order_type":', '"trigger_price":', '"validity":', '"strategy":',
)  # fmt: skip
WORDS: Final[dict[str, tuple[str, ...]]] = {
    "rulebook": (*TOML, *NUMBERS), "message": (*JSON, *NUMBERS), "order": (*JSON, *NUMBERS), "webhook": (*JSON, *NUMBERS, "\t"),
}  # fmt: skip


def seeds(name: str) -> list[bytes]:
    """Return inputs that are as they should be, and a few that are not."""
    if name == "rulebook":
        texts = [rulebook_text(path.stem) for path in sorted(folder("rules").glob("*.toml"))] + [rulebook(), ""]
        # Whole books are long: their limits one by one get past the head quickly.
        texts += [f"[[limit]]{part}" for part in rulebook_text("default").split("[[limit]]")[1:]]
    elif name == "order":
        base = {
            "account": "leader", "exchange_segment": "NSE_EQ", "security_id": "1333", "side": "BUY", "product": "INTRADAY",
            "order_type": "LIMIT", "quantity": 10, "price": "100", "client_order_id": "a-1", "strategy": "s",
        }  # fmt: skip
        more: list[dict[str, object]] = [
            {}, {"quantity": 1e308}, {"price": None, "order_type": "MARKET"}, {"side": "SELL", "quantity": 60},
            {"order_type": "STOP_LOSS", "trigger_price": "99"}, {"disclosed_quantity": 5, "validity": "IOC"},
        ]  # fmt: skip
        texts = [json.dumps({**base, **each}) for each in more] + ["{}", "[]", "null"]
    else:
        texts = [
            json.dumps(messages.POSTBACK),
            messages.alert(),
            messages.alert(messages.PASCAL),
            "{}",
            "[" * 300,
            '{"Data":' * 300,
        ]
    lead = b"m1\t1758516271\tv1,abc\tapplication/json\n" if name == "webhook" else b""
    return [lead + text.encode() for text in texts]


def dictionary(name: str) -> str:
    """Return the words as libFuzzer reads them: one quoted text a line, anything unusual as hexadecimal."""
    lines = []
    for word in WORDS[name]:
        plain = "".join(
            chr(each) if 32 <= each < 127 and each not in b'"\\' else f"\\x{each:02x}" for each in word.encode()
        )
        lines.append(f'"{plain}"')
    return "\n".join(lines) + "\n"


def mutated(name: str, begun: list[bytes], chance: random.Random) -> bytes:
    """Return one of *begun* with one to five pieces cut, doubled, spliced, flipped, or replaced by a word."""
    data = chance.choice(begun)
    for _ in range(chance.randint(1, 5)):
        at = chance.randint(0, len(data))
        to = min(len(data), at + chance.choice((0, 0, 1, 4, 20, 200)))
        how = chance.randrange(6)
        if how == 0:
            piece = chance.choice(WORDS[name]).encode("utf-8", "surrogatepass")
        elif how == 1:
            piece = data[at:to] * 2
        elif how == 2:
            piece = b""
        elif how == 3:
            other = chance.choice(begun)
            begin = chance.randint(0, len(other))
            piece = other[begin : begin + chance.choice((5, 50, 500))]
        elif how == 4:
            piece = bytes(chance.randrange(256) for _ in range(chance.randint(1, 4)))
        else:
            piece = bytes(each ^ (1 << chance.randrange(8)) for each in data[at:to])
        data = data[:at] + piece + data[to:]
    return data
