"""
Dhan's own switches: kill switch, exit-all, and the exit at a loss.

None of them is a substitute for ours. The kill switch engages on a flat account only and answers with a sentence,
so only reading back says how it stands; the exit at a loss never covers MARGIN, and ends with the day.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any, Final

from riskguard.brokers.dhan.answers import OTHER, DhanRefusedError, judged
from riskguard.brokers.dhan.attempt import Deadline
from riskguard.brokers.dhan.fields import Row
from riskguard.brokers.dhan.wire import Answer, Wire
from riskguard.core.money import SCALE, to_text
from riskguard.core.seen import SeenBackstop
from riskguard.errors import BrokerRefusedError, BrokerUnconfirmedError

ON: Final = frozenset({"ACTIVATE", "ACTIVE", "ACTIVATED"})
OFF: Final = frozenset({"DEACTIVATE", "INACTIVE", "DEACTIVATED", "DEACTIVE"})
COVERS: Final = {"INTRADAY": "INTRADAY", "CNC": "DELIVERY", "DELIVERY": "DELIVERY"}
PRODUCT_OF: Final = {"INTRADAY": "INTRADAY", "DELIVERY": "CNC"}
PAISA_E4: Final = 100
PROFIT_NEVER: Final = to_text(10**9 * SCALE)
"""The call wants a profit to exit at, too: one that no account reaches."""


class Control:
    """What switches the account at Dhan. Nothing is repeated by itself: a kill run decides that."""

    wire: Wire
    _read: Callable[..., Any]

    # -- the kill switch ------------------------------------------------------------------------------------------

    def lock(self) -> None:
        """
        Ask Dhan to disable trading for the day. Its answer is a sentence, also where it will not: ask `is_locked`.

        Raises BrokerRefusedError (a position or an order stands, or the address is not registered) and its family.
        """
        self._write("kill switch", lambda dhan: dhan.kill_switch("ACTIVATE"))

    def unlock(self) -> None:
        """Ask Dhan to enable trading again; it may do so once a day, or not at all."""
        self._write("kill switch", lambda dhan: dhan.kill_switch("DEACTIVATE"))

    def is_locked(self) -> bool:
        """Return how the switch reads; a word that is neither on nor off raises BrokerUnconfirmedError."""
        return bool(self._read("kill switch state", lambda dhan: dhan.status_kill_switch(), _is_on))

    # -- exit-all -------------------------------------------------------------------------------------------------

    def exit_all(self) -> None:
        """
        Ask Dhan to close every position and cancel the day's orders; sent once. It may answer with nothing at all.

        Repeating it while exits work is not proven safe: look at the book first.
        """
        self._write("exit all", lambda dhan: dhan.exit_all_positions())

    # -- the exit at a loss ---------------------------------------------------------------------------------------

    def arm_backstop(self, loss_e4: int, products: Sequence[str]) -> None:
        """
        Have Dhan exit at a day loss of *loss_e4* (1/10000 rupee above 0, rounded up to the paisa), engage its kill
        switch after it, and read back that it stands so.

        Args:
            products: INTRADAY and CNC; it covers no other, MARGIN least of all.

        Raises:
            BrokerRefusedError: It will not, or a product is not covered. BrokerUnconfirmedError: What stands is not
            what was asked.
        """
        uncovered = sorted(set(products) - set(COVERS))
        if uncovered or not products:
            named = ", ".join(uncovered) or "nothing"
            raise BrokerRefusedError(f"backstop: Dhan's exit covers INTRADAY and CNC, not `{named}`")
        if type(loss_e4) is not int or loss_e4 <= 0:
            raise BrokerRefusedError(f"backstop: `{loss_e4}` is no loss, which is above 0")
        loss_e4 = -(-loss_e4 // PAISA_E4) * PAISA_E4
        words = sorted({COVERS[each] for each in products})
        with contextlib.suppress(BrokerUnconfirmedError):  # what stands is read next, and that decides
            self._arm(loss_e4, words)
        standing = self.backstop()
        stands = standing.is_armed and standing.loss_e4 == loss_e4
        if not stands or {COVERS.get(each, each) for each in standing.products} != set(words):
            read = "no figure" if standing.loss_e4 is None else to_text(standing.loss_e4)
            figure = f"{read} for {', '.join(standing.products)}"
            said = figure if standing.is_armed else "nothing"
            raise BrokerUnconfirmedError(
                f"backstop: asked for {to_text(loss_e4)}, and Dhan reads back {said}: arm it again"
            )

    def _arm(self, loss_e4: int, words: list[str]) -> None:
        # The documents show a positive loss; live accounts were refused it. So the negative one goes first.
        for sign in ("-", ""):
            payload = {
                "profitValue": PROFIT_NEVER, "lossValue": f"{sign}{to_text(loss_e4)}", "productType": words,
                "enableKillSwitch": True,
            }  # fmt: skip
            try:
                return self._post_exit(payload)
            except DhanRefusedError as e:
                if e.kind != OTHER or not sign:
                    raise
        return None

    def _post_exit(self, payload: dict[str, Any]) -> None:
        # Not `set_pnl_exit`: it makes floats of the amounts, which are texts.
        self._write("backstop", lambda dhan: dhan.dhan_http.post("/pnlExit", payload))

    def disarm_backstop(self) -> None:
        """Take the exit at a loss away."""
        self._write("backstop", lambda dhan: dhan.stop_pnl_exit())

    def backstop(self) -> SeenBackstop:
        """Return what stands. That none was ever set comes as an error from Dhan, and reads as not armed."""
        try:
            found = self._read("backstop", lambda dhan: dhan.get_pnl_exit(), _backstop)
        except DhanRefusedError as e:
            if e.kind != OTHER:
                raise
            return SeenBackstop(False, None)
        assert isinstance(found, SeenBackstop)
        return found

    def _write(self, what: str, use: Callable[[Any], Answer]) -> None:
        deadline = Deadline(self.wire.timeouts.operation_s)
        judged(what, self.wire.call(what, use, writes=True, deadline=deadline), writes=True)


def _is_on(value: Any, client_id: str) -> bool:
    row = Row("kill switch state", value, client_id)
    word = row.word("killSwitchStatus").upper()
    if word in ON:
        return True
    if word in OFF:
        return False
    raise row.wrong("killSwitchStatus")


def _backstop(value: Any, client_id: str) -> SeenBackstop:
    row = Row("backstop", value, client_id)
    word = row.word("pnlExitStatus").upper()
    if word not in ON and word not in OFF and word != "DISABLED":
        raise row.wrong("pnlExitStatus")
    loss_e4 = row.e4("loss", "lossValue")
    named = row.value.get("productType")
    products = [str(each).upper() for each in named] if isinstance(named, list) else [row.text("productType").upper()]
    armed = word in ON
    if armed and loss_e4 is None:
        raise row.wrong("loss")
    return SeenBackstop(
        armed, None if loss_e4 is None else abs(loss_e4), tuple(PRODUCT_OF.get(each, each) for each in products if each)
    )
