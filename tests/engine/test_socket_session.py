"""WebSocket sessions: `WS /v1/realtime?model=…`."""

import base64
import json
from collections.abc import Callable

import pytest
from aiohttp import ClientSession

from engine.audio import Samples
from engine.faults import Faults
from engine.protocol_json import Json
from tests.engine.caller import Caller
from tests.engine.official_events import validate
from tests.engine.socket_client import SocketClient, SocketClients, refused_with

MODEL = "model=gpt-realtime-2.1"
VOICE = Callable[[str], Samples]
TRANSCRIBED: Json = {
    "type": "realtime",
    "audio": {
        "input": {
            "transcription": {"model": "gpt-transcribe"},
            "turn_detection": {"type": "server_vad", "silence_duration_ms": 300},
        }
    },
}


async def client_secret(base_url: str, **session: object) -> str:
    body = {"session": {"type": "realtime", **session}}
    async with (
        ClientSession() as http,
        http.post(
            f"{base_url}/v1/realtime/client_secrets", json=body, headers={"Authorization": "Bearer sk-test"}
        ) as answer,
    ):
        return str((await answer.json())["value"])


def sound_of(client: SocketClient) -> bytes:
    deltas = [event["delta"] for event in client.events if event["type"] == "response.output_audio.delta"]
    return b"".join(base64.b64decode(delta) for delta in deltas)


async def hear_out(client: SocketClient, text: str) -> Json:
    before = len(client.events)
    await client.say_text(text)
    await client.send("response.create")
    return await client.wait_for("response.done", before)


async def test_the_standard_key_opens_a_session_with_the_model_of_the_address(sockets: SocketClients) -> None:
    client = await sockets.connect(MODEL)

    assert (await client.wait_for("session.created"))["session"]["model"] == "gpt-realtime-2.1"


async def test_a_client_secret_brings_its_session_and_stands_among_the_subprotocols(
    sockets: SocketClients, base_url: str
) -> None:
    secret = await client_secret(base_url, instructions="Be brief.")
    protocols = ("realtime", f"openai-insecure-api-key.{secret}", "openai-agents-sdk.0.20.0")

    client = await sockets.connect(MODEL, key="", protocols=protocols)

    assert client.socket.protocol == "realtime"
    assert (await client.wait_for("session.created"))["session"]["instructions"] == "Be brief."


@pytest.mark.parametrize(("key", "query", "status"), [
    ("sk-wrong", MODEL, 401), ("ek_wrong", MODEL, 401), ("", MODEL, 401), ("sk-test", "", 400),
    ("sk-test", "model=%20", 400),
])  # fmt: skip
async def test_what_is_wrong_is_refused_before_the_handshake(
    sockets: SocketClients, key: str, query: str, status: int
) -> None:
    with refused_with(status):
        await sockets.connect(query, key=key)


@pytest.mark.parametrize("options", [
    {"protocols": ("realtime", "openai-insecure-api-key.sk-test", "openai-beta.realtime-v1"), "key": ""},
])  # fmt: skip
async def test_clients_of_the_first_form_are_told_that_it_is_gone(
    sockets: SocketClients, options: dict[str, object]
) -> None:
    client = await sockets.connect(MODEL, **options)  # type: ignore[arg-type]  # the options are the test's

    assert await client.wait_closed() == 4000
    assert client.events[0]["error"]["code"] == "beta_api_shape_disabled"


async def test_the_answer_comes_as_pcm_inside_events(sockets: SocketClients) -> None:
    client = await sockets.connect(MODEL)

    done = await hear_out(client, "What is two plus three?")

    assert len(sound_of(client)) > 24_000
    assert done["response"]["output"][0]["content"][0]["transcript"]
    assert "output_audio_buffer.started" not in client.types()


@pytest.mark.parametrize("name", ["audio/pcmu", "audio/pcma"])
async def test_it_hears_and_speaks_as_a_telephone_does(sockets: SocketClients, user_voice: VOICE, name: str) -> None:
    client = await sockets.connect(MODEL)
    changes = json.loads(json.dumps(TRANSCRIBED))
    changes["audio"]["input"]["format"] = changes["audio"]["output"] = {"type": name}
    changes["audio"]["output"] = {"format": {"type": name}}
    await client.send("session.update", session=changes)

    await client.say(user_voice("What is two plus three?"), name)
    done = await client.wait_for("response.done")

    heard = await client.wait_for("conversation.item.input_audio_transcription.completed")
    assert "three" in heard["transcript"].lower() or "3" in heard["transcript"]
    audio_ms = len(sound_of(client)) // 8
    tokens = done["response"]["usage"]["output_token_details"]["audio_tokens"]
    assert abs(tokens * 50 - audio_ms) <= 200


async def test_a_spoken_turn_is_found_and_answered(sockets: SocketClients, user_voice: VOICE) -> None:
    client = await sockets.connect(MODEL)
    await client.send("session.update", session=TRANSCRIBED)

    await client.say(user_voice("What is two plus three?"))
    await client.wait_for("response.done")

    for event in client.events:
        validate(event)
    order = [name for name in client.types() if name.startswith("input_audio_buffer")]
    assert order == [f"input_audio_buffer.{what}" for what in ("speech_started", "speech_stopped", "committed")]


