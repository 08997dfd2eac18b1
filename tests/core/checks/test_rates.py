"""Message throttle, attempts and duplicates: sliding windows (t − w, t], and when time frees them."""

from __future__ import annotations

from typing import Any

import pytest

from riskguard.core.account import Account, TimeLog, signature
from riskguard.core.checks import attempt_rate, duplicate_order, order_rate
from riskguard.core.facts import Facts
from riskguard.errors import OrderInvalidError, RulebookError
from tests.core.builders import NOW, SECOND, SHARE, account, ask, code, facts, line, order
from tests.core.tables import Row, table


def sent(*ages_us: int) -> TimeLog:
    """Messages so long ago, oldest first."""
    return TimeLog([NOW - age_us for age_us in sorted(ages_us, reverse=True)])


RATES = table("""
    why                                messages  granted  order    expected                frees_in_us
    nothing sent                       0         0        BUY 10   -                       -
    on the limit less the reserve      6         0        BUY 10   -                       -
    one above                          7         0        BUY 10   ORDER_RATE_ABOVE_LIMIT  999_993
    permits count already              0         6        BUY 10   -                       -
    permits count already              0         7        BUY 10   ORDER_RATE_ABOVE_LIMIT  -
    both together                      3         4        BUY 10   ORDER_RATE_ABOVE_LIMIT  999_997
    exits draw on the reserve          9         0        SELL 10  -                       -
    and end where it ends              10        0        SELL 10  ORDER_RATE_ABOVE_LIMIT  999_990
    a flip is no exit                  9         0        SELL 11  ORDER_RATE_ABOVE_LIMIT  999_993
    many too many                      20        0        BUY 10   ORDER_RATE_ABOVE_LIMIT  999_993
""")


@pytest.mark.parametrize("row", RATES, ids=str)
def test_order_rate(row: Row) -> None:
    """Ten messages a second, three of them kept for exits and cancels; message k was sent k µs ago."""
    side, quantity = row.order.split()
    of = account(line(10), sent=sent(*range(1, row.number("messages") + 1)), granted=row.number("granted"))
    reject = ask(
        order_rate.CHECK, order(side, int(quantity)), of, windows=[{"messages_max": 10, "reserve": 3, "per_s": 1}]
    )

    assert code(reject) == row.expected
    if reject is not None:
        frees_in = row.opt_number("frees_in_us")
        assert reject.frees_at_us == (None if frees_in is None else NOW + frees_in)
        assert reject.max_quantity == 0


def test_what_it_says_about_time_is_true() -> None:
    """A microsecond before the named moment it is refused, at it the order passes."""
    of = account(sent=sent(*range(1, 21)))
    windows = [{"messages_max": 10, "reserve": 3, "per_s": 1}]
    reject = ask(order_rate.CHECK, order(), of, windows=windows)
    assert reject is not None and reject.frees_at_us is not None
    parameters = order_rate.Parameters.read({"windows": windows}, where="the test")

    assert order_rate.check(Facts.of(order(), of, reject.frees_at_us - 1), parameters) is not None
    assert order_rate.check(Facts.of(order(), of, reject.frees_at_us), parameters) is None


def test_the_window_is_open_at_its_old_end() -> None:
    """A message exactly a window old no longer counts; one stamped ahead of now does."""
    windows = [{"messages_max": 2, "reserve": 1, "per_s": 1}]

    assert ask(order_rate.CHECK, order(), account(sent=sent(SECOND)), windows=windows) is None
    assert ask(order_rate.CHECK, order(), account(sent=sent(SECOND - 1)), windows=windows) is not None
    assert ask(order_rate.CHECK, order(), account(sent=sent(-SECOND)), windows=windows) is not None


def test_every_window_counts_and_the_longest_wait_is_named() -> None:
    """One message too many in a second and in a minute: the minute is what must be waited for."""
    windows = [{"messages_max": 3, "reserve": 1, "per_s": 1}, {"messages_max": 4, "reserve": 1, "per_s": 60}]
    for each in (windows, windows[::-1]):
        reject = ask(order_rate.CHECK, order(), account(sent=sent(1, 2, 3)), windows=each)
        assert reject is not None and reject.frees_at_us == NOW - 3 + 60 * SECOND
        assert (reject.measured, reject.limit) == (4, 3)
    reject = ask(order_rate.CHECK, order(), account(sent=sent(1, 2)), windows=windows)
    assert reject is not None and reject.frees_at_us == NOW - 2 + SECOND
    assert order_rate.CHECK.exits and order_rate.CHECK.mandatory


def test_a_window_that_time_does_not_free_is_the_longest_wait() -> None:
    """Permits fill the second window: no time frees it, so none may be named."""
    windows = [{"messages_max": 10, "reserve": 1, "per_s": 1}, {"messages_max": 3, "reserve": 1, "per_s": 60}]
    reject = ask(order_rate.CHECK, order(), account(sent=sent(*range(1, 10)), granted=3), windows=windows)

    assert reject is not None and reject.frees_at_us is None


WINDOWS: list[Any] = [
    [], [{"messages_max": 3, "reserve": 3, "per_s": 1}], [{"messages_max": 0, "reserve": 0, "per_s": 1}],
    [{"messages_max": 3, "reserve": -1, "per_s": 1}], [{"messages_max": 3, "reserve": 1, "per_s": 0}],
    [{"messages_max": 3, "reserve": 1, "per_s": 1.5}], [{"messages_max": 3, "per_s": 1}],
    [{"messages_max": 3, "reserve": 1, "per_s": 1, "pers": 1}], [{"messages_max": 3, "reserve": 1, "per_s": 1}] * 9,
]  # fmt: skip


