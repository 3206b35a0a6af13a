"""An upstream that mints, at once or after some time: `python bench/mint_upstream.py PORT [DELAY_MS]`."""

import asyncio
import itertools
import sys
import time

from bench.floor import HEALTHY, Exchange

MINTED = (
    b'{"value":"ek_%032x","expires_at":%d,"session":'
    b'{"type":"realtime","object":"realtime.session","id":"sess_bench","model":"gpt-realtime-2.1"}}'
)


class Mint(Exchange):
    """Digests are unique, so each value is another."""

    numbers = itertools.count(time.time_ns())
    delay_s = 0.0

    def received(self, message: bytes) -> None:
        if message.startswith(b"GET /healthz"):
            self.transport.write(HEALTHY)
            return
        body = MINTED % (next(self.numbers), int(time.time()) + 60)
        answer = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        if self.delay_s:
            asyncio.get_running_loop().call_later(self.delay_s, self.transport.write, answer)
        else:
            self.transport.write(answer)


async def main(port: int, delay_ms: int) -> None:
    Mint.delay_s = delay_ms / 1000
    server = await asyncio.get_running_loop().create_server(Mint, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    import uvloop

    uvloop.run(main(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0))
