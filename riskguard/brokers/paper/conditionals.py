"""Placing what is more than one plain order: for tests and demonstrations, past riskguard, as a broker's app would."""

from __future__ import annotations

from riskguard.brokers.paper import conditional
from riskguard.brokers.paper import orders as book
from riskguard.brokers.paper.connection import Connection
from riskguard.core.money import to_text
from riskguard.core.order import Order


class Conditionals(Connection):
    """Super, forever and after-market orders and alerts of one account."""

    def place_super(self, order: Order, *, target_e4: int, stop_e4: int) -> tuple[str, str, str]:
        """
        Place an entry with a target and a stop; returns their ids. The exits work once the entry has filled.

        Cancelling the entry ends all three, also the exits of what has filled.
        """
        with self._file.writing() as connection:
            today, now_us = self._now()
            name = f"S-{order.client_order_id}"
            side = "SELL" if order.side == "BUY" else "BUY"
            number = book.insert(
                connection, order, f"{name}-E", "TRANSIT", today, now_us, "", kind="SUPER", group=name, leg="ENTRY",
                placed_us=now_us,
            )  # fmt: skip
            target = order.replaced(
                side=side, order_type="LIMIT", price=to_text(target_e4), trigger_price=None, stop_loss=None
            )
            stop = order.replaced(
                side=side, order_type="STOP_LOSS_MARKET", price=None, trigger_price=to_text(stop_e4), stop_loss=None
            )
            legs = [
                book.insert(
                    connection, each, f"{name}-{leg[0]}", "INACTIVE", today, now_us, "", kind="SUPER", group=name, leg=leg,
                    placed_us=now_us,
                )
                for each, leg in ((target, "TARGET"), (stop, "STOP_LOSS"))
            ]  # fmt: skip
            book.land(connection, today, now_us)
        return book.order_id(number), book.order_id(legs[0]), book.order_id(legs[1])

    def place_forever(self, order: Order, *, trigger_e4: int, stop_e4: int | None = None) -> tuple[str, ...]:
        """Let *order* rest for days until the last price reaches *trigger_e4*; with *stop_e4* as one of two (OCO)."""
        name = f"F-{order.client_order_id}" if stop_e4 is not None else ""
        made = [self._rest(order, "FOREVER", "CONFIRM", trigger_e4, name, "TARGET")]
        if stop_e4 is not None:
            made.append(self._rest(order, "FOREVER", "CONFIRM", stop_e4, name, "STOP_LOSS"))
        return tuple(made)

    def place_alert(self, order: Order, *, trigger_e4: int) -> str:
        """Place *order* once the last price reaches *trigger_e4*."""
        return self._rest(order, "ALERT", "ACTIVE", trigger_e4, "", "")

    def place_after_market(self, order: Order, *, opens_us: int) -> str:
        """Keep *order* for the opening at *opens_us*."""
        with self._file.writing() as connection:
            _today, now_us = self._now()
            number = book.insert(
                connection, order, f"A-{order.client_order_id}", "AMO", conditional.EVERY_DAY, opens_us, "",
                placed_us=now_us,
            )  # fmt: skip
        return book.order_id(number)

    def _rest(self, order: Order, kind: str, status: str, trigger_e4: int, group: str, leg: str) -> str:
        with self._file.writing() as connection:
            today, now_us = self._now()
            quote = book.quote_of(connection, order.instrument, today)
            rises = quote is None or quote.ltp_e4 is None or trigger_e4 > quote.ltp_e4
            number = book.insert(
                connection, order, f"{kind[0]}{leg[:1]}-{order.client_order_id}", status, conditional.EVERY_DAY, now_us, "",
                kind=kind, group=group, leg=leg, placed_us=now_us,
            )  # fmt: skip
            connection.execute(
                "UPDATE orders SET trigger_price_e4 = ?, triggered = ? WHERE number = ?",
                (trigger_e4, int(rises), number),
            )
        return book.order_id(number)
