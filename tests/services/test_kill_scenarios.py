"""
Broker behaviours against a kill, one row each: what is held, what rests, how the broker behaves, and how it must end.

Every row is judged by the broker's own event log: never crossed, never naked where a stop stood, never more messages than
the account may send; and the account stays halted whatever happens.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from riskguard.brokers.paper import PaperSettings
from riskguard.core.state import TradingState
from riskguard.services.kill.killrun import KillRunner
from riskguard.services.kill.killrun.lock import ALONE
from tests.core.tables import Row, table
from tests.services.desk import ACCOUNT, Desk, rulebook
from tests.services.killing import ORDER_RATE, Judge, carried_of, drive, hold, net_of, quote_all, rest, settings_of

SCENARIOS = table("""
    plan     book                       orders                        broker                         ends              left
    cancel   -                          -                             -                                DONE              -
    cancel   -                          buy10@90                      -                                DONE              -
    cancel   share+10                stop10@90                     -                                DONE              share stop
    cancel   share+10                stop10@90,buy10@90            -                                DONE              share stop
    cancel   share+10                stop10@90,stop10@91           -                                DONE              share stop
    cancel   share+3                 stop10@90                     -                                DONE              share stop
    cancel   share-3                 buystop10@110                 -                                DONE              share stop
    cancel   share+3                 stop10@90,sell10@120          -                                DONE              share stop
    cancel   share+3                 stop10@90                     modify:refuse                    DONE              share stop
    cancel   share+3                 stop10@90                     modify:lost*1                    DONE              share stop
    cancel   share+3                 stop10@90                     modify:silent*1                  DONE              share stop
    cancel   share+3                 stop10@90                     modify:deaf                      DONE              share stop
    cancel   share+3                 stop10@90                     modify:fail*2                    DONE              share stop
    cancel   share+3                 stop10@90                     transit=6                        DONE              share stop
    flatten  share+3                 stop10@90                     modify:refuse                    DONE              -
    flatten  share+3                 stop10@90                     modify:lost*1                    DONE              -
    cancel   share+10                stop6@90,stop6@91             -                                DONE              share stops
    flatten  share+3                 stop10@90                     -                                DONE              -
    cancel   share+10                stop10@90,sell10@110          -                                DONE              share stop
    cancel   share-10                buystop10@110,sell10@120      -                                DONE              share stop
    cancel   -                          super10                       -                                DONE              -
    cancel   -                       supernow10                    -                                DONE              share legs
    cancel   -                       supernow10                    fill=4                           DONE              share stop
    cancel   -                       supernow10                    fill=4,cancel:refuse*1           DONE              share legs
    cancel   -                          forever10                     -                                DONE              -
    cancel   -                          alert10                       -                                DONE              -
    cancel   -                          amo10                         -                                DONE              -
    cancel   share^+10:CNC           foreverexit10                 -                                DONE              share stop
    cancel   share^+10:CNC           oco10                         -                                DONE              share legs
    cancel   -                          foreverexit10                 -                                DONE              -
    cancel   -                          super10,forever10,alert10,amo10,buy10@90  cancel:refuse*3     DONE              -
    cancel   -                          buy10@90                      cancel:deaf*2                    DONE              -
    cancel   -                          buy10@90                      cancel:deaf                      CANCEL_REFUSED    -
    cancel   -                          buy10@90                      cancel:refuse                    CANCEL_REFUSED    -
    cancel   -                          buy10@90                      cancel:lost*2                    DONE              -
    cancel   -                          buy10@90                      cancel:silent*2                  DONE              -
    cancel   -                          buy10@90                      cancel:fail*2                    DONE              -
    cancel   -                          buy10@90                      transit=6                        DONE              -
    cancel   -                          buy10@90                      olag=6                           DONE              -
    cancel   -                          buy10@90                      cancel=4                         DONE              -
    cancel   -                          buy10@90                      orders:empty*2                   DONE              -
    cancel   -                          buy10@90                      orders:fail*3                    DONE              -
    cancel   share+10                stop10@90                     positions:empty*1                DONE              share stop
    cancel   share+10                stop10@90                     positions:fail*4                 DONE              share stop
    cancel   -                          buy10@90                      orders:fail                      BROKER_UNREADABLE  -
    flatten  share+10                   -                             -                                DONE              -
    flatten  share-10                   -                             -                                DONE              -
    flatten  share+10                   stop10@90                     -                                DONE              -
    flatten  share-10                   buystop10@110                 -                                DONE              -
    flatten  share+10                   stop10@90                     noquote                          DONE              -
    flatten  share+10                   stop6@90,stop4@92             -                                DONE              -
    flatten  share+10                   stop6@90                      -                                DONE              -
    flatten  share+10                   stop10@90,sell4@110           -                                DONE              -
    flatten  share+10                   sell10@110                    -                                DONE              -
    flatten  -                          supernow10                    -                                DONE              -
    flatten  -                          supernow10                    place:refuse*1                   DONE              -
    flatten  -                          supernow10                    fill=4                           DONE              -
    flatten  -                          supernow10                    place:refuse                     STOP_NOT_RESTORED  share
    flatten  share+10                   stop10@90                     modify:refuse                    DONE              -
    flatten  share+10                   stop10@90                     modify:refuse,place:refuse*1     DONE              -
    flatten  share+10                   stop10@90                     modify:lost*1                    DONE              -
    flatten  share+10                   stop10@90                     modify:silent*1                  DONE              -
    flatten  share+10                   stop10@90                     modify:deaf*1                    DONE              -
    flatten  share+10                   stop10@90                     modify:fail*2                    DONE              -
    flatten  share+10                   -                             place:refuse*2                   DONE              -
    flatten  share+10                   -                             place:refuse                     EXIT_REFUSED      share
    flatten  share+10                   -                             place:fail*2                     DONE              -
    flatten  share+10                   -                             place:silent*1                   DONE              -
    flatten  share+10                   -                             place:reject*2                   DONE              -
    flatten  share+10                   -                             place:reject                     EXIT_REFUSED      share
    flatten  share+10                   -                             place:lost*1                     EXIT_UNANSWERED   share
    flatten  share+10                   -                             place:hang*1                     EXIT_UNANSWERED   share
    flatten  share+10                   stop10@90                     place:lost*1                     DONE              -
    flatten  share+10                   -                             transit=5                        DONE              -
    flatten  share+10                   stop10@90                     transit=3                        DONE              -
    flatten  share+10                   -                             olag=5                           DONE              -
    flatten  share+10                   -                             lag=8                            DONE              -
    flatten  share+10                   stop10@90                     lag=8                            DONE              -
    flatten  share+37                   -                             fill=5                           DONE              -
    flatten  share+37                   stop37@90                     fill=5                           DONE              -
    flatten  share+10                   -                             protect=0,noquote,falling        DONE              -
    flatten  share+10                   -                             falling                          DONE              -
    flatten  share+10                stop10@90                     circuit                          CIRCUIT           share stop
    flatten  share+10                -                             circuit                          CIRCUIT           share exit
    flatten  share+10                   -                             closed                           MARKET_CLOSED     share
    flatten  share+10                stop10@90                     closed                           MARKET_CLOSED     share stop
    flatten  share+10                   -                             all:fail                         BROKER_UNREADABLE  share
    flatten  call-25,cover+25           -                             -                                DONE              -
    flatten  call-25,cover+25,future+25,share+10  stop10@90          -                                DONE              -
    flatten  call^-25,cover+25       -                             -                                HEDGE_FIRST       call cover
    flatten  share+10:CNC,future^+25    -                          -                                DONE              share future
    flatten  share+10,share^+5:CNC   stop5@90:CNC,stop10@91        -                                DONE              share stop
    flatten  share+10                   buy10@90,alert10,forever10    positions:empty*3                DONE              -
    broker   share+10                   stop10@90                     can=lock                         LOCKED            -
    broker   share+10                   -                             -                                LOCKED_LOCALLY    -
    broker   share+10                   -                             can=lock,lock:deaf*2             LOCKED            -
    broker   share+10                   -                             can=lock,lock:deaf               LOCKED_LOCALLY    -
    broker   share+10                   -                             can=lock,lock:silent*1           LOCKED            -
    broker   share+10                   -                             can=lock,lock:lost*2             LOCKED            -
    broker   share+10                   -                             can=lock,lock:refuse*1           LOCKED_LOCALLY    -
    broker   share+10                   -                             can=lock,lock:fail*2             LOCKED            -
    broker   share+10                   -                             can=lock,is_locked:fail*3        LOCKED            -
    broker   share+10,share+4:CNC       -                             can=lock                         LOCKED_LOCALLY    share
    broker   share+10                   -                             can=lock,lag=8                   LOCKED            -
    broker   share+10                   buy10@90,forever10            can=lock,cancel:deaf*1           LOCKED            -
    broker   share^+10:CNC           foreverexit10                 can=lock                         LOCKED_LOCALLY    share stop
