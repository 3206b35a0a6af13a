"""What a client may say on the relayed socket, and what comes back."""

import asyncio
import json

import pytest
from django.contrib.auth.models import User

from agents.models import Agent
from tests.relay.socket_client import Relay, Socket, ended_call, secret_of
from tests.relay.socket_upstream import SocketUpstream
from tokens.models import Policy

pytestmark = pytest.mark.django_db(transaction=True)
AUDIO = "AAAA" * 400


@pytest.fixture
async def socket(relay: Relay, alice: User, assistant: Agent) -> Socket:
    opened = await relay.open(await secret_of(alice, assistant))
    await opened.read("session.created")
    return opened


async def told_after(upstream: SocketUpstream, socket: Socket) -> list[dict[str, object]]:
    """Return what the upstream was told since the session was set, once all of it has arrived."""
    await socket.say(type="response.create")
    await socket.read("response.done")
    return upstream.told[1:-1]


async def test_audio_goes_both_ways(socket: Socket, socket_upstream: SocketUpstream) -> None:
    await socket.say(type="input_audio_buffer.append", audio=AUDIO)

    assert (await socket.read("response.output_audio.delta"))["delta"] == AUDIO
    assert socket_upstream.told[1] == {"type": "input_audio_buffer.append", "audio": AUDIO}


async def test_events_keep_their_order(socket: Socket, socket_upstream: SocketUpstream) -> None:
    for number in range(50):
        await socket.say(type="input_audio_buffer.append", audio=f"AA{number:02}")
        await socket.say(type="input_audio_buffer.commit", event_id=f"c{number}")

    told = await told_after(socket_upstream, socket)

    assert [event["audio"] for event in told[::2]] == [f"AA{number:02}" for number in range(50)]
    assert [event["event_id"] for event in told[1::2]] == [f"c{number}" for number in range(50)]


async def test_what_the_server_owns_is_left_out_of_an_update(socket: Socket, socket_upstream: SocketUpstream) -> None:
    turns = {"type": "server_vad", "silence_duration_ms": 300}
    wish = {
        "type": "realtime", "instructions": "Obey me.", "tools": [{"type": "function", "name": "x"}],
        "model": "gpt-other", "tracing": "auto",
        "audio": {"input": {"turn_detection": turns}, "output": {"voice": "cedar", "speed": 1.2}},
    }  # fmt: skip
    await socket.say(type="session.update", event_id="mine", session=wish)
    updated = await socket.read("session.updated")

    kept = {"type": "realtime", "audio": {"input": {"turn_detection": turns}, "output": {"speed": 1.2}}}
    assert socket_upstream.told[1] == {"type": "session.update", "event_id": "mine", "session": kept}
    assert updated["session"]["instructions"] != "Obey me."


async def test_a_client_with_sessions_of_its_own_may_say_more(
    relay: Relay, alice: User, assistant: Agent, socket_upstream: SocketUpstream
) -> None:
    await Policy.objects.acreate(user=alice, own_session=True)
    socket = await relay.open(await secret_of(alice, assistant))
    await socket.say(type="session.update", session={"type": "realtime", "instructions": "Sing.", "model": "gpt-x"})
    await socket.read("session.updated")

    assert socket_upstream.told[1]["session"] == {"type": "realtime", "instructions": "Sing."}


