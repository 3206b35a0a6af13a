"""The relay's own server, and an upstream that speaks the protocol over WebSocket."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
import uvicorn
from pytest_django import Settings

from tests.conftest import close_this_loop_s
from tests.engine.conftest import base_url, caller, faults, speech
from tests.relay.socket_client import Relay
from tests.relay.socket_upstream import SocketUpstream, running_upstream
from voiceagent.asgi import application

# The engine's own fixtures: calls are looked after against what speaks the protocol.
__all__ = ["base_url", "caller", "faults", "speech"]


@pytest.fixture
async def socket_upstream(settings: Settings) -> AsyncIterator[SocketUpstream]:
    async with running_upstream() as fake:
        settings.UPSTREAM_BASE_URL = fake.url
        yield fake


@asynccontextmanager
async def serving() -> AsyncIterator[str]:
    """Serve the application in this event loop with the Procfile's options; yields its host and port."""
    config = uvicorn.Config(
        application,
        ws="websockets-sansio",
        ws_max_size=262_144,
        ws_per_message_deflate=False,
        lifespan="off",
        log_config=None,
        timeout_graceful_shutdown=5,
    )
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        task = asyncio.create_task(server.serve(sockets=[listening]))
        yield f"127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        await task


@pytest.fixture
async def relay(socket_upstream: SocketUpstream) -> AsyncIterator[Relay]:
    async with serving() as address, aiohttp.ClientSession() as http:
        yield Relay(address, http)
    await close_this_loop_s()
