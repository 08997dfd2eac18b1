"""Why a run cannot go on, as one word for programs and one sentence for people, and when to try again."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from riskguard.core.calendar import ist_us
from riskguard.ports import Broker
from riskguard.services.budget import is_too_many
from riskguard.services.kill.powers import keeps_hours, profile_of
from riskguard.store.calendar import calendar

_TOKEN = re.compile(
    r"\bDH-901\b|\bDH-80[789]\b|access.token|token (has |is )?(expired|invalid|dead)|TokenMissing|authenticat",
    re.IGNORECASE,
)
_ADDRESS = re.compile(r"\bDH-911\b|\b16052\b|whitelist|\bIP\b|this address", re.IGNORECASE)


class Reason(NamedTuple):
    """
    One reason. `code` is one of: NO_BROKER, BROKER_UNREADABLE, TOKEN, IP, MARKET_CLOSED, CIRCUIT, HEDGE_FIRST,
    EXIT_UNANSWERED, EXIT_REFUSED, NOT_FILLED, CANCEL_REFUSED, STOP_NOT_RESTORED, TIMEOUT.
    """

    code: str
    said: str
    retry_us: int | None = None


NO_BROKER = Reason("NO_BROKER", "no broker is attached: cancel and close by hand")


def unreadable(broker: Broker, said: str, now_us: int) -> Reason:
    """Say why the broker cannot be read, as far as it says so itself: token, address, or just not."""
    profile = profile_of(broker)
    if profile is not None and not is_too_many(Exception(said)):  # more questions would be more of the same
        try:
            seen = profile.profile()
        except Exception as e:  # it may be the very same trouble: what the lists said is then all there is
            said = f"{said}; profile: {type(e).__name__}"
        else:
            if seen.may_place is False:
                return Reason("IP", f"the broker takes no orders from this address: register it ({said})")
            if seen.token_until_us is not None and seen.token_until_us <= now_us:
                return Reason("TOKEN", f"the access token has expired: `riskguard token set` ({said})")
    code = _code(said, "BROKER_UNREADABLE")
    hint = {"TOKEN": "renew the access token", "IP": "register this address at the broker"}.get(
        code, "it is asked again"
    )
    return Reason(code, f"the broker cannot be read, {hint}: {said}")


def refused(code: str, said: str, retry_us: int | None = None) -> Reason:
    """Return *code*, or the token or the address where the broker's words are about those."""
    return Reason(_code(said, code), said, retry_us)


def is_urgent(reason: Reason) -> bool:
    """Say whether waiting does not mend it by itself: a person is needed now."""
    return reason.code in ("TOKEN", "IP")


def closed(broker: Broker, segments: Iterable[str], now_us: int) -> Reason | None:
    """Return MARKET_CLOSED when none of *segments* trades now, with the next opening; None when one does."""
    if not keeps_hours(broker):
        return None
    known = calendar()
    wanted = tuple(dict.fromkeys(segments))
    if not wanted or any(known.is_open(each, now_us) for each in wanted):
        return None
    opens = [opens_us for each in wanted if (opens_us := known.next_open_us(each, now_us)) is not None]
    retry_us = min(opens, default=None)
    when = "the next session" if retry_us is None else _ist(retry_us)
    return Reason("MARKET_CLOSED", f"{', '.join(wanted)} is closed: it is tried again at {when}", retry_us)


def _code(said: str, otherwise: str) -> str:
    return "TOKEN" if _TOKEN.search(said) else "IP" if _ADDRESS.search(said) else otherwise


def _ist(at_us: int) -> str:
    day = calendar().session_date(at_us)
    minutes = (at_us - ist_us(day)) // 60_000_000
    return f"{day.isoformat()} {minutes // 60:02}:{minutes % 60:02} IST"
