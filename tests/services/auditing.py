"""
A rig for tamper evidence: a desk with a past in which everything happened once, and ways to forge it.

Forgeries are made in a transaction on one connection, seen by the verifier on that very connection, and rolled back:
what is judged is the real verifier over real rows, without a copy of the file for each of five hundred.
"""

# ruff: noqa: S608, E501 - names of our own tables, statements in one line

from __future__ import annotations

import contextlib
import json
import os
import random
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from riskguard import admin
from riskguard.core.facts import canonical
from riskguard.services.audit.coverage import COVERED
from riskguard.services.audit.report import Audit
from riskguard.store.engines.sqlite_store import SqliteSession, SqliteStore
from riskguard.store.journal import chained
from riskguard.store.permits import LIFE_US, correlation_id
from riskguard.store.session import Session
from riskguard.store.violations import claim
from tests.services.desk import ACCOUNT, Desk, rulebook

FOLLOWER = "follower"
ACCOUNTS = (ACCOUNT, FOLLOWER)
BOOK = rulebook(
    order_value='check = "order_value"\norder_value_inr_max = "100000"',
    net_position='check = "net_position"\nposition_max = "2000"\nunit = "units"',
    daily_loss=(
        'check = "daily_loss"\ndaily_loss_inr_max = "5000"\nwarn_at_pct = [50, 75, 85, 90, 95]\nreduce_only_at_pct = 80\n'
        'at_once_pct = 150\non_breach = "kill"\nplan = "halt"'
    ),
)
TIGHTER = BOOK.replace('"100000"', '"70000"')
SQL_LIMIT = (
    "INSERT INTO traders_control (account_type, control_type, limit_id, check_name, parameters, scope, order_value_limit, "
    "on_breach, mode, kill_plan, is_active, created_at, updated_at) SELECT account_type, control_type, limit_id, check_name, "
    "parameters, scope, 80000, on_breach, mode, kill_plan, 1, created_at, updated_at FROM traders_control "
    "WHERE account_type = 'leader' AND limit_id = 'order-value' AND is_active = 1"
)


def live(desk: Desk, rounds: int = 6) -> None:
    """Let everything happen that leaves an entry: orders, refusals, baskets, changes, kills, releases, SQL, losses."""
    desk.sweep()
    desk.quote("100")
    desk.hold(10)
    for number in range(rounds):
        desk.clock.advance(1)
        desk.guard.check(desk.order(quantity=1 + number, strategy="dip" if number % 2 else ""))
        desk.guard.check(desk.order(quantity=5_000 + number, strategy=f"s{number}"))  # over two limits
        desk.guard.check(desk.order(quantity=2 + number, account=FOLLOWER))
    desk.guard.check_basket([desk.order(), desk.order("SELL", 3)])
    desk.place(desk.order(quantity=60, price="90", client_order_id="w"))
    desk.sweep()
    changed = desk.guard.check_modify("w", account=ACCOUNT, quantity=40, price="91")
    with changed.permit.sending() as wire:
        wire.order_id = desk.broker.modify(changed.approved_order)
    desk.sweep()
    desk.sql(SQL_LIMIT)
    desk.guard.check(desk.order(quantity=850, strategy="sql"))
    admin.apply_rulebook(desk.store, TIGHTER, account=ACCOUNT, by="asha", reason="tighter", clock=desk.clock)
    with locked_out(desk):
        desk.guard.check(desk.order(strategy="spooled"))
    desk.age_spool()
    desk.sweep()
    desk.kill(FOLLOWER)
    desk.kill(None, plan="halt")
    desk.clock.advance(100)
    _watch(desk)
    for scope in (FOLLOWER, None):
        admin.release(desk.store, scope, by="asha", reason="it is over", clock=desk.clock)
    for number in range(rounds):
        desk.clock.advance(1)
        desk.guard.check(desk.order(quantity=1 + number, strategy="late"))
    desk.hold(100)
    desk.quote("58")
    desk.sweep()
    desk.sweep(6)  # four fifths of the day's loss: what adds risk is stopped
    desk.guard.check(desk.order())
    desk.guard.close()


