"""Shapes of a Realtime session's configuration, as `client_secrets`, `calls` and `session.update` take it."""

import re
from collections.abc import Sequence
from typing import Any, Final, Literal, NotRequired, TypedDict, TypeVar

from realtime_api.masking import shown_name

VOICES: Final = ("alloy", "ash", "ballad", "coral", "echo", "sage", "shimmer", "verse", "marin", "cedar")
PCM_RATE_HZ: Final = 24_000  # the only rate of the protocol's audio/pcm
# The models that think before they speak, and may be told how hard; the others refuse the field.
REASONING_MODEL: Final = re.compile(r"gpt-realtime-2(\.\d+)?(-|$)")

# Top-level fields of a session that a caller may name at all, if policy lets them. Not among them: `tracing`, which
# copies conversations to the upstream's dashboard, and `prompt`, whose service ends on 2026-11-30.
FIELDS: Final = frozenset(
    {
        "type", "model", "output_modalities", "instructions", "audio", "tools", "tool_choice", "max_output_tokens",
        "truncation", "reasoning", "parallel_tool_calls", "include",
    }
)  # fmt: skip
# What the session's objects for sound may hold, by their path.
AUDIO_FIELDS: Final = {
    "audio": frozenset({"input", "output"}),
    "audio.input": frozenset({"format", "noise_reduction", "transcription", "turn_detection"}),
    "audio.output": frozenset({"format", "speed", "voice"}),
}
# Objects whose `type` says what their other fields are: one of another type replaces the first as a whole.
TYPED_FIELDS: Final = frozenset({"format", "turn_detection"})
# Names as the record can keep them; the upstream's own are shorter.
MODEL_NAME: Final = re.compile(r"[A-Za-z0-9._:/-]{1,80}")
VOICE_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,40}")
# Fields of the interface that was switched off on 2026-05-12, and where each went.
BETA_FIELDS: Final = {
    "modalities": "output_modalities",
    "voice": "audio.output.voice",
    "input_audio_format": "audio.input.format",
    "output_audio_format": "audio.output.format",
    "input_audio_transcription": "audio.input.transcription",
    "input_audio_noise_reduction": "audio.input.noise_reduction",
    "turn_detection": "audio.input.turn_detection",
    "max_response_output_tokens": "max_output_tokens",
    "speed": "audio.output.speed",
}


class InvalidSession(ValueError):
    """A caller's session is not one; the message names the field and what to do."""


class TurnDetection(TypedDict):
    type: Literal["server_vad", "semantic_vad"]
    threshold: NotRequired[float]
    prefix_padding_ms: NotRequired[int]
    silence_duration_ms: NotRequired[int]
    idle_timeout_ms: NotRequired[int | None]
    eagerness: NotRequired[Literal["low", "medium", "high", "auto"]]
    create_response: bool
    interrupt_response: bool


class SessionConfig(TypedDict):
    """The whole session; `model` sits here and never at the top of a request body."""

    type: Literal["realtime"]
    model: str
    output_modalities: list[Literal["audio", "text"]]
    instructions: str
    audio: dict[str, Any]
    tools: list[dict[str, Any]]
    tool_choice: str
    max_output_tokens: int | Literal["inf"]
    truncation: str
    tracing: None
    reasoning: NotRequired[dict[str, str]]


def takes_reasoning(model: str) -> bool:
    """Tell whether a model takes a reasoning effort; one of a name that is not known here does not."""
    return REASONING_MODEL.match(model) is not None


def build_session_config(
    *,
    model: str,
    instructions: str,
    voice: str,
    transcription_model: str,
    language: str,
    turn_detection: TurnDetection,
    other_languages: Sequence[str] = (),
    transcription_prompt: str = "",
    noise_reduction: str = "near_field",
    speed: float = 1.0,
    max_output_tokens: int | None = None,
    reasoning_effort: str = "",
    tools: Sequence[dict[str, Any]] = (),
) -> SessionConfig:
    """Build the configuration of a voice session.

    noise_reduction: empty for none. max_output_tokens: None for as many as it takes. reasoning_effort: left out for a
    model that takes none.

    Everything that has a default upstream is set here all the same, so that what was granted can be read
    from our own record. `tracing` stays off: it would copy the conversation to the upstream's dashboard.
    """
    pcm = {"type": "audio/pcm", "rate": PCM_RATE_HZ}
    transcription: dict[str, Any] = {"model": transcription_model, "languages": [language, *other_languages]}
    if transcription_prompt:
        transcription["prompt"] = transcription_prompt
    session: SessionConfig = {
        "type": "realtime",
        "model": model,
        "output_modalities": ["audio"],
        "instructions": instructions,
        "audio": {
            "input": {
                "format": pcm,
                "noise_reduction": {"type": noise_reduction} if noise_reduction else None,
                "transcription": transcription,
                "turn_detection": turn_detection,
            },
            "output": {"format": pcm, "voice": voice, "speed": speed},
        },
        "tools": list(tools),
        "tool_choice": "auto",
        "max_output_tokens": max_output_tokens or "inf",
        "truncation": "auto",
        "tracing": None,
    }
    if reasoning_effort and takes_reasoning(model):
        session["reasoning"] = {"effort": reasoning_effort}
    return session


def check_session(session: object) -> None:
    """Raise InvalidSession unless a value has the outer shape of a Realtime session; the upstream checks the rest."""
    if not isinstance(session, dict):
        raise InvalidSession("'session' must be an object.")
    for name in sorted(session.keys() & BETA_FIELDS.keys()):
        raise InvalidSession(
            f"'session.{name}' is of the beta interface, which is gone: use 'session.{BETA_FIELDS[name]}'."
        )
    for name in sorted(session.keys() - FIELDS):
        raise InvalidSession(f"Unknown parameter: 'session.{shown_name(name)}'.")
    if session.get("type") != "realtime":
        raise InvalidSession("Missing required parameter: 'session.type' must be \"realtime\".")
    _check_name(session, "model", MODEL_NAME, "session.model")
    audio = session.get("audio", {})
    for path, known in AUDIO_FIELDS.items():
        part = audio if path == "audio" else audio.get(path.removeprefix("audio."), {})
        if not isinstance(part, dict):
            raise InvalidSession(f"'session.{path}' must be an object.")
        for name in sorted(part.keys() - known):
            raise InvalidSession(f"Unknown parameter: 'session.{path}.{shown_name(name)}'.")
    _check_name(audio.get("output", {}), "voice", VOICE_NAME, "session.audio.output.voice")


def _check_name(part: dict[str, Any], field: str, form: re.Pattern[str], path: str) -> None:
    name = part.get(field)
    if field in part and not (isinstance(name, str) and form.fullmatch(name)):
        raise InvalidSession(f"'{path}' must be a name: {form.pattern}")


Session = TypeVar("Session", SessionConfig, dict[str, Any])  # Any: a session as it came


def merge_session(base: Session, changes: dict[str, Any]) -> Session:
    """Return a session with fields laid over it: objects are merged, all else is replaced."""
    merged: Session = _merge(base, changes)
    return merged


def _merge(base: Any, changes: Any, field: str = "") -> Any:
    if not isinstance(base, dict) or not isinstance(changes, dict):
        return changes
    if field in TYPED_FIELDS and changes.get("type", base.get("type")) != base.get("type"):
        return changes
    return base | {name: _merge(base.get(name), value, name) for name, value in changes.items()}
