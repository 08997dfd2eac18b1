"""
The latch of one account as an object of which one can ask: `check`, `kill`, `release`; and the promise without a search.
"""

from __future__ import annotations

from collections.abc import Sequence

from tests.reliability.linear.checker import Operation


def step_latch(halted: bool, operation: Operation) -> bool | None:
    """Return whether the account is halted after *operation*; None when the latch would have answered otherwise."""
    if operation.what == "kill":
        return True
    if operation.what == "release":
        return halted if operation.answer == "refused" else False
    if operation.answer == "approved":
        return None if halted else False
    return True if halted else None


def direct(history: Sequence[Operation]) -> list[Operation]:
    """
    Return approvals that began after a kill had returned and that no release can explain: the promise, word for word.

    A release explains one when it ended after the kill began and began before the approval ended.
    """
    kills = [each for each in history if each.what == "kill" and each.ended_ns is not None]
    releases = [each for each in history if each.what == "release" and each.answer == "ok"]
    wrong = []
    for each in history:
        if each.what != "check" or each.answer != "approved":
            continue
        for kill in kills:
            if kill.ended_ns is None or kill.ended_ns >= each.began_ns:
                continue
            explained = any(
                (release.ended_ns is None or release.ended_ns > kill.began_ns)
                and (each.ended_ns is None or release.began_ns < each.ended_ns)
                for release in releases
            )
            if not explained:
                wrong.append(each)
                break
    return wrong
