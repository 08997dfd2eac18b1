"""VERIFY: look again, twice: flat where the plan closes, and nothing pending that adds risk."""

from __future__ import annotations

from riskguard.services.kill.killrun.covering import covered
from riskguard.services.kill.killrun.ending import finish
from riskguard.services.kill.killrun.judging import judge
from riskguard.services.kill.killrun.round import Round


def verify(round_: Round) -> None:
    """Do one round of proving; whatever turned up sends the run back to the step that deals with it."""
    judged = judge(round_.seen.orders or (), round_.account, round_.scope)
    if judged.adding or judged.unsure:
        said = f"{len(judged.adding) + len(judged.unsure)} orders appeared that may add risk"
        round_.move("OPEN", "CANCEL", said)
        return
    flattens = round_.plan_has("FLATTEN")
    left = covered(round_.account, round_.scope, round_.options.flatten_products) if flattens else []
    if left:
        round_.move("OPEN", "FLATTEN", f"{len(left)} positions are open")
        return
    if round_.doubt and round_.run.halts:
        round_.late(round_.doubt)
        return
    said = "flat, nothing pending" if flattens else "nothing pending that adds risk"
    if not round_.clean(said):
        return
    if round_.plan_has("LOCK"):
        round_.move("OPEN", "LOCK", said)
    else:
        finish(round_, said)
