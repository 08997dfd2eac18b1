"""Every setting, one at a time, set to what nobody may mean: refused in a line that names it, or a value inside its bounds."""

from __future__ import annotations

import math
import typing
from typing import Any

import psycopg
import pytest
from pydantic import BaseModel

from riskguard.errors import SettingsError
from riskguard.services.settings import PREFIX, DatabaseSettings, process_settings, read_settings
from tests.services.desk import Desk

NONSENSE = (
    "", " ", "0", "-0", "-1", "-9999999999", "nan", "NaN", "inf", "-inf", "1e400", "1e9", "9" * 400, "1_000_000", "0x10", "1.5",
    "١٢",     "None", "null", "true", "True", "unlimited", "∞", "off;on", "on ", "ON", "[]", "{}", "\x00", "a\nb", "\u202eno",
    "x" * 10_000,     "10s", "10%", "1,000", "http://example.org", "99:99",
)  # fmt: skip
FIELDS = sorted(DatabaseSettings.model_fields)
FREE = {"backup_directory", "postback_host"}
"""Text that is a place: what is no such place is found by whoever goes there."""


def bounds(model: type[BaseModel], name: str) -> tuple[float, float]:
    """Return the declared least and most of a number; infinite where none is declared."""
    least, most = -math.inf, math.inf
    for each in model.model_fields[name].metadata:
        least, most = getattr(each, "ge", least), getattr(each, "le", most)
    return least, most


def write(desk: Desk, name: str, value: str) -> None:
    desk.put(
        "config", ("key",), key=f"{PREFIX}{name}", value=value, data_type="string", category="system", updated_at=0
    )


def read(desk: Desk) -> DatabaseSettings:
    with desk.store.session() as session:
        return read_settings(session)


@pytest.mark.parametrize("name", FIELDS)
def test_a_setting_nobody_can_mean_is_refused_or_bounded(desk: Desk, name: str) -> None:
    """Read back from the database itself: no key is ever unlimited, unknown or half read."""
    standing = read(desk).model_dump()
    good = standing[name]
    refused = 0
    for value in NONSENSE:
        try:
            write(desk, name, value)
        except psycopg.DataError:
            assert "\x00" in value, "a server takes no NUL, and every other text"
            refused += 1
            continue
        try:
            found = read(desk).model_dump()
        except SettingsError as e:
            said = str(e)
            refused += 1
            assert name in said and said.isprintable() and len(said) < 600, said
            continue
        assert_bounded(name, found[name], value)
        assert {**found, name: good} == standing, "no other setting moved"
    write(desk, name, str(good))
    assert read(desk).model_dump() == standing
    assert name in FREE or refused > len(NONSENSE) // 2, refused


def assert_bounded(name: str, found: Any, given: str) -> None:
    kind = DatabaseSettings.model_fields[name].annotation
    if kind is int:
        least, most = bounds(DatabaseSettings, name)
        assert type(found) is int and math.isfinite(least) and math.isfinite(most) and least <= found <= most, given
    elif typing.get_origin(kind) is typing.Literal:
        assert found in typing.get_args(kind) and found == given
    else:
        assert type(found) is str


def test_every_number_has_a_least_and_a_most() -> None:
    """A number without a bound would be unlimited in one direction."""
    for name in FIELDS:
        if DatabaseSettings.model_fields[name].annotation is int:
            assert all(map(math.isfinite, bounds(DatabaseSettings, name))), name


@pytest.mark.parametrize(
    "name", ["sweep_interval", "sweepinterval_s", "Sweep_interval_s", "sweep_interval_s ", "profil", ""]
)
def test_a_name_nobody_knows_is_refused(desk: Desk, name: str) -> None:
    """A misspelt setting is not one that is obeyed."""
    write(desk, name, "5")
    with pytest.raises(SettingsError) as caught:
        read(desk)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("value", ["", "0", "-1", "nan", "inf", "1e400", "60001", "1.5", "ten", "None", "9" * 400])
def test_a_deadline_nobody_can_mean_is_refused(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """RISKGUARD_DEADLINE_MS: a check that waits for ever would be a check that does not answer."""
    monkeypatch.setenv("RISKGUARD_DEADLINE_MS", value)
    with pytest.raises(SettingsError, match="RISKGUARD_DEADLINE_MS"):
        process_settings()
