"""
The webhook's addresses: one secret for each account, sealed in `postback_configs`, two while it is being changed.

Of the secret a path and a signing key are made; neither tells the other.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import secrets
import threading
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from pydantic import SecretStr

from riskguard.errors import RiskGuardError, SettingsError, UnknownAccountError
from riskguard.feeds import signatures
from riskguard.redaction import remember
from riskguard.store.database import Database
from riskguard.store.rows.postback import PostbackConfigRow

log = logging.getLogger("riskguard")

PREFIX: Final = "/postback/"
FRESH_US: Final = 5_000_000
STANDING_MAX: Final = 2
"""Secrets of one account that hold at once: the new one, and the one before it until the broker has the new one."""


@dataclass(frozen=True, slots=True)
class Door:
    """One secret's address. `digest` is of the path; the path itself is not kept."""

    config_id: int
    account: str
    digest: bytes = field(repr=False)
    key: bytes = field(repr=False)


class Doors:
    """The doors that stand now; read again every few seconds, so that a changed secret needs no restart."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._doors: tuple[Door, ...] = ()
        self._read_us: int | None = None

    def find(self, path: str) -> Door | None:
        """Return whose address *path* is, or None. Every door is compared, in constant time."""
        plain = path.partition("?")[0]
        given = _digest(plain[max(0, plain.rfind(PREFIX)) :])  # a proxy may leave its own folder in front
        found = None
        for door in self.standing():
            if hmac.compare_digest(door.digest, given):
                found = door
        return found

    def keys(self, account: str) -> tuple[bytes, ...]:
        """Return the signing keys of an account that hold now."""
        return tuple(door.key for door in self.standing() if door.account == account)

    def standing(self) -> tuple[Door, ...]:
        """Return every door; while the database cannot be read, those last known."""
        now_us = self._database.clock.elapsed_us()
        with self._lock:
            if self._read_us is None or now_us - self._read_us >= FRESH_US:
                self._read_us = now_us  # also when it fails: a flood of strangers is no flood of reads
                try:
                    self._doors = tuple(self._read())
                except RiskGuardError as e:
                    log.warning("the webhook's secrets cannot be read, those last known hold: %s", e)
            return self._doors

    def _read(self) -> list[Door]:
        found = []
        for account in self._database.authentication.accounts():
            for row in self._database.postback.get_configs(account):
                try:
                    opened = None if row.id is None else self._database.postback.secret(row.id)
                except RiskGuardError as e:
                    log.warning("webhook secret %s of %s: %s", row.id, account, e)
                    continue
                if opened is not None and row.id is not None:
                    secret = opened.value.get_secret_value()
                    path = PREFIX + signatures.path_of(secret)
                    remember(signatures.path_of(secret))
                    found.append(Door(row.id, account, _digest(path), signatures.key_of(secret)))
        return found


def _digest(path: str) -> bytes:
    return hashlib.sha256(path.encode("utf-8", "replace")).digest()


@dataclass(frozen=True, slots=True)
class NewSecret:
    """
    A secret that was made: the address to give to the broker, the key for a relay, and what holds besides.

    `url` and `signing_key` are secrets; they are shown once, to the person who made them.
    """

    account: str
    config_id: int
    url: str = field(repr=False)
    signing_key: str = field(repr=False)
    standing: int


def set_secret(database: Database, account: str, base_url: str, *, only: bool = False) -> NewSecret:
    """
    Make a new secret for *account*, sealed; the one before it goes on holding, unless *only*.

    *base_url* is what the broker reaches, such as `https://desk.example.org`. Raises UnknownAccountError,
    SettingsError (the URL), SecretKeyError and its family: nothing is written then.
    """
    known = database.authentication.accounts()
    if account not in known:
        raise UnknownAccountError(account, known)
    base = checked_url(base_url)
    secret = secrets.token_urlsafe(32)
    remember(secret)
    remember(signatures.path_of(secret))
    now_s = database.clock.now_us() // 1_000_000
    with database.transaction():
        number = database.postback.add_config(
            PostbackConfigRow(
                account_type=account, webhook_url=base + PREFIX, webhook_secret=SecretStr(secret), event_types='["order"]',
                is_active=True, created_at=now_s, updated_at=now_s,
            )
        )  # fmt: skip
        database.postback.retire_configs(account, keep=1 if only else STANDING_MAX)
    standing = len(database.postback.get_configs(account))
    path = PREFIX + signatures.path_of(secret)
    return NewSecret(account, number, base + path, signatures.shown_key(secret), standing)


def retire(database: Database, account: str) -> int:
    """End every secret of *account* but the newest; returns how many were ended. Raises UnknownAccountError."""
    known = database.authentication.accounts()
    if account not in known:
        raise UnknownAccountError(account, known)
    return database.postback.retire_configs(account, keep=1)


def checked_url(text: str) -> str:
    """Return the part of *text* before the path; raises SettingsError for what no broker can reach, or in clear."""
    try:
        parts = urlsplit(text.strip())
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port, parts = "", None, urlsplit("")
    if parts.scheme != "https" or not host or parts.username or parts.query or parts.fragment:
        raise SettingsError(
            f"`{text[:80]}` is no address for a webhook: `https://` and a host, such as https://desk.example.org"
        )
    if host == "localhost" or host.startswith("127.") or host == "::1":
        raise SettingsError(f"`{host}` is this machine: the broker never calls it; give the address your proxy serves")
    shown = f"[{host}]" if ":" in host else host
    return f"https://{shown}{'' if port is None else f':{port}'}{parts.path.rstrip('/')}"
