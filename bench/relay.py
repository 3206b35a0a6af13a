#!/usr/bin/env python
"""Measure relaying: offers, and sockets that carry sound, each beside the least that a relay in Python can do.

    .venv/bin/python bench/relay.py            # about five minutes
    .venv/bin/python bench/relay.py --quick    # under one
    DATABASE_URL=postgres://… .venv/bin/python bench/relay.py     # PostgreSQL, in databases of its own that it drops

Offers: 4 KB, eight at once, each with a client secret of its own; SQLite with `synchronous=FULL`. Sockets: each sends
50 events of 20 ms of sound a second, and the upstream echoes each. `web` and the floors run on one core, the upstream
and this process on the other; they are measured in turns. Quote ratios to the floor of the same run. Needs Linux
(/proc). Ends with one line of JSON.
"""

import argparse
import asyncio
import json
import subprocess
import sys
from dataclasses import dataclass
from itertools import count
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import uvloop

from bench.load import Question, ask_at_rate, question
from bench.mint import MEASURED_CORE, RATE, WARM_UP_S, Case, Row, Server, Site, in_turns, median_of, site
from bench.process_use import read_use
from bench.processes import ROOT
from bench.socket_load import Sessions, open_sessions, talk

OFFER = (ROOT / "tests/data/chromium_offer.sdp").read_bytes().replace(b"\n", b"\r\n")
OPEN_RATE = 100.0
SOCKETS = 16
P99_LIMIT_MS = 20.0
USERS = 400
MAKE_SECRETS = """
from datetime import timedelta
from django.contrib.auth.models import User
from django.utils import timezone
from agents.models import Agent
from tokens.models import Issuance
from tokens.services import secret_digest
now, version = timezone.now(), Agent.objects.get(slug="assistant").published
users = User.objects.bulk_create(User(username=f"bench{n}", password="!") for n in range(USERS))
Issuance.objects.bulk_create((
    Issuance(
        user=users[n % len(users)], username="bench", status="issued", kind="relayed", agent_version=version,
        agent="assistant", model="gpt-realtime-2.1", requested_at=now, decided_at=now, request_id="req_bench",
        expires_at=now + timedelta(hours=1), secret_digest=secret_digest(f"ek_{n:032x}"),
    )
    for n in range(SECRETS)
), batch_size=500)
"""


@dataclass(frozen=True)
class Relay:
    """`web` with client secrets that wait to be used."""

    web: Server
    secrets: "count[int]"

    def offer(self) -> bytes:
        return offer_message(self.web.port, f"ek_{next(self.secrets):032x}")

    def credential(self) -> str:
        return f"Authorization: Bearer ek_{next(self.secrets):032x}\r\n"


async def start_relay(started: Site, upstream: Server, *, secrets: int) -> Relay:
    web = await started.web("relay", upstream, RELAY_RATE=RATE, CALLS_AT_ONCE="1000", SOCKETS_AT_ONCE="2000")
    code = f"USERS, SECRETS = {USERS}, {secrets}{MAKE_SECRETS}"
    manage = [sys.executable, "manage.py", "shell", "-v0", "-c", code]
    await asyncio.to_thread(subprocess.run, manage, cwd=ROOT, env=started.environment, check=True)
    return Relay(web, count())


def offer_message(port: int, secret: str) -> bytes:
    headers = {"Content-Type": "application/sdp", "Authorization": f"Bearer {secret}"}
    return question(port, "/v1/realtime/calls", OFFER, headers, expected=b"v=0").message


async def measure_sockets(server: Server, sessions: Sessions, seconds: float) -> Row:
    before = read_use(server.pid)
    answers = await talk(sessions, seconds=seconds)
    events = len(answers.latencies_ms)
    cpu_s = read_use(server.pid).processor_s - before.processor_s
    return Row(
        cpu_s / events * 1000, answers.p50_ms, answers.percentile(0.99), events / answers.elapsed_s, answers.errors
    )


async def sockets_in_turns(relay: Relay, floor: Server, rounds: int, seconds: float) -> dict[str, Row]:
    opened = {
        "floor": (floor, await open_sessions(floor.port, SOCKETS, lambda: "")),
        "relay": (relay.web, await open_sessions(relay.web.port, SOCKETS, relay.credential)),
    }
    rows: dict[str, list[Row]] = {name: [] for name in opened}
    for _ in range(rounds):
        for name, (server, sessions) in opened.items():
            rows[name].append(await measure_sockets(server, sessions, seconds))
    for _, sessions in opened.values():
        sessions.close()
    return {name: median_of(found) for name, found in rows.items()}


