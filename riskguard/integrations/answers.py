"""
What an answer of the user's own dhanhq client says: taken, refused, or nobody knows.

The client turns every error into a dictionary, so the words decide: a refusal must come from the broker and say that
it is one. Everything else leaves the order in doubt, and doubt stays reserved. Source: dhanhq-v2.md §20, §23.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

UNSURE_CODES: Final = frozenset({"DH-908", "DH-909", "DH-910", "DH-1111"})
"""Said when the broker's own machines failed: the order may rest all the same."""
REFUSED_STATUSES: Final = frozenset({"REJECTED"})


class Answer(NamedTuple):
    """`kind`: TAKEN, REFUSED, UNKNOWN. `order_ids`: of all orders the call made, in the answer's order."""

    kind: str
    order_ids: tuple[str, ...]
    said: str


def read(response: object) -> Answer:
    """Read one answer of a call that writes."""
    if not isinstance(response, Mapping):
        return Answer("UNKNOWN", (), f"no answer in dhanhq's form: {type(response).__name__}")
    data, remarks = response.get("data"), response.get("remarks")
    if response.get("status") == "success":
        rows = data if isinstance(data, list) else [data]
        ids = tuple(found for found in map(_order_id, rows) if found)
        words = {str(row.get("orderStatus", "")).upper() for row in rows if isinstance(row, Mapping)}
        if words and words <= REFUSED_STATUSES:
            return Answer("REFUSED", ids, "REJECTED by the broker")
        # A 2xx whose body says ERROR is handed on as a success: without an order's id nothing is proven.
        return Answer("TAKEN", ids, "") if ids else Answer("UNKNOWN", (), "the broker named no order")
    if isinstance(remarks, Mapping):
        code = str(remarks.get("error_code") or "")
        said = f"{code} {remarks.get('error_message') or ''}".strip()
        if code.startswith("DH-") and code not in UNSURE_CODES:
            return Answer("REFUSED", (), said)
        return Answer("UNKNOWN", (), said or "an error without a code")
    return Answer("UNKNOWN", (), str(remarks or "no remark")[:200])


def _order_id(row: object) -> str:
    if not isinstance(row, Mapping):
        return ""
    for key in ("orderId", "alertId"):
        value: Any = row.get(key)
        if isinstance(value, str | int) and not isinstance(value, bool) and str(value) not in ("", "0"):
            return str(value)
    return ""
