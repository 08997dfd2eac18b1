"""The one decision: total, closed by default, keeps every refusal, and can be replayed from what was kept."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from riskguard.core.account import Account, PnlReading, TimeLog, signature
from riskguard.core.checks import CHECKS, MANDATORY, by_name
from riskguard.core.decide import Decision, breach_of, decide, judge
from riskguard.core.facts import Facts, canonical
from riskguard.core.limits import Limit, LimitSet
from riskguard.core.order import Order
from riskguard.core.passing import JOINED_AFTER
from riskguard.core.reject import PRECEDENCE, Reject, RejectCode
from riskguard.core.state import TradingState
from riskguard.errors import OrderRefusedError, PermitNotSendableError
from tests.core.builders import (
    NOW,
    SECOND,
    SHARE,
    account,
    halted,
    inr,
    limit,
    line,
    mandatory,
    option,
    order,
    order_of,
    quote,
)
from tests.core.tables import Row, table


def guarded(*extra: Limit, of: Account | None = None, **replaced: Limit | None) -> Account:
    """An account under every mandatory limit, generous, and *extra* ones."""
    made = account() if of is None else of
    made.limits = LimitSet((*mandatory(**replaced), *extra))
    return made


def codes(decision: Decision) -> list[str]:
    return [each.code.value for each in decision.rejects]


def raising(facts: Facts, params: object, *scope: object) -> Reject | None:
    raise ZeroDivisionError("by zero")


def broken(name: str, **attributes: Any) -> Limit:
    """A limit whose check raises."""
    working = {each.id: each for each in mandatory()}
    found = working.get(name) or limit(name, **attributes.pop("parameters", {}))
    return replace(found, check=replace(by_name(name), run=raising), **attributes)


def test_what_no_limit_refuses_is_approved() -> None:
    """Under every mandatory limit an ordinary order passes, and nothing is missing from the answer."""
    decision = decide(order(), guarded(), NOW)

    assert decision.approved and decision.rejects == () and decision.shadow_rejects == ()
    assert (decision.direction, decision.decided_at_us, decision.cancel_first) == ("INCREASING", NOW, ())
    assert decision.limits_digest == LimitSet(tuple(mandatory())).digest
    assert not decision.recorded and decision.permit is None
    assert decision.explain() == "approved as INCREASING"
    with pytest.raises(PermitNotSendableError):
        _ = decision.approved_order  # approved, but the store has not granted a permit


def test_no_limits_approve_nothing() -> None:
    """Deny by default: an account nobody wrote limits for lets exits out, and nothing else."""
    (reject,) = decide(order(), account(), NOW).rejects
    mandatory_names = [name for name in MANDATORY if name not in ("trading_state", "order_validity")]
    assert (reject.code, reject.detail) == ("LIMITS_NOT_CONFIGURED", f"no limit for {', '.join(mandatory_names)}")
    assert reject.hint == "write them with `riskguard limits apply`, or `riskguard init` for the defaults"
    assert decide(order("SELL", 10), account(line(10)), NOW).approved
    assert codes(decide(order("SELL", 11), account(line(10)), NOW)) == ["LIMITS_NOT_CONFIGURED"]


@pytest.mark.parametrize("name", [check.name for check in CHECKS if check.mandatory])
def test_each_mandatory_limit_is_missed(name: str) -> None:
    """One left out refuses what adds risk, and names it; two are built in."""
    decision = decide(order(), guarded(**{name: None}), NOW)
    if name in ("trading_state", "order_validity"):
        assert decision.approved
    else:
        assert codes(decision) == ["LIMITS_NOT_CONFIGURED"]
        assert name in decision.rejects[0].message


CLOSED = table("""
    why                     change            expected
    position unknown        position_seen_us  POSITION_UNKNOWN
    never swept             sweep_at_us       SWEEP_STALE
    no P&L                  pnl               PNL_UNKNOWN
