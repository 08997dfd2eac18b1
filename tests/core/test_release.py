"""What a release needs by its cause: both sides of every wait, and the severest cause decides."""

from __future__ import annotations

import pytest

from riskguard.core.release import FAMILY_OF, Family, Waiting, family_of, goes_on_probation, objection
from tests.core.tables import Row, table

SECOND = 1_000_000

WAITS = table("""
    family   held_s  same  approver  typed   says
    MANUAL   59      yes   -         -       1 s are left
    MANUAL   60      yes   -         -       -
    MANUAL   -       yes   -         -       -
    RUNAWAY  59      yes   -         -       1 s are left
    RUNAWAY  60      yes   -         -       -
    BROKER   60      yes   -         -       -
    SOFT     60      yes   -         -       -
    LOSS     9000    yes   -         -       second person
    LOSS     9000    yes   ravi      -       type the scope's name
    LOSS     9000    yes   ravi      leader  -
    LOSS     9000    yes   Asha      leader  second person
    LOSS     1800    yes   ravi      leader  -
    LOSS     1799    yes   ravi      leader  1 s are left
    LOSS     1       no    -         -       -
""")


@pytest.mark.parametrize("row", WAITS, ids=str)
def test_what_is_missing_is_said(row: Row) -> None:
    """60 s for what a person pulled, 30 minutes and two people for a loss of today, nothing for one of yesterday."""
    said = objection(
        Waiting(
            family=Family[row.family],
            held_us=int(row.held_s) * SECOND if row.opt("held_s") else None,
            is_same_session=row.has("same"),
            hold_us=60 * SECOND,
            loss_hold_us=1800 * SECOND,
            scope="leader",
            by="asha",
            approver=row.opt("approver") or "",
            typed_scope=row.opt("typed") or "",
        )
    )
    assert (row.says in said) if row.opt("says") else said == ""


FAMILIES = table("""
    codes                         family
    -                             MANUAL
    MANUAL                        MANUAL
    SOMETHING_NEW                 MANUAL
    FEED_HEALTH                   SOFT
    FEED_HEALTH,MANUAL            MANUAL
    MANUAL,DAILY_LOSS             LOSS
    RECONCILIATION,BROKER_SWITCH  BROKER
    BROKER_SWITCH,DRAWDOWN        LOSS
""")


@pytest.mark.parametrize("row", FAMILIES, ids=str)
def test_the_cause_that_asks_for_most_decides(row: Row) -> None:
    """A manual kill on top of a loss is a loss; a code nobody listed asks for what a manual one does, never less."""
    assert family_of((row.opt("codes") or "").split(",") if row.opt("codes") else []) is Family[row.family]


def test_who_goes_on_probation() -> None:
    """What a machine or a loss stopped comes back in two steps; what a person stopped, in one."""
    assert [each.name for each in Family if goes_on_probation(each)] == ["RUNAWAY", "BROKER", "LOSS"]
    assert all(isinstance(each, Family) for each in FAMILY_OF.values())
