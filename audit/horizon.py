"""Up to which identifier no event is still to come: PostgreSQL does not commit in the order in which it numbers."""

import time
from typing import Final

from django.db import connection

TABLE: Final = "audit_auditevent"
# Transactions older than one's own that still run here. Those of other databases of the same server draw no number of
# ours; one that cannot be told (a prepared one, one that has just ended) counts as ours.
STILL_RUNNING: Final = """
SELECT count(*) FROM pg_snapshot_xip(pg_current_snapshot()) AS running WHERE running::text::bigint < %s
AND NOT EXISTS (
    SELECT 1 FROM pg_stat_activity
    WHERE backend_xid::text::bigint = running::text::bigint & 4294967295 AND datname <> current_database()
)
"""
WAIT_S: Final = 0.4
POLL_S: Final = 0.01


class Horizon:
    """The highest identifier below which every event is visible or will never be.

    PostgreSQL: (1) read the sequence, (2) take a transaction number of one's own, (3) wait until every transaction of
    this database with a lower number is over. Whoever drew an identifier by (1) had its number before (2): a trigger of
    the table sees to that. A transaction that writes for long holds the horizon back for as long, and loses nothing.
    SQLite: identifiers are given in the order of commits, and one that was given is never given again.
    """

    def __init__(self) -> None:
        self.reached = 0
        self._waiting: tuple[int, int] | None = None

    def advance(self, wait_s: float = WAIT_S) -> int:
        """Return the horizon, after waiting a little for transactions that are under way."""
        if connection.vendor == "sqlite":
            return _highest_given()
        until = time.monotonic() + wait_s
        if self._waiting is None:
            self._waiting = _sequence_value(), _own_transaction()  # (1), (2)
        while not _all_over(self._waiting[1]):  # (3)
            if time.monotonic() > until:
                return self.reached
            time.sleep(POLL_S)
        self.reached, self._waiting = self._waiting[0], None
        return self.reached


def highest_drawn() -> int:
    """Return the highest identifier that the database itself has numbered an event with."""
    return _highest_given() if connection.vendor == "sqlite" else _sequence_value()


def _highest_given() -> int:
    """Return SQLite's own count, which deleting the last rows does not lower."""
    return max(
        _number(f"SELECT seq FROM sqlite_sequence WHERE name = '{TABLE}'"),  # noqa: S608
        _number(f"SELECT max(id) FROM {TABLE}"),  # noqa: S608
    )


def _sequence_value() -> int:
    return _number(f"SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {TABLE}_id_seq")  # noqa: S608


def _own_transaction() -> int:
    return _number("SELECT pg_current_xact_id()::text::bigint")


def _all_over(transaction: int) -> bool:
    return _number(STILL_RUNNING, transaction) == 0


def _number(question: str, *values: int) -> int:
    with connection.cursor() as cursor:
        cursor.execute(question, values)
        row = cursor.fetchone()
    return int(row[0] or 0) if row else 0
