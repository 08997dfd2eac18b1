"""An environment for each peer: what one wants (an older pandas, Qt) must not decide what another one gets."""

from __future__ import annotations

import site
import subprocess
import venv
from pathlib import Path

from benchmarks.peers.known import Peer

ROOT = Path(__file__).resolve().parents[2]
PLACE = ROOT / "build" / "peers"
INSTALL_S_MAX = 600


class MissingError(Exception):
    """A peer that cannot be measured here, and why."""


def python_of(peer: Peer) -> Path:
    """
    Return the interpreter of the peer's environment; made if need be, and used again as long as it wants the same.

    Ours runs in it, too: behind its own packages it sees those of this interpreter, and the checkout.
    """
    place = PLACE / peer.module
    python, wants = place / "bin" / "python", place / "wants"
    wanted = "\n".join(peer.wants)
    if not wants.exists() or wants.read_text() != wanted:
        venv.create(place, with_pip=True, clear=True)
        words = [str(python), "-m", "pip", "install", "--quiet", *peer.wants]
        try:
            done = subprocess.run(words, capture_output=True, text=True, timeout=INSTALL_S_MAX, check=False)
        except subprocess.TimeoutExpired:
            raise MissingError(f"pip did not end within {INSTALL_S_MAX} s") from None
        if done.returncode:
            raise MissingError("pip: " + (done.stderr.strip().splitlines() or ["no reason given"])[-1][:160])
        packages = next(place.glob("lib/python*/site-packages"))
        (packages / "ours.pth").write_text("\n".join([str(ROOT), *site.getsitepackages()]) + "\n")
        wants.write_text(wanted)
    if not python.exists():
        raise MissingError("its environment is broken: remove `build/peers`")
    return python
