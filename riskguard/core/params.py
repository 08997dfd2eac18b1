"""Parameters of a check: strict pydantic models whose units stand in their field names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from difflib import get_close_matches
from functools import cache
from typing import Annotated, Any, Self, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, ValidationError, WithJsonSchema

from riskguard.core.money import SCALE, to_decimal, to_e4, to_text
from riskguard.errors import RulebookError

US = 1_000_000
SECONDS_MAX = 366 * 86_400
_TIME = re.compile(r"[0-9]{2}:[0-9]{2}(:[0-9]{2})?")


def _inr(value: object) -> int:
    return to_e4(value)


def _seconds(value: object) -> int:
    scaled = to_e4(value, most=SECONDS_MAX * SCALE)
    return scaled * (US // SCALE)


def _percent_e2(value: object) -> int:
    scaled = to_e4(value, most=1_000 * SCALE)
    if scaled % 100:
        raise ValueError("has more than two decimals")
    return scaled // 100


def _time_of_day(value: object) -> int:
    if type(value) is not str or not _TIME.fullmatch(value):
        raise ValueError('wants a time in India like "09:20"')
    hour, minute, second = (int(part) for part in f"{value}:00".split(":")[:3])
    if not (hour < 24 and minute < 60 and second < 60):
        raise ValueError('wants a time in India like "09:20"')
    return hour * 3600 + minute * 60 + second


def _clock_text(second: int) -> str:
    text = f"{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}"
    return text[:5] if text.endswith(":00") else text


def _decimal_schema(unit: str) -> WithJsonSchema:
    return WithJsonSchema({"type": ["string", "integer"], "pattern": r"^\d+(\.\d{1,4})?$", "description": unit})


Inr = Annotated[
    int, BeforeValidator(_inr), Field(gt=0), PlainSerializer(to_text, return_type=str), _decimal_schema("rupees")
]
"""Rupees in a rulebook (text or whole number), 1/10000 rupee inside. Always above 0: a limit of 0 is no limit."""

Seconds = Annotated[
    int,
    BeforeValidator(_seconds),
    Field(gt=0),
    PlainSerializer(lambda us: to_text(us // (US // SCALE)), return_type=str),
    _decimal_schema("seconds"),
]
"""Seconds in a rulebook, microseconds inside."""

Count = Annotated[int, Field(gt=0, le=10**9)]
Percent = Annotated[int, Field(gt=0, le=1_000)]

FinePercent = Annotated[
    int,
    BeforeValidator(_percent_e2),
    Field(gt=0),
    PlainSerializer(lambda e2: str(to_decimal(e2 * 100)), return_type=str),
    _decimal_schema("percent"),
]
"""Percent in a rulebook (text or whole number, two decimals at most), 1/100 percent inside."""

Times = Annotated[
    int, BeforeValidator(_inr), Field(gt=0), PlainSerializer(to_text, return_type=str), _decimal_schema("times")
]
"""How many times something in a rulebook (text or whole number), 1/10000 inside."""

TimeOfDay = Annotated[
    int,
    BeforeValidator(_time_of_day),
    PlainSerializer(_clock_text, return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^\d\d:\d\d(:\d\d)?$", "description": "time of day in India"}),
]
"""A time of day in India, "HH:MM" or "HH:MM:SS" in a rulebook, seconds after midnight inside."""


class Params(BaseModel):
    """Base of every check's parameters: immutable, nothing coerced, nothing unknown, no defaults hidden."""

    # Its validator is built at the first limit that uses it: a desk has a dozen of the seventy kinds.
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)

    @classmethod
    def read(cls, parameters: Mapping[str, Any], *, where: str) -> Self:
        """Validate plain data; raises RulebookError naming the key, what is wrong and what was likely meant."""
        try:
            return cls.model_validate(dict(parameters))
        except ValidationError as e:
            raise RulebookError(f"{where}: {explain(e, tuple(cls.model_fields))}") from None

    def plain(self) -> Self:
        """
        Return a twin to ask with: the same fields and methods, immutable, and no pydantic model.

        A model looks each attribute up in Python's slowest way; that alone was a fifth of a decision.
        """
        kind = type(self)
        twin = _twin_of(kind)()
        for name in kind.model_fields:
            object.__setattr__(twin, name, _plain(getattr(self, name)))
        return cast(Self, twin)


class _Twin:
    """Base of every class of plain parameters."""

    __slots__ = ()

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"parameters do not change (tried to set `{name}`)")


@cache
def _twin_of(kind: type[Params]) -> type[_Twin]:
    """Make the plain class for one class of parameters: its fields as slots, and its public methods."""
    methods = {
        name: found
        for base in reversed(kind.__mro__)
        if issubclass(base, Params) and base is not Params
        for name, found in vars(base).items()
        if callable(found) and not name.startswith("_")
    }
    return type(kind.__name__, (_Twin,), {"__slots__": tuple(kind.model_fields), **methods})


def _plain(value: object) -> object:
    """Parameters within parameters become plain, too; any other value stays the one it is."""
    if isinstance(value, Params):
        return value.plain()
    if isinstance(value, list) and any(isinstance(each, Params) for each in value):
        return [_plain(each) for each in value]
    return value


def explain(error: ValidationError, known: tuple[str, ...]) -> str:
    """Return pydantic's findings as one line a desk can act on."""
    said = []
    for finding in error.errors(include_url=False, include_input=True):
        key = _in_line(".".join(str(part) for part in finding["loc"])) or "(whole)"
        if finding["type"] == "extra_forbidden":
            near = get_close_matches(key.rpartition(".")[2], known, n=1)
            hint = f"did you mean `{near[0]}`?" if near else f"known: {', '.join(known) or 'none'}"
            said.append(f"unknown key `{key}`: {hint}")
        elif finding["type"] == "missing":
            said.append(f"`{key}` is missing")
        else:
            shown = _in_line(str(finding["input"]))
            said.append(f"`{key}` = {shown}: {_in_line(finding['msg'].removeprefix('Value error, '), 300)}")
    return "; ".join(said)


def _in_line(text: str, characters_max: int = 40) -> str:
    """Return *text* cut to so many characters; what would break the line, or turn it round, is escaped."""
    text = text[:characters_max]
    return text if text.isprintable() else ascii(text)[1:-1]


def as_decimal(value: float) -> Decimal:
    """Return a REAL column's number as the decimal a person wrote: four places, half up at the fifth."""
    return Decimal(repr(value)).quantize(Decimal("0.0001"))
