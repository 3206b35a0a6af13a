"""Choosing microphone and speaker, and what happens when one of them goes away."""

import re
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.e2e.conftest import OpenPage, Speech
from tests.e2e.test_accessibility import assert_fine_in_every_dress
from tests.e2e.voice_page import (
    expect_headline,
    expect_held,
    microphone_note,
    open_settings,
    press,
    start,
    turns,
    write,
)

MISSING = (
    "() => { navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('', 'NotFoundError'); }; }"
)
UNPLUG = "() => spiedTracks.at(-1).dispatchEvent(new Event('ended'))"
SENT_TRACK = "() => spiedConnections.at(-1).getSenders()[0].track.id"


def call_id(voice: Page) -> str | None:
    return voice.locator("body").get_attribute("data-call-id")


def test_item_22_another_microphone_takes_over_in_the_same_call(open_page: OpenPage, silence: Path) -> None:
    voice = open_page(silence)
    start(voice)
    open_settings(voice)
    picker = voice.get_by_label("Microphone", exact=True)
    before, call = voice.evaluate(SENT_TRACK), call_id(voice)
    expect(picker.locator("option")).to_have_count(3)
    picker.select_option(index=2)
    expect(picker.locator("option:checked")).to_contain_text("(in use)")
    expect_held(voice, tracks=1, connections=1, contexts=1)
    assert voice.evaluate(SENT_TRACK) != before
    assert call_id(voice) == call
    chosen = picker.input_value()
    voice.reload()
    start(voice)
    open_settings(voice)
    expect(picker).to_have_value(chosen)
    expect(picker.locator("option:checked")).to_contain_text("(in use)")


def test_items_23_and_31_the_assistant_is_heard_where_and_as_loud_as_chosen(open_page: OpenPage, silence: Path) -> None:
    voice = open_page(silence)
    start(voice)
    open_settings(voice)
    speaker = voice.get_by_label("Speaker", exact=True)
    expect(speaker.locator("option")).not_to_have_count(1)
    speaker.select_option(index=1)
    voice.get_by_label("Volume of the assistant").fill("35")
    voice.get_by_label("Assistant without sound").check()
    assert_fine_in_every_dress(voice)
    player = voice.locator("audio")
    expect(player).to_have_js_property("sinkId", speaker.input_value())
    expect(player).to_have_js_property("volume", 0.35)
    expect(player).to_have_js_property("muted", value=True)


def test_item_24_a_voice_moves_the_meter(open_page: OpenPage, speech: Speech) -> None:
    voice = open_page(speech((0.5, "one two three four five")))
    start(voice)
    expect(voice.locator("html")).to_have_attribute("data-loudest-input", re.compile(r"^0\.(0[5-9]|[1-9])|^1"))


def test_item_24_silence_is_told(open_page: OpenPage, silence: Path) -> None:
    voice = open_page(silence)
    start(voice)
    expect(microphone_note(voice)).to_contain_text("We can't hear you.")
    press(voice, "Mute")
    expect(microphone_note(voice)).to_be_empty()


def test_item_25_an_unplugged_microphone_is_replaced(open_page: OpenPage, silence: Path) -> None:
    voice = open_page(silence)
    start(voice)
    press(voice, "Mute")
    voice.evaluate(UNPLUG)
    expect(microphone_note(voice)).to_have_text(re.compile("^Your microphone was disconnected. Using Fake"))
    expect(voice.locator("html")).to_have_attribute("data-enabled-tracks", "0")
    press(voice, "Unmute")
    expect(voice.locator("html")).to_have_attribute("data-enabled-tracks", "1")


def test_item_25_without_another_microphone_the_call_goes_on_in_writing(open_page: OpenPage, silence: Path) -> None:
    voice = open_page(silence)
    start(voice)
    voice.evaluate(MISSING)
    voice.evaluate(UNPLUG)
    expect_headline(voice, "Microphone disconnected")
    write(voice, "count to three")
    expect(turns(voice, "assistant")).to_contain_text(["One, two, three."])


def test_item_26_what_is_done_to_the_voice_can_be_switched_off(open_page: OpenPage, silence: Path) -> None:
    settings = """() => {
        const { echoCancellation, noiseSuppression } = spiedTracks.at(-1).getSettings();
        return { echoCancellation, noiseSuppression };
    }"""
    voice = open_page(silence)
    open_settings(voice)
    voice.get_by_label("Noise suppression").uncheck()
    start(voice)
    assert voice.evaluate(settings) == {"echoCancellation": True, "noiseSuppression": False}
    voice.get_by_label("Echo cancellation").uncheck()
    expect(voice.locator("html")).to_have_attribute("data-asked", "2")
    expect_held(voice, tracks=1, connections=1, contexts=1)
    assert voice.evaluate(settings) == {"echoCancellation": False, "noiseSuppression": False}
