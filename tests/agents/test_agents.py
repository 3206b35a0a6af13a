"""Agents and their versions: what was spoken to can always be told."""

import pytest
from django.core.exceptions import ValidationError
from openai.types.realtime import RealtimeSessionCreateRequest
from pytest_django import Settings

from agents.models import Agent, AgentVersion

pytestmark = pytest.mark.django_db


def test_versions_are_numbered_and_never_changed(assistant: Agent) -> None:
    newer = AgentVersion.objects.create(agent=assistant, instructions="Be kind.")

    assert newer.number == 2
    newer.instructions = "Be rude."
    with pytest.raises(TypeError):
        newer.save()


def test_only_agents_that_are_on_and_published_are_offered_in_their_order(assistant: Agent) -> None:
    first = Agent.objects.create(slug="first", name="First", position=0)
    first.published = AgentVersion.objects.create(agent=first, instructions="x")
    first.save()
    Agent.objects.create(slug="draft", name="Draft")
    off = Agent.objects.create(slug="off", name="Off", enabled=False)
    off.published = AgentVersion.objects.create(agent=off, instructions="x")
    off.save()
    assistant.position = 1
    assistant.save()

    assert [agent.slug for agent in Agent.objects.offered()] == ["first", "assistant"]


def test_the_session_comes_from_the_version_and_the_server_s_settings(assistant: Agent, settings: Settings) -> None:
    settings.REALTIME_MODEL = "gpt-realtime-next"
    version = AgentVersion.objects.create(
        agent=assistant, instructions="Count.", voice="cedar", language="de", silence_duration_ms=300
    )
    config = version.session_config()

    assert (config["model"], config["instructions"]) == ("gpt-realtime-next", "Count.")
    assert config["audio"]["output"]["voice"] == "cedar"
    assert config["audio"]["input"]["transcription"]["languages"] == ["de"]
    assert config["audio"]["input"]["turn_detection"]["silence_duration_ms"] == 300


def test_a_version_of_before_a_field_means_what_it_meant(assistant: Agent, settings: Settings) -> None:
    pcm = {"type": "audio/pcm", "rate": 24_000}
    turns = {"type": "server_vad", "threshold": 0.5, "prefix_padding_ms": 300, "silence_duration_ms": 500}
    version = AgentVersion.objects.create(agent=assistant, instructions="Count.")

    assert version.session_config() == {
        "type": "realtime",
        "model": settings.REALTIME_MODEL,
        "output_modalities": ["audio"],
        "instructions": "Count.",
        "audio": {
            "input": {
                "format": pcm,
                "noise_reduction": {"type": "near_field"},
                "transcription": {"model": settings.TRANSCRIPTION_MODEL, "languages": ["en"]},
                "turn_detection": turns | {"create_response": True, "interrupt_response": True},
            },
            "output": {"format": pcm, "voice": "marin", "speed": 1.0},
        },
        "tools": [],
        "tool_choice": "auto",
        "max_output_tokens": "inf",
        "truncation": "auto",
        "tracing": None,
    }


def test_every_field_reaches_the_session(assistant: Agent) -> None:
    by_meaning = AgentVersion.objects.create(
        agent=assistant, instructions="x", model="gpt-realtime-2.1", reasoning_effort="high", max_output_tokens=400,
        speed=1.25, other_languages=["de", "fr"], transcription_model="gpt-live-transcribe",
        transcription_prompt="Dr. Nguyen", noise_reduction="", turn_taking="semantic_vad", eagerness="low",
    ).session_config()  # fmt: skip
    heard = by_meaning["audio"]["input"]

    assert (by_meaning["reasoning"], by_meaning["max_output_tokens"]) == ({"effort": "high"}, 400)
    assert by_meaning["audio"]["output"]["speed"] == 1.25
    assert heard["noise_reduction"] is None
    assert heard["transcription"] == {
        "model": "gpt-live-transcribe", "languages": ["en", "de", "fr"], "prompt": "Dr. Nguyen",
    }  # fmt: skip
    assert heard["turn_detection"] == {
        "type": "semantic_vad", "eagerness": "low", "create_response": True, "interrupt_response": True,
    }  # fmt: skip
    RealtimeSessionCreateRequest.model_validate(by_meaning, strict=True)


def test_turns_by_silence_have_their_own_fields(assistant: Agent) -> None:
    turns = AgentVersion(
        agent=assistant, instructions="x", threshold=0.7, prefix_padding_ms=100, idle_timeout_ms=8000
    ).turn_detection

    assert (turns["threshold"], turns["prefix_padding_ms"], turns["idle_timeout_ms"]) == (0.7, 100, 8000)
    assert "eagerness" not in turns


def test_a_model_that_does_not_reason_is_told_no_effort(assistant: Agent) -> None:
    version = AgentVersion(agent=assistant, instructions="x", model="gpt-realtime-mini", reasoning_effort="high")

    assert "reasoning" not in version.session_config()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("voice", "robot"), ("voices", ["ash", "robot"]), ("voices", "ash"), ("voices", ["ash", "ash"]),
        ("silence_duration_ms", 50), ("silence_duration_ms", 9000), ("idle_timeout_ms", 100),
        ("instructions", "x" * 16_001), ("instructions", "x" * 100_000), ("language", "English"),
        ("other_languages", ["de", "<b>"]), ("turn_taking", "by_hand"), ("speed", 2), ("max_output_tokens", 5000),
        ("threshold", 1.5), ("handoffs", ["assistant"]), ("handoffs", ["nobody"]), ("handoffs", [7]),
    ],
)  # fmt: skip
def test_values_that_the_upstream_would_refuse_are_refused_first(assistant: Agent, field: str, value: object) -> None:
    version = AgentVersion(**{"agent": assistant, "instructions": "x", field: value})

    with pytest.raises(ValidationError) as caught:
        version.full_clean(exclude=["number"])
    assert list(caught.value.message_dict) == [field]


def test_a_reasoning_effort_needs_a_model_that_reasons(assistant: Agent) -> None:
    version = AgentVersion(agent=assistant, instructions="x", model="gpt-realtime-mini", reasoning_effort="high")

    with pytest.raises(ValidationError, match="gpt-realtime-mini takes no reasoning effort"):
        version.full_clean(exclude=["number"])


def test_instructions_are_no_template(assistant: Agent) -> None:
    words = "Say {{ 7 * 7 }} {% now 'Y' %} ${HOME} {0.__class__} <script>alert(1)</script>."
    version = AgentVersion(agent=assistant, instructions=words)
    version.full_clean(exclude=["number"])

    assert version.session_config()["instructions"] == words
