"""An alert as text: what makes two the same, and how a person reads one."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from typing import Any, Final

from riskguard.redaction import redacted
from riskguard.store.tables.base import ACCOUNT_CHARS_MAX

MESSAGE_CHARS_MAX: Final = 2_000
KEY_CHARS_MAX: Final = 200
CODE_CHARS_MAX: Final = 64
SEVERITIES: Final = ("info", "warning", "critical")
IST: Final = dt.timezone(dt.timedelta(hours=5, minutes=30))

# A percentage is a tier somebody asked to be told of; any other number is a measurement, and differs each time.
_NUMBER: Final = re.compile(r"\d[\d,.]*(\s?%)?")


@dataclass(frozen=True, slots=True)
class Notice:
    """
    One alert on its way.

    Attributes:
        severity: info, warning, critical. code: The event in one word. key: What is the same event, per account.
        once: An event that is told once for ever; None: as often as it is raised.
        not_to: A channel it does not go to: the one it is about.
        is_logged: Whether it stands in this process's log already.
    """

    account: str
    severity: str
    code: str
    message: str
    at_us: int
    key: str
    once: str | None = None
    not_to: str = ""
    is_logged: bool = False


def notice(
    account: str, severity: str, message: str, at_us: int, *, code: str = "", key: str = "", once: str | None = None,
    not_to: str = "", is_logged: bool = False,
) -> Notice:  # fmt: skip
    """
    Return an alert the outbox takes, whatever it is given: an unknown severity is `critical`, secrets are redacted.

    Total: who raises an alert is in trouble already and cannot be told that its words are wrong.
    """
    said = _text(message, MESSAGE_CHARS_MAX) or "(nothing was said)"
    severity = severity if severity in SEVERITIES else "critical"
    code = _text(code, CODE_CHARS_MAX) or "NOTICE"
    named = _text(account, ACCOUNT_CHARS_MAX) or "GLOBAL"
    same = _text(key, KEY_CHARS_MAX) or f"{severity}|{code}|{same_event(said)}"[:KEY_CHARS_MAX]
    return Notice(named, severity, code, said, at_us, same, once, not_to, is_logged)


def same_event(message: str) -> str:
    """Return *message* without its measurements: `loss 4,312.50 of 5,000.00: 80 % reached` -> `loss # of #: 80 % reached`."""
    return _NUMBER.sub(lambda found: found[0] if found[1] else "#", message)


def _text(value: object, most: int) -> str:
    """Return *value* as text the database and every terminal take: redacted, no NUL, no lone surrogate."""
    text = value if isinstance(value, str) else str(value)
    text = text.encode("utf-8", "replace").decode("utf-8").replace("\x00", "")
    text = redacted(text).strip()
    return text if len(text) <= most else f"{text[: most - 1]}…"


def time_of_day(at_us: int) -> str:
    """Return a time as people in India read it: `10:30:05 IST`."""
    return dt.datetime.fromtimestamp(at_us / 1_000_000, IST).strftime("%H:%M:%S IST")


def iso(at_us: int) -> str:
    """Return a time with its date and zone, for programs."""
    return dt.datetime.fromtimestamp(at_us / 1_000_000, IST).isoformat(timespec="milliseconds")


def first_text(message: str, earlier: int) -> str:
    """Return the message of an alert; *earlier*: how often the same was raised since people were last told."""
    return message if not earlier else f"{message} (and {earlier} more like it before)"


def again_text(message: str, times: int, last_us: int) -> str:
    """Return the message that tells a count instead of *times* messages."""
    return f"{times} more like it until {time_of_day(last_us)}: {message}"


def title(account: str, severity: str) -> str:
    """Return the line a phone shows first."""
    word = {"critical": "CRITICAL", "warning": "warning"}.get(severity, "info")
    return f"riskguard {word}: {account}"


def payload(
    number: str, account: str, severity: str, code: str, message: str, at_us: int, *, test: bool = False
) -> dict[str, Any]:
    """
    Return what a channel is given, as JSON.

    `id` is the same each time one message is tried: a receiver that keeps it tells a second try from a second event.
    """
    return {
        "id": number, "account": account, "severity": severity, "code": code, "title": title(account, severity),
        "message": message, "at": iso(at_us), "at_us": at_us, "test": test,
    }  # fmt: skip
