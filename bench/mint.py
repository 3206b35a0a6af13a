#!/usr/bin/env python
"""Measure issuing: processor time, latency and errors, beside the least that a relay in Python can do.

    .venv/bin/python bench/mint.py            # about three minutes
    .venv/bin/python bench/mint.py --quick    # under one

`web` and the floor run on one core, the upstream and this process on the other; they are measured in turns. SQLite
with `synchronous=FULL`, as in production. Quote ratios to the floor of the same run. Needs Linux (/proc).
Ends with one line of JSON.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from aiohttp import ClientError, ClientSession, TCPConnector

from bench.process_use import read_use
from bench.processes import ROOT, clean_environment, ending, free_port, start

MEASURED_CORE, OWN_CORE = 0, 1
RATE = "1000000/s"
WARM_UP_S = 0.5  # connections and caches are warm before anything counts
MAKE_KEY = """
from django.contrib.auth.models import User
from tokens.key_services import create_api_key
user = User.objects.create_user("bench")
print(create_api_key(user, name="bench", scopes=["mint"], days=9, allowed_networks=[], request_id="b", actor="b").value)
"""


@dataclass(frozen=True)
class Case:
    """One thing to measure: where to post what, with how many requests at once."""

    name: str
    url: str
    pid: int
    body: dict[str, str]
    headers: dict[str, str]
    concurrency: int


@dataclass(frozen=True)
class Row:
    """What one round of a case came to. Times are in seconds of processor for 1000 requests, and in ms."""

    cpu_s_per_1000: float
    p50_ms: float
    p99_ms: float
    per_second: float
    errors: int


async def measure(case: Case, seconds: float) -> Row:
    """Keep `concurrency` requests under way for some seconds; anything but a secret is an error."""
    latencies: list[float] = []
    errors = 0
    end = time.perf_counter() + seconds

    async def ask(http: ClientSession) -> None:
        nonlocal errors
        while time.perf_counter() < end:
            before = time.perf_counter()
            try:
                async with http.post(case.url, json=case.body, headers=case.headers) as answer:
                    text = await answer.text()
                    errors += answer.status != 200 or '"ek_' not in text
            except ClientError:
                errors += 1
            latencies.append((time.perf_counter() - before) * 1000)

    async with ClientSession(connector=TCPConnector(limit=case.concurrency)) as http:
        began, before = time.perf_counter(), read_use(case.pid)
        await asyncio.gather(*(ask(http) for _ in range(case.concurrency)))
        after, elapsed = read_use(case.pid), time.perf_counter() - began
    latencies.sort()
    return Row(
        cpu_s_per_1000=(after.processor_s - before.processor_s) / len(latencies) * 1000,
        p50_ms=statistics.median(latencies),
        p99_ms=latencies[int(len(latencies) * 0.99)],
        per_second=len(latencies) / elapsed,
        errors=errors,
    )


def median_of(rows: list[Row]) -> Row:
    def middle(name: str) -> float:
        return statistics.median(getattr(row, name) for row in rows)

    return Row(
        middle("cpu_s_per_1000"), middle("p50_ms"), middle("p99_ms"), middle("per_second"), sum(r.errors for r in rows)
    )


@dataclass(frozen=True)
class Started:
    """What runs, by name: where it listens and which process it is; and a key to `web`."""

    ports: dict[str, int]
    pids: dict[str, int]
    key: str


def prepare(environment: dict[str, str]) -> str:
    """Make the database and an API key; returns the key."""
    manage = [sys.executable, "manage.py"]
    subprocess.run([*manage, "migrate", "-v0"], cwd=ROOT, env=environment, check=True)
    make_key = [*manage, "shell", "-v0", "-c", MAKE_KEY]
    made = subprocess.run(make_key, cwd=ROOT, env=environment, check=True, capture_output=True, text=True)
    return made.stdout.strip().splitlines()[-1]


@asynccontextmanager
async def everything(folder: Path) -> AsyncIterator[Started]:
    """Start upstream, floor and `web`, pinned to their cores."""
    ports = {name: free_port() for name in ("upstream", "floor", "web")}
    environment = clean_environment() | {
        "VOICEAGENT_ENV_FILE": str(folder / "none.env"),
        "DEMO": "true",
        "SECRET_KEY": "a-key-for-benches",
        "DATABASE_URL": f"sqlite:///{folder / 'db.sqlite3'}",
        "OPENAI_API_KEY": "sk-bench",
        "OPENAI_BASE_URL": f"http://127.0.0.1:{ports['upstream']}/v1",
        "ISSUE_RATE": RATE,
        "ISSUE_BURST_RATE": RATE,
        "HOST": "127.0.0.1",
        "PORT": str(ports["web"]),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    key = await asyncio.to_thread(prepare, environment)
    lines = (ROOT / "Procfile").read_text().splitlines()
    web = next(line.partition(":")[2].strip() for line in lines if line.startswith("web:"))
    commands = {
        "upstream": [sys.executable, "bench/mint_upstream.py", str(ports["upstream"])],
        "floor": [sys.executable, "bench/floor.py", str(ports["floor"]), str(ports["upstream"])],
        "web": ["sh", "-c", web],
    }
    pids = {}
    async with AsyncExitStack() as stack:
        for name, command in commands.items():
            log_folder = folder / name
            log_folder.mkdir()
            process = start(command, environment, log_folder)
            os.sched_setaffinity(process.pid, {OWN_CORE if name == "upstream" else MEASURED_CORE})
            pids[name] = process.pid
            await stack.enter_async_context(ending(process, log_folder, f"http://127.0.0.1:{ports[name]}"))
        yield Started(ports, pids, key)


def cases_of(started: Started, concurrency: int) -> list[Case]:
    keyed = {"Authorization": f"Bearer {started.key}"}
    floor_url = f"http://127.0.0.1:{started.ports['floor']}/"
    url = f"http://127.0.0.1:{started.ports['web']}/api/client-secret"
    return [
        Case("floor", floor_url, started.pids["floor"], {}, {}, concurrency),
        Case("direct", url, started.pids["web"], {"kind": "direct"}, keyed, concurrency),
        Case("relayed", url, started.pids["web"], {"kind": "relayed"}, keyed, concurrency),
    ]


async def run(concurrencies: list[int], rounds: int, seconds: float) -> dict[int, dict[str, Row]]:
    """Measure each concurrency in interleaved rounds; returns the medians."""
    os.sched_setaffinity(0, {OWN_CORE})
    results: dict[int, dict[str, Row]] = {}
    with tempfile.TemporaryDirectory() as folder:
        async with everything(Path(folder)) as started:
            for concurrency in concurrencies:
                cases = cases_of(started, concurrency)
                for case in cases:
                    await measure(case, WARM_UP_S)
                rows: dict[str, list[Row]] = {case.name: [] for case in cases}
                for number in range(rounds):
                    turn = number % len(cases)
                    for case in cases[turn:] + cases[:turn]:
                        rows[case.name].append(await measure(case, seconds))
                results[concurrency] = {name: median_of(found) for name, found in rows.items()}
    return results


def show(results: dict[int, dict[str, Row]]) -> None:
    print("at once  what      CPU s/1000   x floor   p50 ms   p99 ms   per s  errors")
    for concurrency, rows in results.items():
        for name, row in rows.items():
            ratio = row.cpu_s_per_1000 / rows["floor"].cpu_s_per_1000
            print(
                f"{concurrency:>7}  {name:8}  {row.cpu_s_per_1000:10.3f}  {ratio:8.1f} {row.p50_ms:8.2f} "
                f"{row.p99_ms:8.2f} {row.per_second:7.0f} {row.errors:7}"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="concurrency 8 only, three short rounds")
    quick: bool = parser.parse_args().quick
    results = asyncio.run(run([8] if quick else [1, 8, 64, 256], 3 if quick else 5, 2.0 if quick else 3.0))
    show(results)
    eight = results[8]
    figures = {
        "x_floor": round(eight["direct"].cpu_s_per_1000 / eight["floor"].cpu_s_per_1000, 1),
        "cpu_s_per_1000": round(eight["direct"].cpu_s_per_1000, 3),
        "p50_ms": round(eight["direct"].p50_ms, 2),
        "p99_ms": round(eight["direct"].p99_ms, 2),
        "relayed_cpu_s_per_1000": round(eight["relayed"].cpu_s_per_1000, 3),
        "errors": sum(row.errors for rows in results.values() for row in rows.values()),
    }
    print(json.dumps({"bench": "mint", "figures": figures}))


if __name__ == "__main__":
    main()
