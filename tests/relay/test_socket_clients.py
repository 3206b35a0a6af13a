"""Clients that others wrote, over WebSocket through the relay to the engine: a tool call and an interruption each."""

import asyncio
import json
import re
import subprocess
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from openai import AsyncOpenAI
from openai.resources.realtime.realtime import AsyncRealtimeConnection

from tests.e2e.site import ROOT, Site, run_in_shell, start_processes, wait_for
from tests.engine.caller import Caller as WebRtcCaller
from tests.migrated import on_sqlite_alone
from voiceagent.sdk_build import find_node

pytestmark = on_sqlite_alone
TIMEOUT_S = 60
LONG = "Say: " + "The library is open from nine to five. " * 12  # what is long enough to be cut short
TOOL: dict[str, Any] = {
    "type": "function",
    "name": "find_book",
    "description": "Look a title up in the catalogue.",
    "parameters": {"type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"]},
}
MAKE_CALLER = """
from django.contrib.auth.models import User
from tokens.key_services import create_api_key
from tokens.models import Policy
user = User.objects.get(username="demo")
Policy.objects.create(user=user, own_session=True, calls_at_once=10)
scopes = ["mint", "control"]
print(create_api_key(user, name="x", scopes=scopes, days=1, allowed_networks=[], request_id="x", actor="x").value)
"""


@dataclass
class Caller:
    site: Site
    key: str

    @property
    def socket_url(self) -> str:
        return self.site.url.replace("http://", "ws://") + "/v1"

    def call(self) -> tuple[object, ...]:
        return self.site.last_call("transport, state, end_reason")


@pytest.fixture(scope="module")
def caller(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caller]:
    folder = tmp_path_factory.mktemp("sockets")
    site = start_processes(folder, ("web", "engine"), LOCAL_ENGINE="true")
    try:
        yield Caller(site, run_in_shell(site, MAKE_CALLER).splitlines()[-1])
    finally:
        site.stop()


def message(text: str) -> Any:
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


async def read_until(connection: AsyncRealtimeConnection, kind: str) -> list[Any]:
    """Read up to an event of a kind; returns all that came."""
    events: list[Any] = []
    async with asyncio.timeout(TIMEOUT_S):
        while not events or events[-1].type != kind:
            events.append(await connection.recv())
            assert events[-1].type != "error", events[-1]
    return events


async def test_the_openai_package_talks_calls_a_tool_and_interrupts(caller: Caller) -> None:
    client = AsyncOpenAI(api_key=caller.key, base_url=f"{caller.site.url}/v1", websocket_base_url=caller.socket_url)
    async with client.realtime.connect(model="gpt-realtime-2.1") as connection:
        created = (await read_until(connection, "session.created"))[-1]
        await connection.session.update(session={"type": "realtime", "tools": [TOOL]})  # type: ignore[list-item]
        await read_until(connection, "session.updated")

        await connection.conversation.item.create(item=message("Find the book Dune"))
        await connection.response.create()
        called = (await read_until(connection, "response.done"))[-1].response.output[0]
        output: Any = {"type": "function_call_output", "call_id": called.call_id, "output": '{"copies": 2}'}
        await connection.conversation.item.create(item=output)
        await connection.response.create()
        told = (await read_until(connection, "response.done"))[-1].response

        await connection.conversation.item.create(item=message(LONG))
        await connection.response.create()
        delta = (await read_until(connection, "response.output_audio.delta"))[-1]
        await connection.response.cancel()
        cut = (await read_until(connection, "response.done"))[-1].response
        await connection.conversation.item.truncate(item_id=delta.item_id, content_index=0, audio_end_ms=20)
        await read_until(connection, "conversation.item.truncated")

    assert created.session.id.startswith("sess_")
    assert (called.type, called.name) == ("function_call", "find_book")
    assert "copies" in told.output[0].content[0].transcript
    assert (cut.status, cut.status_details.reason) == ("cancelled", "client_cancelled")
    wait_for("the call's end", lambda: caller.call() == ("websocket", "ended", "user"), caller.site)
    await client.close()


@pytest.fixture
async def connected(caller: Caller) -> AsyncIterator[WebRtcCaller]:
    """A call over WebRTC, whose page has asked for the tool."""
    made = WebRtcCaller(caller.site.url, caller.key)
    yield await made.dial({"tools": [TOOL]})
    await made.close()


