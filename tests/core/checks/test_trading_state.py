"""What a stopped or reducing account still lets out. kill-switch.md §1."""

from __future__ import annotations

from dataclasses import replace

import pytest

from riskguard.core.account import Account
from riskguard.core.checks.trading_state import CHECK
from riskguard.core.instrument import Instrument
from riskguard.core.state import INACTIVE_WORDS, Cause, TradingState, severest
from tests.core.builders import account, ask, code, halted, line, option, order, order_of, quote
from tests.core.tables import Row, table

STATES = table("""
    why                              state        held  order     person  expected
    anything goes                    ACTIVE       0     BUY 10    no      -
    a flip goes                      ACTIVE       5     SELL 10   no      -
    an entry                         REDUCE_ONLY  0     BUY 10    no      REDUCE_ONLY
    adding                           REDUCE_ONLY  10    BUY 1     no      REDUCE_ONLY
    an exit                          REDUCE_ONLY  10    SELL 10   no      -
    an exit too large by one         REDUCE_ONLY  10    SELL 11   no      REDUCE_ONLY
    a cover                          REDUCE_ONLY  -10   BUY 10    no      -
    a cover too large by one         REDUCE_ONLY  -10   BUY 11    no      REDUCE_ONLY
    a person is no reason to add     REDUCE_ONLY  0     BUY 10    yes     REDUCE_ONLY
    an entry                         HALTED       0     BUY 10    no      TRADING_HALTED
    an exit by a strategy            HALTED       10    SELL 10   no      TRADING_HALTED
    an exit by a person              HALTED       10    SELL 10   yes     -
    a flip by a person               HALTED       10    SELL 11   yes     TRADING_HALTED
    an entry by a person             HALTED       0     BUY 10    yes     TRADING_HALTED
""")


@pytest.mark.parametrize("row", STATES, ids=str)
def test_who_gets_through(row: Row) -> None:
    """REDUCE_ONLY lets what reduces out; HALTED only that, and only with a named person behind it."""
    state = TradingState[row.state]
    causes = () if state is TradingState.ACTIVE else (halted(state=state),)
    side, quantity = row.order.split()
    reject = ask(
        CHECK, order(side, int(quantity)), account(line(row.number("held")), causes=causes),
        emergency_by="asha" if row.has("person") else "",
    )  # fmt: skip

    assert code(reject) == row.expected


def test_an_unknown_position_lets_nothing_out() -> None:
    """What cannot be shown to reduce adds risk, whoever asks."""
    for state in (TradingState.REDUCE_ONLY, TradingState.HALTED):
        stopped = account(line(10), causes=(halted(state=state),), known=False)
        reject = ask(CHECK, order("SELL", 10), stopped, emergency_by="asha")
        assert reject is not None and reject.max_quantity == 0


SCOPES = table("""
    scope                         underlying  expected
    GLOBAL                        -           TRADING_HALTED
    GROUP:desk                    -           TRADING_HALTED
    ACCOUNT:leader                -           TRADING_HALTED
    SEGMENT:NSE_FNO               -           TRADING_HALTED
    SEGMENT:NSE_EQ                -           -
    STRATEGY:dip                  -           TRADING_HALTED
    STRATEGY:other                -           -
    INSTRUMENT:NSE_FNO:50001      -           TRADING_HALTED
    INSTRUMENT:NSE_FNO:50002      -           -
    INSTRUMENT:BSE_FNO:50001      -           -
    UNDERLYING:NIFTY              -           TRADING_HALTED
    UNDERLYING:BANKNIFTY          -           -
""")


