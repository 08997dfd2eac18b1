"""
Counts how near approved orders come to their limits, and says so at 50, 75, 85, 90 and 95 percent.

The sweep does it, from the journal: a check under the write lock has no time for it, and the kept facts say all. What
was counted is a row per limit and session, with the entry counted last, so that a restart neither repeats nor forgets
a warning, and two sweepers do not count twice.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from riskguard.core.assess import Finding
from riskguard.core.direction import Direction
from riskguard.core.exposure import underlying_of
from riskguard.core.facts import Facts
from riskguard.core.order import Order
from riskguard.core.usage import NEAR_PCT, Gauge, Recalled, Used, gauges, tier_of
from riskguard.services.overview import kept_limits
from riskguard.store import loader
from riskguard.store.queries.nearness import APPROVED, COUNTED, DAY, SAVE
from riskguard.store.session import Session, Store

log = logging.getLogger("riskguard")

ENTRIES_MAX: Final = 100
"""Counted per sweep: some 30 ms of work. What is more waits for the next one, two seconds later."""
LOOKED_BACK_MAX: Final = 2_000
"""Entries a new process looks back over for what was not counted: the journal of years is not walked for a day."""
LIMIT_SETS_KEPT: Final = 8
WAIT_S: Final = 1.0


@dataclass(slots=True)
class Count:
    """What is counted of one limit."""

    check: str
    approved: int = 0
    near_misses: int = 0
    peak: Used = field(default_factory=lambda: Used(0, ""))

    def add(self, gauge: Gauge, facts: Facts) -> None:
        """Count one approved order, if it used anything of the limit; below the peak nobody searches how much."""
        each = gauge.used(facts, self.peak.part_e2)
        if each is None:
            return
        self.approved += 1
        self.near_misses += each.part_e2 > NEAR_PCT * 100
        if each.part_e2 > self.peak.part_e2:
            self.peak = each


class Nearness:
    """Counts for one account; its own memory only spares reading what is counted already."""

    def __init__(self, store: Store, account: str) -> None:
        self.store = store
        self.account = account
        self._looked_to = 0
        self._gauges: dict[str, tuple[Gauge, ...]] = {}

    def count(self, last_sequence: int, now_us: int) -> list[Finding]:
        """
        Count what was approved since the last time, up to *last_sequence*, and return a finding per tier newly passed.

        Raises StoreError when the database cannot be used: the next sweep counts it.
        """
        if last_sequence <= self._looked_to:
            return []
        date = loader.session_date(now_us)
        with self.store.session(durable=False, wait_s=WAIT_S) as session:
            counted = self._counted(session, date)
            after = max(counted, self._looked_to, last_sequence - LOOKED_BACK_MAX)
            entries = session.rows(
                APPROVED, account=self.account, after=after, since_us=loader.midnight_us(now_us), most=ENTRIES_MAX
            )
            bodies = [(sequence, json.loads(body)) for sequence, _at_us, body in entries]
            for digest in {body["limits"] for _, body in bodies} - self._gauges.keys():
                limits = kept_limits(session, digest, {})
                kept = dict(list(self._gauges.items())[-LIMIT_SETS_KEPT:])
                self._gauges = {**kept, digest: () if limits is None else gauges(limits.limits)}
            peaks = {row[0]: Used(*row[3:5]) for row in session.rows(DAY, account=self.account, session_date=date)}
            self.store.roll_back(session)
        found: dict[str, Count] = {}
        for _sequence, body in bodies:
            for gauge, facts in asked_of(body, self._gauges[body["limits"]]):
                limit = gauge.limit
                if limit.id not in found:
                    found[limit.id] = Count(limit.check.name, peak=peaks.get(limit.id, Used(0, "")))
                found[limit.id].add(gauge, facts)
        found = {limit_id: each for limit_id, each in found.items() if each.approved}
        last = bodies[-1][0] if len(bodies) == ENTRIES_MAX else last_sequence
        said = self._save(found, counted, last, date) if found else []
        if said is not None:
            self._looked_to = last
        return said or []

    def _counted(self, session: Session, date: str) -> int:
        row = session.row(COUNTED, account=self.account, session_date=date)
        return 0 if row is None or row[0] is None else int(row[0])

    def _save(self, found: dict[str, Count], counted: int, last: int, date: str) -> list[Finding] | None:
        """Add to the rows of the day; None when somebody else has counted these entries meanwhile."""
        said = []
        with self.store.session(durable=False, wait_s=WAIT_S) as session:
            if self._counted(session, date) != counted:
                self.store.roll_back(session)
                return None
            before = {row[0]: row[1:] for row in session.rows(DAY, account=self.account, session_date=date)}
            for limit_id, each in found.items():
                approved, near_misses, peak_e2, peak, warned = before.get(limit_id, (0, 0, 0, "", 0))
                tier = max(warned, tier_of(each.peak.part_e2))
                if each.peak.part_e2 > peak_e2:
                    peak_e2, peak = each.peak
                if tier > warned:
                    said.append(_finding(limit_id, tier, each.peak))
                session.run(
                    SAVE, account=self.account, session_date=date, limit_id=limit_id, check_name=each.check,
                    approved=approved + each.approved, near_misses=near_misses + each.near_misses, peak_pct_e2=peak_e2,
                    peak=peak, warned_pct=tier, to_sequence=last,
                )  # fmt: skip
        return said


def asked_of(body: dict[str, Any], all_gauges: Iterable[Gauge]) -> Iterator[tuple[Gauge, Facts]]:
    """Yield each gauge whose limit an approved entry of the journal was asked about; none for an order that reduces."""
    if body.get("facts") is None or body["facts"]["direction"] == Direction.REDUCING.value:
        return
    facts = Recalled.replayed(Order.from_mapping(body["order"]), body["facts"])
    underlying = "" if facts.instrument is None else underlying_of(facts.instrument)
    for gauge in all_gauges:
        if gauge.limit.scope.holds(facts.order, underlying):
            yield gauge, facts


def _finding(limit_id: str, tier: int, peak: Used) -> Finding:
    severity = "warning" if tier >= NEAR_PCT else "info"
    message = f"limit `{limit_id}`: an order took it past {tier} % ({peak.part_e2 / 100:.1f} %: {peak.measured})"
    return Finding("LIMIT_NEAR", severity, message, limit_id)
