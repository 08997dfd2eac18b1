"""What `riskguard run` shows on a terminal: a table that is redrawn, one line for each account."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from riskguard.core.money import rupees, to_e4
from riskguard.services.daemon import SHOWN_KINDS, Standing

COLOURS = {"ACTIVE": "green", "REDUCE_ONLY": "yellow", "HALTED": "bold red"}


def table(standings: Sequence[Standing]) -> Table:
    """Draw how every account stands."""
    shown = Table(show_edge=False, pad_edge=False)
    for name in (
        "account",
        "state",
        "day P&L",
        *(f"{kind.replace('_', ' ')} ago" for kind in SHOWN_KINDS),
        "kill runs",
    ):
        shown.add_column(name, justify="left" if name in ("account", "state", "kill runs") else "right")
    for each in standings:
        pnl = "unknown" if each.day_pnl is None else rupees(to_e4(each.day_pnl))
        if each.day_pnl is not None and not each.fresh:
            pnl += " (stale)"
        ages = [age_text(each.ages_s[kind]) for kind in SHOWN_KINDS]
        colour = COLOURS.get(each.state, "")
        state = f"[{colour}]{each.state}[/{colour}]" if colour else each.state
        shown.add_row(escape(each.account), state, pnl, *ages, escape(", ".join(each.kill_runs)) or "—")
    return shown


def age_text(seconds: float | None) -> str:
    """Return an age a person reads at a glance."""
    if seconds is None:
        return "never"
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


class Watching:
    """The redrawn table; nothing at all where nobody sits at a terminal."""

    def __init__(self, *, wanted: bool) -> None:
        self._live = (
            Live(console=Console(file=sys.stderr), auto_refresh=False) if wanted and sys.stderr.isatty() else None
        )

    @property
    def console(self) -> Console | None:
        """Where log lines go, so that they scroll above the table; None without one."""
        return None if self._live is None else self._live.console

    def show(self, standings: Sequence[Standing]) -> None:
        if self._live is not None:
            self._live.update(table(standings), refresh=True)

    def __enter__(self) -> Watching:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()


class ConsoleLines:
    """A stream for a log handler: each record is one line above the table, never markup."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def write(self, text: str) -> Any:
        if text.strip():
            self._console.print(text.rstrip("\n"), markup=False, highlight=False)

    def flush(self) -> None:
        """Printed at once."""