async def most_sessions(relay: Relay, steps: list[int], seconds: float) -> tuple[int, Row]:
    """Return the most of some numbers of sessions that keep the p99 under the limit, and that row."""
    best, row_of_best = 0, Row(0, 0, 0, 0, 0)
    for number in steps:
        sessions = await open_sessions(relay.web.port, number, relay.credential)
        row = min([await measure_sockets(relay.web, sessions, seconds) for _ in range(2)], key=lambda row: row.p99_ms)
        sessions.close()
        if row.p99_ms > P99_LIMIT_MS or row.errors:
            break
        best, row_of_best = number, row
    return best, row_of_best


@dataclass(frozen=True)
class Results:
    """sessions: the most whose p99 stays under the limit. added: of offers at a steady rate, in ms over the floor's."""

    offers: dict[str, Row]
    added_p50_ms: float
    added_p99_ms: float
    sockets: dict[str, Row]
    sessions: int
    at_most: Row

    @property
    def errors(self) -> int:
        return sum(row.errors for row in [*self.offers.values(), *self.sockets.values(), self.at_most])


async def run(*, quick: bool) -> Results:
    rounds, seconds = (3, 1.0) if quick else (7, 3.0)
    steps = [100, 200, 400] if quick else [100, 200, 300, 400, 450, 500, 600]
    async with site() as started:
        upstream = await started.helper("bench.relay_upstream")
        floor = await started.helper("bench.floor", upstream.port, "/v1/realtime/calls", core=MEASURED_CORE)
        socket_floor = await started.helper("bench.socket_floor", upstream.port, core=MEASURED_CORE)
        relay = await start_relay(started, upstream, secrets=12_000 if quick else 80_000)
        floor_asked = question(floor.port, "/", OFFER, {}, expected=b"v=0")
        asked = Question(relay.web.port, b"", b"v=0", relay.offer)
        cases = [Case("floor", floor_asked, floor.pid), Case("relay", asked, relay.web.pid)]
        offers = await in_turns(cases, rounds, seconds)
        open_s = 3.0 if quick else 15.0
        slow = {c.name: await ask_at_rate(c.asked, per_second=OPEN_RATE, seconds=open_s) for c in cases}
        sockets = await sockets_in_turns(relay, socket_floor, rounds, seconds + WARM_UP_S)
        sessions, at_most = await most_sessions(relay, steps, 2.0 if quick else 5.0)
    added_p50 = slow["relay"].p50_ms - slow["floor"].p50_ms
    added_p99 = slow["relay"].percentile(0.99) - slow["floor"].percentile(0.99)
    return Results(offers, added_p50, added_p99, sockets, sessions, at_most)


def show(results: Results) -> None:
    print("what             CPU s/1000   x floor   p50 ms   p99 ms   per s  errors")
    for kind, rows in (("offers", results.offers), ("sockets", results.sockets)):
        for name, row in rows.items():
            ratio = row.cpu_s_per_1000 / rows["floor"].cpu_s_per_1000
            print(
                f"{kind:8}{name:8} {row.cpu_s_per_1000:10.3f}  {ratio:8.1f} {row.p50_ms:8.2f} {row.p99_ms:8.2f} "
                f"{row.per_second:7.0f} {row.errors:7}"
            )
    print(f"{OPEN_RATE:.0f} offers a second: p50 {results.added_p50_ms:.1f}, p99 {results.added_p99_ms:.1f} ms more")
    print(f"{results.sessions} sessions with p99 {results.at_most.p99_ms:.1f} ms, p50 {results.at_most.p50_ms:.1f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="shorter rounds, fewer sizes")
    results = uvloop.run(run(quick=parser.parse_args().quick))
    show(results)
    offers, sockets = results.offers, results.sockets
    figures = {
        "sdp_x_floor": round(offers["relay"].cpu_s_per_1000 / offers["floor"].cpu_s_per_1000, 1),
        "sdp_cpu_s_per_1000": round(offers["relay"].cpu_s_per_1000, 3),
        "added_p50_ms": round(results.added_p50_ms, 2),
        "added_p99_ms": round(results.added_p99_ms, 2),
        "ws_x_floor": round(sockets["relay"].cpu_s_per_1000 / sockets["floor"].cpu_s_per_1000, 2),
        "ws_cpu_s_per_1000": round(sockets["relay"].cpu_s_per_1000, 4),
        "ws_p99_ms": round(sockets["relay"].p99_ms, 2),
        "ws_sessions": results.sessions,
        "errors": results.errors,
    }
    print(json.dumps({"bench": "relay", "figures": figures}))


if __name__ == "__main__":
    main()
