"""A cache that does not answer is left alone for a moment, so that requests do not wait for it one after another."""

import time
from typing import Final

from redis.exceptions import RedisError

PAUSE_S: Final = 1.0
_until = 0.0


class CachePaused(OSError):
    """The cache failed a moment ago and is not asked."""


class asking_cache:
    """Hold a question to the cache. Raises CachePaused within a second after one that failed."""

    def __enter__(self) -> None:
        if time.monotonic() < _until:
            raise CachePaused

    def __exit__(self, kind: type[BaseException] | None, *_rest: object) -> None:
        global _until
        if kind is not None and issubclass(kind, RedisError | OSError):
            _until = time.monotonic() + PAUSE_S


def ask_again() -> None:
    """End the pause, for tests."""
    global _until
    _until = 0.0
