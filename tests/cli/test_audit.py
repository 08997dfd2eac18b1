"""Goal: `riskguard audit` as a person runs it: what it says, what it exits with, and that a bad row is one line."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.shell import Shell


def forge(shell: Shell, statement: str) -> None:
    """Do to the journal or its heads what their triggers would not let anybody do."""
    with shell.disarmed("decisions"), shell.disarmed("account_heads"):
        assert shell.write(statement) > 0


def test_true_wrong_and_not_proven_have_a_status_each(shell: Shell, tmp_path: Path) -> None:
    """0 proven, 3 a key that came later, 0 accepted, 1 forged; each in words and as one document."""
    got = shell("audit", "verify")
    assert got.status == 0 and "leader: 2 rows: true" in got.out
    log = tmp_path / "anchors.jsonl"
    assert shell("audit", "anchor", "--to", str(log)).status == 0

    made = shell("audit", "key", "init", "--json")
    key_id = json.loads(made.out)["key_id"]
    assert key_id in shell("audit", "key", "status").out
    got = shell("audit", "accept", "--by", "asha", "--reason", "the key is new")
    assert got.status == 0 and "is accepted by asha" in got.out
    assert shell("audit", "key", "rotate").status == 0
    got = shell("audit", "verify", "--anchors", str(log))
    assert got.status == 3 and "NOT PROVEN: 1 anchors" in got.out  # it was kept before there was a key
    assert shell("audit", "verify").status == 0

    forge(shell, "UPDATE decisions SET decided_at_us = decided_at_us + 1 WHERE account = 'leader' AND sequence = 2")
    got = shell("audit", "verify")
    assert got.status == 1 and "leader: 1 rows, 0" not in got.out
    assert "WRONG (column): `decided_at_us` of sequence 2 differs from its body" in got.out
    found = json.loads(shell("audit", "verify", "--json").out)
    assert found["verified"] is False
    assert [each["wrong"]["sequence"] for each in found["accounts"] if each["wrong"]] == [2]


def test_a_cut_end_is_found_with_the_anchors_alone(shell: Shell, tmp_path: Path) -> None:
    """Without them the shorter journal is a true one."""
    log = tmp_path / "anchors.jsonl"
    assert shell("kill", "leader", "--no-wait").status == 0
    assert shell("audit", "anchor", "--to", str(log)).status == 0
    forge(shell, "DELETE FROM decisions WHERE account = 'leader' AND kind = 'KILL'")
    forge(
        shell,
        "UPDATE account_heads SET (sequence, last_hash) = "
        "(SELECT sequence, hash FROM decisions WHERE account = 'leader' ORDER BY sequence DESC LIMIT 1) WHERE account = 'leader'",
    )
    assert "WRONG (kill)" in shell("audit", "verify").out  # the run the kill left
    got = shell("audit", "verify", "--anchors", str(log))
    assert got.status == 1 and "anchor 1 is ahead of the database" in got.out