""")


@pytest.mark.parametrize("row", CLOSED, ids=str)
def test_what_is_unknown_is_refused(row: Row) -> None:
    """Each fact a mandatory limit needs, taken away on its own."""
    taken: dict[str, Any] = {row.change: None}

    assert codes(decide(order(), guarded(of=account(**taken)), NOW)) == [row.expected]


BROKEN = [check.name for check in CHECKS]
PARAMETERS: dict[str, dict[str, Any]] = {
    "order_quantity": {"quantity_max": 1, "unit": "units"},
    "net_position": {"position_max": "1", "unit": "units"},
    "duplicate_order": {"within_s": 2},
    "attempt_rate": {"attempts_max": 1, "per_s": 1},
    "permission": {"sides_allowed": ["BUY"]},
    "trading_window": {"unknown_day": "allow", "windows": "session", "square_off_tail_s": "none"},
    "price_collar": {name: {"collar_pct_max": 1} for name in ("share", "future", "option")},
    "clock_skew": {"ahead_s_max": 1},
    "signal_age": {"signal_age_s_max": 1},
    "modification_count": {"modifications_max": 1},
    "order_to_trade_ratio": {"orders_per_trade_max": 1, "exempt_band_pct_max": 1, "orders_free": 1},
    "projected_daily_loss": {"daily_loss_inr_max": 1, "scenario_pct": 1},
    "risk_per_trade": {"risk_inr_max": 1},
    "naked_short_option": {"naked_lots_max": "none"},
    "position_value": {"position_value_inr_max": 1},
    "gross_exposure": {"gross_exposure_inr_max": 1},
    "net_exposure": {"net_exposure_inr_max": 1},
    "leverage": {"leverage_max": 1},
    "concentration": {"concentration_pct_max": 1},
    "margin_available": {"buffer_pct": 1, "short_margin_pct": 1, "funds_age_s_max": 1},
    "open_order_value": {"open_order_value_inr_max": 1},
    "open_order_count": {"open_orders_max": 1},
    "time_to_flat": {"flat_s_max": 1, "messages_per_s": 1},
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_check_that_raises_approves_nothing_that_adds_risk(name: str) -> None:
    """It is CHECK_BROKEN for an entry, and silence for an exit; only the state is never taken on trust."""
    parameters = {"parameters": PARAMETERS[name]} if name in PARAMETERS else {}
    bad = broken(name, **parameters)
    of = guarded(of=account(line(10)), **({name: bad} if not parameters and by_name(name).mandatory else {}))
    if bad not in of.limits.limits:
        of.limits = LimitSet((*of.limits.limits, bad))
    entry, leaving = decide(order(), of, NOW), decide(order("SELL", 10), of, NOW)

    assert codes(entry) == ["CHECK_BROKEN"]
    assert entry.rejects[0].check == name and "ZeroDivisionError" in entry.rejects[0].message
    assert codes(leaving) == (["CHECK_BROKEN"] if name == "trading_state" else [])


def test_a_broken_check_does_not_silence_the_others() -> None:
    """Every other refusal is kept, for entries and for exits."""
    of = guarded(
        broken("net_position", parameters=PARAMETERS["net_position"]),
        limit("order_quantity", quantity_max=1, unit="units"),
        broken("lot_size"), of=account(line(10), causes=(halted(),)),
    )  # fmt: skip
    assert codes(decide(order(), of, NOW)) == [
        "TRADING_HALTED",
        "CHECK_BROKEN",
        "CHECK_BROKEN",
        "ORDER_QUANTITY_ABOVE_LIMIT",
    ]
    of.limits = LimitSet((broken("order_rate"), broken("unconfirmed_in_flight")))
    assert codes(decide(order("SELL", 10), of, NOW)) == ["TRADING_HALTED"]
    tight = limit("freeze_quantity")
    small = replace(SHARE, freeze_quantity=5)
    of = guarded(tight, of=account(line(10), instrument=small), order_validity=broken("order_validity"))
    assert codes(decide(order("SELL", 10), of, NOW)) == ["ABOVE_FREEZE_QUANTITY"], "the one behind it is still asked"


def test_of_two_refusals_the_weightier_is_first() -> None:
    """Whichever was asked first: what is broken goes before what is too much."""
    of = guarded(
        limit("order_quantity", quantity_max=1, unit="units"),
        broken("net_position", parameters=PARAMETERS["net_position"]),
    )  # fmt: skip
    assert codes(decide(order(), of, NOW)) == ["CHECK_BROKEN", "ORDER_QUANTITY_ABOVE_LIMIT"]


def test_an_error_that_cannot_be_shown_is_bounded() -> None:
    """The message of a broken check is one short line, whatever the exception holds."""

    def shouting(facts: Facts, params: object) -> Reject | None:
        raise ValueError("x" * 10_000)

    of = guarded(lot := replace(limit("lot_size"), check=replace(by_name("lot_size"), run=shouting)))
    (reject,) = decide(order(), of, NOW).rejects

    assert reject.limit_id == lot.id and len(reject.message) < 500
    assert reject.detail == f"check `lot_size` broke: ValueError: {'x' * 10_000}"[:200]
    assert reject.hint == "its limit cannot be judged; orders that reduce still pass"


def test_every_refusal_is_kept_the_weightiest_first() -> None:
    """Several limits refuse at once, some of one check; all are named, in declared order."""
    of = guarded(
        limit("order_value", "tight", order_value_inr_max="500"),
        limit("order_value", "tighter", order_value_inr_max="400"),
        limit("order_quantity", quantity_max=9, unit="units"), limit("net_position", position_max="9", unit="units"),
        limit("duplicate_order", within_s=2), limit("attempt_rate", attempts_max=1, per_s=1),
        of=account(
            pnl=PnlReading(-inr("5000"), NOW, fresh_marks=True), same={signature(order()): NOW},
            attempts={"": TimeLog([NOW])}, sent=TimeLog([NOW] * 10), sweep_at_us=None, causes=(halted(),),
            unanswered={SHARE.key: {"old": NOW - 6 * SECOND}},
        ),
    )  # fmt: skip
    decision = decide(order(), of, NOW)

    assert codes(decision) == [
        "TRADING_HALTED", "SWEEP_STALE", "DAILY_LOSS_REACHED", "ORDER_QUANTITY_ABOVE_LIMIT", "ORDER_VALUE_ABOVE_LIMIT",
        "ORDER_VALUE_ABOVE_LIMIT", "NET_POSITION_ABOVE_LIMIT", "UNCONFIRMED_IN_FLIGHT", "DUPLICATE_ORDER",
        "ORDER_RATE_ABOVE_LIMIT", "ATTEMPT_RATE_ABOVE_LIMIT",
    ]  # fmt: skip
    places = [PRECEDENCE[each.code] for each in decision.rejects]
    assert places == sorted(places)
    assert [each.limit_id for each in decision.rejects if each.check == "order_value"] == ["tight", "tighter"]


TIGHTEST = table("""
    account  strategy  quantity  refused_by
    20       10        10        -
    20       10        11        STRATEGY:dip
    20       10        21        ACCOUNT:leader STRATEGY:dip
    10       20        10        -
    10       20        11        ACCOUNT:leader
    10       10        11        ACCOUNT:leader STRATEGY:dip
