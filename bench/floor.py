"""The least that a relay in Python can do, as a yardstick: parse, ask the upstream on a kept connection, answer.

No users, limits, policies or records. `python bench/floor.py PORT UPSTREAM_PORT [PATH]`.
"""

import asyncio
import sys
from abc import ABC, abstractmethod
from collections import deque
from typing import cast

HEAD_END = b"\r\n\r\n"
HEALTHY = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Exchange(asyncio.Protocol, ABC):
    """Whole HTTP messages with a Content-Length, one after another, on one connection."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self._read = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's own, which is none by name

    def data_received(self, data: bytes) -> None:
        self._read += data
        while (head_end := self._read.find(HEAD_END)) >= 0:
            head = self._read[:head_end].lower()
            start = head.find(b"content-length:")
            length = int(head[start + 15 :].split(b"\r\n", 1)[0]) if start >= 0 else 0
            end = head_end + len(HEAD_END) + length
            if len(self._read) < end:
                return
            message, self._read = self._read[:end], self._read[end:]
            self.received(message)

    @abstractmethod
    def received(self, message: bytes) -> None:
        """Take one whole message, head and body."""


class ToUpstream(Exchange):
    def __init__(self, idle: "deque[ToUpstream]") -> None:
        super().__init__()
        self._idle = idle
        self.asker: FromClient | None = None

    def ask(self, message: bytes, asker: "FromClient") -> None:
        self.asker = asker
        self.transport.write(message)

    def received(self, message: bytes) -> None:
        assert self.asker is not None
        self.asker.transport.write(message)
        self._idle.append(self)


class FromClient(Exchange):
    def __init__(self, idle: deque[ToUpstream], upstream_port: int, path: bytes) -> None:
        super().__init__()
        self._idle, self._upstream_port, self._path = idle, upstream_port, path
        self._connecting: set[asyncio.Task[None]] = set()

    def received(self, message: bytes) -> None:
        if message.startswith(b"GET /healthz"):
            self.transport.write(HEALTHY)
            return
        body = message.partition(HEAD_END)[2]
        asked = b"POST %s HTTP/1.1\r\nHost: upstream\r\nAuthorization: Bearer sk-bench\r\n" % self._path
        asked += b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        if self._idle:
            self._idle.pop().ask(asked, self)
            return
        task = asyncio.ensure_future(self._connect_and_ask(asked))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    async def _connect_and_ask(self, asked: bytes) -> None:
        loop = asyncio.get_running_loop()
        _, upstream = await loop.create_connection(lambda: ToUpstream(self._idle), "127.0.0.1", self._upstream_port)
        upstream.ask(asked, self)


async def main(port: int, upstream_port: int, path: str = "/v1/realtime/client_secrets") -> None:
    idle: deque[ToUpstream] = deque()
    server = await asyncio.get_running_loop().create_server(
        lambda: FromClient(idle, upstream_port, path.encode()), "127.0.0.1", port
    )
    await server.serve_forever()


if __name__ == "__main__":
    import uvloop

    uvloop.run(main(int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:4]))
