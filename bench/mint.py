#!/usr/bin/env python
"""Measure issuing: processor time, latency and errors, beside the least that a relay in Python can do.

    .venv/bin/python bench/mint.py            # about ten minutes
    .venv/bin/python bench/mint.py --quick    # under one
    DATABASE_URL=postgres://… .venv/bin/python bench/mint.py     # PostgreSQL, in databases of its own that it drops

Measured: by key and by session, direct and relayed, at 1, 8, 64 and 256 requests at once; 100 a second beside an
upstream that takes 250 ms; and what a history of a million rows adds. `web` and the floor run on one core, the
upstream and this process on the other; they are measured in turns. SQLite with `synchronous=FULL`, as in production.
Quote ratios to the floor of the same run. Needs Linux (/proc). Ends with one line of JSON.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import uvloop

from bench.load import Question, ask_at_once, ask_at_rate, question
from bench.process_use import read_use
from bench.processes import ROOT, clean_environment, ending, free_port, start

MEASURED_CORE, OWN_CORE = 0, 1
RATE = "1000000/s"
WARM_UP_S = 0.5  # connections and caches are warm before anything counts
SLOW_UPSTREAM_MS = 250
OPEN_RATE = 100.0
FULL_ROWS, QUICK_FULL_ROWS = 1_000_000, 50_000
CSRF = "0123456789abcdefghijklmnopqrstuv"
MAKE_USER = """
from django.contrib.auth.models import User
from django.test import Client
from tokens.key_services import create_api_key
user = User.objects.create_user("bench")
print(create_api_key(user, name="bench", scopes=["mint"], days=9, allowed_networks=[], request_id="b", actor="b").value)
client = Client()
client.force_login(user)
print(client.cookies["session"].value)
"""


@dataclass(frozen=True)
class Case:
    """One thing to measure: what to ask, and which process answers."""

    name: str
    asked: Question
    pid: int
    concurrency: int = 8


@dataclass(frozen=True)
class Row:
    """What one round of a case came to. Times are in seconds of processor for 1000 requests, and in ms."""

    cpu_s_per_1000: float
    p50_ms: float
    p99_ms: float
    per_second: float
    errors: int


async def measure(case: Case, seconds: float) -> Row:
    before = read_use(case.pid)
    answers = await ask_at_once(case.asked, concurrency=case.concurrency, seconds=seconds)
    count = len(answers.latencies_ms)
    cpu_s = read_use(case.pid).processor_s - before.processor_s
    return Row(
        cpu_s / count * 1000, answers.p50_ms, answers.percentile(0.99), count / answers.elapsed_s, answers.errors
    )


def median_of(rows: list[Row]) -> Row:
    def middle(name: str) -> float:
        return statistics.median(getattr(row, name) for row in rows)

    return Row(
        middle("cpu_s_per_1000"), middle("p50_ms"), middle("p99_ms"), middle("per_second"), sum(r.errors for r in rows)
    )


async def in_turns(cases: list[Case], rounds: int, seconds: float) -> dict[str, Row]:
    """Measure cases A B C, B C A, …; returns the medians by name."""
    for case in cases:
        await measure(case, WARM_UP_S)
    rows: dict[str, list[Row]] = {case.name: [] for case in cases}
    for number in range(rounds):
        turn = number % len(cases)
        for case in cases[turn:] + cases[:turn]:
            rows[case.name].append(await measure(case, seconds))
    return {name: median_of(found) for name, found in rows.items()}


@dataclass(frozen=True)
class Server:
    """A process that is measured, and for `web` how to ask it."""

    port: int
    pid: int
    key: str = ""
    session: str = ""

    def case(self, name: str) -> Case:
        """Return the case of a name such as `key direct`."""
        who, kind = name.split()
        if who == "key":
            headers = {"Authorization": f"Bearer {self.key}"}
        else:
            headers = {"Cookie": f"session={self.session}; csrf={CSRF}", "X-CSRFToken": CSRF}
        body = json.dumps({"kind": kind}).encode()
        return Case(name, question(self.port, "/api/client-secret", body, headers, expected=b'"ek_'), self.pid)


@contextmanager
def database(folder: Path, name: str) -> Iterator[str]:
    """Yield the URL of an empty database: a file, or one of PostgreSQL's where DATABASE_URL names that server."""
    server = os.environ.get("DATABASE_URL", "")
    if not server.startswith("postgres"):
        yield f"sqlite:///{folder / name}.sqlite3"
        return
    import psycopg

    own = f"bench_mint_{name}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{own}" WITH (FORCE)')
        connection.execute(f'CREATE DATABASE "{own}"')
        try:
            yield f"{server.rpartition('/')[0]}/{own}"
        finally:
            connection.execute(f'DROP DATABASE "{own}" WITH (FORCE)')


