"""`riskguard sweep` and `run`: who watches losses."""

from __future__ import annotations

import json
import logging
import signal
import sys
import threading
from typing import Annotated

import typer

from riskguard.cli.options import Account, Db, Json
from riskguard.cli.output import ERROR, document, fail, one_line_errors, say
from riskguard.core.money import rupees
from riskguard.errors import SettingsError, UnknownAccountError
from riskguard.home import database_url
from riskguard.redaction import FILTER


@one_line_errors
def sweep(
    once: Annotated[bool, typer.Option("--once", help="Sweep once and leave (the only way, besides `run`).")] = False,
    db: Db = None,
    account: Account = None,
    as_json: Json = False,
) -> None:
    """
    Look at live profit and loss once, judge it, and act on it.

    Exit status: 0 done; 1 error; 2 malformed input.
    """
    from riskguard.services.wiring import open_guard, settings_of, sweeper_of

    if not once:
        raise SettingsError("`riskguard sweep` wants `--once`; `riskguard run` goes on sweeping")
    guard = open_guard(database_url(db), sweep=False)
    try:
        settings, accounts = settings_of(guard.store)
        if account is not None and account not in accounts:
            raise UnknownAccountError(account, accounts)
        reports = [
            sweeper_of(guard, settings, name).sweep(now=True) for name in ((account,) if account else accounts)
        ]  # fmt: skip
    finally:
        guard.close()
    if as_json:
        document(
            [
                {
                    "account": report.account,
                    "day_pnl_e4": None if report.pnl is None else report.pnl.total_e4,
                    "fresh_marks": report.pnl is not None and report.pnl.fresh,
                    "killed": report.killed,
                    "findings": [[each.code, each.severity, each.message] for each in report.findings],
                }
                for report in reports
            ]
        )
        return
    for report in reports:
        total_e4 = None if report.pnl is None else report.pnl.total_e4
        said = "unknown" if total_e4 is None else rupees(total_e4)
        say(f"{report.account}: day P&L {said}{'; KILLED' if report.killed else ''}")
        for finding in report.findings:
            say(f"  {finding.severity}: {finding.message}")


class _JsonLines(logging.Formatter):
    """One JSON object per line: what a log collector reads."""

    def format(self, record: logging.LogRecord) -> str:
        said = {"at": record.created, "level": record.levelname, "message": record.getMessage()}
        if record.exc_text:
            said["traceback"] = record.exc_text
        return json.dumps(said, default=str)


@one_line_errors
def run(
    db: Db = None,
    json_logs: Annotated[bool, typer.Option("--json", help="Log JSON lines instead of a status line.")] = False,
) -> None:
    """
    Sweep every account until stopped (SIGTERM or Ctrl-C), and carry kill runs to their end.

    Once a day, after the market has closed, make a backup, move old rows into the archives and give space back.

    Exit status: 0 stopped; 1 error, or the scheduler died (a supervisor should start it again).
    """
    from riskguard.services.sweeps.schedule import Schedule
    from riskguard.services.sweeps.sweeper import LogAlerts
    from riskguard.services.upkeep.daily import Upkeep
    from riskguard.services.wiring import open_guard, settings_of, sweeper_of

    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines() if json_logs else logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    handler.addFilter(FILTER)  # on the handler: other libraries log through it too
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.getLogger("apscheduler").setLevel(logging.WARNING)
    guard = open_guard(database_url(db), sweep=False)
    settings, accounts = settings_of(guard.store)
    upkeep = Upkeep(guard.store.url, clock=guard.clock, alerts=LogAlerts())
    schedule = Schedule(guard, [sweeper_of(guard, settings, name) for name in accounts], upkeep=upkeep)
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stopped.set())
    schedule.start()
    logging.getLogger("riskguard").info("watching %s every %s s", ", ".join(accounts), settings.sweep_interval_s)
    died = False
    while not stopped.wait(1.0):
        guard.store.tidy()
        if not schedule.is_alive():
            died = True
            break
    schedule.stop()
    guard.close()
    if died:
        fail("the scheduler's thread died: start `riskguard run` again", ERROR)
