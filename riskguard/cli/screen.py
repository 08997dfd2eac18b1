"""What the demo shows: a bar while it plays, and the closing screen. Every figure comes from the run."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as RichProgress
from rich.table import Table

from riskguard.core.money import rupees
from riskguard.feeds.bars import Day
from riskguard.services.replay import Moment, Outcome, minutes

IST = dt.timezone(dt.timedelta(hours=5, minutes=30))
PLOT_HEIGHT = 18


def clock_text(at_us: int | None) -> str:
    """Return the time of day in India, or a dash."""
    return "—" if at_us is None else dt.datetime.fromtimestamp(at_us / 1_000_000, IST).strftime("%H:%M:%S")


def money_text(e4: int | None) -> str:
    return "unknown" if e4 is None else rupees(round(e4, -2))  # to the paisa


class Progress:
    """One line while the day plays: the time, the day's P&L and the trading state."""

    def __init__(self, day: Day) -> None:
        self._bar = RichProgress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=40),
            TextColumn("{task.percentage:>3.0f}%"),
            transient=True,
        )
        self._task = self._bar.add_task(f"{day.date}", total=sum(1 for _ in minutes(day)))

    def show(self, at_us: int, moment: Moment | None) -> None:
        said = "" if moment is None else f"  {money_text(moment.day_pnl_e4):>14}  {moment.state:<11}"
        self._bar.update(self._task, advance=1, description=f"{clock_text(at_us)}{said}")

    def __enter__(self) -> Progress:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()


def closing_screen(outcome: Outcome, day: Day, database: Path) -> None:
    """Print what happened, from the run alone."""
    console = Console(highlight=False)
    contracts = ", ".join(each.symbol for each in day.instruments)
    console.print(f"\n[bold]{outcome.day}[/bold]: strategy `{outcome.strategy}` on {contracts}")
    console.print("index futures, marked by the index's own minute bars\n")
    console.print(_orders(outcome))
    console.print(_story(outcome))
    _plot(console, outcome)
    console.print(_verdict(outcome))
    shown = os.path.relpath(database)
    print(f"\nlook at it:  riskguard status --db {shown}")
    print(f"             riskguard violations --db {shown} --since all")
    print(f"             riskguard explain {_last_refused(outcome)} --db {shown}")


def _orders(outcome: Outcome) -> Table:
    table = Table(title="orders", title_justify="left", show_edge=False)
    table.add_column("asked", justify="right")
    table.add_column("approved", justify="right")
    table.add_column("refused", justify="right")
    table.add_column("refused because")
    because = ", ".join(f"{code} {count}" for code, count in sorted(outcome.refused.items(), key=lambda each: -each[1]))
    table.add_row(str(outcome.asked), str(outcome.approved), str(outcome.asked - outcome.approved), because or "—")
    return table


def _story(outcome: Outcome) -> Table:
    table = Table(title="\nwhat the sweep saw", title_justify="left", show_edge=False)
    table.add_column("IST")
    table.add_column("")
    for at_us, message in outcome.warnings:
        table.add_row(clock_text(at_us), message)
    if outcome.reduced_at_us is not None:
        table.add_row(clock_text(outcome.reduced_at_us), "[yellow]REDUCE_ONLY: only orders that reduce pass[/yellow]")
    if outcome.killed_at_us is not None:
        table.add_row(
            clock_text(outcome.killed_at_us), "[bold red]KILLED: orders cancelled, positions closed[/bold red]"
        )
    if outcome.flat_at_us is not None:
        table.add_row(clock_text(outcome.flat_at_us), "flat")
    if not table.row_count:
        table.add_row("—", "nothing came near a limit")
    return table


def _plot(console: Console, outcome: Outcome) -> None:
    """Draw the P&L path with plotext; without it (extra `plot`) say how to get it."""
    known = [each for each in outcome.path if each.day_pnl_e4 is not None]
    if len(known) < 2:
        return
    try:
        import plotext
    except ImportError:
        console.print("\n(the P&L path is drawn with `pip install 'riskguard[plot]'`)")
        return
    plotext.clear_figure()
    plotext.theme("clear")
    plotext.plotsize(min(100, console.width), PLOT_HEIGHT)
    for path, name in ((known, "with the guard"), (outcome.unguarded, "without")):
        points = [(_hours(each.at_us), each.day_pnl_e4 / 10_000_000) for each in path if each.day_pnl_e4 is not None]
        if points:
            plotext.plot([x for x, _ in points], [y for _, y in points], label=name)
    if outcome.killed_at_us is not None:
        plotext.vertical_line(_hours(outcome.killed_at_us))
    ticks = range(9, 17)
    plotext.xticks(list(ticks), [f"{hour}:00" for hour in ticks])
    plotext.title("day P&L, thousand rupees" + ("; the line is the kill" if outcome.killed_at_us else ""))
    console.print()
    print(plotext.build())


def _hours(at_us: int) -> float:
    moment = dt.datetime.fromtimestamp(at_us / 1_000_000, IST)
    return moment.hour + moment.minute / 60 + moment.second / 3600


def _verdict(outcome: Outcome) -> Table:
    table = Table(title="\nthe day", title_justify="left", show_edge=False)
    table.add_column("")
    table.add_column("with the guard", justify="right")
    table.add_column("without", justify="right")
    worst_free = min((each.day_pnl_e4 for each in outcome.unguarded if each.day_pnl_e4 is not None), default=None)
    table.add_row("day P&L after charges", money_text(outcome.final_pnl_e4), money_text(outcome.unguarded_final_e4))
    table.add_row("worst moment", money_text(outcome.worst_e4), money_text(worst_free))
    table.add_row("orders sent", str(outcome.approved), str(outcome.unguarded_orders))
    if outcome.final_pnl_e4 is not None and outcome.unguarded_final_e4 is not None:
        saved_e4 = outcome.final_pnl_e4 - outcome.unguarded_final_e4
        word = "the guard saved" if saved_e4 >= 0 else "the guard cost"
        table.add_row(word, money_text(abs(saved_e4)), "")
    return table


def _last_refused(outcome: Outcome) -> str:
    return f"demo-{outcome.asked}" if outcome.asked else "demo-1"
