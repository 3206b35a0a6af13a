"""Client events: what each answers and how each is refused."""

import pytest

from tests.engine.session_stage import Stage


def error_of(stage: Stage, event_type: str, **fields: object) -> tuple[str, str | None]:
    answer = stage.send(event_type, **fields)
    assert [event["type"] for event in answer] == ["error"]
    return answer[0]["error"]["code"], answer[0]["error"]["param"]


@pytest.mark.parametrize(
    ("event_type", "fields", "expected"),
    [
        ("session.update", {}, ("missing_required_parameter", "session")),
        ("session.update", {"session": {}}, ("missing_required_parameter", "session.type")),
        ("session.update", {"session": {"type": "realtime", "voice": "marin"}}, ("unknown_parameter", "session.voice")),
        ("session.update", {"session": {"type": "x"}}, ("invalid_value", "session.type")),
        (
            "session.update",
            {"session": {"type": "realtime", "audio": {"output": {"speed": 9}}}},
            ("invalid_value", "session.audio.output.speed"),
        ),
        (
            "session.update",
            {"session": {"type": "realtime", "output_modalities": ["text", "audio"]}},
            ("invalid_value", "session.output_modalities"),
        ),
        ("response.cancel", {}, ("response_cancel_not_active", None)),
        ("response.create", {"response": {"voice": "x"}}, ("unknown_parameter", "response.voice")),
        ("response.create", {"x": 1}, ("unknown_parameter", "x")),
        ("conversation.item.retrieve", {"item_id": "item_9"}, ("item_not_found", "item_id")),
        (
            "conversation.item.create",
            {"item": {"id": "i" * 33, "type": "function_call_output", "call_id": "call_1", "output": ""}},
            ("invalid_value", "item.id"),
        ),
        ("conversation.item.delete", {"item_id": "item_9"}, ("item_not_found", "item_id")),
        (
            "conversation.item.create",
            {"item": {"type": "message", "role": "assistant", "content": [{"type": "output_audio"}]}},
            ("invalid_value", "item.content[0].type"),
        ),
        (
            "conversation.item.create",
            {"item": {"type": "message", "role": "user", "content": [{"type": "input_text"}]}},
            ("missing_required_parameter", "item.content[0].text"),
        ),
        ("input_audio_buffer.append", {"audio": "???"}, ("invalid_value", "audio")),
        ("no.such.event", {}, ("invalid_value", "type")),
    ],
)
def test_a_wrong_event_is_refused_by_code_and_field(
    event_type: str, fields: dict[str, object], expected: tuple[str, str | None]
) -> None:
    assert error_of(Stage(), event_type, **fields) == expected


@pytest.mark.parametrize("message", [None, [], "text", 7, {"type": None}, {"type": []}, {}])
def test_what_is_no_event_is_refused(message: object) -> None:
    stage = Stage()

    stage.run(stage.session.receive(message))

    assert stage.types() == ["error"]


def test_a_second_response_is_refused_while_one_goes_on() -> None:
    stage = Stage()
    stage.send("response.create")

    assert error_of(stage, "response.create")[0] == "conversation_already_has_active_response"


def test_an_update_changes_only_what_it_names() -> None:
    stage = Stage()

    answer = stage.send(
        "session.update",
        session={"type": "realtime", "audio": {"input": {"turn_detection": {"type": "server_vad", "threshold": 0.7}}}},
    )

    audio = answer[0]["session"]["audio"]
    assert audio["input"]["turn_detection"]["threshold"] == 0.7
    assert audio["input"]["turn_detection"]["silence_duration_ms"] == 500
    assert audio["input"]["turn_detection"]["interrupt_response"] is True
    assert audio["output"]["voice"] == "marin"


def test_tracing_is_echoed_and_cannot_be_changed_once_on() -> None:
    stage = Stage()

    answer = stage.send("session.update", session={"type": "realtime", "tracing": "auto"})

    assert answer[0]["session"]["tracing"] == "auto"
    assert error_of(stage, "session.update", session={"type": "realtime", "tracing": None})[1] == "session.tracing"


