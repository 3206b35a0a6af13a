"""Relayed sockets in a process of its own: what one that is not read costs, and how all of them end with it."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import aiohttp
import pytest

from bench.process_use import read_use
from tests.e2e.site import Site, run_in_shell, start_processes, wait_for
from tests.migrated import on_sqlite_alone
from tests.relay.socket_client import Relay, Socket
from tests.relay.socket_upstream import SocketUpstream, running_upstream
from tests.relay.test_socket_clients import MAKE_CALLER

pytestmark = on_sqlite_alone
MOST_MEGABYTES = 4.0
EVENT = {"type": "response.output_audio.delta", "delta": "A" * 8192}
FLOOD = 8_000  # events, of 64 MB together
WATCHED_S = 8.0


@pytest.fixture
async def upstream() -> AsyncIterator[SocketUpstream]:
    async with running_upstream() as fake:
        yield fake


@pytest.fixture
async def site(tmp_path: Path, upstream: SocketUpstream) -> AsyncIterator[Site]:
    start = partial(start_processes, tmp_path, ("web",), OPENAI_API_KEY="sk-end-to-end", OPENAI_BASE_URL=upstream.url)
    started = await asyncio.to_thread(start)
    yield started
    await asyncio.to_thread(started.stop)


async def opened(site: Site, http: aiohttp.ClientSession) -> Socket:
    key = (await asyncio.to_thread(run_in_shell, site, MAKE_CALLER)).splitlines()[-1]
    socket = await Relay(site.url.removeprefix("http://"), http).open(key)
    await socket.read("session.created")
    return socket


async def test_a_client_that_never_reads_costs_little_memory(site: Site, upstream: SocketUpstream) -> None:
    async with aiohttp.ClientSession() as http:
        socket = await opened(site, http)
        await upstream.say(EVENT)
        await socket.read(EVENT["type"])
        pid = site.processes["web"].pid
        before_mb = read_use(pid).memory_mb
        socket.ws._writer.transport.pause_reading()
        flooding = asyncio.create_task(flood(upstream))
        grown_mb = 0.0
        async with asyncio.timeout(WATCHED_S * 3):
            while not await asyncio.to_thread(has_ended, site):
                grown_mb = max(grown_mb, read_use(pid).memory_mb - before_mb)
                await asyncio.sleep(0.2)
        socket.ws._response.close()  # it waits for nothing, as the server does not either
        flooding.cancel()
        with suppress(asyncio.CancelledError, aiohttp.ClientError, ConnectionError):
            await flooding

    assert upstream.said_bytes > 1_000_000  # it was tried
    assert grown_mb < MOST_MEGABYTES
    assert site.last_call("end_reason") == ("slow_client",)


async def flood(upstream: SocketUpstream) -> None:
    for _ in range(FLOOD):
        await upstream.say(EVENT)
        upstream.said_bytes += len(EVENT["delta"])


def has_ended(site: Site) -> bool:
    return site.last_call("state") == ("ended",)


async def test_a_process_that_is_told_to_stop_says_so_and_records_it(site: Site) -> None:
    async with aiohttp.ClientSession() as http:
        socket = await opened(site, http)
        site.processes["web"].send_signal(signal.SIGTERM)

        assert await socket.closing() == 1012
    await asyncio.to_thread(wait_for, "the end", lambda: has_ended(site), site)
    assert site.last_call("end_reason") == ("server_restart",)
