"""
Which columns hold secrets, how a stored one is read, and how all of them come under the newest key.

The old rows an upgrade kept aside (`quarantine`) hold secrets too: in their JSON a secret stands as
`{"sealed": "rg1:…"}`, and its number of row is the old file's.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import sqlalchemy as sa
from pydantic import SecretStr

from riskguard.errors import SecretError, SecretKeyError, SecretWrongKeyError
from riskguard.redaction import is_secret_name, looks_secret, remember
from riskguard.store.secrets.envelope import Keys, Place, is_sealed, sealed_with
from riskguard.store.tables.authentication import auth_tokens, config
from riskguard.store.tables.edis import edis_transactions
from riskguard.store.tables.postback import postback_configs
from riskguard.store.tables.quarantine import quarantine

ROWS_AT_ONCE: Final = 500
SEALED: Final = "sealed"
LEFT_OUT: Final = "left_out"

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class SecretField:
    """One column that holds secrets: its rows' key, the account they are for, and which rows count."""

    table: sa.Table
    column: str
    key: str = "id"
    account: str = "account_type"
    only: sa.ColumnElement[bool] | None = None

    @property
    def name(self) -> str:
        return f"{self.table.name}.{self.column}"

    def place(self, key: object, account: str = "") -> Place:
        """Return what a value of this column in the row *key* is bound to."""
        return Place(self.table.name, self.column, str(key), account if self.account else "")


ACCESS_TOKEN: Final = SecretField(auth_tokens, "access_token")
REFRESH_TOKEN: Final = SecretField(auth_tokens, "refresh_token")
TPIN: Final = SecretField(edis_transactions, "tpin")
WEBHOOK_SECRET: Final = SecretField(postback_configs, "webhook_secret")
SETTING: Final = SecretField(config, "value", "key", "", config.c.is_sensitive == 1)
FIELDS: Final = (ACCESS_TOKEN, REFRESH_TOKEN, TPIN, WEBHOOK_SECRET, SETTING)
QUARANTINED: Final = "quarantine.raw"


@dataclass(frozen=True, slots=True)
class Opened:
    """
    A secret as it was read.

    Attributes:
        kept: `sealed`, or `plain`: some other program wrote it in clear, and it lies in the database so.
        key_id: The key it was sealed with; "" when plain.
    """

    value: SecretStr
    kept: Literal["sealed", "plain"]
    key_id: str = ""


def opened(keys: Keys | None, stored: str, place: Place) -> Opened:
    """
    Return what *stored* says; its value is kept out of logs from now on.

    Raises SecretKeyError (it is sealed and *keys* is None), SecretWrongKeyError, SecretTamperedError.
    """
    if not is_sealed(stored):
        remember(stored)
        return Opened(SecretStr(stored), "plain")
    if keys is None:
        raise SecretKeyError(
            f"{place} is sealed with key `{sealed_with(stored)}` and no key is at hand: `riskguard secrets status`"
        )
    value = keys.open(stored, place)
    remember(value)
    return Opened(SecretStr(value), "sealed", sealed_with(stored))


# -- rows an upgrade kept aside -----------------------------------------------------------------------------------

_DECLARED: Final = {(each.table.name, each.column) for each in FIELDS if each.table is not config}


def hidden_in(table: str, raw: Mapping[str, Any]) -> list[str]:
    """
    Return the columns of an old row that hold a secret: declared ones, and those whose name or value says so.

    A table or column nobody declared is judged by its name: too much sealed is found again, too little is not.
    """
    found = []
    for name, value in raw.items():
        if value is None or value == "" or (isinstance(value, dict) and (SEALED in value or LEFT_OUT in value)):
            continue
        is_setting = (
            table == "config"
            and name == "value"
            and (raw.get("is_sensitive") not in (None, 0) or is_secret_name(raw.get("key")))
        )
        if is_setting or (table, name) in _DECLARED or is_secret_name(name) or looks_secret(value):
            found.append(name)
    return found


def kept_place(table: str, number: int, name: str) -> Place:
    """Return what a secret in a row kept aside is bound to: the old file's table, column and row number."""
    return Place(f"quarantine/{table}", name, str(number))


def without_clear(keys: Keys | None, table: str, number: int, raw: dict[str, Any]) -> tuple[dict[str, Any], int, int]:
    """
    Return an old row's JSON with no secret in clear, how many were sealed, and how many were left out.

    Nothing may be lost and nothing may lie here in clear. With a key both hold: the value is sealed, whatever
    type it had. Without one they exclude each other *here*, so the value is left out here, and its place says
    where it is: in the backup, which the upgrade proved equal to the old file before it read a row. A hash
    instead would tell a TPIN to whoever tries a million of them.
    """
    kept = dict(raw)
    names = hidden_in(table, raw)
    for name in names:
        if keys is None:
            kept[name] = {LEFT_OUT: "a secret, and no key was at hand; it is in the backup"}
        else:
            kept[name] = {SEALED: keys.seal(json.dumps(raw[name]), kept_place(table, number, name))}
    return (kept, 0, len(names)) if keys is None else (kept, len(names), 0)


# -- all of them --------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Standing:
    """
    What lies in one field.

    Attributes:
        by_key: Key id to how many values are sealed with it. plain: Values in clear.
        unreadable: One line for each value that does not open with the keys at hand, the first few.
    """

    name: str
    by_key: Counter[str] = field(default_factory=Counter)
    plain: int = 0
    unreadable: list[str] = field(default_factory=list)

    UNREADABLE_MAX = 20

    def add_unreadable(self, error: SecretError) -> None:
        if len(self.unreadable) < self.UNREADABLE_MAX:
            self.unreadable.append(str(error))


