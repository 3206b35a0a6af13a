"""A WebSocket client for the tests: sends events, and writes down those that come."""

import asyncio
import base64
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType, WSServerHandshakeError

from engine.audio import SPEAK_RATE_HZ, Samples, resample
from engine.formats import encode
from engine.protocol_json import Json
from tests.engine.caller import MIC_RATE_HZ, WAIT_S

SENT_MS = 100


class SocketClient:
    """One WebSocket. `close_code` is None while it is open."""

    def __init__(self, socket: ClientWebSocketResponse) -> None:
        self.socket = socket
        self.events: list[Json] = []
        self._news = asyncio.Condition()
        self._reader = asyncio.create_task(self._read())

    @property
    def close_code(self) -> int | None:
        return self.socket.close_code

    async def send(self, event_type: str, **fields: object) -> None:
        await self.socket.send_str(json.dumps({"type": event_type, **fields}))

    async def say_text(self, text: str) -> None:
        item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
        await self.send("conversation.item.create", item=item)

    async def say(self, microphone: Samples, name: str = "audio/pcm") -> None:
        """Send 48 kHz speech and a second of silence, faster than it is spoken."""
        speech = resample(microphone, MIC_RATE_HZ, SPEAK_RATE_HZ)
        sound = np.concatenate([speech, np.zeros(SPEAK_RATE_HZ, np.int16)])
        step = SPEAK_RATE_HZ * SENT_MS // 1000
        for start in range(0, len(sound), step):
            audio = base64.b64encode(encode(name, sound[start : start + step])).decode()
            await self.send("input_audio_buffer.append", audio=audio)

    async def wait_for(
        self, event_type: str, after: int = 0, where: Callable[[Json], bool] = lambda event: True
    ) -> Json:
        def found() -> list[Json]:
            return [event for event in self.events[after:] if event["type"] == event_type and where(event)]

        async with asyncio.timeout(WAIT_S), self._news:
            await self._news.wait_for(lambda: bool(found()) or self._reader.done())
        return found()[0]

    async def wait_closed(self) -> int | None:
        async with asyncio.timeout(WAIT_S):
            await self._reader
        return self.close_code

    def types(self, after: int = 0) -> list[str]:
        return [event["type"] for event in self.events[after:]]

    async def _read(self) -> None:
        async for message in self.socket:
            if message.type is WSMsgType.TEXT:
                self.events.append(json.loads(message.data))
            async with self._news:
                self._news.notify_all()
        async with self._news:
            self._news.notify_all()


class SocketClients:
    """Opens WebSockets to one engine and closes them in the end."""

    def __init__(self, base_url: str, http: ClientSession) -> None:
        self._url = base_url + "/v1/realtime"
        self._http = http
        self._open: list[SocketClient] = []

    async def connect(self, query: str, key: str = "sk-test", **options: Any) -> SocketClient:  # Any: aiohttp's own
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        socket = await self._http.ws_connect(f"{self._url}?{query}", headers=headers, max_msg_size=0, **options)
        client = SocketClient(socket)
        self._open.append(client)
        return client

    async def close(self) -> None:
        for client in self._open:
            await client.socket.close()
            await client._reader


@contextmanager
def refused_with(status: int) -> Iterator[None]:
    """Expect a handshake to be answered with an HTTP status."""
    with pytest.raises(WSServerHandshakeError) as refusal:
        yield
    assert refusal.value.status == status
