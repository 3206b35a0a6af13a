"""A cache that does not answer is left alone for a moment, so that requests do not wait for it one after another."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from redis.exceptions import RedisError

PAUSE_S: Final = 1.0
_until = 0.0


class CachePaused(OSError):
    """The cache failed a moment ago and is not asked."""


@contextmanager
def asking_cache() -> Iterator[None]:
    """Hold a question to the cache. Raises CachePaused within a second after one that failed."""
    global _until
    if time.monotonic() < _until:
        raise CachePaused
    try:
        yield
    except (RedisError, OSError):
        _until = time.monotonic() + PAUSE_S
        raise


def ask_again() -> None:
    """End the pause, for tests."""
    global _until
    _until = 0.0
