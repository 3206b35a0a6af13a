"""A browser's end of a stream of server-sent events, straight at the ASGI application."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from voiceagent import asgi
from voiceagent.body_limit import Message, Scope
from voiceagent.direct_mount import DirectMount

TIMEOUT_S = 15.0
MOUNTED = DirectMount(asgi.django_application, {}, asgi.STREAMS)


@dataclass
class Event:
    name: str
    id: str
    data: dict[str, Any]


@dataclass
class EventStream:
    """status and headers are there once the stream is open."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    comments: int = 0
    is_over: bool = False
    _sent: "asyncio.Queue[Message]" = field(default_factory=asyncio.Queue)
    _text: str = ""

    async def next(self) -> Event:
        """Return the next event."""
        while True:
            block = await self._block()
            lines = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
            if "event" in lines:
                return Event(lines["event"], lines.get("id", ""), json.loads(lines["data"]))

    async def until(self, **wanted: object) -> dict[str, Any]:
        """Return the data of the first event of a call that has these values."""
        while True:
            event = await self.next()
            if event.name == "call" and event.data | wanted == event.data:
                return event.data

    async def body(self) -> dict[str, Any]:
        """Return the whole of an answer that is no stream."""
        text = b""
        while True:
            message = await asyncio.wait_for(self._sent.get(), TIMEOUT_S)
            text += message.get("body", b"")
            if not message.get("more_body"):
                answer: dict[str, Any] = json.loads(text)
                return answer

    async def end(self) -> None:
        """Wait for the server to end the stream."""
        while not self.is_over:
            await self._more()

    async def _block(self) -> str:
        while "\n\n" not in self._text:
            await self._more()
        block, _, self._text = self._text.partition("\n\n")
        self.comments += block.startswith(":")
        return block

    async def _more(self) -> None:
        message = await asyncio.wait_for(self._sent.get(), TIMEOUT_S)
        self._text += message.get("body", b"").decode()
        self.is_over = not message.get("more_body")

    def take_start(self, message: Message) -> None:
        self.status = message["status"]
        self.headers = {name.decode().lower(): value.decode() for name, value in message["headers"]}


@asynccontextmanager
async def opened(path: str, *, query: str = "", **headers: str) -> AsyncIterator[EventStream]:
    """Open a stream, and leave it at the end."""
    stream, start, has_left = EventStream(), asyncio.Event(), asyncio.Event()
    asked: list[Message] = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> Message:
        if asked:
            return asked.pop()
        await has_left.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            stream.take_start(message)
            start.set()
        else:
            stream._sent.put_nowait(message)

    fields = {"host": "testserver", "accept": "text/event-stream"} | headers
    scope: Scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
        "path": path, "raw_path": path.encode(), "query_string": query.encode(), "root_path": "",
        "headers": [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in fields.items()],
        "client": ("127.0.0.1", 5000), "server": ("testserver", 80),
    }  # fmt: skip
    serving = asyncio.create_task(MOUNTED(scope, receive, send))
    try:
        await asyncio.wait_for(start.wait(), TIMEOUT_S)
        yield stream
    finally:
        has_left.set()
        await asyncio.wait_for(serving, TIMEOUT_S)