""")


@pytest.mark.parametrize("row", TIGHTEST, ids=str)
def test_the_tightest_limit_binds_and_the_answer_says_which(row: Row) -> None:
    """All limits in scope apply; a looser one of a narrower scope excuses nothing."""
    of = guarded(*(
        limit("order_quantity", scope, scope, quantity_max=row.number(column), unit="units")
        for column, scope in (("account", "ACCOUNT:leader"), ("strategy", "STRATEGY:dip"))
    ))  # fmt: skip
    decision = decide(order(quantity=row.number("quantity"), strategy="dip"), of, NOW)

    assert " ".join(sorted(each.scope for each in decision.rejects)) == row.refused_by.replace("-", "")
    for each in decision.rejects:
        assert each.check == "order_quantity" and each.limit_id == each.scope


MODES = table("""
    mode     on_breach  approved  shadowed
    enforce  reject     no        no
    enforce  halt       no        no
    enforce  warn       yes       yes
    shadow   reject     yes       yes
    shadow   kill       yes       yes
""")


@pytest.mark.parametrize("row", MODES, ids=str)
def test_shadow_limits_are_decided_and_not_enforced(row: Row) -> None:
    """What a limit in shadow, or one that only warns, would have refused is kept apart."""
    watch = limit("order_quantity", mode=row.mode, on_breach=row.on_breach, quantity_max=1, unit="units")
    decision = decide(order(), guarded(watch), NOW)

    assert decision.approved is row.has("approved")
    assert [each.code.value for each in decision.shadow_rejects] == (
        ["ORDER_QUANTITY_ABOVE_LIMIT"] if row.has("shadowed") else []
    )
    assert decision.approved is not bool(decision.rejects)


def test_a_shadow_refusal_beside_a_real_one() -> None:
    """Each stays in its own list."""
    of = guarded(
        limit("order_quantity", mode="shadow", quantity_max=1, unit="units"),
        limit("net_position", position_max="1", unit="units"),
    )
    decision = decide(order(), of, NOW)

    assert codes(decision) == ["NET_POSITION_ABOVE_LIMIT"]
    assert [each.code.value for each in decision.shadow_rejects] == ["ORDER_QUANTITY_ABOVE_LIMIT"]


def test_state_and_validity_are_never_in_shadow() -> None:
    """A shadow row for them is asked beside the built-in one."""
    of = guarded(trading_state=limit("trading_state", mode="shadow"), of=account(causes=(halted(),)))

    assert codes(decide(order(), of, NOW)) == ["TRADING_HALTED"]


@pytest.mark.parametrize("name", ["trading_state", "order_validity"])
def test_state_and_validity_never_only_warn(name: str) -> None:
    """`on_breach = warn` takes as much away as shadow does: a halted account must stay halted."""
    of = guarded(
        of=account(causes=(halted(),)) if name == "trading_state" else account(),
        **{name: limit(name, on_breach="warn")},
    )
    asked = order() if name == "trading_state" else order(disclosed_quantity=1)

    assert not decide(asked, of, NOW).approved


EXITS = table("""
    why                              price    tick  adjusted
    on the grid                      100.05   5     -
    a paisa off                      100.04   5     100.05
    a paisa off                      100.06   5     100.10
    no grid known                    100.04   0     -
