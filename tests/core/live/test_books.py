"""What the book shows: positions that lose, quantity nobody explains, orders nobody asked for, orphans, times to be flat."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest

from riskguard import data
from riskguard.core.account import Account
from riskguard.core.book import Working
from riskguard.core.calendar import Calendar, ist_us
from riskguard.core.instrument import Instrument
from riskguard.core.live.trips import DayFills
from riskguard.core.live.view import Basket, Leg, Peer, Unexplained, Unsolicited
from riskguard.core.quote import Quote
from riskguard.core.state import Cause, TradingState
from tests.core.builders import FUTURE, NOW, SECOND, SHARE, account, inr, line, option
from tests.core.live.sights import Watch
from tests.core.tables import Row, table

HOURS = Calendar.parse(data.calendar_text())
HERE = "INSTRUMENT:NSE_EQ:1333"
LINE = (*SHARE.key, "INTRADAY")

# -- a position's loss ------------------------------------------------------------------------------------------------

LOSSES = table("""
    net  average  marks            done
    10   100      50.01 50.01      - -
    10   100      50 50            - out
    10   100      25               out
    10   100      50 50.01 50 50   - - - out
    10   100      50~ 50~          - -
    10   100      50 50~ 50        - - out
    -10  100      149.99 149.99    - -
    -10  100      150 150          - out
    10   ?        1 1              - -
    10   100      ? 50 50          - - out
""")


@pytest.mark.parametrize("row", LOSSES, ids=str)
def test_one_position_may_lose_500(row: Row) -> None:
    """On two fresh marks, or one at one and a half times; the position is flattened and its instrument rests."""
    watch = Watch("position_loss", account(line(row.number("net"))), position_loss_inr_max="500", at_once_pct=150)
    fills = DayFills(average_e4={LINE: None if row.average == "?" else inr(row.average)})
    done = []
    for number, each in enumerate(row.marks.split()):
        at_s = number * 2
        age_s = 100 if each.endswith("~") else 0
        quotes = {}
        if each != "?":
            quotes[SHARE.key] = Quote.of(ltp=each.rstrip("~"), at_us=NOW + (at_s - age_s) * SECOND)
        done.append(watch.look(at_s, fills=fills, quotes=quotes))
    words = {f"reduce_only@{HERE} task:flatten@{HERE}": "out"}

    assert " ".join(words.get(each, each) for each in done) == row.done


CLOSE = table("""
    apart_s    done
    1.999999   -
    2          out
    30         out
    30.000001  -
    -1         -