@pytest.mark.parametrize("row", SCOPES, ids=str)
def test_scopes(row: Row) -> None:
    """Every scope that contains the order counts, and no other."""
    stopped = account(instrument=option("50001"), causes=(halted(row.scope),))
    reject = ask(CHECK, order_of(option("50001"), strategy="dip"), stopped)

    assert code(reject) == row.expected
    assert reject is None or reject.detail == f"{row.scope} is HALTED (MANUAL by desk): fat finger"
    stopped = account(instrument=option("50001"), causes=(halted(row.scope, TradingState.REDUCE_ONLY),))
    reduced = ask(CHECK, order_of(option("50001"), strategy="dip"), stopped)
    assert code(reduced) == ("-" if row.expected == "-" else "REDUCE_ONLY")
    assert reduced is None or reduced.detail == f"{row.scope} is REDUCE_ONLY (MANUAL by desk): fat finger"


def test_the_severest_scope_wins_and_says_so() -> None:
    """Two causes: the order gets the stricter state, with its words, whatever their order."""
    soft = Cause("SEGMENT:NSE_EQ", TradingState.REDUCE_ONLY, "SOFT", "feed", "riskguard", 1)
    hard = Cause("STRATEGY:dip", TradingState.HALTED, "MANUAL", "fat finger", "asha", 2, "k1")
    for causes in ((soft, hard), (hard, soft)):
        reject = ask(CHECK, order(strategy="dip"), account(causes=causes))
        assert code(reject) == "TRADING_HALTED"
        assert reject is not None and reject.detail == "STRATEGY:dip is HALTED (MANUAL by asha): fat finger"
    assert code(ask(CHECK, order(strategy="calm"), account(causes=(soft, hard)))) == "REDUCE_ONLY"
    assert severest(()) is TradingState.ACTIVE and severest((soft, hard)) is TradingState.HALTED
    assert "ACTIVE" not in INACTIVE_WORDS and "INACTIVE" in INACTIVE_WORDS


WAYS_OUT = table("""
    held  working  order     max_quantity
    10    0        SELL 11   10
    10    4        SELL 11   6
    10    10       SELL 11   0
    10    12       SELL 11   0
    -10   0        BUY 11    10
    -10   -4       BUY 11    6
    0     0        BUY 1     0
    10    0        BUY 1     0
    -10   0        SELL 1    0
""")


@pytest.mark.parametrize("row", WAYS_OUT, ids=str)
def test_how_much_would_only_reduce(row: Row) -> None:
    """The refusal names the quantity that passes: what is held and not leaving already."""
    side, quantity = row.order.split()
    working = row.number("working")
    held = line(row.number("held"), sells=max(0, working), buys=max(0, -working))
    stopped = account(held, causes=(halted(state=TradingState.REDUCE_ONLY),))
    reject = ask(CHECK, order(side, int(quantity)), stopped)

    assert reject is not None and reject.max_quantity == row.number("max_quantity")
    if reject.max_quantity:
        assert ask(CHECK, order(side, reject.max_quantity), stopped) is None
    assert ask(CHECK, order(side, reject.max_quantity + 1), stopped) is not None


def test_the_way_out_of_a_flip_is_said() -> None:
    """Split it: the part that closes first."""
    reject = ask(CHECK, order("SELL", 11), account(line(10), causes=(halted(state=TradingState.REDUCE_ONLY),)))

    assert reject is not None and "split" in reject.hint


SHORT, HEDGE = option("1", expiry="2024-06-13"), option("2", expiry="2024-06-27")


def hedged(held: int = 0) -> Account:
    others: tuple[tuple[Instrument, object], ...] = ((SHORT, line(-50, product="MARGIN")),)
    if held:
        others += ((HEDGE, line(held, product="MARGIN")),)
    return account(
        instrument=HEDGE, others=others, quoted=quote("99", "100", "101"),  # type: ignore[arg-type]
        causes=(halted(state=TradingState.REDUCE_ONLY),),
    )  # fmt: skip


HEDGES = table("""
    why                          order             most     expected
    no hedges unless allowed     BUY 50 LIMIT 100  -        REDUCE_ONLY
    on the premium               BUY 50 LIMIT 100  5000     -
    above the premium            BUY 50 LIMIT 100.05  5000  REDUCE_ONLY
    a market hedge at its risk   BUY 25 MARKET -   3030     -
    a market hedge above         BUY 25 MARKET -   3029.99  REDUCE_ONLY
""")


