"""
Keeps secrets out of what is written for people: logs, errors, audit rows, spool files. Standard library only.

Two nets. By shape: JSON web tokens, headers with a token, TPINs, passwords in URLs and the like, wherever they stand.
By value: a secret this process has opened or was given is known, and never leaves in a text, whatever it looks
like. An envelope (`rg1:…`) may pass: it is what stands in the database anyway.
"""

from __future__ import annotations

import logging
import re
import threading
import traceback
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final

HIDDEN: Final = "[redacted]"
KNOWN_MAX: Final = 256
KNOWN_CHARS_MIN: Final = 8
"""A shorter value (a TPIN) may be part of an order's id by chance: it is caught by its name, not by its value."""
DEPTH_MAX: Final = 32

_LONG: Final = (
    r"(?:access|refresh|auth|bearer|request|session|operator|consent)[-_ ]?token|access[-_ ]?key|token[-_ ]?id"
    r"|(?:webhook|client|app|api|shared)[-_ ]?secret|secret[-_ ]?key|api[-_ ]?key|private[-_ ]?key"
    r"|pass(?:word|wd|phrase)|pwd"
)
_SHORT: Final = r"t[-_]?pin|pin|totp|otp|id[-_ ]?token|set-cookie|cookie"
_NAMES: Final = rf"(?:{_LONG}|(?<![a-z])(?:{_SHORT}))"
_NAME: Final = re.compile(rf"(?i)(?:.*(?:{_LONG})|(?:.*[^a-z])?(?:{_SHORT}|authorization|token|secret))")
# Name, its closing quote, the sign between, then the value: quoted to its own closing quote, or up to a delimiter.
_NAMED: Final = re.compile(
    rf"""(?ix) (?P<name>{_NAMES}) (?P<q>\\*["']?) (?P<sign>\s*(?:=>|[:=])\s*)
    (?: (?P<open>\\*["']) (?P<quoted>(?:(?!(?P=open))(?:\\.|.))*) (?P=open)
      | (?P<bare>(?:(?:bearer|basic|token)\s+)?[^\s"'\\,;&<>()\[\]{{}}]+) )"""
)
_SAID: Final = re.compile(r"(?i)(?<![a-z])(t-?pin|totp)(\s+(?:is\s+)?)(\d{4,8})(?!\d)")
_BEARER: Final = re.compile(r"(?i)\b((?:bearer|basic)\s+)(?!rg1:)(?=[A-Za-z._~+/=-]*[0-9])[A-Za-z0-9._~+/=-]{8,}")
_JWT: Final = re.compile(r"eyJ[A-Za-z0-9_-]{6,}(?:\.[A-Za-z0-9_-]*){0,4}")
_IN_URL: Final = re.compile(r"(?i)([a-z][a-z0-9+.-]{1,31}://[^\s:/?#@\"'<>]*):[^\s\"'<>]*@")
_ENVELOPE: Final = re.compile(r"rg1:[0-9a-f]{8}:[A-Za-z0-9_-]+")

_known: OrderedDict[str, None] = OrderedDict()
_known_lock = threading.Lock()


def remember(value: str) -> None:
    """Keep *value* out of every text that is redacted from now on, in this process; short values are not kept."""
    if len(value) < KNOWN_CHARS_MIN or _ENVELOPE.fullmatch(value):
        return
    with _known_lock:
        _known[value] = None
        _known.move_to_end(value)
        while len(_known) > KNOWN_MAX:
            _known.popitem(last=False)


def redacted(text: str) -> str:
    """Return *text* with every secret it shows replaced by `[redacted]`. What is no secret stays, letter for letter."""
    with _known_lock:
        known = sorted(_known, key=len, reverse=True)
    for value in known:
        if value in text:
            text = text.replace(value, HIDDEN)
    if "://" in text:
        text = _IN_URL.sub(rf"\1:{HIDDEN}@", text)
    text = _NAMED.sub(_hide_named, text)
    text = _SAID.sub(rf"\1\2{HIDDEN}", text)
    text = _BEARER.sub(rf"\1{HIDDEN}", text)
    return _JWT.sub(HIDDEN, text) if "eyJ" in text else text


def _hide_named(match: re.Match[str]) -> str:
    quoted, bare = match["quoted"], match["bare"]
    value = quoted if quoted is not None else bare
    if (
        not value
        or value == HIDDEN
        or _ENVELOPE.fullmatch(value)
        or value.casefold() in ("null", "none", "true", "false")
    ):
        return match[0]
    # In JSON a bare number stands after a quoted name: what replaces it must be JSON as well.
    quote = match["open"] or (match["q"] if len(match["q"]) and bare is not None else "")
    return f"{match['name']}{match['q']}{match['sign']}{quote}{HIDDEN}{quote}"


def is_secret_name(name: object) -> bool:
    """Say whether what is called *name* is a secret: `access_token`, `X-Api-Key`, `tpin`, …"""
    return isinstance(name, str) and _NAME.fullmatch(name.strip()) is not None


def looks_secret(value: object) -> bool:
    """Say whether *value* shows a secret whatever it is called: a JSON web token."""
    return isinstance(value, str) and _JWT.search(value) is not None


def clean(value: Any, depth: int = 0) -> Any:
    """
    Return a JSON-like *value* with its secrets replaced: by the name they stand under, or by their shape.

    What is not text, number, list or mapping is redacted as its `str`; deeper than 32 levels all is hidden.
    """
    if depth > DEPTH_MAX:
        return HIDDEN
    if isinstance(value, str):
        return redacted(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {
            redacted(str(name)): HIDDEN if is_secret_name(name) and _says(inner) else clean(inner, depth + 1)
            for name, inner in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [clean(inner, depth + 1) for inner in value]
    if isinstance(value, bytes | bytearray):
        return redacted(bytes(value).decode("utf-8", "replace"))
    return redacted(str(value))


def _says(value: object) -> bool:
    """Nothing, and what is sealed already, is shown: that a token is missing is worth knowing."""
    return value is not None and value != "" and not (isinstance(value, str) and _ENVELOPE.fullmatch(value))


class Redaction(logging.Filter):
    """Redacts a record before any handler formats it: message, arguments, traceback."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass, without its secrets; one that cannot be formatted passes as it is told so."""
        try:
            record.msg = redacted(record.getMessage())
        except Exception as e:
            record.msg = redacted(f"{record.msg!r} (its arguments do not fit: {type(e).__name__})")
        record.args = ()
        if record.exc_info and not record.exc_text:
            record.exc_text = "".join(traceback.format_exception(*record.exc_info)).rstrip("\n")
        if record.exc_text:
            record.exc_text = redacted(record.exc_text)
        record.exc_info = None  # a handler of somebody else's would format it anew
        if record.stack_info:
            record.stack_info = redacted(record.stack_info)
        return True


FILTER: Final = Redaction()

# With the first import of this module: whoever can hold a secret has imported it. A second time changes nothing.
logging.getLogger("riskguard").addFilter(FILTER)
