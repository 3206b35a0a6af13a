"""How much of something a caller may have: so much a second, and a reserve for bursts. Knows no clock of its own."""


class Allowance:
    """A token bucket; it starts full."""

    def __init__(self, per_s: float, burst: float, now_s: float) -> None:
        self._per_s = per_s
        self._burst = burst
        self._left = burst
        self._at_s = now_s

    def take(self, amount: float, now_s: float) -> bool:
        """Use some of it; False, and nothing used, when there is not that much left."""
        self._left = min(self._burst, self._left + (now_s - self._at_s) * self._per_s)
        self._at_s = now_s
        if amount > self._left:
            return False
        self._left -= amount
        return True
