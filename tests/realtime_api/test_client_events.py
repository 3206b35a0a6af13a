"""The allow-list of client events: above all, that the quick look at audio lets nothing else through."""

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from realtime_api.client_events import (
    MAX_KNOWN_SHELLS,
    CheckedEvent,
    InvalidClientEvent,
    RefusedClientEvent,
    Rights,
    _known_shells,
    check_event,
    is_audio,
)

APPEND = "input_audio_buffer.append"


def any_voice(voice: str) -> None:
    if voice == "forbidden":
        raise ValueError(voice)


PLAIN, OWN = (Rights(own_session=own, check_voice=any_voice, check_tools=lambda tools: None) for own in (False, True))
EVENT = {"type": APPEND, "audio": "UklGRg=="}
WRITERS = [
    json.dumps(EVENT),
    json.dumps(EVENT, separators=(",", ":")),
    json.dumps({"audio": "UklGRg==", "type": APPEND}),
    json.dumps(EVENT | {"event_id": "event_1"}),
    json.dumps({"event_id": "event_1"} | EVENT, indent=1),
    json.dumps(EVENT | {"audio": ""}),
]
PIECES = [
    '"', "\\", "{", "}", ",", ":", " ", '"audio":', '"audio":"', '"type":', f'"{APPEND}"', '"session.update"', "AAAA",
    '"event_id":"x"', "null", "\\u0022", "[", "]", '\\"',
]  # fmt: skip


@pytest.mark.parametrize("text", WRITERS)
def test_audio_is_known_however_a_client_writes_it(text: str) -> None:
    assert is_audio(text)
    assert check_event(text, PLAIN) == CheckedEvent(json.loads(text), text)


@pytest.mark.parametrize(
    "text",
    [
        '{"type":"input_audio_buffer.append","audio":"AA","type":"session.update"}',
        '{"type":"session.update","audio":"AA"}',
        '{"type":"input_audio_buffer.append","audio":"AA","audio":"BB"}',
        '{"type":"input_audio_buffer.append","audio":"AA","session":{}}',
        '{"type":"input_audio_buffer.append","audio":null,"event_id":"AA"}',
        '{"type":"input_audio_buffer.append","audio":{"audio":"AA"}}',
        '{"type":"input_audio_buffer.append","audio":"AA\\","x":"}',
        '{"type":"input_audio_buffer.append","x\\"audio":"AA"}',
        '{"type":"input_audio_buffer.append","audio":"AA","event_id":7}',
        '{"type":"input_audio_buffer.append"}',
        '"audio":',
        "",
    ],
)
def test_what_only_looks_like_audio_is_not(text: str) -> None:
    assert not is_audio(text)


@settings(max_examples=500)
@given(st.lists(st.sampled_from(PIECES), max_size=16).map("".join))
@example('{"type":"input_audio_buffer.append","audio":"\\"}')
def test_no_text_that_passes_as_audio_reads_as_anything_else(middle: str) -> None:
    for text in (middle, '{"type":"input_audio_buffer.append","audio":"' + middle, '{"audio":"' + middle + '"}'):
        if is_audio(text):
            event = pairs_of(text)
            assert dict(event)["type"] == APPEND
            assert len(event) == len(dict(event)) <= 3


def pairs_of(text: str) -> list[tuple[str, Any]]:
    """Read as the most forgiving parser would."""
    read: list[tuple[str, Any]] = json.JSONDecoder(object_pairs_hook=list, strict=False).decode(text)
    return read


def test_shells_are_not_kept_without_end() -> None:
    for number in range(MAX_KNOWN_SHELLS * 2):
        assert is_audio('{"type":"input_audio_buffer.append",' + " " * number + '"audio":"AA"}')

    assert len(_known_shells) <= MAX_KNOWN_SHELLS


@pytest.mark.parametrize("rights", [PLAIN, OWN])
def test_no_update_changes_model_tracing_or_prompt(rights: Rights) -> None:
    session = {"type": "realtime", "model": "x", "tracing": "auto", "prompt": {"id": "p"}}
    checked = check_event(json.dumps({"type": "session.update", "session": session}), rights)

    assert json.loads(checked.text)["session"] == {"type": "realtime"}
    assert sorted(checked.left_out) == ["model", "prompt", "tracing"]


def test_a_session_of_one_s_own_passes_unchanged() -> None:
    text = '{"type": "session.update", "session": {"type": "realtime", "instructions": "Sing.", "tools": []}}'

    assert check_event(text, OWN) == CheckedEvent(json.loads(text), text)


@pytest.mark.parametrize(
    "event",
    [
        {"type": "session.update", "session": {"type": "realtime", "audio": {"output": {"voice": "forbidden"}}}},
        {"type": "session.update", "session": {"type": "realtime", "voice": "marin"}},
        {"type": "session.update", "session": {"type": "realtime", "audio": []}},
        {"type": "response.create", "response": {"audio": {"output": {"voice": "forbidden"}}}},
        {"type": "response.create", "response": {"prompt": {"id": "p"}}},
        {"type": "response.create", "response": []},
        {"type": "response.create", "response": {"input": {"type": "message", "role": "developer"}}},
        {"type": "conversation.item.create", "item": {"type": "function_call_output", "call_id": []}},
        {"type": "conversation.item.create", "item": {"type": {}}},
        {"type": "conversation.item.create", "item": {"type": "message", "role": []}},
    ],
)
def test_a_session_of_one_s_own_has_limits(event: dict[str, Any]) -> None:
    with pytest.raises(RefusedClientEvent):
        check_event(json.dumps(event), OWN)


@pytest.mark.parametrize("text", ["", "[]", '"text"', '{"type": Infinity}', '{"a": 1, "a": 2}', "{" * 2000])
def test_what_is_no_event_is_told_apart(text: str) -> None:
    with pytest.raises(InvalidClientEvent):
        check_event(text, OWN)


def test_a_refusal_repeats_no_secret() -> None:
    event = {"type": "response.create", "response": {"ek_0123456789abcdef0123456789abcdef": 1}}
    with pytest.raises(RefusedClientEvent) as refused:
        check_event(json.dumps(event), PLAIN)

    assert "ek_" not in refused.value.message
