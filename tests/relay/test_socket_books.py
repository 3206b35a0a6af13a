"""What is said and used on a relayed socket is written, charged, and held to its limits while the call goes on."""

import asyncio
from typing import Any

import pytest
from django.contrib.auth.models import User

from agents.models import Agent
from relay import open_sockets
from relay.models import Call, TranscriptItem
from relay.recorder import write_reports
from tests.relay.events import user_item
from tests.relay.socket_client import Relay, Socket, ended_call, secret_of, the_call
from tests.relay.socket_upstream import SocketUpstream
from tokens.models import Policy
from usage.models import UsageRecord

pytestmark = pytest.mark.django_db(transaction=True)
DONE: dict[str, Any] = {
    "type": "response.done",
    "event_id": "event_9",
    "response": {
        "id": "resp_1",
        "object": "realtime.response",
        "status": "completed",
        "output": [
            {
                "id": "item_1", "object": "realtime.item", "type": "message", "status": "completed",
                "role": "assistant", "content": [{"type": "output_audio", "transcript": "We open at nine."}],
            }
        ],
        "usage": {
            "total_tokens": 280, "input_tokens": 184, "output_tokens": 96,
            "input_token_details": {
                "text_tokens": 142, "audio_tokens": 42, "image_tokens": 0, "cached_tokens": 64,
                "cached_tokens_details": {"text_tokens": 64, "audio_tokens": 0, "image_tokens": 0},
            },
            "output_token_details": {"text_tokens": 22, "audio_tokens": 74},
        },
    },
}  # fmt: skip
RESPONSE = DONE["response"]
COST = 6_946  # micro-dollars: (142-64)*4 + 64*0.4 + 42*32 + 22*24 + 74*64 millionths of a dollar a thousand, rounded up


async def opened(relay: Relay, alice: User, assistant: Agent) -> Socket:
    socket = await relay.open(await secret_of(alice, assistant))
    await socket.read("session.created")
    return socket


async def settled_call() -> Call:
    """Wait until what was counted is charged."""
    async with asyncio.timeout(8):
        while (call := await the_call()).lease_owner:  # noqa: ASYNC110  (another task writes the row)
            await asyncio.sleep(0.02)
    return call


async def test_a_call_is_charged_what_was_counted(
    prices: None, relay: Relay, alice: User, assistant: Agent, socket_upstream: SocketUpstream
) -> None:
    socket = await opened(relay, alice, assistant)
    for _ in range(2):  # told twice, counted once
        await socket_upstream.say(DONE)
        await socket.read("response.done")
    await socket.ws.close()

    call = await settled_call()
    assert (call.metering, call.cost_microdollars, call.responses) == ("settled", COST, 1)
    assert await UsageRecord.objects.acount() == 1


async def test_the_words_are_kept_while_the_call_goes_on(
    prices: None, relay: Relay, alice: User, assistant: Agent, socket_upstream: SocketUpstream
) -> None:
    socket = await opened(relay, alice, assistant)
    await socket_upstream.say(DONE)
    async with asyncio.timeout(5):
        while not await TranscriptItem.objects.aexists():  # noqa: ASYNC110  (another task writes the row)
            await asyncio.sleep(0.05)

    line = await TranscriptItem.objects.aget()
    assert (line.role, line.text, line.status) == ("assistant", "We open at nine.", "done")
    call = await the_call()
    assert (call.state, call.monitoring, call.known_microdollars) == ("live", "joined", COST)
    await socket.ws.close()


async def test_a_policy_without_transcripts_keeps_no_words(
    prices: None, relay: Relay, alice: User, assistant: Agent, socket_upstream: SocketUpstream
) -> None:
    await Policy.objects.acreate(user=alice, transcripts="off")
    socket = await opened(relay, alice, assistant)
    await socket_upstream.say(DONE)
    await socket.read("response.done")
    await socket.ws.close()

    assert (await settled_call()).responses == 1
    assert not await TranscriptItem.objects.aexists()


async def test_an_item_named_like_sound_is_seen_all_the_same(
    prices: None, relay: Relay, alice: User, assistant: Agent, socket_upstream: SocketUpstream
) -> None:
    socket = await opened(relay, alice, assistant)
    item = user_item("response.output_audio.delta", "Nobody reads this.")
    await socket_upstream.say(item)
    await socket_upstream.say(DONE | {"response": {"metadata": {"type": "response.output_audio.delta"}, **RESPONSE}})
    await socket.read("response.done")
    await socket.ws.close()

    assert (await settled_call()).responses == 1
    assert await TranscriptItem.objects.filter(role="user", text="Nobody reads this.").aexists()


async def test_who_leaves_within_an_answer_pays_the_estimate_at_least(
    prices: None, relay: Relay, alice: User, assistant: Agent, socket_upstream: SocketUpstream
) -> None:
    socket = await opened(relay, alice, assistant)
    await socket_upstream.say({"type": "response.created", "event_id": "event_1", "response": {"id": "resp_1"}})
    await socket.read("response.created")
    await socket.ws.close()

    call = await settled_call()
    assert call.metering == "unmetered"
    assert call.charged_microdollars > 0


async def test_a_fault_of_one_round_leaves_no_socket_unwatched(
    prices: None,
    relay: Relay,
    alice: User,
    assistant: Agent,
    socket_upstream: SocketUpstream,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await Policy.objects.acreate(user=alice, call_idle_s=2)
    faults = iter([ZeroDivisionError(), ZeroDivisionError()])

    def faulty(*arguments: Any) -> Any:
        if fault := next(faults, None):
            raise fault
        return write_reports(*arguments)

    monkeypatch.setattr(open_sockets, "write_reports", faulty)
    socket = await opened(relay, alice, assistant)

    assert await socket.closing() == 4408


@pytest.mark.parametrize(
    ("policy", "event", "code", "reason"),
    [
        ({"microdollars_a_call": 100}, DONE, 4403, "budget"),
        ({"call_idle_s": 1}, None, 4408, "idle"),
        ({}, {"type": "error", "event_id": "e", "error": {"type": "x", "code": "session_expired", "message": "Over."}},
         4408, "session_expired"),
    ],
    ids=["budget", "silence", "expired"],
)  # fmt: skip
async def test_its_limits_end_a_call(
    prices: None,
    relay: Relay,
    alice: User,
    assistant: Agent,
    socket_upstream: SocketUpstream,
    policy: dict[str, int],
    event: dict[str, Any] | None,
    code: int,
    reason: str,
) -> None:
    await Policy.objects.acreate(user=alice, **policy)
    socket = await opened(relay, alice, assistant)
    if event is not None:
        await socket_upstream.say(event)

    assert await socket.closing() == code
    assert (await ended_call()).end_reason == reason
