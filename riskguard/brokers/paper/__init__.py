"""A paper broker: real orders, an invented market, one file that several processes share."""

from __future__ import annotations

from riskguard.brokers.paper.broker import PaperBroker
from riskguard.brokers.paper.settings import PaperSettings

__all__ = ["PaperBroker", "PaperSettings"]
