"""Hang-ups beside the requests that cause them: who ends a call does not wait for a slow upstream.

Whatever is not done here, for want of room or because the process ends, the worker finds and repeats.
"""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Final

from django.db import connection

logger = logging.getLogger(__name__)
THREADS: Final = 4
MOST_AT_ONCE: Final = 64  # under way and waiting; with the upstream's deadline of 10 s the last waits 160 s

_threads = ThreadPoolExecutor(THREADS, thread_name_prefix="hang-up")
_room = threading.BoundedSemaphore(MOST_AT_ONCE)


def soon(hang_up: Callable[[], None]) -> None:
    """Carry out a hang-up in a thread of this process; without room for it, leave it to the worker."""
    if not _room.acquire(blocking=False):
        logger.warning("too many hang-ups at once: this one is left to the worker")
        return
    try:
        _threads.submit(copy_context().run, _carry_out, hang_up)
    except RuntimeError:  # the process is ending
        _room.release()


def _carry_out(hang_up: Callable[[], None]) -> None:
    try:
        hang_up()
    except Exception:  # the thread goes on to the next one
        logger.exception("hang-up failed, and is left to the worker")
    finally:
        connection.close()
        _room.release()