""")


@pytest.mark.parametrize("row", CLOSE, ids=str)
def test_a_position_is_lost_on_readings_2_to_30_s_apart(row: Row) -> None:
    """A reading that is too near leaves the first one standing; one that is too far is a first one itself."""
    watch = Watch("position_loss", account(line(10)), position_loss_inr_max="500", at_once_pct=150)
    fills = DayFills(average_e4={LINE: inr("100")})

    def look(at_s: float) -> str:
        quotes = {SHARE.key: Quote.of(ltp="50", at_us=NOW + round(at_s * SECOND))}
        return "out" if "task:flatten" in watch.look(at_s, fills=fills, quotes=quotes) else "-"

    assert look(0) == "-"
    assert look(float(row.apart_s)) == row.done
    first_us = watch.memory.get("breached", {}).get("NSE_EQ:1333:INTRADAY")
    if row.done == "-":
        assert first_us == NOW + (0 if row.apart_s == "1.999999" else round(float(row.apart_s) * SECOND))
        assert look(float(row.apart_s) + 2) == "out"


def test_the_tighter_of_an_amount_and_a_part_of_the_cost() -> None:
    """₹1,000 of 10 at 100: 5 % is ₹50, whatever the ₹500 beside it; a lot counts all its units; without either fills nothing."""
    contract = replace(FUTURE, multiplier=5)
    of = account(line(2, product="MARGIN"), instrument=contract)
    fills = DayFills(average_e4={(*contract.key, "MARGIN"): inr("100")})
    for price, done in (("95.01", False), ("95", True)):
        watch = Watch("position_loss", of, position_loss_inr_max="500", position_loss_pct_max=5, at_once_pct=100)
        quotes = {contract.key: Quote.of(ltp=price, at_us=NOW)}
        assert ("task:flatten" in watch.look(0, fills=fills, quotes=quotes)) is done
        assert watch.look(2, fills=None) == "-"
    of.instruments[contract.key] = replace(contract, multiplier=None)
    assert (
        Watch("position_loss", of, position_loss_inr_max="1", at_once_pct=100).look(0, fills=fills, quotes=quotes)
        == "-"
    )


def test_it_rests_to_the_sessions_end_and_not_longer() -> None:
    """Flat again is not over: a stop entered again at once is none. The next session begins clean."""
    of = account(line(10))
    watch = Watch("position_loss", of, position_loss_pct_max=10, at_once_pct=100)
    fills = DayFills(average_e4={LINE: inr("100")})
    quotes = {SHARE.key: Quote.of(ltp="90", at_us=NOW)}
    assert watch.look(0, fills=fills, quotes=quotes).endswith(f"task:flatten@{HERE}")
    of.positions.clear()
    assert watch.look(2, fills=DayFills(), quotes=quotes) == "-"

    assert watch.look(4, fills=DayFills(), date="2024-06-05") == f"clear@{HERE}"


def test_shares_for_delivery_only_where_they_are_named() -> None:
    """An account's limit leaves them alone; one over their segment does not. Plan `halt` runs nothing."""
    fills = DayFills(average_e4={(*SHARE.key, "CNC"): inr("100")})
    quotes = {SHARE.key: Quote.of(ltp="50", at_us=NOW)}
    for scope, done in (("ACCOUNT:leader", "-"), ("SEGMENT:NSE_EQ", f"reduce_only@{HERE}")):
        of = account(line(10, product="CNC"))
        watch = Watch("position_loss", of, scope=scope, position_loss_inr_max="500", at_once_pct=100, plan="halt")
        assert watch.look(0, fills=fills, quotes=quotes) == done


# -- reconciliation -----------------------------------------------------------------------------------------------------


def unexplained(quantity: int) -> tuple[Unexplained, ...]:
    return (Unexplained(SHARE.key, "INTRADAY", quantity),) if quantity else ()


# `s:quantity` is a read of the list at that second; two reads reduce, 60 s after the first one halts.
READS = table("""
    reads                            on_breach    done
    0:5                              halt         -
    0:5 5:5                          halt         - reduce_only
    0:5 4.9:5                        halt         - -
    0:5 4.9:5 5:5                    halt         - - reduce_only
    0:5 5:0 10:5                     halt         - - -
    0:5 5:5 59.9:5                   halt         - reduce_only -
    0:5 5:5 60:5                     halt         - reduce_only halted
    0:5 5:5 60:5 70:5                halt         - reduce_only halted -
    0:5 60:5                         halt         - halted
    0:5 5:5 60:5                     reduce_only  - reduce_only -
    0:5 5:5 10:0 70:5 129.9:5        halt         - reduce_only - - -
    0:5 5:5 10:0 70:5 130:5          halt         - reduce_only - - halted
    0:5 0:5                          halt         - -
    0:5 5:-3                         halt         - reduce_only
    0:0 5:0                          halt         - -
""")


@pytest.mark.parametrize("row", READS, ids=str)
def test_what_nothing_explains_in_two_reads(row: Row) -> None:
    """A read counts once, and one within 5 s of another is none; an explained one begins anew, what stands stands."""
    watch = Watch("reconciliation", reads_max=2, halt_after_s=60, on_breach=row.on_breach)
    done = []
    for each in row.reads.split():
        at_s, _, quantity = each.partition(":")
        at_us = NOW + round(float(at_s) * SECOND)
        done.append(watch.look(float(at_s), unexplained=unexplained(int(quantity)), unexplained_at_us=at_us))

    assert " ".join(done) == row.done


