"""The user's side: the input buffer, turns, commits and recognition, with their events."""

from dataclasses import dataclass

from engine.audio import CHUNK_MS, LISTEN_RATE_HZ, Samples, duration_ms
from engine.recognition import Transcript
from engine.session import events
from engine.session.effects import DropRecognition, Recognise
from engine.session.errors import ProtocolError
from engine.session.items import Entry, snapshot, spoken_user_item, transcription_usage
from engine.session.responses import Responses
from engine.session.state import SessionState
from engine.session.turns import AudioBuffer, Signal, TurnDetector, TurnRules

LONGEST_BUFFER_MS = 120_000
SHORTEST_COMMIT_MS = 100


@dataclass
class SpokenTurn:
    """One stretch of speech on its way to becoming an item."""

    item_id: str
    start_ms: int
    end_ms: int = 0
    recognition_id: str = ""
    transcript: Transcript | None = None
    entry: Entry | None = None


class InputAudio:
    """Take audio chunks and recognition results; make turns, items and automatic responses of them."""

    def __init__(self, state: SessionState, responses: Responses) -> None:
        self._state = state
        self._responses = responses
        self._buffer = AudioBuffer(LONGEST_BUFFER_MS)
        self._detector = TurnDetector()
        self._open: SpokenTurn | None = None
        self._waiting: list[SpokenTurn] = []
        self._quiet_since_ms: int | None = None
        self.configure()

    @property
    def is_recognising(self) -> bool:
        """Whether a committed stretch of speech still has no words."""
        return bool(self._waiting)

    def configure(self) -> None:
        """Adopt the session's turn detection; a turn in progress ends when detection is switched off."""
        turn_detection = self._state.turn_detection
        if turn_detection is not None:
            self._detector.rules = TurnRules.of(turn_detection)
        else:
            self._forget_open_turn()

    def push(self, chunk: Samples, probability: float, level: float) -> None:
        """Take the next chunk, its speech probability and its loudness."""
        self._buffer.append(chunk)
        signals = self._detector.push(probability, level)
        if self._state.turn_detection is None:
            self._detector.reset()
            return
        for signal in signals:
            self._follow(signal)
        if not self._open:
            self._buffer.drop_before(self._detector.now_ms - self._detector.rules.prefix_ms - 3 * CHUNK_MS)
            self._watch_idle_time()

    def _follow(self, signal: Signal) -> None:
        if signal is Signal.STARTED:
            self._start_turn()
        elif signal is Signal.SUSPECTED:
            if self._may_interrupt:
                self._responses.hold()
        elif signal is Signal.DISMISSED:
            self._responses.resume()
        elif self._open is None:
            return
        elif signal is Signal.PAUSED:
            self._listen_ahead(self._open)
        elif signal is Signal.RESUMED:
            self._drop_recognition(self._open)
        else:
            self._end_turn(self._open)

    def _start_turn(self) -> None:
        self._open = SpokenTurn(self._state.new_id("item"), self._detector.start_ms)
        self._state.emit(events.speech_started(self._open.item_id, self._open.start_ms))
        if self._may_interrupt:
            self._responses.interrupt("turn_detected")

    @property
    def _may_interrupt(self) -> bool:
        return bool((self._state.turn_detection or {}).get("interrupt_response"))

    def _listen_ahead(self, turn: SpokenTurn) -> None:
        """Recognise during the pause: if it proves to be the end, the words are there already."""
        turn.recognition_id = self._state.new_id("recognition")
        turn.transcript = None
        self._state.do(Recognise(turn.recognition_id, self._buffer.since(turn.start_ms)))

    def _drop_recognition(self, turn: SpokenTurn) -> None:
        if turn.recognition_id:
            self._state.do(DropRecognition(turn.recognition_id))
        turn.recognition_id, turn.transcript = "", None
        self._responses.drop_draft()

    def _end_turn(self, turn: SpokenTurn) -> None:
        self._open = None
        turn.end_ms = self._detector.now_ms
        self._state.emit(events.speech_stopped(turn.item_id, turn.end_ms))
        self._waiting.append(turn)
        self._settle()

    def recognised(self, recognition_id: str, transcript: Transcript) -> None:
        """Take the words of a recognition; unknown ids are of turns that went on."""
        turn = self._find(recognition_id)
        if turn is None:
            return
        turn.transcript = transcript
        if turn is self._open:
            self._draft_reply(transcript)
        else:
            self._settle()

    def recognition_failed(self, recognition_id: str, message: str) -> None:
        """Keep the turn without words, and say so to a client that asked for them."""
        turn = self._find(recognition_id)
        if turn is None:
            return
        turn.recognition_id = ""
        if turn is self._open:
            self._open = None
            self._detector.reset()
            turn.end_ms = self._detector.now_ms
            self._state.emit(events.speech_stopped(turn.item_id, turn.end_ms))
        else:
            self._waiting.remove(turn)
        self._commit(turn, "")
        if self._state.is_transcribing:
            self._state.emit(events.transcription_failed(turn.item_id, message))
        self._answer(turn)

    def _find(self, recognition_id: str) -> SpokenTurn | None:
        turns = [*self._waiting, *([self._open] if self._open else [])]
        return next((turn for turn in turns if turn.recognition_id == recognition_id), None)

    def _draft_reply(self, transcript: Transcript) -> None:
        answers = (self._state.turn_detection or {}).get("create_response")
        if answers and transcript.is_speech and self._state.may_speculate and not self._waiting:
            self._responses.draft(transcript.text)

    def _settle(self) -> None:
        """Turn the stretches whose words are known into items, in the order they were spoken."""
        while self._waiting and self._waiting[0].transcript is not None:
            turn = self._waiting.pop(0)
            if turn.entry is not None:
                self._fill_in(turn, turn.transcript or Transcript(""))
            elif turn.transcript and turn.transcript.is_speech:
                self._commit(turn, turn.transcript.text)
                self._answer(turn)
            else:
                self._responses.drop_draft()
                self._state.emit(events.input_cleared())
        if not self._waiting:
            self._responses.words_are_known()

    def _commit(self, turn: SpokenTurn, words: str) -> None:
        state, previous_id = self._state, self._state.conversation.last_id
        entry = turn.entry = spoken_user_item(turn.item_id)
        entry.words, entry.audio_ms = words, turn.end_ms - turn.start_ms
        state.conversation.add(entry)
        state.emit(events.committed(turn.item_id, previous_id))
        state.emit(events.item_added(snapshot(entry), previous_id))
        state.emit(events.item_done(snapshot(entry), previous_id))
        if turn.transcript is not None:
            self._report_words(entry)

    def _fill_in(self, turn: SpokenTurn, transcript: Transcript) -> None:
        entry = turn.entry
        if entry is None or turn.item_id not in self._state.conversation:
            return
        entry.words = transcript.text if transcript.is_speech else ""
        self._report_words(entry)

    def _report_words(self, entry: Entry) -> None:
        if not self._state.is_transcribing:
            return
        entry.item["content"][0]["transcript"] = entry.words
        usage = transcription_usage(self._state.config["audio"]["input"]["transcription"], entry)
        self._state.emit(events.transcription_completed(entry.item_id, entry.words, usage))

    def _answer(self, turn: SpokenTurn) -> None:
        turn_detection = self._state.turn_detection
        if turn_detection and turn_detection["create_response"] and self._open is None:
            self._responses.begin_automatic()

    def commit(self) -> None:
        """Make an item of what the buffer holds, as the client asks; push-to-talk ends this way."""
        if self._open is not None:
            return self._commit_open_turn(self._open)
        start_ms = self._buffer.start_ms
        if self._state.turn_detection is not None or self._buffer.end_ms - start_ms < SHORTEST_COMMIT_MS:
            raise ProtocolError(
                "input_audio_buffer_commit_empty",
                f"Error committing input audio buffer: the buffer is too small. Expected at least "
                f"{SHORTEST_COMMIT_MS} ms of audio.",
            )
        turn = SpokenTurn(self._state.new_id("item"), start_ms, self._buffer.end_ms)
        self._commit(turn, "")
        self._recognise_committed(turn)
        return None

    def _commit_open_turn(self, turn: SpokenTurn) -> None:
        self._drop_recognition(turn)
        self._open = None
        self._detector.reset()
        turn.end_ms = self._detector.now_ms
        self._state.emit(events.speech_stopped(turn.item_id, turn.end_ms))
        self._commit(turn, "")
        self._recognise_committed(turn)

    def _recognise_committed(self, turn: SpokenTurn) -> None:
        samples = self._buffer.since(turn.start_ms)
        assert duration_ms(len(samples), LISTEN_RATE_HZ) <= LONGEST_BUFFER_MS
        self._buffer.clear()
        turn.recognition_id = self._state.new_id("recognition")
        self._waiting.append(turn)
        self._state.do(Recognise(turn.recognition_id, samples))

    def clear(self) -> None:
        """Drop the audio that was not committed yet."""
        self._buffer.clear()
        self._forget_open_turn()
        self._state.emit(events.input_cleared())

    def _forget_open_turn(self) -> None:
        if self._open is not None:
            self._drop_recognition(self._open)
        self._open = None
        self._detector.reset()
        self._responses.resume()

    def _watch_idle_time(self) -> None:
        """Let the agent speak up when nobody has said anything for `idle_timeout_ms` after its last answer."""
        limit_ms = (self._state.turn_detection or {}).get("idle_timeout_ms")
        if self._responses.is_active or self._waiting:
            self._quiet_since_ms = self._detector.now_ms
            return
        since_ms = self._quiet_since_ms
        if limit_ms and since_ms is not None and self._detector.now_ms - since_ms >= limit_ms:
            self._speak_up(since_ms)

    def _speak_up(self, since_ms: int) -> None:
        self._quiet_since_ms = None
        turn = SpokenTurn(self._state.new_id("item"), since_ms, self._detector.now_ms)
        self._state.emit(events.timeout_triggered(turn.item_id, turn.start_ms, turn.end_ms))
        self._commit(turn, "")
        self._responses.begin_automatic()
