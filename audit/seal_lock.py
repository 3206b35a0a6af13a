"""One sealer at a time: a lock of the database's session, or of a file beside SQLite's."""

import fcntl
import os
from typing import Any, Final

from django.db import connection

ADVISORY_KEY: Final = 7_305_804_385_369_680_244  # "event-st" in ASCII; another use of such locks will have another


class SealLock:
    """Held until the process ends or its connection does. Two that seal would fork the log.

    A pooler between here and PostgreSQL may hand a session to somebody else; then the checkpoint's own constraint and
    the comparison before each seal still keep a second one from sealing.
    """

    def __init__(self) -> None:
        self._holder: Any = None  # the connection, or the file's descriptor

    @property
    def is_held(self) -> bool:
        """Tell whether the lock was taken and its session still stands."""
        if connection.vendor == "sqlite":
            return self._holder is not None
        return self._holder is not None and self._holder is connection.connection and not self._holder.closed

    def take(self) -> bool:
        """Return whether this process holds the lock now."""
        if self.is_held:
            return True
        return self._lock_file() if connection.vendor == "sqlite" else self._lock_session()

    def drop(self) -> None:
        """Give the lock back; PostgreSQL's goes with the connection of the thread that took it."""
        if isinstance(self._holder, int):
            os.close(self._holder)
        self._holder = None

    def _lock_session(self) -> bool:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_lock(%s)", [ADVISORY_KEY])
            is_ours = bool(cursor.fetchone()[0])
        self._holder = connection.connection if is_ours else None
        return is_ours

    def _lock_file(self) -> bool:
        descriptor = os.open(f"{connection.settings_dict['NAME']}.sealing", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._holder = descriptor
        return True
