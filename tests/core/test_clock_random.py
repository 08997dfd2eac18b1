"""
Any instant, under any host's time zone: the session date is India's, and no jump of a clock approves or releases anything.

`test_calendar_zones.py` has the scenarios by hand; here are thousands nobody thought of, seeded.
"""

from __future__ import annotations

import datetime as dt
import random
import time
from collections.abc import Callable

import pytest

from riskguard.core.calendar import DAY_US, Calendar, ist_us
from riskguard.core.decide import decide
from riskguard.core.limits import LimitSet
from riskguard.core.state import TradingState
from riskguard.errors import PermitNotSendableError
from riskguard.store import loader
from tests.core.builders import NOW, account, halted, limit, line, mandatory, order, quote
from tests.reliability.actors import times
from tests.reliability.claiming import Claims
from tests.services.desk import ACCOUNT, Desk

INSTANTS = times(5_000, 20_000)
JUMPS = times(150, 2_000)
SECOND = 1_000_000
ZONES = (
    "UTC",
    "Asia/Kolkata",
    "America/New_York",
    "Europe/London",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Africa/Casablanca",
)
EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001 - plain arithmetic, no zone of anybody's
BEGINS_US = 946_684_800 * SECOND
ENDS_US = 2_524_608_000 * SECOND
"""2000 to 2050: every rule of every zone in between."""


def instants(seed: int) -> list[int]:
    """Return instants anywhere, on and beside midnights of India and of UTC."""
    chance, found = random.Random(seed), []
    for number in range(INSTANTS):
        at_us = chance.randrange(BEGINS_US, ENDS_US)
        if number % 3 == 1:
            at_us = at_us // DAY_US * DAY_US + chance.choice((-1, 0, 1))
        elif number % 3 == 2:  # midnight in India
            at_us = at_us // DAY_US * DAY_US - 19_800 * SECOND + chance.choice((-1, 0, 1))
        found.append(at_us)
    return found


def by_hand(at_us: int) -> dt.date:
    """Five and a half hours after UTC, always: India sets no clocks."""
    return (EPOCH + dt.timedelta(microseconds=at_us + 19_800 * SECOND)).date()


def wrong_dates(session_date: Callable[[int], dt.date], monkeypatch: pytest.MonkeyPatch) -> int:
    """Return how many instants get another date than India's, each under one of the zones."""
    wrong, found = 0, instants(1)
    try:
        for number, zone in enumerate(ZONES):
            monkeypatch.setenv("TZ", zone)
            time.tzset()
            wrong += sum(session_date(at_us) != by_hand(at_us) for at_us in found[number :: len(ZONES)])
    finally:
        monkeypatch.undo()
        time.tzset()
    return wrong


@pytest.mark.claim("I12", "the session date of instants under seven host zones", of="instants", ci=5_000, soak=20_000)
def test_the_session_date_is_indias_at_any_instant(claim: Claims, monkeypatch: pytest.MonkeyPatch) -> None:
    """Core and store agree with plain arithmetic, a microsecond either side of every midnight."""
    assert wrong_dates(Calendar.session_date, monkeypatch) == 0
    assert wrong_dates(lambda at_us: dt.date.fromisoformat(loader.session_date(at_us)), monkeypatch) == 0
    claim("I12").trials(INSTANTS)
    for at_us in instants(2)[:500]:
        date = by_hand(at_us)
        assert ist_us(date) <= at_us < ist_us(date) + DAY_US and loader.midnight_us(at_us) == ist_us(date)


def test_the_control_the_hosts_own_date_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is guarded against happens: the host's date differs from India's at very many of these instants."""
    wrong = wrong_dates(lambda at_us: dt.datetime.fromtimestamp(at_us // SECOND).date(), monkeypatch)  # noqa: DTZ006

    assert wrong > INSTANTS // 10


def test_no_time_of_any_clock_approves_what_a_state_refuses() -> None:
    """The pure half: halted or reducing, at any instant at all, nothing that adds risk passes; by itself nothing changes."""
    limits = LimitSet((*mandatory(), limit("net_position", position_max="100", unit="units")))
    for state in (TradingState.HALTED, TradingState.REDUCE_ONLY):
        of = account(line(10), limits=limits, causes=(halted(state=state),), quoted=quote("99.95", "100", "100.05"))
        for at_us in instants(3)[:: max(1, INSTANTS // 2_500)]:
            assert not decide(order("BUY", 1), of, at_us).approved
    of = account(line(10), limits=limits, quoted=quote("99.95", "100", "100.05"))
    assert decide(order("BUY", 1), of, NOW).approved  # the other side: it is the state that refuses


@pytest.mark.claim("I12", "a halted account asked while its clock is set to and fro", of="jumps", ci=150, soak=2_000)
def test_no_jump_approves_or_releases(claim: Claims, desk: Desk) -> None:
    """A halted account stays halted and refuses wherever the clock is set to, back and forth; after a restart too."""
    desk.quote("100")
    decision = desk.guard.check(desk.order())
    assert decision.approved and decision.permit is not None
    assert desk.kill(ACCOUNT, plan="halt").exit_status == 0
    chance = random.Random(4)
    for number in range(JUMPS):
        desk.clock.skipped_us += SECOND * chance.choice(
            (-7 * 86_400, -86_400, -3_600, -61, -1, 1, 61, 3_600, 86_400, 7 * 86_400)
        )
        if number % 10 == 0:
            desk.sweep()
        assert desk.guard.state(ACCOUNT).state is TradingState.HALTED
        assert not desk.guard.check(desk.order()).approved
        claim("I12").trial()
    assert desk.permit(str(decision.client_order_id)) in ("VOID", "EXPIRED")


def test_a_clock_set_back_revives_no_permit(desk: Desk) -> None:
    """What has expired, or was seen to be over, is not sent when the clock goes back to before that."""
    desk.quote("100")
    decision = desk.guard.check(desk.order())
    assert decision.permit is not None
    desk.clock.advance(11)
    desk.guard.check(desk.order())  # whoever asks next sees that it is over
    desk.sweep()
    desk.clock.advance(-11)

    assert not desk.guard.check(decision.order).approved
    with pytest.raises(PermitNotSendableError), decision.permit.sending():
        raise AssertionError("it was let out")
