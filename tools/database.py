"""The database from a call's event loop."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from channels.db import database_sync_to_async

P = ParamSpec("P")
R = TypeVar("R")


async def in_database(work: Callable[P, R], *arguments: P.args, **options: P.kwargs) -> R:
    """Do something with the database in a thread that nobody else waits for."""
    result: R = await database_sync_to_async(work, thread_sensitive=False)(*arguments, **options)
    return result
