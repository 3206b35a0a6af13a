"""A small MCP server over streamable HTTP: a shop with three tools. Strict about the order of what it is asked."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

OPEN: set[str] = set()  # addresses that the tests' engine may ask
SESSION_ID = "shop-session"
TITLE = {"type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"]}
FIND = {"name": "find_record", "description": "Look a record up.", "inputSchema": TITLE,
        "annotations": {"readOnlyHint": True}}  # fmt: skip
ORDER = {"name": "order_record", "description": "Order a record.", "inputSchema": TITLE}
BREAK = {"name": "break_shop", "description": "Break.", "inputSchema": {"type": "object"}}


@dataclass
class Shop:
    """What the server was asked, and how it answers. pages: of its list of tools."""

    url: str = ""
    called: list[tuple[str, Any]] = field(default_factory=list)
    methods: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    pages: list[Any] = field(default_factory=lambda: [[FIND, ORDER], [BREAK]])
    answers: dict[str, web.Response] = field(default_factory=dict)  # by method, in place of its own
    ended: int = 0

    async def post(self, request: web.Request) -> web.StreamResponse:
        message = await request.json()
        method = message["method"]
        self.methods.append(method)
        self.headers.append(dict(request.headers))
        if method != "initialize" and request.headers.get("Mcp-Session-Id") != SESSION_ID:
            return web.Response(status=400)
        if method in self.answers:
            return self.answers.pop(method)
        if method == "initialize":
            told = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": {"name": "shop"}}
            return answer(message, told, headers={"Mcp-Session-Id": SESSION_ID})
        if method == "notifications/initialized":
            return web.Response(status=202)
        if method == "tools/list":
            page = int(message["params"].get("cursor", 0))
            more = {"nextCursor": str(page + 1)} if page + 1 < len(self.pages) else {}
            return answer(message, {"tools": self.pages[page], **more})
        return await self._call(request, message)

    async def _call(self, request: web.Request, message: Any) -> web.StreamResponse:
        """Answer as a stream, which tells of progress first."""
        name, arguments = message["params"]["name"], message["params"]["arguments"]
        self.called.append((name, arguments))
        text = "The shop is broken." if name == "break_shop" else f"{arguments.get('title')}: 2 copies"
        result = {"content": [{"type": "text", "text": text}], "isError": name == "break_shop"}
        stream = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await stream.prepare(request)
        for told in ({"method": "notifications/progress", "params": {}}, {"id": message["id"], "result": result}):
            await stream.write(f"event: message\ndata: {json.dumps({'jsonrpc': '2.0', **told})}\n\n".encode())
        return stream

    async def delete(self, request: web.Request) -> web.Response:
        self.ended += 1
        return web.Response(status=204)


def answer(message: Any, result: Any, **options: Any) -> web.Response:
    return web.json_response({"jsonrpc": "2.0", "id": message["id"], "result": result}, **options)


@asynccontextmanager
async def open_shop() -> AsyncIterator[Shop]:
    """Serve a shop for as long as the context lasts."""
    shop = Shop()
    app = web.Application()
    app.router.add_post("/mcp", shop.post)
    app.router.add_delete("/mcp", shop.delete)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    shop.url = f"http://{host}:{port}/mcp"
    OPEN.add(shop.url)
    try:
        yield shop
    finally:
        OPEN.discard(shop.url)
        await runner.cleanup()
