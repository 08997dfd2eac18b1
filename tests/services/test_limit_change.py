"""
Loosening a limit while the session runs: it waits for the next session, or a second person stands behind it.

The desk's Monday is 2025-06-02, 10:30 in India; NSE trades from 09:15 to 15:30.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from riskguard import admin
from riskguard.core.rulebook import parse
from riskguard.errors import ReleaseRefusedError, RulebookError
from riskguard.services import overview
from riskguard.services.limits import rulebooks
from riskguard.store import journal
from riskguard.store.calendar import calendar
from tests.services.desk import ACCOUNT, DAY, SECOND, START, Desk, rulebook

VALUE = 'check = "order_value"\norder_value_inr_max = "{}"'
COUNT = 'check = "order_quantity"\nquantity_max = {}\nunit = "units"'
MINUTE = 60 * SECOND
NINE = START - 90 * MINUTE  # 09:00


def book(value: str = "1000", quantity: int | None = 50, **more: str | None) -> str:
    limit = None if quantity is None else COUNT.format(quantity)
    return rulebook(order_value=VALUE.format(value), order_quantity=limit, **more)


def apply(desk: Desk, text: str, **how: Any) -> dict[str, tuple[str, str]]:
    """Apply a rulebook; returns kind and date of each limit that changes."""
    found = admin.apply_rulebook(desk.store, text, **{"account": ACCOUNT, "by": "asha", "clock": desk.clock, **how})
    return {change.limit_id: (change.kind, change.from_date) for change in found if change.kind != "keep"}


def values(desk: Desk) -> dict[str, str]:
    """The numbers in force, as the table says."""
    return {
        limit_id: f"{value or ''}{json.loads(parameters).get('quantity_max', '')}"
        for limit_id, value, parameters in desk.rows(
            "SELECT limit_id, order_value_limit, parameters FROM traders_control WHERE is_active = 1 AND limit_id IN "
            "('order-value', 'order-quantity')"
        )
    }


@pytest.fixture
def tight(make_desk: Callable[..., Desk]) -> Desk:
    """₹1,000 an order, fifty units."""
    made = make_desk(text=book())
    made.sweep()
    return made


HOURS = [
    # minutes after 09:00 on Monday, the date a loosening waits for
    (0, ""), (14, ""), (15, "2025-06-03"), (60, "2025-06-03"), (389, "2025-06-03"), (390, ""), (600, ""),
    (4 * 1440 + 60, "2025-06-09"), (5 * 1440 + 60, ""), (6 * 1440 + 60, ""),
]  # fmt: skip


@pytest.mark.parametrize(("minutes", "date"), HOURS)
def test_the_session_is_the_calendars(tight: Desk, minutes: int, date: str) -> None:
    """At 09:14:59 it counts at once, from 09:15 it waits, at 15:30 it counts; Friday's waits for Monday, a Saturday's not."""
    tight.clock.at_us = NINE + minutes * MINUTE

    assert apply(tight, book("1001")) == {"order-value": ("loosen", date)}
    assert values(tight)["order-value"] == ("1000.0" if date else "1001.0")


def test_a_second_before_the_bell_it_counts(tight: Desk) -> None:
    """The edge itself: the last microsecond before the opening, and the opening."""
    opening = NINE + 15 * MINUTE
    segments = calendar().segments

    assert rulebooks.waits_until(calendar(), segments, opening - 1) == ""
    assert rulebooks.waits_until(calendar(), segments, opening) == "2025-06-03"


def test_a_day_before_a_holiday_waits_past_it() -> None:
    """2025-08-14 is a Thursday, Friday is Independence Day: the next session is Monday the 18th."""
    thursday = START + 73 * DAY

    assert rulebooks.waits_until(calendar(), calendar().segments, thursday) == "2025-08-18"


def test_an_account_in_another_segment_has_its_hours_too(tight: Desk) -> None:
    """Nobody knows when MCX closes here: an account with a line there waits in the evening, too."""
    tight.clock.at_us = NINE + 600 * MINUTE
    tight.sql(
        "INSERT INTO day_books (account, session_date, exchange_segment, security_id, product) "
        "VALUES ('leader', '2025-06-02', 'MCX_COMM', '1', 'MARGIN')"
    )

    assert apply(tight, book("1001")) == {"order-value": ("loosen", "2025-06-03")}


def test_what_tightens_counts_now_and_what_loosens_waits(tight: Desk) -> None:
    """One rulebook does both: each half at its own time, in one journal entry."""
    assert apply(tight, book("1500", 40)) == {
        "order-value": ("loosen", "2025-06-03"), "order-quantity": ("tighten", ""),
    }  # fmt: skip
    assert values(tight) == {"order-value": "1000.0", "order-quantity": "40"}
    assert not tight.guard.check(tight.order(quantity=41, price="10")).approved
    assert not tight.guard.check(tight.order(quantity=11, price="100")).approved
    body = json.loads(tight.one("SELECT body FROM decisions WHERE kind = 'APPLY' ORDER BY sequence DESC LIMIT 1"))
    assert [each[1] for each in body["changes"]] == ["order-quantity"]
    assert [each["limit_id"] for each in body["deferred"]] == ["order-value"]


def test_at_the_next_sessions_first_transaction_it_counts(tight: Desk) -> None:
    """Not a microsecond before midnight in India; then by the first check of any process, journaled, and only once."""
    apply(tight, book("1500"), reason="more capital")
    midnight = START - 630 * MINUTE + DAY
    tight.clock.at_us = midnight - 1
    refused = tight.guard.check(tight.order(quantity=15, price="100"))
    assert "ORDER_VALUE_ABOVE_LIMIT" in [each.code.value for each in refused.rejects]
    assert values(tight)["order-value"] == "1000.0"
    tight.clock.at_us = midnight
    other = tight.another_guard()

    other.check(tight.order(quantity=15, price="100"))

    assert values(tight)["order-value"] == "1500.0"
    bodies = [
        json.loads(row[0]) for row in tight.rows("SELECT body FROM decisions WHERE kind = 'APPLY' ORDER BY sequence")
    ]
    assert bodies[-1]["waited"] == bodies[-2]["sequence"] and bodies[-1]["reason"] == "more capital"
    assert bodies[-1]["digest"] == bodies[-2]["digest"] and bodies[-1]["left"] == []
    tight.sweep()
    tight.guard.check(tight.order(quantity=15, price="100"))
    assert len(tight.rows("SELECT 1 FROM decisions WHERE kind = 'APPLY'")) == len(bodies)
    with tight.store.session() as session:
        assert journal.verify(session, ACCOUNT)[1] is None
    assert all(not each["replay_disagrees"] for each in overview.verify(tight.store))


def test_the_sweep_carries_it_out_too(tight: Desk) -> None:
    """An account that only watches gets its limits as well."""
    apply(tight, book("1500"))
    tight.clock.at_us += DAY
    tight.sweep()

    assert values(tight)["order-value"] == "1500.0"


def test_a_retired_limit_holds_until_then(tight: Desk) -> None:
    """Leaving one out is a loosening; so the old one and a new one of another name hold together."""
    renamed = book(quantity=None).replace('id = "order-value"', 'id = "value"')
    assert apply(tight, renamed) == {
        "value": ("add", ""), "order-value": ("retire", "2025-06-03"), "order-quantity": ("retire", "2025-06-03"),
    }  # fmt: skip
    assert set(values(tight)) == {"order-value", "order-quantity"}
    tight.clock.at_us += DAY
    tight.sweep()
    assert values(tight) == {}


def test_another_rulebook_withdraws_what_waits(tight: Desk) -> None:
    """The last one applied is the whole of what is meant; applying what stands withdraws it, too."""
    apply(tight, book("1500"))
    assert rulebooks.waiting_changes(tight.store)[ACCOUNT].changes[0].limit_id == "order-value"
    apply(tight, book("1000"))
    assert rulebooks.waiting_changes(tight.store) == {}
    tight.clock.at_us += DAY
    tight.sweep()

    assert values(tight)["order-value"] == "1000.0"


def test_what_was_tightened_meanwhile_stays(tight: Desk) -> None:
    """Plain SQL tightened the limit after the loosening was reviewed: that wins, and the journal says so."""
    apply(tight, book("1500"))
    tight.sql("UPDATE traders_control SET order_value_limit = 700 WHERE limit_id = 'order-value' AND is_active = 1")
    tight.clock.at_us += DAY
    tight.sweep()

    assert values(tight)["order-value"] == "700.0"
    body = json.loads(tight.one("SELECT body FROM decisions WHERE kind = 'APPLY' ORDER BY sequence DESC LIMIT 1"))
    assert body["left"] == ["order-value"] and body["changes"] == []


def test_a_refused_check_does_not_lose_it(tight: Desk) -> None:
    """The first transaction of the day refuses its order: the loosening is carried out all the same, once."""
    apply(tight, book("1500"))
    tight.clock.at_us += DAY

    decision = tight.guard.check(tight.order(quantity=1000, price="100"))

    assert not decision.approved and values(tight)["order-value"] == "1500.0"
    assert tight.one("SELECT count(*) FROM decisions WHERE kind = 'APPLY'") == 3


APPROVERS = [("meera", True), ("", False), ("asha", None), (" ASHA ", None)]


@pytest.mark.parametrize(("approver", "at_once"), APPROVERS)
def test_a_second_person_lets_it_count_now(tight: Desk, approver: str, at_once: bool | None) -> None:
    """Somebody else than who applies, however it is spelt; named in the journal. Refused, nothing is applied."""
    before = tight.rows("SELECT * FROM traders_control"), tight.rows("SELECT * FROM decisions")
    if at_once is None:
        with pytest.raises(ReleaseRefusedError, match="another person"):
            apply(tight, book("1500"), approver=approver)
        assert (tight.rows("SELECT * FROM traders_control"), tight.rows("SELECT * FROM decisions")) == before
        return

    assert apply(tight, book("1500"), approver=approver) == {"order-value": ("loosen", "" if at_once else "2025-06-03")}
    assert values(tight)["order-value"] == ("1500.0" if at_once else "1000.0")
    body = json.loads(tight.one("SELECT body FROM decisions WHERE kind = 'APPLY' ORDER BY sequence DESC LIMIT 1"))
    assert body["approver"] == approver


def test_the_plan_says_what_apply_will_do(tight: Desk) -> None:
    """Kinds and dates alike, and nothing is written."""
    text = book("1500", 40)
    before = tight.rows("SELECT * FROM decisions")
    planned = rulebooks.plan(tight.store, ACCOUNT, parse(text, account=ACCOUNT), tight.clock.now_us())

    assert tight.rows("SELECT * FROM decisions") == before
    assert {each.limit_id: (each.kind, each.from_date) for each in planned if each.kind != "keep"} == apply(tight, text)


def test_the_entry_names_the_text_and_what_stands_afterwards(tight: Desk) -> None:
    """The digest of the file is what was reviewed, that of the result what the next decision is made under."""
    apply(tight, book("900"))
    body = json.loads(tight.one("SELECT body FROM decisions WHERE kind = 'APPLY' ORDER BY sequence DESC LIMIT 1"))
    decision = tight.guard.check(tight.order())

    assert body["digest"] == parse(book("900"), account=ACCOUNT).digest
    assert body["result"] == decision.limits_digest


# -- acknowledged for a time ---------------------------------------------------------------------------------------

WATCHED = VALUE + '\nmode = "shadow"\nacknowledged_by = "asha"\nacknowledged_until = "{}"'


def test_an_acknowledged_limit_watches_until_its_last_day(tight: Desk) -> None:
    """A mandatory limit in shadow: decided, recorded, let through; the day after its last day it refuses, unasked."""
    apply(
        tight,
        rulebook(order_value=WATCHED.format("1000", "2025-06-03"), order_quantity=COUNT.format(50)),
        approver="meera",
    )
    big = {"quantity": 11, "price": "100"}
    watched = tight.guard.check(tight.order(**big))
    assert watched.approved and [each.code.value for each in watched.shadow_rejects] == ["ORDER_VALUE_ABOVE_LIMIT"]
    tight.clock.at_us += 2 * DAY
    tight.sweep()

    again = tight.guard.check(tight.order(**big))

    assert [each.code.value for each in again.rejects] == ["ORDER_VALUE_ABOVE_LIMIT"]
    assert all(not each["replay_disagrees"] and each["wrong"] is None for each in overview.verify(tight.store))


def test_going_into_shadow_waits_like_any_loosening(tight: Desk) -> None:
    found = apply(tight, rulebook(order_value=WATCHED.format("1000", "2025-06-05"), order_quantity=COUNT.format(50)))

    assert found == {"order-value": ("loosen", "2025-06-03")}
    assert not tight.guard.check(tight.order(quantity=11, price="100")).approved


@pytest.mark.parametrize(
    ("until", "fits"), [("2025-06-01", False), ("2025-06-02", True), ("2025-09-02", True), ("2025-09-03", False)]
)
def test_an_acknowledgement_is_for_a_quarter_at_most(tight: Desk, until: str, fits: bool) -> None:
    """From today to 92 days ahead; plan and apply alike."""
    text = rulebook(order_value=WATCHED.format("1000", until), order_quantity=COUNT.format(50))
    if fits:
        assert apply(tight, text)
        return
    for act in (
        lambda: apply(tight, text),
        lambda: rulebooks.plan(tight.store, ACCOUNT, parse(text, account=ACCOUNT), tight.clock.now_us()),
    ):
        with pytest.raises(RulebookError, match="acknowledged_until"):
            act()
