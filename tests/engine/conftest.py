"""Fixtures of the engine's tests: the speech models once for all tests, a server for each."""

from collections.abc import AsyncIterator, Callable, Iterator

import pytest
from aiohttp import ClientSession, web

from engine.audio import SPEAK_RATE_HZ, Samples, resample
from engine.calls import CallRegistry
from engine.faults import Faults
from engine.ice import offer_addresses
from engine.mcp_client import McpClient
from engine.responder import ScriptedResponder
from engine.server import Server
from engine.speech import Speech
from engine.synthesis import TAIL_MS, Synthesiser, Voice
from tests.engine.caller import MIC_RATE_HZ, Caller
from tests.engine.mcp_server import OPEN, Shop, open_shop
from tests.engine.socket_client import SocketClients

API_KEY = "sk-test"
MAX_CALLS = 3


@pytest.fixture(scope="session")
def speech() -> Iterator[Speech]:
    loaded = Speech.load()
    yield loaded
    loaded.close()


@pytest.fixture(scope="session")
def user_voice() -> Callable[[str], Samples]:
    """A voice unlike the engine's own, as microphone samples that end with the last sound."""
    synthesiser = Synthesiser()

    def speak(text: str) -> Samples:
        spoken = synthesiser.speak(text, Voice("cedar"))
        return resample(spoken[: -SPEAK_RATE_HZ * TAIL_MS // 1000], SPEAK_RATE_HZ, MIC_RATE_HZ)

    return speak


@pytest.fixture
def faults() -> Faults:
    """What the engine of `base_url` does wrong: nothing, unless a test says so."""
    return Faults()


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    """An MCP server that the engine of `base_url` may ask."""
    async with open_shop() as opened:
        yield opened


@pytest.fixture
async def base_url(speech: Speech, faults: Faults) -> AsyncIterator[str]:
    offer_addresses()
    calls = CallRegistry(speech, ScriptedResponder(), MAX_CALLS, faults=faults, mcp=McpClient(OPEN))
    runner = web.AppRunner(Server(API_KEY, speech, calls, faults).build_app(), access_log=None, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    yield f"http://{host}:{port}"
    await runner.cleanup()


@pytest.fixture
async def caller(base_url: str) -> AsyncIterator[Caller]:
    made = Caller(base_url, API_KEY)
    yield made
    await made.close()


@pytest.fixture
async def sockets(base_url: str) -> AsyncIterator[SocketClients]:
    async with ClientSession() as http:
        made = SocketClients(base_url, http)
        yield made
        await made.close()