@pytest.mark.parametrize("windows", WINDOWS, ids=lambda each: str(each)[:60])
def test_a_window_that_means_nothing_is_refused(windows: Any) -> None:
    """A reserve must leave room, and nothing has a default."""
    with pytest.raises(RulebookError):
        order_rate.Parameters.read({"windows": windows}, where="the test")


ATTEMPTS = table("""
    asked  expected
    0      -
    2      -
    3      ATTEMPT_RATE_ABOVE_LIMIT
    9      ATTEMPT_RATE_ABOVE_LIMIT
""")


@pytest.mark.parametrize("row", ATTEMPTS, ids=str)
def test_attempt_rate(row: Row) -> None:
    """Three questions a second for each strategy, this one included; those of others do not count."""
    of = account(attempts={"dip": sent(*range(row.number("asked"))), "calm": sent(*range(99))})

    reject = ask(attempt_rate.CHECK, order(strategy="dip"), of, attempts_max=3, per_s=1)
    assert code(reject) == row.expected
    assert reject is None or (reject.measured, reject.limit) == (row.number("asked") + 1, 3)
    assert ask(attempt_rate.CHECK, order(strategy="new"), of, attempts_max=3, per_s=1) is None
    assert not attempt_rate.CHECK.exits


@pytest.mark.parametrize("most", [1, 2, 3])
def test_attempt_rate_says_when_it_is_free(most: int) -> None:
    """This question counts too: a microsecond before the time named the next is refused, at it, it passes."""
    ages_us = (400_000, 300_000, 200_000, 100_000)
    of = account(attempts={"dip": TimeLog([NOW - age_us for age_us in ages_us])})
    params = attempt_rate.Parameters.read({"attempts_max": most, "per_s": 1}, where="the test")
    reject = attempt_rate.check(facts(order(strategy="dip"), of), params)
    assert reject is not None and reject.frees_at_us is not None
    of.attempts["dip"].add(NOW)

    for at_us, passes in ((reject.frees_at_us - 1, False), (reject.frees_at_us, True)):
        asked = Facts.of(order(strategy="dip"), of, at_us)
        assert (attempt_rate.check(asked, params) is None) is passes


DUPLICATES = table("""
    age_us      expected
    -           -
    0           DUPLICATE_ORDER
    1_999_999   DUPLICATE_ORDER
    2_000_000   -
    -5_000_000  DUPLICATE_ORDER
""")


def repeated(age_us: int | None) -> Account:
    return account(same={} if age_us is None else {signature(order(strategy="dip")): NOW - age_us})


@pytest.mark.parametrize("row", DUPLICATES, ids=str)
def test_duplicate_order(row: Row) -> None:
    """The same order within two seconds of its approval; exactly two seconds later it passes."""
    reject = ask(duplicate_order.CHECK, order(strategy="dip"), repeated(row.opt_number("age_us")), within_s=2)

    assert code(reject) == row.expected
    assert not duplicate_order.CHECK.exits
    if reject is not None:
        assert (reject.measured, reject.limit, reject.unit) == (max(0, row.number("age_us")) // 1000, 2_000, "ms")
        assert reject.frees_at_us == NOW - row.number("age_us") + 2 * SECOND


DIFFERENT: list[dict[str, Any]] = [
    {"strategy": "calm"}, {"side": "SELL"}, {"product": "CNC"}, {"quantity": 11}, {"price": "100.05"},
    {"order_type": "MARKET", "price": None}, {"security_id": "11"}, {"exchange_segment": "BSE_EQ"},
    {"order_type": "STOP_LOSS", "trigger_price": "99"},
]  # fmt: skip


@pytest.mark.parametrize("change", DIFFERENT, ids=str)
def test_anything_else_is_no_duplicate(change: dict[str, Any]) -> None:
    """Each field makes another order; the id and the quote do not."""
    assert ask(duplicate_order.CHECK, order(**{"strategy": "dip", **change}), repeated(0), within_s=2) is None
    assert ask(duplicate_order.CHECK, order(strategy="dip", client_order_id="a2"), repeated(0), within_s=2) is not None
    assert SHARE.key == order().instrument


def test_slices_of_one_order_are_no_duplicates() -> None:
    """They are alike by nature; their ids keep each from going out twice, so a slice must have one."""
    same = repeated(0)
    piece = order(strategy="dip", slice_of="p-1", client_order_id="p-1.2")

    assert code(ask(duplicate_order.CHECK, order(strategy="dip"), same, within_s=2)) == "DUPLICATE_ORDER"
    assert ask(duplicate_order.CHECK, piece, same, within_s=2) is None
    with pytest.raises(OrderInvalidError, match="client_order_id"):
        order(strategy="dip", slice_of="p-1")
    assert piece.contents() != piece.replaced(slice_of="").contents()


LOGS = table("""
    times      now  window  count
    -          10   5       0
    4 5 6      10   5       1
    5 6        10   5       1
    5          10   5       0
    6 6 6      10   5       3
    10 11      10   5       2
""")


@pytest.mark.parametrize("row", LOGS, ids=str)
def test_time_log(row: Row) -> None:
    """(now − window, now], and what is stamped ahead counts too."""
    log = TimeLog([int(each) for each in row.times.split() if each != "-"])

    assert log.count(row.number("now"), row.number("window")) == row.number("count")


def test_time_log_keeps_order_and_forgets() -> None:
    """A clock that steps back adds at the last time; forgetting drops what no window reaches."""
    log = TimeLog()
    for at_us in (5, 3, 9):
        log.add(at_us)
    assert (log.leaves_us(1, 10), log.leaves_us(3, 10), log.leaves_us(4, 10), log.leaves_us(0, 10)) == (
        19,
        15,
        None,
        None,
    )
    log.forget(5)
    assert len(log) == 1
