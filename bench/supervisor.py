#!/usr/bin/env python
"""Measure how many calls one worker looks after: its processor time and memory, and whether everything is counted once.

    .venv/bin/python bench/supervisor.py            # 50, 200 and 400 calls, two minutes each
    .venv/bin/python bench/supervisor.py --quick    # 200 calls for 30 s

This process is the upstream: each call has a spoken turn of 32 events every ten seconds, of which the answer's words
come in twenty pieces. `worker` runs as in production, on a SQLite database of its own, on one core where the system can
pin it. Everything the worker does besides counts, too. Needs Linux (/proc). Ends with one line of JSON.
"""

import argparse
import asyncio
import contextlib
import itertools
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from aiohttp import web

from bench.process_use import read_use
from bench.processes import ROOT, clean_environment, start

WORKER_CORE = 0
TURN_S = 10.0
PIECES = 20
PIECE_S = 0.1
JOIN_TIMEOUT_S = 60.0
SETTLE_S = 3.0  # for the last round
MAKE_CALLS = """
from django.utils import timezone
from relay.models import Call
from datetime import timedelta
now = timezone.now()
begin = now + timedelta(seconds=60)  # the worker is not up yet; nothing said so far counts as missed
Call.objects.bulk_create(
    Call(upstream_id=f"rtc_{n}", username=f"user{n % 50}", agent="assistant", model="gpt-realtime-2.1",
         request_id="bench", state="live", requested_at=now, started_at=begin)
    for n in range(CALLS)
)
"""
COUNT = """
import json
from django.db.models import Sum
from relay.models import Call, TranscriptItem
from usage.models import UsageDay, UsageRecord
print(json.dumps({
    "responses": UsageRecord.objects.filter(kind="response").count(),
    "by_day": UsageDay.objects.aggregate(sum=Sum("responses"))["sum"],
    "by_call": Call.objects.aggregate(sum=Sum("responses"))["sum"],
    "lines": TranscriptItem.objects.count(),
    "gaps": Call.objects.aggregate(sum=Sum("gaps"))["sum"],
}))
"""


@dataclass
class Upstream:
    """Plays turns on every sideband until told to stop; counts them."""

    calls: int
    joined: set[str] = field(default_factory=set)
    have_all_joined: asyncio.Event = field(default_factory=asyncio.Event)
    turns: int = 0
    silent: int = 0
    are_all_silent: asyncio.Event = field(default_factory=asyncio.Event)
    is_over: asyncio.Event = field(default_factory=asyncio.Event)

    async def sideband(self, request: web.Request) -> web.WebSocketResponse:
        call_id = request.query["call_id"]
        answer = web.WebSocketResponse(compress=False)
        await answer.prepare(request)
        await answer.send_json({"type": "session.created", "event_id": "e", "session": {"model": "gpt-realtime-2.1"}})
        self.joined.add(call_id)
        if len(self.joined) == self.calls:
            self.have_all_joined.set()
        reader = asyncio.create_task(_read(answer))
        await self._wait(hash(call_id) % 1000 / 1000 * TURN_S)
        for number in itertools.count():
            if self.is_over.is_set():
                break
            await self._turn(answer, f"{call_id}_{number}")
            self.turns += 1
            await self._wait(TURN_S - PIECES * PIECE_S)
        self.silent += 1
        if self.silent == self.calls:
            self.are_all_silent.set()
        await reader
        return answer

    async def _wait(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.is_over.wait(), seconds)

    async def _turn(self, answer: web.WebSocketResponse, name: str) -> None:
        for event in before(name):
            await answer.send_json(event)
        for number in range(PIECES):
            await answer.send_json(of_item(name, "response.output_audio_transcript.delta", delta=f" word{number}"))
            await asyncio.sleep(PIECE_S)
        for event in after(name):
            await answer.send_json(event)


async def _read(answer: web.WebSocketResponse) -> None:
    async for _message in answer:
        pass


def of_item(name: str, kind: str, **more: Any) -> dict[str, Any]:
    return {"type": kind, "event_id": "e", "response_id": f"resp_{name}", "item_id": f"a_{name}", "output_index": 0,
            "content_index": 0, **more}  # fmt: skip


def message(item_id: str, role: str, status: str, part: dict[str, Any]) -> dict[str, Any]:
    return {"id": item_id, "type": "message", "role": role, "status": status, "content": [part]}


