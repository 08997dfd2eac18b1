"""What was asked of the broker, and what went wrong. Secrets are taken out before anything is written."""

from __future__ import annotations

import json
import traceback
from typing import Any

import sqlalchemy as sa

from riskguard.redaction import clean, redacted
from riskguard.store.repositories.base import Repository
from riskguard.store.rows.audit import AuditLogRow, ErrorLogRow
from riskguard.store.tables.audit import audit_log, error_log

_a, _e = audit_log.c, error_log.c


class AuditRepository(Repository):
    """The two logs. They are added to, never changed: there is no method that would."""

    def log_audit(
        self, action: str, account_type: str, request_data: Any = None, response_data: Any = None,
        status_code: int | None = None, error_message: str | None = None, duration_ms: int | None = None,
        *, module: str | None = None,
    ) -> int:  # fmt: skip
        """
        Write one call to the broker and return its number.

        Request and response may be JSON-like values, text or bytes; tokens, TPINs, passwords and the like are
        replaced by `[redacted]`, by their name or their shape, and by value where this process knows them.
        """
        row = AuditLogRow(
            action=redacted(action), account_type=account_type, module=module, request_data=_told(request_data),
            response_data=_told(response_data), status_code=status_code,
            error_message=None if error_message is None else redacted(error_message), duration_ms=duration_ms,
            ts=self._now_s(),
        )  # fmt: skip
        return self._insert(row)[0]

    def get_audit_log(
        self, account_type: str | None = None, action: str | None = None, from_ts: int | None = None, limit: int = 100
    ) -> list[AuditLogRow]:
        """Return calls, newest first; *from_ts* is epoch seconds, included."""
        statement = sa.select(audit_log)
        if account_type is not None:
            statement = statement.where(_a.account_type == account_type)
        if action is not None:
            statement = statement.where(_a.action == action)
        if from_ts is not None:
            statement = statement.where(_a.ts >= from_ts)
        return self._rows(AuditLogRow, statement.order_by(_a.ts.desc(), _a.id.desc()), limit)

    def log_error(
        self, error: BaseException | str, error_message: str | None = None, *, error_code: str | None = None,
        severity: str = "ERROR", account_type: str | None = None, order_id: str | None = None, context: Any = None,
    ) -> int:  # fmt: skip
        """
        Write an error and return its number: an exception with its traceback, or a kind of your own with a message.

        *severity* is DEBUG, INFO, WARNING, ERROR or CRITICAL. Secrets are taken out of all of it.
        """
        stack = None
        if isinstance(error, BaseException):
            stack = "".join(traceback.format_exception(error))
            kind, message = type(error).__name__, error_message or str(error) or type(error).__name__
        else:
            kind, message = error, error_message or error
        row = ErrorLogRow(
            error_type=redacted(kind), error_code=error_code, error_message=_storable(redacted(message)),
            stack_trace=None if stack is None else _storable(redacted(stack)), context=_told(context),
            severity=severity, account_type=account_type, order_id=order_id, occurred_at=self._now_s(),
        )  # fmt: skip
        return self._insert(row)[0]

    def get_errors(
        self, severity: str | None = None, account_type: str | None = None, from_ts: int | None = None, limit: int = 100
    ) -> list[ErrorLogRow]:
        """Return errors, newest first; *from_ts* is epoch seconds, included."""
        statement = sa.select(error_log)
        if severity is not None:
            statement = statement.where(_e.severity == severity)
        if account_type is not None:
            statement = statement.where(_e.account_type == account_type)
        if from_ts is not None:
            statement = statement.where(_e.occurred_at >= from_ts)
        return self._rows(ErrorLogRow, statement.order_by(_e.occurred_at.desc(), _e.id.desc()), limit)


def _told(value: Any) -> str | None:
    """Return *value* as text without its secrets; JSON text is cleaned by the names in it as well."""
    if value is None:
        return None
    if isinstance(value, bytes | bytearray):
        value = bytes(value).decode("utf-8", "replace")
    if isinstance(value, str):
        try:
            parsed = json.loads(value)
        except ValueError:
            return _storable(redacted(value))
        if not isinstance(parsed, dict | list):
            return _storable(redacted(value))
        value = parsed
    return _storable(json.dumps(clean(value), ensure_ascii=False, default=str))


def _storable(text: str) -> str:
    # Evidence with a broken character in it is still evidence.
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")
