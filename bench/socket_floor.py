"""The least that a relay of WebSockets in Python can do, as a yardstick.

Parses, unmasks and forwards. `python bench/socket_floor.py PORT UPSTREAM_PORT`.
"""

import asyncio
import sys

from bench.floor import HEALTHY
from bench.frames import Frames


class ToUpstream(Frames):
    masks = True

    def __init__(self, client: "FromClient") -> None:
        super().__init__()
        self._client = client

    def received(self, payload: bytes) -> None:
        self._client.send(payload)

    def connection_lost(self, exc: Exception | None) -> None:
        self._client.transport.close()


class FromClient(Frames):
    def __init__(self, upstream_port: int) -> None:
        super().__init__()
        self._upstream_port = upstream_port
        self._upstream: ToUpstream | None = None
        self._connecting: asyncio.Task[None] | None = None

    def opened(self, head: bytes) -> None:
        if head.startswith(b"GET /healthz"):
            self.transport.write(HEALTHY)
            self._is_open = False
            return
        self._connecting = asyncio.ensure_future(self._join(head))

    async def _join(self, head: bytes) -> None:
        loop = asyncio.get_running_loop()
        _, upstream = await loop.create_connection(lambda: ToUpstream(self), "127.0.0.1", self._upstream_port)
        upstream.ask("/v1/realtime", "Authorization: Bearer sk-bench\r\n")
        self._upstream = upstream
        self.accept(head)

    def received(self, payload: bytes) -> None:
        if self._upstream is not None:
            self._upstream.send(payload)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._upstream is not None:
            self._upstream.transport.close()


async def main(port: int, upstream_port: int) -> None:
    server = await asyncio.get_running_loop().create_server(lambda: FromClient(upstream_port), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    import uvloop

    uvloop.run(main(*map(int, sys.argv[1:3])))
