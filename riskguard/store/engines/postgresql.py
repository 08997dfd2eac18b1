"""
PostgreSQL: how it is reached, and in which words its refusals come back.

No message shows a URL as it was given: it may hold a password. `place` is how a database is called everywhere.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import exc

from riskguard.errors import ExtraMissingError, SettingsError, StoreUnavailableError
from riskguard.home import sqlite_path
from riskguard.redaction import redacted, remember

SCHEMES: Final = ("postgresql", "postgres", "postgresql+psycopg")
VERSION_MIN: Final = 14
CONNECT_S_MAX: Final = 5
WRONG_URL: Final = "the database URL is malformed: write postgresql://user@host:5432/name"
# Not the driver's psycopg2 dialect, which SQLAlchemy takes where a URL names none.
DRIVER: Final = "postgresql+psycopg"
OURS: Final = "riskguard_"
"""How options of ours begin in a URL's query."""


def parse(url: str) -> sa.URL:
    """Read a URL, without the options that are ours. Raises SettingsError, which never shows it."""
    found = _split(url)
    return found.difference_update_query([name for name in found.query if name.startswith(OURS)])


def _split(url: str) -> sa.URL:
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


def only_files(url: str, what: str, instead: str) -> None:
    """Raise SettingsError where *url* is no SQLite file: *what* works on one, and a server has its own means."""
    if sqlite_path(url) is None:
        raise SettingsError(f"`{what}` works on a SQLite file; for `{place(url)}` use {instead}")


def first_line(error: BaseException) -> str:
    """Return the first line of what the server or the driver said, without secrets."""
    primary = getattr(getattr(error, "diag", None), "message_primary", None)
    lines = str(primary or str(error) or type(error).__name__).strip().splitlines()
    return redacted(lines[0] if lines else type(error).__name__)


def option(url: str, name: str) -> str:
    """Return what the URL says for an option of ours (`?riskguard_prepare=on`), empty when it says nothing."""
    found = _split(url).query.get(name, "")
    return found if isinstance(found, str) else found[-1]


def driver_arguments(url: str) -> dict[str, str]:
    """Return the URL as libpq's keywords: what is said in it, and nothing of ours."""
    parsed = parse(url)
    given = {name: value if isinstance(value, str) else ",".join(value) for name, value in parsed.query.items()}
    hosts = [each for each in given.get("host", "").split(",") if each]
    if len(hosts) > 1 and "port" not in given and all(":" in each and not each.startswith("/") for each in hosts):
        # SQLAlchemy's spelling of several servers: ?host=one:5432&host=two:5432
        given["host"] = ",".join(each.rpartition(":")[0] for each in hosts)
        given["port"] = ",".join(each.rpartition(":")[2] for each in hosts)
    plain = {"user": parsed.username, "host": parsed.host, "dbname": parsed.database}
    given |= {name: value for name, value in plain.items() if value}
    if parsed.port:
        given["port"] = str(parsed.port)
    if parsed.password:
        given["password"] = str(parsed.password)
    return given


def digest(url: str) -> str:
    """Return what names the database on this host: its server and name, never who logs in or with what."""
    given = driver_arguments(url)
    host = given.get("host") or given.get("hostaddr") or os.environ.get("PGHOST", "")
    port = given.get("port") or os.environ.get("PGPORT") or "5432"
    return hashlib.sha256("\n".join((host, port, given["dbname"])).encode()).hexdigest()[:24]
