"""The session's configuration: defaults, checks and the nested merge of `session.update`."""

import copy
import re

from engine.protocol_json import Json
from engine.session.errors import ProtocolError, invalid_value
from engine.session.fields import (
    MAX_NAME_CHARS,
    Check,
    any_object,
    anything,
    choice,
    either,
    fields,
    flag,
    integer,
    items,
    nullable,
    number,
    read_fields,
    text,
)

DEFAULT_MODEL = "gpt-realtime-2.1"
DEFAULT_INSTRUCTIONS = "You are a friendly voice assistant. Keep your answers short."
VOICES = ("alloy", "ash", "ballad", "coral", "echo", "sage", "shimmer", "verse", "marin", "cedar")
MAX_TOOLS = 128
MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}")
SERVER_VAD: Json = {
    "type": "server_vad",
    "threshold": 0.5,
    "prefix_padding_ms": 300,
    "silence_duration_ms": 500,
    "idle_timeout_ms": None,
    "create_response": True,
    "interrupt_response": True,
}
SEMANTIC_VAD: Json = {
    "type": "semantic_vad",
    "eagerness": "auto",
    "create_response": True,
    "interrupt_response": True,
}
# How long a pause ends the turn when the client leaves the choice to us.
SILENCE_MS_OF_EAGERNESS = {"low": 1000, "medium": 500, "high": 300, "auto": 500}


def _model(value: object, param: str) -> object:
    if not isinstance(value, str) or not MODEL_NAME.fullmatch(value):
        raise invalid_value(param, "a model name")
    return value


def _check_modalities(value: object, param: str) -> object:
    if value not in (["audio"], ["text"]):
        raise invalid_value(param, '["audio"] or ["text"]')
    return value


MODALITIES: Check = _check_modalities
NAME = text(MAX_NAME_CHARS, 1)
VOICE: Check = either(fields({"id": NAME}, ("id",)), choice(*VOICES))
AUDIO_FORMAT = fields({"type": choice("audio/pcm", "audio/pcmu", "audio/pcma"), "rate": choice(24_000)}, ("type",))
TRANSCRIPTION = fields(
    {
        "model": NAME,
        "language": NAME,
        "languages": items(NAME, 20),
        "prompt": text(),
        "keywords": items(text(), 1000),
        "delay": NAME,
    }
)
ANY_TURN: dict[str, Check] = {
    "type": choice("server_vad", "semantic_vad"),
    "create_response": flag,
    "interrupt_response": flag,
}
TURN_FIELDS: dict[object, dict[str, Check]] = {
    "server_vad": ANY_TURN
    | {
        "threshold": number(0, 1),
        "prefix_padding_ms": integer(0, 10_000),
        "silence_duration_ms": integer(0, 10_000),
        "idle_timeout_ms": nullable(integer(5_000, 30_000)),
    },
    "semantic_vad": ANY_TURN | {"eagerness": choice("low", "medium", "high", "auto")},
}


def _turn_detection(value: object, param: str) -> object:
    """Accept an object with the fields of its own kind of turn detection."""
    kind = value.get("type") if isinstance(value, dict) else None
    known = TURN_FIELDS.get(kind, ANY_TURN) if isinstance(kind, str) else ANY_TURN
    return read_fields(value, param, known, ("type",))


