"""
Settings: of the process, from the environment; of the database, from its `config` rows.

What all processes of an account must agree on stands in the database; what only this process decides does not.
"""

from __future__ import annotations

import ipaddress
import os
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from riskguard.core.params import explain
from riskguard.errors import SettingsError
from riskguard.store.queries.settings import ROWS, SAVE
from riskguard.store.session import Session

PREFIX = "riskguard."
ENVIRONMENT_PREFIX = "RISKGUARD_"

Profile = Literal["paper", "library", "dhan"]
OnOff = Literal["on", "off"]
EVIDENCE_DAYS = 1_827
"""Five years with their leap days: how long logs of orders and refusals are to be at hand in India."""


def _five_years(days: int) -> int:
    if 0 < days < EVIDENCE_DAYS:
        raise ValueError(f"0 (never) or at least {EVIDENCE_DAYS}, which are five years")
    return days


def _dhan_url(url: str) -> str:
    if url == "https://api.dhan.co/v2":
        return url
    from riskguard.brokers.dhan.wire import checked_url

    try:
        return checked_url(url)
    except SettingsError as e:
        raise ValueError(str(e)) from None


def _networks(text: str) -> str:
    """Take networks separated by commas; a mistyped one must not let everybody in."""
    for each in text.split(",") if text.strip() else ():
        try:
            ipaddress.ip_network(each.strip())
        except ValueError:
            raise ValueError(f"`{each.strip()[:40]}` is no network: such as 10.0.0.0/8 or 203.0.113.7") from None
    return text.strip()


def _stream_url(text: str) -> str:
    """The token goes over it: in clear only to this machine."""
    parts = urlsplit(text)
    if parts.scheme == "wss" and parts.hostname and not parts.username:
        return text
    if parts.scheme == "ws" and parts.hostname in ("127.0.0.1", "localhost", "::1"):
        return text
    raise ValueError("a `wss://` address (`ws://` only to this machine), without a name or password")


def _market_feed_url(url: str) -> str:
    if url == "wss://api-feed.dhan.co":
        return url
    from riskguard.feeds.market.access import checked_url

    try:
        return checked_url(url)
    except SettingsError as e:
        raise ValueError(str(e)) from None


def _watch_list(text: str) -> str:
    """Take instruments separated by commas; a mistyped one would silently never be watched."""
    if not text.strip():
        return ""
    from riskguard.feeds.market.watching import watch_list

    try:
        watch_list(text)
    except SettingsError as e:
        raise ValueError(str(e)) from None
    return text.strip()


def _closable(text: str) -> str:
    """Take products separated by commas; a mistyped one must not be kept where somebody meant it closed."""
    for each in text.split(",") if text.strip() else ():
        if each.strip() not in ("MARGIN", "CNC", "MTF"):
            raise ValueError(f"`{each.strip()[:40]}` is none of MARGIN, CNC, MTF: what is intraday is closed anyway")
    return text.strip()


def _above_the_limit(percent: int) -> int:
    if 0 < percent < 110:
        raise ValueError("0 (not armed), or 110 to 125: at the limit itself it would fire before the kill does")
    return percent


