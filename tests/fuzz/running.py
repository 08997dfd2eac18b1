"""Driving a target: by coverage where `atheris` can be imported, by our own mutations where not. Both keep what broke."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.fuzz import corpus
from tests.fuzz.targets import BYTES_MAX, Target, opened
from tests.reliability.actors import ROOT


class Found(AssertionError):
    """An input broke a promise; the message names the file it was kept in and how to try it again."""


def has_atheris() -> bool:
    return importlib.util.find_spec("atheris") is not None


def mutations(name: str, seed: int) -> Iterator[bytes]:
    """Yield every seed of the target as it is, then mutations without end; the same *seed*, the same inputs."""
    begun, chance = corpus.seeds(name), random.Random(seed)
    yield from begun
    while True:
        yield corpus.mutated(name, begun, chance)


def drive(name: str, target: Target, inputs: Iterable[bytes], kept_in: Path) -> int:
    """Put every input to the target; returns how many. Raises Found at the first that broke something."""
    count = 0
    for data in inputs:
        count += 1
        try:
            target(data)
        except Exception as e:
            kept_in.mkdir(parents=True, exist_ok=True)
            path = kept_in / f"crash-{hashlib.sha256(data).hexdigest()[:16]}"
            path.write_bytes(data)
            raise Found(f"{type(e).__name__}: {e}\nreplay: python -m tests.fuzz {name} --replay {path}") from e
    return count


def until(inputs: Iterable[bytes], end: float) -> Iterator[bytes]:
    """Pass inputs on until the monotonic clock says *end*."""
    for data in inputs:
        if time.monotonic() >= end:
            return
        yield data


def by_coverage(name: str, seconds: float, kept_in: Path) -> subprocess.CompletedProcess[str]:
    """Let atheris look for new lines for so long, in a process of its own; its exit status is 0 when nothing broke."""
    begun = kept_in / "corpus"
    begun.mkdir(parents=True, exist_ok=True)
    for data in corpus.seeds(name):
        (begun / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)
    words = kept_in / "words.dict"
    words.write_text(corpus.dictionary(name), encoding="ascii")
    return subprocess.run(
        [sys.executable, "-m", "tests.fuzz.by_coverage", name, f"-max_total_time={max(1, round(seconds))}",
         f"-max_len={BYTES_MAX}", f"-dict={words}", f"-artifact_prefix={kept_in}/", "-timeout=60", str(begun)],
        cwd=ROOT, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), "RISKGUARD_HOME": str(kept_in / "home")},
    )  # fmt: skip


def fuzzed(name: str, seconds: float, kept_in: Path, *, seed: int = 1) -> str:
    """
    Fuzz one target for so long; returns what was done, in a line.

    Raises:
        Found: Something broke. The input is kept.
    """
    if has_atheris():
        done = by_coverage(name, seconds, kept_in)
        if done.returncode != 0:
            crashes = sorted(kept_in.glob("crash-*")) + sorted(kept_in.glob("timeout-*"))
            again = f"\nreplay: python -m tests.fuzz {name} --replay {crashes[-1]}" if crashes else ""
            raise Found(done.stderr[-3_000:] + again)
        last = [line for line in done.stderr.splitlines() if line.startswith("Done ")]
        return f"{name}: atheris, {last[-1] if last else 'done'}"
    with opened(name) as target:
        count = drive(name, target, until(mutations(name, seed), time.monotonic() + seconds), kept_in)
    return f"{name}: {count} mutations (no atheris here)"
