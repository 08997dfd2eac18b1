"""`riskguard sweep` and `run`: who watches losses."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Annotated

import typer

from riskguard.cli.options import Account, Db, Json
from riskguard.cli.output import ERROR, OK, document, fail, one_line_errors, say
from riskguard.core.money import rupees
from riskguard.errors import SettingsError, StoreError, UnknownAccountError
from riskguard.home import database_url
from riskguard.redaction import FILTER
from riskguard.services import systemd

if TYPE_CHECKING:
    from riskguard.cli.watching import Watching
    from riskguard.services.daemon import Daemon

log = logging.getLogger("riskguard")

STOP_S = 10.0
"""How long a stop waits for what runs; systemd would wait 90 s and then kill."""
ALERTS_STOP_S = 3.0


@one_line_errors
def sweep(
    once: Annotated[bool, typer.Option("--once", help="Sweep once and leave (the only way, besides `run`).")] = False,
    db: Db = None,
    account: Account = None,
    as_json: Json = False,
) -> None:
    """
    Look at live profit and loss once, judge it, and act on it.

    Exit status: 0 done; 1 error, or a broker answered nothing it was asked; 2 malformed input.
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
                    "failures": list(report.failures),
                    "findings": [[each.code, each.severity, each.message] for each in report.findings],
                }
                for report in reports
            ]
        )
    for report in () if as_json else reports:
        total_e4 = None if report.pnl is None else report.pnl.total_e4
        said = "unknown" if total_e4 is None else rupees(total_e4)
        say(f"{report.account}: day P&L {said}{'; KILLED' if report.killed else ''}")
        for finding in report.findings:
            say(f"  {finding.severity}: {finding.message}")
    blind = [report for report in reports if report.blind]
    if blind:
        why = "; ".join(dict.fromkeys(each for report in blind for each in report.failures))
        fail(f"the broker answered nothing about {', '.join(report.account for report in blind)}: {why}", ERROR)


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
    json_logs: Annotated[bool, typer.Option("--json", help="Log JSON lines, and show no status table.")] = False,
) -> None:
    """
    Sweep every account until stopped (SIGTERM or Ctrl-C), and carry kill runs to their end.

    On a terminal a table shows how every account stands. Under systemd (`Type=notify`) it says when it is ready and that
    it is well. Two may run: one watches, the other takes over when it dies. Accounts added meanwhile are taken up.
    Once a day, after the market has closed, make a backup, move old rows into the archives and give space back.

    Exit status: 0 stopped; 1 error, or sweeps were no longer fired (a supervisor should start it again).
    """
    from riskguard.cli.watching import Watching
    from riskguard.services.alerts.service import AlertService
    from riskguard.services.daemon import Daemon
    from riskguard.services.marks import started
    from riskguard.services.reporting import write_end_of_day
    from riskguard.services.wiring import open_guard

    watching = Watching(wanted=not json_logs)
    _log_to(watching, json_logs=json_logs)
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stopped.set())
    guard = open_guard(database_url(db), sweep=False)
    alerts = AlertService(guard.store.url, clock=guard.clock)
    daemon = Daemon(guard, alerts=alerts.alerts, end_of_day=write_end_of_day)
    daemon.start()
    marks = started(guard)
    alerts.start()
    systemd.notify("READY=1")
    with watching:
        died = not _watch(daemon, watching, stopped)
    systemd.notify("STOPPING=1")
    if marks is not None:
        marks.stop()
    ended = daemon.stop(STOP_S)
    alerts.stop(ALERTS_STOP_S)
    if not ended:
        # A hung job holds locks of its own: closing the guard would wait for it for ever.
        log.error("%s jobs hang and are left behind", daemon.schedule.hung or "some")
        logging.shutdown()
        os._exit(ERROR if died else OK)
    guard.close()
    if died:
        fail("sweeps are no longer fired: start `riskguard run` again", ERROR)


def _watch(daemon: Daemon, watching: Watching, stopped: threading.Event) -> bool:
    """Stay until told to stop; False when the daemon is not well any more."""
    told_at, tell_every_s = 0.0, systemd.watchdog_s()
    while not stopped.wait(1.0):
        if not daemon.tick():
            return False
        now = time.monotonic()
        if tell_every_s is not None and now - told_at >= tell_every_s:
            told_at = now
            systemd.notify("WATCHDOG=1")
        if watching.console is not None:
            try:
                watching.show(daemon.standings())
            except StoreError as e:
                log.warning("the table waits: %s", e)
    return True


def _log_to(watching: Watching, *, json_logs: bool) -> None:
    """Send log records to standard error, redacted, as lines for people or for a collector."""
    from riskguard.cli.watching import ConsoleLines

    stream = sys.stderr if watching.console is None else ConsoleLines(watching.console)
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_JsonLines() if json_logs else logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    handler.addFilter(FILTER)  # on the handler: other libraries log through it too
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.getLogger("apscheduler").setLevel(logging.CRITICAL)  # what its listener hears, `schedule` says