TOOL: Check = either(
    fields(
        {
            "type": choice("mcp"),
            "server_label": NAME,
            "server_url": text(),
            "connector_id": NAME,
            "authorization": text(),
            "headers": nullable(any_object),
            "allowed_tools": anything,
            "require_approval": anything,
            "server_description": text(),
        },
        ("type", "server_label"),
    ),
    fields(
        {
            "type": choice("function"),
            "name": text(64, 1),
            "description": text(),
            "parameters": any_object,
        },
        ("type", "name"),
    ),
)
TOOLS = items(TOOL, MAX_TOOLS)
TOOL_CHOICE: Check = either(
    fields({"type": choice("function", "mcp"), "name": NAME, "server_label": NAME}, ("type",)),
    choice("auto", "none", "required"),
)
OUTPUT_TOKENS: Check = either(choice("inf"), integer(1, 4096))
SESSION_FIELDS = {
    "type": choice("realtime"),
    "model": _model,
    "output_modalities": MODALITIES,
    "instructions": text(),
    "audio": fields(
        {
            "input": fields(
                {
                    "format": AUDIO_FORMAT,
                    "noise_reduction": nullable(
                        fields({"type": choice("near_field", "far_field"), "strength": number(0, 1)}, ("type",))
                    ),
                    "transcription": nullable(TRANSCRIPTION),
                    "turn_detection": nullable(_turn_detection),
                }
            ),
            "output": fields({"format": AUDIO_FORMAT, "voice": VOICE, "speed": number(0.25, 1.5)}),
        }
    ),
    "tools": TOOLS,
    "tool_choice": TOOL_CHOICE,
    "max_output_tokens": OUTPUT_TOKENS,
    "truncation": either(
        choice("auto", "disabled"),
        fields(
            {"type": choice("retention_ratio"), "retention_ratio": number(0, 1), "token_limits": any_object},
            ("type", "retention_ratio"),
        ),
    ),
    "reasoning": nullable(any_object),
    "parallel_tool_calls": flag,
    "tracing": nullable(
        either(choice("auto"), fields({"workflow_name": text(), "group_id": text(), "metadata": any_object}))
    ),
    "include": nullable(items(choice("item.input_audio_transcription.logprobs"), 1)),
    "prompt": nullable(any_object),
}


def read_session(unverified: object, param: str = "session") -> Json:
    """Check a session object as it comes in a mint, a call or an update; only present fields are returned."""
    return read_fields(unverified, param, SESSION_FIELDS, ("type",))


def default_session(session_id: str, expires_at: int) -> Json:
    """Return a whole session with the server's defaults."""
    pcm = {"type": "audio/pcm", "rate": 24_000}
    return {
        "type": "realtime",
        "object": "realtime.session",
        "id": session_id,
        "model": DEFAULT_MODEL,
        "output_modalities": ["audio"],
        "instructions": DEFAULT_INSTRUCTIONS,
        "tools": [],
        "tool_choice": "auto",
        "max_output_tokens": "inf",
        "tracing": None,
        "truncation": "auto",
        "prompt": None,
        "expires_at": expires_at,
        "audio": {
            "input": {
                "format": dict(pcm),
                "transcription": None,
                "noise_reduction": None,
                "turn_detection": dict(SERVER_VAD),
            },
            "output": {"format": dict(pcm), "voice": "marin", "speed": 1.0},
        },
        "include": None,
    }


def merge_session(session: Json, changes: Json) -> Json:
    """Return the session with checked changes laid over it; fields that are absent stay."""
    merged = copy.deepcopy(session)
    for name, value in changes.items():
        if name == "audio":
            _merge_audio(merged["audio"], value)
        elif name != "type":
            merged[name] = copy.deepcopy(value)
    return merged


def _merge_audio(audio: Json, changes: Json) -> None:
    for side, values in changes.items():
        for name, value in values.items():
            if name == "turn_detection" and value is not None:
                value = _merge_turn_detection(audio["input"]["turn_detection"], value)
            audio[side][name] = copy.deepcopy(value)


def _merge_turn_detection(current: Json | None, changes: Json) -> Json:
    defaults = SERVER_VAD if changes["type"] == "server_vad" else SEMANTIC_VAD
    base = current if current and current["type"] == changes["type"] else defaults
    return {**base, **changes}


def check_update(session: Json, changes: Json, has_spoken: bool) -> Json:
    """Refuse what cannot change in a live session; the model is left as it was, since clients repeat it."""
    voice = changes.get("audio", {}).get("output", {}).get("voice")
    if has_spoken and voice is not None and voice != session["audio"]["output"]["voice"]:
        raise ProtocolError(
            "cannot_update_voice",
            "Cannot update a conversation's voice if assistant audio is present.",
            "session.audio.output.voice",
        )
    if session["tracing"] is not None and changes.get("tracing", session["tracing"]) != session["tracing"]:
        raise ProtocolError("invalid_value", "Tracing cannot be changed once it is on.", "session.tracing")
    return {name: value for name, value in changes.items() if name != "model"}
