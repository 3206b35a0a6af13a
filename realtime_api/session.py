"""Shapes of a Realtime session's configuration, as `client_secrets`, `calls` and `session.update` take it."""

from typing import Any, Final, Literal, NotRequired, TypedDict

VOICES: Final = ("alloy", "ash", "ballad", "coral", "echo", "sage", "shimmer", "verse", "marin", "cedar")
PCM_RATE_HZ: Final = 24_000  # the only rate of the protocol's audio/pcm


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
