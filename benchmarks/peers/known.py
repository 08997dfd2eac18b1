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
        read: The files of the installed package, or pages of its documentation, all this was read in.
    """

    kept: str
    shared: str
    stop: str
    ids: str
    exits: str
    read: str


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
    read="docs/architecture.md, docs/reliability.md",
)

PEERS = (
    Peer(
        "openpit", "OpenPit 0.10", ("openpit>=0.10,<0.11",),
        "order validation, message rate, order size, P&L bounds, funds",
        Gives(
            "no", "no: in memory, threads of one process", "no: in memory; the caller may keep a block and put it back",
            "a second reservation: an order carries no id", "none: a block refuses every order, reduce-only ones too",
            "_openpit.pyi (Accounts.block_with_cause), core.py, __init__.py; both last columns tried on it",
        ),
        0.55,
    ),
    Peer(
        "nautilus", "NautilusTrader 1.221", ("nautilus_trader==1.221.0", "pandas<3"),
        "price and quantity precision, notional per order, free balance, submit rate, trading state",
        Gives(
            "orders and their events, why one was denied too, in its cache; in Redis if configured", "no: one process",
            "no: ACTIVE at each start", "denied while its cache knows the order",
            "HALTED: none, cancels only. REDUCING denies what adds to a position; a flip, and an entry from flat, pass",
            "risk/engine.pyx, trading/strategy.pyx, cache/config.py",
        ),
    ),
    Peer(
        "vnpy", "vn.py 4.5 risk manager 2.0", ("vnpy>=4.3,<5", "vnpy_riskmanager>=2,<3"),
        "active orders, orders, cancels and trades since its start, order size and value, equal orders, validity: its five "
        "rules, compiled",
        Gives(
            "no: a refusal is a line of the log", "no: counts in memory of one process, from zero at each start",
            "nothing to stop with; its settings are a file", "ids are given behind the check; equal orders are counted",
            "nothing to stop with; no rule tells an exit apart",
            "vnpy_riskmanager/engine.py, template.py, rules/*.pyx; vnpy/trader/gateway.py",
        ),
    ),
    Peer(
        "zipline", "zipline-reloaded 3.x", ("zipline-reloaded>=3.1,<4",),
        "order count, restricted list, order size, position size, long only",
        Gives(
            "no: a refusal is raised, or a line of the log", "no: one backtest", "nothing to stop with",
            "ids are given behind the check", "nothing to stop with", "finance/controls.py, algorithm.py",
        ),
    ),
    Peer(
        "deadman", "deadman-kit 0.3", ("deadman-kit==0.3.0",),
        "kill file, day's trades, loss and notional (a file read each time), order sanity",
        Gives(
            "its executor's intents, refusals and fills, in a synced, hash-chained file",
            "no: a second writer is noticed, not held back", "holds: a file's being there",
            "denied while it is in flight, resolved by id at the broker; sent again once it ended",
            "entry halt lets exits out, the kill file none",
            "executor.py, ledger.py, kill_switch.py, statefile.py; its README",
        ),
    ),
    Peer(
        "deadlatch", "deadlatch 0.1.2", ("deadlatch==0.1.2",),
        "all twelve rules, each input validated by its JSON schema; without the audit file",
        Gives(
            "each answer in a synced, hash-chained file; where that cannot be written, a warning",
            "no: positions are what the caller says",
            "holds: in its policy file, which a running guard does not read again; its MCP server does",
            "not asked for", "reduce_only lets out what closes, full none",
            "guard.py, audit.py, direction.py, rules/kill_switch.py, mcp_server.py",
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
        "read in",
    )
    return [head, ("riskguard", *OURS), *((peer.title, *peer.gives) for peer in PEERS)]