@pytest.mark.parametrize("row", HEDGES, ids=str)
def test_hedges_within_a_premium(row: Row) -> None:
    """A bought option that lowers the naked short ones passes REDUCE_ONLY, at its risk price, up to a premium."""
    side, quantity, _, price = row.order.split()
    asked = order_of(HEDGE, side, int(quantity), None if price == "-" else price, product="MARGIN")
    parameters = {} if row.most == "-" else {"hedge_premium_inr_max": row.most}

    assert code(ask(CHECK, asked, hedged(), **parameters)) == row.expected


def test_a_hedge_does_not_pass_a_halt() -> None:
    """HALTED is for exits alone."""
    of = hedged()
    of.causes = (halted(),)
    of.settle_state()

    assert (
        code(ask(CHECK, order_of(HEDGE, "BUY", 25, product="MARGIN"), of, "asha", hedge_premium_inr_max="1000000"))
        == "TRADING_HALTED"
    )


def test_taking_the_cover_away_is_refused_with_the_way_out() -> None:
    """The short comes first."""
    reject = ask(CHECK, order_of(HEDGE, "SELL", 25, product="MARGIN"), hedged(50))

    assert code(reject) == "REDUCE_ONLY"
    assert reject is not None and "close the short first" in reject.hint


def test_no_quantity_of_a_needed_cover_would_pass() -> None:
    """`max_quantity` is what passes; of a cover that a short needs, nothing does."""
    reject = ask(CHECK, order_of(HEDGE, "SELL", 50, product="MARGIN"), hedged(50))

    assert reject is not None
    assert (
        not reject.max_quantity
        or ask(CHECK, order_of(HEDGE, "SELL", reject.max_quantity, product="MARGIN"), hedged(50)) is None
    )


def test_a_hedge_larger_than_the_naked_lots_is_refused() -> None:
    """With `max_quantity` = the naked lots."""
    reject = ask(CHECK, order_of(HEDGE, "BUY", 75, product="MARGIN"), hedged(), hedge_premium_inr_max="1000000")

    assert code(reject) == "REDUCE_ONLY"
    assert reject is not None and reject.max_quantity == 50


def test_a_hedge_covers_no_short_that_outlives_it() -> None:
    """50 naked in June and 50 in July: a June call covers 50 of them, and one unit more is refused. checks.md §5.14."""
    later = option("3", expiry="2024-07-25")
    of = account(
        instrument=HEDGE, others=((SHORT, line(-50, product="MARGIN")), (later, line(-50, product="MARGIN"))),
        quoted=quote("99", "100", "101"), causes=(halted(state=TradingState.REDUCE_ONLY),),
    )  # fmt: skip
    within = order_of(HEDGE, "BUY", 50, product="MARGIN")
    assert ask(CHECK, within, of, hedge_premium_inr_max="1000000") is None

    reject = ask(CHECK, within.replaced(quantity=75), of, hedge_premium_inr_max="1000000")
    assert code(reject) == "REDUCE_ONLY" and reject is not None and reject.max_quantity == 50
    assert ask(CHECK, order_of(later, "BUY", 100, product="INTRADAY"), of, hedge_premium_inr_max="1000000") is None


def test_a_premium_counts_the_contracts_multiplier() -> None:
    """25 at 100 are 2,500 rupees, and 250,000 where a unit stands for 100; unknown, it is within no premium."""
    for multiplier, most, expected in (
        (1, "2500", "-"), (1, "2499.99", "REDUCE_ONLY"), (100, "250000", "-"), (100, "249999.99", "REDUCE_ONLY"),
        (None, "250000", "REDUCE_ONLY"),
    ):  # fmt: skip
        of = hedged()
        of.instruments[HEDGE.key] = replace(HEDGE, multiplier=multiplier)
        bought = order_of(HEDGE, "BUY", 25, product="MARGIN")
        assert code(ask(CHECK, bought, of, hedge_premium_inr_max=most)) == expected
