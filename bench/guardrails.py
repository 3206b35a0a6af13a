#!/usr/bin/env python
"""Measure how long it takes from an offending word to silence, by the kind of the guardrail.

    .venv/bin/python bench/guardrails.py            # about half a minute
    .venv/bin/python bench/guardrails.py --quick    # a few seconds

A call as its keeper has it gets the deltas of a reply; the clock runs from the delta with the word, after which the
reply's words are whole, until `response.cancel` leaves. Moderation is the engine's, over loopback: with
another service add its own time. Sound that is on its way, and the browser's 20 ms, come on top. No database: what is
written is written beside the call. Ends with one line of JSON.
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import time
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "voiceagent.settings")

import django

django.setup()

from aiohttp import web
from django.conf import settings
from django.utils import timezone

from agents.models import AgentVersion
from agents.patterns import compiled
from agents.rules import Rule, words_pattern
from engine.moderation import moderate
from relay import acts, live_guardrails
from relay.conversation import Event
from relay.live_call import LiveCall
from relay.models import Call
from relay.recorder import Past
from relay.watch import Watch
from voiceagent.upstream import close_upstream_http

REPLY = (
    "We have many rooms, and all of them look at the sea, which is why people come here every summer and winter too. "
)
WORDS = "\n".join(f"word number {number}" for number in range(499)) + "\nvermin"
RULES = {
    "words (500)": Rule("w", "output", "words", words_pattern(WORDS), safe_line="No."),
    "pattern": Rule("p", "output", "pattern", compiled(r"\bver\w{2,9}\b"), safe_line="No."),
    "moderation": Rule("m", "output", "moderation", categories=("hate",), safe_line="No."),
}


def delta(text: str, number: int) -> Event:
    return {"type": "response.output_audio_transcript.delta", "response_id": f"resp_{number}",
            "item_id": f"item_{number}", "delta": text}  # fmt: skip


async def one(rule: Rule, number: int) -> float:
    """Return the milliseconds from the word to the cancel of one reply."""
    now = timezone.now()
    call = Call(pk=number, request_id="req_bench", started_at=now)
    watch = Watch(call, Past([], []), None, now, version=AgentVersion(pk=1, guardrails=["x"]))
    cancelled: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    async def send(event: Event) -> None:
        if event["type"] == "response.cancel" and not cancelled.done():
            cancelled.set_result(time.perf_counter())

    live = LiveCall(watch)
    with mock.patch.object(live_guardrails, "_rules_of", return_value=[rule]):
        await live.reach(send)
        await asyncio.sleep(0.02)
    await live.take({"type": "response.created", "response": {"id": f"resp_{number}"}})
    for word in REPLY.split():
        await live.take(delta(f"{word} ", number))
    begun_at = time.perf_counter()
    await live.take(delta("They are vermin, ", number))
    done = {"type": "response.output_audio_transcript.done", "transcript": f"{REPLY}They are vermin, "}
    await live.take(delta("", number) | done)
    took_ms = (await asyncio.wait_for(cancelled, 5) - begun_at) * 1000
    await live.close()
    return took_ms


async def measure(times: int) -> dict[str, dict[str, float]]:
    app = web.Application()
    app.router.add_post("/v1/moderations", _moderation)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    settings.UPSTREAM_BASE_URL = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    figures = {}
    for name, rule in RULES.items():
        took = sorted([await one(rule, number) for number in range(1, times + 1)])
        figures[name] = {"p50_ms": statistics.median(took), "p99_ms": took[int(len(took) * 0.99)]}
        print(f"{name:14} p50 {figures[name]['p50_ms']:7.2f} ms   p99 {figures[name]['p99_ms']:7.2f} ms")
    await close_upstream_http()
    await runner.cleanup()
    return figures


async def _moderation(request: web.Request) -> web.Response:
    return web.json_response(moderate((await request.json())["input"]))


async def _write_nothing(*_of_event: object, **_facts: object) -> None:
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    times = 50 if parser.parse_args().quick else 500
    only_guardrails = mock.patch.object(acts, "_makers", [live_guardrails.Guardrails])
    with only_guardrails, mock.patch.object(live_guardrails.Guardrails, "_write", _write_nothing):
        print(json.dumps(asyncio.run(measure(times))))


if __name__ == "__main__":
    main()
