"""What a desk may choose of a kill: settings of the database, read at each round, so that a change counts at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from riskguard.store.queries.kill_options import ROWS
from riskguard.store.session import Session

CLOSABLE: Final = ("MARGIN", "CNC", "MTF")
FOLLOWERS: Final = ("stop_copy", "mirror_flatten", "ignore")
PREFIX: Final = "riskguard."


@dataclass(frozen=True, slots=True)
class KillOptions:
    """
    Attributes:
        flatten_products: Carried products a flatten closes too, of MARGIN, CNC, MTF; the default keeps them all.
        exit_all: Whether the broker's own close-everything may be used where nothing is kept. Off by default: what it
            sends is neither checked, nor sliced, nor in our order.
        followers: What a kill of a leader does to its followers: stop_copy, mirror_flatten, ignore.
        backstop_pct: The broker's own exit at this percent of the local daily loss, 110 to 125; 0: not armed.
    """

    flatten_products: frozenset[str] = frozenset()
    exit_all: bool = False
    followers: str = "stop_copy"
    backstop_pct: int = 0


def read_options(session: Session) -> KillOptions:
    """
    Read the options. A value that cannot be read counts as the default: a bad setting must not stop a kill.

    `services.settings` refuses such a value wherever the settings are read to be obeyed.
    """
    given: dict[str, Any] = {
        key.removeprefix(PREFIX): str(value) for key, value in session.rows(ROWS, pattern=f"{PREFIX}%")
    }
    products = frozenset(each.strip() for each in given.get("flatten_products", "").split(",") if each.strip())
    percent = given.get("backstop_pct", "0")
    followers = given.get("kill_followers", "stop_copy")
    return KillOptions(
        flatten_products=products & frozenset(CLOSABLE),
        exit_all=given.get("flatten_exit_all") == "on",
        followers=followers if followers in FOLLOWERS else "stop_copy",
        backstop_pct=int(percent) if percent.isdecimal() and 110 <= int(percent) <= 125 else 0,
    )
