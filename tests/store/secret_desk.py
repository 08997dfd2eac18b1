"""What tests of secrets stand on: a database with accounts, keys, and every kind of secret in it."""

from __future__ import annotations

import base64
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from riskguard.store.database import Database
from riskguard.store.rows.edis import EdisTransactionRow
from riskguard.store.rows.postback import PostbackConfigRow
from tests.services.desk import START

NOW_S = START // 1_000_000


def jwt(**claims: Any) -> str:
    """A token in the broker's shape; the signature is nobody's."""

    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    return ".".join((part({"typ": "JWT", "alg": "HS512"}), part(claims), "c2lnbmF0dXJlLW9mLW5vYm9keQ"))


def rows(path: Path, sql: str, *values: object) -> list[tuple[Any, ...]]:
    """Read the database with plain SQL."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql, values).fetchall()


def write(path: Path, sql: str, *values: object) -> None:
    """Change the database with plain SQL, as any program can."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(sql, values)


def everything(database: Database) -> dict[str, Callable[[], str]]:
    """Write one secret of each kind; return how to read each back."""
    tokens = database.authentication
    tokens.set_token("leader", "token-of-leader-1")
    tokens.set_token("leader", "token-of-leader-2", refresh_token="refresh-of-leader")
    tokens.set_setting("telegram_bot_token", "bot-secret-value")
    hook = database.postback.add_config(
        PostbackConfigRow(
            account_type="leader", webhook_url="https://example.org/hook", webhook_secret="hook-secret-value",
            created_at=NOW_S, updated_at=NOW_S,
        )
    )  # fmt: skip
    edis = database.edis.add(
        EdisTransactionRow(
            account_type="leader", isin="INE040A01034", qty=5, exchange="NSE", segment="EQ", tpin="482913",
            status="PENDING", created_at=NOW_S, updated_at=NOW_S,
        ),
        keep_tpin=True,
    )  # fmt: skip

    def refresh() -> str:
        standing = tokens.active("leader")
        assert standing is not None
        return value(tokens.opened_refresh(standing))

    return {
        "token-of-leader-2": lambda: value(tokens.get_token("leader")),
        "refresh-of-leader": refresh,
        "bot-secret-value": lambda: value(tokens.get_setting("telegram_bot_token")),
        "hook-secret-value": lambda: value(database.postback.secret(hook)),
        "482913": lambda: value(database.edis.tpin(edis)),
    }


def value(found: Any) -> str:
    assert found is not None
    said: str = found.value.get_secret_value()
    return said
