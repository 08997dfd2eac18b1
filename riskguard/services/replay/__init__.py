"""
Replays a real day through the guard: market, strategy, sweep and kill switch, in compressed time.

The strategy trades index futures on the paper broker; the contracts are marked by the index's own bars,
because index bars are what is public. Nothing here is staged: another day gives another story.
"""

from __future__ import annotations

from riskguard.services.replay.day import Replay
from riskguard.services.replay.market import minutes
from riskguard.services.replay.outcome import Moment, Outcome
from riskguard.services.replay.strategies import STRATEGIES
from riskguard.services.replay.unguarded import run_unguarded

__all__ = ["STRATEGIES", "Moment", "Outcome", "Replay", "minutes", "run_unguarded"]
