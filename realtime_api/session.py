"""Shapes of a Realtime session's configuration, as `client_secrets`, `calls` and `session.update` take it."""

from typing import Any, Final, Literal, NotRequired, TypedDict

VOICES: Final = ("alloy", "ash", "ballad", "coral", "echo", "sage", "shimmer", "verse", "marin", "cedar")
PCM_RATE_HZ: Final = 24_000  # the only rate of the protocol's audio/pcm


# Top-level fields of a session that a caller may name at all, if policy lets them. Not among them: `tracing`, which
# copies conversations to the upstream's dashboard, and `prompt`, whose service ends on 2026-11-30.
FIELDS: Final = frozenset(
    {
        "type", "model", "output_modalities", "instructions", "audio", "tools", "tool_choice", "max_output_tokens",
        "truncation", "reasoning", "parallel_tool_calls", "include",
    }
)  # fmt: skip
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


def build_session_config(
    *, model: str, instructions: str, voice: str, transcription_model: str, language: str, turn_detection: TurnDetection
) -> SessionConfig:
    """Build the configuration of a voice session.

    Everything that has a default upstream is set here all the same, so that what was granted can be read
    from our own record. `tracing` stays off: it would copy the conversation to the upstream's dashboard.
    """
    pcm = {"type": "audio/pcm", "rate": PCM_RATE_HZ}
    return {
        "type": "realtime",
        "model": model,
        "output_modalities": ["audio"],
        "instructions": instructions,
        "audio": {
            "input": {
                "format": pcm,
                "noise_reduction": {"type": "near_field"},
                "transcription": {"model": transcription_model, "languages": [language]},
                "turn_detection": turn_detection,
            },
            "output": {"format": pcm, "voice": voice, "speed": 1.0},
        },
        "tools": [],
        "tool_choice": "auto",
        "max_output_tokens": "inf",
        "truncation": "auto",
        "tracing": None,
    }


def check_session(session: object) -> None:
    """Raise InvalidSession unless a value has the outer shape of a Realtime session; the upstream checks the rest."""
    if not isinstance(session, dict):
        raise InvalidSession("'session' must be an object.")
    for name in sorted(session.keys() & BETA_FIELDS.keys()):
        raise InvalidSession(
            f"'session.{name}' is of the beta interface, which is gone: use 'session.{BETA_FIELDS[name]}'."
        )
    for name in sorted(session.keys() - FIELDS):
        raise InvalidSession(f"Unknown parameter: 'session.{name[:40]}'.")
    if session.get("type") != "realtime":
        raise InvalidSession("Missing required parameter: 'session.type' must be \"realtime\".")
    if not isinstance(session.get("model", ""), str):
        raise InvalidSession("'session.model' must be a text.")
    audio = session.get("audio", {})
    output = audio.get("output", {}) if isinstance(audio, dict) else None
    if not isinstance(output, dict) or not isinstance(audio.get("input", {}), dict):
        raise InvalidSession("'session.audio' must be an object with objects 'input' and 'output'.")
    if not isinstance(output.get("voice", ""), str):
        raise InvalidSession("'session.audio.output.voice' must be the name of a voice.")


def merge_session(base: SessionConfig, changes: dict[str, Any]) -> SessionConfig:
    """Return a session with a caller's fields laid over it: objects are merged, all else is replaced."""
    merged: SessionConfig = _merge(base, changes)
    return merged


def _merge(base: Any, changes: Any) -> Any:
    if not isinstance(base, dict) or not isinstance(changes, dict):
        return changes
    if "type" in changes and changes["type"] != base.get("type"):
        return changes  # another kind of turn detection shares no fields with the first
    return base | {name: _merge(base.get(name), value) for name, value in changes.items()}