def test_the_model_stays_when_a_client_repeats_another() -> None:
    answer = Stage().send("session.update", session={"type": "realtime", "model": "gpt-realtime-2"})

    assert answer[0]["session"]["model"] == "gpt-realtime-2.1"


def test_the_voice_stays_once_it_was_heard() -> None:
    stage = Stage()
    stage.spoken_turn()

    session = {"type": "realtime", "audio": {"output": {"voice": "cedar"}}}

    assert error_of(stage, "session.update", session=session)[0] == "cannot_update_voice"


def test_a_retrieved_item_holds_the_words_that_were_heard() -> None:
    stage = Stage({"audio": {"input": {"transcription": {"model": "gpt-transcribe"}}}})
    stage.spoken_turn("When do you open?")

    answer = stage.send(
        "conversation.item.retrieve", item_id=stage.of_type("input_audio_buffer.committed")[0]["item_id"]
    )

    assert answer[0]["item"]["content"] == [{"type": "input_audio", "transcript": "When do you open?"}]


def test_user_speech_has_a_transcript_key_even_when_it_is_not_transcribed() -> None:
    stage = Stage()
    stage.spoken_turn()

    contents = [event["item"]["content"] for event in stage.of_type("conversation.item.added")]

    assert contents[0] == [{"type": "input_audio", "transcript": None}]
    assert "conversation.item.input_audio_transcription.completed" not in stage.types()


def test_truncation_cuts_the_words_in_proportion() -> None:
    stage = Stage()
    stage.spoken_turn(answer="We open at nine.")
    item_id = stage.of_type("response.output_item.done")[0]["item"]["id"]

    stage.send("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=500)
    item = stage.send("conversation.item.retrieve", item_id=item_id)[0]["item"]

    assert item["content"][0]["transcript"] == "We open"


def test_truncation_beyond_the_speech_is_refused() -> None:
    stage = Stage()
    stage.spoken_turn()
    item_id = stage.of_type("response.output_item.done")[0]["item"]["id"]

    fields = {"item_id": item_id, "content_index": 0, "audio_end_ms": 1001}

    assert error_of(stage, "conversation.item.truncate", **fields) == ("invalid_value", "audio_end_ms")


def test_truncation_of_text_is_refused() -> None:
    stage = Stage()
    stage.type_text("Hello")
    item_id = stage.events[-1]["item"]["id"]

    fields = {"item_id": item_id, "content_index": 0, "audio_end_ms": 0}

    assert error_of(stage, "conversation.item.truncate", **fields)[0] == "unsupported_content_type"


def test_items_go_where_the_client_wants_them() -> None:
    stage = Stage()
    stage.type_text("second")
    item = {"id": "mine", "type": "message", "role": "system", "content": [{"type": "input_text", "text": "first"}]}

    answer = stage.send("conversation.item.create", item=item, previous_item_id="root")

    assert [event["previous_item_id"] for event in answer] == [None, None]
    assert error_of(stage, "conversation.item.create", item=item) == ("invalid_value", "item.id")


def test_a_deleted_item_is_gone() -> None:
    stage = Stage()
    stage.type_text("Hello")
    item_id = stage.events[-1]["item"]["id"]

    assert stage.send("conversation.item.delete", item_id=item_id)[0]["type"] == "conversation.item.deleted"

    assert error_of(stage, "conversation.item.retrieve", item_id=item_id)[0] == "item_not_found"


def test_every_event_has_an_id_of_its_own() -> None:
    stage = Stage()
    stage.spoken_turn()

    ids = [event["event_id"] for event in stage.events]

    assert len(set(ids)) == len(ids) > 10


@pytest.mark.parametrize(
    "detection", [{"type": "semantic_vad", "silence_duration_ms": 64}, {"type": "server_vad", "eagerness": "low"}]
)
def test_turn_detection_of_one_kind_takes_no_field_of_the_other(detection: dict[str, object]) -> None:
    stage = Stage()
    session = {"type": "realtime", "audio": {"input": {"turn_detection": detection}}}

    code, param = error_of(stage, "session.update", session=session)

    assert code == "unknown_parameter"
    assert str(param).startswith("session.audio.input.turn_detection.")
