"""
What news of an order do: into the orders, the book and the permits, by the functions the sweep uses.

Who told decides how far they go. The stream is the broker: we called it, over TLS. A webhook's caller can be anybody
who learnt its path, so a posted body is kept, noted, and makes the broker be asked; a signed one may also make a live
order nobody knew count as working, which only takes room away. Nothing posted frees, settles or books anything.
See docs/decisions/0006-what-a-webhook-may-do.md.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from riskguard.core.news import OrderNews, is_stale
from riskguard.core.seen import SeenTrade
from riskguard.services.sweeps.reconciler import take_fill, take_order
from riskguard.store import books, inbox, loader, order_news, permits, told_fills
from riskguard.store.permits import PermitRow
from riskguard.store.session import Session


class Trust(StrEnum):
    """Who told; the value is what `order_events` calls it."""

    BROKER = "WEBSOCKET"
    SIGNED = "POSTBACK"
    UNSIGNED = "POSTBACK (unsigned)"


@dataclass(frozen=True, slots=True)
class Outcome:
    """
    What became of a message.

    Attributes:
        reread: Why the broker's lists should be read now; "" when nothing asks for it.
        waits: What is missing before anything can be made of it; it is tried again.
        problem: Why nothing will ever be made of it.
    """

    reread: str = ""
    waits: str = ""
    problem: str = ""


def merge(
    session: Session, account: str, news: OrderNews, trade: SeenTrade | None, trust: Trust, received_us: int,
    now_us: int,
) -> Outcome:  # fmt: skip
    """Make of one message what it says; the same again, late or out of order, changes nothing."""
    date = loader.session_date(now_us)
    found = order_news.standing(session, news.order_id)
    if found is not None and found.account != account:
        return Outcome(
            problem=f"order `{news.order_id}` is of another account", reread="a message names a strange order"
        )
    permit = permits.by_broker_order(session, account, news.order_id, news.correlation_id)
    for known in (
        found.order if found is not None else None,
        order_news.of_permit(permit, news.order_id) if permit is not None else None,
    ):
        if known is not None:
            denied = news.contradicts(known)
            if denied:
                return Outcome(problem=f"order `{news.order_id}`: {denied}", reread="a message contradicts the book")
            news = news.completed(known)
    if news.missing():
        said = ", ".join(news.missing())
        return Outcome(waits=f"does not say {said}, and the order is not known yet", reread="an order nobody knows")
    at_us = min(news.at_us or received_us, now_us)
    inbox.add_event(session, news.order_id, _event(news), trust.value.partition(" ")[0], _said(news, trust), at_us)
    if loader.session_date(at_us) < date:
        return Outcome()  # its day is over: its book is closed, and its orders ended with it
    if trust is not Trust.BROKER:
        return _posted(session, account, news, trust, is_known=found is not None or permit is not None, now_us=now_us)
    if trade is not None:
        take_fill(session, account, date, trade, now_us)
        permit = permits.by_broker_order(session, account, news.order_id, news.correlation_id)
    return _told(session, account, date, news, found, permit, at_us, now_us)


def _posted(
    session: Session, account: str, news: OrderNews, trust: Trust, *, is_known: bool, now_us: int
) -> Outcome:  # fmt: skip
    """A posted body: at most one more order counts as working, as if nothing of it had traded."""
    if trust is Trust.SIGNED and news.is_live and not is_known:
        books.save_order(session, account, news.order(0), None, "postback", now_us)
    return Outcome(reread=f"a webhook told of order {news.order_id}")


def _told(
    session: Session, account: str, date: str, news: OrderNews, found: order_news.Standing | None,
    permit: PermitRow | None, at_us: int, now_us: int,
) -> Outcome:  # fmt: skip
    """The broker's own word: what traded is booked once, whoever told it first, and the permit follows."""
    if permit is not None:
        told_fills.claim(session, permit, news.order_id, now_us)
    before = told_fills.of_order(session, account, date, news.order_id).quantity
    filled = news.filled or 0
    booked = told_fills.tell(
        session, account, date, news.order(filled), news.average_e4, at_us, permit, now_us
    )  # fmt: skip
    reasons = []
    if booked > before:
        reasons.append(f"order {news.order_id} traded")
    if filled > booked:
        reasons.append(f"order {news.order_id} traded, at a price nobody told")
    if permit is None:
        reasons.append(f"nobody asked about order {news.order_id}")
    is_old = found is not None and is_stale(news.status, found.order.status, news.at_us, found.told_us)
    if is_old or (permit is None and not news.is_live and filled > booked):
        # What traded must be in the book before its room is free: the row stays live until the list brings the price.
        return Outcome(reread="; ".join(reasons))
    reserved = permit is not None and permit.is_live
    known = found.order.filled if found is not None and reserved else 0
    take_order(session, account, news.order(max(filled, booked, known) if reserved else booked), now_us, "stream")
    order_news.add(session, news if filled >= booked else replace(news, average_e4=None), now_us)
    if not news.is_live and (found is None or found.order.is_live):
        reasons.append(f"order {news.order_id} is {news.status}")
    return Outcome(reread="; ".join(reasons))


def _event(news: OrderNews) -> str:
    """Return what happened in the words of `order_events`; a word nobody knows is kept."""
    if news.status in ("TRANSIT", "PENDING"):
        return "PART_TRADED" if news.filled else "PLACED"
    return "EXECUTED" if news.status == "TRADED" else news.status


def _said(news: OrderNews, trust: Trust) -> dict[str, object]:
    """Return what the event's row keeps of the message; the whole is in the inbox."""
    said: dict[str, object] = {
        "status": news.status, "quantity": news.quantity, "filled": news.filled, "average_e4": news.average_e4,
        "price_e4": news.price_e4, "trigger_price_e4": news.trigger_price_e4, "detail": news.detail or None,
    }  # fmt: skip
    if trust is Trust.UNSIGNED:
        said["unsigned"] = True
    return {name: value for name, value in said.items() if value is not None}
