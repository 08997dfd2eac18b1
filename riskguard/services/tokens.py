"""
Access tokens: setting one, the present one for a broker adapter, and warning before it ends.

A token of Dhan lives 24 hours and is a JSON web token: `exp` is read out of it, not verified. Only the broker
can say whether it holds; riskguard only says when it will surely not.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import json
import logging
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from pydantic import SecretStr

from riskguard.core.assess import Finding
from riskguard.core.calendar import Calendar
from riskguard.errors import SecretError, StoreUnavailableError, TokenInvalidError, TokenMissingError
from riskguard.redaction import remember
from riskguard.store.calendar import calendar
from riskguard.store.queries.logins import ACTIVE
from riskguard.store.session import Session

if TYPE_CHECKING:
    from riskguard.store.database import Database
    from riskguard.store.repositories.authentication import StoredToken

log = logging.getLogger("riskguard")

TOKEN_CHARS_MAX: Final = 8_192
SEGMENT: Final = "NSE_EQ"
"""Whose close counts as the day's: the longest session all accounts share."""
MINUTE_S: Final = 60
WARN_S: Final = (120 * MINUTE_S, 30 * MINUTE_S, 0)
"""Seconds before the end at which a person is told, once each."""


# -- setting ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TokenSet:
    """A token that was stored: its row, the key that seals it, when it ends (epoch seconds), and what to look at."""

    account: str
    id: int
    key_id: str
    expires_at: int | None
    warnings: tuple[str, ...]


def set_token(database: Database, account: str, text: str, *, force: bool = False) -> TokenSet:
    """
    Make *text* the account's active token; the earlier one is switched off in the same transaction.

    Raises TokenInvalidError (nothing given, not one word, or expired and not *force*), UnknownAccountError,
    SecretKeyError and its family. Nothing is written then.
    """
    token = checked(text)
    remember(token)
    now_us = database.clock.now_us()
    expires_at = expiry_of(token)
    warnings = doubts(expires_at, now_us, calendar())
    if expires_at is not None and expires_at <= now_us // 1_000_000 and not force:
        raise TokenInvalidError(f"the token of `{account}` {warnings[0]}; make a new one, or give `--force`")
    number = database.authentication.set_token(account, token, expires_at=expires_at)
    keys = database.authentication.vault.keys()
    return TokenSet(account, number, "" if keys is None else keys.newest, expires_at, tuple(warnings))


def checked(text: str) -> str:
    """Return the token in *text*, without the blanks around it; raises TokenInvalidError, which never shows it."""
    token = text.strip()
    if not token:
        raise TokenInvalidError("no token was given: type it at the prompt, or pipe it in")
    if len(token) > TOKEN_CHARS_MAX:
        raise TokenInvalidError(f"the token is longer than {TOKEN_CHARS_MAX} characters: that is something else")
    if not token.isascii() or not token.isprintable() or " " in token:
        raise TokenInvalidError("a token is one word of letters, digits and signs: give nothing before or after it")
    return token


def claims_of(token: str) -> dict[str, Any]:
    """Return what a JSON web token says of itself, unverified; nothing where it is none."""
    parts = token.split(".")
    if len(parts) != 3:
        return {}
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        return {}
    return claims if isinstance(claims, dict) else {}


def expiry_of(token: str) -> int | None:
    """Return the `exp` of a JSON web token in epoch seconds, unverified; None when it is none or does not say."""
    found: Any = claims_of(token).get("exp")
    if isinstance(found, float) and found.is_integer():
        found = int(found)
    return found if type(found) is int and 0 < found < 100_000_000_000 else None


