"""
Where riskguard keeps its state on this host. Standard library only: the kill switch needs it first.

The host directory holds `halt/` (one for all databases of the host), `armed/` and `gate/`; a SQLite database
has the same three beside it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

SYSTEM_STATE = Path("/var/lib/riskguard")
DATABASE_NAME = "riskguard.db"


def host_home() -> Path:
    """Return `$RISKGUARD_HOME`, else the system state directory when present, else the user's data directory."""
    named = os.environ.get("RISKGUARD_HOME")
    if named:
        return Path(named).absolute()
    if SYSTEM_STATE.is_dir() and os.access(SYSTEM_STATE, os.W_OK):
        return SYSTEM_STATE
    return user_data()


def user_data() -> Path:
    """Return the user's own data directory of riskguard on this platform."""
    if sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    elif sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", str(Path.home() / "AppData" / "Local")))
    else:
        base = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return base.absolute() / "riskguard"


def database_url(given: str | None = None) -> str:
    """
    Return the database to use: *given*, else `RISKGUARD_DB`, else the host home's own file.

    A SQLite URL comes back absolute, so that changing directory cannot change the database; a plain path is
    taken as a SQLite file.
    """
    url = given or os.environ.get("RISKGUARD_DB") or f"sqlite:///{host_home() / DATABASE_NAME}"
    if "://" not in url:
        url = f"sqlite:///{url}"
    path = sqlite_path(url)
    return url if path is None else f"sqlite:///{path}"


def sqlite_path(url: str) -> Path | None:
    """Return the absolute file of a SQLite URL, or None for another kind of database."""
    if not url.startswith("sqlite:///"):
        return None
    name = url.removeprefix("sqlite:///").partition("?")[0]
    return Path(os.path.abspath(os.path.expanduser(name)))


def state_directories(url: str) -> tuple[Path, ...]:
    """
    Return the directories that hold halt flags for the database at *url*: beside it (SQLite), then the host's.

    The same directory twice is named once.
    """
    path = sqlite_path(url)
    try:
        both = (host_home(),) if path is None else (path.parent, host_home())
    except RuntimeError:
        if path is None:
            raise
        both = (path.parent,)  # a user without a home: the database's own directory is all there is
    return tuple(dict.fromkeys(both))
