"""A client's socket and the upstream's, joined: one loop for each direction, each with one event in its hands.

A side that does not read holds up the loop that writes to it, which then takes nothing from the other side: what is
held is bounded by the buffers of the two sockets (64 and 128 KiB, and one event each way).
"""

import asyncio
import json
import logging
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
from voiceagent.body_limit import Receive, Send
from voiceagent.errors import TooLarge

logger = logging.getLogger(__name__)
MAX_CLIENT_EVENT_CHARS: Final = 262_144  # as the server is told, too
# The one event that is forwarded unread. Its name cannot stand like this inside of a text: the quotes would be escaped.
AUDIO_DELTA: Final = '"response.output_audio.delta"'
AUDIO_DELTA_START: Final = '{"type":"response.output_audio.delta"'
NAME_WITHIN_CHARS: Final = 200

OnServerEvent = Callable[[dict[str, Any]], None]


class Joint:
    """Two sockets, joined until either ends or `end` is called. Counts what passes, for who watches."""

    def __init__(
        self,
        receive: Receive,
        send: Send,
        upstream: ClientWebSocketResponse,
        rights: Rights,
        on_server_event: OnServerEvent | None = None,
    ) -> None:
        self._receive, self._send, self._upstream, self._rights = receive, send, upstream, rights
        self._on_server_event = on_server_event
        self._ended: asyncio.Future[End] = asyncio.get_running_loop().create_future()
        self.from_client = self.from_upstream = self.refused = self.left_out = 0
        self.is_writing_down = self.is_writing_up = False

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
            if not is_audio(text):
                text = await self._checked(text)
                if text is None:
                    continue
            try:
                self.is_writing_up = True
                await self._upstream.send_str(text)
                self.is_writing_up = False
            except (aiohttp.ClientError, ConnectionError):
                return None  # the other loop learns why

    async def _checked(self, text: str) -> str | None:
        """Return an event as it may go on; None for one that may not, of which the client was told."""
        try:
            checked = check_event(text, self._rights)
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
            message = await self._upstream.receive()
            if message.type is not WSMsgType.TEXT:
                # The socket's own `close_code` is another one when the connection went with the frame.
                code = message.data if message.type is WSMsgType.CLOSE else self._upstream.close_code
                return self.end(close_codes.upstream_left(code))
            text = message.data
            if not text.startswith(AUDIO_DELTA_START) and AUDIO_DELTA not in text[:NAME_WITHIN_CHARS]:
                self._observe(text)
            self.from_upstream += 1
            try:
                await self._tell(text)
            except OSError:
                return None  # the client is gone, of which the other loop hears

    def _observe(self, text: str) -> None:
        if self._on_server_event is None:
            return
        try:
            event = json.loads(text)
        except (ValueError, RecursionError):
            return  # the client gets what the upstream said, whatever it is; nothing can be counted by it
        if isinstance(event, dict):
            self._on_server_event(event)

    async def _tell(self, text: str) -> None:
        self.is_writing_down = True
        await self._send({"type": "websocket.send", "text": text})
        self.is_writing_down = False


def _bad_client(code: int, error: Any) -> End:
    return End(Reason.BAD_CLIENT, code, error)
