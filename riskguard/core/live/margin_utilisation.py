"""
Margin utilisation: at `enter_pct` of the collateral in use only exits pass and increasing orders are cancelled.

Used / (used + available), as the broker last said; unknown neither counts nor clears. *Reaching* `enter_pct` enters.
Leaving wants `clean_reads` readings of the funds in a row *below* `leave_pct`: between the two nothing changes.
Source: SEBI CIR/MRD/DP/34/2012, risk reduction mode at 90 % of collateral.
"""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from riskguard.core.limits import Limit, live_check
from riskguard.core.live.soft import CLEAR, RAISE, Reads, step
from riskguard.core.live.verdict import Clear, Finding, Memory, Verdict, breach, cause_of
from riskguard.core.live.view import View
from riskguard.core.params import Params

Share = Annotated[int, Field(gt=0, le=100)]


class Parameters(Params):
    """Where risk reduction begins, where it ends, and how surely."""

    enter_pct: Share
    leave_pct: Share
    clean_reads: Reads

    @model_validator(mode="after")
    def _apart(self) -> Self:
        if self.leave_pct >= self.enter_pct:
            raise ValueError("`leave_pct` wants to be below `enter_pct`")
        return self


def judge(view: View, limit: Limit, params: Parameters, memory: Memory, now_us: int) -> Verdict:
    """Enter on one reading, leave after several."""
    funds = view.funds
    if funds is None or funds.used_e4 is None or funds.available_e4 is None:
        return Verdict(memory)
    whole_e4 = funds.used_e4 + funds.available_e4
    # Nothing left, or less than nothing, of what something is used of: that is all of it.
    bad = funds.used_e4 > 0 and (whole_e4 <= 0 or funds.used_e4 * 100 >= whole_e4 * params.enter_pct)
    clean = funds.used_e4 <= 0 or (whole_e4 > 0 and funds.used_e4 * 100 < whole_e4 * params.leave_pct)
    kept, what = step(
        memory, bad=bad, clean=clean, at_us=view.funds_at_us, bad_reads=1, clean_reads=params.clean_reads
    )  # fmt: skip
    made = Verdict(kept)
    if what == RAISE:
        pct = funds.used_e4 * 100 // whole_e4 if whole_e4 > 0 else 100
        said = (
            f"{pct} % of the collateral is in use, at most {params.enter_pct} % (limit `{limit.id}`): only exits pass"
        )
        found = Finding("MARGIN_UTILISATION_HIGH", "warning", said, limit.id, pct, params.enter_pct, "pct")
        made.findings.append(found)
        made.actions.append(breach(limit, found, soft=True, task="" if limit.plan == "halt" else limit.plan))
    elif what == CLEAR:
        made.clears.append(Clear(limit, cause_of(limit), "", f"below {params.leave_pct} % again"))
    return made


CHECK = live_check("margin_utilisation", Parameters, judge, period="ever")
