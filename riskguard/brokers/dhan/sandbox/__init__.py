"""A Dhan of our own, on this machine: to rehearse fills, kills and faults that no real account should see first."""

from __future__ import annotations

from riskguard.brokers.dhan.sandbox.scenario import Fault, Scenario, read_scenario
from riskguard.brokers.dhan.sandbox.server import Sandbox

__all__ = ["Fault", "Sandbox", "Scenario", "read_scenario"]
