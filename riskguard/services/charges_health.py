"""What `riskguard doctor` asks about charges: how long the table is good for, and whether the user's own can be used."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Final

from riskguard.core.calendar import Calendar
from riskguard.core.charges import ChargeTableError
from riskguard.home import host_home
from riskguard.services.finding import Finding, Severity
from riskguard.services.sweeps.charging import FILE, charge_table, read_own
from riskguard.store.session import Store

WARN_DAYS: Final = 60
WAY_OUT: Final = "upgrade riskguard, or put a newer table in the host directory's `charges.csv`"


def charges(store: Store, now_us: int) -> Iterator[Finding]:
    """The rates every day's loss is counted with: a budget changes them on 1 April, an exchange on 1 October."""
    del store
    try:
        path = host_home() / FILE
        if path.exists():
            read_own(path)
    except ChargeTableError as e:
        yield Finding(Severity.ERROR, "charges", f"`{path}`: {e}; it is left out", "mend the file")
    except (OSError, RuntimeError):
        pass  # a user without a home has no table there
    yield from _horizon(charge_table().complete_until, Calendar.session_date(now_us))


def _horizon(until: date | None, today: date) -> Iterator[Finding]:
    if until is None:
        return
    left = (until - today).days
    if left < 0:
        yield Finding(
            Severity.ERROR, "charges", f"the table of charges is good until {until}, {-left} days ago", WAY_OUT
        )
    elif left < WARN_DAYS:
        yield Finding(
            Severity.WARNING, "charges", f"the table of charges is good until {until}, {left} days from now", WAY_OUT
        )
