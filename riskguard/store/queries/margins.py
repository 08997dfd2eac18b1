"""What the broker's calculator said an order needs."""

from __future__ import annotations

from riskguard.store.spelling import insert_into, tables

margin_requirements = tables.funds.margin_requirements

ADD = insert_into(
    margin_requirements, "account_type", "security_id", "exchange_segment", "quantity", "price", "product", "total_margin",
    "span_margin", "exposure_margin", "var_margin", "calculated_at", "side", "leg_set",
)  # fmt: skip
