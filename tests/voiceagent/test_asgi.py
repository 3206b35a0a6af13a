"""The server's start and end."""

import gc
import signal
from signal import SIGINT, SIGTERM

from voiceagent.asgi import GC_THRESHOLD, lifespan
from voiceagent.body_limit import Message


async def test_a_server_that_starts_spares_the_collector_what_stays() -> None:
    thresholds, on_interrupt, on_end = gc.get_threshold(), signal.getsignal(SIGINT), signal.getsignal(SIGTERM)
    told = iter(["lifespan.startup", "lifespan.shutdown"])
    said: list[str] = []

    async def receive() -> Message:
        return {"type": next(told)}

    async def send(message: Message) -> None:
        said.append(message["type"])

    try:
        await lifespan({"type": "lifespan"}, receive, send)

        assert said == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
        assert gc.get_freeze_count() > GC_THRESHOLD
        assert gc.get_threshold()[0] == GC_THRESHOLD
    finally:
        gc.unfreeze()
        gc.set_threshold(*thresholds)
        signal.signal(SIGINT, on_interrupt)
        signal.signal(SIGTERM, on_end)
