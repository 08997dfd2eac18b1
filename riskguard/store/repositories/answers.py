"""
Reads the values of Dhan's answers: words that mean "none", times in India, numbers as text or float.

An unreadable time or option word becomes None, because a refused row is an order nobody sees, and the raw answer
is kept beside it. An unreadable quantity or price is refused: a guess there is a wrong position.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from riskguard.errors import RowInvalidError

Answer = Mapping[str, Any]

_NONE: Final = frozenset({"", "NA", "N/A", "NULL", "NONE", "XX"})
_IST: Final = dt.timezone(dt.timedelta(hours=5, minutes=30))
_FORMATS: Final = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d", "%d-%m-%Y %H:%M:%S", "%b %d, %Y")
YEAR_MIN: Final = 1970
LEGS: Final = {"ENTRY_LEG": "ENTRY", "TARGET_LEG": "TARGET", "STOP_LOSS_LEG": "SL"}
OPTIONS: Final = {"CALL": "CALL", "CE": "CALL", "PUT": "PUT", "PE": "PUT"}


def text(answer: Answer, *keys: str) -> str | None:
    """Return the first of *keys* that says something, as text; "NA", "XX" and empty say nothing."""
    for key in keys:
        value = answer.get(key)
        if value is not None and str(value).strip().upper() not in _NONE:
            return str(value).strip()
    return None


def money(column: str, answer: Answer, *keys: str) -> Decimal | None:
    """Return the first of *keys* in rupees, or None; a float is read as it is written. Raises RowInvalidError."""
    said = text(answer, *keys)
    if said is None:
        return None
    try:
        found = Decimal(said.replace(",", ""))
    except InvalidOperation:
        found = Decimal("nan")
    if not found.is_finite() or isinstance(next(answer[key] for key in keys if key in answer), bool):
        raise RowInvalidError(column, "the broker's answer holds no number here: look at its raw text", value=said)
    return found


def whole(column: str, answer: Answer, *keys: str) -> int | None:
    """Return the first of *keys* as a whole number, or None; "75" and 75.0 are 75. Raises RowInvalidError."""
    found = money(column, answer, *keys)
    if found is None:
        return None
    if found != found.to_integral_value():
        raise RowInvalidError(column, "the broker's answer holds a fraction here", value=found)
    return int(found)


def epoch_s(answer: Answer, *keys: str) -> int | None:
    """
    Return the first of *keys* that is a time, as epoch seconds; text without a zone is India's, UTC+5:30.

    The year 1 means "not set" and gives None, as does text that is no time.
    """
    for key in keys:
        said = text(answer, key)
        when = None if said is None else _when(said)
        if when is not None and when.year >= YEAR_MIN:
            return int(when.timestamp())
    return None


def _when(said: str) -> dt.datetime | None:
    if said.endswith("Z") or "+" in said[10:]:
        try:
            found = dt.datetime.fromisoformat(said)
        except ValueError:
            return None
        return found if found.tzinfo is not None else found.replace(tzinfo=_IST)
    for pattern in _FORMATS:
        try:
            return dt.datetime.strptime(said.partition(".")[0], pattern).replace(tzinfo=_IST)
        except ValueError:
            continue
    return None


def session_date(at_s: int) -> str:
    """Return the calendar date in India at *at_s*, year-month-day."""
    return dt.datetime.fromtimestamp(at_s, _IST).date().isoformat()


def status(answer: Answer) -> tuple[str, str]:
    """
    Return (internal word, the broker's own) of an order's status: TRADED is EXECUTED inside, every other word stays.

    Raises RowInvalidError without a status: an order in no known state must not pass for one that is done.
    """
    said = text(answer, "orderStatus", "status")
    if said is None:
        raise RowInvalidError("orders.status", "the broker's answer has no orderStatus: ask for the order again")
    word = said.upper()
    return ("EXECUTED" if word == "TRADED" else word), said


def leg_type(answer: Answer) -> str | None:
    """Return ENTRY, TARGET or SL for the broker's legName, or None."""
    return LEGS.get((text(answer, "legName") or "").upper())


def option_type(answer: Answer) -> str | None:
    """Return CALL, PUT or None; "NA" and "XX" are none."""
    return OPTIONS.get((text(answer, "drvOptionType", "optionType") or "").upper())


def strike(column: str, answer: Answer) -> Decimal | None:
    """Return the strike in rupees, or None: the broker says 0 or a small negative number for none."""
    found = money(column, answer, "drvStrikePrice")
    return found if found is not None and found > 0 else None


def raw(answer: Answer) -> str:
    """Return *answer* as JSON text, to be kept."""
    return json.dumps(answer, ensure_ascii=False, sort_keys=True, default=str)


def given(**values: Any) -> dict[str, Any]:
    """Return the values that say something: an answer that leaves a key out does not clear its column."""
    return {name: value for name, value in values.items() if value is not None}
