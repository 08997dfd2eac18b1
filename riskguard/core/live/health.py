"""What `broker_health` and `feed_health` share: a soft cause with one sentence for each way."""

from __future__ import annotations

from riskguard.core.limits import Limit
from riskguard.core.live.soft import CLEAR, RAISE, step
from riskguard.core.live.verdict import Clear, Finding, Memory, Verdict, breach, cause_of


def judge_soft(
    limit: Limit, memory: Memory, *, wrong: str | None, known: bool, at_us: int | None, bad_reads: int, clean_reads: int,
    severity: str = "warning",
) -> Verdict:  # fmt: skip
    """
    Raise REDUCE_ONLY (or the limit's own state) after *bad_reads* of *wrong*, and clear it after *clean_reads* without.

    *wrong* is the sentence that says what is, None for nothing; not *known* neither counts nor clears.
    """
    kept, what = step(
        memory, bad=(wrong is not None) if known else None, at_us=at_us, bad_reads=bad_reads, clean_reads=clean_reads
    )
    made = Verdict(kept)
    if what == RAISE:
        code = f"{cause_of(limit)}_BAD"
        found = Finding(code, severity, f"{wrong} (limit `{limit.id}`)", limit.id, unit="")
        made.findings.append(found)
        made.actions.append(breach(limit, found, soft=True))
    elif what == CLEAR:
        made.clears.append(Clear(limit, cause_of(limit), "", "it is well again"))
    return made
