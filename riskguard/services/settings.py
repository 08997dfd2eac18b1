"""
Settings: of the process, from the environment; of the database, from its `config` rows.

What all processes of an account must agree on stands in the database; what only this process decides does not.
"""

from __future__ import annotations

from typing import Annotated, Literal

import sqlalchemy as sa
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
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
OnOff = Literal["on", "off"]
EVIDENCE_DAYS = 1_827
"""Five years with their leap days: how long logs of orders and refusals are to be at hand in India."""


def _five_years(days: int) -> int:
    if 0 < days < EVIDENCE_DAYS:
        raise ValueError(f"0 (never) or at least {EVIDENCE_DAYS}, which are five years")
    return days


class DatabaseSettings(BaseModel):
    """
    What every process of this database obeys; kept as `config` rows named `riskguard.<name>`.

    Attributes:
        profile: paper (a broker and market of our own), library (positions and quotes are pushed), dhan.
        sweep_interval_s: How often losses are looked at; three missed ones refuse what adds risk.
        release_hold_s: How long a manual kill is held before it can be released.
        upkeep_backup, upkeep_archive, upkeep_vacuum: Whether `riskguard run` does it once a day.
        upkeep_time: From when on, hours and minutes in India; never while a market trades.
        backup_directory: Where the daily backup goes; empty: beside the database.
        backup_keep: How many backups are kept there.
        archive_…_after_days: When rows leave for the archive files; 0: never. The floors keep what a day, a
            week or a month is still measured by, and the five years an exchange may ask about.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    profile: Profile = "paper"
    sweep_interval_s: Annotated[int, Field(ge=1, le=300)] = 2
    release_hold_s: Annotated[int, Field(ge=0, le=86_400)] = 60
    upkeep_backup: OnOff = "on"
    upkeep_archive: OnOff = "on"
    upkeep_vacuum: OnOff = "on"
    upkeep_time: Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")] = "18:30"
    backup_directory: str = ""
    backup_keep: Annotated[int, Field(ge=1, le=3_650)] = 14
    archive_after_days: Annotated[int, Field(ge=32, le=36_500)] = 90
    archive_readings_after_days: Annotated[int, Field(ge=32, le=36_500)] = 45
    archive_trades_after_days: Annotated[int, Field(ge=92, le=36_500)] = 365
    archive_snapshots_after_days: Annotated[int, Field(ge=2, le=36_500)] = 7
    archive_violations_after_days: Annotated[int, Field(ge=0, le=36_500), AfterValidator(_five_years)] = 0


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