def before(name: str) -> list[dict[str, Any]]:
    said = message(f"u_{name}", "user", "completed", {"type": "input_audio", "transcript": None})
    return [
        {"type": "input_audio_buffer.speech_started", "item_id": f"u_{name}", "audio_start_ms": 0},
        {"type": "input_audio_buffer.speech_stopped", "item_id": f"u_{name}", "audio_end_ms": 900},
        {"type": "input_audio_buffer.committed", "item_id": f"u_{name}", "previous_item_id": None},
        {"type": "conversation.item.added", "item": said, "previous_item_id": None},
        {"type": "response.created", "response": {"id": f"resp_{name}", "status": "in_progress"}},
    ]


def after(name: str) -> list[dict[str, Any]]:
    words = "".join(f" word{number}" for number in range(PIECES))
    item = message(f"a_{name}", "assistant", "completed", {"type": "output_audio", "transcript": words})
    usage = {"input_tokens": 184, "output_tokens": 96, "input_token_details": {"text_tokens": 142, "audio_tokens": 42},
             "output_token_details": {"text_tokens": 22, "audio_tokens": 74}}  # fmt: skip
    heard = {"item_id": f"u_{name}", "content_index": 0, "transcript": "When do you open?"}
    seconds = {"type": "duration", "seconds": 1}
    response = {"id": f"resp_{name}", "status": "completed", "output": [item], "usage": usage}
    return [
        {"type": "conversation.item.input_audio_transcription.completed", **heard, "usage": seconds},
        of_item(name, "response.output_audio_transcript.done", transcript=words),
        {"type": "conversation.item.done", "item": item, "previous_item_id": f"u_{name}"},
        of_item(name, "response.output_item.done", item=item),
        {"type": "response.done", "response": response},
        {"type": "rate_limits.updated", "rate_limits": []},
        {"type": "output_audio_buffer.stopped", "response_id": f"resp_{name}"},
    ]


async def measure(calls: int, seconds: float, folder: Path) -> dict[str, Any]:
    """Return what a worker used for so many calls."""
    upstream = Upstream(calls)
    app = web.Application()
    app.router.add_get("/v1/realtime", upstream.sideband)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
    environment = clean_environment() | {
        "VOICEAGENT_ENV_FILE": str(folder / "none.env"),
        "DEMO": "true",
        "SECRET_KEY": "a-key-for-benches",
        "DATABASE_URL": f"sqlite:///{folder / 'db.sqlite3'}",
        "OPENAI_API_KEY": "sk-bench",
        "OPENAI_BASE_URL": f"http://127.0.0.1:{runner.addresses[0][1]}/v1",
    }
    await asyncio.to_thread(manage, environment, "migrate", "--verbosity", "0")
    await asyncio.to_thread(manage, environment, "shell", "-v0", "-c", MAKE_CALLS.replace("CALLS", str(calls)))
    worker = start([sys.executable, "manage.py", "worker"], environment, folder)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(worker.pid, {WORKER_CORE})
    try:
        await asyncio.wait_for(upstream.have_all_joined.wait(), JOIN_TIMEOUT_S)
        first = read_use(worker.pid)
        await asyncio.sleep(seconds)
        last = read_use(worker.pid)
        upstream.is_over.set()
        await upstream.are_all_silent.wait()
        await asyncio.sleep(SETTLE_S)
    finally:
        upstream.is_over.set()
        worker.terminate()
        await asyncio.to_thread(worker.wait, 30)
        await runner.cleanup()
    counted = json.loads(await asyncio.to_thread(manage, environment, "shell", "-v0", "-c", COUNT))
    share = first.share_until(last)
    return {
        "calls": calls,
        "core_share": round(share, 3),
        "cpu_ms_a_call_minute": round(share * 60_000 / calls, 1),
        "memory_mb": round(last.memory_mb),
        "turns": upstream.turns,
        **counted,
        "lost_or_doubled": max(abs(counted[name] - upstream.turns) for name in ("responses", "by_day", "by_call")),
    }


def manage(environment: dict[str, str], *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=environment,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return done.stdout.strip().rpartition("\n")[2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="200 calls for 30 seconds")
    is_quick = parser.parse_args().quick
    results = []
    for calls in (200,) if is_quick else (50, 200, 400):
        with tempfile.TemporaryDirectory() as folder:
            results.append(asyncio.run(measure(calls, 30 if is_quick else 120, Path(folder))))
        print(results[-1])
    figures = results[-1] if is_quick else {"runs": results}
    print(json.dumps({"bench": "supervisor", "figures": figures}))


if __name__ == "__main__":
    main()