class DatabaseSettings(BaseModel):
    """
    What every process of this database obeys; kept as `config` rows named `riskguard.<name>`.

    Attributes:
        profile: paper (a broker and market of our own), library (positions and quotes are pushed), dhan.
        dhan_base_url: Where profile `dhan` sends its requests: Dhan, its sandbox, or a server on this machine.
        sweep_interval_s: How often losses are looked at; three missed ones refuse what adds risk.
        sweep_book_s, sweep_funds_s, …: How often `riskguard run` asks the broker for orders, fills and positions, for
            funds, holdings, what it says of the account, and its ledger.
        sweep_closed_s: Outside session hours nothing is looked at more often than this; it never stops.
        postback, postback_…: Whether `riskguard run` serves the webhook, where, to which networks (separated by commas;
            empty: all), and whether it takes signed messages only.
        order_updates, order_updates_url: Whether it listens to the broker's stream of order updates, and where.
        market_feed, market_feed_url: Whether `riskguard run` listens to Dhan's live prices (auto: with profile `dhan`), and
            where. watch_list: What it watches besides what is held and ordered, like `NSE_EQ:1333, IDX_I:13`.
        release_hold_s: How long a manual kill is held before it can be released.
        flatten_products: Carried products a flatten closes too: MARGIN, CNC, MTF, separated by commas; empty: it keeps them.
        flatten_exit_all: Whether a flatten that keeps nothing may use the broker's own close-everything, once.
        kill_followers: What a kill of a leader does to its followers besides: stop_copy, mirror_flatten, ignore.
        backstop_pct: The broker's own exit is armed each session at this percent of the daily loss; 0: it is not.
        upkeep_backup, upkeep_archive, upkeep_vacuum: Whether `riskguard run` does it once a day.
        upkeep_time: From when on, hours and minutes in India; never while a market trades.
        backup_directory: Where the daily backup goes; empty: beside the database.
        backup_keep: How many backups are kept there.
        archive_…_after_days: When rows leave for the archive files; 0: never. The floors keep what a day, a
            week or a month is still measured by, and the five years an exchange may ask about.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    profile: Profile = "paper"
    dhan_base_url: Annotated[str, AfterValidator(_dhan_url)] = "https://api.dhan.co/v2"
    sweep_interval_s: Annotated[int, Field(ge=1, le=300)] = 2
    sweep_book_s: Annotated[int, Field(ge=1, le=300)] = 10
    sweep_funds_s: Annotated[int, Field(ge=1, le=3_600)] = 60
    sweep_holdings_s: Annotated[int, Field(ge=10, le=86_400)] = 300
    sweep_profile_s: Annotated[int, Field(ge=10, le=86_400)] = 300
    sweep_ledger_s: Annotated[int, Field(ge=60, le=86_400)] = 3_600
    sweep_closed_s: Annotated[int, Field(ge=1, le=300)] = 30
    postback: OnOff = "off"
    postback_host: Annotated[str, Field(min_length=1, max_length=255)] = "127.0.0.1"
    postback_port: Annotated[int, Field(ge=1, le=65_535)] = 8_766
    postback_allow: Annotated[str, AfterValidator(_networks)] = ""
    postback_signed_only: OnOff = "off"
    order_updates: OnOff = "off"
    order_updates_url: Annotated[str, AfterValidator(_stream_url)] = "wss://api-order-update.dhan.co"
    market_feed: Literal["auto", "on", "off"] = "auto"
    market_feed_url: Annotated[str, AfterValidator(_market_feed_url)] = "wss://api-feed.dhan.co"
    watch_list: Annotated[str, AfterValidator(_watch_list)] = ""
    release_hold_s: Annotated[int, Field(ge=0, le=86_400)] = 60
    flatten_products: Annotated[str, AfterValidator(_closable)] = ""
    flatten_exit_all: OnOff = "off"
    kill_followers: Literal["stop_copy", "mirror_flatten", "ignore"] = "stop_copy"
    backstop_pct: Annotated[int, Field(ge=0, le=125), AfterValidator(_above_the_limit)] = 0
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


class ProcessSettings(BaseModel):
    """Settings of one process, from `RISKGUARD_*` in the environment."""

    model_config = ConfigDict(extra="forbid")

    db: str | None = None
    home: str | None = None
    by: str | None = None
    anchor_file: str = ""
    anchor_command: str = ""
    anchor_deadline_s: Annotated[float, Field(ge=0.1, le=300)] = 10.0
    deadline_ms: Annotated[int, Field(ge=1, le=60_000)] | None = None
    listen: str | None = None


def process_settings() -> ProcessSettings:
    """Read the environment; raises SettingsError naming the variable and what it wants."""
    # By hand: a library for it is a tenth of a strategy's start.
    variables = {name: f"{ENVIRONMENT_PREFIX}{name.upper()}" for name in ProcessSettings.model_fields}
    given = {name: os.environ[variable] for name, variable in variables.items() if variable in os.environ}
    try:
        return ProcessSettings.model_validate(given)
    except ValidationError as e:
        said = explain(e, tuple(variables))
        for name, variable in variables.items():
            said = said.replace(f"`{name}` = ", f"`{variable}` = ")
        raise SettingsError(f"environment: {said}") from None


def read_settings(session: Session) -> DatabaseSettings:
    """Read the database's settings; raises SettingsError for a value it cannot obey."""
    rows = {key.removeprefix(PREFIX): value for key, value in session.rows(ROWS, pattern=f"{PREFIX}%")}
    # A name with a dot is somebody else's row, like who copies whom: a setting has none.
    given = {name: value for name, value in rows.items() if "." not in name}
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
