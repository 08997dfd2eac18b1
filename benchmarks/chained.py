"""A true journal of any length: one approval and one refusal again and again, with the permits and violations they left."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any, Final

from benchmarks.stage import ACCOUNT, SECOND, Stage, order
from riskguard.store import permits, violations
from riskguard.store.engines import sqlite as lite

REFUSED_EACH: Final = 5
BATCH: Final = 20_000
SAID: Final = "model-approved", "model-refused"

_Row = dict[str, Any]
_Body = Callable[[int, int, str, str], str]


def add_chain(stage: Stage, count: int) -> None:
    """
    Let the account's journal go on for *count* entries, every fifth a refusal of one limit: all that verifies must be there.

    An entry differs from its model in sequence, moment, id and the digest of what hangs on it: nothing a verifier may keep.
    """
    with stage.guard() as (guard, _clock):
        for name, quantity in zip(SAID, (10, 100), strict=True):
            decision = guard.check(order(name, quantity))
            if decision.permit is not None:
                decision.permit.release()
    with closing(lite.connect(stage.path, durable=False)) as connection:
        connection.row_factory = sqlite3.Row
        made = _Made(connection)
        for low in range(0, count, BATCH):
            connection.execute("BEGIN IMMEDIATE")
            rows = made.rows(low, min(count, low + BATCH))
            for table, each in rows.items():
                if each:
                    names = ", ".join(each[0])
                    marks = ", ".join("?" * len(each[0]))
                    connection.executemany(
                        f"INSERT INTO {table} ({names}) VALUES ({marks})",  # noqa: S608 - names of our own tables
                        (tuple(row.values()) for row in each),
                    )
            connection.execute(
                "UPDATE account_heads SET sequence = ?, last_hash = ? WHERE account = ?", (made.sequence, made.last, ACCOUNT)
            )  # fmt: skip
            connection.execute("COMMIT")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


class _Made:
    """The models, and how far the chain has come."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        approved, refused = (
            dict(connection.execute("SELECT * FROM decisions WHERE client_order_id = ?", (name,)).fetchone())
            for name in SAID
        )
        found = connection.execute("SELECT * FROM permits WHERE client_order_id = ?", (SAID[0],)).fetchone()
        self.permit = dict(found)
        rows = connection.execute(
            "SELECT * FROM risk_violations WHERE sequence = ? ORDER BY id", (refused["sequence"],)
        )
        self.violations = [{name: row[name] for name in row.keys() if name != "id"} for row in rows]  # noqa: SIM118
        self.models = ((approved, _body_like(approved)), (refused, _body_like(refused)))
        self.sequence, self.last = connection.execute(
            "SELECT sequence, last_hash FROM account_heads WHERE account = ?", (ACCOUNT,)
        ).fetchone()
        self.at_us = int(refused["decided_at_us"])

    def rows(self, low: int, high: int) -> dict[str, list[_Row]]:
        found: dict[str, list[_Row]] = {"decisions": [], "permits": [], "risk_violations": []}
        for number in range(low, high):
            self.sequence, self.at_us = self.sequence + 1, self.at_us + SECOND // 1_000
            # As random as the ids of a program are: trees are not walked in the order they were made in.
            name = hashlib.md5(b"%d" % number, usedforsecurity=False).hexdigest()
            model, body_of = self.models[is_refused := number % REFUSED_EACH == REFUSED_EACH - 1]
            digest = ""
            if is_refused:
                broken = list(self._violations(name))
                digest = violations.claim(broken)["digest"]
                found["risk_violations"] += broken
            else:
                found["permits"].append(self._permit(name))
            body = body_of(self.sequence, self.at_us, name, digest)
            previous, self.last = self.last, hashlib.sha256((self.last + body).encode()).hexdigest()
            found["decisions"].append({
                **model, "sequence": self.sequence, "client_order_id": name, "decided_at_us": self.at_us, "body": body,
                "previous_hash": previous, "hash": self.last,
            })  # fmt: skip
        return found

    def _permit(self, name: str) -> _Row:
        return {
            **self.permit, "sequence": self.sequence, "client_order_id": name,
            "correlation_id": permits.correlation_id(ACCOUNT, name), "granted_at_us": self.at_us,
            "expires_at_us": self.at_us + permits.LIFE_US, "ended_at_us": self.at_us + permits.LIFE_US,
        }  # fmt: skip

    def _violations(self, name: str) -> Iterator[_Row]:
        for each in self.violations:
            yield {
                **each, "sequence": self.sequence, "client_order_id": name, "violated_at": self.at_us // SECOND,
                "violated_at_us": self.at_us,
            }  # fmt: skip


def _body_like(model: _Row) -> _Body:
    """Return what writes a body like that of *model*, with its own sequence, moment, id and digest of violations."""
    said = json.loads(model["body"])
    claimed = said.get("violations", {}).get("digest", "")
    text = str(model["body"])

    def body(sequence: int, at_us: int, name: str, digest: str) -> str:
        made = text.replace(f'"client_order_id":"{model["client_order_id"]}"', f'"client_order_id":"{name}"')
        made = made.replace(f'"at_us":{said["at_us"]},', f'"at_us":{at_us},', 1)
        made = made.replace(f'"sequence":{said["sequence"]},', f'"sequence":{sequence},')
        return made.replace(claimed, digest) if claimed else made

    return body
