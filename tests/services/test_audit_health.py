"""What the doctor says of evidence: the key that is gone, and the anchors nobody keeps, each on both sides of its edge."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from riskguard.core.calendar import ist_us
from riskguard.services import doctor
from riskguard.services.audit.keeping import Place, by_hand
from riskguard.services.audit_health import anchors_kept, audit_keys
from riskguard.services.doctor import Severity
from riskguard.store.secrets import audit_key
from tests.core.tables import Row, table
from tests.services.desk import Desk


def order(desk: Desk) -> None:
    """One more entry, by a process that looks for the key anew."""
    audit_key.forget(desk.store)
    desk.guard.check(desk.order())


def errors(desk: Desk) -> list[str]:
    found = list(audit_keys(desk.store, desk.clock.now_us()))
    assert all(each.severity is Severity.ERROR and "`riskguard audit verify`" in each.way_out for each in found)
    return [each.what for each in found]


def test_a_journal_without_macs_wants_no_key(desk: Desk) -> None:
    """Keys are for who wants them; a key that is there is none the worse before its first entry."""
    order(desk)
    assert errors(desk) == []
    audit_key.create()
    assert errors(desk) == []


def test_the_key_that_signed_must_be_here(desk: Desk) -> None:
    """Gone, unreadable, or another one in its place: each is an error; brought back, nothing is said."""
    made = audit_key.create()
    order(desk)
    path = audit_key.key_file()
    kept = path.read_bytes()
    assert errors(desk) == []

    path.unlink()
    order(desk)  # an entry without a mac: the signed one before it is found
    (said,) = errors(desk)
    assert f"key `{made.ids[0]}`, and this host has none" in said and "`leader`" in said

    other = audit_key.create()
    order(desk)  # signed anew: the last entry's key is here, the first signed one's is not
    (said,) = errors(desk)
    assert made.ids[0] in said and "does not hold" in said and other.ids[0] not in said

    path.write_text("# no key at all\n")
    path.chmod(0o600)
    (said,) = errors(desk)
    assert "cannot be used" in said and "holds no key" in said

    path.write_bytes(kept)
    path.chmod(0o644)
    (said,) = errors(desk)
    assert "cannot be used" in said  # others may read it

    path.chmod(0o600)
    (said,) = errors(desk)
    assert other.ids[0] in said


def test_an_older_key_kept_behind_the_newest_is_at_hand(desk: Desk) -> None:
    """What was signed before a rotation is judged by the key that stayed."""
    audit_key.create()
    order(desk)
    audit_key.add_newest()
    order(desk)
    assert errors(desk) == []


AGE = table("""
    kept        today       said
    -           2025-06-02  no
    -           2025-06-03  no
    -           2025-06-04  yes
    2025-06-02  2025-06-03  no
    2025-06-02  2025-06-04  yes
    2025-06-06  2025-06-08  no
    2025-06-06  2025-06-09  no
    2025-06-06  2025-06-10  yes
""")
"""The journal began on Monday, 2025-06-02; the 7th and 8th are a weekend. A dash: no anchor was ever kept."""


@pytest.mark.parametrize("row", AGE, ids=str)
def test_anchors_that_stay_away_are_told(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, row: Row
) -> None:  # fmt: skip
    """One may be missing because its day is not over; a second one may not. Nothing is said where none are configured."""
    if row.kept != "-":
        desk.clock.at_us = ist_us(date.fromisoformat(row.kept), 18 * 3600)
        by_hand(desk.store, Place(tmp_path / "anchors.jsonl"), desk.clock.now_us())
    now_us = ist_us(date.fromisoformat(row.today), 12 * 3600)
    assert list(anchors_kept(desk.store, now_us)) == []

    monkeypatch.setenv("RISKGUARD_ANCHOR_FILE", str(tmp_path / "anchors.jsonl"))

    found = [(each.severity, each.subject) for each in anchors_kept(desk.store, now_us)]
    assert found == ([(Severity.WARNING, "anchors")] if row.has("said") else [])


def test_a_place_that_cannot_be_read_is_an_error(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RISKGUARD_ANCHOR_COMMAND", "keep 'it")
    (found,) = anchors_kept(desk.store, desk.clock.now_us())
    assert found.severity is Severity.ERROR and "RISKGUARD_ANCHOR_COMMAND" in found.what


def test_the_doctor_asks_both() -> None:
    assert {audit_keys, anchors_kept} <= set(doctor.FINDINGS)
