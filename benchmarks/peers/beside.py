"""One peer beside ours: `python -m benchmarks.peers.beside NAME DIRECTORY ROUNDS`, in the peer's environment. Prints JSON."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path

from benchmarks.deciding import account_of, batch
from benchmarks.peers.asking import PASSES, REFUSED, times, unsettled
from benchmarks.stage import rulebook


def main(name: str, directory: str, rounds: str) -> None:
    account = account_of(Path(directory) / "ours", rulebook())
    ours = {quantity: batch(account, quantity) for quantity in (PASSES, REFUSED)}
    theirs = import_module(f"benchmarks.peers.{name}").prepare(Path(directory))
    found = times({"ours": (lambda quantity: ours[quantity](), unsettled), "theirs": theirs}, int(rounds))
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
