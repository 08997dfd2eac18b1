"""How long to wait before the next attempt: twice as long each time, up to a bound, with jitter."""

from __future__ import annotations

import random
from dataclasses import dataclass, field


@dataclass
class Backoff:
    """Seconds. Jitter keeps a thousand clients of one broken server from coming back in one moment."""

    first_s: float = 0.5
    most_s: float = 30.0
    failures: int = 0
    rng: random.Random = field(default_factory=random.Random)

    def next_s(self) -> float:
        """Count one more failure and return how long to wait: between half and the whole of the step."""
        step_s = min(self.most_s, self.first_s * 2 ** min(self.failures, 16))
        self.failures += 1
        return float(step_s * (0.5 + self.rng.random() / 2))

    def reset(self) -> None:
        self.failures = 0