""")


@pytest.mark.parametrize("row", EXITS, ids=str)
def test_an_exit_is_moved_to_the_tick_on_its_passive_side(row: Row) -> None:
    """A sale up, a purchase down, and the decision says so; the order that was asked about stays as it was."""
    of = guarded(limit("price_tick"), of=account(line(10)))
    of.instruments[SHARE.key] = replace(SHARE, tick_e4=row.number("tick") * 100)
    decision = decide(order("SELL", 10, row.price), of, NOW)

    assert decision.approved
    moved = decision.adjusted_to
    assert (None if moved is None else moved.price_e4) == row.e4("adjusted")
    assert decision.order.price_e4 == inr(row.price)
    assert moved is None or moved.replaced(price=row.price) == decision.order


def test_exits_that_buy_move_down_and_stops_move_whole() -> None:
    """Never below one tick; trigger and limit of a stop keep their sides."""
    of = guarded(of=account(line(-10)))
    adjusted = decide(order("BUY", 10, "100.04"), of, NOW).adjusted_to
    assert adjusted is not None and adjusted.price_e4 == inr("100.00")
    adjusted = decide(order("BUY", 10, "0.04"), of, NOW).adjusted_to
    assert adjusted is not None and adjusted.price_e4 == inr("0.05")
    stop = order("BUY", 10, "100.04", order_type="STOP_LOSS", trigger_price="100.03")
    adjusted = decide(stop, of, NOW).adjusted_to
    assert adjusted is not None and (adjusted.price_e4, adjusted.trigger_price_e4) == (inr("100"), inr("100"))


def test_an_entry_off_the_grid_is_refused_not_moved() -> None:
    """Only exits are spared."""
    decision = decide(order(price="100.04"), guarded(limit("price_tick")), NOW)

    assert codes(decision) == ["NOT_A_TICK_MULTIPLE"] and decision.adjusted_to is None


def test_a_shadow_refusal_changes_nothing_about_the_adjustment() -> None:
    """Beside a finding that is not enforced an exit is moved all the same, and an entry is not."""
    watch = limit("order_rate", "watch", mode="shadow", windows=[{"messages_max": 1, "reserve": 0, "per_s": 1}],
                  acknowledged_until="2999-12-31")  # fmt: skip
    of = guarded(watch, of=account(line(10), sent=TimeLog([NOW])))
    leaving, entry = decide(order("SELL", 10, "100.04"), of, NOW), decide(order("BUY", 10, "100.04"), of, NOW)

    assert leaving.approved and leaving.shadow_rejects and leaving.adjusted_to is not None
    assert entry.approved and entry.shadow_rejects and entry.adjusted_to is None


def test_limits_of_an_underlying_reach_its_contracts() -> None:
    """The underlying comes from the instrument; a share is its own."""
    of = guarded(
        limit("order_quantity", scope="UNDERLYING:NIFTY", quantity_max=1, unit="lots"), of=account(instrument=option())
    )

    assert codes(decide(order_of(option(), quantity=50), of, NOW)) == ["ORDER_QUANTITY_ABOVE_LIMIT"]
    assert decide(order(quantity=50), of, NOW).approved


def test_what_must_be_cancelled_first_is_in_the_answer() -> None:
    """An exit behind a protective stop passes, and names the stop."""
    from riskguard.core.book import Working

    stop = Working("a1", -1, 10, reducing=True, protective=True, order_id="P1")
    decision = decide(order("SELL", 10), guarded(of=account(line(10, working=(stop,)))), NOW)

    assert decision.approved and decision.cancel_first == ("P1",)


PRECEDENCES = table("""
    code
    CLIENT_ORDER_ID_REUSED
    STORE_UNAVAILABLE
    STORE_BUSY
    TRADING_HALTED
    REDUCE_ONLY
    PERMIT_VOID
    CHECK_BROKEN
    LIMITS_NOT_CONFIGURED
    BASKET_REFUSED
    COPY_REFUSED
    INSTRUMENT_UNKNOWN
    CONTRACT_EXPIRED
    NOT_PERMITTED
    OUTSIDE_TRADING_WINDOW
    DISCLOSED_QUANTITY_OUT_OF_RANGE
    SHORT_DELIVERY
    MULTIPLIER_UNKNOWN
    NOT_A_LOT_MULTIPLE
    ABOVE_FREEZE_QUANTITY
    NOT_A_TICK_MULTIPLE
    STOP_ORDER_NOT_TAKEN
    STOP_LIMIT_GAP_ABOVE_LIMIT
    PRICE_OUTSIDE_BAND
    PRICE_OUTSIDE_COLLAR
    POSITION_UNKNOWN
    SNAPSHOT_STALE
    CLOCK_SKEW
    SIGNAL_STALE
    PRICE_UNKNOWN
    SWEEP_STALE
    PNL_UNKNOWN
    EQUITY_UNKNOWN
    MARGIN_UNKNOWN
    DAILY_LOSS_REACHED
    PROJECTED_LOSS_REACHED
    STOP_REQUIRED
    RISK_PER_TRADE_ABOVE_LIMIT
    ORDER_QUANTITY_ABOVE_LIMIT
    ORDER_VALUE_ABOVE_LIMIT
    NET_POSITION_ABOVE_LIMIT
    NAKED_SHORT_ABOVE_LIMIT
    POSITION_VALUE_ABOVE_LIMIT
    GROSS_EXPOSURE_ABOVE_LIMIT
    NET_EXPOSURE_ABOVE_LIMIT
    LEVERAGE_ABOVE_LIMIT
    CONCENTRATION_ABOVE_LIMIT
    MARGIN_NOT_ENOUGH
    OPEN_ORDER_VALUE_ABOVE_LIMIT
    OPEN_ORDER_COUNT_ABOVE_LIMIT
    TIME_TO_FLAT_ABOVE_LIMIT
    SELF_TRADE
    UNCONFIRMED_IN_FLIGHT
    DUPLICATE_ORDER
    REPEATED_EXECUTION
    MODIFICATIONS_ABOVE_LIMIT
    ORDER_TO_TRADE_RATIO_ABOVE_LIMIT
    ORDER_RATE_ABOVE_LIMIT
    ATTEMPT_RATE_ABOVE_LIMIT