class Site:
    """Starts what is measured, each process pinned to its core and ended with the stack."""

    def __init__(self, folder: Path, stack: AsyncExitStack) -> None:
        self._folder, self._stack = folder, stack
        self.environment: dict[str, str] = {}  # of the last `web`

    async def helper(self, module: str, *arguments: object, core: int = OWN_CORE) -> Server:
        port = free_port()
        command = [sys.executable, "-m", module, str(port), *map(str, arguments)]
        return Server(port, await self._start(command, port, clean_environment(), core))

    async def web(self, name: str, upstream: Server, *, rows: int = 0, **settings: str) -> Server:
        """Start `web` as the Procfile does, on a database with so many rows of history."""
        port = free_port()
        environment = clean_environment() | {
            "VOICEAGENT_ENV_FILE": str(self._folder / "none.env"),
            "DEMO": "true",
            "SECRET_KEY": "a-key-for-benches",
            "DATABASE_URL": self._stack.enter_context(database(self._folder, name)),
            "OPENAI_API_KEY": "sk-bench",
            "OPENAI_BASE_URL": f"http://127.0.0.1:{upstream.port}/v1",
            "ISSUE_RATE": RATE,
            "ISSUE_BURST_RATE": RATE,
            "HOST": "127.0.0.1",
            "PORT": str(port),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            **settings,
        }
        self.environment = environment
        key, session = await asyncio.to_thread(prepare, environment, rows)
        lines = (ROOT / "Procfile").read_text().splitlines()
        web = next(line.partition(":")[2].strip() for line in lines if line.startswith("web:"))
        pid = await self._start(["sh", "-c", web], port, environment, MEASURED_CORE)
        return Server(port, pid, key, session)

    async def _start(self, command: list[str], port: int, environment: dict[str, str], core: int) -> int:
        folder = self._folder / str(port)
        folder.mkdir()
        process = start(command, environment, folder)
        os.sched_setaffinity(process.pid, {core})
        await self._stack.enter_async_context(ending(process, folder, f"http://127.0.0.1:{port}"))
        return process.pid


def prepare(environment: dict[str, str], rows: int) -> tuple[str, str]:
    """Make the database with its history; returns an API key and a session."""
    manage = [sys.executable, "manage.py"]
    subprocess.run([*manage, "migrate", "-v0"], cwd=ROOT, env=environment, check=True)
    if rows:
        fill = [sys.executable, "-m", "bench.history", str(rows)]
        subprocess.run(fill, cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)
    make_user = [*manage, "shell", "-v0", "-c", MAKE_USER]
    made = subprocess.run(make_user, cwd=ROOT, env=environment, check=True, capture_output=True, text=True)
    key, session = made.stdout.strip().splitlines()[-2:]
    return key, session


@asynccontextmanager
async def site() -> AsyncIterator[Site]:
    os.sched_setaffinity(0, {OWN_CORE})
    with tempfile.TemporaryDirectory() as folder:
        async with AsyncExitStack() as stack:
            yield Site(Path(folder), stack)


@dataclass(frozen=True)
class Results:
    """by_concurrency: rows by name. grown: the case of a long history, beside an empty one's. slow: ms over 250."""

    by_concurrency: dict[int, dict[str, Row]]
    grown: dict[str, Row]
    slow_p50_ms: float
    slow_p99_ms: float
    slow_errors: int

    @property
    def growth_ratio(self) -> float:
        return self.grown["grown"].cpu_s_per_1000 / self.grown["empty"].cpu_s_per_1000

    @property
    def errors(self) -> int:
        rows = [*self.grown.values(), *(row for found in self.by_concurrency.values() for row in found.values())]
        return self.slow_errors + sum(row.errors for row in rows)


