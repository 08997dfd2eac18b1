"""
Signed webhooks: HMAC-SHA256 over `id.timestamp.raw body`, in the headers of the Standard Webhooks convention.

Dhan signs nothing. A relay of the user's own can: it takes Dhan's call and passes it on signed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Final

ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"
WINDOW_S: Final = 300
"""How far the sender's clock and ours may differ; ids are remembered for twice as long."""
ID_CHARS_MAX: Final = 128
SIGNATURES_MAX: Final = 8
KEY_PREFIX: Final = "whsec_"
_PATH, _KEY = b"riskguard postback path", b"riskguard postback signature"


class Signed(StrEnum):
    """What a request's headers came to."""

    NOT = "unsigned"
    RIGHT = "signed"
    WRONG = "wrong signature"
    OLD = "time stamp outside the window"
    MALFORMED = "malformed signature headers"


def path_of(secret: str) -> str:
    """Return the part of the address nobody can guess, made of *secret*: whoever sees it does not learn the key."""
    return base64.b32encode(hmac.new(secret.encode(), _PATH, hashlib.sha256).digest()[:20]).decode().lower()


def key_of(secret: str) -> bytes:
    """Return the signing key made of *secret*."""
    return hmac.new(secret.encode(), _KEY, hashlib.sha256).digest()


def shown_key(secret: str) -> str:
    """Return the signing key as libraries of the convention take it."""
    return KEY_PREFIX + base64.b64encode(key_of(secret)).decode()


def sign(key: bytes, message_id: str, timestamp_s: int, body: bytes) -> str:
    """Return the value of the signature header."""
    said = f"{message_id}.{timestamp_s}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, said, hashlib.sha256).digest()).decode()


def verify(keys: Sequence[bytes], headers: Mapping[str, str], body: bytes, now_s: int) -> Signed:
    """
    Say whether *body* came from who holds one of *keys*; during a rotation there are two.

    *headers* by their names in small letters. A request with any of the three headers is a signed one, and must be
    right. Every key and signature is compared, in constant time.
    """
    given = [headers.get(name, "") for name in (ID, TIMESTAMP, SIGNATURE)]
    if not any(given):
        return Signed.NOT
    message_id, timestamp, signatures = given
    if not all(given) or len(message_id) > ID_CHARS_MAX or not message_id.isprintable():
        return Signed.MALFORMED
    if not (timestamp.isascii() and timestamp.isdecimal() and len(timestamp) <= 12):
        return Signed.MALFORMED
    said = f"{message_id}.{timestamp}.".encode() + body
    wanted = [hmac.new(key, said, hashlib.sha256).digest() for key in keys]
    right = False
    for each in signatures.split(" ")[:SIGNATURES_MAX]:
        found = _decoded(each)
        for digest in wanted:
            right |= hmac.compare_digest(digest, found)
    if not right:
        return Signed.WRONG
    # After the signature: to a stranger a stale clock and a wrong key look the same.
    return Signed.RIGHT if abs(now_s - int(timestamp)) <= WINDOW_S else Signed.OLD


def _decoded(signature: str) -> bytes:
    version, _, text = signature.partition(",")
    if version != "v1":
        return b""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""