async def test_push_to_talk_commits_what_was_sent(sockets: SocketClients, user_voice: VOICE) -> None:
    client = await sockets.connect(MODEL)
    by_hand: Json = {"type": "realtime", "audio": {"input": {**TRANSCRIBED["audio"]["input"], "turn_detection": None}}}
    await client.send("session.update", session=by_hand)
    await client.say(user_voice("Never mind that."))
    await client.send("input_audio_buffer.clear")
    await client.send("input_audio_buffer.commit")
    empty = await client.wait_for("error")

    await client.say(user_voice("Can you count to five?"))
    await client.send("input_audio_buffer.commit")
    heard = await client.wait_for("conversation.item.input_audio_transcription.completed")

    assert empty["error"]["code"] == "input_audio_buffer_commit_empty"
    assert "count" in heard["transcript"].lower()
    assert "response.created" not in client.types()


async def test_the_client_truncates_at_what_it_played(sockets: SocketClients) -> None:
    client = await sockets.connect(MODEL)
    done = await hear_out(client, "Tell me a story")
    item = done["response"]["output"][0]

    await client.send("conversation.item.truncate", item_id=item["id"], content_index=0, audio_end_ms=900)
    await client.send("conversation.item.retrieve", item_id=item["id"])
    kept = (await client.wait_for("conversation.item.retrieved"))["item"]["content"][0]["transcript"]

    assert (await client.wait_for("conversation.item.truncated"))["audio_end_ms"] == 900
    assert 0 < len(kept) < len(item["content"][0]["transcript"])


async def test_no_more_than_what_was_sent_can_be_truncated(sockets: SocketClients) -> None:
    client = await sockets.connect(MODEL)
    done = await hear_out(client, "What is two plus three?")
    item_id = done["response"]["output"][0]["id"]

    await client.send("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=3_000_000)

    assert (await client.wait_for("error"))["error"]["code"] == "invalid_value"


async def test_the_conversation_so_far_counts_as_cached(sockets: SocketClients) -> None:
    client = await sockets.connect(MODEL)
    await client.send("session.update", session={"type": "realtime", "instructions": "Answer shortly. " * 40})

    first = (await hear_out(client, "What is two plus three?"))["response"]["usage"]["input_token_details"]
    second = (await hear_out(client, "And the time?"))["response"]["usage"]["input_token_details"]

    assert first["cached_tokens"] == 0
    assert second["cached_tokens_details"]["text_tokens"] == second["cached_tokens"] == 128
    assert second["text_tokens"] > first["text_tokens"]


@pytest.mark.parametrize(("model", "kind"), [("gpt-transcribe", "duration"), ("gpt-4o-mini-transcribe", "tokens")])
async def test_writing_words_down_has_a_price_of_its_own(
    sockets: SocketClients, user_voice: VOICE, model: str, kind: str
) -> None:
    client = await sockets.connect(MODEL)
    changes = {"type": "realtime", "audio": {"input": {"transcription": {"model": model}}}}
    await client.send("session.update", session=changes)

    await client.say(user_voice("Can you count to five?"))
    heard = await client.wait_for("conversation.item.input_audio_transcription.completed")

    validate(heard)
    assert heard["usage"]["type"] == kind


async def test_a_field_can_be_refused_on_purpose(sockets: SocketClients, faults: Faults) -> None:
    client = await sockets.connect(MODEL)
    faults.refused_field = "session.instructions"

    await client.send("session.update", session={"type": "realtime", "instructions": "Obey."})

    assert (await client.wait_for("error"))["error"]["param"] == "session.instructions"


async def test_a_session_can_break_off_on_purpose(sockets: SocketClients, faults: Faults) -> None:
    faults.call_cut_ms = 50

    client = await sockets.connect(MODEL)

    assert await client.wait_closed() == 1006


async def test_calls_can_be_refused_on_purpose(sockets: SocketClients, faults: Faults, caller: Caller) -> None:
    faults.call_status = 429

    with refused_with(429):
        await sockets.connect(MODEL)
    with pytest.raises(AssertionError, match="rate_limit_exceeded"):
        await caller.dial()


async def test_sessions_over_websockets_count_as_calls(sockets: SocketClients, base_url: str) -> None:
    for _ in range(3):
        await sockets.connect(MODEL)

    with refused_with(503):
        await sockets.connect(MODEL)


async def test_faults_are_set_by_a_route_with_the_standard_key(base_url: str, faults: Faults) -> None:
    async with ClientSession(headers={"Authorization": "Bearer sk-test"}) as http:
        async with http.put(f"{base_url}/faults", json={"sideband_status": 404}) as answer:
            assert answer.status == 204
        assert faults.sideband_status == 404
        async with http.put(f"{base_url}/faults", json={"sideband_state": 404}) as answer:
            assert answer.status == 400
    async with ClientSession() as http, http.put(f"{base_url}/faults", json={}) as answer:
        assert answer.status == 401
