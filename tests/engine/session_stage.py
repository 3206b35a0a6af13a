"""A stage for the pure session: plays the models, the voice and the clock, without sockets or threads.

Every event that a test causes on it is checked against the official types.
"""

import itertools
from collections import Counter
from typing import TypeVar

import numpy as np

from engine.audio import CHUNK_MS, CHUNK_SAMPLES, SPEAK_RATE_HZ
from engine.protocol_json import Json
from engine.recognition import Transcript
from engine.reply import ToolCall
from engine.session.active_response import SpokenPiece
from engine.session.effects import Effect, Generate, Recognise, Send
from engine.session.session import Session
from engine.session.update import default_session, merge_session
from tests.engine.official_events import validate

SILENCE = np.zeros(CHUNK_SAMPLES, np.int16)
SECOND = np.zeros(SPEAK_RATE_HZ, np.int16)
VOICED, SILENT = (0.9, 2000.0), (0.01, 0.0)
Wanted = TypeVar("Wanted")


class Stage:
    """One session, everything it sent and everything it asked for."""

    def __init__(self, session: Json | None = None, *, is_paced: bool = True, life_s: int = 3600) -> None:
        self._counters: Counter[str] = Counter()
        config = merge_session(default_session("sess_1", 0), {"type": "realtime", **(session or {})})
        self.session = Session(config, self.new_id, 1000.0, is_paced=is_paced, life_s=life_s)
        self.events: list[Json] = []
        self.effects: list[Effect] = []

    def new_id(self, prefix: str) -> str:
        self._counters[prefix] += 1
        return f"{prefix}_{self._counters[prefix]}"

    def run(self, effects: list[Effect]) -> None:
        self.effects += effects
        for effect in effects:
            if isinstance(effect, Send):
                validate(effect.event)
                self.events.append(effect.event)

    def send(self, event_type: str, **fields: object) -> list[Json]:
        """Send a client event and return the events that it caused."""
        before = len(self.events)
        self.run(self.session.receive({"type": event_type, **fields}))
        return self.events[before:]

    def hear(self, voiced_ms: int = 0, silent_ms: int = 0) -> None:
        for length_ms, (probability, level) in ((voiced_ms, VOICED), (silent_ms, SILENT)):
            for _ in range(-(-length_ms // CHUNK_MS)):
                self.run(self.session.hear(SILENCE, probability, level))

    def last(self, kind: type[Wanted]) -> Wanted:
        return next(effect for effect in reversed(self.effects) if isinstance(effect, kind))

    def asked_for(self, kind: type[Effect]) -> int:
        return sum(isinstance(effect, kind) for effect in self.effects)

    def recognise(self, words: str, no_speech_prob: float = 0.01) -> None:
        self.run(self.session.recognised(self.last(Recognise).recognition_id, Transcript(words, no_speech_prob)))

    def reply(self, *parts: str | ToolCall, is_whole: bool = True) -> None:
        """Answer the last request; each sentence lasts a second."""
        effect = self.last(Generate)
        generation_id = effect.generation_id
        for part in parts:
            self.run(self.session.reply_part(generation_id, _piece(part, effect.request.spoken)))
        if is_whole:
            self.run(self.session.reply_ended(generation_id))

    def play(self, response_id: str = "resp_1", until_ms: int = 1000, is_over: bool = True) -> None:
        self.run(self.session.playback_started(response_id))
        for played_ms in itertools.takewhile(lambda ms: ms <= until_ms, itertools.count(20, 20)):
            self.run(self.session.played(response_id, played_ms))
        if is_over:
            self.run(self.session.playback_ended(response_id))

    def type_text(self, text: str) -> None:
        item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
        self.send("conversation.item.create", item=item)

    def spoken_turn(self, words: str = "When do you open?", answer: str = "We open at nine.") -> None:
        """Play a whole voice turn to its end."""
        self.hear(voiced_ms=960, silent_ms=256)
        self.recognise(words)
        self.reply(answer)
        self.hear(silent_ms=320)
        self.play(self.of_type("response.created")[-1]["response"]["id"])

    def of_type(self, event_type: str) -> list[Json]:
        return [event for event in self.events if event["type"] == event_type]

    def types(self, after: int = 0) -> list[str]:
        return [event["type"] for event in self.events[after:]]


def _piece(part: str | ToolCall, is_spoken: bool) -> SpokenPiece | ToolCall:
    if isinstance(part, ToolCall):
        return part
    return SpokenPiece(part, SECOND, 1000) if is_spoken else SpokenPiece(part)
