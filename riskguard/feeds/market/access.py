"""Where the feeds are, and who asks: a token leaves for Dhan's own hosts, or for a server on this machine, and nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote, urlsplit

from riskguard.errors import SettingsError, shown

STREAM_URL: Final = "wss://api-feed.dhan.co"
QUOTES_URL: Final = "https://api.dhan.co/v2"
HOSTS: Final = {"wss": frozenset({"api-feed.dhan.co"}), "https": frozenset({"api.dhan.co"})}
LOCAL: Final = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True, slots=True)
class Access:
    """Client id and token of one moment; the token shows in no repr."""

    client_id: str
    token: str = field(repr=False)


Ask = Callable[[], Access]
"""Returns what is valid now; asked at every connection, so that a renewed token is used. May raise RiskGuardError."""


def checked_url(url: str) -> str:
    """Return *url* without its last slash; raises SettingsError for a host that is not Dhan's or this machine's."""
    parts = urlsplit(url)
    local = parts.scheme in ("ws", "http", "wss", "https") and parts.hostname in LOCAL
    plain = not (parts.username or parts.password or parts.query or parts.fragment)
    if plain and (local or parts.hostname in HOSTS.get(parts.scheme, ())):
        return url.rstrip("/")
    raise SettingsError(
        f"market feed {shown(parts.hostname)}: a token may only go to `{STREAM_URL}` and `{QUOTES_URL}`"
    )


def stream_url(base: str, access: Access) -> str:
    """Return the address of the stream. It holds the token: never say, log or keep it."""
    return (
        f"{base}/?version=2&token={quote(access.token, safe='')}&clientId={quote(access.client_id, safe='')}&authType=2"
    )
