"""How often somebody was refused for the same reason within a minute, counted in the cache."""

import logging
from typing import Final

from django.core.cache import cache
from redis.exceptions import RedisError

from tokens.cache_pause import asking_cache
from tokens.constants import REFUSALS_KEPT_APART

logger = logging.getLogger(__name__)
WINDOW_S: Final = 60


class RefusalCounter:
    """Refusals of one kind by one requester in a minute. Without a cache all are kept apart."""

    def __init__(self, kind: str) -> None:
        self._name = f"refusals:{kind}"
        self._counted: int | None = None

    def count(self) -> int:
        """Count one refusal; return how many there were beyond those that are kept apart, 0 for one of these.

        Asked again it answers as before: the work that writes a refusal may run more than once.
        """
        if self._counted is None:
            self._counted = self._count()
        return self._counted

    def _count(self) -> int:
        try:
            with asking_cache():
                if cache.add(self._name, 1, WINDOW_S):
                    return 0
                return max(0, int(cache.incr(self._name)) - REFUSALS_KEPT_APART)
        except (RedisError, OSError, ValueError):  # ValueError: the minute ended just now
            return 0

    def remember_row(self, pk: int) -> None:
        """Keep which row stands for those that follow."""
        try:
            with asking_cache():
                cache.set(f"{self._name}:row", pk, WINDOW_S)
        except (RedisError, OSError):
            logger.warning("the cache does not answer: every refusal is kept apart")

    def row(self) -> int | None:
        """Return the row that was remembered last, if the cache still has it."""
        try:
            with asking_cache():
                pk: int | None = cache.get(f"{self._name}:row")
        except (RedisError, OSError):
            return None
        return pk
