"""
The report of a day: one value, `DayReport`, that the terminal, the page and `--json` show alike.

    report = day_report(store, "leader", "2026-11-23")
    write_end_of_day(guard, "leader", "2026-11-23")   # what the daemon does after the close
"""

from __future__ import annotations

from riskguard.services.reporting.day import DayReport
from riskguard.services.reporting.reading import day_report
from riskguard.services.reporting.writing import write_end_of_day

__all__ = ["DayReport", "day_report", "write_end_of_day"]
