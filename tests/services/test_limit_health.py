"""What `doctor` says of limits, each finding on both sides of its edge, on a real database."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pytest

from riskguard import admin
from riskguard.core.calendar import ist_us
from riskguard.locate import rulebook_text
from riskguard.services import doctor
from riskguard.services.finding import Finding
from riskguard.services.limits import limit_health
from riskguard.store.calendar import calendar
from tests.services.desk import ACCOUNT, DAY, SECOND, START, Desk, rulebook

VALUE = 'check = "order_value"\norder_value_inr_max = "{}"'


def write(desk: Desk, statement: str, *rows: tuple[object, ...]) -> None:
    for row in rows or [()]:
        desk.sql(statement, *row)


def session(days_ago: int) -> str:
    """The date of a day before the desk's Monday."""
    return (date(2025, 6, 2) - timedelta(days=days_ago)).isoformat()


def days_of(desk: Desk, sessions: int, orders: int, peak_e2: int, limit: str = "order-value") -> None:
    """What so many sessions left of one limit."""
    write(
        desk,
        "INSERT INTO limit_days (account, session_date, limit_id, check_name, approved, peak_pct_e2, peak) "
        "VALUES ('leader', ?, ?, 'order_value', ?, ?, '1200.00 inr')",
        *((session(number), limit, orders, peak_e2) for number in range(sessions)),
    )


