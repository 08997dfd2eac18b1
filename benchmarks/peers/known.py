"""Whom we are measured beside: what is installed, which of its checks are on, and what its answer is worth afterwards."""

from __future__ import annotations

from typing import NamedTuple


class Gives(NamedTuple):
    """
    What an answer is worth, in a few words each; "no" where the version measured does not offer it.

    Attributes:
        kept: Whether an answer outlives the process, and in what form.
        shared: Whether several processes hold one limit together: what one reserved counts for the next.
        stop: What remains of a stop after the process, or the machine, went down.
        ids: What a second order with the same id gets.
        exits: What a stopped account still lets out.
    """

    kept: str
    shared: str
    stop: str
    ids: str
    exits: str


class Peer(NamedTuple):
    """`wants` is what pip installs; `checks` says what is on while it is measured."""

    module: str
    title: str
    wants: tuple[str, ...]
    checks: str
    gives: Gives
    ratio_max: float | None = None


OURS = Gives(
    kept="every decision with the facts it read, in a hash chain, before it is returned",
    shared="yes: checked and reserved in one transaction",
    stop="holds: a file and a row, synced before it is acknowledged; only a person lifts it",
    ids="the recorded decision, in any process and for ever",
    exits="what provably reduces, where the state is REDUCE_ONLY; a named person's exit where it is HALTED",
)

PEERS = (
    Peer(
        "openpit", "OpenPit 0.10", ("openpit>=0.10,<0.11",),
        "order validation, message rate, order size, P&L bounds, funds",
        Gives("no", "no: in memory, threads of one process", "no: in memory", "a second reservation", "no reduce-only state"),
        0.55,
    ),
    Peer(
        "nautilus", "NautilusTrader 1.221", ("nautilus_trader==1.221.0", "pandas<3"),
        "price and quantity precision, notional per order, free balance, submit rate, trading state",
        Gives(
            "orders in its cache, in Redis if configured; not why", "no: one process", "no: ACTIVE at each start",
            "denied while its cache knows the order", "REDUCING lets out what reduces",
        ),
    ),
    Peer(
        "vnpy", "vn.py 4.5 risk manager 2.0", ("vnpy>=4.3,<5", "vnpy_riskmanager>=2,<3"),
        "active orders, flow per day, order size and value, duplicates, validity: its five rules, compiled",
        Gives("no: a log line", "no: one process", "no state to stop", "the gateway gives ids after the check", "no"),
    ),
    Peer(
        "zipline", "zipline-reloaded 3.x", ("zipline-reloaded>=3.1,<4",),
        "order count, restricted list, order size, position size, long only",
        Gives("no: raised or logged", "no: one backtest", "no state to stop", "not asked for", "no"),
    ),
    Peer(
        "deadman", "deadman-kit 0.3", ("deadman-kit==0.3.0",),
        "kill file, day's trades, loss and notional (a file read each time), order sanity",
        Gives(
            "refusals and fills in a hash-chained file, if given one", "no: a second writer is noticed, not held back",
            "holds: a file's being there", "resolved by id at the broker when sent",
            "entry halt lets exits out, the kill file none",
        ),
    ),
    Peer(
        "deadlatch", "deadlatch 0.1.2", ("deadlatch==0.1.2",),
        "all twelve rules, each input validated by its JSON schema; without the audit file",
        Gives(
            "one line of its audit file per answer", "no: positions are what the caller says", "holds: a file or its policy",
            "not asked for", "reduce_only lets out what closes",
        ),
    ),
)  # fmt: skip


def guarantees() -> list[tuple[str, ...]]:
    """Return the table of what an answer is worth, its headings first."""
    head = (
        "",
        "answer kept",
        "one limit over processes",
        "a stop after kill -9",
        "the same id again",
        "exits while stopped",
    )
    return [head, ("riskguard", *OURS), *((peer.title, *peer.gives) for peer in PEERS)]
