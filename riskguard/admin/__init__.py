"""
What a strategy must not be able to do to itself: apply limits, release a halt, set a baseline.

Import it in operators' tools, never in a strategy. Each act names a person and is journaled before it counts.
"""

from __future__ import annotations

from riskguard.admin.applying import apply_rulebook
from riskguard.admin.baselines import set_baseline
from riskguard.admin.releasing import Release, Review, release, review

__all__ = ["Release", "Review", "apply_rulebook", "release", "review", "set_baseline"]
