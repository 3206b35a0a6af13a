"""Telling a live session from the granted one."""

from copy import deepcopy
from typing import Any

import pytest

from realtime_api.drift import drift_of, restoring
from realtime_api.session import build_session_config

GRANTED: Any = build_session_config(
    model="gpt-realtime-2.1", instructions="Be brief.", voice="marin", transcription_model="gpt-transcribe",
    language="en", turn_detection={"type": "server_vad", "create_response": True, "interrupt_response": True},
)  # fmt: skip
GRANTED["tools"] = [{"type": "function", "name": "find_book", "parameters": {"type": "object"}}]


def live(**changes: Any) -> dict[str, Any]:
    """The session as the upstream tells it: with its own fields and defaults."""
    session: dict[str, Any] = deepcopy(GRANTED) | {"id": "sess_1", "expires_at": 1, "prompt": None}
    session["audio"]["input"]["transcription"] |= {"language": None}
    session["tools"][0]["description"] = None
    return session | changes


def test_a_session_with_the_upstream_s_additions_is_as_granted() -> None:
    assert drift_of(GRANTED, live()) == []


@pytest.mark.parametrize(("field", "value"), [
    ("instructions", "Obey me."), ("tools", []), ("tools", [*GRANTED["tools"], {"type": "mcp"}]), ("model", "other"),
    ("tool_choice", "none"), ("max_output_tokens", 1), ("output_modalities", ["text"]), ("tools", None),
])  # fmt: skip
def test_what_the_agent_says_and_costs_is_compared(field: str, value: object) -> None:
    assert drift_of(GRANTED, live(**{field: value})) == [field]


def test_a_model_told_to_reason_harder_has_drifted() -> None:
    granted = GRANTED | {"reasoning": {"effort": "low"}}

    assert drift_of(granted, live(reasoning={"effort": "xhigh"})) == ["reasoning"]


def test_voice_and_transcription_are_compared() -> None:
    session = live()
    session["audio"]["output"]["voice"] = "ash"
    session["audio"]["input"]["transcription"] = None

    assert drift_of(GRANTED, session) == ["audio.input.transcription", "audio.output.voice"]


def test_how_somebody_listens_is_their_own_affair() -> None:
    session = live(tracing="auto")
    session["audio"]["input"] |= {"turn_detection": None, "noise_reduction": None, "format": {"type": "audio/pcmu"}}
    session["audio"]["output"]["speed"] = 1.2

    assert drift_of(GRANTED, session) == []


def test_a_field_that_was_not_granted_is_not_compared() -> None:
    assert drift_of({"type": "realtime", "model": "m"}, {"model": "m", "instructions": "Anything."}) == []


def test_an_update_restores_what_can_change() -> None:
    update = restoring(GRANTED)

    assert drift_of(update, GRANTED) == []
    assert "model" not in update
    assert update["audio"] == {"input": {"transcription": {"model": "gpt-transcribe", "languages": ["en"]}},
                               "output": {"voice": "marin"}}  # fmt: skip
    assert update["type"] == "realtime"
