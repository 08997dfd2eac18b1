"""
When an order may go out: inside the session of its class and the windows a desk set, and outside the square-off tail.

Windows are [open, close) in India. Shares with derivatives leave continuous trading for the closing auction, which
takes no stops and no IOC; until its end they are still in session. Where nobody knows which shares those are, a share
keeps its session and, if it adds risk, no stop during the auction. The tail is counted back from the end of
continuous trading, and closes it to new positions the broker squares off (INTRADAY, CO, BO). A day or segment the
calendar does not know is open or closed by `unknown_day`.
Exits may use the whole session, not the time outside: before the open and after the close nothing trades, and an
order that waits there is decided on a market that is gone. A person's emergency exit passes. An expired contract is
refused to everybody. Source: checks.md §1, §4, §5.11, §5.13.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field, model_validator

from riskguard.core.calendar import DAY_US, IST_OFFSET_US
from riskguard.core.facts import Facts
from riskguard.core.limits import Check
from riskguard.core.params import US, Params, Seconds, TimeOfDay
from riskguard.core.reject import Reject, RejectCode
from riskguard.core.terms import CASH_SEGMENTS

SQUARED_OFF: Final = ("INTRADAY", "CO", "BO")
"""Products the broker closes before the session ends."""


class Window(Params):
    open: TimeOfDay
    close: TimeOfDay

    @model_validator(mode="after")
    def _forward(self) -> Window:
        if self.open >= self.close:
            raise ValueError("`open` is not before `close`")
        return self


class Parameters(Params):
    unknown_day: Literal["refuse", "allow"]
    windows: Annotated[list[Window], Field(min_length=1, max_length=8)] | Literal["session"]
    square_off_tail_s: Seconds | Literal["none"]


def check(facts: Facts, params: Parameters) -> Reject | None:
    """Refuse an order outside its hours."""
    if facts.reducing and facts.emergency_by:
        return None
    instrument = facts.instrument
    if instrument is not None and instrument.expiry and instrument.expiry < facts.session_date():
        return Reject(
            RejectCode.CONTRACT_EXPIRED,
            max_quantity=0,
            detail=f"{instrument.symbol} expired on {instrument.expiry}",
            hint="import the instrument master: a later contract has another security id",
        )
    known, open_us, close_us, auction_us, auction_end_us = facts.hours()
    if not known:
        if facts.reducing:
            return None
        if params.unknown_day == "refuse":
            return _outside(
                None, f"the hours of {facts.order.exchange_segment} are not known today",
                'tell the calendar, or set `unknown_day = "allow"`',
            )  # fmt: skip
    else:
        refused = _by_session(facts, params, open_us, close_us, auction_us, auction_end_us)
        if refused is not None:
            return refused
    if facts.reducing or params.windows == "session":
        return None
    second = _second_of_day(facts.now_us)
    if any(window.open <= second < window.close for window in params.windows):
        return None
    return _outside(_next_window_us(facts.now_us, params), "outside the desk's own windows", "")


def _by_session(
    facts: Facts, params: Parameters, open_us: int | None, close_us: int | None, auction_us: int | None,
    auction_end_us: int | None,
) -> Reject | None:  # fmt: skip
    """Judge by the exchange's hours, which are known."""
    now_us, order = facts.now_us, facts.order
    in_auction = auction_us is not None and auction_end_us is not None and auction_us <= now_us < auction_end_us
    takes_part: int | None = None
    if auction_us is not None and order.exchange_segment in CASH_SEGMENTS:
        takes_part = facts.in_auction()
    if open_us is None or close_us is None:
        if not (in_auction and takes_part):
            return _closed(facts, params)
    elif takes_part and auction_us is not None:
        close_us = min(close_us, auction_us)
    doubtful = takes_part is None and order.exchange_segment in CASH_SEGMENTS and not facts.reducing
    if in_auction and (takes_part or doubtful):
        refused = _by_auction(facts)
        if refused is not None:
            return refused
    tail_us = params.square_off_tail_s
    if tail_us == "none" or facts.reducing or order.product not in SQUARED_OFF:
        return None
    if close_us is not None and now_us < close_us - tail_us:
        return None
    return _outside(facts.next_open_us(), f"the last {tail_us // US} s are for closing {order.product} positions", "")


def _by_auction(facts: Facts) -> Reject | None:
    order = facts.order
    if order.trigger_price_e4 is not None:
        return Reject(
            RejectCode.STOP_ORDER_NOT_TAKEN,
            max_quantity=0,
            detail="the closing auction takes no stop orders",
            hint="use a LIMIT or MARKET order",
        )
    if order.validity == "IOC":
        return _outside(None, "the closing auction takes no IOC orders", "use validity DAY")
    return None


def _closed(facts: Facts, params: Parameters) -> Reject:
    frees_us = facts.next_open_us()
    if frees_us is not None and not facts.reducing:
        frees_us = _next_window_us(frees_us, params)
    return _outside(frees_us, f"{facts.order.exchange_segment} is closed", "")


def _outside(frees_us: int | None, said: str, hint: str) -> Reject:
    return Reject(
        RejectCode.OUTSIDE_TRADING_WINDOW, max_quantity=0, frees_at_us=frees_us, detail=said, hint=hint,
    )  # fmt: skip


def _second_of_day(at_us: int) -> int:
    return (at_us + IST_OFFSET_US) % DAY_US // US


def _next_window_us(at_us: int, params: Parameters) -> int | None:
    """Return the first moment at or after *at_us* of the same day that lies in a window; None: no more that day."""
    if params.windows == "session":
        return at_us
    second = _second_of_day(at_us)
    if any(window.open <= second < window.close for window in params.windows):
        return at_us
    later = [window.open for window in params.windows if window.open > second]
    midnight_us = at_us - (at_us + IST_OFFSET_US) % DAY_US
    return midnight_us + min(later) * US if later else None


CHECK = Check("trading_window", Parameters, check, exits=True, needs=("hours",))