async def test_the_openai_package_talks_calls_a_tool_and_interrupts_from_the_sideband(
    caller: Caller, connected: WebRtcCaller
) -> None:
    client = AsyncOpenAI(api_key=caller.key, base_url=f"{caller.site.url}/v1", websocket_base_url=caller.socket_url)
    async with client, client.realtime.connect(call_id=connected.call_id) as connection:
        await read_until(connection, "session.created")
        await connection.conversation.item.create(item=message("Find the book Dune"))
        await connection.response.create()
        called = (await read_until(connection, "response.done"))[-1].response.output[0]
        output: Any = {"type": "function_call_output", "call_id": called.call_id, "output": '{"copies": 2}'}
        await connection.conversation.item.create(item=output)
        await connection.response.create()
        told = (await read_until(connection, "response.done"))[-1].response
        await connected.wait_for("output_audio_buffer.stopped")

        place = len(connected.events)
        await connection.conversation.item.create(item=message(LONG))
        await connection.response.create()
        await connected.wait_for("output_audio_buffer.started", place)
        await connection.response.cancel()
        await connection.output_audio_buffer.clear()
        cut = (await read_until(connection, "response.done"))[-1].response
        await connected.wait_for("output_audio_buffer.cleared", place)

    assert (called.type, called.name) == ("function_call", "find_book")
    assert "copies" in told.output[0].content[0].transcript
    assert (cut.status, cut.status_details.reason) == ("cancelled", "client_cancelled")
    assert caller.call()[:2] == ("webrtc", "live")


@pytest.fixture
def caller_of_short_sessions(tmp_path: Path) -> Iterator[Caller]:
    """A site whose engine ends every session after six seconds, and whose calls may last longer."""
    site = start_processes(
        tmp_path, ("web", "engine"), LOCAL_ENGINE="true", ENGINE_SESSION_LIFE_S="6", CALL_MAX_S="7200"
    )
    try:
        yield Caller(site, run_in_shell(site, MAKE_CALLER).splitlines()[-1])
    finally:
        site.stop()


async def test_a_conversation_outlives_the_voice_service_s_sessions(caller_of_short_sessions: Caller) -> None:
    caller = caller_of_short_sessions
    client = AsyncOpenAI(api_key=caller.key, base_url=f"{caller.site.url}/v1", websocket_base_url=caller.socket_url)
    async with client.realtime.connect(model="gpt-realtime-2.1") as connection:
        created = (await read_until(connection, "session.created"))[-1].session
        await connection.conversation.item.create(item=message("Say: The library is open."))
        await connection.response.create()
        said = (await read_until(connection, "response.done"))[-1].response.output[0]
        seen = await read_until(connection, "session.updated")
        again = await read_until(connection, "session.updated")

        await connection.conversation.item.retrieve(item_id=said.id)
        kept = (await read_until(connection, "conversation.item.retrieved"))[-1].item
        await connection.conversation.item.create(item=message("What is two plus three?"))
        await connection.response.create()
        told = (await read_until(connection, "response.done"))[-1].response

    session_ids = {created.id, seen[-1].session.id, again[-1].session.id}
    assert len(session_ids) == 3
    assert not [event.type for event in seen + again if event.type.startswith("conversation.item")]
    assert "library is open" in kept.content[0].text
    assert told.status == "completed"
    wait_for("the call's end", lambda: caller.call() == ("websocket", "ended", "user"), caller.site)
    rows = caller.site.rows("SELECT upstream_id, responses FROM relay_call")
    assert rows == [(created.id, 2)]
    words = caller.site.rows("SELECT role, count(*) FROM relay_transcriptitem GROUP BY role ORDER BY role")
    assert words == [("assistant", 2), ("user", 2)]
    await client.close()


def test_the_agents_sdk_for_node_talks_calls_a_tool_and_interrupts(caller: Caller) -> None:
    script = Path(__file__).with_name("socket_client.mjs")
    command = [find_node().program, str(script), f"{caller.socket_url}/realtime?model=gpt-realtime-2.1", caller.key]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S * 2, check=False)

    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout.splitlines()[-1])
    assert (len(seen["tools"]), seen["errors"], seen["interrupted"]) == (1, [], True)
    assert "copies" in seen["said"][0]
    assert seen["said"][1] == "cancelled"
    assert seen["audioBytes"] > 10_000


def snippets(caller: Caller, folder: Path) -> list[Path]:
    """Write down the guide's Python with this site's address and key; returns the files in the page's order."""
    page = (ROOT / "docs" / "websocket.md").read_text()
    codes = re.findall(r"^```python run\n(.*?)^```", page, re.S | re.M)
    files = [folder / f"snippet_{number}.py" for number in range(len(codes))]
    for file, code in zip(files, codes, strict=True):
        code = code.replace("https://YOUR-HOST/v1", f"{caller.site.url}/v1").replace("vak_…", caller.key)
        file.write_text(code.replace("wss://YOUR-HOST/v1", caller.socket_url))
    return files


def test_the_agents_sdk_for_python_talks_calls_a_tool_and_is_spoken_over(caller: Caller, tmp_path: Path) -> None:
    python = ROOT / ".tools" / "clients" / "bin" / "python"
    assert python.exists(), "Install the clients that others wrote: make .tools/clients/.installed"
    command = [python, Path(__file__).with_name("agents_client.py"), *snippets(caller, tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S * 2, check=False)

    assert done.returncode == 0, done.stderr
    *printed, last = done.stdout.splitlines()
    seen = json.loads(last)
    assert (len(printed) > 2, printed[-1][:5]) == (True, "play "), printed
    assert (seen["tools"][0], seen["errors"], seen["interrupted"]) == ("Two copies of Dune.", [], 1)
    assert seen["sound"] > 100_000
