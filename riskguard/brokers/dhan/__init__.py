"""Dhan: the adapter on the official client, and in `sandbox/` a server of our own to try it against."""

from __future__ import annotations

from riskguard.brokers.dhan.answers import DhanRefusedError
from riskguard.brokers.dhan.broker import DhanBroker
from riskguard.brokers.dhan.wire import LIVE_URL, Credentials, Meter, Timeouts, checked_url

__all__ = ["LIVE_URL", "Credentials", "DhanBroker", "DhanRefusedError", "Meter", "Timeouts", "checked_url"]
