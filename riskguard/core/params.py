"""Parameters of a check: strict pydantic models whose units stand in their field names."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from difflib import get_close_matches
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, ValidationError, WithJsonSchema

from riskguard.core.money import SCALE, to_e4, to_text
from riskguard.errors import RulebookError

US = 1_000_000
SECONDS_MAX = 366 * 86_400


def _inr(value: object) -> int:
    return to_e4(value)


def _seconds(value: object) -> int:
    scaled = to_e4(value, most=SECONDS_MAX * SCALE)
    return scaled * (US // SCALE)


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


class Params(BaseModel):
    """Base of every check's parameters: immutable, nothing coerced, nothing unknown, no defaults hidden."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    @classmethod
    def read(cls, parameters: Mapping[str, Any], *, where: str) -> Self:
        """Validate plain data; raises RulebookError naming the key, what is wrong and what was likely meant."""
        try:
            return cls.model_validate(dict(parameters))
        except ValidationError as e:
            raise RulebookError(f"{where}: {explain(e, tuple(cls.model_fields))}") from None


def explain(error: ValidationError, known: tuple[str, ...]) -> str:
    """Return pydantic's findings as one line a desk can act on."""
    said = []
    for finding in error.errors(include_url=False, include_input=True):
        key = ".".join(str(part) for part in finding["loc"]) or "(whole)"
        if finding["type"] == "extra_forbidden":
            near = get_close_matches(key.rpartition(".")[2], known, n=1)
            hint = f"did you mean `{near[0]}`?" if near else f"known: {', '.join(known) or 'none'}"
            said.append(f"unknown key `{key}`: {hint}")
        elif finding["type"] == "missing":
            said.append(f"`{key}` is missing")
        else:
            shown = str(finding["input"])[:40]
            said.append(f"`{key}` = {shown}: {finding['msg'].removeprefix('Value error, ')}")
    return "; ".join(said)


def as_decimal(value: float) -> Decimal:
    """Return a REAL column's number as the decimal a person wrote: four places, half up at the fifth."""
    return Decimal(repr(value)).quantize(Decimal("0.0001"))
