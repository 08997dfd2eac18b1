"""
What an answer means: taken, refused, or unknown.

The status of HTTP decides little: errors come with 200, and readable ones with 400, 429 and 500. A body that says
error is one; a write that got 5xx, 3xx, nothing readable, or one of the codes for "the back end did not answer"
may have acted.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Final, NoReturn

from riskguard.brokers.dhan.wire import IN_DOUBT, Answer
from riskguard.errors import BrokerRefusedError, BrokerUnconfirmedError
from riskguard.redaction import redacted

TOKEN, ADDRESS, RATE, ACCOUNT, TRANSIT, OTHER = "token", "address", "rate", "account", "transit", "other"
MESSAGE_CHARS: Final = 160

_TOKEN_CODES: Final = frozenset({"DH-901", "807", "808", "809", "810"})
_RATE_CODES: Final = frozenset({"DH-904", "805"})
_UNCLEAR_CODES: Final = frozenset({"DH-908", "DH-909", "DH-910", "800", "INTERNAL_SERVER_ERROR"})
"""The service itself does not know what its back end did."""
_ADDRESS: Final = re.compile(r"(?i)\bip\b|static ip|whitelist")
_BAD_WORDS: Final = frozenset({"error", "failed", "failure", "failed."})
_WAY_OUT: Final = {
    TOKEN: "set a new one with `riskguard token set`",
    ADDRESS: "register this host's address at Dhan: exits are refused like entries",
    RATE: "too many requests of this client, all programs together",
    ACCOUNT: "look at the account's segments and switches at Dhan",
    TRANSIT: "it cannot be cancelled yet: wait, and try again",
    OTHER: "nothing of it rests there",
}


class DhanRefusedError(BrokerRefusedError):
    """Dhan said no. `code` is its word (`DH-906`), `kind` what to do: token, address, rate, account, transit, other."""

    def __init__(self, what: str, status: int, code: str, message: str) -> None:
        self.code, self.kind = code, _kind(status, code, message)
        self.too_many = self.kind == RATE
        said = redacted(" ".join(message.split()))[:MESSAGE_CHARS]
        super().__init__(
            f"`{what}`: Dhan refused ({code or 'no code'}, HTTP {status}): `{said}`; {_WAY_OUT[self.kind]}"
        )


def _kind(status: int, code: str, message: str) -> str:
    if code in _TOKEN_CODES:
        return TOKEN
    if code in _RATE_CODES or status == 429:
        return RATE
    if code == "DH-911" or _ADDRESS.search(message):
        return ADDRESS
    if code in ("DH-902", "DH-903"):
        return ACCOUNT
    return TRANSIT if "transit" in message.lower() else OTHER


@dataclass(frozen=True, slots=True)
class Complaint:
    """What a body says is wrong; the code is "" where it names none."""

    code: str
    message: str


class _Empty:
    """A success without a body."""


EMPTY: Final = _Empty()


def parsed(answer: Answer) -> Any:
    """
    Return the JSON value of a body, its numbers as int or Decimal; EMPTY for no body.

    Raises ValueError for what is no JSON, and for NaN and infinity: they are not numbers anybody traded at.
    """
    text = answer.body.decode("utf-8").strip()
    if not text:
        return EMPTY
    try:
        return json.loads(text, parse_float=Decimal, parse_constant=_no_number)
    except RecursionError:
        raise ValueError("is nested too deep") from None
    except InvalidOperation:
        raise ValueError("holds a number with an exponent longer than any number's") from None


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"holds {word}, which is no number")


def complaint_of(value: Any) -> Complaint | None:
    """Return what the body complains of: by an error key, a status other than success, or either in a list."""
    if isinstance(value, list):
        return next((found for each in value if (found := complaint_of(each)) is not None), None)
    if not isinstance(value, dict):
        return None
    code = value.get("errorCode") or value.get("internalErrorCode") or value.get("error_code")
    message = value.get("errorMessage") or value.get("internalErrorMessage") or value.get("message")
    status = value.get("status")
    if isinstance(value.get("data"), dict) and isinstance(status, str) and status.lower() in _BAD_WORDS:
        code, message = next(iter(value["data"].items()), (code, message))
    elif not (code or value.get("errorType") or value.get("errorMessage")):
        bad = isinstance(status, str) and status.lower() in _BAD_WORDS
        if not bad and not (type(status) is int and status >= 400 and "error" in value):
            return None
        message = message or value.get("error")
    return Complaint("" if code is None else str(code)[:40], "" if message is None else str(message))


def judged(what: str, answer: Answer, *, writes: bool, doubtful: bool = False) -> Any:
    """
    Return the body of a success; EMPTY where it has none.

    Args:
        writes: A refusal must be certain, for somebody may act on it: what the back end may have done is unknown.
        doubtful: A success whose body says error without a code is unknown, not a refusal: for placements.

    Raises:
        DhanRefusedError: It was refused, and nothing came of it. BrokerUnconfirmedError: Nobody can say.
    """
    try:
        value = parsed(answer)
    except ValueError as e:
        why = "an answer that is no JSON" if "Decode" in type(e).__name__ else f"an answer that {e}"
        raise unknown(what, answer, why, writes=writes) from None
    found = complaint_of(value)
    good = 200 <= answer.status < 300
    if found is not None:
        unclear = found.code in _UNCLEAR_CODES or answer.status >= 500
        if unclear or (good and doubtful and not found.code):
            why = f"`{redacted(found.message)[:MESSAGE_CHARS] or found.code}`"
            raise unknown(what, answer, why, writes=writes)
        raise DhanRefusedError(what, answer.status, found.code, found.message)
    if not good:
        raise unknown(what, answer, "an answer that names no error", writes=writes)
    if value is EMPTY and not writes:
        raise unknown(what, answer, "an empty answer", writes=writes)
    return value


def unknown(what: str, answer: Answer, why: str, *, writes: bool) -> BrokerUnconfirmedError:
    """Return the error for an answer that settles nothing."""
    return BrokerUnconfirmedError(f"`{what}`: HTTP {answer.status} with {why}; {IN_DOUBT[writes]}")
