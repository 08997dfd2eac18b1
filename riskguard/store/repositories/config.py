"""Settings, watermarks and switches of the copying program."""

from __future__ import annotations

import json
from typing import Any, Final

import sqlalchemy as sa

from riskguard.errors import RowInvalidError
from riskguard.store.repositories.base import Repository
from riskguard.store.rows.authentication import ConfigRow
from riskguard.store.tables.authentication import config

_c = config.c
_OURS: Final = "riskguard."
_BOOLEANS: Final = {"true": True, "false": False}


class ConfigRepository(Repository):
    """
    Settings by key. `kill_switch_enabled` is a switch of the copying program, not the kill state.

    Settings of riskguard itself (`riskguard.…`) and `schema_version` are read here and written elsewhere.
    """

    def get(self, key: str) -> Any:
        """
        Return a setting as its type: str, int, bool, or what its JSON says; None when there is no such key.

        Raises RowInvalidError when the text is not of the row's type, or the value is encrypted.
        """
        row = self.get_config_row(key)
        if row is None:
            return None
        if row.is_sensitive:
            raise _sensitive(key)
        return _parsed(row, row.value)

    def set(self, key: str, value: Any) -> None:
        """
        Set a setting: bool, int, str, or a JSON-like dict or list; a new key takes its type from the value.

        A key that is there keeps data type, category and description. Raises RowInvalidError when the value is
        not of that type.
        """
        text, kind = _text_of(key, value)
        self._write(key, text, kind, None)

    def get_config_value(self, key: str) -> str | None:
        """Return a setting's text, or None. An encrypted one comes as it is stored: `database.authentication` opens it."""
        found: str | None = self._value(sa.select(_c.value).where(_c.key == key))
        return found

    def set_config_value(self, key: str, value: str, description: str | None = None) -> None:
        """Set a setting's text; data type and category stay, and the description where none is given."""
        self._write(key, ConfigRow.checked_value("value", value), None, description)

    def get_config_row(self, key: str) -> ConfigRow | None:
        """Return the whole row of a setting, or None."""
        return self._row(ConfigRow, sa.select(config).where(_c.key == key))

    def get_config(self, category: str | None = None) -> list[ConfigRow]:
        """Return the settings by key; of one category, where it is given."""
        statement = sa.select(config).order_by(_c.key)
        return self._rows(ConfigRow, statement if category is None else statement.where(_c.category == category))

    def _write(self, key: str, text: str, kind: str | None, description: str | None) -> None:
        if key == "schema_version" or key.startswith(_OURS):
            raise RowInvalidError("config.key", "is riskguard's own: see docs/settings.md for who sets it", value=key)
        with self._writing():
            standing = self.get_config_row(key)
            if standing is not None and standing.is_sensitive:
                raise _sensitive(key)
            values: dict[str, Any] = {"key": key, "value": text, "updated_at": self._now_s()}
            if description is not None:
                values["description"] = description
            if standing is None:
                values["data_type"] = kind or "string"
            elif kind is None or kind == standing.data_type or standing.data_type == "string":
                _parsed(standing, text)
            else:
                raise RowInvalidError(f"config.value of `{key}`", f"is a {standing.data_type}: give one", value=text)
            self._upsert(ConfigRow(**values))


def _parsed(row: ConfigRow, text: str) -> Any:
    try:
        if row.data_type == "integer":
            return int(text)
        if row.data_type == "boolean":
            return _BOOLEANS[text.strip().lower()]
        return json.loads(text) if row.data_type == "json" else text
    except (ValueError, KeyError):
        raise RowInvalidError(
            f"config.value of `{row.key}`", f"is no {row.data_type}: set it anew", value=text
        ) from None


def _text_of(key: str, value: Any) -> tuple[str, str]:
    if isinstance(value, bool):
        return ("true" if value else "false"), "boolean"
    if isinstance(value, int):
        return str(value), "integer"
    if isinstance(value, str):
        return value, "string"
    if isinstance(value, dict | list):
        try:
            return json.dumps(value, allow_nan=False), "json"
        except (TypeError, ValueError):
            raise RowInvalidError(f"config.value of `{key}`", "is no JSON", is_secret=True) from None
    raise RowInvalidError(f"config.value of `{key}`", "give text, int, bool, dict or list", value=value)


def _sensitive(key: str) -> RowInvalidError:
    problem = "is encrypted: read and set it with `database.authentication`"
    return RowInvalidError(f"config.value of `{key}`", problem, is_secret=True)
