"""The end of a run: what is proven, what is held now, and until when it is watched."""

from __future__ import annotations

import datetime as dt

from riskguard.core.calendar import DAY_US, ist_us
from riskguard.services.kill.killrun.round import Round
from riskguard.store import loader


def finish(round_: Round, said: str, *, locked: bool = False) -> None:
    """Write DONE; a kill is watched from here to the session's end, a task is over."""
    watch_until_us = session_end_us(round_.now_us) if round_.run.halts else None
    round_.move("DONE", "WATCH", said, locked=locked, watch_until_us=watch_until_us, held=round_.held())


def session_end_us(now_us: int) -> int:
    """
    Return the end of the session *now_us* lies in, microseconds UTC: midnight in India.

    One trading day spans every segment an account trades; commodities close five minutes before it.
    """
    return ist_us(dt.date.fromisoformat(loader.session_date(now_us))) + DAY_US
