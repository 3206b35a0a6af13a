"""Push to talk: who holds the button or the space bar is heard, and nobody else."""

from pathlib import Path

from playwright.sync_api import expect

from tests.e2e.conftest import OpenPage, Speech
from tests.e2e.voice_page import (
    SILENT,
    SOUNDING,
    button,
    expect_headline,
    expect_part,
    microphone_note,
    open_settings,
    press,
    start,
    turns,
)


def test_item_30_a_turn_lasts_as_long_as_the_space_bar_is_held(open_page: OpenPage, speech: Speech) -> None:
    voice = open_page(speech((3.5, "hello")))
    open_settings(voice)
    voice.get_by_label("Push to talk").check()
    start(voice)
    expect_part(voice, "hold")
    expect_headline(voice, "Hold to talk")
    expect(voice.locator("html")).to_have_attribute("data-enabled-tracks", "0")
    expect(button(voice, "Mute")).to_be_hidden()
    voice.keyboard.down("Space")
    expect_part(voice, "holding")
    expect(button(voice, "Talk")).to_have_attribute("aria-pressed", "true")
    body = voice.locator("body")
    expect(voice.locator("html")).to_have_attribute("data-loudest-input", SOUNDING)
    expect(body).to_have_attribute("data-input-level", SILENT)
    assert turns(voice, "assistant").count() == 0
    voice.keyboard.up("Space")
    expect(voice.locator("html")).to_have_attribute("data-enabled-tracks", "0")
    expect(turns(voice, "user")).to_contain_text(["ello"])
    expect(turns(voice, "assistant")).not_to_have_count(0)


def test_item_30_short_and_broken_off_holds(open_page: OpenPage, silence: Path) -> None:
    voice = open_page(silence)
    start(voice)
    expect_part(voice, "listening")
    open_settings(voice)
    voice.get_by_label("Push to talk").check()
    expect_part(voice, "hold")
    button(voice, "Talk").click()
    expect(microphone_note(voice)).to_have_text("Hold to talk: keep it down while you speak.")
    button(voice, "Talk").hover()
    voice.mouse.down()
    expect_part(voice, "holding")
    voice.evaluate("dispatchEvent(new Event('blur'))")
    expect(voice.locator("html")).to_have_attribute("data-enabled-tracks", "0")
    voice.mouse.up()
    voice.get_by_label("Push to talk").uncheck()
    expect(button(voice, "Mute")).to_be_visible()
    expect(voice.locator("html")).to_have_attribute("data-enabled-tracks", "1")
    press(voice, "End call")
