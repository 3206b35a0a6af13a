#!/usr/bin/env python
"""Let calls over WebSocket come and go for a long time: does memory stay, is every end and every use on record, once?

    .venv/bin/python bench/soak.py                            # 100 calls at once for 30 minutes
    .venv/bin/python bench/soak.py --minutes 3 --calls 20     # shorter

This process is the callers and the upstream; `web` and `worker` run as in production, on a SQLite database of their
own. Each call sends 50 events of 20 ms of sound a second, has an answer every few seconds, lasts 20 to 60 s and ends in
one of several ways; sessions of the upstream live for 40 s, so that many calls outlive theirs. Needs Linux (/proc).
Ends with one line of JSON, and with status 1 if anything was lost.
"""

import argparse
import asyncio
import itertools
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import aiohttp
from aiohttp import ClientSession, WSMsgType, web

from bench.process_use import read_use
from bench.processes import ROOT, clean_environment, ending, free_port, start
from bench.socket_load import EVENT, RATE

SESSION_LIFE_S = 40
SHORTEST_S, LONGEST_S = 20.0, 60.0
ANSWER_EVERY_S = 3.0
SAMPLE_S = 5.0
SETTLE_S = 90.0  # the worker closes what nobody else did within a minute
MOST_GROWTH = 0.05
NUMBERS = itertools.count(1)
MAKE_CALLER = """
from django.contrib.auth.models import User
from tokens.key_services import create_api_key
from tokens.models import Policy
user = User.objects.create(username="soak")
Policy.objects.create(user=user, calls_at_once=10_000, call_max_s=7200, issue_rate="1000/s")
print(create_api_key(user, name="x", scopes=["mint"], days=1, allowed_networks=[], request_id="x", actor="x").value)
"""
COUNT = """
import json
from django.db.models import Count, Sum
from relay.models import Call
from usage.models import UsageDay, UsageRecord
ended = Call.objects.exclude(ended_at=None).exclude(end_reason="")
print(json.dumps({
    "calls": Call.objects.count(), "ended": ended.count(),
    "reasons": dict(ended.order_by().values_list("end_reason").annotate(Count("pk"))),
    "records": UsageRecord.objects.filter(kind="response").count(),
    "by_source": UsageRecord.objects.filter(kind="response").values("source_id").distinct().count(),
    "by_call": Call.objects.aggregate(sum=Sum("responses"))["sum"] or 0,
    "by_day": UsageDay.objects.aggregate(sum=Sum("responses"))["sum"] or 0,
}))
"""
USAGE = {
    "total_tokens": 30, "input_tokens": 20, "output_tokens": 10,
    "input_token_details": {"text_tokens": 20, "audio_tokens": 0, "cached_tokens": 0},
    "output_token_details": {"text_tokens": 10, "audio_tokens": 0},
}  # fmt: skip

Json = dict[str, Any]


@dataclass
class Soak:
    """What happened. told: answers with usage that the callers heard of. memory_mb: of each process, in its order."""

    calls: int = 0
    told: int = 0
    sessions: int = 0
    errors: list[str] = field(default_factory=list)
    memory_mb: dict[str, list[float]] = field(default_factory=dict)


async def upstream(soak: Soak, request: web.Request) -> web.StreamResponse:
    """Keep a session as the protocol says: echo sound, answer what is asked for, each with its usage."""
    socket = web.WebSocketResponse(max_msg_size=0)
    await socket.prepare(request)
    soak.sessions += 1
    session: Json = {"id": f"sess_{next(NUMBERS)}", "type": "realtime", "object": "realtime.session"}
    session["expires_at"] = int(time.time()) + SESSION_LIFE_S
    await socket.send_json({"type": "session.created", "event_id": "e", "session": session})
    async for message in socket:
        event = json.loads(message.data)
        for answer in answers_to(event, session):
            await socket.send_json(answer)
        if time.time() > session["expires_at"]:
            break
    return socket


def answers_to(event: Json, session: Json) -> list[Json]:
    kind = event["type"]
    if kind == "input_audio_buffer.append":
        return [{"type": "response.output_audio.delta", "event_id": "e", "delta": event["audio"]}]
    if kind == "session.update":
        session |= event["session"]
        return [{"type": "session.updated", "event_id": "e", "session": session}]
    if kind == "conversation.item.create":
        item = {"id": f"item_{next(NUMBERS)}", "status": "completed"} | event["item"]
        return [{"type": f"conversation.item.{step}", "event_id": "e", "item": item} for step in ("added", "done")]
    if kind == "response.create":
        response = {"id": f"resp_{next(NUMBERS)}", "status": "completed", "output": [], "usage": USAGE}
        return [{"type": "response.done", "event_id": "e", "response": response}]
    return []


async def call(soak: Soak, http: ClientSession, url: str, key: str) -> None:
    """Make one call, talk, and end it in one of several ways."""
    async with http.ws_connect(url, headers={"Authorization": f"Bearer {key}"}) as socket:
        soak.calls += 1
        speaking = asyncio.create_task(speak(socket))
        end = time.monotonic() + random.uniform(SHORTEST_S, LONGEST_S)
        try:
            while time.monotonic() < end:
                await ask(soak, socket)
        finally:
            speaking.cancel()
            await asyncio.gather(speaking, return_exceptions=True)
        if random.random() < 0.2:
            socket._response.close()  # gone without a word


async def speak(socket: aiohttp.ClientWebSocketResponse) -> None:
    text = EVENT.decode()
    due = time.monotonic()
    while True:
        await socket.send_str(text)
        due += 1 / RATE
        await asyncio.sleep(max(0.0, due - time.monotonic()))


