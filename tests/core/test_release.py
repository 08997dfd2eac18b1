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


@pytest.mark.parametrize(
    ("family", "held_us", "said"),
    [
        (Family.MANUAL, 59 * SECOND, "held for 60 s after a kill: 1 s are left"),
        (Family.MANUAL, 58 * SECOND + 1, "held for 60 s after a kill: 2 s are left"),
        (Family.MANUAL, 0, "held for 60 s after a kill: 60 s are left"),
        (Family.LOSS, 1799 * SECOND + 1, "a loss is held for 30 minutes: 1 s are left"),
        (Family.LOSS, 0, "a loss is held for 30 minutes: 1800 s are left"),
    ],
)
def test_what_is_left_is_said_in_whole_seconds_never_too_few(family: Family, held_us: int, said: str) -> None:
    """A part of a second is one more to wait: who comes back when it says is let through."""
    waiting = Waiting(
        family, held_us, is_same_session=True, hold_us=60 * SECOND, loss_hold_us=1800 * SECOND, scope="leader", by="asha",
        approver="ravi", typed_scope="leader",
    )  # fmt: skip
    assert objection(waiting) == said
    # The seconds said are in microseconds too: an hour of them is an hour.
    long = Waiting(family, held_us, True, 36_000_000 * SECOND, 36_000_000 * SECOND, "leader", "asha", "ravi", "leader")
    assert ("36000000 s after" if family is Family.MANUAL else "for 600000 minutes") in objection(long)
    assert f"{36_000_000 + -(held_us // SECOND)} s are left" in objection(long)


def test_a_loss_of_today_names_the_way_out() -> None:
    """The words are the way out: who reads them types them."""
    alone = Waiting(Family.LOSS, 10**12, True, 60 * SECOND, 1800 * SECOND, "leader", "asha", "", "")

    assert objection(alone) == "a loss is released next session, or today with a second person: `--approver NAME`"


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
