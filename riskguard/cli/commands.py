"""The names of all commands, for `--help` and for who runs one of them; a table, so that listing them imports none."""

from __future__ import annotations

from typing import Final

COMMANDS: Final = {
    "init": (
        "account:init",
        "Create a database with one account, its limits and its kill switch; or add an account to one that stands.",
    ),
    "status": ("account:status", "Show how every account stands: state and cause, day P&L, positions, who watches."),
    "check": ("orders:check", "Ask whether an order may be sent. An approval reserves what it needs for ten seconds."),
    "violations": ("orders:violations", "Show what was refused or breached, newest first."),
    "explain": (
        "orders:explain",
        "Explain one decision: the facts it read, each refusal with its limit, and what became of its permit.",
    ),
    "release": (
        "control:release",
        "Release a halt. Never changes the day's baseline: if a loss still stands, the next sweep trips again.",
    ),
    "exit": (
        "control:exit_positions",
        "Let a person close positions of an account, also while it is halted. Each exit is verified as reducing.",
    ),
    "operator-token": (
        "control:operator_token",
        "Make an operator token: for programs that may flatten or release without a terminal. It is shown once.",
    ),
    "sweep": ("daemon:sweep", "Look at live profit and loss once, judge it, and act on it."),
    "run": ("daemon:run", "Sweep every account until stopped (SIGTERM or Ctrl-C), and carry kill runs to their end."),
    "doctor": (
        "doctor:doctor",
        "Look for what nothing else looks at: tables near their end, an old master, open files, nobody watching.",
    ),
    "report": (
        "report:report",
        "Show what a session was: P&L, how near limits came, orders, refusals, kills with their steps, charges, alerts.",
    ),
    "demo": ("demo:demo", "Replay a real trading day through the guard, and say what it would have cost without."),
    "sandbox": (
        "sandbox:sandbox",
        "Serve Dhan's API on this machine: orders that fill, positions that lag, switches, limits, and faults on demand.",
    ),
    "drill": (
        "drill:drill",
        "Rehearse a kill of ACCOUNT against a Dhan of our own on this machine, with a copy of its book and limits.",
    ),
    "kill": ("app:kill", "Halt ACCOUNT, or everything when none is named."),
    "limits": ("limits:app", "Limits: show them, plan and apply a rulebook."),
    "copies": ("copies:app", "Copy trading: who copies whom, and at what size."),
    "instruments": ("instruments:app", "The instrument master: import it, show what the checks use."),
    "calendar": ("calendar:app", "When the exchanges trade: show, check, and add what was announced."),
    "db": ("database:app", "The database: version, upgrade, check."),
    "audit": ("audit:app", "The journal: verify it, anchor it elsewhere, sign it."),
    "baseline": ("account:baseline_app", "Where an account's day began."),
    "bhavcopy": ("bhavcopy:app", "Closing and settlement prices, from the exchanges' own files."),
    "charges": ("charges:app", "What trading costs: brokerage, exchange, SEBI, IPFT, STT, stamp duty, GST."),
    "token": ("token:app", "Access tokens: set, show, seal anew."),
    "secrets": ("secrets:app", "The keys of stored secrets: make, show, renew."),
    "postback": ("postback:app", "The broker's webhook: its secret, serving it, how it stands."),
    "edis": ("edis:app", "Demat debit authorisations (eDIS)."),
    "alerts": ("alerts:app", "Alerts: try a channel, list what was told."),
}
"""
Every command in the order `--help` shows them: where it stands, and the first paragraph of its own help.

The words stand here too so that `--help` imports none of them; a test holds that they are the same.
"""
