"""
What a test claims, and the table of what came of it: so many trials, so many failures, the bound, the times.

Values only; `claiming.py` is what pytest sees of it, `soak.py` the long run, `page.py` the page in docs/.
"""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

SOAK = bool(os.environ.get("RISKGUARD_SOAK"))
PART = float(os.environ.get("RISKGUARD_SOAK_PART") or 1)
"""A rehearsal of the soak does this share of its figures, and never less than an ordinary run."""


def times(ci: int, soak: int) -> int:
    """Return how often: the figure of an ordinary run, or that of `make soak`."""
    return max(1, ci, math.ceil(soak * PART)) if SOAK else ci


INVARIANTS = {
    "I1": "no check that begins after a kill returned is approved, in any process or thread, on either store",
    "I1a": "a kill becomes visible to every process fast",
    "I1b": "a kill gets through while others write without a pause",
    "I1c": "a kill halts its host though the database is locked, full, read-only, corrupt, gone or down",
    "I2": "what is reserved and filled never passes a limit together, at any commit",
    "I3": "a refusal that was returned is on disk, whole; so is what was sent, and a kill that was acknowledged",
    "I4": "a halt survives restart, upgrade and restore; the generation only grows; nothing releases by itself",
    "I5": "an internal error, stale data or an unknown is a refusal with a reason, within the deadline",
    "I6": "a sweep that is dead, hung or late is noticed, by the check and from outside",
    "I7": "one effective sweep per account and slot; what it and a kill run do is done once, whoever dies",
    "I8": "the engine answers as a naive oracle does",
    "I9": "whatever comes in is answered or refused in one typed line",
    "I10": "an edit, deletion, insertion or reordering of the journal is found; a cut tail by its anchor",
    "I11": "secrets appear in no log, error, repr, output or table in clear",
    "I12": "trading day and windows are Indian and the calendar's, whatever the host's zone and clock do",
    "I13": "a tighter limit, a larger loss or order, or older data never turns a refusal into an approval",
    "I14": "old code on a new schema, new code on an old one, different rules side by side: refused",
    "I15": "a wrong key, unit, sign or number in a configuration is refused, and never means unlimited",
    "I16": "memory, descriptors, threads and log stay bounded",
    "I17": "on PostgreSQL a kill is seen across lost notices, reconnects and a pooler",
    "S": "every promise at once, on whole days of strategies, operator, broker, market, clock and mishaps",
    "Q": "the tests can fail: each planted fault is found",
}
"""Every invariant by its name, in the order of the table."""

WHYS_KEPT = 5
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Claim:
    """
    What one test sets out to show, as its marker says it.

    Attributes:
        tried: What is done to try it, in a few words; rows of the table with the same words are added up.
        of: What one trial is: "kills", "orders".
        ci, soak: Trials in an ordinary run and in `make soak`; 0 means none in an ordinary run.
        bounds_ms, soak_bounds_ms: The most that "p50", "p99" and "max" of the measured times may be.
        alone: It measures time: `make soak` runs nothing beside it.
        seconds: What a case takes in the soak, about, beside another one: the longest begin first.
    """

    id: str
    tried: str
    of: str = "trials"
    ci: int = 1
    soak: int = 1
    bounds_ms: Mapping[str, float] = field(default_factory=dict)
    soak_bounds_ms: Mapping[str, float] = field(default_factory=dict)
    alone: bool = False
    seconds: int = 0

    def __post_init__(self) -> None:
        if self.id not in INVARIANTS:
            raise ValueError(f"no invariant `{self.id}`; there are {', '.join(INVARIANTS)}")
        if self.soak < max(1, self.ci):
            raise ValueError(f"{self.id}: a soak of {self.soak} is less than an ordinary run's {self.ci}, or none")
        if unknown := {*self.bounds_ms, *self.soak_bounds_ms} - {"p50", "p99", "max"}:
            raise ValueError(f"{self.id}: a bound is of `p50`, `p99` or `max`, not {sorted(unknown)}")

    @property
    def figure(self) -> int:
        return times(self.ci, self.soak)

    @property
    def limits_ms(self) -> Mapping[str, float]:
        return self.soak_bounds_ms or self.bounds_ms if SOAK else self.bounds_ms


