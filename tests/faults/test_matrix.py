"""
The fault matrix: whatever is wrong with the database, every public door answers in time, and none approves risk.

A cell is one fault and one call, in a process that had everything open when the fault came (`warm`) and in one that comes
after it. Then the fault is healed, and the same process must work as if nothing had been.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.core.tables import Row, table
from tests.faults import stage as at
from tests.faults.breaking import BREAKS
from tests.faults.deeds import START
from tests.faults.stage import Stage
from tests.reliability.actors import SOAK, times
from tests.services.desk import SECOND

CALLS = ("status", "state", "approve", "refuse", "place", "sweep", "kill_and_ask")
DEADLINE_MS = 100
CHECK_SECONDS_MAX = 2.0
"""Two deadlines (a refusal is decided twice), a spool, and patience for neighbours on the same machine."""
SECONDS_MAX = {"kill_and_ask": 4.0, "sweep": 14.0, "release": 10.0, "status": 6.0, "state": 6.0}
"""These wait longer than a check, of their own will."""
OPENING_SECONDS_MAX = 6.0
"""A process that comes after the fault opens the guard first, which waits 2 s for a lock; and again, until it can."""
EVER = times(1, 4)

DISKS = table("""
    disk                 kinds                       error   only
    writes-fail          WRITE                       EIO     -
    disk-is-full         WRITE|CREATE|MKDIR          ENOSPC  -
    syncs-fail           SYNC                        EIO     -
    reads-fail           READ|MAP                    EIO     -
    read-only-files      OPEN_TO_WRITE|CREATE|WRITE  EROFS   -
    read-only-folder     CREATE|MKDIR|RENAME|UNLINK  EACCES  -
    log-cannot-be-made   CREATE                      EACCES  -wal
""")
LIMITED = ("pages", "file size", "MemoryError in a check", "KeyboardInterrupt in a check", "BaseException in a check")

NEVER = {*BREAKS, *LIMITED, "writes-fail", "disk-is-full"} - {"a_copy_in_its_place", "pages"}
"""Faults under which nothing at all is approved. Under the others an approval is right if it is on disk."""


def options_of(disk: Row) -> dict[str, Any]:
    kinds = 0
    for name in disk.kinds.split("|"):
        kinds |= getattr(at, name)
    return {
        "kinds": kinds,
        "action": at.FAIL,
        "error": getattr(errno, disk.error),
        "at": 1,
        "sticky": True,
        "only": disk.opt("only") or "",
    }


FAULTS: dict[str, dict[str, Any]] = {
    **{name: {"broken": name} for name in BREAKS},
    **{row.disk: options_of(row) for row in DISKS},
    **{name: {"limited": name} for name in LIMITED},
}


def wrong(fault: str, played: dict[str, Any], *, warm: bool) -> list[str]:
    """Return which promises were broken under *fault*: what was said, against what is there once it is healed."""
    if played["status"] != 0 or "whole" not in played["said"][-1]:
        return [f"does not work once it is healed: {played}"]
    *said, left = played["said"]
    found = []
    if not left["whole"] or left["chain of leader"] or left["chain of GLOBAL"]:
        found.append(f"not whole afterwards: {left}")
    found += _too_long(said, OPENING_SECONDS_MAX * (not warm))
    killed = [each for each in said if each.get("exit_status", 4) != 4]
    for each in said:
        if "raised" in each and not each["typed"] and not fault.startswith(("KeyboardInterrupt", "BaseException")):
            found.append(f"raised {each['raised']}: {each['text']}")
        if each.get("approved") and fault in NEVER:
            found.append(f"approved: {each}")
        if each.get("approved") and left["permits"].get(each["asked"]) is None:
            found.append(f"approved and not on disk: {each}")
        if each.get("approved") and killed and each["asked"] == "after the kill":
            found.append(f"approved after a kill: {killed}")
        if each.get("recorded") and not each["approved"] and each["asked"] not in left["violations"]:
            found.append(f"recorded and not on disk: {each}")
        if "wire" in each and left["permits"].get(each["wire"]) not in ("SENT", "ACKED", "UNKNOWN"):
            found.append(f"on the wire and not SENT: {left['permits']}")
        if each.get("state") == "ACTIVE" and fault in BREAKS and fault in NEVER:
            found.append("ACTIVE, says the state")
    if killed and left["check"]:
        found.append(f"healed, and not halted though killed: {killed}")
    return found


def _too_long(said: list[dict[str, Any]], opening_s: float) -> list[str]:
    took = [(each["call"], each["took_s"]) for each in said if "took_s" in each]
    return [
        f"{call} took {seconds:.2f} s"
        for call, seconds in took
        if seconds > SECONDS_MAX.get(call, CHECK_SECONDS_MAX) + opening_s
    ]


def cells() -> list[tuple[str, str]]:
    """Every fault once in an ordinary run, by turns in a process that was there before it and in one that comes after."""
    both = [(fault, when) for fault in FAULTS for when in ("warm", "cold")]
    return both if SOAK else [each for number, each in enumerate(both) if number % 4 in (0, 3)]


@pytest.mark.claim("I5", "every fault of the store under every call", of="cells", ci=7, soak=28, seconds=10)
@pytest.mark.parametrize(("fault", "when"), cells())
def test_every_fault_and_every_call(
    claim: Callable[[str], Any], stage: Stage, states: Callable[[str], Path], fault: str, when: str
) -> None:
    """
    No approval that is not on disk, none after a kill, nothing untyped, in time; healed, it works and lost nothing.

    `warm` had everything open when the fault came, `cold` comes after it.
    """
    found = []
    for _ in range(EVER):
        played = stage.play(
            "calls", states("ready"), calls=CALLS, **FAULTS[fault], warm=when == "warm", then_look=True,
            deadline_ms=DEADLINE_MS,
        )  # fmt: skip
        found += wrong(fault, played, warm=when == "warm")

    claim("I5").trials(EVER * len(CALLS), failures=found)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_release_under_every_fault(stage: Stage, states: Callable[[str], Path], fault: str) -> None:
    """Done, or a typed error and still halted."""
    played = stage.play(
        "calls", states("killed"), calls=["release"], at_us=START + 70 * SECOND, **FAULTS[fault], then_look=True,
        deadline_ms=DEADLINE_MS,
    )  # fmt: skip
    released = any("released" in each for each in played["said"])

    assert wrong(fault, played, warm=False) == []
    assert played["said"][-1]["check"] == released, played


@pytest.mark.parametrize("fault", ["a_newer_schema", "missing"])
def test_the_control_a_guard_that_does_not_look_goes_on(
    stage: Stage, states: Callable[[str], Path], fault: str
) -> None:
    """Without the look at the files' inodes and at the schema's version the matrix fails: it sees the approvals."""
    played = stage.play(
        "calls", states("ready"), calls=["approve"], **FAULTS[fault], warm=True, then_look=True, without="looking"
    )

    assert any(each.startswith("approved") for each in wrong(fault, played, warm=True))