""")


def test_every_code_in_order_of_precedence() -> None:
    """The whole list, the weightiest first: a code that is added or moved is seen here."""
    declared = [row.code for row in PRECEDENCES]

    assert [code.value for code in RejectCode] == declared
    assert [code.value for code in sorted(PRECEDENCE, key=PRECEDENCE.__getitem__)] == declared
    assert all(code.name == code.value for code in RejectCode)


BREACHES = table("""
    limits                       breached
    reject                       -
    reduce_only                  reduce_only
    reduce_only halt             halt
    kill halt reduce_only        kill
    warn                         -
    reject reject                -
""")


@pytest.mark.parametrize("row", BREACHES, ids=str)
def test_which_limit_demands_more_than_a_refusal(row: Row) -> None:
    """The enforced one whose action goes furthest; one that did not refuse demands nothing."""
    limits = [
        limit("order_quantity", f"{number}-{word}", on_breach=word, quantity_max=1, unit="units")
        for number, word in enumerate(row.limits.split())
    ]
    of = guarded(*limits, limit("net_position", on_breach="kill", position_max="1000", unit="units"))
    asked = order()
    breach = breach_of(decide(asked, of, NOW), of.limits.plan(asked, ""))

    assert (None if breach is None else breach.on_breach) == row.opt("breached")


@pytest.mark.parametrize("why", ["no price", "broken"])
def test_unknown_is_refused_but_is_no_breach(why: str) -> None:
    """No fresh quote, or a check that broke: nothing was measured, so nothing was breached."""
    strict = limit("order_value", "strict", on_breach="kill", order_value_inr_max="100")
    if why == "broken":
        strict = replace(strict, check=replace(strict.check, run=raising))
    of = guarded(strict)
    asked = order("SELL", 1, None)
    decision = decide(asked, of, NOW)
    assert not decision.approved

    assert breach_of(decision, of.limits.plan(asked, "")) is None


def test_numbers_of_a_refusal() -> None:
    """Measured, limit, headroom, what would pass, whose limit: as numbers, as JSON and as a sentence."""
    of = guarded(limit("order_value", "fat-finger", order_value_inr_max="950", row_id=7))
    (reject,) = decide(order(), of, NOW).rejects

    assert (str(reject.measured), str(reject.limit), str(reject.headroom)) == ("1000.00", "950.00", "-50.00")
    assert (reject.max_quantity, reject.row_id, reject.scope, reject.check) == (9, 7, "ACCOUNT:leader", "order_value")
    assert reject.message == (
        "order value above limit; ₹1,000.00 against a limit of ₹950.00; limit `fat-finger` (ACCOUNT:leader); "
        "up to 9 would pass"
    )
    said = reject.as_dict()
    assert json.loads(json.dumps(said)) == said
    assert (said["measured"], said["limit"], said["headroom"], said["max_quantity"]) == (
        "1000.00",
        "950.00",
        "-50.00",
        9,
    )
    assert "ORDER_VALUE_ABOVE_LIMIT" in repr(reject)
    assert Reject.restored(json.loads(canonical(reject.kept()))).as_dict() == said


def test_the_answer_word_for_word() -> None:
    """The stable document of `riskguard check --json`, what a person is told, and what a program may raise."""
    of = guarded(
        limit("order_quantity", quantity_max=5, unit="units"), limit("order_value", "tight", order_value_inr_max="500"),
        limit("order_quantity", "shy", quantity_max=9, unit="units", mode="shadow"), of=account(line(10)),
    )  # fmt: skip
    asked = order(client_order_id="one", strategy="dip")
    refused, leaving = decide(asked, of, NOW), decide(order("SELL", 10, "100.04"), of, NOW)
    quantity, value = refused.rejects
    (shy,) = refused.shadow_rejects

    assert refused.as_dict() == {
        "account": "leader", "client_order_id": "one", "approved": False, "recorded": False, "sequence": None,
        "repeat_of": None, "decided_at_us": NOW, "direction": "INCREASING", "cancel_first": [], "adjusted_to": None,
        "limits_digest": of.limits.digest, "rejects": [quantity.as_dict(), value.as_dict()],
        "shadow_rejects": [shy.as_dict()],
    }  # fmt: skip
    assert refused.explain() == (
        f"ORDER_QUANTITY_ABOVE_LIMIT: {quantity.message}\nORDER_VALUE_ABOVE_LIMIT: {value.message}"
    )
    assert repr(refused) == "<Decision one: refused ORDER_QUANTITY_ABOVE_LIMIT, ORDER_VALUE_ABOVE_LIMIT>"
    with pytest.raises(OrderRefusedError) as raised:
        refused.raise_for_reject()
    assert raised.value.decision is refused and str(raised.value) == refused.explain().replace("\n", "; ")

    assert leaving.adjusted_to is not None and leaving.as_dict()["adjusted_to"] == leaving.adjusted_to.arguments()
    assert leaving.explain() == f"approved as REDUCING, adjusted to {leaving.adjusted_to!r}"
    assert repr(leaving) == "<Decision None: approved>"
    leaving.raise_for_reject()
    with pytest.raises(PermitNotSendableError, match="refused"):
        _ = leaving.approved_order  # approved, and nothing reserved: it has no way to the wire either


def test_an_answer_without_facts_claims_nothing() -> None:
    """What the store could not be asked about: no direction, no record, no place in the journal."""
    decision = Decision(order(), (), NOW)

    assert (decision.direction, decision.cancel_first, decision.limits_digest) == (None, (), "")
    assert (decision.recorded, decision.sequence, decision.repeat_of) == (False, None, None)
    assert decision.as_dict()["direction"] is None and decision.as_dict()["recorded"] is False
    assert decision.explain() == "approved as unknown"


def test_an_approval_hands_out_what_its_permit_holds() -> None:
    class Held:
        approved_order = "sealed"

    decision = decide(order(), guarded(), NOW)
    decision.permit = Held()  # type: ignore[assignment]
    assert decision.approved_order == "sealed"
    refused = decide(order(), account(limits=LimitSet(())), NOW)
    refused.permit = Held()  # type: ignore[assignment]
    with pytest.raises(PermitNotSendableError):
        _ = refused.approved_order


def test_what_surely_passes_is_not_asked() -> None:
    """Asked often, a plan asks the checks in doubt alone; a refusal among them does not make it ask the others."""
    asked: list[Facts] = []

    def counting(facts: Facts, params: object) -> None:
        asked.append(facts)

    value = replace(limit("order_value", order_value_inr_max="100000"))
    value = replace(value, check=replace(value.check, run=counting))
    of = guarded(limit("order_quantity", quantity_max=9, unit="units"), order_value=value)
    for _ in range(JOINED_AFTER):
        decide(order(), of, NOW)
    assert len(asked) == JOINED_AFTER
    assert codes(decide(order(), of, NOW)) == ["ORDER_QUANTITY_ABOVE_LIMIT"] and len(asked) == JOINED_AFTER
    assert codes(decide(order(quantity=1_001), of, NOW)) == ["ORDER_QUANTITY_ABOVE_LIMIT"]
    assert len(asked) == JOINED_AFTER + 1, "in doubt, it is asked"


def test_the_answer_as_json() -> None:
    """`as_dict` is plain data, approved, refused and adjusted alike; a refused order has no way to the wire."""
    of = guarded(of=account(line(10)))
    for asked in (order(), order("SELL", 10, "100.04"), order(quantity=10**9)):
        decision = decide(asked, of, NOW)
        said = decision.as_dict()
        assert json.loads(json.dumps(said)) == said
        assert said["approved"] is decision.approved
        assert repr(decision)
    with pytest.raises(PermitNotSendableError, match="refused"):
        _ = decision.approved_order


def test_the_same_values_give_the_same_answer() -> None:
    """Deciding reads and does not write: neither a second time nor what lies in the account changes."""
    of = guarded(
        limit("order_value", "tight", order_value_inr_max="500"), of=account(line(10), quoted=quote("99", "100", "101"))
    )
    asked = order(price=None)
    first, second = decide(asked, of, NOW), decide(asked, of, NOW)

    assert first.facts is not None and second.facts is not None
    assert canonical(first.facts.recorded()) == canonical(second.facts.recorded())
    assert [each.kept() for each in first.rejects] == [each.kept() for each in second.rejects]
    assert not of.sent.stamps_us and not of.same


def replay(decision: Decision, of: Account, asked: Order) -> Decision:
    """Decide again from nothing but the order, the canonical record and the limits."""
    assert decision.facts is not None
    kept = json.loads(canonical(decision.facts.recorded()))
    instrument = decision.facts.instrument
    facts = Facts.replayed(asked.replaced(quote=None), kept)
    again = judge(facts, LimitSet(of.limits.limits).plan(asked, "" if instrument is None else instrument.underlying))
    assert canonical(facts.recorded()) == canonical(decision.facts.recorded())
    return again


def test_replay_agrees_on_an_order_with_evidence() -> None:
    """The quote that rode on the order is in the record; the feed's own too."""
    of = guarded(
        limit("order_value", "tight", order_value_inr_max="1000"), of=account(quoted=quote("99", "100", "101"))
    )
    asked = order(price=None, quote=quote("110", "111", "112"))
    decision = decide(asked, of, NOW)

    assert not decision.approved
    assert [each.kept() for each in replay(decision, of, asked).rejects] == [each.kept() for each in decision.rejects]


