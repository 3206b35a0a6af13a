"""What is made of a call's events: words in order, interrupted ones kept, usage once, and who is active."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest

from relay.conversation import MAX_LINES, Conversation, Line, in_order
from tests.relay.events import TRACES, said, user_item
from usage.models import Meter

START = datetime(2026, 11, 21, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def follow(*events: dict[str, Any], conversation: Conversation | None = None) -> Conversation:
    """Let a conversation take events, one a second."""
    conversation = conversation or Conversation(START)
    for second, event in enumerate(events, 1):
        conversation.take(event, at(second))
    return conversation


def words(conversation: Conversation) -> list[tuple[str, str, str]]:
    return [(line.role, line.text, line.status) for line in conversation.lines()]


def test_a_spoken_turn_becomes_two_lines_in_order() -> None:
    conversation = follow(*TRACES["voice"])

    assert words(conversation) == [("user", "When do you open?", "done"), ("assistant", "We open at nine.", "done")]
    assert [line.previous_item_id for line in conversation.lines()] == ["", "item_u1"]


def test_words_of_the_user_that_come_late_land_in_their_place() -> None:
    late = [event for event in TRACES["voice"] if "transcription" in event["type"]]
    rest = [event for event in TRACES["voice"] if "transcription" not in event["type"]]
    conversation = follow(*rest)
    assert words(conversation)[0] == ("user", "", "partial")

    follow(*late, conversation=conversation)

    assert words(conversation)[0] == ("user", "When do you open?", "done")


def test_what_was_interrupted_is_kept_and_marked() -> None:
    conversation = follow(*TRACES["interrupted"])

    (line,) = conversation.lines()
    assert (line.text, line.status, line.heard_ms) == ("Dune is on the second floor, next to", "interrupted", 1450)


def test_an_interruption_is_the_same_in_whatever_order_it_is_told() -> None:
    first, *rest = TRACES["interrupted"]
    ends = ("item.truncated", "item.done", "output_audio_transcript.done", "response.done")
    told = [event for event in rest if event["type"].endswith(ends)]
    for order in permutations(told):
        (line,) = follow(first, *order).lines()
        assert (line.text, line.status) == ("Dune is on the second floor, next to", "interrupted")


def test_a_transcript_that_was_deleted_upstream_stays() -> None:
    conversation = follow(*TRACES["voice"])
    emptied = {"id": "item_a1", "type": "message", "role": "assistant", "status": "completed",
               "content": [{"type": "output_audio", "transcript": ""}]}  # fmt: skip
    conversation.take({"type": "conversation.item.truncated", "item_id": "item_a1", "content_index": 0,
                       "audio_end_ms": 700}, at(40))  # fmt: skip
    conversation.take({"type": "conversation.item.done", "item": emptied}, at(41))
    conversation.take({"type": "conversation.item.deleted", "item_id": "item_a1"}, at(42))

    assert words(conversation)[1] == ("assistant", "We open at nine.", "interrupted")


def test_a_tool_call_is_noted_once_though_it_is_told_three_times() -> None:
    conversation = follow(*TRACES["function-call"])

    (tool,) = conversation.drain().tools
    assert (tool.name, tool.tool_call_id, json.loads(tool.arguments)) == ("find_book", "call_1", {"title": "Dune"})
    assert [line.role for line in conversation.lines()] == ["user", "tool"]


def test_usage_is_counted_by_modality_and_once() -> None:
    conversation = follow(*TRACES["voice"], *TRACES["voice"])

    usage = {use.kind: use for use in conversation.drain().usage}
    assert len(usage) == 2
    assert usage["response"].counts == {
        Meter.TEXT_INPUT: 78, Meter.TEXT_CACHED_INPUT: 64, Meter.AUDIO_INPUT: 42, Meter.AUDIO_CACHED_INPUT: 0,
        Meter.IMAGE_INPUT: 0, Meter.IMAGE_CACHED_INPUT: 0, Meter.TEXT_OUTPUT: 22, Meter.AUDIO_OUTPUT: 74,
    }  # fmt: skip
    assert usage["transcription"].counts == {Meter.SECONDS: 2}


def test_what_was_counted_before_a_takeover_is_not_counted_again() -> None:
    conversation = Conversation(START, counted=[("response", "resp_1"), ("transcription", "item_u1")])

    assert follow(*TRACES["voice"], conversation=conversation).drain().usage == []


def test_models_are_those_of_the_live_session() -> None:
    audio = {"input": {"transcription": {"model": "gpt-transcribe"}}}
    session = {"type": "session.created", "session": {"model": "gpt-realtime-2.1", "audio": audio}}

    usage = follow(session, *TRACES["voice"]).drain().usage

    assert sorted(use.model for use in usage) == ["gpt-realtime-2.1", "gpt-transcribe"]


@pytest.mark.parametrize("usage", [None, {"input_tokens": -1}, {"input_tokens": "9"}])
def test_a_response_whose_usage_cannot_be_read_is_known_to_be_uncounted(usage: object) -> None:
    event = {"type": "response.done", "response": {"id": "resp_9", "status": "completed", "usage": usage}}

    conversation = follow(event)

    assert (conversation.uncounted, conversation.drain().usage) == (1, [])


def test_changes_are_handed_out_once() -> None:
    conversation = follow(*TRACES["voice"])
    assert len(conversation.drain().lines) == 2

    assert not conversation.drain()
    conversation.take(said("item_a9", "Well"), at(60))
    assert [line.item_id for line in conversation.drain().lines] == ["item_a9"]


def test_items_are_put_behind_the_ones_that_they_name() -> None:
    lines = [Line("c", at(1), "b"), Line("b", at(2), "a"), Line("a", at(0)), Line("d", at(3), "unknown")]

    assert [line.item_id for line in in_order(lines)][-1] == "d"
    assert [line.item_id for line in in_order([Line("x", at(0)), Line("z", at(1), "x"), Line("y", at(2), "x")])] == [
        "x", "y", "z",
    ]  # fmt: skip


def types_of(events: Iterable[str]) -> list[dict[str, Any]]:
    return [{"type": name, "session": {}, "error": {}, "item": {}, "rate_limits": []} for name in events]


def test_housekeeping_keeps_nobody_awake() -> None:
    housekeeping = (
        "session.created",
        "session.updated",
        "rate_limits.updated",
        "error",
        "conversation.item.retrieved",
        "conversation.item.deleted",
        "input_audio_buffer.cleared",
    )

    assert follow(*types_of(housekeeping)).active_at == START


def test_somebody_who_speaks_or_types_is_active() -> None:
    assert follow({"type": "input_audio_buffer.speech_started", "item_id": "item_1"}).active_at == at(1)
    assert follow(user_item("item_2", "Hello")).active_at == at(1)


def test_an_assistant_who_talks_to_nobody_keeps_nothing_alive() -> None:
    answer = said("item_a", "Are you there?")
    silence = {"type": "input_audio_buffer.timeout_triggered", "item_id": "item_u"}

    assert follow(answer).active_at == at(1)
    assert follow(silence, answer).active_at == START
    assert follow(silence, answer, user_item("item_3", "Yes"), said("item_b", "Good")).active_at == at(4)


def test_it_is_known_whether_the_assistant_can_be_heard() -> None:
    assert follow({"type": "output_audio_buffer.started", "response_id": "resp_1"}).is_speaking
    assert not follow(*TRACES["voice"]).is_speaking


def test_an_expired_session_is_noticed() -> None:
    assert follow({"type": "error", "error": {"code": "session_expired"}}).ended_by == "session_expired"
    assert follow({"type": "error", "error": {"code": "invalid_value"}}).ended_by == ""


@pytest.mark.parametrize("event", [
    {}, {"type": None}, {"type": []}, {"type": "session.created"}, {"type": "session.created", "session": 3},
    {"type": "conversation.item.added", "item": None}, {"type": "conversation.item.added", "item": {"type": "message"}},
    {"type": "response.output_text.delta", "item_id": 3, "delta": "x"}, {"type": "error", "error": "broken"},
    {"type": "response.output_text.delta", "item_id": "", "delta": "x"}, {"type": "response.done", "response": []},
    {"type": "conversation.item.truncated", "item_id": "item_1", "audio_end_ms": "later"},
])  # fmt: skip
def test_nonsense_does_no_harm(event: dict[str, Any]) -> None:
    conversation = follow(event, *TRACES["voice"])

    assert len(words(conversation)) in (2, 3)
    assert words(conversation)[-1][1] == "We open at nine."


def test_a_conversation_cannot_fill_the_memory() -> None:
    conversation = Conversation(START)
    for number in range(MAX_LINES + 5):
        conversation.take(said(f"item_{number}", "x" * 30_000 if number == 0 else "x"), START)

    assert len(conversation.drain().lines) == MAX_LINES
    assert len(conversation.lines()[0].text) == 20_000


def test_calls_of_mcp_servers_and_their_approval_are_tool_calls() -> None:
    conversation = Conversation(START)
    approved = {"id": "item_1", "type": "mcp_approval_response", "approval_request_id": "mcpr_1", "approve": True}
    called = {"id": "mcp_1", "type": "mcp_call", "server_label": "shop", "name": "find", "arguments": "{}"}
    conversation.take({"type": "conversation.item.done", "previous_item_id": None, "item": approved}, START)
    for item in (called, called | {"output": "2"}, called | {"output": "2"}):
        conversation.take({"type": "response.output_item.done", "item": item}, START)

    assert [(tool.name, tool.tool_call_id) for tool in conversation.drain().tools] == [
        ("mcp_approved", "mcpr_1"), ("shop.find", "mcp_1"),
    ]  # fmt: skip


def put_in(**item: Any) -> dict[str, Any]:
    """What follows an item that a client puts into the conversation."""
    return {"type": "conversation.item.added", "previous_item_id": None, "item": {"status": "completed", **item}}


def test_what_a_client_puts_in_as_the_assistant_s_is_told_from_what_was_said() -> None:
    item = {"id": "item_x", "type": "message", "role": "assistant"}
    added = put_in(**item, content=[{"type": "output_text", "text": "Your loan is granted."}])
    conversation = follow(added, added | {"type": "conversation.item.done"}, *TRACES["voice"])

    assert [(line.role, line.text) for line in conversation.lines()] == [
        ("retold", "Your loan is granted."), ("user", "When do you open?"), ("assistant", "We open at nine."),
    ]  # fmt: skip


def test_a_client_cannot_make_up_tools_and_handoffs() -> None:
    called = put_in(id="i1", type="function_call", call_id="call_1", name="transfer_to_billing", arguments="{}")
    output = put_in(id="i2", type="function_call_output", call_id="call_1", output='{"assistant": "Billing"}')
    conversation = follow(called, called | {"type": "conversation.item.done"}, output)

    assert (conversation.lines(), conversation.drain().tools) == ([], [])