async def ask(soak: Soak, socket: aiohttp.ClientWebSocketResponse) -> None:
    """Say something, ask for an answer, and hear it out."""
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Tell me more."}]}
    await socket.send_json({"type": "conversation.item.create", "item": item})
    await socket.send_json({"type": "response.create"})
    until = time.monotonic() + ANSWER_EVERY_S
    is_told = False
    while not is_told or time.monotonic() < until:
        message = await socket.receive(30)
        if message.type is not WSMsgType.TEXT:
            raise ConnectionError(f"the call ended: {message.type} {message.data}")
        if '"response.done"' in message.data:
            is_told, soak.told = True, soak.told + 1
        elif '"type": "error"' in message.data:
            soak.errors.append(message.data[:200])


async def caller(soak: Soak, http: ClientSession, url: str, key: str, until: float) -> None:
    while time.monotonic() < until:
        try:
            await call(soak, http, url, key)
        except (aiohttp.ClientError, ConnectionError, TimeoutError) as exc:
            soak.errors.append(repr(exc)[:200])
            await asyncio.sleep(1)


async def sample(soak: Soak, pids: dict[str, int]) -> None:
    while True:
        for name, pid in pids.items():
            soak.memory_mb.setdefault(name, []).append(read_use(pid).memory_mb)
        await asyncio.sleep(SAMPLE_S)


@asynccontextmanager
async def running(folder: Path, soak: Soak) -> AsyncIterator[tuple[str, str, dict[str, int], dict[str, str]]]:
    """Start upstream, `web` and `worker`; yields the relay's address, a key, process ids and the environment."""
    app = web.Application()
    app.router.add_get("/v1/realtime", lambda request: upstream(soak, request))
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = free_port()
    environment = clean_environment() | {
        "VOICEAGENT_ENV_FILE": str(folder / "none.env"), "DEMO": "true", "SECRET_KEY": "a-key-for-benches",
        "DATABASE_URL": f"sqlite:///{folder / 'db.sqlite3'}", "OPENAI_API_KEY": "sk-bench", "LOCAL_ENGINE": "false",
        "OPENAI_BASE_URL": f"http://127.0.0.1:{runner.addresses[0][1]}/v1", "SOCKETS_AT_ONCE": "10000",
        "RELAY_RATE": "1000/s", "ISSUE_BURST_RATE": "1000/s", "HOST": "127.0.0.1", "PORT": str(port),
    }  # fmt: skip
    await asyncio.to_thread(manage, environment, "migrate", "--verbosity", "0")
    key = (await asyncio.to_thread(manage, environment, "shell", "-v0", "-c", MAKE_CALLER)).splitlines()[-1]
    serve = [
        sys.executable,
        "-m",
        "uvicorn",
        "voiceagent.asgi:application",
        "--port",
        str(port),
        "--log-level",
        "warning",
    ]
    serve += ["--ws", "websockets-sansio", "--ws-per-message-deflate", "false", "--ws-max-size", "262144"]
    processes = {
        "web": start(serve, environment, folder),
        "worker": start([sys.executable, "manage.py", "worker"], environment, folder),
    }
    try:
        async with ending(processes["web"], folder, f"http://127.0.0.1:{port}"), ending(processes["worker"], folder):
            pids = {name: process.pid for name, process in processes.items()}
            yield f"ws://127.0.0.1:{port}/v1/realtime", key, pids, environment
    finally:
        await runner.cleanup()


def manage(environment: dict[str, str], *arguments: str) -> str:
    command = [sys.executable, "manage.py", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True).stdout


async def settled(environment: dict[str, str]) -> Json:
    """Return what is on record once every call has its end, or no longer can."""
    until = time.monotonic() + SETTLE_S
    while True:
        counted: Json = json.loads((await asyncio.to_thread(manage, environment, "shell", "-v0", "-c", COUNT)).strip())
        if counted["calls"] == counted["ended"] or time.monotonic() > until:
            return counted
        await asyncio.sleep(2)


def growth(samples: list[float]) -> float:
    """Return by how much the last third is above the second; the first is for warming up."""
    third = max(1, len(samples) // 3)
    middle, last = statistics.median(samples[third : 2 * third]), statistics.median(samples[2 * third :])
    return round(last / middle - 1, 3)


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--calls", type=int, default=100)
    options = parser.parse_args()
    soak = Soak()
    with tempfile.TemporaryDirectory(prefix="soak-") as name:
        async with running(Path(name), soak) as (url, key, pids, environment), ClientSession() as http:
            sampling = asyncio.create_task(sample(soak, pids))
            until = time.monotonic() + options.minutes * 60
            await asyncio.gather(*(caller(soak, http, url, key, until) for _ in range(options.calls)))
            sampling.cancel()
            with suppress(asyncio.CancelledError):
                await sampling
            counted = await settled(environment)
            verified = json.loads(await asyncio.to_thread(manage, environment, "audit_verify"))["ok"]
    figures = {
        "calls": soak.calls, "sessions": soak.sessions, "answers": soak.told, "errors": len(soak.errors), **counted,
        "record_is_whole": verified,
        "memory_mb": {process: round(samples[-1], 1) for process, samples in soak.memory_mb.items()},
        "growth": {process: growth(samples) for process, samples in soak.memory_mb.items()},
    }  # fmt: skip
    for error in soak.errors[:10]:
        print(error)
    print(json.dumps({"bench": "soak", "figures": figures}))
    is_counted_once = counted["records"] == counted["by_source"] == counted["by_call"] == counted["by_day"] == soak.told
    is_all_ended = soak.calls == counted["calls"] == counted["ended"]
    is_flat = all(value <= MOST_GROWTH for value in figures["growth"].values())
    return 0 if is_counted_once and is_all_ended and is_flat and verified and not soak.errors else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
