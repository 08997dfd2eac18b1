"""
What every row model is made of: the types of its columns, and how a row comes in and goes out.

Two ways in. A row a program makes is checked column by column and refused with `RowInvalidError`. A row the
database holds is taken as it is: its CHECKs held when it was written, and an unknown word must not hide an order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from functools import cache
from typing import Annotated, Any, ClassVar, Final, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    SecretStr,
    TypeAdapter,
    ValidationError,
    ValidatorFunctionWrapHandler,
    model_validator,
)

from riskguard.errors import RowInvalidError

PLACES: Final = Decimal("0.0001")
MONEY_MAX: Final = 900_000_000_000_000
WHOLE_MAX: Final = 2**63 - 1
ACCOUNT_CHARS_MAX: Final = 64
_DIGITS_MAX: Final = 40


def _whole(value: object) -> object:
    if type(value) is not int:
        raise ValueError(f"give a whole number, not {type(value).__name__}")
    if not -WHOLE_MAX <= value <= WHOLE_MAX:
        raise ValueError("is beyond 64 bits")
    return value


def _flag(value: object) -> object:
    if type(value) is bool:
        return value
    if type(value) is int and value in (0, 1):
        return value == 1
    raise ValueError("give True or False")


def _number(value: object) -> Decimal:
    if type(value) is int or (isinstance(value, str) and len(value) <= _DIGITS_MAX):
        try:
            value = Decimal(value)
        except InvalidOperation:
            raise ValueError("give a plain decimal number like `1650.05`") from None
    if not isinstance(value, Decimal):
        why = "a float has lost its last digits; " if isinstance(value, float) else ""
        raise ValueError(f"{why}give text, int or Decimal, not {type(value).__name__}")
    if not value.is_finite():
        raise ValueError("give a finite number, or None for unknown")
    if abs(value) >= MONEY_MAX:
        raise ValueError(f"is beyond ±{MONEY_MAX}")
    return value


def _money(value: object) -> Decimal:
    found = _number(value).quantize(PLACES, rounding=ROUND_HALF_UP)
    return found if found else found.copy_abs()  # no "-0.0000"


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"give text, not {type(value).__name__}")
    found = str(value)
    if "\0" in found or not _encodes(found):
        raise ValueError("holds a character no database stores (NUL or a lone surrogate): take it out")
    return found


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _said(value: str) -> str:
    if not value.strip(" "):
        raise ValueError("is empty: say something, an empty key is found by nobody")
    return value


def _account(value: str) -> str:
    if len(value) > ACCOUNT_CHARS_MAX:
        raise ValueError(f"is longer than {ACCOUNT_CHARS_MAX} characters")
    return value


def _secret(value: object) -> SecretStr:
    return SecretStr(_text(value.get_secret_value() if isinstance(value, SecretStr) else value))


def one_of(*words: str) -> AfterValidator:
    """A word out of a closed list of our own side; the broker's words are never one."""

    def check(value: str) -> str:
        if value not in words:
            raise ValueError(f"give one of {', '.join(words)}")
        return value

    return AfterValidator(check)


Whole = Annotated[int, BeforeValidator(_whole)]
"""A whole number of 64 bits; bool, float and text are refused."""
Flag = Annotated[bool, BeforeValidator(_flag)]
"""True or False, stored as 1 or 0."""
Money = Annotated[Decimal, BeforeValidator(_money)]
"""Rupees, four places, rounded half up: text, int or Decimal, never float. Stored as REAL."""
Ratio = Annotated[Decimal, BeforeValidator(_number)]
"""A finite number that is not money; not rounded."""
Text = Annotated[str, BeforeValidator(_text)]
"""Text that any of our databases can store."""
Said = Annotated[Text, AfterValidator(_said)]
"""Text that is not empty: an id, or a word of the broker."""
AccountName = Annotated[Said, AfterValidator(_account)]
"""The name of an account, 1 to 64 characters."""
Secret = Annotated[SecretStr, BeforeValidator(_secret)]
"""Text that `repr`, errors and logs show as stars; `get_secret_value()` tells it."""


def _read_real(value: object) -> object:
    if value is None or isinstance(value, Decimal):
        return value
    return Decimal(repr(float(value)))  # type: ignore[arg-type]


def _read_money(value: object) -> object:
    if value is None:
        return value
    found = Decimal(repr(float(value))).quantize(PLACES, rounding=ROUND_HALF_UP)  # type: ignore[arg-type]
    return found if found else found.copy_abs()


def _read_flag(value: object) -> object:
    return None if value is None else bool(value)


def _read_text(value: object) -> object:
    # SQLite keeps bytes in a TEXT column: a version 3 program may have stored a message as it came.
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _read_secret(value: object) -> object:
    return None if value is None else SecretStr(str(_read_text(value)))