def _watch(desk: Desk) -> None:
    """Let both accounts be seen flat enough to be released."""
    desk.sweep()
    other = desk.join_market(FOLLOWER)
    from riskguard.services.sweeps.sweeper import Sweeper

    Sweeper(desk.guard, FOLLOWER, other, alerts=desk.alerts).sweep()
    other.close()


@contextlib.contextmanager
def locked_out(desk: Desk) -> Iterator[None]:
    """Make the database unreadable for a moment, so that a refusal goes to the spool file."""
    if not desk.url.startswith("sqlite"):
        yield
        return
    desk.guard.store.close()
    aside = desk.path.with_name("aside")
    os.rename(desk.path, aside)
    try:
        yield
    finally:
        desk.guard.store.close()
        os.rename(aside, desk.path)


class OneConnection(SqliteStore):
    """A store whose reader is one connection: it sees what that has not committed."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"sqlite:///{path}")
        self.mine = sqlite3.connect(path, isolation_level=None)
        for (name,) in self.mine.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            self.mine.execute(f'DROP TRIGGER "{name}"')

    @contextlib.contextmanager
    def reading(self, wait_s: float = 5.0) -> Iterator[Session]:  # type: ignore[override]
        yield SqliteSession(self, self.mine, False, False)

    @contextlib.contextmanager
    def forged(self) -> Iterator[sqlite3.Connection]:
        self.mine.execute("BEGIN")
        try:
            yield self.mine
        finally:
            self.mine.rollback()


# -- forgeries ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Forged:
    """
    What was done, and the bad row that must be named: its account, and its sequence.

    With *sequence* None no entry stands behind the row. *among*: it is one of what is wrong, and something before it may be.
    """

    says: str
    account: str
    sequence: int | None
    among: bool = False

    def is_named(self, report: Audit) -> bool:
        """Say whether the report names the bad row as the first of its account."""
        if self.among:
            return any(each.sequence == self.sequence for each in report.of(self.account).wrong)
        return (self.account, self.sequence) in [(account, wrong.sequence) for account, wrong in report.wrong]


Forge = Callable[[random.Random, sqlite3.Connection], "Forged | None"]


def entries(connection: sqlite3.Connection, account: str | None = None) -> list[tuple[str, int]]:
    query = "SELECT account, sequence FROM decisions WHERE ? IS NULL OR account = ? ORDER BY account, sequence"
    return connection.execute(query, (account, account)).fetchall()


def flipped(rng: random.Random, value: Any) -> Any:
    """Another value of the same kind: one bit of a text, a number a little off."""
    if value is None:
        return None
    if isinstance(value, float):
        return value + rng.choice((-1, 1)) * 0.5
    if isinstance(value, int):
        return value + rng.choice((-1, 1)) * rng.choice((1, 1, 2, 1_000))
    if not value:
        return "x"
    at = rng.randrange(len(value))
    other = chr((ord(value[at]) ^ (1 << rng.randrange(6))) & 0x7F or 0x20)
    return value[:at] + other + value[at + 1 :]


def byte_of_entry(rng: random.Random, connection: sqlite3.Connection) -> Forged | None:
    """One bit in a column of one entry."""
    account, sequence = rng.choice(entries(connection))
    column = rng.choice([name for name in COVERED["decisions"] if name not in ("sequence", "mac")])
    (was,) = connection.execute(
        f"SELECT {column} FROM decisions WHERE account = ? AND sequence = ?", (account, sequence)
    ).fetchone()
    now = 1 - was if column == "approved" else flipped(rng, was)
    if now == was:
        return None
    try:
        connection.execute(
            f"UPDATE decisions SET {column} = ? WHERE account = ? AND sequence = ?", (now, account, sequence)
        )
    except sqlite3.IntegrityError:
        return None
    return Forged(f"{column} of {account} {sequence}: {was!r:.40} → {now!r:.40}", account, sequence)


def deleted(rng: random.Random, connection: sqlite3.Connection) -> Forged:
    """One entry, or some in a row: at the head of the chain, in the middle, at its end."""
    account = rng.choice(ACCOUNTS)
    found = entries(connection, account)
    first = rng.choice([0, len(found) - 1, rng.randrange(len(found))])
    gone = found[first : first + rng.choice((1, 1, 3))]
    connection.executemany("DELETE FROM decisions WHERE account = ? AND sequence = ?", gone)
    return Forged(f"deleted {gone}", account, gone[0][1])


def inserted(rng: random.Random, connection: sqlite3.Connection) -> Forged:
    """A copy of an entry put in somewhere; those behind it are numbered anew."""
    account = rng.choice(ACCOUNTS)
    found = entries(connection, account)
    like, at = rng.choice(found)[1], rng.choice([len(found) + 1, rng.randrange(1, len(found) + 2)])
    row = connection.execute("SELECT * FROM decisions WHERE account = ? AND sequence = ?", (account, like)).fetchone()
    for _account, sequence in reversed(found):
        if sequence >= at:
            connection.execute(
                "UPDATE decisions SET sequence = sequence + 1 WHERE account = ? AND sequence = ?", (account, sequence)
            )
    connection.execute(
        f"INSERT INTO decisions VALUES ({', '.join('?' * len(row))})",
        (account, at, None, *row[3:]),
    )
    # A copy beside what it was made of is that entry, unless it lost the id that is one row's alone.
    is_same = like == at and row[2] is None
    return Forged(f"a copy of {account} {like} put in at {at}", account, at + 1 if is_same else at)


def swapped(rng: random.Random, connection: sqlite3.Connection) -> Forged:
    """Two entries of one account change places."""
    account = rng.choice(ACCOUNTS)
    one, other = sorted(rng.sample([sequence for _account, sequence in entries(connection, account)], 2))
    move = "UPDATE decisions SET sequence = ? WHERE account = ? AND sequence = ?"
    for to, sequence in ((10**9, one), (one, other), (other, 10**9)):
        connection.execute(move, (to, account, sequence))
    return Forged(f"{account} {one} and {other} changed places", account, one)


def moved(rng: random.Random, connection: sqlite3.Connection) -> Forged:
    """The last entry of one account becomes the next of another."""
    source, target = rng.sample(ACCOUNTS, 2)
    last, end = entries(connection, source)[-1][1], entries(connection, target)[-1][1]
    connection.execute(
        "UPDATE decisions SET account = ?, sequence = ? WHERE account = ? AND sequence = ?",
        (target, end + 1, source, last),
    )
    return Forged(f"{source} {last} moved to {target}", target, end + 1)


def head_set_back(rng: random.Random, connection: sqlite3.Connection) -> Forged:
    """An old row of account_heads put back."""
    account, sequence = rng.choice([each for each in entries(connection) if each[1] > 1])
    (digest,) = connection.execute(
        "SELECT hash FROM decisions WHERE account = ? AND sequence = ?", (account, sequence - 1)
    ).fetchone()
    connection.execute(
        "UPDATE account_heads SET sequence = ?, last_hash = ? WHERE account = ?", (sequence - 1, digest, account)
    )
    return Forged(f"the head of {account} set back to {sequence - 1}", account, sequence)


def head_hash(rng: random.Random, connection: sqlite3.Connection) -> Forged:
    account = rng.choice(("GLOBAL", *ACCOUNTS))
    sequence, was = connection.execute(
        "SELECT sequence, last_hash FROM account_heads WHERE account = ?", (account,)
    ).fetchone()
    connection.execute("UPDATE account_heads SET last_hash = ? WHERE account = ?", (was[::-1], account))
    return Forged(f"the hash in the head of {account}", account, sequence)


def cut(rng: random.Random, connection: sqlite3.Connection) -> Forged:
    """The end of a journal and all that hangs on it, with the head set back: only an anchor shows it."""
    account = rng.choice(ACCOUNTS)
    found = entries(connection, account)
    keep = found[rng.randrange(len(found) // 2, len(found) - 1)][1]
    _forget_after(connection, account, keep)
    (digest,) = connection.execute(
        "SELECT hash FROM decisions WHERE account = ? AND sequence = ?", (account, keep)
    ).fetchone()
    connection.execute(
        "UPDATE account_heads SET sequence = ?, last_hash = ? WHERE account = ?", (keep, digest, account)
    )
    # A change that was cut off leaves the order it changed looking forged.
    return Forged(f"{account} cut after {keep}", account, keep + 1, among=True)


def _forget_after(connection: sqlite3.Connection, account: str, keep: int) -> None:
    connection.execute("DELETE FROM decisions WHERE account = ? AND sequence > ?", (account, keep))
    connection.execute("DELETE FROM permits WHERE account = ? AND sequence > ?", (account, keep))
    connection.execute("DELETE FROM risk_violations WHERE account_type = ? AND sequence > ?", (account, keep))


def rewritten(rng: random.Random, connection: sqlite3.Connection) -> Forged:
    """An order taken out, all behind it numbered anew with plain hashes that agree, and what hangs on it: without the key."""
    account = rng.choice(ACCOUNTS)
    orders = connection.execute(
        "SELECT sequence FROM decisions WHERE account = ? AND kind = 'ORDER' ORDER BY sequence", (account,)
    ).fetchall()
    gone = rng.choice(orders)[0]
    read = "SELECT sequence, body FROM decisions WHERE account = ? AND sequence > ? ORDER BY sequence"
    behind = connection.execute(read, (account, gone)).fetchall()
    connection.execute("DELETE FROM decisions WHERE account = ? AND sequence = ?", (account, gone))
    for table, owner in (("permits", "account"), ("risk_violations", "account_type")):
        connection.execute(f"DELETE FROM {table} WHERE {owner} = ? AND sequence = ?", (account, gone))
        connection.execute(
            f"UPDATE {table} SET sequence = sequence - 1 WHERE {owner} = ? AND sequence > ?", (account, gone)
        )
    connection.execute(
        "UPDATE control_actions SET sequence = sequence - 1 WHERE account = ? AND sequence > ?", (account, gone)
    )
    row = connection.execute(
        "SELECT hash FROM decisions WHERE account = ? AND sequence = ?", (account, gone - 1)
    ).fetchone()
    previous = row[0]
    strips = rng.random() < 0.5  # a mac nobody can make is left out, or kept as it was
    for sequence, body in behind:
        said = json.loads(body)
        said["sequence"] = sequence - 1
        text = json.dumps(said, sort_keys=True, separators=(",", ":"))
        digest = chained(previous, text)
        connection.execute(
            f"UPDATE decisions SET sequence = ?, body = ?, previous_hash = ?, hash = ?{', mac = ?' if strips else ''} "
            "WHERE account = ? AND sequence = ?",
            (sequence - 1, text, previous, digest, *([""] if strips else []), account, sequence),
        )
        previous = digest
    end = gone - 1 + len(behind)
    connection.execute(
        "UPDATE account_heads SET sequence = ?, last_hash = ? WHERE account = ?", (end, previous, account)
    )
    return Forged(f"{account} {gone} taken out and all behind it rewritten", account, gone)


# -- what hangs on it -----------------------------------------------------------------------------------------

OWNER = {
    "permits": "account",
    "risk_violations": "account_type",
    "control_actions": "account",
    "control_changes": "account",
    "kill_runs": "account",
}
HANGS = {"permits": "sequence IS NOT NULL", "risk_violations": "sequence IS NOT NULL", "control_actions": "1",
         "control_changes": "is_adopted = 1", "kill_runs": "halts = 1 AND cause <> 'SQL'"}  # fmt: skip


def _entry_of(connection: sqlite3.Connection, table: str, row: dict[str, Any]) -> tuple[str, int]:
    """The entry that claims a row."""
    if table == "control_changes":
        adopting = "SELECT account, sequence, body FROM decisions WHERE kind IN ('ADOPTED', 'KILL') ORDER BY 1, 2"
        for account, sequence, body in connection.execute(adopting):
            if any(each["row"] == row["id"] for each in json.loads(body).get("changes", [])):
                return account, sequence
        raise AssertionError(f"nobody adopted {row}")
    if table == "kill_runs":
        query = "SELECT sequence FROM decisions WHERE account = ? AND kind = 'KILL' AND body LIKE ?"
        (sequence,) = connection.execute(query, (row["account"], f"%{row['kill_id']}%")).fetchone()
        return row["account"], sequence
    return row[OWNER[table]], row["sequence"]


def _rows(connection: sqlite3.Connection, table: str) -> list[dict[str, Any]]:
    cursor = connection.execute(f"SELECT rowid AS _row, * FROM {table} WHERE {HANGS[table]} ORDER BY rowid")
    names = [each[0] for each in cursor.description]
    return [dict(zip(names, values, strict=True)) for values in cursor]


WORDS: dict[str, dict[str, tuple[str, ...]]] = {
    "kind": {"permits": ("NEW", "MODIFY"), "control_actions": ("INIT", "APPLY", "RELEASE", "OVERRIDE")},
    "kill_plan": {"kill_runs": ("halt", "cancel", "flatten")},
}
"""Columns that take only some words."""


def hanging_column(rng: random.Random, connection: sqlite3.Connection) -> Forged | None:
    """A covered column of a row an entry claims."""
    table = rng.choice(sorted(OWNER))
    return column_of(rng, connection, table, rng.choice(COVERED[table]))


def column_of(rng: random.Random, connection: sqlite3.Connection, table: str, column: str) -> Forged | None:
    row = rng.choice(_rows(connection, table))
    was = row[column]
    now = (
        1 - was if column in ("is_adopted", "halts") else flipped(rng, was) if was is not None else rng.choice(("x", 7))
    )
    if column in WORDS:
        now = rng.choice([word for word in WORDS[column][table] if word != was])
    account, sequence = _entry_of(connection, table, row)
    try:
        changed = connection.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (now, row["_row"])).rowcount
    except sqlite3.IntegrityError:
        return None  # the table itself refuses that value
    (is_,) = connection.execute(
        f"SELECT {column} FROM {table} WHERE {column} IS NOT NULL AND rowid = ?", (row["_row"],)
    ).fetchone() or (None,)
    if is_ == was or not changed:
        return None
    if (table, column) == ("risk_violations", "sequence") and _claims_violations(connection, account, is_):
        sequence = min(sequence, is_)  # the entry it came to has one too many
    return Forged(f"{column} of {table} {row['_row']}: {was!r:.40} → {now!r:.40}", account, sequence)


def _claims_violations(connection: sqlite3.Connection, account: str, sequence: int) -> bool:
    query = "SELECT body FROM decisions WHERE account = ? AND sequence = ?"
    (body,) = connection.execute(query, (account, sequence)).fetchone() or ("{}",)
    return json.loads(body).get("violations") is not None


def hanging_gone(rng: random.Random, connection: sqlite3.Connection) -> Forged:
    """A row an entry claims, deleted."""
    table = rng.choice(sorted(OWNER))
    row = rng.choice(_rows(connection, table))
    account, sequence = _entry_of(connection, table, row)
    connection.execute(f"DELETE FROM {table} WHERE rowid = ?", (row["_row"],))
    return Forged(f"{table} {row['_row']} deleted", account, sequence)


def hanging_put_in(rng: random.Random, connection: sqlite3.Connection) -> Forged | None:
    """A row like one that is claimed, which no entry claims."""
    table = rng.choice(sorted(OWNER))
    row = dict(rng.choice(_rows(connection, table)))
    del row["_row"]
    account, sequence = _entry_of(connection, table, row)
    row.pop("id", None)
    alone = None
    if table == "permits":
        row |= {"client_order_id": f"forged-{rng.random()}", "correlation_id": f"rg{rng.random()}"}
    elif table == "kill_runs":
        row["kill_id"] = f"forged-{rng.random()}"
    elif table == "risk_violations":
        alone = sequence  # it says which entry: that one's rows are not those it left
    names = ", ".join(row)
    connection.execute(f"INSERT INTO {table} ({names}) VALUES ({', '.join('?' * len(row))})", tuple(row.values()))
    account = row["account"] if table == "control_changes" else account
    return Forged(f"a row put into {table}", account, alone)


def limit_set(rng: random.Random, connection: sqlite3.Connection) -> Forged:
    """The limits decisions were made under, changed or deleted."""
    digest, body = rng.choice(connection.execute("SELECT digest, body FROM limit_sets ORDER BY digest").fetchall())
    users = connection.execute(
        "SELECT account, sequence FROM decisions WHERE kind IN ('ORDER', 'MODIFY') AND body LIKE ? ORDER BY account, sequence",
        (f'%"limits":"{digest}"%',),
    ).fetchall()
    if rng.random() < 0.5:
        connection.execute("DELETE FROM limit_sets WHERE digest = ?", (digest,))
    else:
        connection.execute("UPDATE limit_sets SET body = ? WHERE digest = ?", (flipped(rng, body), digest))
    account, sequence = users[0]
    return Forged(f"limit set {digest[:8]}", account, sequence)


def in_force(rng: random.Random, connection: sqlite3.Connection) -> Forged | None:
    """A limit in force made wider, put out of force, or taken away."""
    rows = connection.execute(
        "SELECT id, account_type, order_value_limit FROM traders_control WHERE is_active = 1 AND limit_id = 'order-value'"
    ).fetchall()
    row_id, account, value = rng.choice(rows)
    how = rng.choice(("value", "off", "gone", "mode"))
    statement = {
        "value": f"UPDATE traders_control SET order_value_limit = {value + 1} WHERE id = {row_id}",
        "off": f"UPDATE traders_control SET is_active = 0 WHERE id = {row_id}",
        "gone": f"DELETE FROM traders_control WHERE id = {row_id}",
        "mode": f"UPDATE traders_control SET mode = 'shadow' WHERE id = {row_id}",
    }[how]
    connection.execute(statement)
    (sequence,) = connection.execute(
        "SELECT max(sequence) FROM decisions WHERE account = ? AND (kind = 'APPLY' OR kind = 'ADOPTED' AND body LIKE '%in_force%')",
        (account,),
    ).fetchone()
    return Forged(f"{how} of limit {row_id} of {account}", account, sequence)


def latch(rng: random.Random, connection: sqlite3.Connection) -> Forged:
    """A kill that stands, made to look released; or who killed, and why."""
    owner = rng.choice(("GLOBAL", *ACCOUNTS))
    row_id, status = connection.execute(
        "SELECT id, kill_switch_status FROM traders_control WHERE account_type = ? AND control_type = 'KILL_SWITCH' AND is_active = 1",
        (owner,),
    ).fetchone()
    column, value = rng.choice(
        (
            ("kill_switch_status", "ACTIVE" if status == "INACTIVE" else "INACTIVE"),
            ("activated_by", "nobody"),
            ("reason", "none"),
        )
    )
    connection.execute(f"UPDATE traders_control SET {column} = ? WHERE id = ?", (value, row_id))
    (sequence,) = connection.execute(
        "SELECT max(sequence) FROM decisions WHERE account = ? AND (kind IN ('INIT', 'RELEASE') OR kind = 'KILL' AND body LIKE ?)",
        (owner, f'%"scope":"{"GLOBAL" if owner == "GLOBAL" else f"ACCOUNT:{owner}"}"%'),
    ).fetchone()
    return Forged(f"{column} of the latch of {owner}", owner, sequence)


FORGERIES: dict[str, Forge] = {
    each.__name__: each
    for each in (
        byte_of_entry, deleted, inserted, swapped, moved, head_set_back, head_hash, hanging_column, hanging_gone,
        hanging_put_in, limit_set, in_force, latch, cut, rewritten,
    )
}  # fmt: skip
"""By name; `cut` wants an anchor to be seen, `rewritten` the key or an anchor."""


# -- a long journal -------------------------------------------------------------------------------------------


def million(path: Path, entries: int) -> None:
    """Let the journal of the leader go on: its last approval and refusal again and again, with what hangs on them."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        triggers = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _sql in triggers:
            connection.execute(f'DROP TRIGGER "{name}"')
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("BEGIN")
        _append(connection, entries)
        for _name, sql in triggers:
            connection.execute(sql)
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _append(connection: sqlite3.Connection, entries: int) -> None:
    last = "SELECT * FROM decisions WHERE account = 'leader' AND kind = 'ORDER' AND approved = {} ORDER BY sequence DESC LIMIT 1"
    yes, no = (_one(connection, last.format(approved)) for approved in (1, 0))
    permit = _one(connection, f"SELECT * FROM permits WHERE account = 'leader' AND sequence = {yes['sequence']}")
    found = connection.execute(
        f"SELECT * FROM risk_violations WHERE account_type = 'leader' AND sequence = {no['sequence']}"
    )
    names = [each[0] for each in found.description]
    broken = [dict(zip(names, row, strict=True)) for row in found]
    for each in broken:
        del each["id"]
    sequence, previous = connection.execute(
        "SELECT sequence, last_hash FROM account_heads WHERE account = 'leader'"
    ).fetchone()
    at_us = yes["decided_at_us"]
    bodies = {approved: json.loads(row["body"]) for approved, row in ((1, yes), (0, no))}
    put: dict[str, list[dict[str, Any]]] = {"decisions": [], "permits": [], "risk_violations": []}
    for number in range(entries):
        sequence, at_us, name, approved = sequence + 1, at_us + 1_000, f"m-{number}", int(number % 5 != 4)
        body = {**bodies[approved], "sequence": sequence, "at_us": at_us, "client_order_id": name}
        body["order"] = {**body["order"], "client_order_id": name}
        if approved:
            put["permits"].append({
                **permit, "sequence": sequence, "client_order_id": name, "correlation_id": correlation_id("leader", name),
                "granted_at_us": at_us, "expires_at_us": at_us + LIFE_US, "state": "EXPIRED",
            })  # fmt: skip
        else:
            dated = {
                "violated_at": at_us // 1_000_000,
                "violated_at_us": at_us,
                "client_order_id": name,
                "sequence": sequence,
            }
            rows = [{**each, **dated} for each in broken]
            put["risk_violations"] += rows
            body["violations"] = claim(rows)
        text = canonical(body).decode()
        digest = chained(previous, text)
        put["decisions"].append({
            **(yes if approved else no), "sequence": sequence, "client_order_id": name, "decided_at_us": at_us, "body": text,
            "previous_hash": previous, "hash": digest,
        })  # fmt: skip
        previous = digest
        if number % 5_000 == 4_999 or number == entries - 1:
            for table, rows in put.items():
                if rows:
                    values = ", ".join(f":{name}" for name in rows[0])
                    connection.executemany(f"INSERT INTO {table} ({', '.join(rows[0])}) VALUES ({values})", rows)
                rows.clear()
    connection.execute(
        "UPDATE account_heads SET sequence = ?, last_hash = ? WHERE account = 'leader'", (sequence, previous)
    )


def _one(connection: sqlite3.Connection, query: str) -> dict[str, Any]:
    cursor = connection.execute(query)
    return dict(zip([each[0] for each in cursor.description], cursor.fetchone(), strict=True))
