"""Facts of a record: what it does not hold is an error, never a zero."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from riskguard.core.facts import FactMissingError, Facts
from tests.core.builders import NOW, SECOND, account, facts, order

MISSING: list[tuple[str, Callable[[Facts], Any]]] = [
    ("date", lambda found: found.session_date()),
    (f"sent:{SECOND}", lambda found: found.sent_in(SECOND)),
    (f"loops:{SECOND}", lambda found: found.loops_in(SECOND)),
]


@pytest.mark.parametrize(("name", "read"), MISSING, ids=[name for name, _ in MISSING])
def test_what_was_not_read_then_cannot_be_read_now(name: str, read: Callable[[Facts], Any]) -> None:
    """What was read before the record was made is in it; what was not is named."""
    live, blind = facts(order()), facts(order())
    known = read(live)
    again = Facts.replayed(order(), live.recorded())
    assert read(again) == known
    with pytest.raises(FactMissingError, match=f"^the record holds no `{name}`$"):
        read(Facts.replayed(order(), blind.recorded()))


def test_how_often_the_order_it_replaces_was_changed() -> None:
    """A new order replaces none; one nobody changed was changed never."""
    of = account(modifications={"seven": 3})
    counts = [Facts.of(order(), of, NOW, "", modifying).modifications_of() for modifying in ("", "seven", "eight")]
    assert counts == [0, 3, 0]
