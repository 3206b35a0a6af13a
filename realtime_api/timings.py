"""How long the upstream took, counted in this process since it began: for whoever watches it. Knows no clock."""

from bisect import bisect_left
from dataclasses import dataclass, field
from itertools import accumulate
from threading import Lock
from typing import Final

BOUNDS_S: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
OK: Final = "ok"


@dataclass
class Timing:
    """Attempts of one kind with one outcome. counts: for each bound how many took no longer, above those before it."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS_S) + 1))
    sum_s: float = 0.0

    def cumulative(self) -> list[int]:
        """Return how many took no longer than each bound, and at last how many there were."""
        return list(accumulate(self.counts))


_timings: dict[tuple[str, str], Timing] = {}
_lock = Lock()


def observe(attempt: str, outcome: str, seconds: float) -> None:
    """Count one attempt. outcome: OK, or the code of its error."""
    with _lock:
        timing = _timings.setdefault((attempt, outcome), Timing())
        timing.counts[bisect_left(BOUNDS_S, seconds)] += 1
        timing.sum_s += seconds


def timings() -> dict[tuple[str, str], Timing]:
    """Return what was counted so far, by attempt and outcome."""
    with _lock:
        return {name: Timing(list(timing.counts), timing.sum_s) for name, timing in _timings.items()}
