"""What each plan does, and the bounds every step keeps: each wait, each number of attempts."""

from __future__ import annotations

from typing import Final

SECOND_US: Final = 1_000_000

LEASE_US: Final = 20 * SECOND_US
CLEAN_APART_US: Final = 2 * SECOND_US
"""Two reads that find nothing must be this far apart: the broker's lists lag."""
DOUBT_US: Final = 15 * SECOND_US
"""A sent order nobody answered may still appear; only after this long does it stop holding the run up."""
STALL_US: Final = 60 * SECOND_US
"""Without progress for this long the run is BLOCKED, and people are told: it goes on trying."""
FENCE_US: Final = 250_000
"""A write must leave this soon after it was marked SENT: later, another holder may have looked and gone on."""
RERUN_LIFE_US: Final = 15 * 60 * SECOND_US
TELL_AGAIN_US: Final = 5 * 60 * SECOND_US

CANCEL_TRIES_MAX: Final = 12
EXIT_TRIES_MAX: Final = 8
BACK_OFF_US_MAX: Final = 30 * SECOND_US
EXHAUSTED_US: Final = 5 * 60 * SECOND_US
"""After all attempts one more is made this often: what was refused for a reason may have lost its reason."""
REPRICE_AFTER_US: Final = 4 * SECOND_US
REPRICES_MAX: Final = 20
"""Of the 25 changes a broker takes of one order; what is left is a person's."""
EXIT_ALL_GRACE_US: Final = 15 * SECOND_US

STEPS_OF: Final = {
    "halt": (),
    "cancel": ("CANCEL", "VERIFY"),
    "flatten": ("CANCEL", "FLATTEN", "VERIFY"),
    "broker": ("CANCEL", "FLATTEN", "VERIFY", "LOCK"),
}
SEVERITY: Final = ("halt", "cancel", "flatten", "broker")


def back_off_us(tries: int, tries_max: int) -> int:
    """Return how long to wait after *tries* attempts that did not do it: 1, 2, 4 … 30 s, and minutes past the last."""
    if tries <= 0:
        return 0
    if tries >= tries_max:
        return EXHAUSTED_US
    return min(BACK_OFF_US_MAX, SECOND_US << (tries - 1))
