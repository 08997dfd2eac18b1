"""An approval on a PostgreSQL of this machine beside the same statements in raw psycopg, interleaved."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.measure import Row, interleaved, median, percentile
from benchmarks.stage import ACCOUNT, order, rulebook
from riskguard import RiskGuard
from riskguard.services.settings import DatabaseSettings
from riskguard.services.setup import initialise
from riskguard.services.sweeps.sweeper import Sweeper
from riskguard.services.wiring import open_guard

ROUNDS = 400
DEADLINE_MS = 10_000

Sent = list[tuple[str, Any, dict[str, tuple[str, dict[str, Any]]]]]
"""Messages: text, values, and the statements that were written into it, by what stands there for them."""


def rows(directory: Path) -> list[Row]:
    """Measure on the server of the tests' wheel; nothing to measure on where it is not installed."""
    from tests.store import postgres

    try:
        postgres.binaries()
    except AssertionError:
        return []
    book = directory / "book.toml"
    book.write_text(rulebook())
    with postgres.database() as name:
        url = postgres.server().url(name)
        initialise(url, account=ACCOUNT, rulebook=str(book), settings=DatabaseSettings(profile="library"))
        found = {how: _measured(f"{url}{more}") for how, more in (("plain", ""), ("prepared", "&riskguard_prepare=on"))}
    approved, raw = median(found["plain"]["guard"]), median(found["plain"]["raw"])
    prepared, raw_prepared = median(found["prepared"]["guard"]), median(found["prepared"]["raw"])
    return [
        Row("PostgreSQL: approval ÷ same statements, raw", approved / raw, "×", 2.0, f"raw psycopg: {raw:.0f} µs",
            "the decision, the journal's body and hashes, flags and the deadline of each wait"),
        Row("PostgreSQL: approval, p50", approved, "µs", 1_000.0, f"p99: {percentile(found['plain']['guard'], 99):.0f} µs",
            "three round trips to a server on the same cores"),
        Row("PostgreSQL: approval with prepared statements, p50", prepared, "µs", None, f"raw psycopg: {raw_prepared:.0f} µs"),
    ]  # fmt: skip


def _measured(url: str) -> dict[str, list[float]]:
    """Time approvals, each undone by its owner, and the statements of one of them sent again and rolled back."""
    import psycopg

    from riskguard.store.engines import postgresql

    with open_guard(url, sweep=False, deadline_ms=DEADLINE_MS) as guard:
        guard.report_positions([], account=ACCOUNT)
        Sweeper(guard, ACCOUNT, None).sweep(now=True)
        numbers = itertools.count(0 if "prepare" not in url else 1_000_000)
        for _ in range(20):
            _approve(guard, numbers)()
        with _listening() as sent:
            _approve(guard, numbers)()
        threshold = 5 if "riskguard_prepare=on" in url else None
        with psycopg.connect(autocommit=True, prepare_threshold=threshold, **postgresql.driver_arguments(url)) as raw:  # type: ignore[arg-type]
            return interleaved(ROUNDS, guard=_approve(guard, numbers), raw=_again(raw, sent, numbers))


def _approve(guard: RiskGuard, numbers: Iterator[int]) -> Callable[[], None]:
    def one() -> None:
        decision = guard.check(order(f"pg-{next(numbers)}"))
        assert decision.approved, decision.explain()

    return one


def _again(raw: Any, sent: Sent, numbers: Iterator[int]) -> Callable[[], None]:
    """Send the same messages with keys of their own, and roll back where the approval commits."""
    import psycopg

    writer = psycopg.ClientCursor(raw)

    def one() -> None:
        number = next(numbers)
        cursor = raw.cursor()
        for text, values, written in sent:
            message = "ROLLBACK" if text == "COMMIT" else text
            for literal, (statement, own) in written.items():
                message = message.replace(literal, writer.mogrify(statement, _with_keys(own, number)))
            cursor.execute(message, values)
            while cursor.nextset():
                pass
            if cursor.pgresult.nfields:
                cursor.fetchall()

    return one


def _with_keys(values: dict[str, Any], number: int) -> dict[str, Any]:
    own = {"client_order_id": f"raw-{number}", "correlation_id": f"raw-{number}", "sequence": 1_000_000 + number}
    return {**values, **{name: own[name] for name in own.keys() & values.keys()}}


@contextmanager
def _listening() -> Iterator[Sent]:
    """Note what goes to the server meanwhile: each message, its values, and the statements written into it as literals."""
    import psycopg

    from riskguard.store.engines.postgresql_wire import Connection

    sent: Sent = []
    written: dict[str, tuple[str, dict[str, Any]]] = {}
    execute, write = psycopg.Cursor.execute, Connection.written

    def noted(self: Any, query: Any, params: Any = None, **how: Any) -> Any:
        sent.append((query, params, {text: what for text, what in written.items() if text in query}))
        return execute(self, query, params, **how)

    def writing(self: Any, sql: str, values: dict[str, Any]) -> str:
        text = write(self, sql, values)
        written[text] = (sql, values)
        return text

    psycopg.Cursor.execute = noted  # type: ignore[method-assign, assignment]
    Connection.written = writing  # type: ignore[method-assign]
    try:
        yield sent
    finally:
        psycopg.Cursor.execute = execute  # type: ignore[method-assign]
        Connection.written = write  # type: ignore[method-assign]