class Shown:
    """What one test has shown of one claim so far. `trial`, `trials`, `attempt`, `measured_ms` and `counted` add to it."""

    def __init__(self, claim: Claim) -> None:
        self.claim = claim
        self.n = self.failures = 0
        self.whys: list[str] = []
        self.times_ms: list[float] = []
        self.totals: dict[str, int] = {}

    @property
    def figure(self) -> int:
        """How many trials this run owes: the ordinary run's, or the soak's."""
        return self.claim.figure

    def trial(self, kept: bool = True, why: object = "") -> bool:
        """Count one trial; *kept* False is a failure, and *why* says what was seen. Returns *kept*."""
        self.trials(1, [] if kept else [why])
        return kept

    def trials(self, n: int, failures: Sequence[object] = ()) -> None:
        """Count *n* trials at once, with what was wrong in those that failed."""
        self.n += n
        self.failures += len(failures)
        self.whys += [str(each)[:2_000] for each in failures[: WHYS_KEPT - len(self.whys)]]

    @contextlib.contextmanager
    def attempt(self) -> Iterator[None]:
        """One trial: what it raises is a failure, and the next trial goes on. The test fails at its end."""
        try:
            yield
        except Exception as e:  # the trial failed, whatever it raised; what ends the run is no Exception
            self.trial(False, f"{type(e).__name__}: {e}")
        else:
            self.trial()

    def measured_ms(self, *times: float) -> None:
        """Add times that belong to the claim, milliseconds."""
        self.times_ms += times

    def counted(self, **totals: int) -> None:
        """Add to what else happened meanwhile: `counted(checks=2_103_442)`."""
        for name, n in totals.items():
            self.totals[name] = self.totals.get(name, 0) + n

    def wrong(self) -> list[str]:
        """Return why the claim does not stand; empty when it does."""
        found = [f"{self.failures} of {self.n} {self.claim.of} failed: {why}" for why in self.whys]
        if self.failures and not found:
            found = [f"{self.failures} of {self.n} {self.claim.of} failed"]
        if self.n < max(1, self.figure):
            found.append(f"{self.n} {self.claim.of} were tried, the claim is of {self.figure}")
        for name, most in self.claim.limits_ms.items():
            if not self.times_ms:
                found.append(f"nothing was measured, the claim is {name} ≤ {most:g} ms")
            elif (found_ms := percentile(self.times_ms, name)) > most:
                found.append(f"{name} of {len(self.times_ms)} is {found_ms:.3f} ms, the claim is ≤ {most:g} ms")
        return [f"{self.claim.id} ({self.claim.tried}): {each}" for each in found]

    def row(self) -> dict[str, Any]:
        """The same as JSON: what a worker hands to whoever prints the table."""
        times = {name: percentile(self.times_ms, name) for name in ("p50", "p99", "max")} if self.times_ms else {}
        return {
            "id": self.claim.id, "tried": self.claim.tried, "of": self.claim.of, "ci": self.claim.ci,
            "soak": self.claim.soak, "n": self.n, "failures": self.failures, "whys": self.whys, "times_ms": times,
            "totals": self.totals,
        }  # fmt: skip


def percentile(times: Sequence[float], name: str) -> float:
    """Return "p50", "p99" or "max" of *times* by nearest rank: a time that was really measured."""
    ranked = sorted(times)
    share = {"p50": 0.50, "p99": 0.99, "max": 1.0}[name]
    return ranked[math.ceil(share * len(ranked)) - 1]


def bound(n: int, failures: int) -> float:
    """
    Return the rate that *failures* in *n* independent trials stay below, with 95 % confidence.

    Poisson: the mean at which so few failures would come up in one run of twenty. None at all gives 3/n.
    """
    if n == 0:
        return 1.0
    low, high = 0.0, 10.0 * (failures + 1)
    for _ in range(60):
        mean = (low + high) / 2
        term = total = math.exp(-mean)
        for k in range(1, failures + 1):
            term *= mean / k
            total += term
        low, high = (mean, high) if total > 1 - CONFIDENCE else (low, mean)
    return min(1.0, high / n)


# -- the table -----------------------------------------------------------------------------------------------------------


def merged(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """
    Add up what was shown of the same claim in the same way, in the order of the invariants.

    Times cannot be added: the worst p50, p99 and max of the parts stand for the whole.
    """
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for row in rows:
        key = (row["id"], row["tried"])
        if key not in found:
            found[key] = {
                **row,
                "whys": [*row["whys"]],
                "totals": dict(row["totals"]),
                "times_ms": dict(row["times_ms"]),
            }
            continue
        into = found[key]
        for name in ("ci", "soak", "n", "failures", "seconds"):
            into[name] += row[name]
        into["whys"] += row["whys"]
        into["state"] = max(into["state"], row["state"], key=STATES.index)
        for name, total in row["totals"].items():
            into["totals"][name] = into["totals"].get(name, 0) + total
        for name, ms in row["times_ms"].items():
            into["times_ms"][name] = max(ms, into["times_ms"].get(name, 0.0))
    order = list(INVARIANTS)
    return sorted(found.values(), key=lambda row: order.index(row["id"]))


STATES = ("kept", "not tried", "FAILED")
"""From good to bad; of the parts of a row the worst is shown."""

HEADINGS = ("claim", "tried", "n", "failed", "rate <", "p50 ms", "p99 ms", "max ms", "CI / soak", "s", "")
RIGHT = frozenset({2, 3, 4, 5, 6, 7, 8, 9})


def cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Return one row of the table, cell by cell."""
    more = ", ".join(f"{n:,} {name.replace('_', ' ')}" for name, n in sorted(row["totals"].items()))
    times = [f"{row['times_ms'][name]:.2f}" if name in row["times_ms"] else "" for name in ("p50", "p99", "max")]
    return (
        row["id"], row["tried"] + (f" ({more})" if more else ""), f"{row['n']:,} {row['of']}", f"{row['failures']:,}",
        f"{bound(row['n'], row['failures']):.1e}" if row["n"] else "", *times, f"{row['ci']:,} / {row['soak']:,}",
        f"{row['seconds']:.1f}", row["state"],
    )  # fmt: skip


def text(rows: Iterable[Mapping[str, Any]]) -> str:
    """The table for a terminal."""
    lines = [HEADINGS, *(cells(row) for row in merged(rows))]
    widths = [max(len(line[n]) for line in lines) for n in range(len(HEADINGS))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if n in RIGHT else cell.ljust(width)
            for n, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def markdown(rows: Iterable[Mapping[str, Any]]) -> str:
    """The table for a page."""
    lines = [HEADINGS, ["---:" if n in RIGHT else "---" for n in range(len(HEADINGS))], *map(cells, merged(rows))]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
