"""An upstream's WebSocket on loopback: keeps a session as the protocol says, and what it was told."""

import asyncio
import itertools
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web

Json = dict[str, Any]
IDS = itertools.count(1)
USAGE = {
    "total_tokens": 30, "input_tokens": 20, "output_tokens": 10,
    "input_token_details": {"text_tokens": 20, "audio_tokens": 0, "cached_tokens": 0},
    "output_token_details": {"text_tokens": 10, "audio_tokens": 0},
}  # fmt: skip


@dataclass
class SocketUpstream:
    """What was asked of it, and what it is to do next.

    refusal: answers the handshake instead. session_error: answers the first `session.update` instead. lives_s: how long
    the next sessions have to live, each its own; the others do not tell. is_slow: responses begin, and end only when
    `say` says so.
    """

    url: str = ""
    handshakes: list[Json] = field(default_factory=list)
    told: list[Json] = field(default_factory=list)
    told_by_socket: dict[int, list[Json]] = field(default_factory=dict)
    sockets: list[web.WebSocketResponse] = field(default_factory=list)
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    refusal: web.Response | None = None
    session_error: Json | None = None
    says_nothing: bool = False
    lives_s: list[int] = field(default_factory=list)
    is_slow: bool = False
    said_bytes: int = 0
    waiting: list[tuple[str, asyncio.Event]] = field(default_factory=list)

    def kinds(self) -> list[str]:
        return [event["type"] for event in self.told]

    async def was_told(self, kind: str) -> Json:
        """Wait for an event of this kind, and return the first."""
        if kind not in self.kinds():
            arrived = asyncio.Event()
            self.waiting.append((kind, arrived))
            await asyncio.wait_for(arrived.wait(), 5)
        return next(event for event in self.told if event["type"] == kind)

    async def say(self, event: Json) -> None:
        await self.sockets[-1].send_json(event)


@asynccontextmanager
async def running_upstream(port: int = 0) -> AsyncIterator[SocketUpstream]:
    fake = SocketUpstream()

    async def realtime(request: web.Request) -> web.StreamResponse:
        return await _serve(fake, request)

    app = web.Application()
    app.router.add_get("/v1/realtime", realtime)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    fake.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    yield fake
    await runner.cleanup()


async def _serve(fake: SocketUpstream, request: web.Request) -> web.StreamResponse:
    fake.handshakes.append({"query": dict(request.query), "headers": dict(request.headers)})
    if fake.refusal is not None:
        return fake.refusal
    socket = web.WebSocketResponse(max_msg_size=0)
    await socket.prepare(request)
    fake.sockets.append(socket)
    session: Json = {"id": f"sess_{next(IDS)}", "object": "realtime.session", "type": "realtime", "instructions": ""}
    if fake.lives_s:
        session["expires_at"] = int(time.time()) + fake.lives_s.pop(0)
    if not fake.says_nothing:
        await socket.send_json({"type": "session.created", "event_id": "event_1", "session": session})
    async for message in socket:
        if message.type is not WSMsgType.TEXT:
            break
        event = json.loads(message.data)
        fake.told.append(event)
        fake.told_by_socket.setdefault(fake.sockets.index(socket), []).append(event)
        for kind, arrived in fake.waiting:
            if kind == event["type"]:
                arrived.set()
        if not fake.says_nothing:
            await _answer(fake, socket, session, event)
    fake.closed.set()
    return socket


async def _answer(fake: SocketUpstream, socket: web.WebSocketResponse, session: Json, event: Json) -> None:
    kind = event["type"]
    if kind == "session.update" and fake.session_error is not None:
        await socket.send_json({"type": "error", "event_id": "event_e", "error": fake.session_error})
    elif kind == "session.update":
        session |= event["session"]
        await socket.send_json({"type": "session.updated", "event_id": "event_2", "session": session})
    elif kind == "input_audio_buffer.append":
        await socket.send_json({"type": "response.output_audio.delta", "event_id": "event_3", "delta": event["audio"]})
    elif kind == "conversation.item.create":
        item = {"id": f"item_{next(IDS)}", "status": "completed"} | event["item"]
        for step in ("added", "done"):
            await socket.send_json({"type": f"conversation.item.{step}", "event_id": "event_5", "item": item})
    elif kind == "response.create" and fake.is_slow:
        await socket.send_json({"type": "response.created", "event_id": "event_6", "response": {"id": "resp_slow"}})
    elif kind == "response.create":
        response = {"id": "resp_1", "object": "realtime.response", "status": "completed", "output": [], "usage": USAGE}
        await socket.send_json({"type": "response.done", "event_id": "event_4", "response": response})