def breached(desk: Desk, *days_ago: int, limit: str = "order-value") -> None:
    write(
        desk,
        "INSERT INTO risk_violations (account_type, violation_type, limit_value, actual_value, violated_at, limit_id) "
        "VALUES ('leader', 'ORDER_VALUE', 1, 2, ?, ?)",
        *((START // SECOND - days * 86_400, limit) for days in days_ago),
    )


def apply(desk: Desk, text: str, **how: str) -> None:
    admin.apply_rulebook(desk.store, text, account=ACCOUNT, by="asha", approver="meera", clock=desk.clock, **how)


def said(found: object) -> list[str]:
    return [f"{each.severity.value} {each.what}" for each in found]  # type: ignore[attr-defined]


IDLE = [(10, 10, 2499, True), (10, 10, 2500, False), (9, 20, 100, False), (10, 9, 100, False)]


@pytest.mark.parametrize(("sessions", "orders", "peak_e2", "told"), IDLE)
def test_a_limit_that_never_comes_near(desk: Desk, sessions: int, orders: int, peak_e2: int, told: bool) -> None:
    """Less than a quarter used in ten sessions and a hundred orders; with the most that was measured."""
    days_of(desk, sessions, orders, peak_e2)

    found = said(limit_health.idle_limits(desk.store, START))
    assert bool(found) == told
    if told:
        assert "`order-value` of `leader` was never near in 10 sessions: at most 25.0 % of it (1200.00 inr)" in found[0]


def test_a_limit_that_refused_or_is_gone_is_not_idle(desk: Desk) -> None:
    """It stopped something; or it is no limit any more."""
    days_of(desk, 10, 10, 100)
    days_of(desk, 10, 10, 100, limit="retired")
    breached(desk, 5)

    assert said(limit_health.idle_limits(desk.store, START)) == []


FIRING = [((1, 2, 3), 3, True), ((1, 2), 2, False), ((1, 2, 3), 5, False), ((0, 1, 2, 3, 4), 5, True)]


@pytest.mark.parametrize(("days", "sessions", "told"), FIRING)
def test_a_limit_that_fires_every_day(desk: Desk, days: tuple[int, ...], sessions: int, told: bool) -> None:
    """Three sessions at least, and none without."""
    write(
        desk,
        "INSERT INTO limit_days (account, session_date, limit_id, check_name) "
        "VALUES ('leader', ?, 'order-rate', 'order_rate')",
        *((session(number),) for number in (range(1, sessions + 1) if 0 not in days else range(sessions))),
    )
    breached(desk, *days)

    assert bool(said(limit_health.firing_limits(desk.store, START))) == told


RATIO = 'check = "order_to_trade_ratio"\norders_per_trade_max = 50\nexempt_band_pct_max = "1"\norders_free = 9'
FED = rulebook(
    margin_available='check = "margin_available"\nbuffer_pct = "5"\nshort_margin_pct = "20"\nfunds_age_s_max = 60',
    gross_exposure='check = "gross_exposure"\ngross_exposure_inr_max = "1000000"\nmode = "shadow"',
    leverage='check = "leverage"\nleverage_max = "5"',
    order_to_trade_ratio=RATIO,
    trading_window='check = "trading_window"\nunknown_day = "refuse"\nwindows = "session"\nsquare_off_tail_s = "none"',
)


def unfed(desk: Desk, now_us: int = START) -> dict[str, str]:
    found: dict[str, str] = {}
    for each in limit_health.unfed_limits(desk.store, now_us):
        found[each.what.partition("`")[2].partition("`")[0]] = f"{each.severity.value} {each.what.partition(': ')[2]}"
    return found


def test_checks_that_nothing_feeds(make_desk: Callable[..., Desk]) -> None:
    """Each is told what it misses, in shadow more quietly; each falls silent when it is fed."""
    desk = make_desk(text=FED)
    assert unfed(desk) == {
        "gross-exposure": "info no quote was pushed for a day",
        "leverage": "warning the day's opening equity is not known",
        "margin-available": "warning no funds were read for a day",
    }
    desk.quote("100")
    now_s = START // SECOND
    write(
        desk, "INSERT INTO funds (account_type, snapshot_ts, available_balance) VALUES ('leader', ?, 1000.0)", (now_s,)
    )
    write(desk, "UPDATE day_baselines SET opening_equity_e4 = 10000000")
    assert unfed(desk) == {"margin-available": "warning no margin was asked for a day, so it goes by estimate"}
    write(
        desk,
        "INSERT INTO margin_requirements (account_type, security_id, exchange_segment, quantity, product, total_margin, "
        "calculated_at) VALUES ('leader', '1333', 'NSE_EQ', 1, 'INTRADAY', 10.0, ?)",
        (now_s,),
    )
    assert unfed(desk) == {}


def test_a_window_past_the_calendars_end(make_desk: Callable[..., Desk]) -> None:
    """On its last day it knows; the day after it says what the limit then does."""
    desk = make_desk(text=FED)
    last_us = ist_us(calendar().complete_until, 12 * 3600)

    assert "trading-window" not in unfed(desk, last_us)
    assert "it says `refuse`" in unfed(desk, last_us + DAY)["trading-window"]


def test_a_ratio_without_trades(make_desk: Callable[..., Desk]) -> None:
    """Orders were sent and no fill was ever told; one trade, and it counts."""
    desk = make_desk(text=rulebook(order_to_trade_ratio=RATIO))
    desk.quote("100")
    desk.sweep()
    assert unfed(desk) == {}
    desk.place(desk.order(price="90"))
    assert unfed(desk) == {"order-to-trade-ratio": "warning 1 orders were sent and no trade is known"}
    desk.hold(10)
    assert unfed(desk) == {}


WATCHED = 'mode = "shadow"\nacknowledged_by = "asha"\nacknowledged_until = "2025-06-20"'
ENDS = [
    # days after 2025-06-02, whether the mandatory and the other are told
    (0, "warning", None), (10, "warning", None), (11, "warning", "warning"), (18, "warning", "warning"), (19, "info", "info"),
]  # fmt: skip


@pytest.mark.parametrize(("days", "mandatory", "other"), ENDS)
def test_limits_that_only_watch(desk: Desk, days: int, mandatory: str | None, other: str | None) -> None:
    """A mandatory one is told all the time, another one in its last week, both once it has ended."""
    text = rulebook(
        order_value=f"{VALUE.format('100')}\n{WATCHED}", lot_size=f'check = "lot_size"\n{WATCHED}',
    )  # fmt: skip
    apply(desk, text)
    found = {
        each.what.split("`")[1]: each.severity.value
        for each in limit_health.watching_limits(desk.store, START + days * DAY)
    }

    assert (found.get("order-value"), found.get("lot-size")) == (mandatory, other)


def test_a_rulebook_that_moved_on(desk: Desk, tmp_path: Path) -> None:
    """Its file says something else than what was applied: the file it came from, or the shipped one of its name."""
    path = tmp_path / "mine.toml"
    path.write_text(rulebook())
    apply(desk, rulebook(), origin=str(path))
    assert said(limit_health.rulebook_files(desk.store, START)) == []
    path.write_text(rulebook(order_value=VALUE.format("1")))
    assert "differs from what was applied to `leader`" in said(limit_health.rulebook_files(desk.store, START))[0]
    path.unlink()
    assert said(limit_health.rulebook_files(desk.store, START)) == []
    apply(desk, rulebook_text("default"))
    assert said(limit_health.rulebook_files(desk.store, START)) == []
    apply(desk, rulebook_text("default").replace('"5000"', '"4000"'))
    assert "`default` differs" in said(limit_health.rulebook_files(desk.store, START))[0]


def test_what_waits_is_told(desk: Desk) -> None:
    """With its date and the way back."""
    admin.apply_rulebook(
        desk.store, rulebook(lot_size=None), account=ACCOUNT, by="asha", clock=desk.clock
    )  # fmt: skip

    (found,) = limit_health.rulebook_files(desk.store, START)
    assert "`lot-size` of `leader` loosen with the session of 2025-06-03" in found.what


def test_doctor_asks_them_all(desk: Desk) -> None:
    """They are among its looks, and a desk that is well has nothing of theirs to hear."""
    assert set(limit_health.FINDINGS) <= set(doctor.FINDINGS)
    found: list[Finding] = [each for look in limit_health.FINDINGS for each in look(desk.store, START)]

    assert found == []
