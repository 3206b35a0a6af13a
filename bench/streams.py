#!/usr/bin/env python
"""Hold many streams of live calls open on one web process, and count what reaches them, and how soon.

    .venv/bin/python bench/streams.py             # 200 streams, 100 changes of every call
    .venv/bin/python bench/streams.py --quick     # 20 changes, under a minute

Twenty people with ten streams each, and a call for each of them that another process changes in the database; no hint
tells of that, so a change waits for the next look, up to a second. Every stream must see every change.
Ends with one line of JSON.
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

FOLDER = tempfile.TemporaryDirectory(prefix="streams-")
os.environ |= {
    "VOICEAGENT_ENV_FILE": f"{FOLDER.name}/none.env",
    "DJANGO_SETTINGS_MODULE": "voiceagent.settings",
    "DEMO": "true",
    "SECRET_KEY": "a-key-for-benches",
    "ENGINE_API_KEY": "sk-bench-engine",
    "REDIS_URL": "",
    "DATABASE_URL": f"sqlite:///{FOLDER.name}/db.sqlite3",
}

import django

django.setup()

from aiohttp import ClientSession, ClientTimeout, TCPConnector
from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from bench.process_use import read_use
from bench.processes import ROOT, ending, free_port, start
from relay.models import Call

USERS, STREAMS_EACH = 20, 10
CHANGES, QUICK_CHANGES = 100, 20
BETWEEN_S = 1.5  # longer than a look takes: each change is to be told by itself
LAST_S = 20.0


def make_people() -> list[tuple[str, int]]:
    """Return for each person the cookie of their session and their call's number."""
    call_command("migrate", verbosity=0)
    people = []
    for number in range(USERS):
        user, client, now = User.objects.create_user(f"user{number}"), Client(), timezone.now()
        client.force_login(user)
        call = Call.objects.create(
            user=user, username=user.username, upstream_id=f"rtc_{number}", request_id="r", state="live",
            monitoring="joined", requested_at=now, started_at=now,
        )  # fmt: skip
        name = settings.SESSION_COOKIE_NAME
        people.append((f"{name}={client.cookies[name].value}", call.pk))
    return people


async def listen(http: ClientSession, url: str, cookie: str, seen: dict[int, float], news: asyncio.Event) -> None:
    """Note when each change arrived; the number of responses says which one it is."""
    async with http.get(f"{url}/api/calls/stream", headers={"Cookie": cookie}) as answer:
        async for line in answer.content:
            if line.startswith(b"data: "):
                seen[json.loads(line[6:])["responses"]] = time.perf_counter()
                news.set()


async def until_all_saw(number: int, seen: list[dict[int, float]], news: asyncio.Event) -> None:
    async with asyncio.timeout(LAST_S):
        while not all(number in each for each in seen):
            news.clear()
            await news.wait()


async def change_calls(changes: int) -> list[float]:
    """Change every call so many times, and return when."""
    moments = []
    for number in range(1, changes + 1):
        await sync_to_async(Call.objects.update)(responses=number)
        moments.append(time.perf_counter())
        await asyncio.sleep(BETWEEN_S)
    return moments


async def measure(changes: int) -> dict[str, Any]:
    people, port = await sync_to_async(make_people)(), free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "uvicorn", "voiceagent.asgi:application", "--port", str(port), "--no-access-log"]
    folder = Path(FOLDER.name)
    process = start([*command, "--log-level", "warning"], os.environ | {"PYTHONPATH": str(ROOT)}, folder)
    async with (
        ending(process, folder, url),
        ClientSession(connector=TCPConnector(limit=0), timeout=ClientTimeout()) as http,
    ):
        before = read_use(process.pid)
        seen: list[dict[int, float]] = []
        tasks, news = [], asyncio.Event()
        for cookie, _ in people:
            for _ in range(STREAMS_EACH):
                seen.append({})
                tasks.append(asyncio.create_task(listen(http, url, cookie, seen[-1], news)))
        await until_all_saw(0, seen, news)
        opened = read_use(process.pid)
        threads, files = _count(process.pid)
        changed_at = await change_calls(changes)
        await until_all_saw(changes, seen, news)
        after = read_use(process.pid)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    delays = [each[number] - at for each in seen for number, at in enumerate(changed_at, 1) if number in each]
    delays.sort()
    return {
        "streams": len(seen),
        "events_due": len(seen) * changes,
        "events_missing": len(seen) * changes - len(delays),
        "delay_p50_ms": round(statistics.median(delays) * 1000),
        "delay_p99_ms": round(delays[int(len(delays) * 0.99)] * 1000),
        "memory_a_stream_kb": round((opened.memory_mb - before.memory_mb) * 1000 / len(seen)),
        "core_share": round(opened.share_until(after), 3),
        "threads": threads,
        "database_files": files,
    }


def _count(pid: int) -> tuple[int, int]:
    """Return a process' threads, and how often it has the database open."""
    links = [os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()]
    return len(list(Path(f"/proc/{pid}/task").iterdir())), sum(link.endswith("db.sqlite3") for link in links)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    figures = asyncio.run(measure(QUICK_CHANGES if parser.parse_args().quick else CHANGES))
    print(json.dumps({"bench": "streams", "figures": figures}))


if __name__ == "__main__":
    main()
