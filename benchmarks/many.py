"""How many orders 1, 2, 4 and 8 processes get answered together: on one account, on eight, on both databases."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.measure import Row
from benchmarks.stage import accounts_named, build_accounts, rulebook
from benchmarks.workers import now_ns, working

PROCESSES = (1, 2, 4, 8)
ACCOUNTS = accounts_named(max(PROCESSES))
SECONDS, WARM_S = 1.5, 0.3


def rows(directory: Path, seconds: float = SECONDS) -> list[Row]:
    """Each answer is an approval that is committed, and a second transaction that gives it back."""
    found = []
    for store, url in _stores(directory):
        from_ns = now_ns()  # time goes on from one row to the next, as it does for the database
        for accounts, said in ((ACCOUNTS[:1], "one account"), (ACCOUNTS, "eight accounts")):
            counts, late = _answered(url, accounts, seconds, from_ns)
            for processes, count in zip(PROCESSES, counts, strict=True):
                beside = f"{count / max(1, counts[0]):.2f} × one process; {os.cpu_count()} cores"
                beside += f"; {late} answers of these four rows missed their deadline" if late else ""
                name = f"approvals a second, {store}, {said}, {processes} process{'es' * (processes > 1)}"
                found.append(Row(name, count / seconds, "/s", None, beside))
    return found


def _answered(url: str, accounts: tuple[str, ...], seconds: float, from_ns: int) -> tuple[list[int], int]:
    """Return how many approvals so many processes got in *seconds* together, and how many answers missed their deadline."""
    counts, late = [], 0
    with working(max(PROCESSES), "asker", url, from_ns=from_ns) as workers:
        for processes in PROCESSES:
            for each_s in (min(WARM_S, seconds), seconds):
                for number, worker in enumerate(workers[:processes]):
                    worker.tell(account=accounts[number % len(accounts)], seconds=each_s)
                heard = [worker.hear() for worker in workers[:processes]]
                late += sum(each["late"] for each in heard)
            counts.append(sum(each["asked"] for each in heard))
    return counts, late


def _stores(directory: Path) -> Iterator[tuple[str, str]]:
    yield "SQLite", build_accounts(directory / "sqlite", rulebook(), ACCOUNTS).url
    with contextlib.ExitStack() as stack:
        try:
            url = stack.enter_context(postgresql())
        except (ImportError, AssertionError) as e:  # no driver, or no server of the tests' wheel
            print(f"many: PostgreSQL is left out ({e}): `pip install -e '.[dev]'`", file=sys.stderr)
            return
        build_accounts(directory / "postgresql", rulebook(), ACCOUNTS, url=url)
        yield "PostgreSQL", url


@contextlib.contextmanager
def postgresql() -> Iterator[str]:
    """A server of our own, in memory and without fsync: the machinery is measured, not a disk."""
    from tests.store.postgres import Server

    server = Server()
    try:
        yield server.url(server.create())
    finally:
        server.stop()
