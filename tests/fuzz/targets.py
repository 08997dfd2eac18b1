"""
What is fuzzed: everything that comes in as bytes. A target takes any bytes and returns; it raises where a promise is broken.

`rulebook` reads TOML, `message` what the broker streams or posts about orders, `order` a proposal as JSON up to its decision,
`webhook` a posted body with its headers, up to the database. `TARGETS` names them; `opened` gives one ready to be called.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator
from typing import Any, Final

from riskguard.core.decide import decide
from riskguard.core.limits import LimitSet
from riskguard.core.order import QUANTITY_MAX, Order
from riskguard.core.rulebook import parse
from riskguard.errors import InputError, RulebookError
from riskguard.feeds.dhan_events import read_postback, read_stream
from tests.core.builders import NOW, SHARE, account, limit, line, mandatory, quote

Target = Callable[[bytes], None]
BYTES_MAX: Final = 4_096
STATUSES: Final = (200, 400, 401, 413, 429)


def text_of(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def rulebook(data: bytes) -> None:
    """Read as a rulebook, or refused in one line."""
    read_rulebook(text_of(data))


def read_rulebook(text: str) -> bool:
    """Read one; says whether it stood. What stands has a number, finite and above zero, wherever there is one to have."""
    try:
        book = parse(text, account="leader", author="desk")
    except RulebookError as e:
        said = str(e)
        assert said and len(said) < 2_000 and "Traceback" not in said, said
        return False
    for each in book.limits:
        for name, value in each.params.model_dump().items():
            if isinstance(value, int) and name.endswith(("_max", "_s")):
                assert 0 <= value < 10**20, (each.id, name, value)
    return True


def message(data: bytes) -> None:
    """News, nothing, or a problem in words: as the stream's and as the webhook's."""
    read_news(text_of(data))


def read_news(body: str) -> None:
    """Read one as the stream's and as the webhook's; what is news names an order and its state, in whole numbers."""
    for read in (read_stream, read_postback):
        found = read(body)
        if found.news is not None:
            assert found.news.order_id and found.news.status
            for number in (found.news.quantity, found.news.filled):
                assert number is None or (type(number) is int and 0 <= number < 10**18), found.news


def order(data: bytes) -> None:
    """A proposal as JSON: malformed with the one typed error, refused, or approved inside every limit."""
    try:
        fields = json.loads(data)
    except (ValueError, RecursionError):
        return
    if not isinstance(fields, dict):
        return
    try:
        made = Order.from_mapping(fields)
    except InputError as e:
        assert str(e) and str(e).isprintable(), str(e)
        return
    for of, held in _books():
        decision = decide(made, of, NOW)
        codes = [each.code.value for each in decision.rejects]
        assert "CHECK_BROKEN" not in codes, decision.explain()
        assert decision.approved or codes
        if decision.approved:
            assert type(made.quantity) is int and 0 < made.quantity <= QUANTITY_MAX
            if made.instrument == SHARE.key and made.product == "INTRADAY":
                assert abs(held + made.sign * made.quantity) <= max(100, abs(held)), made


_made: list[tuple[Any, int]] = []


def _books() -> list[tuple[Any, int]]:
    if not _made:
        limits = LimitSet((*mandatory(), limit("net_position", position_max="100", unit="units")))
        for held in (0, 60, -60):
            _made.append((account(line(held), limits=limits, quoted=quote("99.95", "100", "100.05")), held))
    return _made


@contextlib.contextmanager
def webhook() -> Iterator[Target]:
    """
    Bytes posted to a real webhook with its real database; the first line of the data is taken for headers.

    Every answer has a status of its own, never 500, and no reservation moves by anything that is posted.
    """
    from riskguard.store.secrets import keys as sources
    from tests.services.desk import Clock, Desk, build
    from tests.services.test_webhook import Hook
    from tests.simulator.world import quick_directory

    with quick_directory() as directory:
        os.environ["RISKGUARD_HOME"] = str(directory / "home")
        desk = Desk(build(directory / "desk"), Clock())
        desk.sweep()
        sources.create_file()
        hook = Hook(desk)
        try:
            hook.new_secret()
            (door,) = hook.doors.standing()
            decision = desk.guard.check(desk.order())
            assert decision.approved

            def post(data: bytes) -> None:
                head, _, body = data.partition(b"\n")
                names = ("webhook-id", "webhook-timestamp", "webhook-signature", "content-type")
                headers = dict(zip(names, text_of(head).split("\t"), strict=False))
                desk.clock.skipped_us += 1_000_000  # room for the next one
                answer = hook.webhook.take(door, headers, body, "192.0.2.1")
                assert answer.status in STATUSES, answer
                assert desk.permit(str(decision.client_order_id)) == "GRANTED"

            yield post
        finally:
            hook.close()
            desk.close()


TARGETS: Final = ("rulebook", "message", "order", "webhook")


@contextlib.contextmanager
def opened(name: str) -> Iterator[Target]:
    """Yield the target of this name, ready to be called."""
    if name == "webhook":
        with webhook() as post:
            yield post
    else:
        yield {"rulebook": rulebook, "message": message, "order": order}[name]
