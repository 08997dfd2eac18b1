"""
The envelope a secret lies in: `rg1:<key id>:<base64url of nonce, ciphertext and tag>`.

AES-256-GCM with a random nonce of 96 bits. The place a value belongs to (table, column, row, account) is
authenticated with it: a value carried to another row, column or table does not open there. An older value put
back in its own place does open; nothing but the journal of the file system would know.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from riskguard.errors import ExtraMissingError, SecretKeyError, SecretTamperedError, SecretWrongKeyError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

PREFIX: Final = "rg1:"
KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16
_SHAPE: Final = re.compile(r"rg1:([0-9a-f]{8}):([A-Za-z0-9_-]{38,})")


class Place(NamedTuple):
    """Where a value belongs: a row of riskguard's tables by its key, and the account it is for ("" for none)."""

    table: str
    column: str
    row: str
    account: str = ""

    def bound(self) -> bytes:
        """Return the bytes that are authenticated with the value; JSON keeps the parts apart."""
        return json.dumps(["riskguard", *self], separators=(",", ":")).encode()

    def __str__(self) -> str:
        return f"{self.table}.{self.column} of row `{self.row}`"


def key_id(key: bytes) -> str:
    """Return the first eight hex digits of the key's SHA-256: names a key without telling it."""
    return hashlib.sha256(key).hexdigest()[:8]


def cipher(key: bytes) -> AESGCM:
    """Return the cipher of *key*; raises ExtraMissingError when `cryptography` is not installed."""
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    except ImportError:
        raise ExtraMissingError("secrets", "cryptography", "encrypted values") from None
    return AESGCM(key)


@dataclass(frozen=True, slots=True)
class Keys:
    """
    The keys at hand, newest first: the first one seals, all of them open. Shows only key ids.

    Attributes:
        source: Where they come from, in words.
        warnings: What a person should know about that source.
    """

    source: str
    keys: tuple[bytes, ...]
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.keys:
            raise SecretKeyError(f"{self.source} holds no key: `riskguard secrets init`")

    def __repr__(self) -> str:
        return f"Keys(source={self.source!r}, ids={self.ids!r})"

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of the keys, newest first."""
        return tuple(map(key_id, self.keys))

    @property
    def newest(self) -> str:
        return key_id(self.keys[0])

    def seal(self, value: str, place: Place) -> str:
        """
        Return *value* in an envelope that opens only at *place*, made with the newest key.

        Raises ExtraMissingError.
        """
        plain = value.encode("utf-8", "surrogateescape")
        nonce = os.urandom(NONCE_BYTES)
        sealed = nonce + cipher(self.keys[0]).encrypt(nonce, plain, place.bound())
        return f"{PREFIX}{self.newest}:{base64.urlsafe_b64encode(sealed).rstrip(b'=').decode()}"

    def open(self, envelope: str, place: Place) -> str:
        """
        Return the value inside *envelope*.

        Raises:
            SecretWrongKeyError: It was made with a key that is not at hand.
            SecretTamperedError: It was changed, cut, or belongs to another place.
            ExtraMissingError: `cryptography` is not installed.
        """
        match = _SHAPE.fullmatch(envelope)
        if match is None:
            raise SecretTamperedError(str(place), "it is no whole envelope")
        wanted, body = match[1], match[2]
        having = [key for key in self.keys if key_id(key) == wanted]
        if not having:
            raise SecretWrongKeyError(str(place), wanted, self.ids, self.source)
        try:
            raw = base64.b64decode(body + "=" * (-len(body) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise SecretTamperedError(str(place), "it is no whole envelope") from None
        for key in having:
            plain = _decrypted(key, raw, place)
            if plain is not None:
                return plain.decode("utf-8", "surrogateescape")
        raise SecretTamperedError(str(place), "it was changed, or carried here from another place")


def _decrypted(key: bytes, raw: bytes, place: Place) -> bytes | None:
    made = cipher(key)
    from cryptography.exceptions import InvalidTag

    try:
        return made.decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], place.bound())
    except InvalidTag:
        return None


def is_sealed(value: object) -> bool:
    """Say whether *value* claims to be an envelope. Whether it opens is another question."""
    return isinstance(value, str) and value.startswith(PREFIX)


def sealed_with(value: str) -> str:
    """Return the id of the key an envelope names; "" when it names none."""
    match = _SHAPE.fullmatch(value)
    return "" if match is None else match[1]
