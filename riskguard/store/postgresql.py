"""
PostgreSQL: how it is reached, and in which words its refusals come back.

No message shows a URL as it was given: it may hold a password. `place` is how a database is called everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import exc

from riskguard.errors import ExtraMissingError, SettingsError, StoreUnavailableError
from riskguard.redaction import redacted, remember

SCHEMES: Final = ("postgresql", "postgres", "postgresql+psycopg")
VERSION_MIN: Final = 14
CONNECT_S_MAX: Final = 5
WRONG_URL: Final = "the database URL is malformed: write postgresql://user@host:5432/name"
# Not the driver's psycopg2 dialect, which SQLAlchemy takes where a URL names none.
DRIVER: Final = "postgresql+psycopg"


def parse(url: str) -> sa.URL:
    """Read a URL. Raises SettingsError, which never shows it."""
    scheme = url.partition("://")[0]
    if scheme not in SCHEMES:
        raise SettingsError(f"`{scheme[:30]}` is no database served here: use a sqlite:/// or postgresql:// URL")
    try:
        parsed = sa.make_url(url)
        _ = parsed.port
    except (exc.ArgumentError, ValueError):
        raise SettingsError(WRONG_URL) from None
    if parsed.host and "@" in parsed.host:
        # What stands before it is the rest of a password, and would be shown as part of the host.
        raise SettingsError("the database URL has two `@`: write the one inside the password as `%40`")
    if parsed.password:
        remember(str(parsed.password))
    if not parsed.database:
        raise SettingsError("the database URL names no database: write postgresql://user@host:5432/name")
    return parsed.set(drivername=DRIVER)


def place(url: str) -> str:
    """Return how the database is called in messages: user, host, port and name, and nothing else of the URL."""
    parsed = parse(url)
    user = f"{parsed.username}@" if parsed.username else ""
    port = f":{parsed.port}" if parsed.port else ""
    hosts = parsed.query.get("host", ())
    beside = f"?host={hosts if isinstance(hosts, str) else ','.join(hosts)}" if hosts else ""
    return f"postgresql://{user}{parsed.host or ''}{port}/{parsed.database}{beside}"


@contextmanager
def connect(url: str) -> Iterator[sa.Connection]:
    """
    Open one connection, outside a transaction, and close it.

    Raises:
        ExtraMissingError: psycopg is not installed.
        SettingsError: The URL is malformed.
        StoreUnavailableError: The server was not reached, said no, or is not one riskguard can live in.
    """
    parsed, where = parse(url), place(url)
    defaults = {} if "connect_timeout" in parsed.query else {"connect_timeout": CONNECT_S_MAX}
    try:
        engine = sa.create_engine(
            parsed, poolclass=sa.NullPool, hide_parameters=True,
            connect_args={**defaults, "application_name": "riskguard"},
        )  # fmt: skip
    except ImportError:
        raise ExtraMissingError("postgres", "psycopg", f"databases like `{parsed.database}`") from None
    except (exc.SQLAlchemyError, TypeError, ValueError):
        raise SettingsError(WRONG_URL) from None
    with one_line(where):
        opened = engine.connect()
    try:
        with one_line(where):
            _require(opened, where)
            yield opened
    finally:
        opened.close()
        engine.dispose()


def _require(connection: sa.Connection, where: str) -> None:
    version = int((connection.dialect.server_version_info or (0,))[0])
    encoding = connection.exec_driver_sql("SHOW server_encoding").scalar_one()
    connection.rollback()
    if version < VERSION_MIN:
        raise StoreUnavailableError(f"`{where}` is PostgreSQL {version}: riskguard needs {VERSION_MIN} or newer")
    if encoding != "UTF8":
        raise StoreUnavailableError(f"`{where}` is encoded in {encoding}: create the database with ENCODING 'UTF8'")


@contextmanager
def one_line(where: str) -> Iterator[None]:
    """Turn what the driver raises into one line that names the database and holds no secret."""
    try:
        yield
    except exc.DBAPIError as e:
        raise StoreUnavailableError(f"`{where}`: {said(e)}") from None
    except exc.SQLAlchemyError as e:
        raise StoreUnavailableError(f"`{where}`: {type(e).__name__}") from None


def said(error: exc.DBAPIError) -> str:
    """Return the first line of what the server or the driver said, without its statement and without secrets."""
    driver: Any = error.orig
    primary = getattr(getattr(driver, "diag", None), "message_primary", None)
    lines = str(primary or driver or type(error).__name__).strip().splitlines()
    return redacted(lines[0] if lines else type(error).__name__)
