"""
Channels: where alerts go besides the log. A command of the user's own, or a service apprise knows, by its URL.

A command's words are kept in clear: a secret does not belong there. A URL is a secret, and is kept sealed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import sqlalchemy as sa
from pydantic import SecretStr

from riskguard.errors import ExtraMissingError, SecretError, SettingsError, StoreUnavailableError
from riskguard.redaction import remember
from riskguard.store.database import Database
from riskguard.store.tables.alerts import SEVERITIES, alert_channels, alert_deliveries
from riskguard.store.tables.authentication import config

LOG: Final = "log"
"""The channel that is always there; it needs no row."""
TIMEOUT_MS: Final = 10_000
TIMEOUT_MS_RANGE: Final = (500, 60_000)
URL_CHARS_MAX: Final = 4_000
WORDS_MAX: Final = 64
WORD_CHARS_MAX: Final = 2_000
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
_c = alert_channels.c


@dataclass(frozen=True, slots=True)
class Channel:
    """
    One way to reach people.

    Attributes:
        kind: command, apprise. argv: Of a command. url: Of apprise; no repr shows it.
        least: The least severity it is told. problem: Why it cannot be used; "" when it can.
    """

    name: str
    kind: str
    argv: tuple[str, ...]
    least: str
    timeout_ms: int
    url: SecretStr | None = None
    problem: str = ""

    def wants(self, severity: str) -> bool:
        return SEVERITIES.index(severity) >= SEVERITIES.index(self.least)

    def service(self) -> str:
        """Name what it reaches, without a secret: the scheme of the URL, or the program."""
        if self.kind == "command":
            return self.argv[0]
        return "" if self.url is None else f"{self.url.get_secret_value().partition('://')[0]}://…"


def url_key(name: str) -> str:
    """Name the `config` row that holds a channel's sealed URL."""
    return f"alerts.url.{name}"


def channels(database: Database, *, with_urls: bool = True) -> list[Channel]:
    """
    Return every channel by name. One whose URL does not open says so in `problem`; the others are not held up by it.

    Raises StoreUnavailableError and its family.
    """
    with database.reading() as connection:
        rows = connection.execute(sa.select(_c.name, _c.kind, _c.argv, _c.least, _c.timeout_ms).order_by(_c.name)).all()
    return [_channel(database, row, with_urls) for row in rows]


def signature(database: Database) -> object:
    """Return what changes whenever a channel does, without opening any URL."""
    sealed = sa.select(config.c.key, config.c.value).where(config.c.key.like(f"{url_key('')}%")).order_by(config.c.key)
    with database.reading() as connection:
        rows = connection.execute(sa.select(alert_channels).order_by(_c.name)).all()
        return [tuple(row) for row in rows], [tuple(row) for row in connection.execute(sealed).all()]


def _channel(database: Database, row: Any, with_urls: bool) -> Channel:
    url, problem = None, ""
    if row.kind == "apprise" and with_urls:
        try:
            found = database.authentication.get_setting(url_key(row.name))
            if found is None:
                problem = f"its URL is gone: remove it and add it again (`riskguard alerts channels remove {row.name}`)"
            else:
                url = found.value
                _remember_parts(url.get_secret_value())
        except StoreUnavailableError:
            raise
        except (SecretError, ExtraMissingError) as e:
            problem = str(e)
    try:
        argv = tuple(str(word) for word in json.loads(row.argv))
    except (ValueError, TypeError):
        argv = ()
    if row.kind == "command" and not argv:
        problem = "its program is not readable: remove it and add it again"
    return Channel(row.name, row.kind, argv, row.least, row.timeout_ms, url, problem)


