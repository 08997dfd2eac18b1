"""
The kill run: cancel, flatten if the plan says so, verify, lock at the broker, watch. Durable, leased, resumable by any
process.

One call of `KillRunner.advance` does one round: look at the broker, decide what is left, write each intent before it and
each answer after it. Source: kill-switch.md §3. One file per step; `round` is what they share.
"""

from __future__ import annotations

from riskguard.services.kill.killrun.covering import covered
from riskguard.services.kill.killrun.plans import CLEAN_APART_US, DOUBT_US, LEASE_US, STEPS_OF
from riskguard.services.kill.killrun.runner import KillRunner

__all__ = ["CLEAN_APART_US", "DOUBT_US", "LEASE_US", "STEPS_OF", "KillRunner", "covered"]
