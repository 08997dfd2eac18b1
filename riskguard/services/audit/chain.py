"""
Many entries of a chain at once: what is as an order's entry usually is costs a few comparisons and no call of ours.

Whatever is not so is asked `store.journal.Walker`, one by one, which names what is wrong. What passes here passes there:
the same columns, the same hash, the same order; a test asks both of every forgery.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from json.encoder import encode_basestring_ascii as quoted
from typing import Any, Final

from pydantic_core import from_json

from riskguard.store.journal import Row, Walker, Wrong

Entry = tuple[Row, dict[str, Any]]
"""A row of the chain that was judged true, and what its body says; of an order's the facts may be left out."""

_TAIL: Final = ',"kind":"'
"""What follows the facts. No string can pretend to be it: quotes inside strings are escaped."""
_BEGINS: Final = '{{"account":{},"adjusted_to":null,"approved":{},"at_us":'


def true_of(walker: Walker, rows: Iterable[Row]) -> tuple[list[Entry], Wrong | None]:
    """Return the entries of *rows* that are true, up to the first that is wrong, and what is wrong with that one."""
    found: list[Entry] = []
    account = quoted(walker.account)
    begins = {0: _BEGINS.format(account, "false"), 1: _BEGINS.format(account, "true")}
    previous, sequence = walker.previous, walker.next
    for row in rows:
        is_, name, kind, approved, strategy, at_us, body, follows, digest, _mac = row
        try:
            if (
                is_ == sequence
                and follows == previous
                and sha256((follows + body).encode()).hexdigest() == digest
                and body.startswith(f'{begins[approved]}{at_us},"client_order_id":{quoted(name)},"facts":')
            ):
                said = from_json("{" + body[body.rindex(_TAIL) + 1 :], cache_strings="keys")
                if (
                    said["kind"] == kind
                    and said["sequence"] == sequence
                    and said["order"]["strategy"] == strategy
                    and "account" not in said
                    and "at_us" not in said
                ):
                    found.append((row, said))
                    previous, sequence = digest, sequence + 1
                    continue
        except (ValueError, KeyError, TypeError):  # the walker says what is wrong, or that nothing is
            pass
        walker.previous, walker.next = previous, sequence
        wrong, said = walker.judge(row)
        if wrong is not None:
            return found, wrong
        found.append((row, said))
        previous, sequence = walker.previous, walker.next
    walker.previous, walker.next = previous, sequence
    return found, None
