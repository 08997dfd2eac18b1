"""What became of alerts, to read: for `riskguard alerts list`, the report of a day, and `riskguard doctor`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from riskguard.services.finding import Finding, Severity
from riskguard.services.settings import read_settings
from riskguard.store.queries.alert_counts import ALERTS, CHANNELS, COUNT, DELIVERIES, FIELDS, LAST_SENT, STUCK, UNSENT
from riskguard.store.session import Session, Store

WAIT_S: Final = 2.0
MINUTE_US: Final = 60_000_000
LATE_US: Final = 5 * MINUTE_US
DAY_US: Final = 1_440 * MINUTE_US

US_MAX: Final = 2**62


def recent(
    session: Session, *, account: str | None = None, since_us: int = 0, until_us: int = US_MAX, most: int = 200
) -> list[dict[str, Any]]:
    """Return alerts, newest first, each with its deliveries; those of all accounts come with every account's."""
    found = [
        {**dict(zip(FIELDS, row, strict=True)), "deliveries": []}
        for row in session.rows(ALERTS, account=account, since_us=since_us, until_us=until_us, most=most)
    ]
    if found:
        by_id = {each["id"]: each for each in found}
        for alert_id, channel, part, state, attempts, sent_at_us, error in session.rows(
            DELIVERIES, low=found[-1]["id"], high=found[0]["id"]
        ):
            if alert_id in by_id:
                by_id[alert_id]["deliveries"].append(
                    {"channel": channel, "part": part, "state": state, "attempts": attempts, "sent_at_us": sent_at_us,
                     "last_error": error}
                )  # fmt: skip
    return found


def count(session: Session, *, account: str | None = None, since_us: int = 0, until_us: int = US_MAX) -> int:
    """Return how many alerts `recent` would list if it listed all."""
    row = session.row(COUNT, account=account, since_us=since_us, until_us=until_us)
    return 0 if row is None else int(row[0])


def alert_findings(store: Store, now_us: int) -> Iterator[Finding]:
    """Whether anybody would hear: a channel, when it last took something, what is stuck. For `riskguard doctor`."""
    with store.session(durable=False, wait_s=WAIT_S) as session:
        profile = read_settings(session).profile
        names = [row[0] for row in session.rows(CHANNELS)]
        last = dict(session.rows(LAST_SENT))
        stuck = session.rows(STUCK, late_us=now_us - LATE_US, day_us=now_us - DAY_US)
        unsent_row = session.row(UNSENT, late_us=now_us - LATE_US)
        store.roll_back(session)
    if not names:
        if profile != "paper":
            yield Finding(
                Severity.WARNING, "alerts", "no channel: alerts reach nobody but the log",
                "`riskguard alerts channels add NAME`",
            )  # fmt: skip
        return
    unsent = 0 if unsent_row is None else unsent_row[0]
    if unsent:
        yield Finding(
            Severity.WARNING, "alerts", f"{unsent} wait and nobody sends them: `riskguard run` does",
            "start `riskguard run`",
        )  # fmt: skip
    for name in names:
        test = f"`riskguard alerts test --channel {name}`"
        if last.get(name) is None:
            yield Finding(Severity.WARNING, "alerts", f"channel `{name}` never took one", test)
        else:
            yield Finding(Severity.INFO, "alerts", f"channel `{name}` last took one {ago(now_us - last[name])} ago")
    for name, state, count, error in stuck:
        if name in names:
            what = "were given up within a day" if state == "GIVEN_UP" else "have waited for more than 5 min"
            why = f": {error}" if error else ""
            yield Finding(
                Severity.WARNING, "alerts", f"{count} for channel `{name}` {what}{why}",
                f"`riskguard alerts test --channel {name}`",
            )  # fmt: skip


def ago(span_us: int) -> str:
    """Return a span in the largest unit that says enough."""
    seconds = max(0, span_us // 1_000_000)
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