_READERS: Final[Mapping[object, Callable[[object], object]]] = {
    _money: _read_money,
    _number: _read_real,
    _flag: _read_flag,
    _text: _read_text,
    _secret: _read_secret,
}


class Row(BaseModel):
    """
    One row of one table, its fields the table's columns in their order.

    Frozen: a change is a new row, `row.model_copy(update=...)`, checked when it is written. Raises
    RowInvalidError, naming table and column, when a value is one the column does not take.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    TABLE: ClassVar[str]
    _HIDDEN: ClassVar[frozenset[str]]
    _CONVERTED: ClassVar[dict[str, Callable[[object], object]]]

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        cls._CONVERTED = {
            name: found for name, each in cls.model_fields.items() if (found := _reader(each)) is not None
        }
        cls._HIDDEN = frozenset(
            name for name, each in cls.model_fields.items() if not each.repr or cls._CONVERTED.get(name) is _read_secret
        )

    @model_validator(mode="wrap")
    @classmethod
    def _typed(cls, given: Any, handler: ValidatorFunctionWrapHandler) -> Self:
        try:
            found: Self = handler(given)
        except ValidationError as e:
            raise cls._refusal(e) from None
        return found

    @classmethod
    def _refusal(cls, error: ValidationError) -> RowInvalidError:
        first = error.errors(include_url=False, include_context=False)[0]
        name = str(first["loc"][0]) if first["loc"] else "*"
        column = f"{cls.TABLE}.{name}"
        if first["type"] == "missing":
            return RowInvalidError(column, "is missing: give it")
        if first["type"] == "extra_forbidden":
            return RowInvalidError(column, "is no column of this table", is_secret=True)
        problem = first["msg"].removeprefix("Value error, ")
        return RowInvalidError(column, problem, value=first["input"], is_secret=name in cls._HIDDEN)

    def __setattr__(self, name: str, value: Any) -> None:
        """Refuse: a row is what the database said."""
        if name in type(self).model_fields:
            problem = "a row is not changed: make another with `model_copy(update=...)`"
            raise RowInvalidError(f"{self.TABLE}.{name}", problem, is_secret=True)
        super().__setattr__(name, value)

    @classmethod
    def read(cls, stored: Mapping[Any, Any]) -> Self:
        """
        Return the row the database holds as *stored*, unchecked; columns it does not name take their defaults.

        For what the database answered. A row of your own is made by calling the class.
        """
        converted = cls._CONVERTED
        values: dict[str, Any] = {
            name: converted[name](stored[name]) if name in converted else stored[name]
            for name in cls.model_fields
            if name in stored
        }
        return cls.model_construct(**values)

    @classmethod
    def checked_value(cls, name: str, value: object) -> Any:
        """Return *value* as the database takes it in the column *name*; raises RowInvalidError."""
        try:
            return _stored(_adapter(cls, name).validate_python(value))
        except ValidationError as e:
            problem = e.errors(include_url=False, include_context=False)[0]["msg"].removeprefix("Value error, ")
            raise RowInvalidError(f"{cls.TABLE}.{name}", problem, value=value, is_secret=name in cls._HIDDEN) from None

    def checked(self) -> Self:
        """Return the row, every set column checked; raises RowInvalidError. For copies, which nobody checked."""
        return type(self).model_validate({name: getattr(self, name) for name in self.model_fields_set})

    def stored(self, *, only_set: bool = False) -> dict[str, Any]:
        """Return the columns as the database takes them: REAL, 1 and 0, secrets in clear. *only_set*: those given."""
        names = self.model_fields_set if only_set else type(self).model_fields
        return {name: _stored(getattr(self, name)) for name in type(self).model_fields if name in names}

    def __repr_args__(self) -> Any:
        """Leave out raw messages, which may hold anything; a sensitive setting's value shows as stars."""
        hides = getattr(self, "is_sensitive", False)
        for name, value in super().__repr_args__():
            yield name, ("**********" if hides and name == "value" else value)


@cache
def _adapter(made_of: type[Row], name: str) -> TypeAdapter[Any]:
    """Return what checks one column alone."""
    field = made_of.model_fields[name]
    kind: Any = field.annotation
    return TypeAdapter(Annotated[kind, *field.metadata] if field.metadata else kind)


def _reader(field: Any) -> Callable[[object], object] | None:
    for each in [*field.metadata, *_metadata(field.annotation)]:
        found = _READERS.get(getattr(each, "func", None))
        if found is not None:
            return found
    return None


def _metadata(annotation: Any) -> list[Any]:
    """Return what an annotation such as `Money | None` carries, at any depth."""
    found = list(getattr(annotation, "__metadata__", ()))
    for inner in getattr(annotation, "__args__", ()):
        found += _metadata(inner)
    return found


def _stored(value: object) -> object:
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return value
