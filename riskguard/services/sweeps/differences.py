"""
Our book against the broker's list, line by line: what both say, and what only one does.

The list lags its fills by seconds, so a line is compared only when the list was fetched 5 s after its last fill. What
then differs is kept with how many looks in a row showed it; what agrees again is forgotten.
"""

from __future__ import annotations

import logging

from riskguard.core.book import SETTLE_US
from riskguard.core.seen import Seen
from riskguard.store import books, sweeps
from riskguard.store.session import Session
from riskguard.store.sweeps import Difference

log = logging.getLogger("riskguard")

Key = tuple[str, str, str]
TOLD_MAX = 5


def compare(session: Session, account: str, date: str, seen: Seen) -> list[Difference]:
    """
    Compare every line with the look's position list and keep what differs; returns what stands now.

    Nothing is compared without a list, or before the day has a baseline: what was carried in is not known then.
    """
    if seen.positions is None or books.baseline(session, account, date) is None:
        return []
    theirs: dict[Key, int] = {}
    for row in seen.positions:
        key = (row.exchange_segment, row.security_id, row.product)
        theirs[key] = theirs.get(key, 0) + row.net
    ours: dict[Key, tuple[int, int]] = {}
    for line in session.rows(books.LINES, account=account, session_date=date):
        segment, security, product, start, _close, filled, _buy, _sell, last_us, *_rest = line
        ours[segment, security, product] = (start + filled, last_us or 0)
    standing = {each.key: each for each in sweeps.differences(session, account)}
    found = []
    for key in {*theirs, *ours, *standing}:
        net, last_fill_us = ours.get(key, (0, 0))
        shown, before = theirs.get(key, 0), standing.get(key)
        if net == shown:
            if before is not None:
                sweeps.explained(session, account, key)
            continue
        if last_fill_us and seen.fetched_at_us < last_fill_us + SETTLE_US:
            if before is not None:
                found.append(before)  # too soon to say: what stood before stands
            continue
        found.append(_counted(session, account, date, key, net, shown, before, seen.fetched_at_us))
    new = [each for each in found if each.reads == 1 and each.first_at_us == seen.fetched_at_us]
    if new:
        told = ", ".join(f"{each.key}: we count {each.ours}, the broker shows {each.theirs}" for each in new[:TOLD_MAX])
        log.warning("%s: %s lines nothing explains: %s", account, len(new), told)
    return sorted(found)


def _counted(
    session: Session, account: str, date: str, key: Key, ours: int, theirs: int, before: Difference | None, at_us: int
) -> Difference:  # fmt: skip
    """Keep one difference; another look counts once the list has had its time again."""
    if before is None or before.session_date != date:
        made = Difference(*key, ours, theirs, 1, at_us, at_us, date)
    elif at_us - before.last_at_us >= SETTLE_US:
        made = before._replace(ours=ours, theirs=theirs, reads=before.reads + 1, last_at_us=at_us)
    else:
        made = before._replace(ours=ours, theirs=theirs)
    if made != before:
        sweeps.save_difference(session, account, made)
    return made
