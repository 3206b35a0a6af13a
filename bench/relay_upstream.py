"""An upstream that takes offers and sockets: `python bench/relay_upstream.py PORT`. Sound is echoed at once."""

import asyncio
import itertools
import sys
import time
from pathlib import Path

from bench.floor import HEALTHY, Exchange
from bench.frames import Frames

ANSWER = (Path(__file__).parents[1] / "tests/data/engine_answer.sdp").read_bytes().replace(b"\n", b"\r\n")
NUMBERS = itertools.count(time.time_ns())
APPEND = b'{"type":"input_audio_buffer.append","audio":'
DELTA = (
    b'{"type":"response.output_audio.delta","event_id":"event_bench","response_id":"resp_bench","item_id":"item_bench",'
    b'"output_index":0,"content_index":0,"delta":'
)


class Offers(Exchange):
    """Answers offers, and hands a connection that upgrades to the frames."""

    def data_received(self, data: bytes) -> None:
        if b"\r\nupgrade: websocket" in data.lower():
            socket = EchoSocket()
            socket.connection_made(self.transport)
            self.transport.set_protocol(socket)
            socket.data_received(data)
            return
        super().data_received(data)

    def received(self, message: bytes) -> None:
        if message.startswith(b"GET /healthz"):
            self.transport.write(HEALTHY)
            return
        self.transport.write(
            b"HTTP/1.1 201 Created\r\nContent-Type: application/sdp\r\nLocation: /v1/realtime/calls/rtc_%x\r\n"
            b"Content-Length: %d\r\n\r\n" % (next(NUMBERS), len(ANSWER)) + ANSWER
        )


class EchoSocket(Frames):
    """Says that there is a session, that it is set, and whatever sound it hears."""

    def opened(self, head: bytes) -> None:
        self.accept(head)
        self._session = b'{"type":"realtime","id":"sess_%x"}' % next(NUMBERS)
        self.send(b'{"type":"session.created","event_id":"event_1","session":' + self._session + b"}")

    def received(self, payload: bytes) -> None:
        if payload.startswith(APPEND):
            self.send(DELTA + payload[len(APPEND) :])
        else:
            self.send(b'{"type":"session.updated","event_id":"event_2","session":' + self._session + b"}")


async def main(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Offers, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    import uvloop

    uvloop.run(main(int(sys.argv[1])))
