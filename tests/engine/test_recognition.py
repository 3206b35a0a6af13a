"""Speech to text on speech that the engine's own voice makes."""

import numpy as np
import pytest

from engine.audio import LISTEN_RATE_HZ, SPEAK_RATE_HZ, Samples, resample
from engine.recognition import Recogniser, Transcript, _repeats
from engine.synthesis import Synthesiser, Voice


@pytest.fixture(scope="module")
def recogniser() -> Recogniser:
    return Recogniser()


@pytest.fixture(scope="module")
def synthesiser() -> Synthesiser:
    return Synthesiser()


def speak(synthesiser: Synthesiser, text: str) -> Samples:
    return resample(synthesiser.speak(text, Voice("marin")), SPEAK_RATE_HZ, LISTEN_RATE_HZ)


@pytest.mark.parametrize("text", ["Stop.", "What time is it?", "The library opens early in the morning."])
def test_sentences_are_understood(recogniser: Recogniser, synthesiser: Synthesiser, text: str) -> None:
    heard = recogniser.transcribe(speak(synthesiser, text))

    assert heard.is_speech
    assert heard.text.strip(".?! ").lower() == text.strip(".?! ").lower()


def test_speech_longer_than_the_models_window_is_understood_to_its_end(
    recogniser: Recogniser, synthesiser: Synthesiser
) -> None:
    text = "The small engine waited for a voice. " * 16 + "Then it said goodbye."
    samples = speak(synthesiser, text)
    assert len(samples) > 30 * LISTEN_RATE_HZ

    assert "goodbye" in recogniser.transcribe(samples).text.lower()


@pytest.mark.parametrize("level", [0, 30, 300, 3000])
def test_noise_is_no_speech(recogniser: Recogniser, level: int) -> None:
    noise = np.random.default_rng(1).normal(0, level, LISTEN_RATE_HZ).astype(np.int16)

    assert not recogniser.transcribe(noise).is_speech


def test_a_doubtful_transcript_is_no_speech() -> None:
    assert not Transcript("you", 0.71).is_speech
    assert not Transcript("", 0.0).is_speech
    assert Transcript("you", 0.7).is_speech


def test_a_phrase_said_over_and_over_is_noticed() -> None:
    assert _repeats("the same thing again " * 10)
    assert not _repeats("It was a bright cold day in April, and the clocks were striking thirteen all over.")
