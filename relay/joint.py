"""A client's socket and the upstream's, joined: one loop for each direction, each with one event in its hands.

A side that does not read holds up the loop that writes to it, which then takes nothing from the other side: what is
held is bounded by the buffers of the two sockets (64 and 128 KiB, and one event each way).
"""

import asyncio
import json
import logging
import re
from collections.abc import Callable
from typing import Any, Final

import aiohttp
from aiohttp import ClientWebSocketResponse, WSMsgType

from realtime_api.client_events import (
    InvalidClientEvent,
    RefusedClientEvent,
    Rights,
    check_event,
    is_audio,
)
from relay import close_codes, exceptions
from relay.close_codes import End, Reason
from relay.conversation import Event
from relay.live_call import LiveCall
from voiceagent.body_limit import Receive, Send
from voiceagent.errors import TooLarge

logger = logging.getLogger(__name__)
MAX_CLIENT_EVENT_CHARS: Final = 262_144  # as the server is told, too
# The one event that is forwarded unread. Its name counts at the very beginning only: further in, an item's id or what a
# client calls its response may read the same, and the whole event would pass unseen.
AUDIO_DELTA: Final = re.compile(
    r'\{\s*(?:"event_id"\s*:\s*"[^"\\]*"\s*,\s*)?"type"\s*:\s*"response\.output_audio\.delta"'
)


class Joint:
    """Two sockets, joined until either ends or `end` is called. Counts what passes, for who watches.

    live: the call, where nobody else looks after it; its parts see each event before the other side does.
    """

    def __init__(
        self,
        receive: Receive,
        send: Send,
        upstream: ClientWebSocketResponse,
        rights: Rights,
        live: LiveCall | None = None,
    ) -> None:
        self._receive, self._send, self._rights = receive, send, rights
        self.upstream = upstream
        self._up = asyncio.Lock()
        self._live = live
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[End] = self._loop.create_future()
        self.from_client = self.from_upstream = self.refused = self.left_out = 0
        self.is_writing_down = self.is_writing_up = False
        self.heard_at = self.said_at = (
            0.0  # by the event loop's clock: when sound, or anything else, came from the client
        )

    def end(self, end: End) -> None:
        """End the joint; the first to say so is right."""
        if not self._ended.done():
            self._ended.set_result(end)

    async def run(self) -> End:
        """Join the sockets; returns why they parted. Both are still open then, as far as they are."""
        loops = [asyncio.create_task(self._guarded(loop)) for loop in (self._from_client, self._from_upstream)]
        try:
            return await self._ended
        finally:
            for loop in loops:
                loop.cancel()
            await asyncio.gather(*loops, return_exceptions=True)

    async def _guarded(self, loop: Callable[[], Any]) -> None:
        try:
            await loop()
        except Exception:  # a fault of ours; the two must not stay open without anybody between them
            logger.exception("the joint of two sockets failed")
            self.end(End(Reason.UPSTREAM_FAILED, close_codes.INTERNAL_ERROR))

    async def _from_client(self) -> None:
        while True:
            message = await self._receive()
            if message["type"] != "websocket.receive":
                return self.end(close_codes.left(message.get("code") or close_codes.NO_STATUS))
            text = message.get("text")
            self.from_client += 1
            if text is None:
                return self.end(_bad_client(close_codes.UNSUPPORTED_DATA, exceptions.InvalidEvent()))
            if len(text) > MAX_CLIENT_EVENT_CHARS:
                return self.end(_bad_client(close_codes.TOO_BIG, TooLarge()))
            if is_audio(text):
                self.heard_at = self._loop.time()
            else:
                self.said_at = self._loop.time()
                text = await self._checked(text)
                if text is None:
                    continue
            try:
                await self._send_up(text)
            except (aiohttp.ClientError, ConnectionError):
                return None  # the other loop learns why

    async def _checked(self, text: str) -> str | None:
        """Return an event as it may go on; None for one that may not, of which the client was told."""
        try:
            checked = check_event(text, self._rights)
            if self._live is not None:
                self._live.check_client(checked.event)
        except InvalidClientEvent as exc:
            self.end(
                _bad_client(close_codes.refusal_code(exceptions.InvalidEvent()), exceptions.InvalidEvent(str(exc)))
            )
            return None
        except RefusedClientEvent as exc:
            self.refused += 1
            await self._tell(close_codes.refused_event(exc))
            return None
        self.left_out += len(checked.left_out)
        return checked.text

    async def _from_upstream(self) -> None:
        while True:
            upstream = self.upstream
            message = await upstream.receive()
            if message.type is not WSMsgType.TEXT:
                if upstream is not self.upstream:
                    continue  # another has taken its place
                # The socket's own `close_code` is another one when the connection went with the frame.
                code = message.data if message.type is WSMsgType.CLOSE else upstream.close_code
                return self.end(close_codes.upstream_left(code))
            text = message.data
            self.from_upstream += 1
            try:
                if await self._goes_down(text):
                    await self._tell(text)
            except OSError:
                return None  # the client is gone, of which the other loop hears

    async def _goes_down(self, text: str) -> bool:
        """Let the call's parts see a server event. False: the client does not get it."""
        if self._live is None:
            return True
        if AUDIO_DELTA.match(text):
            return self._live.lets_sound_through(text)
        try:
            event = json.loads(text)
        except (ValueError, RecursionError):
            return True  # the client gets what the upstream said, whatever it is; nothing can be counted by it
        return await self._live.take(event) if isinstance(event, dict) else True

    def held(self) -> asyncio.Lock:
        """Return what, while it is held, keeps everything back that is for the upstream."""
        return self._up

    async def replace(self, upstream: ClientWebSocketResponse) -> None:
        """Go on with another upstream socket, and close the one before. What that one still says goes to the client."""
        before, self.upstream = self.upstream, upstream
        await before.close()

    async def send(self, event: Event) -> None:
        """Send the upstream an event of ours. Raises aiohttp.ClientError and ConnectionError."""
        await self._send_up(json.dumps(event))

    async def tell(self, event: Event) -> None:
        """Send the client an event of ours. Raises OSError."""
        await self._tell(json.dumps(event))

    async def _send_up(self, text: str) -> None:
        async with self._up:
            self.is_writing_up = True
            await self.upstream.send_str(text)
            self.is_writing_up = False

    async def _tell(self, text: str) -> None:
        self.is_writing_down = True
        await self._send({"type": "websocket.send", "text": text})
        self.is_writing_down = False


def _bad_client(code: int, error: Any) -> End:
    return End(Reason.BAD_CLIENT, code, error)