@pytest.mark.parametrize(("quantity", "explained"), [(7, True), (8, False), (-1, False)])
def test_what_works_may_just_have_filled(quantity: int, explained: bool) -> None:
    """A working order to buy 7 explains seven more and not eight; not compared is not explained and not counted."""
    watch = Watch("reconciliation", account(line(0, buys=7)), reads_max=2, halt_after_s=60)
    for at_s in (0, 10):
        done = watch.look(at_s, unexplained=unexplained(quantity), unexplained_at_us=NOW + at_s * SECOND)

    assert (done == "-") == explained
    assert Watch("reconciliation", reads_max=1, halt_after_s=60).look(unexplained=None) == "-"


# -- orders nobody asked for ---------------------------------------------------------------------------------------------


def orders(text: str) -> tuple[Unsolicited, ...]:
    """Order ids; `!` after one was adopted as a child or the broker's own."""
    return tuple(Unsolicited(each.rstrip("!"), f"BUY {each}", each.endswith("!")) for each in text.split())


UNSOLICITED = table("""
    on_breach    looks        done                      said
    warn         a,a,a b      -,-,-                     yes,no,yes
    reduce_only  a,a,a b      reduce_only,-,reduce_only  yes,no,yes
    halt         a            halted                    yes
    halt         a!           -                         no
    halt         a! b         halted                    yes
""")


@pytest.mark.parametrize("row", UNSOLICITED, ids=str)
def test_an_order_is_said_once(row: Row) -> None:
    """Children of known parents and the broker's square-offs never; the next session says again."""
    watch = Watch("unsolicited_order", on_breach=row.on_breach)
    done, said = [], []
    for each in row.looks.split(","):
        done.append(watch.look(unsolicited=orders(each)))
        said.append("yes" if watch.codes() != "-" else "no")

    assert (",".join(done), ",".join(said)) == (row.done, row.said)
    assert watch.look(unsolicited=None) == "-"


# -- stops ----------------------------------------------------------------------------------------------------------------


def stop(quantity: int, order_id: str = "s1", sign: int = -1) -> Working:
    return Working(f"w{order_id}", sign, quantity, True, protective=True, order_id=order_id, trigger_price_e4=900_000)


STOPS = table("""
    net  stops       at_s  missing
    10   -           59.9  no
    10   -           60    yes
    10   10          60    no
    10   6,4         60    no
    10   9           60    yes
    10   10?         60    yes
    10   10+         60    yes
    -10  10+         60    no
    0    -           60    no
""")


@pytest.mark.parametrize("row", STOPS, ids=str)
def test_a_position_without_its_stop(row: Row) -> None:
    """`?` is not at the broker yet, `+` stands on the buying side; all stops together must cover the position."""
    working = tuple(
        stop(int(each.rstrip("?+")), "" if "?" in each else f"s{number}", 1 if "+" in each else -1)
        for number, each in enumerate((row.opt("stops") or "").split(","))
        if each
    )
    of = account(line(row.number("net"), working=working))
    watch = Watch("protective_order_missing", of, missing_s_max=60, on_breach="reduce_only")
    watch.look(0)
    done = watch.look(float(row.at_s))

    assert done == (f"reduce_only@{HERE} task:flatten@{HERE}" if row.has("missing") else "-")
    if row.has("missing"):
        of.positions[SHARE.key]["INTRADAY"] = line(row.number("net"), working=(stop(10),))
        assert watch.look() == f"clear@{HERE}"


def test_what_is_paid_needs_no_stop() -> None:
    """A bought option can lose what it cost; a sold one cannot be left alone. By default it is only said."""
    call = option()
    for net, said in ((25, "-"), (-25, "PROTECTIVE_ORDER_MISSING")):
        watch = Watch("protective_order_missing", account(line(net), instrument=call), missing_s_max=1)
        watch.look(0)
        assert watch.look(1) == "-" and watch.codes() == said


# -- orphans --------------------------------------------------------------------------------------------------------------

CALL = option()
COVER = option("50002")


