"""One WebSocket of a client: events out through a bounded queue, text in. Knows no session."""

import asyncio
import json
import logging
from collections.abc import Callable

from aiohttp import WSMsgType, web

from engine.protocol_json import Json

logger = logging.getLogger(__name__)

PING_S = 20.0
CLOSE_TIMEOUT_S = 2.0
# An append may have 15 MiB of base64.
MAX_MESSAGE_BYTES = 16 * 1024 * 1024
# Speech is made faster than it is heard and leaves at once: some minutes of it may wait.
MAX_UNSENT_CHARS = 16 * 1024 * 1024
NORMAL = 1000


class SocketLink:
    """Send events in order; a client that does not read any more is cut off."""

    def __init__(self, request: web.Request, protocols: tuple[str, ...] = ()) -> None:
        self._request = request
        self._socket = web.WebSocketResponse(
            heartbeat=PING_S,
            max_msg_size=MAX_MESSAGE_BYTES,
            compress=False,
            timeout=CLOSE_TIMEOUT_S,
            protocols=protocols,
        )
        self._waiting: asyncio.Queue[str | None] = asyncio.Queue()
        self._unsent_chars = 0
        self._end: tuple[int, str] = (NORMAL, "")

    async def open(self) -> web.WebSocketResponse:
        """Shake hands and return the response that the route answers with."""
        await self._socket.prepare(self._request)
        return self._socket

    def send_event(self, event: Json) -> None:
        """Send a server event."""
        text = json.dumps(event)
        self._unsent_chars += len(text)
        if self._unsent_chars > MAX_UNSENT_CHARS:
            logger.info("A WebSocket ends: slow_client")
            self.break_off()
        else:
            self._waiting.put_nowait(text)

    def close_soon(self, reason: str, code: int = NORMAL) -> None:
        """Close after what waits has been sent."""
        self._end = (code, reason)
        self._waiting.put_nowait(None)

    def break_off(self) -> None:
        """End without a word, as a lost network does."""
        if self._request.transport is not None:
            self._request.transport.abort()

    def break_off_after(self, wait_ms: int) -> None:
        """Do as `break_off` after a while; 0 means never."""
        if wait_ms:
            asyncio.get_running_loop().call_later(wait_ms / 1000, self.break_off)

    async def run(self, on_text: Callable[[str], None]) -> None:
        """Pass on what the client sends until either side closes; what is not text comes as ""."""
        writer = asyncio.ensure_future(self._write())
        try:
            async for message in self._socket:
                on_text(message.data if message.type is WSMsgType.TEXT else "")
        finally:
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)

    async def _write(self) -> None:
        while (text := await self._waiting.get()) is not None:
            await self._socket.send_str(text)
            self._unsent_chars -= len(text)
        code, reason = self._end
        await self._socket.close(code=code, message=reason.encode())
