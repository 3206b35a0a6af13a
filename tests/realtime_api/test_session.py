"""The session's configuration has the shape that the official client library knows."""

import pytest
from openai.types.realtime import RealtimeSessionCreateRequest

from realtime_api.client_secrets import digest, has_form, make_value
from realtime_api.session import (
    VOICES,
    InvalidSession,
    SessionConfig,
    build_session_config,
    check_session,
    merge_session,
    takes_reasoning,
)


@pytest.mark.parametrize("voice", VOICES)
def test_the_shape_is_the_library_s(voice: str) -> None:
    config = build_session_config(
        model="gpt-realtime-2.1",
        instructions="Be brief.",
        voice=voice,
        transcription_model="gpt-transcribe",
        language="en",
        turn_detection={"type": "server_vad", "create_response": True, "interrupt_response": True},
    )

    parsed = RealtimeSessionCreateRequest.model_validate(config, strict=True)

    assert unknown_fields(parsed) == []
    assert config["tracing"] is None  # conversations are not copied to the upstream's dashboard


def a_session() -> SessionConfig:
    return build_session_config(
        model="gpt-realtime-2.1",
        instructions="Be brief.",
        voice="marin",
        transcription_model="gpt-transcribe",
        language="en",
        turn_detection={"type": "server_vad", "create_response": True, "interrupt_response": True},
    )


@pytest.mark.parametrize(("model", "reasons"), [
    ("gpt-realtime-2", True), ("gpt-realtime-2.1", True), ("gpt-realtime-2.1-2026-08-01", True),
    ("gpt-realtime", False), ("gpt-realtime-mini", False), ("gpt-realtime-20", False), ("", False),
])  # fmt: skip
def test_only_some_models_take_a_reasoning_effort(model: str, reasons: bool) -> None:
    assert takes_reasoning(model) is reasons


def test_another_kind_of_turn_detection_or_format_keeps_nothing_of_the_first() -> None:
    turns, law = {"type": "semantic_vad", "eagerness": "low"}, {"type": "audio/pcmu"}
    changes = {"type": "realtime", "audio": {"input": {"turn_detection": turns, "format": law}}}
    audio = merge_session(a_session(), changes)["audio"]

    assert (audio["input"]["turn_detection"], audio["input"]["format"]) == (turns, law)
    assert audio["input"]["transcription"]["languages"] == ["en"]
    assert audio["output"] == a_session()["audio"]["output"]


def test_the_same_kind_is_merged() -> None:
    changes = {"audio": {"input": {"turn_detection": {"type": "server_vad", "threshold": 0.9}}}}
    turns = merge_session(a_session(), changes)["audio"]["input"]["turn_detection"]

    assert turns == {"type": "server_vad", "threshold": 0.9, "create_response": True, "interrupt_response": True}


def test_every_field_that_the_library_knows_is_taken() -> None:
    config = dict(a_session())
    del config["tracing"]  # ours to say

    check_session(config)


@pytest.mark.parametrize("path", ["audio", "audio.input", "audio.output"])
def test_an_unknown_name_is_named_with_its_place(path: str) -> None:
    part: dict[str, object] = {"sound": 1}
    for name in reversed(path.split(".")):
        part = {name: part}

    with pytest.raises(InvalidSession, match=f"session.{path}.sound"):
        check_session({"type": "realtime"} | part)


def unknown_fields(model: object, path: str = "session") -> list[str]:
    """Return what a pydantic model took without knowing it."""
    found = [f"{path}.{name}" for name in getattr(model, "model_extra", None) or {}]
    for name in getattr(type(model), "model_fields", {}):
        found += unknown_fields(getattr(model, name), f"{path}.{name}")
    return found


def test_values_are_long_random_and_of_the_form_that_the_browser_sdk_takes() -> None:
    values = {make_value() for _ in range(100)}

    assert len(values) == 100
    assert all(has_form(value) and value.startswith("ek_") and len(value) >= 64 for value in values)


@pytest.mark.parametrize("text", ["", "sk-1", "EK_1", "ek_\u00e9", "ek_" + "x" * 600])
def test_other_texts_are_not_values(text: str) -> None:
    assert not has_form(text)


def test_the_fingerprint_depends_on_the_key() -> None:
    assert digest("ek_1", pepper=b"a") != digest("ek_1", pepper=b"b")
    assert digest("ek_1", pepper=b"a") == digest("ek_1", pepper=b"a")
