"""Whole turns through the pure session, in the protocol's order."""

from engine.reply import ToolCall
from engine.session.effects import (
    ClearPlayback,
    Close,
    DropGeneration,
    Generate,
    HoldPlayback,
    Play,
    Recognise,
    ResumePlayback,
)
from tests.engine.session_stage import Stage

TRANSCRIBE = {"audio": {"input": {"transcription": {"model": "gpt-transcribe"}}}}
MESSAGE_DONE = [
    "response.output_audio.done",
    "response.output_audio_transcript.done",
    "response.content_part.done",
    "conversation.item.done",
    "response.output_item.done",
    "response.done",
]


def without_words(types: list[str]) -> list[str]:
    return [name for name in types if not name.endswith("transcript.delta")]


def test_a_voice_turn_sends_its_events_in_order() -> None:
    stage = Stage(TRANSCRIBE)

    stage.spoken_turn()

    assert without_words(stage.types()) == [
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
        "conversation.item.input_audio_transcription.completed",
        "response.created",
        "response.output_item.added",
        "conversation.item.added",
        "response.content_part.added",
        "output_audio_buffer.started",
        *MESSAGE_DONE,
        "output_audio_buffer.stopped",
    ]


def test_a_text_turn_sends_its_events_in_order() -> None:
    stage = Stage({"output_modalities": ["text"]})

    stage.type_text("Hello")
    stage.send("response.create")
    stage.reply("Hello to you.")

    assert stage.types() == [
        "conversation.item.added",
        "conversation.item.done",
        "response.created",
        "response.output_item.added",
        "conversation.item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
    ]


def test_a_tool_call_sends_its_events_in_order_and_waits_for_the_client() -> None:
    stage = Stage()
    stage.type_text("Do you have Dune?")
    before = len(stage.events)

    stage.send("response.create")
    stage.reply(ToolCall("find_book", '{"title":"Dune"}'))

    assert stage.types(before) == [
        "response.created",
        "response.output_item.added",
        "conversation.item.added",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
    ]


def test_a_tool_result_reaches_the_next_request_with_the_tools_name() -> None:
    stage = Stage()
    stage.type_text("Do you have Dune?")
    stage.send("response.create")
    stage.reply(ToolCall("find_book", "{}"))
    call_id = stage.of_type("response.output_item.done")[0]["item"]["call_id"]

    stage.send(
        "conversation.item.create", item={"type": "function_call_output", "call_id": call_id, "output": '{"copies":2}'}
    )
    stage.send("response.create")

    last = stage.last(Generate).request.history[-1]
    assert (last.role, last.tool_name, last.text) == ("tool", "find_book", '{"copies":2}')


def test_the_reply_is_made_before_the_turn_is_over() -> None:
    stage = Stage()

    stage.hear(voiced_ms=960, silent_ms=256)
    stage.recognise("When do you open?")

    assert stage.asked_for(Generate) == 1
    assert "response.created" not in stage.types()


def test_a_reply_made_early_is_dropped_when_the_user_goes_on() -> None:
    stage = Stage()
    stage.hear(voiced_ms=960, silent_ms=256)
    stage.recognise("When do")
    stage.reply("Do what?")

    stage.hear(voiced_ms=640, silent_ms=256)
    stage.recognise("When do you open?")
    stage.reply("At nine.")
    stage.hear(silent_ms=320)

    assert [effect.response_id for effect in stage.effects if isinstance(effect, Play)] == ["resp_1"]


def test_a_reply_made_early_is_made_again_when_the_session_changed_meanwhile() -> None:
    stage = Stage()
    stage.hear(voiced_ms=960, silent_ms=256)
    stage.recognise("Hello")
    stage.reply("Hi.")
    stage.send("session.update", session={"type": "realtime", "instructions": "Speak French."})

    stage.hear(silent_ms=320)

    assert stage.last(Generate).request.instructions == "Speak French."
    assert stage.asked_for(Generate) == 2


def test_a_slow_recognition_delays_the_commit_and_not_speech_stopped() -> None:
    stage = Stage()

    stage.hear(voiced_ms=960, silent_ms=640)
    assert stage.types()[-1] == "input_audio_buffer.speech_stopped"
    stage.recognise("Hello")

    assert "input_audio_buffer.committed" in stage.types()
    assert stage.types()[-1] == "response.created"


def test_a_noise_makes_no_item_and_no_response() -> None:
    stage = Stage()

    stage.hear(voiced_ms=320, silent_ms=256)
    stage.recognise("you", no_speech_prob=0.95)
    stage.hear(silent_ms=320)

    assert stage.types() == [
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.cleared",
    ]


def test_a_failed_recognition_is_reported_and_answered() -> None:
    stage = Stage(TRANSCRIBE)
    stage.hear(voiced_ms=960, silent_ms=640)

    stage.run(stage.session.recognition_failed(stage.last(Recognise).recognition_id, "It broke."))

    assert stage.types()[-2:] == ["conversation.item.input_audio_transcription.failed", "response.created"]


