"""An upstream that mints at once: `python bench/mint_upstream.py PORT`."""

import asyncio
import itertools
import json
import sys
import time

import uvloop
from aiohttp import web

COUNT = web.AppKey("COUNT", "itertools.count[int]")


async def mint(request: web.Request) -> web.Response:
    await request.read()
    session = {"type": "realtime", "object": "realtime.session", "id": "sess_bench", "model": "gpt-realtime-2.1"}
    value = f"ek_{next(request.app[COUNT]):032x}"  # digests are unique, so each value is another
    body = {"value": value, "expires_at": int(time.time()) + 60, "session": session}
    return web.Response(body=json.dumps(body).encode(), content_type="application/json")


async def healthz(request: web.Request) -> web.Response:
    return web.Response(text="ok")


async def serve(port: int) -> None:
    app = web.Application()
    app[COUNT] = itertools.count(time.time_ns())
    app.router.add_post("/v1/realtime/client_secrets", mint)
    app.router.add_get("/healthz", healthz)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
