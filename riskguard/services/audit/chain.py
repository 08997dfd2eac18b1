"""
Many entries of a chain at once: what is as an order's entry usually is costs a few comparisons and no call of ours.

Whatever is not so is asked `store.journal.Walker`, one by one, which names what is wrong. What passes here passes there:
the same columns, the same hash, the same order; a test asks both of every forgery.
"""

from __future__ import annotations

from collections.abc import Sequence
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


def true_of(walker: Walker, rows: Sequence[Row]) -> tuple[list[Entry], Wrong | None]:
    """Return the entries of *rows* that are true, up to the first that is wrong, and what is wrong with that one."""
    if not _is_chained(walker, rows):
        return _one_by_one(walker, rows)
    found: list[Entry] = []
    account = quoted(walker.account)
    begins = {0: _BEGINS.format(account, "false"), 1: _BEGINS.format(account, "true")}
    for row in rows:
        sequence, name, kind, approved, strategy, at_us, body, previous, _digest, _mac = row
        try:
            if body.startswith(f'{begins[approved]}{at_us},"client_order_id":{quoted(name)},"facts":'):
                said = from_json("{" + body[body.rindex(_TAIL) + 1 :])
                if (
                    said["kind"] == kind
                    and said["sequence"] == sequence
                    and said["order"]["strategy"] == strategy
                    and "account" not in said
                    and "at_us" not in said
                ):
                    found.append((row, said))
                    continue
        except (ValueError, KeyError, TypeError):  # the walker says what is wrong, or that nothing is
            pass
        walker.previous, walker.next = previous, sequence
        wrong, said = walker.judge(row)
        if wrong is not None:
            return found, wrong
        found.append((row, said))
    if rows:
        walker.previous, walker.next = rows[-1][8], rows[-1][0] + 1
    return found, None


def _is_chained(walker: Walker, rows: Sequence[Row]) -> bool:
    """Say whether *rows* come without a gap, each follows from the one before, and each hash is that of its contents."""
    if not rows:
        return True
    sequences, _names, _kinds, _approved, _strategies, _times, bodies, follow, hashes, _macs = zip(*rows, strict=True)
    if sequences != tuple(range(walker.next, walker.next + len(rows))) or follow != (walker.previous, *hashes[:-1]):
        return False
    try:
        made = [sha256((previous + body).encode()).hexdigest() for previous, body in zip(follow, bodies, strict=True)]
    except (ValueError, TypeError):
        return False
    return made == list(hashes)


def _one_by_one(walker: Walker, rows: Sequence[Row]) -> tuple[list[Entry], Wrong | None]:
    found: list[Entry] = []
    for row in rows:
        wrong, said = walker.judge(row)
        if wrong is not None:
            return found, wrong
        found.append((row, said))
    return found, None