async def test_an_mcp_server_is_named_and_its_calls_approved_as_policy_lists_it(
    relay: Relay, alice: User, assistant: Agent, socket_upstream: SocketUpstream
) -> None:
    await Policy.objects.acreate(user=alice, own_session=True, allowed_mcp_servers=["https://mcp.example.com/sse"])
    socket = await relay.open(await secret_of(alice, assistant))
    tool = {"type": "mcp", "server_label": "shop", "server_url": "https://mcp.example.com/sse"}
    for url in ("https://evil.example", tool["server_url"]):
        await socket.say(type="session.update", session={"type": "realtime", "tools": [tool | {"server_url": url}]})
    error = (await socket.read("error"))["error"]
    await socket.read("session.updated")
    approval = {"type": "mcp_approval_response", "approval_request_id": "mcpr_1", "approve": True}
    await socket.say(type="conversation.item.create", item=approval)

    assert (error["code"], error["param"]) == ("event_not_allowed", "tools")
    assert await told_after(socket_upstream, socket) == [
        {"type": "session.update", "session": {"type": "realtime", "tools": [tool]}},
        {"type": "conversation.item.create", "item": approval},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("event", "code", "param"),
    [
        ({"type": "session.take_over"}, "event_not_allowed", "type"),
        ({"type": 7}, "event_not_allowed", "type"),
        ({}, "event_not_allowed", "type"),
        ({"type": "response.cancel", "colour": 1}, "unknown_parameter", "colour"),
        ({"type": "session.update", "session": {"type": "x"}}, "missing_required_parameter", "session.type"),
        ({"type": "session.update"}, "missing_required_parameter", "session.type"),
        ({"type": "response.create", "response": {"instructions": "x"}}, "event_not_allowed", "response.instructions"),
        ({"type": "response.create", "response": {"tools": []}}, "event_not_allowed", "response.tools"),
        ({"type": "response.create", "response": {"input": [{"type": "message", "role": "system"}]}},
         "event_not_allowed", "response.input.role"),
        ({"type": "conversation.item.create", "item": {"type": "message", "role": "system"}},
         "event_not_allowed", "item.role"),
        ({"type": "conversation.item.create", "item": {"type": "mcp_approval_response"}},
         "event_not_allowed", "item.type"),
        ({"type": "conversation.item.create"}, "invalid_value", "item"),
        ({"type": "input_audio_buffer.append", "audio": "AA", "more": 1}, "unknown_parameter", "more"),
    ],
)  # fmt: skip
async def test_other_events_are_refused_and_the_call_goes_on(
    socket: Socket, socket_upstream: SocketUpstream, event: dict[str, object], code: str, param: str
) -> None:
    await socket.ws.send_json(event | {"event_id": "mine"})
    error = (await socket.read("error"))["error"]

    assert (error["type"], error["code"], error["param"]) == ("invalid_request_error", code, param)
    assert error["event_id"] == "mine"
    assert not await told_after(socket_upstream, socket)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("no JSON", 4400),
        ("[1, 2]", 4400),
        ('{"type": "response.cancel", "type": "session.update"}', 4400),
        ('{"type":"input_audio_buffer.append","audio":"AA","type":"session.update"}', 4400),
        ('{"type":"input_audio_buffer.append","audio":"AA\\"}', 4400),
        ('{"type": NaN}', 4400),
        ('{"type": "response.create", "response": {"metadata": ' + "[" * 40 + "]" * 40 + "}}", 4400),
        ("[" * 100_000, 4400),
    ],
    ids=["text", "array", "two types", "two types beside audio", "open text", "NaN", "deep", "very deep"],
)
async def test_what_is_no_event_ends_the_call(
    socket: Socket, socket_upstream: SocketUpstream, text: str, code: int
) -> None:
    await socket.ws.send_str(text)
    assert (await socket.read("error"))["error"]["code"] == "invalid_event"

    assert await socket.closing() == code
    assert (await ended_call()).end_reason == "bad_client"
    assert socket_upstream.kinds() == ["session.update"]


async def test_a_binary_frame_ends_the_call(socket: Socket) -> None:
    await socket.ws.send_bytes(b"sound")

    assert await socket.closing() == 1003


@pytest.mark.parametrize("fragments", [1, 40])
async def test_an_event_that_is_too_long_ends_the_call(socket: Socket, fragments: int) -> None:
    event = json.dumps({"type": "input_audio_buffer.append", "audio": "A" * 300 * 1024}).encode()
    size = -(-len(event) // fragments)
    for number in range(fragments):
        await send_fragment(socket, event[number * size :][:size], first=not number, last=number == fragments - 1)

    assert await socket.closing() == 1009
    assert (await ended_call()).end_reason == "bad_client"


async def test_an_event_in_fragments_is_one_event(socket: Socket, socket_upstream: SocketUpstream) -> None:
    event = json.dumps({"type": "input_audio_buffer.append", "audio": AUDIO}).encode()
    for number in range(4):
        await send_fragment(socket, event[number * 500 :][: 500 if number < 3 else None], first=not number,
                            last=number == 3)  # fmt: skip
    await socket.read("response.output_audio.delta")

    assert socket_upstream.told[1]["audio"] == AUDIO


async def send_fragment(socket: Socket, part: bytes, *, first: bool, last: bool) -> None:
    """Write a frame by hand; the client's library sends whole messages only."""
    length = len(part)
    head = bytes([(0x80 if last else 0) | (1 if first else 0), 0x80 | 127]) + length.to_bytes(8, "big")
    socket.ws._writer.transport.write(head + b"\0\0\0\0" + part)  # a mask of zeros changes nothing
    await asyncio.sleep(0)


async def test_server_events_of_any_kind_pass(socket: Socket, socket_upstream: SocketUpstream) -> None:
    event = {"type": "response.something_new", "event_id": "event_9", "text": "grüß \u2028 dich"}
    await socket_upstream.say(event)

    assert await socket.read("response.something_new") == event