def basket(sold: int, bought: int, live: bool = False) -> Basket:
    legs = (
        Leg(COVER.key, "MARGIN", 25, bought, live and bought < 25),
        Leg(CALL.key, "MARGIN", -25, -sold, live and sold < 25),
    )
    return Basket("b1", NOW, legs)


def spread(sold: int, bought: int) -> Account:
    return account(
        line(-sold, product="MARGIN"), instrument=CALL, others=((COVER, line(bought, product="MARGIN")),)
    )  # fmt: skip


LEGS = table("""
    sold  bought  at_s  found
    25    25      60    no
    0     0       60    no
    25    0       59.9  no
    25    0       60    yes
    25    24      60    yes
    12    12      60    no
""")


@pytest.mark.parametrize("row", LEGS, ids=str)
def test_legs_of_one_decision_belong_together(row: Row) -> None:
    """Apart for a minute, the ones that filled are flattened; closed by hand they are no orphans any more."""
    sold, bought = row.number("sold"), row.number("bought")
    of = spread(sold, bought)
    watch = Watch("orphan_leg", of, incomplete_s_max=60)
    done = watch.look(float(row.at_s), baskets=(basket(sold, bought),))

    assert (f"task:flatten@INSTRUMENT:NSE_FNO:{CALL.security_id}" in done) == row.has("found")
    if row.has("found"):
        of.positions.clear()
        assert "clear" in watch.look(baskets=(basket(sold, bought),))
    assert Watch("orphan_leg", of, incomplete_s_max=60).look(99, baskets=None) == "-"


FOLLOWERS = table("""
    leader  copied  at_s  found
    0       yes     59.9  no
    0       yes     60    yes
    5       yes     60    no
    0       no      60    no
    ?       yes     60    no
""")


@pytest.mark.parametrize("row", FOLLOWERS, ids=str)
def test_a_copy_does_not_outlive_its_original(row: Row) -> None:
    """The leader is flat for a minute, the follower is not; what it trades on its own is its own."""
    nets = None if row.leader == "?" else {SHARE.key: int(row.leader)}
    leader = Peer("boss", "leader", TradingState.ACTIVE, None, None, False, nets)
    seen: dict[str, Any] = {"leader": leader, "copied": frozenset({SHARE.key} if row.has("copied") else ())}
    watch = Watch("orphan_follower", account(line(10)), orphan_s_max=60)
    watch.look(0, **seen)

    done = watch.look(float(row.at_s), **seen)
    assert done == (f"reduce_only@{HERE} task:flatten@{HERE}" if row.has("found") else "-")
    again = Watch("orphan_follower", account(line(10)), orphan_s_max=60)
    assert [again.look(0, **seen), again.look(60, **{**seen, "leader": None})] == ["-", "-"]


# -- after a kill -----------------------------------------------------------------------------------------------------------

HALT = Cause("ACCOUNT:leader", TradingState.HALTED, "KILL", "fat finger", "desk", NOW)


def killed(net: int, *, orders: str = "", buys: int = 0) -> Account:
    """A halted account; *orders* are working buys that add."""
    working = tuple(Working(each, 1, 5, reducing=False, order_id=each) for each in orders.split())
    return account(line(net, buys=buys, working=working), causes=(HALT,))


BYPASSES = table("""
    before   then          done
    10       10            -
    10       9             -
    10       0             -
    10       11            kill
    10       -1            kill
    10 a     10 a          -
    10 a     15            -
    10 a     16            kill
    10       10 b          kill
    0        0             -
    0        1             kill
    -10      -11           kill
    -10      -5            -
""")


@pytest.mark.parametrize("row", BYPASSES, ids=str)
def test_risk_added_while_killed_runs_the_kill_again(row: Row) -> None:
    """Late fills of what worked at the kill are none of it; one bypass runs it once, the next one again."""

    def state(text: str) -> Account:
        net, *working = text.split()
        return killed(int(net), orders=" ".join(working))

    watch = Watch("bypass_after_kill", state(row.before))
    assert watch.look(0) == "-"
    watch.of = state(row.then)
    assert watch.look(2) == row.done
    assert watch.look(4) == "-"
    if row.done == "kill":
        watch.of = killed(50)
        assert watch.look(6) == "kill"


