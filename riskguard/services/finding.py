"""What a look at an installation finds: how bad, what, and the way out."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """
    How bad: an ERROR is what makes the command end with 1. OK is said only of what was asked elsewhere and answered
    well; what could not be asked is a WARNING, for unknown is not ok.
    """

    OK = "ok"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing somebody should know; `way_out` says what to do, "" when there is nothing to do."""

    severity: Severity
    subject: str
    what: str
    way_out: str = ""

    @property
    def status(self) -> str:
        """Return it in one word for programs: ok, warn, fail."""
        return {Severity.WARNING: "warn", Severity.ERROR: "fail"}.get(self.severity, "ok")