def add(
    database: Database, name: str, *, argv: Sequence[str] = (), url: str = "", least: str = "info",
    timeout_ms: int = TIMEOUT_MS,
) -> Channel:  # fmt: skip
    """
    Add a channel: a command by *argv*, or an apprise service by *url*. One of that name is replaced.

    Raises SettingsError for what cannot be a channel, SecretKeyError when there is no key to seal a URL with.
    Nothing is written then.
    """
    made = checked(name, argv=argv, url=url, least=least, timeout_ms=timeout_ms)
    if made.url is not None:
        # First, and by itself: a key may lie in a keyring that asks a person, and nobody waits for that under the lock.
        database.authentication.set_setting(
            url_key(name), made.url.get_secret_value(), category="alerts", description="riskguard: alert channel"
        )
    with database.transaction() as connection:
        connection.execute(sa.delete(alert_channels).where(_c.name == name))
        if made.url is None:
            connection.execute(sa.delete(config).where(config.c.key == url_key(name)))
        connection.execute(
            sa.insert(alert_channels).values(
                name=name, kind=made.kind, argv=json.dumps(list(made.argv)), least=least, timeout_ms=timeout_ms,
                created_at_us=database.clock.now_us(),
            )
        )  # fmt: skip
    return made


def remove(database: Database, name: str) -> None:
    """Remove a channel and its URL; what waits for it is given up. Raises SettingsError when there is none."""
    with database.transaction() as connection:
        connection.execute(sa.delete(config).where(config.c.key == url_key(name)))
        if connection.execute(sa.delete(alert_channels).where(_c.name == name)).rowcount == 0:
            raise SettingsError(f"no channel `{name}`: `riskguard alerts channels show`")
        waiting = sa.and_(alert_deliveries.c.channel == name, alert_deliveries.c.state.in_(("WAITING", "SENDING")))
        connection.execute(
            sa.update(alert_deliveries)
            .where(waiting)
            .values(state="GIVEN_UP", last_error="the channel was removed", token=alert_deliveries.c.token + 1)
        )


def checked(name: str, *, argv: Sequence[str], url: str, least: str, timeout_ms: int) -> Channel:
    """Return the channel these words describe; raises SettingsError, which never shows a URL."""
    if name == LOG:
        raise SettingsError("channel `log` is always there: it needs no adding")
    if _NAME.fullmatch(name) is None:
        raise SettingsError(f"channel `{name[:40]}`: wants 1 to 32 of a-z, 0-9, `-` and `_`")
    if least not in SEVERITIES:
        raise SettingsError(f"severity `{least[:20]}`: wants one of {', '.join(SEVERITIES)}")
    low, high = TIMEOUT_MS_RANGE
    if not low <= timeout_ms <= high:
        raise SettingsError(f"timeout {timeout_ms / 1000:g} s: wants {low / 1000:g} to {high / 1000:g}")
    if bool(argv) == bool(url):
        raise SettingsError("a channel is a command or a URL, one of both")
    if argv:
        words = tuple(argv)
        if not words[0].strip() or len(words) > WORDS_MAX or any(len(word) > WORD_CHARS_MAX for word in words):
            raise SettingsError(
                f"a command wants a program and at most {WORDS_MAX} words of {WORD_CHARS_MAX} characters"
            )
        return Channel(name, "command", words, least, timeout_ms)
    url = url.strip()
    if not url.isprintable() or "://" not in url or len(url) > URL_CHARS_MAX or any(each.isspace() for each in url):
        raise SettingsError("that is no apprise URL: one line like `tgram://…`, `mailto://…`, `json://…`")
    _remember_parts(url)
    return Channel(name, "apprise", (), least, timeout_ms, SecretStr(url))


def _remember_parts(url: str) -> None:
    """Keep the URL, and each part of it that may be a token, out of every text for people from now on."""
    remember(url)
    try:
        parts = urlsplit(url)
        pieces = [parts.password or "", parts.username or "", *parts.path.split("/"), *re.split("[=&]", parts.query)]
    except ValueError:
        pieces = re.split(r"[/:@?&=]", url)
    for piece in pieces:
        for each in {piece, unquote(piece)}:
            if any(character.isdigit() for character in each):  # words like `sendMessage` are no secrets
                remember(each)