async def run(*, quick: bool) -> Results:
    concurrencies, names = [1, 8, 64, 256], ["key direct", "key relayed", "session direct", "session relayed"]
    rounds, seconds = (3, 1.0) if quick else (7, 2.0)
    if quick:
        concurrencies, names = [8], names[:3]
    async with site() as started:
        upstream = await started.helper("bench.mint_upstream")
        floor = await started.helper("bench.floor", upstream.port, core=MEASURED_CORE)
        web = await started.web("empty", upstream)
        floor_case = Case("floor", question(floor.port, "/", b"{}", {}, expected=b'"ek_'), floor.pid)
        by_concurrency = {}
        for concurrency in concurrencies:
            cases = [replace(case, concurrency=concurrency) for case in [floor_case, *map(web.case, names)]]
            by_concurrency[concurrency] = await in_turns(cases, rounds, seconds)
        grown_web = await started.web("grown", upstream, rows=QUICK_FULL_ROWS if quick else FULL_ROWS)
        direct = "key direct"
        cases = [replace(web.case(direct), name="empty"), replace(grown_web.case(direct), name="grown")]
        grown = await in_turns(cases, rounds, seconds)
        slow_upstream = await started.helper("bench.mint_upstream", SLOW_UPSTREAM_MS)
        slow_web = await started.web("slow", slow_upstream)
        await measure(slow_web.case(direct), WARM_UP_S * 2)
        asked = slow_web.case(direct).asked
        slow = await ask_at_rate(asked, per_second=OPEN_RATE, seconds=4.0 if quick else 20.0)
    added = SLOW_UPSTREAM_MS
    return Results(by_concurrency, grown, slow.p50_ms - added, slow.percentile(0.99) - added, slow.errors)


def show(results: Results) -> None:
    print("at once  what             CPU s/1000   x floor   p50 ms   p99 ms   per s  errors")
    for concurrency, rows in results.by_concurrency.items():
        for name, row in rows.items():
            ratio = row.cpu_s_per_1000 / rows["floor"].cpu_s_per_1000
            print(
                f"{concurrency:>7}  {name:15}  {row.cpu_s_per_1000:10.3f}  {ratio:8.1f} {row.p50_ms:8.2f} "
                f"{row.p99_ms:8.2f} {row.per_second:7.0f} {row.errors:7}"
            )
    print(f"a long history beside an empty one: {results.growth_ratio:.2f} times the processor time")
    print(
        f"{OPEN_RATE:.0f}/s, upstream {SLOW_UPSTREAM_MS} ms: p50 {results.slow_p50_ms:.1f} and p99 "
        f"{results.slow_p99_ms:.1f} ms more, {results.slow_errors} errors"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="concurrency 8 only, shorter rounds and history")
    results = uvloop.run(run(quick=parser.parse_args().quick))
    show(results)
    eight = results.by_concurrency[8]
    direct, floor = eight["key direct"], eight["floor"]
    figures = {
        "x_floor": round(direct.cpu_s_per_1000 / floor.cpu_s_per_1000, 1),
        "cpu_s_per_1000": round(direct.cpu_s_per_1000, 3),
        "p50_ms": round(direct.p50_ms, 2),
        "p99_ms": round(direct.p99_ms, 2),
        "relayed_x_floor": round(eight["key relayed"].cpu_s_per_1000 / floor.cpu_s_per_1000, 1),
        "session_x_floor": round(eight["session direct"].cpu_s_per_1000 / floor.cpu_s_per_1000, 1),
        "growth_ratio": round(results.growth_ratio, 3),
        "p99_over_250_ms": round(results.slow_p99_ms, 1),
        "errors": results.errors,
    }
    print(json.dumps({"bench": "mint", "figures": figures}))


if __name__ == "__main__":
    main()