def survey(connection: sa.Connection, keys: Keys | None) -> list[Standing]:
    """Return what lies in every field; with *keys* each value is opened, to say whether it does."""
    found = []
    for each in FIELDS:
        standing = Standing(each.name)
        for key, account, stored in _stored(connection, each):
            _count(standing, keys, stored, each.place(key, account))
        found.append(standing)
    standing = Standing(QUARANTINED)
    for _number, table, old, raw in _kept_aside(connection):
        standing.plain += len(hidden_in(table, raw))
        for name, value in raw.items():
            if isinstance(value, dict) and isinstance(value.get(SEALED), str):
                _count(standing, keys, value[SEALED], kept_place(table, old, name))
    return [*found, standing]


def _count(standing: Standing, keys: Keys | None, stored: str, place: Place) -> None:
    if not is_sealed(stored):
        standing.plain += 1
        return
    standing.by_key[sealed_with(stored)] += 1
    if keys is not None:
        try:
            keys.open(stored, place)
        except SecretError as e:
            standing.add_unreadable(e)


@dataclass(slots=True)
class Resealed:
    """What bringing one field under the newest key did, or would do."""

    name: str
    current: int = 0
    renewed: int = 0
    encrypted: int = 0


def reseal(
    connection: sa.Connection,
    keys: Keys,
    *,
    dry_run: bool = False,
    account: str | None = None,
    on_progress: Progress = lambda _what, _done, _total: None,
) -> list[Resealed]:
    """
    Bring every secret, or the tokens of one *account*, under the newest key, in the caller's transaction.

    What lies in clear is sealed. Each new envelope is opened again before it is written.

    Raises:
        SecretWrongKeyError, SecretTamperedError: A value does not open. Nothing may be written then: whoever
        dropped the old key afterwards would lose it.
    """
    done = []
    chosen = FIELDS if account is None else (ACCESS_TOKEN, REFRESH_TOKEN)
    if connection.dialect.name == "sqlite" and not dry_run:
        # Else the clear values would stay in the file, in the space their rows have left.
        connection.exec_driver_sql("PRAGMA secure_delete = ON")
    for each in chosen:
        result = Resealed(each.name)
        table = each.table
        rows = [row for row in _stored(connection, each, lock=not dry_run) if account is None or row[1] == account]
        for number, (key, owner, stored) in enumerate(rows, 1):
            renewed = _renewed(keys, stored, each.place(key, owner), result)
            if renewed is not None and not dry_run:
                same = table.c[each.key] == key
                connection.execute(sa.update(table).where(same).values({each.column: renewed}))
            on_progress(each.name, number, len(rows))
        done.append(result)
    if account is None:
        done.append(_reseal_kept(connection, keys, dry_run, on_progress))
    return done


def _renewed(keys: Keys, stored: str, place: Place, result: Resealed) -> str | None:
    if is_sealed(stored):
        value = keys.open(stored, place)
        if sealed_with(stored) == keys.newest:
            result.current += 1
            return None
        result.renewed += 1
    else:
        value = stored
        result.encrypted += 1
    remember(value)
    renewed = keys.seal(value, place)
    if keys.open(renewed, place) != value:
        raise SecretWrongKeyError(str(place), sealed_with(renewed), keys.ids, keys.source)
    return renewed


def _reseal_kept(connection: sa.Connection, keys: Keys, dry_run: bool, on_progress: Progress) -> Resealed:
    result = Resealed(QUARANTINED)
    total = connection.execute(sa.select(sa.func.count()).select_from(quarantine)).scalar_one()
    for done, (number, table, old, raw) in enumerate(_kept_aside(connection), 1):
        renewed, sealed, _left = without_clear(keys, table, old, raw)
        result.encrypted += sealed
        for name, value in raw.items():
            if isinstance(value, dict) and isinstance(value.get(SEALED), str):
                again = _renewed(keys, value[SEALED], kept_place(table, old, name), result)
                if again is not None:
                    renewed[name] = {SEALED: again}
        if renewed != raw and not dry_run:
            statement = sa.update(quarantine).where(quarantine.c.id == number).values(raw=json.dumps(renewed))
            connection.execute(statement)
        on_progress(QUARANTINED, done, total)
    return result


def _stored(connection: sa.Connection, each: SecretField, *, lock: bool = False) -> list[tuple[Any, str, str]]:
    """
    Return (key, account, stored text) of every value of a field; there are few, so all at once.

    With *lock* nobody changes them until the transaction ends; on SQLite it has the write lock anyway.
    """
    table, column = each.table, each.table.c[each.column]
    owner = table.c[each.account] if each.account else sa.literal("")
    statement = sa.select(table.c[each.key], owner, column).where(column.is_not(None), column != "")
    if each.only is not None:
        statement = statement.where(each.only)
    if lock:
        statement = statement.with_for_update()
    return [(key, str(account), _text(stored)) for key, account, stored in connection.execute(statement)]


def _text(stored: Any) -> str:
    """Another program may have stored bytes or a number in a column of text."""
    return stored.decode("utf-8", "surrogateescape") if isinstance(stored, bytes) else str(stored)


def _kept_aside(connection: sa.Connection) -> Iterator[tuple[int, str, int, dict[str, Any]]]:
    """Yield (number, old table, old row number, JSON) of the rows an upgrade kept aside, chunk by chunk."""
    q = quarantine.c
    after = 0
    while True:
        statement = sa.select(q.id, q.source_table, q.source_rowid, q.raw).where(q.id > after).order_by(q.id)
        rows = connection.execute(statement.limit(ROWS_AT_ONCE)).all()
        for number, table, old, raw in rows:
            after = number
            try:
                parsed = json.loads(raw)
            except ValueError:
                continue
            if isinstance(parsed, dict):
                yield number, table, old or 0, parsed
        if len(rows) < ROWS_AT_ONCE:
            return
