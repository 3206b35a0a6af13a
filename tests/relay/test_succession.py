"""A call over WebSocket that outlives the voice service's sessions: its client keeps socket and conversation."""

import asyncio
import json
from typing import Any

import pytest
from aiohttp import web
from django.contrib.auth.models import User
from pytest_django import Settings

from agents.models import Agent
from audit.models import AuditEvent
from relay import succession
from relay.models import Call
from tests.relay.socket_client import Relay, Socket, ended_call, secret_of, the_call
from tests.relay.socket_upstream import SocketUpstream

pytestmark = pytest.mark.django_db(transaction=True)
LIFE_S = 4


@pytest.fixture(autouse=True)
def short_sessions(socket_upstream: SocketUpstream, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the first session live for seconds, and be followed by the next at its first quiet moment."""
    socket_upstream.lives_s = [LIFE_S]
    settings.CALL_MAX_S = 600
    monkeypatch.setattr(succession, "SHARES", (1, 4))
    monkeypatch.setattr(succession, "QUIET_S", 0.05)


@pytest.fixture
async def socket(relay: Relay, alice: User, assistant: Agent) -> Socket:
    opened = await relay.open(await secret_of(alice, assistant))
    await opened.read("session.created")
    return opened


def said(text: str, **more: Any) -> dict[str, Any]:
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]} | more


async def sessions(upstream: SocketUpstream, count: int) -> None:
    """Wait until so many sessions have been begun."""
    async with asyncio.timeout(LIFE_S + 3):
        while len(upstream.told_by_socket) < count:  # noqa: ASYNC110  (the other side has no event for it)
            await asyncio.sleep(0.02)


def items_told(upstream: SocketUpstream, number: int) -> list[dict[str, Any]]:
    told = upstream.told_by_socket[number]
    return [event["item"] for event in told if event["type"] == "conversation.item.create"]


async def test_the_next_session_is_told_the_conversation_and_takes_over(
    socket: Socket, socket_upstream: SocketUpstream, assistant: Agent
) -> None:
    assert assistant.published is not None
    await socket.say(type="session.update", session={"type": "realtime", "audio": {"output": {"speed": 1.2}}})
    await socket.say(type="conversation.item.create", item=said("My name is Alice.", id="item_a"))
    await socket.say(type="conversation.item.create", item=said("I like tea.", id="item_b"))
    for _ in range(2):
        await socket.read("conversation.item.done")
    first = socket_upstream.sockets[0]

    renewed = await socket.read("session.updated")
    while renewed["session"]["id"] == (await the_call()).upstream_id:
        renewed = await socket.read("session.updated")
    await socket.say(type="response.create")
    seen = await socket.read("response.done")

    assert [(item["id"], item["content"][0]["text"]) for item in items_told(socket_upstream, 1)] == [
        ("item_a", "My name is Alice."), ("item_b", "I like tea."),
    ]  # fmt: skip
    update = [each["session"] for each in socket_upstream.told_by_socket[1] if each["type"] == "session.update"][-1]
    assert (update["audio"]["output"]["speed"], update["instructions"]) == (1.2, assistant.published.instructions)
    assert socket_upstream.told_by_socket[1][-1]["type"] == "response.create"
    assert seen["response"]["status"] == "completed"
    assert first.closed
    assert (await the_call()).state == "live"


async def test_every_step_is_on_record(socket: Socket, socket_upstream: SocketUpstream) -> None:
    socket_upstream.lives_s = [LIFE_S]
    await sessions(socket_upstream, 3)
    await socket.ws.close()
    call = await ended_call()

    assert (call.end_reason, call.responses, await Call.objects.acount()) == ("user", 0, 1)
    steps = AuditEvent.objects.filter(target=f"call:{call.pk}", action__startswith="call.session").order_by("pk")
    found = [(event.action, event.code, "session_id" in json.loads(event.body)) async for event in steps]
    assert found[:3] == [
        ("call.session_requested", "", False),
        ("call.session_renewed", "", True),
        ("call.session_requested", "", False),
    ]


async def test_it_waits_while_the_assistant_answers(socket: Socket, socket_upstream: SocketUpstream) -> None:
    socket_upstream.is_slow = True
    await socket.say(type="response.create")
    await socket.read("response.created")
    await sessions(socket_upstream, 2)
    await asyncio.sleep(0.3)
    assert not socket_upstream.sockets[0].closed

    done = {"id": "resp_slow", "status": "completed", "output": [said("Well.", id="item_w", role="assistant")]}
    item = said("Well.", id="item_w", role="assistant", status="completed")
    await socket_upstream.sockets[0].send_json({"type": "conversation.item.done", "event_id": "e", "item": item})
    await socket_upstream.sockets[0].send_json({"type": "response.done", "event_id": "e", "response": done})
    await socket.read("session.updated")

    assert items_told(socket_upstream, 1) == [
        {"id": "item_w", "type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Well."}]}
    ]


async def test_near_the_end_it_waits_for_nobody(socket: Socket, socket_upstream: SocketUpstream) -> None:
    socket_upstream.is_slow = True
    await socket.say(type="response.create")
    await socket.read("response.created")

    await socket.read("session.updated")

    assert socket_upstream.told_by_socket[0][-1]["type"] == "response.cancel"
    assert socket_upstream.sockets[0].closed


async def test_a_turn_that_is_under_way_is_waited_for(socket: Socket, socket_upstream: SocketUpstream) -> None:
    started = {"type": "input_audio_buffer.speech_started", "event_id": "e", "item_id": "item_u", "audio_start_ms": 0}
    await socket_upstream.say(started)
    await sessions(socket_upstream, 2)
    await asyncio.sleep(0.3)
    assert not socket_upstream.sockets[0].closed

    committed = {"type": "input_audio_buffer.committed", "event_id": "e", "item_id": "item_u"}
    await socket_upstream.sockets[0].send_json(committed)
    await socket.read("session.updated")


async def test_without_a_next_session_the_call_ends_with_its_own(
    socket: Socket, socket_upstream: SocketUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(succession, "RETRY_S", 0.1)
    socket_upstream.refusal = web.json_response({"error": {"message": "no", "code": "insufficient_quota"}}, status=429)
    failures = AuditEvent.objects.filter(action="call.session_renewed")
    async with asyncio.timeout(5):
        while not await failures.acount():  # noqa: ASYNC110  (a database has no event for it)
            await asyncio.sleep(0.05)
    await socket.say(type="response.create")
    await socket.read("response.done")
    assert (await the_call()).state == "live"

    await socket_upstream.sockets[0].close()

    assert (await ended_call()).end_reason == "upstream_ended"
    assert "" not in {event.code async for event in failures}


async def test_a_call_that_ends_before_its_session_needs_no_other(
    relay: Relay, alice: User, assistant: Agent, socket_upstream: SocketUpstream, settings: Settings
) -> None:
    settings.CALL_MAX_S = 1
    socket = await relay.open(await secret_of(alice, assistant))

    assert await socket.closing() == 4408
    assert len(socket_upstream.sockets) == 1
