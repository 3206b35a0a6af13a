"""The main job in a real browser: speak, be understood, hear an answer that depends on it, interrupt it."""

import re
from pathlib import Path

from playwright.sync_api import expect

from tests.e2e.conftest import OpenPage, Speech
from tests.e2e.site import Site
from tests.e2e.voice_page import (
    HEARD_MS,
    button,
    conversation,
    expect_headline,
    expect_part,
    expect_state,
    press,
    start,
    start_typing,
    turns,
    wait_until_silent,
    wait_until_sounding,
    write,
)


def test_a_spoken_question_gets_a_spoken_answer(open_page: OpenPage, speech: Speech, site: Site) -> None:
    voice = open_page(speech((2.5, "Please count to five.")), reduced_motion="no-preference")
    start(voice)
    wait_until_sounding(voice)
    expect(conversation(voice)).to_contain_text(re.compile("count to (five|5)", re.I))
    expect(conversation(voice)).to_contain_text(re.compile("one.*two.*three.*four.*five", re.I | re.S))
    press(voice, "End call")
    expect_state(voice, "ended")
    assert site.last_issuance("status, username, agent") == ("issued", "demo", "assistant")


def test_speaking_over_a_reply_stops_it_and_marks_where(open_page: OpenPage, speech: Speech) -> None:
    voice = open_page(speech((1.5, "Please count from one to thirty."), (5.0, "Stop now, what time is it?")))
    start(voice)
    wait_until_sounding(voice)
    expect_part(voice, "hearing")
    wait_until_silent(voice, timeout_ms=1000)
    cut = turns(voice, "assistant").first
    expect(cut).to_contain_text("You interrupted here")
    expect(cut).not_to_contain_text("thirty")
    expect(turns(voice, "assistant")).to_have_count(2, timeout=HEARD_MS)


def test_muted_words_go_nowhere_and_unmuted_ones_do(open_page: OpenPage, speech: Speech) -> None:
    voice = open_page(speech((3.0, "Please count to five."), (5.0, "Please count to seven.")))
    start(voice)
    press(voice, "Mute")
    expect_part(voice, "muted")
    expect_headline(voice, "You are muted")
    expect(voice.locator("html")).to_have_attribute("data-enabled-tracks", "0")
    expect(voice.get_by_role("timer")).to_have_text("00:07")  # the first sentence has gone by
    expect(turns(voice, "user")).to_have_count(0)
    press(voice, "Unmute")
    expect_part(voice, "listening")
    expect(turns(voice, "user")).to_contain_text([re.compile("seven|7", re.I)], timeout=HEARD_MS)


def test_the_m_key_mutes_but_not_while_typing(open_page: OpenPage, silence: Path) -> None:
    voice = open_page(silence)
    start(voice)
    voice.keyboard.press("m")
    expect(button(voice, "Unmute")).to_have_attribute("aria-pressed", "true")
    voice.keyboard.press("m")
    expect(button(voice, "Mute")).to_have_attribute("aria-pressed", "false")
    voice.get_by_label("Write to the assistant").press_sequentially("mm")
    expect_part(voice, "listening")


def test_stop_reply_silences_it_and_marks_where(open_page: OpenPage, silence: Path) -> None:
    voice = open_page(silence)
    start(voice)
    expect(button(voice, "Stop reply")).to_be_disabled()
    write(voice, "count to thirty")
    wait_until_sounding(voice)
    press(voice, "Stop reply")
    wait_until_silent(voice, timeout_ms=1000)
    expect(turns(voice, "assistant")).to_contain_text(["You stopped it here"])
    expect_part(voice, "listening")


def test_escape_stops_a_reply(open_page: OpenPage) -> None:
    voice = open_page()
    start_typing(voice)
    write(voice, "count to thirty")
    wait_until_sounding(voice)
    voice.keyboard.press("Escape")
    wait_until_silent(voice, timeout_ms=1000)
    expect(turns(voice, "assistant")).to_contain_text(["You stopped it here"])


def test_a_line_typed_during_a_call_is_answered_in_sound_and_writing(open_page: OpenPage, silence: Path) -> None:
    voice = open_page(silence)
    start(voice)
    write(voice, "what is two plus three?")
    wait_until_sounding(voice)
    expect(turns(voice, "user")).to_contain_text(["what is two plus three?"])
    expect(turns(voice, "assistant")).to_contain_text([re.compile("is five", re.I)])
    expect(voice.get_by_label("Write to the assistant")).to_have_value("")


def test_a_line_typed_over_a_reply_stops_it_first(open_page: OpenPage) -> None:
    voice = open_page()
    start_typing(voice)
    write(voice, "count to thirty")
    wait_until_sounding(voice)
    write(voice, "say enough")
    expect(turns(voice, "assistant")).to_contain_text(["You stopped it here", re.compile("enough", re.I)])


def test_items_42_44_what_is_typed_is_counted_sent_in_order_and_kept(open_page: OpenPage) -> None:
    voice = open_page()
    start_typing(voice)
    voice.locator(".log-drawer > summary").click()
    sent = voice.locator(".log-drawer__row").filter(has_text="sent")
    box, hint = voice.get_by_label("Write to the assistant"), voice.locator("[data-part=hint]")
    box.fill("x" * 1_790)
    expect(hint).to_have_text("Enter sends, Shift+Enter starts a new line.")
    box.fill("x" * 1_810)
    expect(hint).to_have_text("190 characters left")
    box.fill("count")
    box.press("Shift+Enter")
    box.press_sequentially("to thirty")
    expect(box).to_have_value("count\nto thirty")
    box.press("Enter")
    wait_until_sounding(voice)
    write(voice, "say enough")
    asked = ["conversation.item.create", "response.create"]
    expect(sent).to_contain_text([*asked, "output_audio_buffer.clear", *asked])
    box.fill("not sent yet")
    press(voice, "End call")
    expect_state(voice, "ended")
    expect(box).to_have_value("not sent yet")
    expect(button(voice, "Send")).to_be_disabled()
    expect(hint).to_have_text("You can type once a call has begun.")


def test_items_45_46_the_delay_of_replies_and_the_cost_are_shown(open_page: OpenPage) -> None:
    voice = open_page()
    start_typing(voice)
    write(voice, "say hello")
    expect(voice.locator("[data-part=reply-delay]")).to_have_text(
        re.compile(r"Reply after \d+\.\d s \((good|fair|slow)\)")
    )
    expect(voice.locator("[data-part=cost]")).to_have_text("Free")
    press(voice, "End call")
    expect_state(voice, "ended")
    expect(voice.locator("[data-part=line]")).to_contain_text(re.compile(r"It lasted \d\d:\d\d and was free"))
