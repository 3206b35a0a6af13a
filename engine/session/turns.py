"""Where one turn of speech begins and ends, from speech probabilities. Pure; knows no events and no model."""

from collections import deque
from dataclasses import dataclass, field
from enum import Enum

import numpy as np

from engine.audio import CHUNK_MS, Samples
from engine.protocol_json import Json
from engine.session.update import SEMANTIC_VAD, SERVER_VAD, SILENCE_MS_OF_EAGERNESS

# Voiced chunks in a row that open a turn: two reject clicks and keep barge-in quick.
START_CHUNKS = 2
# Below threshold by this much a chunk is silent; between the two it is neither.
HYSTERESIS = 0.15
# The model calls the room's echo of a word speech for 80 to 100 ms; a chunk this far below the turn's loudest is not.
TAIL_RATIO = 0.04
PAUSE_MS = 96
LONGEST_TURN_MS = 60_000


class Signal(Enum):
    """What a chunk changed."""

    SUSPECTED = "suspected"
    DISMISSED = "dismissed"
    STARTED = "started"
    PAUSED = "paused"
    RESUMED = "resumed"
    STOPPED = "stopped"


@dataclass(frozen=True)
class TurnRules:
    """The part of `turn_detection` that decides where turns lie."""

    threshold: float = 0.5
    silence_ms: int = 500
    prefix_ms: int = 300

    @classmethod
    def of(cls, turn_detection: Json) -> "TurnRules":
        """Read the rules; semantic_vad becomes server_vad with a pause that follows its eagerness."""
        if turn_detection["type"] == SEMANTIC_VAD["type"]:
            eagerness = str(turn_detection.get("eagerness", "auto"))
            return cls(silence_ms=SILENCE_MS_OF_EAGERNESS[eagerness])
        values = {**SERVER_VAD, **turn_detection}
        return cls(values["threshold"], values["silence_duration_ms"], values["prefix_padding_ms"])


@dataclass
class TurnDetector:
    """Follow one stream of chunks; times are milliseconds of audio since its start."""

    rules: TurnRules = field(default_factory=TurnRules)
    now_ms: int = 0
    start_ms: int = 0
    is_speaking: bool = False
    is_paused: bool = False
    _voiced_run: int = 0
    _last_voiced_end_ms: int = 0
    _loudest: float = 0.0

    def push(self, probability: float, level: float) -> list[Signal]:
        """Take the next chunk's speech probability and loudness; return what changed, in order."""
        self.now_ms += CHUNK_MS
        if not self.is_speaking:
            return self._while_silent(probability, level)
        return self._while_speaking(probability, level)

    def reset(self) -> None:
        """Forget the turn in progress; the clock runs on."""
        self.is_speaking = self.is_paused = False
        self._voiced_run = 0
        self._loudest = 0.0

    def _while_silent(self, probability: float, level: float) -> list[Signal]:
        if probability < self.rules.threshold:
            was_suspected = self._voiced_run > 0
            self.reset()
            return [Signal.DISMISSED] if was_suspected else []
        self._voiced_run += 1
        self._loudest = max(self._loudest, level)
        if self._voiced_run < START_CHUNKS:
            return [Signal.SUSPECTED]
        self.is_speaking = True
        self._last_voiced_end_ms = self.now_ms
        self.start_ms = max(0, self.now_ms - START_CHUNKS * CHUNK_MS - self.rules.prefix_ms)
        return [Signal.STARTED]

    def _while_speaking(self, probability: float, level: float) -> list[Signal]:
        self._loudest = max(self._loudest, level)
        if probability >= self.rules.threshold and level > self._loudest * TAIL_RATIO:
            self._last_voiced_end_ms = self.now_ms
        still_voiced = probability >= self.rules.threshold - HYSTERESIS and level > self._loudest * TAIL_RATIO
        silence_ms = 0 if still_voiced else self.now_ms - self._last_voiced_end_ms
        if self.now_ms - self.start_ms >= LONGEST_TURN_MS or silence_ms >= self.rules.silence_ms > 0:
            return self._stop()
        return self._pause_or_resume(silence_ms)

    def _stop(self) -> list[Signal]:
        signals = [Signal.STOPPED] if self.is_paused else [Signal.PAUSED, Signal.STOPPED]
        self.reset()
        return signals

    def _pause_or_resume(self, silence_ms: int) -> list[Signal]:
        if not self.is_paused and silence_ms >= PAUSE_MS:
            self.is_paused = True
            return [Signal.PAUSED]
        if self.is_paused and not silence_ms:
            self.is_paused = False
            return [Signal.RESUMED]
        return []


class AudioBuffer:
    """The newest chunks of the input, cut by time. Bounded: the oldest are dropped."""

    def __init__(self, longest_ms: int) -> None:
        self._chunks: deque[Samples] = deque(maxlen=longest_ms // CHUNK_MS)
        self.end_ms = 0

    def append(self, chunk: Samples) -> None:
        """Add one chunk at the end."""
        self._chunks.append(chunk)
        self.end_ms += CHUNK_MS

    @property
    def start_ms(self) -> int:
        """The time of the oldest sample still held."""
        return self.end_ms - len(self._chunks) * CHUNK_MS

    def clear(self) -> None:
        """Drop everything; the clock runs on."""
        self._chunks.clear()

    def drop_before(self, time_ms: int) -> None:
        """Drop whole chunks that end at or before `time_ms`."""
        while self._chunks and self.start_ms + CHUNK_MS <= time_ms:
            self._chunks.popleft()

    def since(self, time_ms: int) -> Samples:
        """Return the samples from the chunk that holds `time_ms` to the end."""
        skip = max(0, (time_ms - self.start_ms) // CHUNK_MS)
        held = list(self._chunks)[skip:]
        return np.concatenate(held) if held else np.zeros(0, np.int16)
