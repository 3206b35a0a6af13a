"""Statements that run over and over, handed to the database's driver as they are.

Django's cursor reads the text of a statement anew each time, and on PostgreSQL writes the values into it.
"""

from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper


def rows_of(connection: BaseDatabaseWrapper, sql: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Run a statement with `%s` for each value; returns the rows that it returns. Raises DatabaseError."""
    if not _is_simple(connection):
        with connection.cursor() as cursor:
            cursor.execute(sql, values)
            return list(cursor.fetchall())
    connection.validate_no_broken_transaction()
    with connection.wrap_database_errors:
        if connection.vendor == "sqlite":
            found: list[tuple[Any, ...]] = connection.connection.execute(_with_question_marks(sql), values).fetchall()
        else:
            found = _cursor_class()(connection.connection).execute(sql, values, prepare=True).fetchall()
        return found


def run_for_each(connection: BaseDatabaseWrapper, sql: str, rows: Sequence[Sequence[Any]]) -> None:
    """Run a statement that returns nothing once for each row of values. Raises DatabaseError."""
    if not _is_simple(connection):
        with connection.cursor() as cursor:
            cursor.executemany(sql, rows)
        return
    connection.validate_no_broken_transaction()
    with connection.wrap_database_errors:
        if connection.vendor == "sqlite":
            connection.connection.executemany(_with_question_marks(sql), rows)
        else:
            _cursor_class()(connection.connection).executemany(sql, rows)


def _is_simple(connection: BaseDatabaseWrapper) -> bool:
    """Tell whether the driver may be asked directly: the connection is known to live, and nobody watches what runs."""
    return connection.in_atomic_block and not connection.execute_wrappers and not connection.queries_logged


@lru_cache(maxsize=1024)
def _with_question_marks(sql: str) -> str:
    return sql.replace("%s", "?").replace("%%", "%")


@cache
def _cursor_class() -> Any:
    """Return the cursor that sends values apart from the statement, so that the server can keep its plan."""
    import psycopg  # only where it is used

    return psycopg.Cursor
