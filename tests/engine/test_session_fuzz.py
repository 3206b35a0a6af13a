"""Whatever a client sends, in whatever order, the session answers and never raises."""

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.reply import ToolCall
from engine.session.client_events import FIELDS
from engine.session.effects import Generate, Recognise
from tests.engine.session_stage import Stage

IDS = st.sampled_from(["item_1", "item_2", "item_3", "root", "resp_1", "", "item_99"])
PARTS = st.fixed_dictionaries(
    {"type": st.sampled_from(["input_text", "output_text", "input_audio"])}, optional={"text": st.text(max_size=5)}
)
ITEMS = st.fixed_dictionaries(
    {"type": st.sampled_from(["message", "function_call", "function_call_output", "item_reference"])},
    optional={
        "id": IDS,
        "role": st.sampled_from(["user", "assistant", "system"]),
        "content": st.lists(PARTS, max_size=2),
        "name": st.just("tool"),
        "arguments": st.just("{}"),
        "call_id": IDS,
        "output": st.just("x"),
    },
)
TURNS = st.none() | st.fixed_dictionaries(
    {"type": st.sampled_from(["server_vad", "semantic_vad"])},
    optional={
        "create_response": st.booleans(),
        "interrupt_response": st.booleans(),
        "silence_duration_ms": st.just(64),
    },
)
SESSIONS = st.fixed_dictionaries(
    {},
    optional={
        "type": st.just("realtime"),
        "audio": st.fixed_dictionaries({"input": st.fixed_dictionaries({}, optional={"turn_detection": TURNS})}),
        "tracing": st.sampled_from([None, "auto", 7]),
    },
)
RESPONSES = st.fixed_dictionaries(
    {},
    optional={
        "conversation": st.sampled_from(["auto", "none"]),
        "input": st.lists(ITEMS, max_size=2),
        "output_modalities": st.sampled_from([["audio"], ["text"], ["both"]]),
        "max_output_tokens": st.sampled_from([1, "inf"]),
    },
)
CLIENT_EVENTS = st.fixed_dictionaries(
    {"type": st.sampled_from(sorted(FIELDS))},
    optional={
        "session": SESSIONS,
        "item": ITEMS,
        "item_id": IDS,
        "previous_item_id": IDS,
        "content_index": st.just(0),
        "audio_end_ms": st.integers(-1, 2000),
        "response": RESPONSES,
        "response_id": IDS,
        "audio": st.sampled_from(["AAAA", "?"]),
    },
)
HAPPENINGS = st.sampled_from(["speak", "pause", "hear", "noise", "reply", "tool", "play", "end", "fail"])


def happen(stage: Stage, what: str) -> None:
    """Let the world do something."""
    if what == "speak":
        stage.hear(voiced_ms=128)
    elif what == "pause":
        stage.hear(silent_ms=640)
    elif what in ("hear", "noise") and stage.asked_for(Recognise):
        stage.recognise("Hello there", 0.0 if what == "hear" else 0.9)
    elif what in ("reply", "tool", "fail") and stage.asked_for(Generate):
        if what == "fail":
            stage.run(stage.session.reply_failed(stage.last(Generate).generation_id, "It broke."))
        else:
            stage.reply("Yes indeed.", *([ToolCall("tool", "{}")] if what == "tool" else []))
    elif what in ("play", "end"):
        created = stage.of_type("response.created")
        if created:
            stage.play(created[-1]["response"]["id"], 400, is_over=what == "end")


@settings(max_examples=300, deadline=None)
@given(st.lists(CLIENT_EVENTS | HAPPENINGS, max_size=25))
def test_no_order_of_events_breaks_the_session(steps: list[dict[str, object] | str]) -> None:
    stage = Stage()

    for step in steps:
        if isinstance(step, str):
            happen(stage, step)
        else:
            stage.run(stage.session.receive(step))

    done = [event["response"]["id"] for event in stage.of_type("response.done")]
    created = [event["response"]["id"] for event in stage.of_type("response.created")]
    assert done in (created, created[:-1])
    started = [event["response_id"] for event in stage.of_type("output_audio_buffer.started")]
    ended = [
        event["response_id"]
        for event in stage.events
        if event["type"] in ("output_audio_buffer.stopped", "output_audio_buffer.cleared")
    ]
    assert ended in (started, started[:-1])
