"""`riskguard report`: what a day was, on the terminal, as one document, or as a page that needs no network."""

from __future__ import annotations

import datetime as dt
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from riskguard.cli.options import Account, Db, Json
from riskguard.cli.output import document, one_line_errors, say, table
from riskguard.errors import SettingsError, StoreUnavailableError, UnknownAccountError
from riskguard.home import database_url

if TYPE_CHECKING:
    from riskguard.services.reporting.day import DayReport

PLOT_HEIGHT = 16
PLOT_WIDTH_MAX = 100


@one_line_errors
def report(
    date: Annotated[
        str | None, typer.Option("--date", help="Session date, like 2026-11-23; today when left out.")
    ] = None,
    account: Account = None,
    html: Annotated[str | None, typer.Option("--html", help="Write a page to this file instead.")] = None,
    db: Db = None,
    as_json: Json = False,
) -> None:
    """
    Show what a session was: P&L, how near limits came, orders, refusals, kills with their steps, charges, alerts.

    The page of `--html` holds everything it needs and opens without a network. The daemon writes one after the close.

    Exit status: 0 done, also when nothing was recorded that day; 1 error; 2 malformed input, or no such account.
    """
    from riskguard.clock import SystemClock
    from riskguard.services.reporting import day_report
    from riskguard.services.reporting.writing import write_pages
    from riskguard.services.wiring import settings_of
    from riskguard.store.loader import session_date
    from riskguard.store.session import Store

    if html is not None and as_json:
        raise SettingsError("`--html` and `--json` exclude each other")
    day = _checked(date) if date is not None else session_date(SystemClock().now_us())
    store = Store(database_url(db))
    try:
        _, known = settings_of(store)
        if account is not None and account not in known:
            raise UnknownAccountError(account, known)
        found = [day_report(store, name, day) for name in ((account,) if account is not None else known)]
    finally:
        store.close()
    if html is not None:
        place = Path(html)
        if place.is_dir():
            raise SettingsError(f"`--html {html}` is a directory: name a file in it")
        try:
            write_pages(place, found)
        except OSError as e:
            raise StoreUnavailableError(
                f"`--html {html}` cannot be written: {e.strerror or e}; name another file"
            ) from None
        say(f"written: {place}")
        return
    if as_json:
        document([each.as_dict() for each in found])
        return
    for each in found:
        _show(each)


def _checked(date: str) -> str:
    try:
        return dt.date.fromisoformat(date).isoformat()
    except ValueError:
        raise SettingsError(f"`--date {date[:20]}`: wants a date like 2026-11-23") from None


def _show(found: DayReport) -> None:
    from riskguard.services.reporting.words import OUTCOMES, clock, money, percent

    now = f", now {found.state}" if found.state else ""
    say(f"\n{found.account} on {found.date}{now}")
    if found.is_empty:
        say("nothing was recorded that day")
        return
    pnl, orders, charges = found.pnl, found.orders, found.charges
    say(f"day P&L {money(pnl.last_e4)} after charges{f' ({pnl.detail})' if pnl.detail else ''}")
    say(
        f"  best {money(pnl.best_e4)} at {clock(pnl.best_at_us)}, worst {money(pnl.worst_e4)} at {clock(pnl.worst_at_us)}"
    )
    say(f"  {pnl.readings} readings, {pnl.unknown} unknown, {pnl.stale} widened for want of fresh marks")
    say(f"charges {money(charges.total_e4)} on a turnover of {money(charges.turnover_e4)} in {charges.fills} fills")
    _plot(found)
    again = f" and {orders.repeats} asked again" if orders.repeats else ""
    say(f"\norders: {orders.asked} asked, {orders.approved} approved, {orders.refused} refused{again}")
    if orders.by_outcome:
        rows = [[OUTCOMES.get(each.name, each.name), str(each.count)] for each in orders.by_outcome]
        table("", ["approved orders", ""], rows)
    if found.refusals:
        table(
            "\nrefusals by code", ["code", "refused", "again", "strategies", "the last one's words"],
            [[e.code, str(e.refusals), str(e.repeats), ", ".join(e.strategies), e.example] for e in found.refusals],
        )  # fmt: skip
    if found.limits:
        table(
            "\nlimits, and how near they came", ["limit", "came to", "which was", "orders", "near misses"],
            [[e.limit_id, percent(e.peak_pct_e2), e.peak, str(e.approved), str(e.near_misses)] for e in found.limits],
        )  # fmt: skip
    if found.breaches:
        table(
            "\nviolations", ["at", "code", "limit", "what was done", "why"],
            [[clock(e.at_us), e.code, e.limit_id, e.action, e.detail] for e in found.breaches],
        )  # fmt: skip
    for kill in found.kills:
        what = "kill" if kill.halts else "closing after a breach"
        say(
            f"\n{what} at {clock(kill.started_us)}: {kill.scope}, plan {kill.plan}, by {kill.by or 'unknown'}: {kill.reason}"
        )
        say(f"  {kill.state} at {kill.step}{f': {kill.detail}' if kill.detail else ''}")
        if kill.steps:
            table(
                "", ["at", "step", "what", "state", "answer"],
                [[clock(s.at_us), s.step, s.target, s.state, s.read_back or s.detail] for s in kill.steps],
            )  # fmt: skip
    if found.alerts:
        table(
            "\nalerts", ["at", "severity", "message", "channels"],
            [[clock(e.at_us), e.severity, e.message, e.channels or "log only"] for e in found.alerts],
        )  # fmt: skip


def _plot(found: DayReport) -> None:
    """Draw the curve on a terminal, if the extra `plot` is installed; piped output stays plain."""
    points = [(each.at_us, each.sure_e4) for each in found.pnl.curve if each.sure_e4 is not None]
    if len(points) < 2 or not sys.stdout.isatty():
        return
    try:
        import plotext
    except ImportError:
        say("(the curve is drawn with `pip install 'riskguard[plot]'`, and on the page of `--html`)")
        return
    import shutil

    from riskguard.services.reporting.words import minute

    plotext.clear_figure()
    plotext.theme("clear")
    plotext.plotsize(min(PLOT_WIDTH_MAX, shutil.get_terminal_size().columns), PLOT_HEIGHT)
    plotext.plot([at_us for at_us, _ in points], [e4 / 10_000 for _, e4 in points])
    for kill in found.kills:
        if kill.halts:
            plotext.vertical_line(kill.started_us)
    ends = [points[0][0] + (points[-1][0] - points[0][0]) * part // 6 for part in range(7)]
    plotext.xticks(ends, [minute(each) for each in ends])
    plotext.title("day P&L, rupees" + ("; a line is a kill" if any(each.halts for each in found.kills) else ""))
    print(plotext.build())
