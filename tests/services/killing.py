"""
A world to kill in: books and orders named in a word each, a broker that behaves as it is told, and a judge who replays the
broker's own event log and says what was ever true there: crossed, naked, too many messages.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from riskguard.brokers.paper import PaperSettings
from riskguard.brokers.paper.events import Event
from riskguard.core.money import to_e4
from riskguard.core.quote import Quote
from riskguard.services.kill.killrun import KillRunner
from riskguard.store.kills import KillRun
from tests.services.desk import ACCOUNT, CALL, COVER, FUTURE, SECOND, SHARE, Desk

INSTRUMENTS = {"share": SHARE, "future": FUTURE, "call": CALL, "cover": COVER}
PRICES = {"share": "100", "future": "100", "call": "10", "cover": "20"}
WINDOWS = ((10, SECOND), (250, 60 * SECOND))
ORDER_RATE = (
    'check = "order_rate"\nwindows = [{ messages_max = 10, reserve = 3, per_s = 1 }, '
    "{ messages_max = 250, reserve = 100, per_s = 60 }]"
)


def quote_all(desk: Desk, share: str = "100", bands: tuple[str, str] | None = None) -> None:
    """Move the whole market to now."""
    lower, upper = bands or (None, None)
    for name, instrument in INSTRUMENTS.items():
        price = share if name == "share" else PRICES[name]
        made = Quote.of(
            ltp=price, at_us=desk.clock.now_us(), lower_band=lower if name == "share" else None,
            upper_band=upper if name == "share" else None,
        )  # fmt: skip
        desk.broker.set_quote(*instrument.key, made)
        desk.guard.quote(
            *instrument.key, ltp=price, at=made.at_us, lower_band=lower if name == "share" else None,
            upper_band=upper if name == "share" else None,
        )  # fmt: skip


def hold(desk: Desk, word: str) -> None:
    """`share+10`, `call-25`, `share+5:CNC`, `future^+25` (carried in from another day)."""
    line, _, product = word.partition(":")
    carried = "^" in line
    name = line.replace("^", "").rstrip("+-0123456789")
    quantity = int(line.replace("^", "")[len(name) :])
    product = product or ("INTRADAY" if name == "share" else "MARGIN")
    if carried:
        desk.broker.carry(*INSTRUMENTS[name].key, product, quantity, to_e4(PRICES[name]))
        return
    desk.past(
        desk.order_of(
            INSTRUMENTS[name], "BUY" if quantity > 0 else "SELL", abs(quantity), PRICES[name], product=product
        )
    )


def rest(desk: Desk, word: str) -> None:
    """`buy10@90`, `sell10@110`, `stop10@90`, `buystop10@110`, `super10`, `supernow10`, `forever10`, `oco10`, `alert10`, `amo10`."""
    name, _, more = word.partition(":")
    kind = name.rstrip("0123456789@.")
    digits = name[len(kind) :] if "@" not in name else name.rpartition("@")[0].lstrip("abcdefghijklmnopqrstuvwxyz")
    kind = name.partition("@")[0].rstrip("0123456789")
    quantity = int(digits)
    price = name.partition("@")[2] or None
    if kind in ("buy", "sell"):
        desk.past(desk.order(kind.upper(), quantity, price, product=more or "INTRADAY"))
    elif kind in ("stop", "buystop"):
        side, limit = ("SELL", str(float(price or 90) - 1)) if kind == "stop" else ("BUY", str(float(price or 110) + 1))
        desk.past(
            desk.order(side, quantity, limit, order_type="STOP_LOSS", trigger_price=price, product=more or "INTRADAY")
        )
    elif kind == "super":
        entry = desk.order("BUY", quantity, "90")
        desk.broker.place_super(entry, target_e4=to_e4("95"), stop_e4=to_e4("85"))
    elif kind == "supernow":
        entry = desk.order("BUY", quantity, "100")
        desk.broker.place_super(entry, target_e4=to_e4("120"), stop_e4=to_e4("85"))
    elif kind == "forever":
        desk.broker.place_forever(desk.order("BUY", quantity, "120", product="CNC"), trigger_e4=to_e4("119"))
    elif kind == "foreverexit":
        desk.broker.place_forever(desk.order("SELL", quantity, "120", product="CNC"), trigger_e4=to_e4("119"))
    elif kind == "oco":
        sale = desk.order("SELL", quantity, "120", product="CNC")
        desk.broker.place_forever(sale, trigger_e4=to_e4("119"), stop_e4=to_e4("80"))
    elif kind == "alert":
        desk.broker.place_alert(desk.order("BUY", quantity, "120"), trigger_e4=to_e4("119"))
    elif kind == "amo":
        desk.broker.place_after_market(
            desk.order("BUY", quantity, "90"), opens_us=desk.clock.now_us() + 86_400 * SECOND
        )
    else:
        raise AssertionError(f"no order `{word}`")


def settings_of(words: str) -> tuple[PaperSettings, list[tuple[str, str, int | None]], set[str]]:
    """Read `lag=8,transit=5,place:refuse*2,can=lock+exit_all,noquote,circuit` into settings, faults and flags."""
    how: dict[str, Any] = {"hang_s": 0}
    faults: list[tuple[str, str, int | None]] = []
    flags: set[str] = set()
    names = {"lag": "position_lag_s", "transit": "transit_s", "olag": "order_lag_s", "cancel": "cancel_s",
             "fill": "fill_quantity_max", "protect": "market_protection_bps"}  # fmt: skip
    for word in [] if words == "-" else words.split(","):
        if ":" in word:
            operation, _, fault = word.partition(":")
            fault, _, times = fault.partition("*")
            faults.append((operation, fault, int(times) if times else None))
        elif word.startswith("can="):
            how["powers"] = tuple(word[4:].split("+"))
        elif "=" in word:
            name, _, value = word.partition("=")
            how[names[name]] = int(value)
        else:
            flags.add(word)
    how["keeps_hours"] = "closed" in flags
    return PaperSettings(**how), faults, flags


TRANSIT_US = 5 * SECOND
"""The longest the paper broker is told to keep an order in transit, where nobody can cancel it, or off its list."""


@dataclass(frozen=True)
class Rounds:
    """
    When a kill run could act, where it could not at every moment: nobody undoes what the market did before.

    Attributes:
        looks: Of each round that read every list: when it began, and the number of the last event when it was over.
        asked: By order, when the run first asked for its end.
    """

    looks: list[tuple[int, int]]
    asked: dict[str, int]

    def seen(self, since_us: int, after: int, before: int) -> bool:
        """Say whether a round that began at *since_us* or later was over between two events."""
        return any(began_us >= since_us and after <= last < before for began_us, last in self.looks)


@dataclass
class Judge:
    """
    Replays the events of one account after *from_us* and keeps what should never have been.

    Without *rounds* the run is taken to act at every moment. With them two things are nobody's fault, and only these. An
    order of before the kill crosses zero before any round could see it, or after the run asked for its end, where no exit
    of the run has filled. And a line is bare from the cancellation of a stop that is, with the others, larger than it, and
    would open a position, until the next round puts it back; where a limit larger than the line stood in its way, from the
    end of that one.

    With *after*, the number of the last event of before the kill, no time says where it was: the wall clock may jump.
    """

    events: list[Event]
    from_us: int
    rounds: Rounds | None = None
    after: int | None = None
    protected: dict[tuple[str, ...], int] = field(default_factory=dict)  # line -> what no stop guarded at the kill
    found: list[str] = field(default_factory=list)
    _too_large: dict[tuple[str, ...], Event] = field(default_factory=dict)  # line -> the end of a stop too large

    def replay(self, carried: dict[tuple[str, ...], int]) -> list[str]:
        """Return every wrong thing, in words; empty when there is none."""
        orders: dict[str, dict[str, Any]] = {}
        net: Counter[tuple[str, ...]] = Counter(carried)
        at_us = 0
        started = False
        placed_us: dict[str, int] = {}
        for event in self.events:
            if event.at_us != at_us:
                if started:
                    self._look(orders, net, at_us, event.number)
                at_us = event.at_us
            if not started and self._is_after(event):
                started = True
                for line, held in net.items():
                    if held and _cover(orders, line, held, stops=True):
                        self.protected[line] = abs(held) - min(abs(held), _cover(orders, line, held, stops=True))
            if event.what in ("PLACED", "CHANGED"):
                # An order riskguard sent after the kill is an exit or a stop: it can only take away.
                ours = started and event.what == "PLACED" and event.fields["correlation_id"].startswith("rg")
                ours = ours or orders.get(event.order_id, {}).get("ours", False)
                live = event.fields["status"] not in ("REJECTED", "CANCELLED")
                acted = ours or (started and event.what == "CHANGED")
                orders[event.order_id] = {**event.fields, "live": live, "ours": ours, "acted": acted}
                placed_us.setdefault(event.order_id, event.at_us)
            elif event.what == "ENDED":
                orders[event.order_id]["live"] = False
                self._note_too_large(orders, net, event)
            elif event.what == "FILLED":
                order = orders[event.order_id]
                line = (order["exchange_segment"], order["security_id"], order["product"])
                signed = event.fields["quantity"] * (1 if order["side"] == "BUY" else -1)
                before, after = net[line], net[line] + signed
                crossed = before and after and (before > 0) != (after > 0)
                if started and crossed:
                    if not self._was_quicker(event, orders, placed_us[event.order_id]):
                        self.found.append(f"crossed: {line} from {before} to {after} at {event.number}")
                    elif line in self.protected:  # another position, which no stop ever guarded
                        self.protected[line] = max(abs(after), self.protected[line])
                if order["ours"] and abs(after) > abs(before):
                    self.found.append(f"opened: {line} from {before} to {after} by {event.order_id}")
                net[line] = after
                order["filled"] += event.fields["quantity"]
                order["live"] = event.fields["status"] != "TRADED"
        self._look(orders, net, at_us, self.events[-1].number + 1 if self.events else 0)
        self._count_messages()
        return self.found

    def _is_after(self, event: Event) -> bool:
        return event.at_us >= self.from_us if self.after is None else event.number > self.after

    def _was_quicker(self, event: Event, orders: dict[str, dict[str, Any]], placed_us: int) -> bool:
        """
        Say whether an order of before the kill filled before a round could ask for its end, or after one did.

        Not where an exit of the kill has filled on the line: two that could close it twice is the run's own doing.
        """
        line = _line(orders[event.order_id])
        closing = any(each["acted"] and each["filled"] and _line(each) == line for each in orders.values())
        if self.rounds is None or closing or orders[event.order_id]["acted"]:
            return False
        asked_us = self.rounds.asked.get(event.order_id)
        if asked_us is not None and asked_us <= event.at_us:
            return True
        first = next(each.number for each in self.events if self._is_after(each))
        return not self.rounds.seen(max(self.from_us, placed_us + TRANSIT_US), first - 1, event.number)

    def _note_too_large(
        self, orders: dict[str, dict[str, Any]], net: Counter[tuple[str, ...]], event: Event
    ) -> None:  # fmt: skip
        order = orders[event.order_id]
        line = _line(order)
        held, left = net[line], order["quantity"] - order["filled"]
        takes_away = held != 0 and (held > 0) == (order["side"] == "SELL")
        too_large = takes_away and left + _cover(orders, line, held, stops=True) > abs(held)
        in_the_way = line in self._too_large and not _cover(orders, line, held, stops=True)
        is_meant = order["trigger_price_e4"] or in_the_way
        if too_large and is_meant and event.fields.get("status") == "CANCELLED":
            self._too_large[line] = event

    def _is_put_back_next(self, line: tuple[str, ...], number: int) -> bool:
        """Say whether the line lost a stop that was too large, and no round since was over before event *number*."""
        ended = self._too_large.get(line)
        if self.rounds is None or ended is None or ended.order_id not in self.rounds.asked:
            return False
        return not self.rounds.seen(ended.at_us, ended.number, number)

    def _look(
        self, orders: dict[str, dict[str, Any]], net: Counter[tuple[str, ...]], at_us: int, number: int
    ) -> None:  # fmt: skip
        """Look at how it stood before event *number*."""
        for line, open_before in self.protected.items():
            held = net[line]
            bare = abs(held) - _cover(orders, line, held)
            if held and bare > open_before and not self._is_put_back_next(line, number):
                self.found.append(f"naked: {line} holds {held} at {(at_us - self.from_us) / SECOND:g} s")

    def _count_messages(self) -> None:
        times = [event.at_us for event in self.events if event.what == "MESSAGE" and self._is_after(event)]
        for most, width_us in WINDOWS:
            for at_us in times:
                sent = sum(at_us - width_us < each <= at_us for each in times)
                if sent > most:
                    self.found.append(f"{sent} messages in {width_us // SECOND} s")
                    break


def _line(order: dict[str, Any]) -> tuple[str, ...]:
    return order["exchange_segment"], order["security_id"], order["product"]


def _cover(orders: dict[str, dict[str, Any]], line: tuple[str, ...], held: int, *, stops: bool = False) -> int:
    """Return how much of a line live orders (of them the *stops*) take away; legs of one group count once."""
    side = "SELL" if held > 0 else "BUY"
    total, groups = 0, Counter[str]()
    for order in orders.values():
        if not order["live"] or order["side"] != side or order["leg"] == "ENTRY" or order["status"] == "INACTIVE":
            continue
        if (order["exchange_segment"], order["security_id"], order["product"]) != line:
            continue
        if order["status"] == "AMO" or (order["leg"] == "TARGET" and order["kind"] != "ORDER"):
            continue
        if stops and not order["trigger_price_e4"]:
            continue
        left = order["quantity"] - order["filled"]
        if order["group_name"]:
            groups[order["group_name"]] = max(groups[order["group_name"]], left)
        else:
            total += left
    return total + sum(groups.values())


def carried_of(desk: Desk, words: str) -> dict[tuple[str, ...], int]:
    """Return what the words bring in from another day."""
    found = {}
    for word in [] if words == "-" else words.split(","):
        if "^" in word:
            line, _, product = word.partition(":")
            name = line.replace("^", "").rstrip("+-0123456789")
            product = product or ("INTRADAY" if name == "share" else "MARGIN")
            found[(*INSTRUMENTS[name].key, product)] = int(line.replace("^", "")[len(name) :])
    return found


def drive(
    desk: Desk, runner: KillRunner, *, s_max: float, move: Callable[[], None], until: Callable[[KillRun], bool]
) -> KillRun:
    """Advance, second by second at first, until *until* says so of the newest run, at most *s_max* times."""
    run: KillRun | None = None
    for number in range(int(s_max)):
        desk.clock.advance(1 if number < 14 else 6)
        move()
        standing = runner.advance()
        run = standing[-1] if standing else run
        if run is not None and until(run):
            break
    assert run is not None
    return run


def steps(desk: Desk) -> list[tuple[Any, ...]]:
    return desk.rows("SELECT step, round, target, state, detail, read_back FROM kill_steps ORDER BY id")


def net_of(desk: Desk) -> dict[str, int]:
    """Return what is really held, by `security:product`, whatever the lagging list says."""
    desk.join_market(settings=PaperSettings())
    rows = desk.broker.positions()
    return {f"{each.security_id}:{each.product}": each.net for each in rows if each.net}


def told(desk: Desk) -> dict[str, Any]:
    """Return the last row of `kill_runs` as a dictionary."""
    names = ("state", "step", "detail", "blocked_by", "retry_at_us", "reruns", "locked", "watch_until_us", "held")
    (row,) = desk.rows(f"SELECT {', '.join(names)} FROM kill_runs ORDER BY id DESC LIMIT 1")  # noqa: S608
    return {**dict(zip(names, row, strict=True)), "held": json.loads(row[-1])}


ACCOUNT_NAME = ACCOUNT
