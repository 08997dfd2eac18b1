"""
The n-th call to the disk fails, for every n, in everything riskguard does.

An error of the disk in the middle of a deed must end in an answer or a typed error, in time; nothing that was
acknowledged may be missing afterwards, and the healed disk must be worked with as if nothing had been.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from riskguard.services.kill.killswitch import HALTED, HALTED_HERE, NOT_HALTED
from tests.core.tables import Row, table
from tests.faults import stage as at
from tests.faults.deeds import START
from tests.faults.stage import Stage, spread
from tests.reliability.actors import SOAK, times

SECONDS_MAX = 20.0
"""The deadline of these desks is 2 s on a busy machine; a kill and a sweep wait longer. Nothing hangs."""
RELEASE_AT_US = START + 70_000_000

FAULTS = table("""
    fault    kinds      action  error
    eio      changes    fail    EIO
    enospc   changes    fail    ENOSPC
    torn     changes    tear    EIO
    unread   reads      fail    EIO
""")
DEEDS = ("approve", "refuse", "send", "place", "kill", "release", "sweep", "state", "status")
KINDS = {"changes": at.CHANGES, "reads": at.READS}
ACTIONS = {"fail": at.FAIL, "tear": at.TEAR}
CALLS_MAX = times(3, 20)
"""
How many calls of each deed an ordinary run lets fail, spread over all of them, and how many a soak does: each alone, and from
there on. The shortest deed has seven, and a soak strikes all of them.
"""


def wrong(deed: str, played: dict[str, Any]) -> list[str]:
    """Return which promises *played* broke: what was said while the disk failed, against what is there afterwards."""
    if played["status"] != 0:
        return [f"the process ended with {played['status']}: {played['said']}"]
    *said, left = played["said"]
    if "whole" not in left:
        return [f"the healed database is not worked with: {played['said']}"]
    found = []
    if not left["whole"] or left["chain of leader"] or left["chain of GLOBAL"]:
        found.append(f"what is left is not whole: {left}")
    if played["seconds"] > SECONDS_MAX:
        found.append(f"it took {played['seconds']} s")
    for each in said:
        if "raised" in each and not each["typed"]:
            found.append(f"raised {each['raised']}: {each['text']}")
        if each.get("approved") and left["permits"].get(each["asked"]) is None:
            found.append(f"approved and not there: {each}")
        if each.get("recorded") and not each["approved"] and each["asked"] not in left["violations"]:
            found.append(f"recorded and not there: {each}")
        if "wire" in each and left["permits"].get(each["wire"]) not in ("SENT", "ACKED", "UNKNOWN"):
            found.append(f"on the wire and not SENT: {left['permits']}")
        if "exit_status" in each:
            found += _wrong_kill(each, left)
    if deed == "refuse" and any(each.get("approved") for each in said):
        found.append("approved what is above its limit")
    if deed == "release":
        raised = any("raised" in each for each in said)
        if raised and left["check"] and not any(each.get("raised") == "CommitUnknownError" for each in said):
            found.append("a release that said it failed lifted the halt")
        if any("released" in each for each in said) and not left["check"] and left["codes"] != ["TRADING_HALTED"]:
            found.append(f"released and neither open nor halted: {left['codes']}")
    return found


def _wrong_kill(said: dict[str, Any], left: dict[str, Any]) -> list[str]:
    if said["exit_status"] == NOT_HALTED:
        return []  # said so; nothing was promised
    if left["check"]:
        return ["killed and a check was approved afterwards"]
    if said["exit_status"] == HALTED and said["killed"] not in left["kills"]:
        return ["killed with status 0 and no row"]
    if said["exit_status"] == HALTED_HERE and said["killed"] not in left["kills"]:
        return ["halted on this host, and the flag was not adopted once the disk was well"]
    return []


def armed(row: Row) -> dict[str, Any]:
    return {"kinds": KINDS[row.kinds], "action": ACTIONS[row.action], "error": getattr(errno, row.error)}


@pytest.fixture(scope="module")
def counts() -> dict[str, int]:
    """How many calls each deed makes, counted once."""
    return {}


@pytest.mark.claim("I5", "the disk fails at the n-th call of a deed", of="calls", ci=3, soak=14, seconds=4)
@pytest.mark.parametrize("deed", DEEDS)
@pytest.mark.parametrize("row", FAULTS, ids=str)
def test_a_disk_that_fails_at_any_call(
    claim: Callable[[str], Any],
    stage: Stage,
    states: Callable[[str], Path],
    counts: dict[str, int],
    row: Row,
    deed: str,
) -> None:
    """One call fails, and the same from there on: no approval that is not on disk, no untyped error, nothing lost."""
    options = {"at_us": RELEASE_AT_US} if deed == "release" else {}
    state = states("killed" if deed == "release" else "ready")
    name = f"{deed} {row.kinds}"
    if name not in counts:
        counted = stage.play(deed, state, **options, kinds=KINDS[row.kinds])
        assert counted["calls"] > 3 and counted["status"] == 0, counted
        counts[name] = counted["calls"]
    found, tried = [], 0
    for nth in spread(counts[name], CALLS_MAX):
        for sticky in (False, True) if SOAK else (nth % 2 == 0,):
            played = stage.play(deed, state, **options, **armed(row), at=nth, sticky=sticky, then_look=True)
            found += [f"call {nth} of {counts[name]}{' and on' * sticky}: {each}" for each in wrong(deed, played)]
            tried += 1
    claim("I5").trials(tried, failures=found)


def test_the_control_a_commit_nobody_listens_to_is_found(stage: Stage, states: Callable[[str], Path]) -> None:
    """The protection removed: an error of COMMIT is passed over, and the refusal is called recorded."""
    played = stage.play(
        "refuse", states("ready"), kinds=at.WRITE, only="-wal", action=at.FAIL, error=errno.EIO, at=1, sticky=True, warm=True,
        without="commit", then_look=True,
    )  # fmt: skip

    assert any(each.startswith("recorded and not there") for each in wrong("refuse", played)), played