""")


@pytest.fixture
def paced(make_desk: Callable[..., Desk]) -> Desk:
    """A desk whose account may send what the broker takes, and no more."""
    made = make_desk(text=rulebook(order_rate=ORDER_RATE))
    made.sweep()
    return made


def prepared(desk: Desk, row: Row) -> tuple[set[str], int]:
    """Bring about what the row says; returns its flags and when the kill was."""
    settings, faults, flags = settings_of(row.broker)
    for word in [] if row.book == "-" else row.book.split(","):
        if "^" in word:
            hold(desk, word)
    if "^" in row.book:
        desk.clock.advance(86_400)
    quote_all(desk)
    for word in [] if row.book == "-" else row.book.split(","):
        if "^" not in word:
            hold(desk, word)
    desk.sweep()
    desk.sweep(6)
    quote_all(desk)
    desk.join_market(settings=settings)  # from here on it behaves as the row says
    for word in [] if row.orders == "-" else row.orders.split(","):
        rest(desk, word)
    if "closed" in flags:
        desk.clock.advance(6 * 3600)
    elif "transit" not in row.broker and "olag" not in row.broker:
        desk.clock.advance(2)
    if "circuit" in flags:
        quote_all(desk, "100", ("100", "120"))
    desk.kill(plan=row.plan)
    for operation, how, times in faults:
        desk.broker.behave(operation, how, times)
    return flags, desk.clock.now_us()


@pytest.mark.parametrize("row", SCENARIOS, ids=lambda row: f"{row.plan}|{row.book}|{row.orders}|{row.broker}")
def test_a_kill_ends_where_it_must(paced: Desk, row: Row) -> None:
    """See the module. The market goes on quoting unless the row says otherwise."""
    flags, from_us = prepared(paced, row)
    runner = KillRunner(paced.guard, ACCOUNT, paced.broker, paced.alerts)
    price = [100.0]

    def move() -> None:
        if "falling" in flags:
            price[0] = max(60.0, price[0] - 1.5)
        if "closed" not in flags and ("noquote" not in flags or "falling" in flags):
            if "noquote" in flags:
                paced.broker.set_quote("NSE_EQ", "1333", _quote(paced, f"{price[0]:.2f}"))
            else:
                quote_all(paced, f"{price[0]:.2f}", ("100", "120") if "circuit" in flags else None)

    done = {"DONE", "LOCKED", "LOCKED_LOCALLY"}
    run = drive(
        paced, runner, s_max=75, move=move,
        until=lambda run: run.state == "DONE" if row.ends in done else run.blocked_by == row.ends and _settled(paced, run),
    )  # fmt: skip

    assert (run.state if row.ends in done else run.blocked_by) == ("DONE" if row.ends in done else row.ends), run
    if row.ends == "LOCKED":
        assert run.locked and paced.broker.is_locked()
    elif row.ends == "LOCKED_LOCALLY":
        assert ALONE in run.detail and not run.locked
    assert paced.guard.state(ACCOUNT).state is TradingState.HALTED
    wrong = Judge(paced.broker.events(), from_us).replay(carried_of(paced, row.book))
    if row.ends == "STOP_NOT_RESTORED":
        wrong = [each for each in wrong if not each.startswith("naked")]  # a broker that takes no order takes no stop
    assert wrong == []
    paced.broker.behave("all", "ok")
    left = set(row.left.split()) - {"-"}
    names = {"share": "1333", "future": "35001", "call": "50001", "cover": "50002"}
    held = {key.partition(":")[0] for key in net_of(paced)}
    assert held == {names[word] for word in left if word in names}
    if row.ends in done:
        resting = [order for order in paced.broker.orders() if order.is_live]
        assert len(resting) == (1 if "stop" in left else 2 if left & {"legs", "stops"} else 0), resting


def _quote(desk: Desk, price: str) -> object:
    from riskguard.core.quote import Quote

    return Quote.of(ltp=price, at_us=desk.clock.now_us())


def _settled(desk: Desk, run: object) -> bool:
    """A BLOCKED run is looked at for a while longer: it must not do anything foolish when it tries again."""
    return desk.clock.now_us() - run.started_at_us > 100_000_000  # type: ignore[attr-defined]


def test_there_are_enough_of_them() -> None:
    """A scenario that is taken away is seen here."""
    assert len(SCENARIOS) >= 60
    assert PaperSettings().powers == ()
