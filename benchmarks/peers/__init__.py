"""
The decision beside other pre-trade engines, each in an environment of its own, in turn with ours in one process.

`--only peers` makes the environments at first use, under `build/peers/`, with pip. A peer that cannot be installed or does
not run is named with its reason, and the rest runs. Each is timed from the fields of an order to its answer, on values in
memory: what it can prepare once (account, instrument, engine) is prepared before, what it reserved is given back outside.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from benchmarks.measure import Row
from benchmarks.peers.asking import PASSES, REFUSED
from benchmarks.peers.environments import MissingError, python_of
from benchmarks.peers.known import PEERS, Peer

ROUNDS = 100
RUN_S_MAX = 240


def rows(directory: Path, rounds: int = ROUNDS) -> list[Row]:
    found: list[Row] = []
    for peer in PEERS:
        try:
            times = _measured(peer, directory / peer.module, rounds)
        except MissingError as e:
            found.append(Row(f"Order + decide, ten checks ÷ {peer.title}", None, "×", None, f"not measured: {e}"))
            continue
        for quantity, how in ((PASSES, ""), (REFUSED, ", refused")):
            mine, theirs = times["ours"][str(quantity)], times["theirs"][str(quantity)]
            budget = peer.ratio_max if quantity == PASSES else None
            said = f"{mine:.2f} µs ÷ {theirs:.2f} µs; theirs: {peer.checks}"
            found.append(Row(f"Order + decide, ten checks{how} ÷ {peer.title}", mine / theirs, "×", budget, said))
    return found


def _measured(peer: Peer, directory: Path, rounds: int) -> dict[str, dict[str, float]]:
    python = python_of(peer)
    directory.mkdir()
    words = [str(python), "-m", "benchmarks.peers.beside", peer.module, str(directory), str(rounds)]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=RUN_S_MAX, check=False)
    except subprocess.TimeoutExpired:
        raise MissingError(f"no answer within {RUN_S_MAX} s") from None
    if done.returncode:
        raise MissingError((done.stderr.strip().splitlines() or ["no reason given"])[-1][:160])
    times: dict[str, dict[str, float]] = json.loads(done.stdout.strip().splitlines()[-1])
    return times
