"""Hidden tabs, phones, locked screens and headsets: what a call does there."""

import re
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.e2e.conftest import OpenPage
from tests.e2e.voice_page import (
    button,
    conversation,
    expect_headline,
    expect_part,
    expect_state,
    press,
    start,
    start_typing,
    turns,
    wait_until_sounding,
    write,
)

HIDE = "Object.defineProperty(document, 'hidden', { configurable: true, value: true })"
SHOW = "delete document.hidden"
TOLD = "document.dispatchEvent(new Event('visibilitychange'))"
COUNT_DRAWINGS = """() => {
    const { clearRect } = CanvasRenderingContext2D.prototype;
    let drawings = 0;
    CanvasRenderingContext2D.prototype.clearRect = function (...where) {
        document.documentElement.dataset.drawings = String((drawings += 1));
        clearRect.apply(this, where);
    };
}"""
REFUSE_PLAYING_ONCE = """() => {
    const { play } = HTMLMediaElement.prototype;
    HTMLMediaElement.prototype.play = async function () {
        HTMLMediaElement.prototype.play = play;
        throw new DOMException('', 'NotAllowedError');
    };
}"""


def drawings(voice: Page) -> str:
    return voice.locator("html").get_attribute("data-drawings") or ""


def a_second_of_the_call(voice: Page) -> None:
    """Wait until the call's clock has moved."""
    timer = voice.get_by_role("timer")
    shown = timer.text_content() or ""
    expect(timer).not_to_have_text(shown)


def test_items_33_and_67_a_hidden_tab_draws_nothing_and_the_call_goes_on(open_page: OpenPage, silence: Path) -> None:
    voice = open_page(silence)
    voice.evaluate(COUNT_DRAWINGS)
    start(voice)
    expect(voice).to_have_title(re.compile("^● Live"))
    seen = drawings(voice)
    expect(voice.locator("html")).not_to_have_attribute("data-drawings", seen)
    voice.evaluate(HIDE)
    voice.evaluate(TOLD)
    hidden = drawings(voice)
    a_second_of_the_call(voice)
    assert drawings(voice) == hidden
    expect_state(voice, "live")
    press(voice, "Mute")
    expect(voice).to_have_title(re.compile("^● Muted"))
    voice.evaluate(SHOW)
    voice.evaluate(TOLD)
    expect(voice.locator("html")).not_to_have_attribute("data-drawings", hidden)


def test_item_33_the_orb_is_hidden_when_there_is_nothing_to_hear(open_page: OpenPage, silence: Path) -> None:
    voice = open_page(silence, allow=False)
    expect(voice.locator("canvas")).to_be_visible()
    press(voice, "Start talking")
    expect_state(voice, "blocked")
    expect(voice.locator("canvas")).to_be_hidden()


def test_items_68_and_71_the_screen_stays_on_and_the_keys_mute(open_page: OpenPage, silence: Path) -> None:
    voice = open_page(silence)
    html = voice.locator("html")
    voice.context.add_init_script(
        """
        WakeLock.prototype.request = async () => {
            document.documentElement.dataset.locks = 'held';
            return { released: false, release: async () => { document.documentElement.dataset.locks = 'free'; } };
        };
        globalThis.keys = {};
        MediaSession.prototype.setActionHandler = (action, handle) => { keys[action] = handle; };
        """
    )
    voice.reload()
    start(voice)
    expect(html).to_have_attribute("data-locks", "held")
    voice.evaluate("keys.pause()")
    expect_part(voice, "muted")
    assert voice.evaluate("navigator.mediaSession.playbackState") == "paused"
    voice.evaluate("keys.play()")
    expect_part(voice, "listening")
    voice.evaluate("keys.hangup()")
    expect_state(voice, "ended")
    expect(html).to_have_attribute("data-locks", "free")
    assert voice.evaluate("keys.pause") is None


def test_item_69_sound_that_the_system_took_comes_back(open_page: OpenPage) -> None:
    voice = open_page()
    start_typing(voice)
    write(voice, "count to twenty")
    wait_until_sounding(voice)
    player = voice.locator("audio")
    voice.evaluate("document.querySelector('audio').pause()")
    expect(player).to_have_js_property("paused", value=False)
    voice.evaluate(REFUSE_PLAYING_ONCE)
    voice.evaluate(TOLD)
    press(voice, "Resume sound")
    expect(button(voice, "Resume sound")).to_be_hidden()


def test_item_70_a_phone_shows_the_conversation_at_once(open_page: OpenPage, silence: Path) -> None:
    voice = open_page(silence, viewport={"width": 390, "height": 844})
    start(voice)
    write(voice, "count to three")
    expect(turns(voice, "assistant")).to_contain_text(["One, two, three."])
    first = conversation(voice).locator("article").first.bounding_box()
    end = button(voice, "End call").bounding_box()
    box = voice.get_by_label("Write to the assistant").bounding_box()
    assert first is not None
    assert end is not None
    assert box is not None
    assert first["y"] < 420
    assert 744 < end["y"] + end["height"] <= 844
    assert box["y"] + box["height"] < end["y"]
    settings = voice.locator("details.more")
    expect(settings.get_by_label("Microphone", exact=True)).to_be_hidden()
    settings.locator("summary").click()
    expect(settings.get_by_label("Microphone", exact=True)).to_be_visible()
    expect(button(voice, "End call")).to_be_in_viewport(ratio=1)
    voice.set_viewport_size({"width": 390, "height": 450})  # the keyboard is up
    settings.locator("summary").click()
    button(voice, "End call").scroll_into_view_if_needed()
    for part in (voice.get_by_label("Write to the assistant"), button(voice, "End call")):
        expect(part).to_be_in_viewport(ratio=1)
    expect(conversation(voice)).to_be_in_viewport()


def test_item_20_a_stream_of_its_own_is_used(open_page: OpenPage, silence: Path) -> None:
    voice = open_page(silence)
    voice.evaluate(
        """() => {
            const ask = navigator.mediaDevices.getUserMedia;
            navigator.mediaDevices.getUserMedia = async () => {
                navigator.mediaDevices.getUserMedia = ask;
                throw new DOMException('', 'NotAllowedError');
            };
        }"""
    )
    press(voice, "Start talking")
    expect_state(voice, "blocked")
    voice.evaluate(
        """async () => {
            const own = document.querySelector('microphone');
            Object.defineProperty(own, 'stream', { value: await navigator.mediaDevices.getUserMedia({ audio: true }) });
            own.dispatchEvent(new Event('stream'));
        }"""
    )
    expect_state(voice, "live")
    expect(voice.locator("html")).to_have_attribute("data-live-tracks", "1")
    expect(voice.locator("html")).to_have_attribute("data-asked", "1")


def test_item_21_nothing_starts_by_itself_when_it_is_allowed(open_page: OpenPage, silence: Path) -> None:
    voice = open_page(silence, allow=False)
    press(voice, "Start talking")
    expect_headline(voice, "Microphone is blocked")
    expect(voice.locator("microphone")).to_be_attached()
    voice.context.grant_permissions(["microphone"])
    expect_headline(voice, "Microphone allowed.")
    expect(voice.locator("microphone")).not_to_be_attached()
    expect(button(voice, "Try again")).to_be_enabled()
    expect_state(voice, "blocked")
    press(voice, "Try again")
    expect_state(voice, "live")
