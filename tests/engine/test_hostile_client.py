"""A client that wants to harm the engine harms at most its own call."""

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator

import numpy as np
import pytest
from aiohttp import ClientSession

from engine.audio import SPEAK_RATE_HZ
from engine.conversation import AUDIO_BURST_MS, EVENTS_BURST
from tests.engine.caller import Caller

END_TIMEOUT_S = 45
ENDLESS_CHARS = 64 * 1024 * 1024
DEEP = '{"type":"session.update","session":{"type":"realtime","reasoning":' + '{"a":' * 500 + "1" + "}" * 502
JUNK = [
    "",
    "null",
    "[]",
    '"text"',
    "{",
    "[" * 100_000,
    DEEP,
    '{"type":"session.update","session":{"type":"realtime","max_output_tokens":' + "9" * 5000 + "}}",
    '{"type":"session.update","session":{"type":"realtime","audio":{"output":{"speed":NaN}}}}',
    '{"type":"response.create","response":{"metadata":{"a":Infinity}}}',
    '{"type":["session.update"]}',
    '{"type":"session.update","type":{}}',
    '{"type":"conversation.item.retrieve","item_id":"\\ud800"}',
    '{"type":"input_audio_buffer.append","audio":"\\u0000"}',
    "\u0000\u0001",
    "{" + " " * 300_000 + "}",
]


@pytest.fixture
async def neighbour(base_url: str) -> AsyncIterator[Caller]:
    made = Caller(base_url)
    await made.dial()
    yield made
    await made.close()


async def calls_of(base_url: str) -> int:
    async with ClientSession() as http, http.get(f"{base_url}/healthz") as health:
        return int((await health.json())["calls"])


async def wait_for_calls(base_url: str, count: int) -> None:
    async with asyncio.timeout(END_TIMEOUT_S):
        while True:
            if await calls_of(base_url) == count:
                return
            await asyncio.sleep(0.1)


def tamper(caller: Caller, name: str, value: object) -> None:
    """Change what the caller's own library would not let it do."""
    vars(caller.connection.sctp)[name] = value


async def answers_a_question(caller: Caller) -> bool:
    before = len(caller.events)
    caller.say_text("What is two plus three?")
    caller.send("response.create", response={"output_modalities": ["text"]})
    done = await caller.wait_for("response.done", before)
    return bool(done["response"]["status"] == "completed")


@pytest.mark.parametrize("message", JUNK, ids=[str(place) for place in range(len(JUNK))])
async def test_junk_gets_one_error_and_ends_nothing(caller: Caller, message: str) -> None:
    await caller.dial()
    tamper(caller, "_remote_max_message_size", 0)

    caller.channel.send(message)
    caller.send("session.update", session={"type": "realtime"})
    await caller.wait_for("session.updated")

    assert caller.types() == ["session.created", "error", "session.updated"]


async def test_a_flood_of_events_ends_its_call_and_no_other(base_url: str, caller: Caller, neighbour: Caller) -> None:
    await caller.dial()

    for _ in range(int(EVENTS_BURST) * 2):
        caller.send("input_audio_buffer.clear")

    await wait_for_calls(base_url, 1)  # the word of why is sent, but need not arrive before the end
    assert await answers_a_question(neighbour)


async def test_audio_in_events_that_comes_too_fast_is_refused(caller: Caller) -> None:
    await caller.dial({"audio": {"input": {"turn_detection": None}}})
    second = base64.b64encode(np.zeros(SPEAK_RATE_HZ, np.int16).tobytes()).decode()

    for _ in range(int(AUDIO_BURST_MS / 1000) + 30):
        caller.send("input_audio_buffer.append", audio=second)

    refused = await caller.wait_for("error")
    assert refused["error"]["code"] == "rate_limit_exceeded"
    assert await answers_a_question(caller)


async def test_an_event_that_is_too_long_is_refused(caller: Caller) -> None:
    await caller.dial()
    tamper(caller, "_remote_max_message_size", 0)

    caller.say_text("x" * 400_000)

    assert (await caller.wait_for("error"))["error"]["code"] == "invalid_json"
    assert await answers_a_question(caller)


async def test_a_message_without_end_ends_its_call(base_url: str, caller: Caller) -> None:
    await caller.dial()
    tamper(caller, "_remote_max_message_size", 0)

    caller.channel.send("x" * ENDLESS_CHARS)

    await wait_for_calls(base_url, 0)


async def test_a_client_that_reads_nothing_loses_its_call(base_url: str, caller: Caller, neighbour: Caller) -> None:
    await caller.dial()
    caller.say_text("x" * 60_000)
    item_id = (await caller.wait_for("conversation.item.done"))["item"]["id"]

    async def acknowledge_nothing(data: bytes) -> None: ...

    for _ in range(200):
        caller.send("conversation.item.retrieve", item_id=item_id)
    await asyncio.sleep(0)
    tamper(caller, "_handle_data", acknowledge_nothing)

    await wait_for_calls(base_url, 1)
    assert await answers_a_question(neighbour)


async def test_words_that_cannot_be_spoken_end_nothing(caller: Caller) -> None:
    await caller.dial()
    for text in ("\ud800", "\u0000", "🎉" * 50, "漢字" * 50, "9" * 500, "$%&" * 100, "a" * 2000):
        before = len(caller.events)
        caller.send("response.create", response={"instructions": f'Say "{text}"', "conversation": "none", "input": []})
        created = (await caller.wait_for("response.created", before))["response"]["id"]
        await asyncio.sleep(0.2)
        caller.send("response.cancel", response_id=created)
        await caller.wait_for("response.done", before)

    assert await answers_a_question(caller)


async def test_a_conversation_that_grows_without_end_forgets_its_beginning(caller: Caller) -> None:
    await caller.dial()
    for _ in range(60):
        caller.say_text("x" * 60_000)
        await caller.wait_for("conversation.item.done", len(caller.events))
    first = next(event for event in caller.events if event["type"] == "conversation.item.done")

    caller.send("conversation.item.retrieve", item_id=first["item"]["id"])

    assert (await caller.wait_for("error"))["error"]["code"] == "item_not_found"


async def test_offers_that_come_at_once_take_no_more_calls_than_there_are(base_url: str) -> None:
    callers = [Caller(base_url) for _ in range(6)]
    before = time.monotonic()

    outcomes = await asyncio.gather(*(caller.dial() for caller in callers), return_exceptions=True)

    refused = [outcome for outcome in outcomes if isinstance(outcome, AssertionError)]
    assert len(refused) == 3
    assert all(json.loads(str(refusal).split("\n")[0])["error"]["code"] for refusal in refused)
    assert await calls_of(base_url) == 3
    assert time.monotonic() - before < END_TIMEOUT_S
    await asyncio.gather(*(caller.close() for caller in callers))
