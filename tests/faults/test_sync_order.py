"""
Power loss, without pulling a plug: what is acknowledged has been synced before, in the order of the calls themselves.

Every write, creation, rename and sync of a deed is listed as it happens, between what the deed says. A file written and
not synced may be empty after a power loss, and one created in a directory that was not synced may be gone.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.core.tables import Row, table
from tests.faults import stage as at
from tests.faults.deeds import START
from tests.faults.stage import Stage
from tests.services.desk import SECOND

KINDS = at.CREATE | at.WRITE | at.SYNC | at.RENAME | at.TRUNCATE


def unsynced(lines: list[Any], acknowledges: str) -> list[tuple[Any, set[str]]]:
    """
    Return each acknowledgement and the names still waiting for the disk when it was given.

    Shared memory is rebuilt from the log, and the paper market is a broker's: neither is evidence of ours.
    """
    waiting: set[str] = set()
    found = []
    for line in lines:
        if isinstance(line, dict):
            if acknowledges in line:
                found.append((line, set(waiting)))
            continue
        what, _, name = line.partition(" ")
        if name.endswith("-shm") or ".paper.db" in name or "/gate/" in name or "/armed/" in name:
            continue
        if what in ("write", "truncate"):
            waiting.add(name)
        elif what in ("create", "rename"):
            waiting.add(f"{Path(name).parent}/")
        elif what == "sync":
            waiting -= {name, f"{name}/"}
    return found


ORDERED = table("""
    deed     said         without  synced
    refuse   asked        -        yes
    send     wire         -        yes
    place    wire         -        yes
    kill     killed       -        yes
    release  released     -        yes
    refuse   asked        sync     no
    send     wire         sync     no
    kill     killed       sync     no
    approve  asked        -        no
""")


@pytest.mark.parametrize("row", ORDERED, ids=str)
def test_what_is_acknowledged_was_synced_before(stage: Stage, states: Callable[[str], Path], row: Row) -> None:
    """
    A refusal, SENT at the wire, a kill and a release wait for the disk; an approval does not, and need not.

    The rows without it are controls: they leave their log unsynced.
    """
    options: dict[str, Any] = {"at_us": START + 70 * SECOND} if row.deed == "release" else {}
    if row.opt("without"):
        options["without"] = row.without
    state = states("killed" if row.deed == "release" else "ready")
    played = stage.play(row.deed, state, **options, kinds=KINDS, trace=True, warm=row.deed not in ("send", "release"))
    assert played["status"] == 0
    acknowledged = unsynced(played["said"], row.said)

    assert acknowledged
    evidence = [{name for name in waiting if not name.endswith("/")} for _said, waiting in acknowledged]
    assert (evidence == [set()] * len(evidence)) == row.has("synced"), acknowledged
    if row.has("synced") and row.deed != "place":
        created = [{name for name in waiting if name.endswith("/")} for _said, waiting in acknowledged]
        assert created == [set()] * len(created), acknowledged


@pytest.mark.claim(
    "I3", "every write and sync before a refusal is told, in their order", of="refusals", ci=100, soak=1_000
)
def test_every_one_of_many_refusals_is_synced(
    claim: Callable[[str], Any], stage: Stage, states: Callable[[str], Path]
) -> None:
    """One after the other, each another limit's turn: not one is told before its log is on disk."""
    shown = claim("I3")
    played = stage.play("refusals", states("ready"), kinds=KINDS, trace=True, count=shown.figure, warm=True)
    acknowledged = unsynced(played["said"], "asked")

    shown.trials(len(acknowledged), [each for each in acknowledged if not each[0]["recorded"] or each[1]])


def test_a_refusal_only_the_spool_could_take_is_synced(stage: Stage, states: Callable[[str], Path]) -> None:
    """The database is gone: its file, the directory it was made in, and that directory's own entry."""
    played = stage.play("spool", states("ready"), kinds=KINDS | at.MKDIR, trace=True)
    (only,) = unsynced(played["said"], "asked")

    assert not only[0]["recorded"] and any("/spool/" in str(line) for line in played["said"])
    assert only[1] == set()
