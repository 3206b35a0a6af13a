"""How many requests Django works on at once: each holds a thread, and may hold a connection to the database."""

import asyncio
import logging
from collections.abc import Collection
from typing import Final

from voiceagent.body_limit import App, Message, Receive, Scope, Send, refuse
from voiceagent.errors import Busy

logger = logging.getLogger(__name__)
AT_ONCE: Final = 32  # of each kind, in each process; PostgreSQL takes 100 connections unless told otherwise
LONGEST_WAIT_S: Final = 10.0


class Bulkhead:
    """ASGI middleware: lets so many requests through at once; the others wait, and are answered 503 in the end.

    Those that wait for the upstream (`slow_paths`) have places of their own, so that a slow upstream holds up nothing
    else. A request takes its place once its body is there, and gives it up as its answer starts: slow clients and
    streams hold none.
    """

    def __init__(self, app: App, *, slow_paths: Collection[str], at_once: int = AT_ONCE) -> None:
        self.app = app
        self._slow_paths = frozenset(slow_paths)
        self._places = {is_slow: asyncio.Semaphore(at_once) for is_slow in (True, False)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        first = await receive()
        rest = [first]
        while rest[-1].get("more_body"):
            rest.append(await receive())
        places = self._places[scope["path"] in self._slow_paths]
        try:
            async with asyncio.timeout(LONGEST_WAIT_S):
                await places.acquire()
        except TimeoutError:
            logger.warning("too many requests at once: answered 503 path=%a", scope["path"])
            await refuse(scope, send, Busy(retry_after_ms=1000), "500.html")
            return
        place = _Place(places)
        try:
            await self.app(scope, _again(rest, receive), place.freed_by(send))
        finally:
            place.free()


class _Place:
    """One place among those of its kind, given back once."""

    def __init__(self, places: asyncio.Semaphore) -> None:
        self._places = places
        self._is_free = False

    def free(self) -> None:
        if not self._is_free:
            self._is_free = True
            self._places.release()

    def freed_by(self, send: Send) -> Send:
        """Return a `send` that gives the place back as the answer starts."""

        async def freeing_send(message: Message) -> None:
            self.free()
            await send(message)

        return freeing_send


def _again(messages: list[Message], receive: Receive) -> Receive:
    """Return a `receive` that tells what was heard already, then what the server has to say."""
    heard = iter(messages)

    async def again() -> Message:
        return next(heard, None) or await receive()

    return again
