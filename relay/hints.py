"""Hints that calls have changed: whoever tells browsers of calls then looks at once, instead of within a second.

A hint says no more than that. The rows are the truth and are looked at all the same, so one that is lost, late or
doubled does no harm.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from typing import Final

from channels.layers import get_channel_layer
from django.conf import settings
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)
GROUP: Final = "calls"
MESSAGE: Final = {"type": "calls.changed"}
SPACING_S: Final = 0.2  # between two messages of a process, whatever happens meanwhile

_listeners: set[Callable[[], None]] = set()


def listen(wake: Callable[[], None]) -> None:
    """Have `wake` called, from any thread, for each hint of this process."""
    _listeners.add(wake)


def unlisten(wake: Callable[[], None]) -> None:
    _listeners.discard(wake)


def tell_changed() -> None:
    """Hint that calls have changed, to this process and, where they share Redis, to all others. Never waits.

    To be called when the change is committed: `transaction.on_commit(tell_changed)`.
    """
    for wake in tuple(_listeners):
        wake()
    if settings.REDIS_URL:
        _messenger.tell()


class _Messenger:
    """Sends hints to other processes from a thread of its own, the first at once and those that follow together."""

    def __init__(self) -> None:
        self._due = threading.Event()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def tell(self) -> None:
        self._due.set()
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="call-hints", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        with asyncio.Runner() as runner:
            while self._due.wait():
                self._due.clear()
                try:
                    runner.run(self._send())
                except (RedisError, OSError) as exc:
                    logger.warning("no hint that calls changed: %s", exc)
                time.sleep(SPACING_S)

    async def _send(self) -> None:
        layer = get_channel_layer()
        assert layer is not None
        await layer.group_send(GROUP, MESSAGE)


_messenger = _Messenger()
