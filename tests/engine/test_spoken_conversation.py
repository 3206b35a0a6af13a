"""Real calls: a caller speaks, the engine hears, answers and can be interrupted."""

from collections.abc import Callable

from engine.audio import Samples
from engine.protocol_json import Json
from tests.engine.caller import Caller
from tests.engine.official_events import validate

VOICE = Callable[[str], Samples]
SESSION: Json = {
    "audio": {
        "input": {
            "transcription": {"model": "gpt-transcribe"},
            "turn_detection": {"type": "server_vad", "silence_duration_ms": 300},
        }
    }
}


def says(word: str) -> Callable[[Json], bool]:
    return lambda event: word in event["delta"]


async def speak(caller: Caller, samples: Samples) -> int:
    """Speak one turn, wait for its answer's end, and return where its events begin."""
    before = len(caller.events)
    caller.mic.say(samples)
    await caller.wait_for("output_audio_buffer.stopped", before)
    return before


async def test_a_spoken_question_is_understood_and_answered_aloud(caller: Caller, user_voice: VOICE) -> None:
    await caller.dial(SESSION)

    before = await speak(caller, user_voice("Can you count to five?"))

    heard = await caller.wait_for("conversation.item.input_audio_transcription.completed", before)
    done = await caller.wait_for("response.done", before)
    assert heard["transcript"] == "Can you count to five?"
    assert done["response"]["output"][0]["content"][0]["transcript"] == "One, two, three, four, five."
    assert caller.first_sound_after(caller.mic.speech_ended_at) > 0


async def test_a_spoken_interruption_silences_the_engine(caller: Caller, user_voice: VOICE) -> None:
    await caller.dial(SESSION)
    caller.say_text("Tell me a story")
    caller.send("response.create")
    words = "response.output_audio_transcript.delta"
    await caller.wait_for(words, where=says("engine"))

    before = await speak(caller, user_voice("What time is it?"))

    cut = await caller.wait_for("response.done", before)
    truncated = await caller.wait_for("conversation.item.truncated", before)
    assert cut["response"]["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
    assert truncated["audio_end_ms"] > 500
    for event in caller.events:
        validate(event)


async def test_a_typed_question_is_answered_aloud(caller: Caller) -> None:
    await caller.dial()
    caller.say_text("Say: the library is open")
    caller.send("response.create")

    done = await caller.wait_for("response.done")

    assert done["response"]["output"][0]["content"][0]["transcript"] == "the library is open"
    assert caller.last_sound_after(0.0) > 0


async def test_push_to_talk_works_over_a_call(caller: Caller, user_voice: VOICE) -> None:
    await caller.dial({"audio": {"input": {"turn_detection": None, "transcription": {"model": "gpt-transcribe"}}}})
    caller.send("input_audio_buffer.clear")
    await caller.wait_for("input_audio_buffer.cleared")
    caller.mic.say(user_voice("What is two plus three?"))
    heard = len(caller.levels)
    await caller.wait_until(lambda: caller.mic.speech_ended_at > 0 and len(caller.levels) > heard + 110)

    caller.send("input_audio_buffer.commit")
    caller.send("response.create")

    done = await caller.wait_for("response.done")
    assert done["response"]["output"][0]["content"][0]["transcript"] == "Two plus three is five."


async def test_garbage_on_the_channel_is_answered_and_ends_nothing(caller: Caller) -> None:
    await caller.dial()

    caller.channel.send("{" * 1000)
    caller.channel.send(b"\x00\x01")
    caller.send("session.update", session={"type": "realtime"})

    await caller.wait_for("session.updated")
    assert caller.types() == ["session.created", "error", "error", "session.updated"]
