"""
The facts a decision rests on: small, flat, and kept with it.

`Facts.of` reads what every order is asked about; what only some limits ask for is read at the first question and
remembered under its name. `recorded` writes all that was read as canonical bytes; `Facts.replayed` reads those
back. A decision made from either must be the same: that is what `riskguard audit` replays.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from operator import attrgetter
from typing import Any, TypeVar

from riskguard.core import exposure
from riskguard.core.account import Account, TimeLog, signature
from riskguard.core.calendar import ist_day
from riskguard.core.direction import Direction, direction, naked_short_units
from riskguard.core.exposure import Exposure, Naked, Reach, ToFlat
from riskguard.core.instrument import Instrument
from riskguard.core.order import QUANTITY_MAX, Order
from riskguard.core.pricing import entry_price_e4, is_fresh, quote_ttl_us, reference_price_e4, risk_price_e4
from riskguard.core.quote import Quote
from riskguard.core.scope import Scope
from riskguard.core.state import TradingState
from riskguard.core.terms import DELIVERY_PRODUCTS

_KEPT = (
    "now_us", "known", "net_up", "net_down", "net_near", "buying", "selling", "long_other", "short_other",
    "sellable", "naked", "position_seen_us", "sweep_at_us", "sweep_interval_us", "pnl_e4", "pnl_at_us", "opening_equity_e4",
    "granted", "unanswered_since_us", "exits_live", "emergency_by", "state_said", "modifying",
)  # fmt: skip
_kept_of = attrgetter(*_KEPT)
_NO_LOG = TimeLog()
# Members as plain names, see `core.direction`.
_REDUCING, _INCREASING, _HEDGING = Direction.REDUCING, Direction.INCREASING, Direction.HEDGING
_Kept = TypeVar("_Kept")
_new = object.__new__  # half the price of a call of the class, which would look for an `__init__`


# Names under which what lies in a window is kept (`sent:60000000`), each spelled once: limits have few windows.
_SENT: dict[int, str] = {}
_LOOPS: dict[int, str] = {}


class FactMissingError(Exception):
    """A check asks for what the record of its decision does not hold."""


class Facts:
    """Everything the checks of one order may read. Quantities are signed where named `net`, else ≥ 0."""

    __slots__ = (
        *_KEPT,
        "_account",
        "cancel_first",
        "direction",
        "instrument",
        "memo",
        "order",
        "quote",
        "reducing",
        "state",
    )

    order: Order
    now_us: int
    instrument: Instrument | None
    known: bool
    net_up: int
    net_down: int
    net_near: int
    buying: int
    selling: int
    long_other: int
    short_other: int
    sellable: int
    naked: int  # short option units without cover that a HEDGING order would cover
    position_seen_us: int | None
    direction: Direction
    cancel_first: tuple[str, ...]
    reducing: bool
    quote: Quote | None
    state: TradingState
    state_said: str
    sweep_at_us: int | None
    sweep_interval_us: int
    pnl_e4: int | None
    pnl_at_us: int | None
    opening_equity_e4: int | None
    granted: int
    unanswered_since_us: int | None
    exits_live: int
    emergency_by: str
    modifying: str  # the working order this one takes the place of; "" for a new order
    memo: dict[str, Any]  # what was asked for by name: JSON-ready
    _account: Account | None  # None once recorded, and in a replay

    @classmethod
    def of(
        cls, order: Order, account: Account, now_us: int, emergency_by: str = "", modifying: str = "",
        lowering: bool = False,
    ) -> Facts:  # fmt: skip
        """
        Read what concerns *order* from *account*, once.

        *lowering*: it takes the place of a working order and may do nothing that one could not: it reduces.
        """
        made = _new(cls)
        key = order.instrument
        made.order = order
        made.now_us = now_us
        made.instrument = instrument = account.instruments.get(key)
        seen_us = account.position_seen_us
        made.position_seen_us = seen_us
        made.known = known = seen_us is not None
        lines = account.positions.get(key) if account.positions else None
        line = None
        made.long_other = made.short_other = 0
        if lines:
            line = lines.get(order.product)
            if len(lines) > 1 or line is None:
                made._add_other_products(order.product, account)
        if line is None:
            made.net_up = made.net_down = made.net_near = made.buying = made.selling = made.sellable = 0
        else:
            made.net_up, made.net_down, made.net_near = line.up, line.down, line.near
            made.buying, made.selling = line.buying, line.selling
            made.sellable = line.sellable() if order.product == "CNC" else 0
        if line is None and known and order.sign > 0 and (instrument is None or not instrument.option_type):
            made.direction, made.cancel_first = _INCREASING, ()  # the usual opening buy, without another call
        else:
            made.direction, made.cancel_first = direction(
                order, line, known, instrument, account.positions, account.instruments
            )
        if lowering:
            made.direction, made.cancel_first = _REDUCING, ()
        made.reducing = made.direction is _REDUCING
        made.naked = 0
        if made.direction is _HEDGING and instrument is not None:
            made.naked = _coverable(instrument, account)
        quote = account.quotes.get(key) if account.quotes else None
        if order.quote is not None and (quote is None or not is_fresh(quote, now_us, quote_ttl_us(instrument))):
            quote = order.quote  # evidence counts where the feed has nothing fresh
        made.quote = quote
        made.state = account.state
        made.state_said = ""
        if account.state or account.narrow:
            made._look_at_states(account)
        made.sweep_at_us = account.sweep_at_us
        made.sweep_interval_us = account.sweep_interval_us
        pnl = account.pnl
        if pnl is None:
            made.pnl_e4 = made.pnl_at_us = None
        else:
            made.pnl_e4, made.pnl_at_us = pnl.day_pnl_e4, pnl.at_us
        made.opening_equity_e4 = account.opening_equity_e4
        made.granted = account.granted
        # Mostly nothing waits, and a look into an empty dictionary still costs the hash of its key.
        waiting = account.unanswered.get(key) if account.unanswered else None
        made.unanswered_since_us = min(waiting.values()) if waiting else None
        made.exits_live = account.reducing_live.get(key, 0) if account.reducing_live else 0
        made.emergency_by = emergency_by
        made.modifying = modifying
        made.memo = {}
        made._account = account
        return made

    def _add_other_products(self, product: str, account: Account) -> None:
        """Limits add products with their sides apart: a long MARGIN row does not excuse a short INTRADAY one."""
        for other, line in account.positions[self.order.instrument].items():
            if other != product:
                self.long_other += max(0, line.up + line.buying)
                if other not in DELIVERY_PRODUCTS:  # what delivers shares leaves no short position
                    self.short_other += max(0, line.selling - line.down)

    def _look_at_states(self, account: Account) -> None:
        """Find the severest state of every scope that contains the order, and say whose it is."""
        order = self.order
        underlying = exposure.underlying_of(self.instrument) if self.instrument is not None else ""
        inside = [
            cause
            for cause in account.causes
            if cause.holds(order.exchange_segment, order.security_id, order.strategy, underlying)
        ]
        self.state = max((cause.state for cause in inside), default=TradingState.ACTIVE)
        worst = [cause for cause in inside if cause.state == self.state]
        self.state_said = worst[0].sentence() if self.state else ""

    # -- what only some checks ask for: computed at the first question, remembered for the record -------------

    def _ask(self, name: str, read: Callable[[Account], _Kept]) -> _Kept:
        """Return what was read under *name*, reading it now if nobody asked before."""
        memo = self.memo
        if name in memo:
            found: _Kept = memo[name]
            return found
        account = self._account
        if account is None:
            raise FactMissingError(f"the record holds no `{name}`")
        found = memo[name] = read(account)
        return found

    def reference_e4(self) -> int | None:
        """P_ref: what the market shows, or None; see `core.pricing`."""
        memo = self.memo
        if "reference_e4" not in memo:
            memo["reference_e4"] = reference_price_e4(
                self.quote, self.order.sign, self.now_us, quote_ttl_us(self.instrument)
            )
        price_e4: int | None = memo["reference_e4"]
        return price_e4

    def risk_price_e4(self) -> int | None:
        """P_risk: the worst price the order may trade at, or None when it cannot be known."""
        order = self.order
        if order.sign > 0 and order.order_type == "LIMIT":
            return order.price_e4  # needs no market at all
        quote = self.quote
        ask_e4, upper_e4 = (None, None) if quote is None else (quote.ask_e4, quote.upper_band_e4)
        price_e4 = risk_price_e4(order, self.reference_e4(), ask_e4, self.instrument, upper_e4)
        evidence = order.quote
        if evidence is not None and evidence is not quote and price_e4 is not None:
            # Evidence that rides on the order can raise the price it is judged at, never lower it.
            seen = reference_price_e4(evidence, order.sign, self.now_us, quote_ttl_us(self.instrument))
            with_it = risk_price_e4(order, seen, evidence.ask_e4, self.instrument, evidence.upper_band_e4)
            return price_e4 if with_it is None else max(price_e4, with_it)
        return price_e4

    def feed_reference_e4(self) -> int | None:
        """P_ref as the feed alone shows it: evidence that rides on the order opens no collar. checks.md §5.7."""

        def read(account: Account) -> int | None:
            # By where it lies, not by what it says: a strategy may send the feed's own quote along as evidence.
            return self.reference_e4() if self.quote is account.quotes.get(self.order.instrument) else None

        return self._ask("feed", read)

    def entry_e4(self) -> int | None:
        """The price farthest from its stop the order may open at, or None; see `core.pricing`."""
        return self._ask(
            "entry_e4",
            lambda _: entry_price_e4(self.order, self.risk_price_e4(), self.reference_e4(), self.instrument),
        )

    def bands_e4(self) -> tuple[int | None, int | None]:
        """
        The day's circuit limits (lower, upper): the feed's of today, else the instrument's, else the order's
        evidence; None where nobody says. Limits hold for their day: yesterday's say nothing.
        """

        def read(account: Account) -> list[int | None]:
            feed, evidence, instrument = account.quotes.get(self.order.instrument), self.order.quote, self.instrument
            lower_e4 = upper_e4 = None
            if feed is not None and ist_day(feed.at_us) == ist_day(self.now_us):
                lower_e4, upper_e4 = feed.lower_band_e4, feed.upper_band_e4
            if instrument is not None:
                lower_e4 = instrument.lower_band_e4 if lower_e4 is None else lower_e4
                upper_e4 = instrument.upper_band_e4 if upper_e4 is None else upper_e4
            if evidence is not None and ist_day(evidence.at_us) == ist_day(self.now_us):
                lower_e4 = evidence.lower_band_e4 if lower_e4 is None else lower_e4
                upper_e4 = evidence.upper_band_e4 if upper_e4 is None else upper_e4
            return [lower_e4, upper_e4]

        lower_e4, upper_e4 = self._ask("bands", read)
        return lower_e4, upper_e4

    # -- messages, questions and approvals --------------------------------------------------------------------

    def sent_in(self, window_us: int) -> int:
        """Messages sent in the sliding window, permits granted and not yet sent included."""
        memo = self.memo
        try:
            name = _SENT[window_us]
        except KeyError:
            name = _SENT[window_us] = f"sent:{window_us}"
        if name in memo:
            sent: int = memo[name]
        else:
            account = self._account
            if account is None:
                raise FactMissingError(f"the record holds no `{name}`")
            log = account.sent
            # Mostly nothing went out lately, and nothing is counted without a call.
            sent = memo[name] = log.count(self.now_us, window_us) if log.stamps_us else 0
        return sent + self.granted

    def sent_leaves_us(self, count: int, window_us: int) -> int | None:
        """When the *count*-th newest message leaves the window."""
        return self._ask(f"leaves:{count}:{window_us}", lambda account: account.sent.leaves_us(count, window_us))

    def attempts_in(self, window_us: int) -> int:
        """Orders asked about by this strategy in the sliding window, refused ones included."""

        def read(account: Account) -> int:
            return account.attempts.get(self.order.strategy, _NO_LOG).count(self.now_us, window_us)

        return self._ask(f"attempts:{window_us}", read)

    def same_order_us(self) -> int | None:
        """When the last approved order just like this one was approved."""
        return self._ask("same", lambda account: account.same.get(signature(self.order)))

    def loops_in(self, window_us: int) -> list[int]:
        """
        [orders, refusals] of this strategy, instrument and side in the window: what a runaway has many of.

        Orders are those that added risk and filled, by the time they were let out: each order now asked about is the
        next turn of that wheel. Refusals are counted with their repeats.
        """
        memo = self.memo
        try:
            name = _LOOPS[window_us]
        except KeyError:
            name = _LOOPS[window_us] = f"loops:{window_us}"
        if name in memo:
            found: list[int] = memo[name]
            return found
        account = self._account
        if account is None:
            raise FactMissingError(f"the record holds no `{name}`")
        cycles, refusals = account.cycles, account.refused
        found = memo[name] = [0, 0]
        if cycles or refusals:
            order = self.order
            loop = (order.strategy, order.instrument, order.side)
            if loop in cycles:
                found[0] = cycles[loop].count(self.now_us, window_us)
            if loop in refusals:
                found[1] = refusals[loop].count(self.now_us, window_us)
        return found

    def attempt_leaves_us(self, count: int, window_us: int) -> int | None:
        """When the *count*-th newest question of this strategy leaves the window; None if there are fewer."""

        def read(account: Account) -> int | None:
            return account.attempts.get(self.order.strategy, _NO_LOG).leaves_us(count, window_us)

        return self._ask(f"attempt-leaves:{count}:{window_us}", read)

    def day_counts(self, band_pct_e2: int) -> list[int]:
        """
        [orders, trades] of this session: orders let out further than the band from what the market then showed.

        The band is in 1/100 percent of that reference; an order whose reference was not known counts.
        """

        def read(account: Account) -> list[int]:
            return [account.day_orders.get(band_pct_e2, 0), account.day_trades]

        return self._ask(f"day:{band_pct_e2}", read)

    # -- the book over a scope ---------------------------------------------------------------------------------

    def exposure(self, scope: Scope, underlying: str = "") -> Exposure:
        """The book of *scope* without this order, of one *underlying* if named; see `core.exposure`."""

        def read(account: Account) -> list[Any]:
            return list(exposure.exposure(account, self.order, scope, self.risk_price_e4(), underlying))

        name = f"exposure:{scope}:{underlying}" if underlying else f"exposure:{scope}"
        return Exposure(*self._ask(name, read))

    def reach(self, scope: Scope, *, per_underlying: bool, in_lots: bool) -> Reach:
        """How far positions of *scope* may go without this order, in units or lots; see `core.exposure`."""

        def read(account: Account) -> list[Any]:
            found = exposure.reach(account, self.order, scope, per_underlying=per_underlying, in_lots=in_lots)
            return list(found)

        name = f"reach:{scope}:{'underlying' if per_underlying else 'instrument'}:{'lots' if in_lots else 'units'}"
        return Reach(*self._ask(name, read))

    def unseen(self, scope: Scope) -> str:
        """An account of *scope* whose positions nobody has seen whole; "" for none."""
        return self._ask(f"unseen:{scope}", lambda account: exposure.unseen(account, scope))

    def open_orders(self, scope: Scope) -> tuple[int, int, str]:
        """(how many orders of *scope* work, what they are worth, what cannot be valued), this one left out."""
        count, value_e4, unknown = self._ask(
            f"open:{scope}", lambda account: list[Any](exposure.open_orders(account, scope))
        )
        return count, value_e4, unknown

    def losses_at_stops(self, percent_e2: int) -> tuple[int, str]:
        """(loss if every stop of the account is hit, what cannot be valued); see `core.exposure`."""
        everything = Scope("ACCOUNT", self.order.account)
        loss_e4, unknown = self._ask(
            f"stops:{percent_e2}",
            lambda account: list[Any](exposure.losses_at_stops(account, everything, percent_e2)),
        )
        return loss_e4, unknown

    def scenario_e4(self, percent_e2: int) -> int | None:
        """What one unit of this order loses without a stop in a move of *percent_e2*; None unknown."""

        def read(account: Account) -> int | None:
            instrument, order, price_e4 = self.instrument, self.order, self.risk_price_e4()
            if instrument is None or (price_e4 is None and not (order.sign < 0 and instrument.is_option)):
                return None
            scope = Scope("ACCOUNT", order.account)
            return exposure.scenario_e4(account, scope, instrument, order.sign, price_e4, percent_e2)

        return self._ask(f"scenario:{percent_e2}", read)

    def opposite_orders(self) -> list[int]:
        """[opposite orders of the account and its group that could match, the nearest of their prices]."""
        return self._ask("opposite", lambda account: exposure.opposite_orders(account, self.order))

    def to_flat(self) -> ToFlat:
        """Messages it takes to cancel and flatten what stands, this order left out; see `core.exposure`."""
        return ToFlat(*self._ask("to-flat", lambda account: list(exposure.to_flat(account, self.order))))

    def uncovered(self, scope: Scope) -> Naked:
        """Short options of *scope* without cover, around the option of this order; see `core.exposure`."""
        return Naked(
            *self._ask(f"naked:{scope}", lambda account: list[Any](exposure.naked(account, self.order, scope)))
        )

    # -- money, day and hours ----------------------------------------------------------------------------------

    def equity_e4(self, scope: Scope | None = None) -> int | None:
        """Day-start equity plus the day's P&L, of the accounts of *scope* if named; None when one is unknown."""
        if scope is not None and scope.kind in exposure.SUMMED:
            return self._ask(f"equity:{scope}", lambda account: exposure.equity_e4(account, scope))
        if self.opening_equity_e4 is None or self.pnl_e4 is None:
            return None
        return self.opening_equity_e4 + self.pnl_e4

    def funds(self) -> list[int | None]:
        """[available money in 1/10000 rupee, when the broker said so]; None unknown."""
        return self._ask("funds", lambda account: [account.funds_available_e4, account.funds_at_us])

    def margin(self) -> list[int | None]:
        """[margin the broker wants for exactly this leg, when it said so]; None where it was not asked."""

        def read(account: Account) -> list[int | None]:
            return list(account.margins.get(leg_of(self.order), (None, None)))

        return self._ask("margin", read)

    def margin_held(self, short_pct_e2: int) -> tuple[int, str]:
        """(margin of what was approved since the funds were told, what of it cannot be valued)."""
        held_e4, unknown = self._ask(
            f"held:{short_pct_e2}", lambda account: list[Any](exposure.margin_held(account, short_pct_e2))
        )
        return held_e4, unknown

    def margin_basis_e4(self) -> int | None:
        """What one unit of this order is reckoned on where no broker was asked; None unknown."""

        def read(account: Account) -> int | None:
            return exposure.margin_basis_e4(account, self.instrument, self.order.sign, self.risk_price_e4())

        return self._ask("margin-basis", read)

    def hours(self) -> list[int | None]:
        """
        The session of the order's segment: [known, window open, window close, auction open, auction close].

        Known is 1 or 0; the window is the one now lies in, None outside; times in microseconds UTC.
        """

        def read(account: Account) -> list[int | None]:
            calendar, segment = account.calendar, self.order.exchange_segment
            if calendar is None:
                return [0, None, None, None, None]
            day = calendar.session_date(self.now_us)
            window = calendar.window_at(segment, self.now_us) or (None, None)
            auction = calendar.closing_auction(segment, day) or (None, None)
            return [int(calendar.known(segment, day)), *window, *auction]

        return self._ask("hours", read)

    def in_auction(self) -> int | None:
        """Whether this share takes part in the closing auction: 1 or 0; None where nobody knows its derivatives."""

        def read(account: Account) -> int | None:
            names, instrument = account.auction_names, self.instrument
            return None if names is None or instrument is None else int(instrument.symbol in names)

        return self._ask("auction", read)

    def next_open_us(self) -> int | None:
        """When the order's segment opens next, at or after now; None where nobody knows."""

        def read(account: Account) -> int | None:
            calendar = account.calendar
            return None if calendar is None else calendar.next_open_us(self.order.exchange_segment, self.now_us)

        return self._ask("next-open", read)

    def session_date(self) -> str:
        """The exchange's date, ISO text."""
        return self._ask("date", lambda account: account.session_date)

    def modifications_of(self) -> int:
        """How often the working order this one replaces was changed before; 0 for a new order."""
        if not self.modifying:
            return 0
        return self._ask("modifications", lambda account: account.modifications.get(self.modifying, 0))

    # -- the record -----------------------------------------------------------------------------------------

    def recorded(self) -> dict[str, Any]:
        """Return the facts that were read as JSON-ready data, exact; from here on nothing more is read."""
        instrument = self.instrument
        self._account = None
        return {
            **dict(zip(_KEPT, _kept_of(self), strict=True)),
            "direction": self.direction.value,
            "cancel_first": list(self.cancel_first),
            "state": int(self.state),
            "quote": None if self.quote is None else list(self.quote),
            "evidence": None if self.order.quote is None else list(self.order.quote),
            "instrument": None if instrument is None else list(_instrument_of(instrument)),
            "memo": self.memo,
        }

    @classmethod
    def replayed(cls, order: Order, kept: dict[str, Any]) -> Facts:
        """Rebuild the facts from what the journal kept."""
        made = cls.__new__(cls)
        for name in _KEPT:
            setattr(made, name, kept[name])
        if kept["evidence"] is not None:
            order = order.replaced(quote=Quote(*kept["evidence"]))
        made.order = order
        made.direction = Direction(kept["direction"])
        made.reducing = made.direction is _REDUCING
        made.cancel_first = tuple(kept["cancel_first"])
        made.state = TradingState(kept["state"])
        made.quote = None if kept["quote"] is None else Quote(*kept["quote"])
        made.instrument = None if kept["instrument"] is None else Instrument(*kept["instrument"])
        made.memo = dict(kept["memo"])
        made._account = None
        return made


def _coverable(instrument: Instrument, account: Account) -> int:
    """Short option units without cover that bought units of *instrument* would cover: not those that expire later."""
    book = instrument, account.positions, account.instruments
    return naked_short_units(*book) - naked_short_units(*book, instrument.key, QUANTITY_MAX)


_instrument_of = attrgetter(*Instrument.__dataclass_fields__)


def leg_of(order: Order) -> tuple[object, ...]:
    """Return what a margin is asked for: instrument, side, product and quantity."""
    return (order.instrument, order.side, order.product, order.quantity)


# Made once: `json.dumps` with settings makes a new one at every call.
# What is written is made here out of values: it holds no circle anybody would have to look for.
_ENCODER = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False, check_circular=False
)


def canonical(value: object) -> bytes:
    """Return *value* as canonical JSON bytes: sorted keys, no blanks, ASCII; NaN cannot occur."""
    return _ENCODER.encode(value).encode()