def test_an_account_that_is_not_killed_is_not_judged() -> None:
    """A release forgets what was kept; the next kill keeps its own."""
    watch = Watch("bypass_after_kill", killed(0))
    watch.look(0)
    watch.of = account(line(10))
    assert watch.look(2) == "-" and watch.memory == {}
    watch.of = killed(10)

    assert watch.look(4) == "-"


# -- times to be flat -------------------------------------------------------------------------------------------------------


def clock(text: str, day: dt.date = dt.date(2024, 6, 4)) -> float:
    hour, minute, second = (int(each) for each in f"{text}:00".split(":")[:3])
    return (ist_us(day, hour * 3600 + minute * 60 + second) - NOW) / SECOND


TIMES = table("""
    product   instrument  date        at        due
    INTRADAY  share       2024-06-04  15:26:59  no
    INTRADAY  share       2024-06-04  15:27:00  yes
    CNC       share       2024-06-04  15:29:00  no
    MARGIN    future      2024-06-04  15:29:00  no
    INTRADAY  future      2024-06-04  15:27:00  yes
    INTRADAY  share       2026-08-04  15:11:59  no
    INTRADAY  share       2026-08-04  15:12:00  yes
    INTRADAY  future      2026-08-04  15:36:59  no
    INTRADAY  future      2026-08-04  15:37:00  yes
    INTRADAY  share       2024-06-08  15:27:00  no
""")


@pytest.mark.parametrize("row", TIMES, ids=str)
def test_intraday_is_flat_before_the_close_of_its_class(row: Row) -> None:
    """Three minutes before: shares with derivatives stop at 15:15 once there is a closing auction, derivatives later."""
    instrument = SHARE if row.instrument == "share" else FUTURE
    of = account(line(25, product=row.product), instrument=instrument)
    of.auction_names = frozenset({SHARE.symbol})
    watch = Watch("square_off_time", of, before_close_s=180)
    day = dt.date.fromisoformat(row.date)
    scope = f"INSTRUMENT:{':'.join(instrument.key)}"

    done = watch.look(clock(row.at, day), date=row.date, calendar=HOURS)
    assert done == (f"reduce_only@{scope} task:flatten@{scope}" if row.has("due") else "-")
    assert Watch("square_off_time", of, before_close_s=180).look(clock(row.at, day), calendar=None) == "-"


EXPIRIES = table("""
    kind    expiry      at        said  due
    FUTSTK  2024-06-08  10:00     no    no
    FUTSTK  2024-06-07  10:00     yes   no
    FUTSTK  2024-06-05  15:29     yes   no
    FUTSTK  2024-06-04  14:29:59  yes   no
    FUTSTK  2024-06-04  14:30:00  yes   yes
    OPTSTK  2024-06-04  14:30:00  yes   yes
    FUTIDX  2024-06-04  14:30:00  no    no
""")


@pytest.mark.parametrize("row", EXPIRIES, ids=str)
def test_what_is_settled_in_shares(row: Row) -> None:
    """Said once a day from three days before; flat an hour before the last close. Indices are settled in cash."""
    contract = Instrument("NSE_FNO", "7", "HDFCBANK-FUT", row.kind, lot_size=25, expiry=row.expiry)
    watch = Watch(
        "expiry_day", account(line(25, product="MARGIN"), instrument=contract), warn_days=3, before_close_s=3600
    )
    scope = "INSTRUMENT:NSE_FNO:7"

    done = watch.look(clock(row.at), calendar=HOURS)
    assert done == (f"reduce_only@{scope} task:flatten@{scope}" if row.has("due") else "-")
    assert ("EXPIRY_NEAR" in watch.codes()) == row.has("said")
    watch.look(calendar=HOURS)
    assert "EXPIRY_NEAR" not in watch.codes()
