"""
Causes that clear themselves: raised after so many bad readings in a row, gone after so many clean ones.

A reading is counted once, by the time it was true; one that is neither bad nor clean breaks either row. What is not
known neither counts nor clears.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from riskguard.core.live.verdict import Memory

Reads = Annotated[int, Field(gt=0, le=1_000)]

RAISE, CLEAR, NONE = "raise", "clear", ""


def step(
    memory: Memory, *, bad: bool | None, clean: bool | None = None, at_us: int | None, bad_reads: int, clean_reads: int
) -> tuple[dict[str, Any], str]:
    """Return (new memory, RAISE, CLEAR or NONE) after one reading true at *at_us*; *clean* is `not bad` unless said."""
    kept = dict(memory)
    if bad is None or at_us is None or at_us <= kept.get("read_us", 0):
        return kept, NONE
    clean = not bad if clean is None else clean
    if clean and not kept.get("raised") and not kept.get("bad"):
        return kept, NONE  # all is well and was: nothing to write
    kept["read_us"] = at_us
    kept["bad"] = kept.get("bad", 0) + 1 if bad else 0
    kept["clean"] = kept.get("clean", 0) + 1 if clean else 0
    if not kept.get("raised") and kept["bad"] >= bad_reads:
        kept["raised"] = True
        return kept, RAISE
    if kept.get("raised") and kept["clean"] >= clean_reads:
        return {}, CLEAR
    return kept, NONE
