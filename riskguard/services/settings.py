"""
Settings: of the process, from the environment; of the database, from its `config` rows.

What all processes of an account must agree on stands in the database; what only this process decides does not.
"""

from __future__ import annotations

from typing import Annotated, Literal

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from riskguard.core.params import explain
from riskguard.errors import SettingsError
from riskguard.store.session import Session
from riskguard.store.statements import insert_into, param, prepare
from riskguard.store.tables.authentication import config

PREFIX = "riskguard."
ROWS = prepare(sa.select(config.c.key, config.c.value).where(config.c.key.like(param("pattern"))))
SAVE = insert_into(config, "key", "value", "data_type", "category", "description", "updated_at", replace=True)

Profile = Literal["paper", "library", "dhan"]


class DatabaseSettings(BaseModel):
    """
    What every process of this database obeys; kept as `config` rows named `riskguard.<name>`.

    Attributes:
        profile: paper (a broker and market of our own), library (positions and quotes are pushed), dhan.
        sweep_interval_s: How often losses are looked at; three missed ones refuse what adds risk.
        release_hold_s: How long a manual kill is held before it can be released.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    profile: Profile = "paper"
    sweep_interval_s: Annotated[int, Field(ge=1, le=300)] = 2
    release_hold_s: Annotated[int, Field(ge=0, le=86_400)] = 60


class ProcessSettings(BaseSettings):
    """Settings of one process, from `RISKGUARD_*` in the environment."""

    model_config = SettingsConfigDict(env_prefix="RISKGUARD_", extra="ignore")

    db: str | None = None
    home: str | None = None
    by: str | None = None
    deadline_ms: Annotated[int, Field(ge=1, le=60_000)] = 50


def process_settings() -> ProcessSettings:
    """Read the environment; raises SettingsError naming the variable and what it wants."""
    try:
        return ProcessSettings()
    except ValidationError as e:
        raise SettingsError(
            f"environment: RISKGUARD_{explain(e, tuple(ProcessSettings.model_fields)).upper()}"
        ) from None


def read_settings(session: Session) -> DatabaseSettings:
    """Read the database's settings; raises SettingsError for a value it cannot obey."""
    given = {key.removeprefix(PREFIX): value for key, value in session.rows(ROWS, pattern=f"{PREFIX}%")}
    try:
        return DatabaseSettings.model_validate(given)
    except ValidationError as e:
        raise SettingsError(f"config rows `{PREFIX}…`: {explain(e, tuple(DatabaseSettings.model_fields))}") from None


def save_settings(session: Session, settings: DatabaseSettings, now_us: int) -> None:
    """Write the settings as `config` rows."""
    for name, value in settings.model_dump().items():
        session.run(
            SAVE, key=f"{PREFIX}{name}", value=str(value), data_type="integer" if type(value) is int else "string",
            category="system", description=f"riskguard: {name}", updated_at=now_us // 1_000_000,
        )  # fmt: skip
