"""
What `riskguard doctor` asks the broker of profile `dhan`: token, clock, address, segments, its switch, its exit at a loss.

Reads only, each once. What could not be asked is a warning and says so: unknown is never ok.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Final, TypeVar

from riskguard.clock import SystemClock
from riskguard.core.money import rupees
from riskguard.core.seen import SeenProfile
from riskguard.errors import BrokerError, RiskGuardError
from riskguard.redaction import redacted
from riskguard.services.dhan import asking_broker
from riskguard.services.finding import Finding, Severity
from riskguard.services.kill.backstop import standing
from riskguard.services.settings import DatabaseSettings
from riskguard.services.wiring import settings_of
from riskguard.store import loader
from riskguard.store.queries.broker_health import TRADED
from riskguard.store.session import Store

if TYPE_CHECKING:
    from riskguard.brokers.dhan import DhanBroker

WAIT_S: Final = 2.0
SKEW_US_MAX: Final = 2_000_000
DATE_US: Final = 1_000_000
"""The server tells whole seconds."""
ENDS_SOON_US: Final = 2 * 3_600_000_000
TRADED_US: Final = 30 * 86_400_000_000
ALL_UNKNOWN: Final = "token, clock, address, segments, switch and exit at a loss are unknown"

Found = TypeVar("Found")


def broker_account(store: Store, now_us: int) -> Iterator[Finding]:
    """Every account of profile `dhan` as its broker sees it; nothing for other profiles."""
    settings, accounts = settings_of(store)
    if settings.profile != "dhan":
        return
    clock = SystemClock()
    began_us = clock.elapsed_us()

    def at_us() -> int:
        return now_us + clock.elapsed_us() - began_us

    for account in accounts:
        try:
            with asking_broker(store, settings, account) as broker:
                yield from _account(store, settings, account, broker, at_us)
        except RiskGuardError as e:
            yield _unasked(account, f"could not be asked: {ALL_UNKNOWN}", e)


def _account(
    store: Store, settings: DatabaseSettings, account: str, broker: DhanBroker, at_us: Callable[[], int]
) -> Iterator[Finding]:
    try:
        profile = broker.profile()
    except BrokerError as e:
        if getattr(e, "kind", "") == "token":
            yield Finding(
                Severity.ERROR, f"token of {account}", f"the broker refuses it: {redacted(str(e))}",
                f"`riskguard token set {account}`",
            )  # fmt: skip
            yield _unasked(account, "could not be asked without a token: address, segments and switches are unknown")
        else:
            yield _unasked(account, f"could not be asked: {ALL_UNKNOWN}", e)
        return
    yield from _clock(account, broker, at_us)
    yield from _token(account, profile, at_us())
    yield from _address(account, profile)
    yield from _segments(store, account, profile, at_us())
    yield from _switch(account, broker)
    yield from _backstop(store, settings, account, broker, at_us())


def _unasked(account: str, said: str, error: Exception | None = None) -> Finding:
    why = "" if error is None else f" ({redacted(str(error))})"
    return Finding(Severity.WARNING, f"broker of {account}", f"{said}{why}", "look at the network, and ask again")


def _clock(account: str, broker: DhanBroker, at_us: Callable[[], int]) -> Iterator[Finding]:
    """This host's clock against the one the broker writes into its answers."""
    heard = broker.wire.heard_at
    subject = f"clock of {account}"
    if heard is None:
        yield Finding(Severity.WARNING, subject, "the broker told no time: the skew is unknown", "ask again")
        return
    server_us, elapsed_us = heard
    ours_us = at_us() - (SystemClock().elapsed_us() - elapsed_us)
    # The true time lies within the told second: only what no moment of it explains is a skew.
    skew_us = ours_us - server_us if ours_us < server_us else max(0, ours_us - server_us - DATE_US)
    if abs(skew_us) > SKEW_US_MAX:
        way = "ahead of" if skew_us > 0 else "behind"
        yield Finding(
            Severity.ERROR, subject, f"this host is {abs(skew_us) / 1e6:.1f} s {way} the broker: prices and sessions are misdated",
            "set the clock right: `timedatectl set-ntp true`",
        )  # fmt: skip
    else:
        yield Finding(Severity.OK, subject, "within 2 s of the broker's")


