"""An upstream that speaks bytes: for answers that no HTTP library would give."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class RawUpstream:
    """Where it is, and the heads of the requests that it got, whole."""

    url: str = ""
    heads: list[bytes] = field(default_factory=list)


@asynccontextmanager
async def raw_upstream(talk: Talk, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[RawUpstream]:
    """Serve on loopback; `talk` has a connection's request read already, and does what it likes with it."""
    found, open_writers = RawUpstream(), set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_writers.add(writer)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            found.heads.append(await read_request(reader))
            await talk(reader, writer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    scheme = "https" if tls else "http"
    found.url = f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    yield found
    server.close()
    for writer in open_writers:
        writer.transport.abort()


async def read_request(reader: asyncio.StreamReader) -> bytes:
    """Read one request with its body, chunked or of a declared length, and return its head."""
    head = await reader.readuntil(b"\r\n\r\n")
    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line)
    if fields.get(b"transfer-encoding") == b"chunked":
        await reader.readuntil(b"0\r\n\r\n")
    else:
        await reader.readexactly(int(fields.get(b"content-length", b"0")))
    return head


def answering(*parts: bytes, pause_s: float = 0, stays: bool = False) -> Talk:
    """Return a talk that writes some parts with pauses between, then closes or stays silent."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause_s)
        if stays:
            await asyncio.Event().wait()

    return talk


def http(status: int, body: bytes = b"", *headers: bytes) -> bytes:
    """Return a whole HTTP/1.1 answer."""
    length = b"Content-Length: %d" % len(body)
    return b"\r\n".join([b"HTTP/1.1 %d Whatever" % status, length, *headers, b"", body])