def test_words_are_shown_as_they_are_heard() -> None:
    stage = Stage()
    stage.type_text("Hello")
    stage.send("response.create")
    stage.reply("One two three four.")

    stage.play(until_ms=500, is_over=False)

    shown = "".join(event["delta"] for event in stage.of_type("response.output_audio_transcript.delta"))
    assert shown == "One two three"


def test_speech_over_the_agent_stops_it_in_order() -> None:
    stage = Stage()
    stage.type_text("Tell me a story")
    stage.send("response.create")
    stage.reply("Once there was a small engine.")
    stage.play(until_ms=500, is_over=False)
    before = len(stage.events)

    stage.hear(voiced_ms=64)

    assert stage.types(before) == [
        "input_audio_buffer.speech_started",
        "output_audio_buffer.cleared",
        "conversation.item.truncated",
        *MESSAGE_DONE,
    ]
    assert stage.asked_for(ClearPlayback) == 1


def test_an_interrupted_item_keeps_only_what_was_heard() -> None:
    stage = Stage()
    stage.type_text("Tell me a story")
    stage.send("response.create")
    stage.reply("Once there was a small engine.")
    stage.play(until_ms=500, is_over=False)

    stage.hear(voiced_ms=64)

    done = stage.of_type("response.done")[0]["response"]
    assert done["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
    assert done["output"][0]["status"] == "incomplete"
    assert done["output"][0]["content"] == [{"type": "output_audio", "transcript": "Once there was a"}]
    assert stage.of_type("conversation.item.truncated")[0]["audio_end_ms"] == 500
    assert done["usage"]["output_token_details"] == {"text_tokens": 4, "audio_tokens": 10}


def test_nothing_is_cleared_or_truncated_when_nothing_was_heard() -> None:
    stage = Stage()
    stage.type_text("Hello")
    stage.send("response.create")
    before = len(stage.events)

    stage.hear(voiced_ms=64)

    assert stage.types(before) == ["input_audio_buffer.speech_started", "response.done"]
    assert stage.asked_for(DropGeneration) == 1


def test_late_parts_of_an_interrupted_reply_are_not_played() -> None:
    stage = Stage()
    stage.type_text("Tell me a story")
    stage.send("response.create")
    stage.reply("Once.", is_whole=False)
    stage.hear(voiced_ms=64)

    stage.reply("Upon a time.")

    assert stage.asked_for(Play) == 1


def test_speech_does_not_stop_an_agent_that_may_not_be_interrupted() -> None:
    turn_detection = {"type": "server_vad", "interrupt_response": False}
    stage = Stage({"audio": {"input": {"turn_detection": turn_detection}}})
    stage.type_text("Tell me a story")
    stage.send("response.create")
    stage.reply("Once there was a small engine.")
    stage.play(until_ms=500, is_over=False)

    stage.hear(voiced_ms=960, silent_ms=640)
    stage.recognise("Hello")
    assert len(stage.of_type("response.created")) == 1
    stage.play(until_ms=0)

    assert [event["response"]["id"] for event in stage.of_type("response.created")] == ["resp_1", "resp_2"]


def test_no_response_is_made_when_the_client_wants_to_ask_for_it() -> None:
    turn_detection = {"type": "server_vad", "create_response": False}
    stage = Stage({"audio": {"input": {"turn_detection": turn_detection}}})

    stage.hear(voiced_ms=960, silent_ms=640)
    stage.recognise("Hello")

    assert stage.types()[-1] == "conversation.item.done"
    assert stage.asked_for(Generate) == 0


def test_a_cancelled_response_names_the_client() -> None:
    stage = Stage()
    stage.type_text("Tell me a story")
    stage.send("response.create")
    stage.reply("Once there was a small engine.")
    stage.play(until_ms=500, is_over=False)

    stage.send("response.cancel")
    stage.send("output_audio_buffer.clear")

    assert stage.of_type("response.done")[0]["response"]["status_details"]["reason"] == "client_cancelled"
    assert len(stage.of_type("output_audio_buffer.cleared")) == 1


def test_a_failed_reply_ends_the_response_as_failed() -> None:
    stage = Stage()
    stage.send("response.create")

    stage.run(stage.session.reply_failed(stage.last(Generate).generation_id, "It broke."))

    done = stage.of_type("response.done")[0]["response"]
    assert (done["status"], done["status_details"]["error"]["code"]) == ("failed", "reply_failed")


def test_a_reply_longer_than_allowed_is_incomplete() -> None:
    stage = Stage({"output_modalities": ["text"], "max_output_tokens": 5})
    stage.send("response.create")

    stage.reply("Short.", "This one is far too long to fit.")

    done = stage.of_type("response.done")[0]["response"]
    assert done["status_details"] == {"type": "incomplete", "reason": "max_output_tokens"}
    assert done["output"][0]["content"][0]["text"] == "Short."


def test_usage_counts_the_whole_conversation() -> None:
    stage = Stage({"instructions": "a" * 40})

    stage.spoken_turn(answer="We open at nine.")

    usage = stage.of_type("response.done")[0]["response"]["usage"]
    audio_ms = 960 + 512 + 32
    assert usage["input_token_details"]["text_tokens"] == 10
    assert usage["input_token_details"]["audio_tokens"] == -(-(audio_ms - 32) // 100)
    assert usage["output_token_details"] == {"text_tokens": 4, "audio_tokens": 20}
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]


def test_push_to_talk_commits_what_was_said_and_answers_it() -> None:
    stage = Stage({"audio": {"input": {"turn_detection": None, "transcription": {"model": "gpt-transcribe"}}}})
    stage.hear(voiced_ms=960)
    assert stage.types() == []

    stage.send("input_audio_buffer.commit")
    stage.send("response.create")
    assert stage.asked_for(Generate) == 0
    stage.recognise("Open the door")

    assert stage.types() == [
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
        "response.created",
        "conversation.item.input_audio_transcription.completed",
    ]
    assert stage.last(Generate).request.history[-1].text == "Open the door"


def test_an_empty_buffer_cannot_be_committed() -> None:
    stage = Stage({"audio": {"input": {"turn_detection": None}}})

    answer = stage.send("input_audio_buffer.commit", event_id="client_1")

    assert answer[0]["error"]["code"] == "input_audio_buffer_commit_empty"
    assert answer[0]["error"]["event_id"] == "client_1"


def test_a_cleared_buffer_holds_nothing_to_commit() -> None:
    stage = Stage({"audio": {"input": {"turn_detection": None}}})
    stage.hear(voiced_ms=960)

    assert stage.send("input_audio_buffer.clear")[0]["type"] == "input_audio_buffer.cleared"

    assert stage.send("input_audio_buffer.commit")[0]["type"] == "error"


def test_a_commit_during_speech_ends_the_turn() -> None:
    stage = Stage()
    stage.hear(voiced_ms=960)

    stage.send("input_audio_buffer.commit")
    stage.recognise("Hello")

    assert stage.types()[:4] == [
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.added",
    ]


def test_the_agent_speaks_up_after_the_idle_timeout() -> None:
    turn_detection = {"type": "server_vad", "idle_timeout_ms": 5000}
    stage = Stage({"audio": {"input": {"turn_detection": turn_detection}}})
    stage.spoken_turn()
    before = len(stage.events)

    stage.hear(silent_ms=6000)

    assert stage.types(before)[0] == "input_audio_buffer.timeout_triggered"
    assert stage.types(before)[-1] == "response.created"


def test_a_response_outside_the_conversation_leaves_no_items_in_it() -> None:
    stage = Stage({"output_modalities": ["text"]})

    stage.send("response.create", response={"conversation": "none", "metadata": {"topic": "test"}})
    stage.reply("Aside.")

    done = stage.of_type("response.done")[0]["response"]
    assert (done["conversation_id"], done["metadata"]) == (None, {"topic": "test"})
    assert "conversation.item.added" not in stage.types()


def test_a_session_ends_after_an_hour() -> None:
    stage = Stage()

    stage.run(stage.session.tick(1000.0 + 3600))

    assert stage.events[-1]["error"]["code"] == "session_expired"
    assert "60 minutes" in stage.events[-1]["error"]["message"]


def test_a_session_lasts_as_long_as_it_was_told() -> None:
    stage = Stage(life_s=90)
    stage.run(stage.session.tick(1089.0))
    assert stage.events == []

    stage.run(stage.session.tick(1090.0))

    assert stage.asked_for(Close) == 1


def test_over_websocket_the_words_and_the_end_do_not_wait_for_playback() -> None:
    stage = Stage(is_paced=False)
    stage.send("response.create")

    stage.reply("We open at nine.")

    assert stage.types()[-1] == "response.done"


def playing(turn_detection: dict[str, object] | None = None) -> Stage:
    audio = {"input": {"turn_detection": {"type": "server_vad", **(turn_detection or {})}}}
    stage = Stage({"audio": audio})
    stage.send("response.create")
    stage.reply("Once there was a small engine.")
    stage.play(until_ms=500, is_over=False)
    return stage


def test_the_first_sound_over_the_agent_holds_it_without_an_event() -> None:
    stage = playing()
    before = len(stage.events)

    stage.hear(voiced_ms=32)

    assert stage.asked_for(HoldPlayback) == 1
    assert stage.types(before) == []


def test_a_click_lets_the_agent_go_on() -> None:
    stage = playing()

    stage.hear(voiced_ms=32, silent_ms=32)

    assert stage.asked_for(ResumePlayback) == 1
    assert stage.asked_for(ClearPlayback) == 0


def test_an_agent_that_may_not_be_interrupted_is_not_held() -> None:
    stage = playing({"interrupt_response": False})

    stage.hear(voiced_ms=32)

    assert stage.asked_for(HoldPlayback) == 0