def test_the_record_is_canonical() -> None:
    """Sorted, without blanks, ASCII, and never NaN."""
    assert canonical({"b": 1, "a": ["é", None, True]}) == b'{"a":["\\u00e9",null,true],"b":1}'
    with pytest.raises(ValueError, match="JSON compliant"):
        canonical(float("nan"))


def test_an_option_decision_keeps_its_direction() -> None:
    """Directions that need the whole book are kept as words, and replay does not need the book."""
    of = guarded(of=account(instrument=option(), others=((option("9"), line(-50, product="MARGIN")),)))
    asked = order_of(option(), "BUY", 50, product="MARGIN")
    decision = decide(asked, of, NOW)

    assert decision.direction == "HEDGING"
    assert replay(decision, of, asked).direction == "HEDGING"


def test_the_person_behind_an_exit_is_kept() -> None:
    """A halted account's exit replays as approved because the record names who stood behind it."""
    of = guarded(of=account(line(10), causes=(halted(),)))
    asked = order("SELL", 10)

    assert codes(decide(asked, of, NOW)) == ["TRADING_HALTED"]
    decision = decide(asked, of, NOW, emergency_by="asha")
    assert decision.approved and replay(decision, of, asked).approved
    assert decision.facts is not None and decision.facts.state is TradingState.HALTED
