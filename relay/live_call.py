"""A watched call with its ways out: what is due is sent, and what takes time runs beside it. For both transports."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

import aiohttp
from django.utils import timezone

from realtime_api.sideband import SidebandClosed
from relay.acts import Reaction, Work, acts_of
from relay.conversation import Event
from relay.watch import Watch

logger = logging.getLogger(__name__)
MAX_WAITING: Final = 100  # events that are due while a call is out of reach
WORKS_AT_ONCE: Final = 20

Send = Callable[[Event], Awaitable[None]]
Gone = (SidebandClosed, aiohttp.ClientError, OSError)


class LiveCall:
    """One call's watch and acts, and where events for it go. It is out of reach until `reach`."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        watch.acts = acts_of(watch)
        self._send: Send | None = None
        self._tell: Send | None = None
        self._waiting: list[Event] = []
        self._works: set[asyncio.Task[None]] = set()

    async def reach(self, send: Send, tell: Send | None = None) -> None:
        """Send what waited, and let the acts begin. send: to the upstream; tell: to the client of a socket."""
        self._send, self._tell, self.watch.is_reachable = send, tell, True
        waiting, self._waiting = self._waiting, []
        await self._send_all(waiting)
        await self._carry_out(self.watch.begin(timezone.now()))

    def lose(self) -> None:
        """Keep what is due until the call is within reach again."""
        self._send = self._tell = None
        self.watch.is_reachable = False

    async def take(self, event: Event) -> bool:
        """Follow a server event and do what it asks for. False: the client of a socket does not get it."""
        reaction = self.watch.take(event, timezone.now())
        await self._carry_out(reaction)
        return not reaction.withheld

    def obey(self) -> None:
        """Carry out what is wanted of the call, beside whoever asks: one that takes nothing must not hold others up."""
        reaction = self.watch.obey(timezone.now())
        if reaction != Reaction():
            self._keep(self._carry_out(reaction))

    def lets_sound_through(self, text: str) -> bool:
        return all(act.lets_sound_through(text) for act in self.watch.acts)

    def check_client(self, event: Event) -> None:
        """Raise RefusedClientEvent for what the client of a socket may not say now."""
        for act in self.watch.acts:
            act.check_client(event)

    async def close(self) -> None:
        """End what runs beside the call."""
        self.lose()
        works = tuple(self._works)
        for work in works:
            work.cancel()
        await asyncio.gather(*works, return_exceptions=True)

    async def _carry_out(self, reaction: Reaction) -> None:
        for work in reaction.works:
            self._start(work)
        await self._send_all(reaction.upstream)
        for event in reaction.client:
            if self._tell is not None:
                await self._tell(event)

    async def _send_all(self, events: list[Event]) -> None:
        for number, event in enumerate(events):
            try:
                if self._send is None:
                    raise SidebandClosed
                await self._send(event)
            except Gone:
                self._waiting = (self._waiting + events[number:])[:MAX_WAITING]
                return

    def _start(self, work: Work) -> None:
        if len(self._works) >= WORKS_AT_ONCE:
            logger.error("too much runs beside a call; the newest is left out call=%s", self.watch.call.pk)
            return
        self._keep(self._do(work))

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:  # Any: the event loop's own
        task = asyncio.create_task(work)
        self._works.add(task)
        task.add_done_callback(self._works.discard)

    async def _do(self, work: Work) -> None:
        try:
            async with asyncio.timeout(work.deadline_s):
                reaction = await work.run()
        except Exception:  # one part's trouble must not end the call; what it owes is told by its own code
            logger.exception("what ran beside a call failed call=%s", self.watch.call.pk)
            return
        if reaction is not None:
            await self._carry_out(self.watch.settle(reaction))