def _token(account: str, profile: SeenProfile, now_us: int) -> Iterator[Finding]:
    subject, way_out = f"token of {account}", f"`riskguard token set {account}`"
    until_us = profile.token_until_us
    if until_us is None:
        yield Finding(Severity.WARNING, subject, "the broker does not say until when it is good", way_out)
    elif until_us <= now_us:
        yield Finding(Severity.ERROR, subject, "it has expired: no order and no exit is taken", way_out)
    elif until_us - now_us < ENDS_SOON_US:
        yield Finding(Severity.WARNING, subject, f"it ends in {(until_us - now_us) // 60_000_000} min", way_out)
    else:
        yield Finding(Severity.OK, subject, f"good for {(until_us - now_us) // 3_600_000_000} h more")


def _address(account: str, profile: SeenProfile) -> Iterator[Finding]:
    subject, way_out = f"address of {account}", "register this host's address at Dhan: exits are refused like entries"
    if profile.may_place is None:
        yield Finding(Severity.WARNING, subject, "the broker does not say whether it takes orders from here", way_out)
    elif not profile.may_place:
        yield Finding(Severity.ERROR, subject, "the broker takes no order and no exit from here", way_out)
    else:
        yield Finding(Severity.OK, subject, "orders are taken from here")


def _segments(store: Store, account: str, profile: SeenProfile, now_us: int) -> Iterator[Finding]:
    """A segment that is traded and not active: its exits are refused too."""
    with store.session(durable=False, wait_s=WAIT_S) as session:
        since = loader.session_date(now_us - TRADED_US)
        traded = [row[0] for row in session.rows(TRADED, account=account, since=since)]
        store.roll_back(session)
    closed = [each for each in traded if each not in profile.segments]
    if closed:
        said = f"{', '.join(closed)} {'is' if len(closed) == 1 else 'are'} traded here and not active at the broker"
        yield Finding(Severity.ERROR, f"segments of {account}", said, "activate it at Dhan: exits are refused as well")
    else:
        named = ", ".join(profile.segments) or "none"
        severity = Severity.OK if profile.segments else Severity.WARNING
        yield Finding(
            severity, f"segments of {account}", f"active: {named}", "" if profile.segments else "activate them"
        )


def _switch(account: str, broker: DhanBroker) -> Iterator[Finding]:
    subject = f"switch of {account}"
    try:
        is_on = broker.is_locked()
    except BrokerError as e:
        yield _unasked(account, "does not say how its kill switch stands: unknown", e)
        return
    if is_on:
        yield Finding(
            Severity.WARNING, subject, "the broker's kill switch is on: it takes no order today",
            "it lapses with the day; to trade before, turn it off in the broker's app and `riskguard release`",
        )  # fmt: skip
    else:
        yield Finding(Severity.OK, subject, "the broker's kill switch is off")


def _backstop(
    store: Store, settings: DatabaseSettings, account: str, broker: DhanBroker, now_us: int
) -> Iterable[Finding]:
    """The broker's own exit: armed, at what, and whether that is what was armed here."""
    subject = f"backstop of {account}"
    with store.session(durable=False, wait_s=WAIT_S) as session:
        ours = standing(session, account, loader.session_date(now_us))
        store.roll_back(session)
    try:
        seen = broker.backstop()
    except BrokerError as e:
        return [_unasked(account, "does not say how its exit at a loss stands: unknown", e)]
    armed = seen.is_armed and seen.loss_e4 is not None
    at_loss = "a loss it does not name" if seen.loss_e4 is None else f"a loss of {rupees(seen.loss_e4)}"
    at = f"armed at {at_loss} for {', '.join(seen.products)}"
    if not settings.backstop_pct:
        if armed:
            return [Finding(Severity.INFO, subject, f"{at}, and not by riskguard", "look at it in the broker's app")]
        said = "not configured: nothing of the broker's stands behind this host"
        return [Finding(Severity.INFO, subject, said, "`riskguard.backstop_pct`, see docs/how-to/kill.md")]
    way_out = "`riskguard run` arms it, once the day's loss is known"
    if not armed:
        return [Finding(Severity.WARNING, subject, "configured and not armed", way_out)]
    if ours is None or ours.loss_e4 is None or seen.loss_e4 is None or abs(ours.loss_e4 - seen.loss_e4) > 100:
        return [Finding(Severity.WARNING, subject, f"{at}, which is not what was armed here today", way_out)]
    return [Finding(Severity.OK, subject, at)]
