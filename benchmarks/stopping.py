"""How soon a kill is obeyed everywhere, and how long it takes while the database is flooded. Real processes, one clock."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from benchmarks.measure import Row, median, percentile
from benchmarks.stage import Stage, accounts_named, build_accounts, rulebook
from benchmarks.workers import now_ns, working
from riskguard.services.kill.killswitch import engage
from riskguard.store.session import Store

PROCESSES = 8
ROUNDS, KILLS = 60, 25


def rows(directory: Path, rounds: int = ROUNDS, kills: int = KILLS, processes: int = PROCESSES) -> list[Row]:
    names = accounts_named(rounds + kills + 1)
    calm, flooded = (build_accounts(directory / name, rulebook(), names) for name in ("visible", "flooded"))
    again = flooded.copied(directory / "again")
    seen_ms, late = _visible(calm, names[:rounds], processes)
    took_ms = _flooded(flooded, names[1 : kills + 1], processes)
    alone_ms = _took(calm.copied(directory / "alone"), names[rounds:])
    open_ms = _flooded(again, names[1 : kills + 1], processes, is_connected=True)
    return [
        Row(f"kill acknowledged → refused in all of {processes} processes, p99", percentile(seen_ms, 99), "ms", 10.0,
            f"median {median(seen_ms):.2f} ms, max {max(seen_ms):.1f} ms, n = {len(seen_ms)}: "
            "a process that has no core sees nothing meanwhile",
            "more processes spin than there are cores: each waits for its turn"),
        Row("… approved although begun after it", late, "", 0, f"of {len(seen_ms)} processes that never stopped asking"),
        Row(f"kill while {processes} processes write without a pause, max", max(took_ms), "ms", 100.0,
            f"median {median(took_ms):.1f} ms, n = {len(took_ms)}; nobody writing: {median(alone_ms):.1f} ms",
            "the killing process, too, waits for a core"),
        Row("… by a process that is connected, max", max(open_ms), "ms", 100.0,
            f"median {median(open_ms):.1f} ms, n = {len(open_ms)}"),
    ]  # fmt: skip


def _visible(stage: Stage, names: tuple[str, ...], processes: int) -> tuple[list[float], int]:
    """Kill each account while every process asks it; ms to the start of each one's first refusal, and who was late."""
    seen_ms, late = [], 0
    with working(processes, "spinner", stage.url, from_ns=now_ns()) as workers:
        for name in names:
            for worker in workers:
                worker.tell(account=name)
            for worker in workers:
                assert worker.hear() == {"spinning": True}
            _kill(stage, name)
            killed_ns = now_ns()
            for said in [worker.hear() for worker in workers]:
                seen_ms.append(max(0, said["refused_began_ns"] - killed_ns) / 1e6)
                late += said["approved_began_ns"] > killed_ns
    return seen_ms, late


def _flooded(stage: Stage, names: tuple[str, ...], processes: int, is_connected: bool = False) -> list[float]:
    with working(processes, "writer", stage.url, from_ns=now_ns()) as workers:
        for worker in workers:
            assert worker.hear() == {"spinning": True}
        if not is_connected:
            return _took(stage, names)
        with closing(Store(stage.url)) as store:
            with store.session(wait_s=30, insist=True):
                pass
            return _took(stage, names, store)


def _took(stage: Stage, names: tuple[str, ...], store: Store | None = None) -> list[float]:
    took_ms = []
    for name in names:
        began_ns = now_ns()
        _kill(stage, name, store)
        took_ms.append((now_ns() - began_ns) / 1e6)
    return took_ms


def _kill(stage: Stage, name: str, store: Store | None = None) -> None:
    outcome = engage(store or stage.url, name, by="benchmark", reason="measured")
    assert outcome.exit_status == 0, outcome
