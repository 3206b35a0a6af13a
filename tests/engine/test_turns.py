"""Where turns begin and end."""

from engine.session.turns import Signal, TurnDetector, TurnRules

VOICED, SILENT, ROOM = (0.9, 2000.0), (0.0, 0.0), (0.9, 50.0)


def feed(detector: TurnDetector, chunk: tuple[float, float], count: int) -> list[Signal]:
    return [signal for _ in range(count) for signal in detector.push(*chunk)]


def test_one_voiced_chunk_is_a_click_and_two_are_speech() -> None:
    detector = TurnDetector()

    assert feed(detector, VOICED, 1) + feed(detector, SILENT, 1) == [Signal.SUSPECTED, Signal.DISMISSED]
    assert feed(detector, VOICED, 2) == [Signal.SUSPECTED, Signal.STARTED]


def test_the_start_lies_before_the_first_voiced_chunk_by_the_prefix() -> None:
    detector = TurnDetector(TurnRules(prefix_ms=300))
    feed(detector, SILENT, 20)

    feed(detector, VOICED, 2)

    assert detector.start_ms == 20 * 32 - 300


def test_the_turn_stops_when_the_silence_is_as_long_as_asked() -> None:
    detector = TurnDetector(TurnRules(silence_ms=320))
    feed(detector, VOICED, 10)

    assert feed(detector, SILENT, 9) == [Signal.PAUSED]
    assert feed(detector, SILENT, 1) == [Signal.STOPPED]


def test_a_short_silence_stops_the_turn_at_once() -> None:
    detector = TurnDetector(TurnRules(silence_ms=64))
    feed(detector, VOICED, 10)

    assert feed(detector, SILENT, 2) == [Signal.PAUSED, Signal.STOPPED]


def test_speech_after_a_pause_resumes_the_turn() -> None:
    detector = TurnDetector()
    feed(detector, VOICED, 10)

    assert feed(detector, SILENT, 6) + feed(detector, VOICED, 1) == [Signal.PAUSED, Signal.RESUMED]


def test_the_rooms_echo_of_a_word_counts_as_silence() -> None:
    detector = TurnDetector(TurnRules(silence_ms=320))
    feed(detector, VOICED, 10)

    assert feed(detector, ROOM, 10) == [Signal.PAUSED, Signal.STOPPED]


def test_a_turn_without_end_is_cut() -> None:
    detector = TurnDetector()

    assert Signal.STOPPED in feed(detector, VOICED, 60_000 // 32 + 1)


def test_a_higher_threshold_wants_clearer_speech() -> None:
    detector = TurnDetector(TurnRules(threshold=0.95))

    assert feed(detector, VOICED, 10) == []


def test_eagerness_becomes_a_length_of_silence() -> None:
    lengths = [TurnRules.of({"type": "semantic_vad", "eagerness": word}).silence_ms for word in ("high", "auto", "low")]

    assert lengths == [300, 500, 1000]