def doubts(expires_at: int | None, now_us: int, hours: Calendar) -> list[str]:
    """Return what a person should know about a token that ends at *expires_at* (epoch seconds), the worst first."""
    if expires_at is None:
        return ["does not say when it expires: nothing can warn you before it does"]
    now_s = now_us // 1_000_000
    if expires_at <= now_s:
        return [f"expired at {ist(expires_at)}"]
    closes = [window.close_us // 1_000_000 for window in hours.windows(SEGMENT, hours.session_date(now_us))]
    if closes and expires_at < closes[-1] and now_s < closes[-1]:
        return [f"expires at {ist(expires_at)}, before today's close ({ist(closes[-1])})"]
    return []


def ist(epoch_s: int) -> str:
    """Return a time as people in India read it."""
    zone = dt.timezone(dt.timedelta(hours=5, minutes=30))
    return dt.datetime.fromtimestamp(epoch_s, zone).strftime("%Y-%m-%d %H:%M:%S IST")


# -- how they stand -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TokenStatus:
    """
    How an account's token stands; never the token, nor a part of it.

    Attributes:
        token: `valid`, `expired`, `unknown` (it does not say when it ends), `unreadable`, `none`.
        kept: `sealed` or `plain`; "" where there is none. source: Where the key came from.
        expires_in_s: Negative when past; None when not known. problem: Why it cannot be read, or what to look at.
    """

    account: str
    token: str
    kept: str = ""
    key_id: str = ""
    source: str = ""
    set_at: int | None = None
    expires_at: int | None = None
    expires_in_s: int | None = None
    problem: str = ""


def status(database: Database, account: str) -> TokenStatus:
    """Return how the account's token stands. A token that cannot be read is `unreadable`, never `none`."""
    tokens = database.authentication
    found = tokens.active(account)
    if found is None:
        return TokenStatus(account, "none", problem=f"`riskguard token set {account}`")
    now_s = database.clock.now_us() // 1_000_000
    left = None if found.expires_at is None else found.expires_at - now_s
    state = "unknown" if left is None else "expired" if left <= 0 else "valid"
    kept, key, source, problem = "", "", "", ""
    try:
        opened = tokens.opened(found)
        kept, key = opened.kept, opened.key_id
        if kept == "plain":
            problem = f"lies there in clear: `riskguard token rotate {account}` seals it"
        else:
            keys = tokens.vault.keys()
            source = "" if keys is None else keys.source
    except SecretError as e:
        state, kept, problem = "unreadable", "sealed", str(e)
        key = getattr(e, "key_id", "")
    return TokenStatus(account, state, kept, key, source, found.created_at, found.expires_at, left, problem)


# -- the present one ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A token to send: its row, when it ends (epoch seconds, None when not known). `value` shows in no repr."""

    id: int
    value: SecretStr
    expires_at: int | None


@dataclass(slots=True)
class TokenSource:
    """
    What a broker adapter asks for the token before each request. Threads may share it.

    The row is read each time, which costs less than any request, and opened only when it changed: a token set
    elsewhere is used by the next request, without a restart. One that has expired by our clock is given out all
    the same: the broker says whether it holds, and a kill must not wait for a clock to be set right.
    """

    database: Database
    account: str
    _seen: tuple[StoredToken, AccessToken] | None = field(default=None, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def current(self) -> AccessToken:
        """
        Return the present token.

        While the database cannot be read, the last one known is returned: a kill goes on without the database.

        Raises:
            TokenMissingError: The account has none. SecretKeyError, SecretWrongKeyError, SecretTamperedError: It
            has one that cannot be read. StoreUnavailableError: The database cannot be read, and none is known.
        """
        with self._lock:
            tokens = self.database.authentication
            try:
                found = tokens.active(self.account)
            except StoreUnavailableError:
                if self._seen is None:
                    raise
                log.warning("the database cannot be read: going on with the token of %s as last known", self.account)
                return self._seen[1]
            if found is None:
                self._seen = None
                raise TokenMissingError(self.account)
            if self._seen is None or self._seen[0] != found:
                opened = tokens.opened(found)
                if opened.kept == "plain":
                    log.warning(
                        "the token of %s lies in clear: `riskguard token rotate %s`", self.account, self.account
                    )
                self._seen = found, AccessToken(found.id, opened.value, found.expires_at)
            return self._seen[1]


class ExpiryWatch:
    """Says once per threshold that a token comes to its end: two hours before, thirty minutes before, and then."""

    def __init__(self) -> None:
        self._told: tuple[int, int] = (0, 0)  # the row, and how many thresholds it has passed

    def findings(self, session: Session, account: str, now_us: int) -> list[Finding]:
        """Return what is new about the account's token. Needs no key: when it ends stands beside it in clear."""
        row = session.row(ACTIVE, account=account)
        if row is None or row[1] is None:
            return []
        number, expires_at = row
        left = expires_at - now_us // 1_000_000
        passed = sum(left <= threshold for threshold in WARN_S)
        told = self._told[1] if self._told[0] == number else 0
        self._told = (number, passed)
        if passed <= told:
            return []
        way_out = f"`riskguard token set {account}`"
        if left <= 0:
            said = f"the access token expired at {ist(expires_at)}: the broker refuses everything; {way_out}"
            return [Finding("TOKEN_EXPIRED", "critical", said)]
        minutes = max(1, left // MINUTE_S)
        said = f"the access token expires in {minutes} min, at {ist(expires_at)}: {way_out}"
        return [Finding("TOKEN_EXPIRING", "warning", said)]
