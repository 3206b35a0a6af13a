"""WebSocket frames on a bare protocol, as far as the benches need them: whole text frames of less than 64 KiB."""

import asyncio
import base64
import hashlib
from abc import ABC, abstractmethod
from typing import Final, cast

from bench.floor import HEAD_END

ACCEPT_SUFFIX: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
KEY: Final = b"dGhlIHNhbXBsZSBub25jZQ=="
TEXT, CLOSE, PING, PONG = 0x81, 0x88, 0x89, 0x8A
MASK: Final = 0x80
NO_MASK_KEY: Final = b"\0\0\0\0"


class Frames(asyncio.Protocol, ABC):
    """One side of a connection: a head, then frames. masks: what it sends, as clients must."""

    transport: asyncio.Transport
    masks = False

    def __init__(self) -> None:
        self._read = b""
        self._is_open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._read += data
        if not self._is_open:
            end = self._read.find(HEAD_END)
            if end < 0:
                return
            head, self._read = self._read[:end], self._read[end + len(HEAD_END) :]
            self._is_open = True
            self.opened(head)
        self._take_frames()

    def _take_frames(self) -> None:
        read, at = self._read, 0
        while len(read) - at >= 2:
            kind, short = read[at], read[at + 1] & 0x7F
            start = at + 2 + (2 if short == 126 else 8 if short == 127 else 0)
            length = short if short < 126 else int.from_bytes(read[at + 2 : start], "big")
            is_masked = read[at + 1] & MASK
            end = start + length + (4 if is_masked else 0)
            if len(read) < end:
                break
            payload = unmasked(read[start : start + 4], read[start + 4 : end]) if is_masked else read[start:end]
            at = end
            if kind == TEXT:
                self.received(payload)
            elif kind == PING:
                self._write(PONG, payload)
            elif kind == CLOSE:
                self.transport.close()
        self._read = read[at:]

    def send(self, payload: bytes) -> None:
        self._write(TEXT, payload)

    def _write(self, kind: int, payload: bytes) -> None:
        mask = MASK if self.masks else 0
        length = len(payload)
        head = bytes((kind, mask | length)) if length < 126 else bytes((kind, mask | 126)) + length.to_bytes(2, "big")
        self.transport.write(head + (NO_MASK_KEY if mask else b"") + payload)

    def ask(self, path: str, headers: str) -> None:
        """Begin as a client."""
        self.transport.write(
            f"GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY.decode()}\r\n{headers}\r\n".encode()
        )

    def accept(self, head: bytes) -> None:
        """Answer a client's beginning."""
        key = next(line[18:].strip() for line in head.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key"))
        digest = base64.b64encode(hashlib.sha1(key + ACCEPT_SUFFIX).digest())
        self.transport.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + digest + HEAD_END
        )

    def opened(self, head: bytes) -> None:
        """Take the other side's head. Clients need not answer."""

    @abstractmethod
    def received(self, payload: bytes) -> None:
        """Take one text."""


def unmasked(key: bytes, payload: bytes) -> bytes:
    length = len(payload)
    mask = (key * (length // 4 + 1))[:length]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(mask, "big")).to_bytes(length, "big")
