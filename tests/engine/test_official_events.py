"""Every event of the engine has the shape that the official client library describes."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from engine.audio import Samples
from engine.protocol_json import Json
from engine.session import events
from engine.session.effects import Recognise
from tests.engine.caller import Caller
from tests.engine.official_events import validate
from tests.engine.session_stage import Stage

VOICE = Callable[[str], Samples]
SPEECH_STARTED: Json = {
    "type": "input_audio_buffer.speech_started",
    "event_id": "event_1",
    "audio_start_ms": 3,
    "item_id": "item_1",
}
TOOL: Json = {"type": "function", "name": "find_book", "parameters": {"type": "object", "properties": {}}}
SESSION: Json = {
    "tools": [TOOL],
    "audio": {
        "input": {
            "transcription": {"model": "gpt-transcribe"},
            "turn_detection": {"type": "server_vad", "silence_duration_ms": 300},
        }
    },
}
# What a call can bring about. The rest needs a failure or a long silence and is played on the stage.
OF_A_CALL = {
    "session.created",
    "session.updated",
    "error",
    "input_audio_buffer.speech_started",
    "input_audio_buffer.speech_stopped",
    "input_audio_buffer.committed",
    "input_audio_buffer.cleared",
    "conversation.item.added",
    "conversation.item.done",
    "conversation.item.retrieved",
    "conversation.item.deleted",
    "conversation.item.truncated",
    "conversation.item.input_audio_transcription.completed",
    "output_audio_buffer.started",
    "output_audio_buffer.stopped",
    "output_audio_buffer.cleared",
    "response.created",
    "response.done",
    "response.output_item.added",
    "response.output_item.done",
    "response.content_part.added",
    "response.content_part.done",
    "response.output_text.delta",
    "response.output_text.done",
    "response.output_audio.done",
    "response.output_audio_transcript.delta",
    "response.output_audio_transcript.done",
    "response.function_call_arguments.delta",
    "response.function_call_arguments.done",
}
OF_FAILURE = {"conversation.item.input_audio_transcription.failed", "input_audio_buffer.timeout_triggered"}
# Played by `test_mcp_session`, on the same stage.
OF_MCP = {
    "mcp_list_tools.in_progress",
    "mcp_list_tools.completed",
    "mcp_list_tools.failed",
    "response.mcp_call_arguments.delta",
    "response.mcp_call_arguments.done",
    "response.mcp_call.in_progress",
    "response.mcp_call.completed",
    "response.mcp_call.failed",
}
ERRORS = {
    "invalid_json",
    "invalid_value",
    "unknown_parameter",
    "missing_required_parameter",
    "item_not_found",
    "response_cancel_not_active",
    "conversation_already_has_active_response",
    "input_audio_buffer_commit_empty",
    "unsupported_content_type",
    "cannot_update_voice",
}


async def test_a_whole_conversation_is_official(caller: Caller, user_voice: VOICE) -> None:
    await caller.dial(SESSION)
    await _change_the_session(caller)
    await _talk_and_interrupt(caller, user_voice)
    await _work_on_items(caller)
    await _call_a_tool(caller)
    await _answer_in_text_and_stop(caller)
    await _push_to_talk(caller, user_voice)
    await _make_mistakes(caller)

    for event in caller.events:
        validate(event)
    assert set(caller.types()) == OF_A_CALL
    assert {event["error"]["code"] for event in caller.events if event["type"] == "error"} == ERRORS
    assert len({event["event_id"] for event in caller.events}) == len(caller.events)
    session = caller.events[0]["session"]
    assert (session["object"], type(session["id"]), type(session["expires_at"])) == ("realtime.session", str, int)


async def _change_the_session(caller: Caller) -> None:
    vad = {"type": "semantic_vad", "eagerness": "high"}
    for changes in (
        {"audio": {"input": {"turn_detection": vad, "noise_reduction": {"type": "near_field"}}}},
        {
            "audio": {"output": {"voice": "cedar", "speed": 1.1}},
            "tool_choice": {"type": "function", "name": "find_book"},
        },
        {
            "tool_choice": "auto",
            "max_output_tokens": 4096,
            "truncation": {"type": "retention_ratio", "retention_ratio": 0.5},
        },
        {"tracing": {"workflow_name": "test"}, "include": ["item.input_audio_transcription.logprobs"]},
        {**SESSION, "instructions": "You are a librarian."},
    ):
        before = len(caller.events)
        caller.send("session.update", session={"type": "realtime", **changes})
        await caller.wait_for("session.updated", before)


async def _talk_and_interrupt(caller: Caller, user_voice: VOICE) -> None:
    caller.mic.say(user_voice("Tell me a story."))
    await caller.wait_for("response.output_audio_transcript.delta", where=lambda event: "engine" in event["delta"])
    before = len(caller.events)
    caller.mic.say(user_voice("What time is it?"))
    await caller.wait_for("output_audio_buffer.stopped", before)
    cut = await caller.wait_for("response.done", before)
    assert cut["response"]["status"] == "cancelled"


async def _work_on_items(caller: Caller) -> None:
    before = len(caller.events)
    for item in (
        {"type": "message", "role": "system", "content": [{"type": "input_text", "text": "Be brief."}]},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hello."}]},
        {"id": "item_mine", "type": "function_call", "name": "find_book", "arguments": "{}", "call_id": "call_mine"},
        {"type": "function_call_output", "call_id": "call_mine", "output": "none"},
    ):
        caller.send("conversation.item.create", item=item, previous_item_id="root")
    spoken = [event["item"] for event in caller.events if event["type"] == "conversation.item.done"]
    answer = next(item for item in reversed(spoken) if item["role"] == "assistant")
    question = next(item for item in reversed(spoken) if item["role"] == "user")
    caller.send("conversation.item.truncate", item_id=answer["id"], content_index=0, audio_end_ms=100)
    for item_id in (answer["id"], question["id"], "item_mine"):
        caller.send("conversation.item.retrieve", item_id=item_id)
    caller.send("conversation.item.delete", item_id="item_mine")
    await caller.wait_for("conversation.item.deleted", before)


async def _call_a_tool(caller: Caller) -> None:
    before = len(caller.events)
    caller.say_text("Find me a book")
    caller.send("response.create", response={"metadata": {"topic": "books"}})
    call = await caller.wait_for("response.function_call_arguments.done", before)
    output = {"type": "function_call_output", "call_id": call["call_id"], "output": '{"copies": 2}'}
    caller.send("conversation.item.create", item=output)
    after = len(caller.events)
    caller.send("response.create")
    await caller.wait_for("output_audio_buffer.stopped", after)


async def _answer_in_text_and_stop(caller: Caller) -> None:
    before = len(caller.events)
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "What is two plus three?"}]}
    text = {"output_modalities": ["text"], "conversation": "none", "input": [item]}
    caller.send("response.create", response=text)
    await caller.wait_for("response.done", before)
    before = len(caller.events)
    caller.say_text("Tell me a story")
    caller.send("response.create")
    caller.send("response.create")
    await caller.wait_for("output_audio_buffer.started", before)
    caller.send("response.cancel")
    await caller.wait_for("output_audio_buffer.cleared", before)


async def _push_to_talk(caller: Caller, user_voice: VOICE) -> None:
    audio = {"input": {"turn_detection": None}}
    caller.send("session.update", session={"type": "realtime", "audio": audio})
    caller.send("input_audio_buffer.clear")
    caller.send("input_audio_buffer.commit")
    before = len(caller.events)
    caller.mic.say(user_voice("Can you count to five?"))
    await caller.wait_until(lambda: caller.mic.speech_ended_at > 0)
    caller.send("input_audio_buffer.commit")
    await caller.wait_for("conversation.item.input_audio_transcription.completed", before)


async def _make_mistakes(caller: Caller) -> None:
    before = len(caller.events)
    typed = next(event["item"]["id"] for event in caller.events if event["type"] == "conversation.item.done")
    caller.channel.send("{")
    caller.send("no.such.event", event_id="mine")
    caller.send("response.create", response={"voice": "marin"})
    caller.send("conversation.item.retrieve")
    caller.send("conversation.item.retrieve", item_id="item_unknown")
    caller.send("response.cancel")
    caller.send("conversation.item.truncate", item_id=typed, content_index=0, audio_end_ms=0)
    caller.send("session.update", session={"type": "realtime", "audio": {"output": {"voice": "ash"}}})
    await caller.wait_for("error", before, lambda event: event["error"]["code"] == "cannot_update_voice")


def test_failures_are_official() -> None:
    stage = Stage({"audio": {"input": {"transcription": {"model": "gpt-transcribe"}}}})
    stage.hear(voiced_ms=320, silent_ms=640)
    stage.run(stage.session.recognition_failed(stage.last(Recognise).recognition_id, "It broke."))
    stage.reply(is_whole=False)
    stage.run(stage.session.reply_failed("generation_1", "It broke."))
    idle: Json = {"type": "server_vad", "idle_timeout_ms": 5000}
    stage.send("session.update", session={"type": "realtime", "audio": {"input": {"turn_detection": idle}}})
    stage.hear(silent_ms=6000)
    stage.reply("Are you there?")
    stage.send("response.create", response={"max_output_tokens": 1})
    stage.run(stage.session.tick(1e9))

    assert set(stage.types()) >= OF_FAILURE


def test_the_lists_above_name_every_event_that_the_engine_can_build() -> None:
    source = Path(events.__file__).read_text()
    built = set(re.findall(r'"type": f?"([a-z_]+[.{][^"]+)"', source)) | {"error"}
    patterns = [re.escape(name).replace(r"\{what\}", "[a-z]+").replace(r"\{name\}", "[a-z._]+") for name in built]

    assert [p for p in patterns if not any(re.fullmatch(p, name) for name in OF_A_CALL | OF_FAILURE | OF_MCP)] == []


@pytest.mark.parametrize(
    "fault",
    [
        {"type": "input_audio_buffer.speech_begun"},
        {"type": "input_audio_buffer.committed"},
        {"audio_start_ms": "3"},
        {"audio_start_ms": 3.5},
        {"audio_start_ms": None},
        {"extra": 1},
    ],
)
def test_the_check_itself_refuses_a_wrong_event(fault: Json) -> None:
    validate(SPEECH_STARTED)

    with pytest.raises((ValidationError, AssertionError)):
        validate({**SPEECH_STARTED, **fault})
