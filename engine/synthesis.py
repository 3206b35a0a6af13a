"""Text to speech: hibari's own voice, and the protocol's voice names made from it. Knows no protocol events."""

import os
import re
import threading
from dataclasses import dataclass

import numpy as np

from engine.audio import SPEAK_RATE_HZ, FloatSamples, Samples, resample, to_int16
from engine.model_files import HIBARI_HEART, find_package_folder, verify_files

MODEL_NAME = "hibari-heart"
SEED = 7
GAIN = 2.2
PEAK_LIMIT = 0.98
LEAD_MS = 30
TAIL_MS = 150
SPEECH_LEVEL = 0.012
EDGE_MS = 5
SLOWEST, FASTEST = 0.5, 2.0
# How much faster the one voice is played, which moves its pitch; the pace is put right by the model's own speed.
PITCH_OF_VOICE = {
    "marin": 1.0,
    "alloy": 0.96,
    "ash": 0.80,
    "ballad": 0.88,
    "cedar": 0.84,
    "coral": 1.06,
    "echo": 0.76,
    "sage": 1.03,
    "shimmer": 1.12,
    "verse": 0.92,
}


@dataclass(frozen=True)
class Voice:
    """How to speak: one of the protocol's names and the session's speed."""

    name: str = "marin"
    speed: float = 1.0


class Synthesiser:
    """Speak sentences as 24 kHz mono samples. Safe to call from several threads, one at a time."""

    name = MODEL_NAME

    def __init__(self) -> None:
        """Check and load the model; raises ModelFilesError when a file is missing or changed."""
        folder = verify_files(find_package_folder("hibari", "assets"), HIBARI_HEART)
        # The package fetches other voices over the network; a model path rules that out.
        os.environ.setdefault("HIBARI_HOME", os.devnull)
        from hibari import Hibari

        self._model = Hibari(voice="heart", model=str(folder / "hibari.onnx"))
        self._lock = threading.Lock()

    def warm_up(self) -> None:
        """Speak once so that the first reply does not pay for first-use set-up."""
        self.speak("Ready. It is 1 o'clock.", Voice())

    def speak(self, text: str, voice: Voice) -> Samples:
        """Return the spoken text, silence trimmed; empty when it holds nothing to say."""
        words = _speakable(text)
        if not words:
            return np.zeros(0, np.int16)
        pitch = PITCH_OF_VOICE.get(voice.name, 1.0)
        pace = min(FASTEST, max(SLOWEST, voice.speed / pitch))
        with self._lock:
            raw = self._model(words, speed=pace, seed=SEED)
        spoken = to_int16(_louder(trim_silence(raw)))
        return resample(spoken, round(SPEAK_RATE_HZ * pitch), SPEAK_RATE_HZ)


def trim_silence(samples: FloatSamples) -> FloatSamples:
    """Leave LEAD_MS before the first sound and TAIL_MS after the last; the model adds up to half a second."""
    step = SPEAK_RATE_HZ * EDGE_MS // 1000
    whole = len(samples) // step
    if not whole:
        return samples
    levels = np.sqrt(np.mean(np.square(samples[: whole * step].reshape(whole, step)), axis=1))
    loud = np.flatnonzero(levels > SPEECH_LEVEL)
    if not len(loud):
        return samples[:0]
    start = max(0, int(loud[0]) * step - SPEAK_RATE_HZ * LEAD_MS // 1000)
    end = (int(loud[-1]) + 1) * step + SPEAK_RATE_HZ * TAIL_MS // 1000
    return samples[start:end]


def _louder(samples: FloatSamples) -> FloatSamples:
    peak = float(np.max(np.abs(samples))) if len(samples) else 0.0
    return samples * np.float32(min(GAIN, PEAK_LIMIT / peak) if peak else 1.0)


def _speakable(text: str) -> str:
    """Drop marks that a chat model writes and nobody says."""
    return re.sub(r"[*_`#<>|~\[\]{}]+", " ", text).strip() if re.search(r"\w", text) else ""
