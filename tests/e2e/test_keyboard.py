"""The voice page without a mouse: order, visible focus, sizes of targets, keys, and where the focus goes by itself."""

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, ViewportSize, expect

from tests.e2e.conftest import OpenPage
from tests.e2e.scripted import exchanges, receive
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
    wait_until_silent,
    wait_until_sounding,
    write,
)

SIZES: tuple[ViewportSize, ...] = ({"width": 1280, "height": 800}, {"width": 390, "height": 844})
LONGEST_WALK = 80
# What has the focus: a name for it, whether its middle can be seen, and how wide its outline is.
FOCUSED = """() => {
  const element = document.activeElement;
  const part = { A: 'link', SUMMARY: 'summary', TEXTAREA: 'text box' };
  const box = element.getBoundingClientRect();
  const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
  const there = document.elementFromPoint(Math.min(x, innerWidth - 1), Math.min(y, innerHeight - 1));
  const style = getComputedStyle(element);
  return {
    name: element.className.includes('skip-link') ? 'skip' : element.closest('header.site-header') ? 'header'
      : element.dataset.action ?? element.dataset.part ?? part[element.tagName] ?? element.tagName.toLowerCase(),
    region: ['.site-header', '.stage', '.transcript', '.log-drawer'].find((region) => element.closest(region)) ?? '',
    seen: y >= 0 && y < innerHeight && x >= 0 && x < innerWidth
      && (element.contains(there) || !!there?.contains(element)),
    outline: element.tagName === 'BODY' ? 0 : parseFloat(style.outlineWidth),
  };
}"""
# Every visible control that is too small, with its size. Checkboxes are as large as their labels.
TOO_SMALL = """() => [...document.querySelectorAll('button, a, summary, select, textarea, input, [tabindex="0"]')]
  .filter((element) => element.checkVisibility({ visibilityProperty: true }))
  .filter((element) => !element.matches('.visually-hidden, [type=hidden]'))
  .map((element) => {
    const label = element.matches('[type=checkbox]') ? element.labels[0] : null;
    const box = (label ?? element).getBoundingClientRect();
    const least = element.matches('a:not(.button), .log-drawer__row, .turn') ? 24 : 44;
    return [element.outerHTML.slice(0, 90), Math.round(box.width), Math.round(box.height), least];
  })
  .filter(([, width, height, least]) => width < least || height < least)"""


def walk(voice: Page) -> list[dict[str, Any]]:
    """Press Tab from the top of the page until it comes around; returns what had the focus, in order."""
    voice.locator(".skip-link").focus()
    steps: list[dict[str, Any]] = [voice.evaluate(FOCUSED)]
    for _ in range(LONGEST_WALK):
        voice.keyboard.press("Tab")
        step: dict[str, Any] = voice.evaluate(FOCUSED)
        if step["name"] in ("body", "skip"):
            return steps
        steps.append(step)
    raise AssertionError("The focus does not come around.")


@pytest.mark.parametrize("size", SIZES, ids=lambda size: str(size["width"]))
def test_items_61_62_all_is_reached_in_order_seen_and_large_enough(
    open_page: OpenPage, silence: Path, size: ViewportSize
) -> None:
    voice = open_page(silence, viewport=size)
    start(voice)
    receive(voice, *exchanges(30))
    expect(conversation(voice).locator("article")).to_have_count(30)
    voice.get_by_label("Write to the assistant").fill("so that it can be sent")
    steps = walk(voice)
    regions = [step["region"] for step in steps]
    in_order = [region for index, region in enumerate(regions) if index == 0 or regions[index - 1] != region]
    assert in_order == ["", ".site-header", ".stage", ".transcript", ".log-drawer"]
    assert {"mute", "end", "turns", "text box"} <= {step["name"] for step in steps}
    assert [step for step in steps if not step["seen"]] == []
    assert [step for step in steps if step["outline"] < 3] == []
    voice.locator(".more > summary").click()
    assert voice.evaluate(TOO_SMALL) == []


def test_item_63_keys_act_but_not_in_fields_nor_when_switched_off(open_page: OpenPage, silence: Path) -> None:
    voice = open_page(silence)
    start(voice)
    voice.keyboard.press("m")
    expect_part(voice, "muted")
    voice.keyboard.press("m")
    expect_part(voice, "listening")
    voice.get_by_label("Write to the assistant").press_sequentially("m?")
    expect(voice.get_by_label("Write to the assistant")).to_have_value("m?")
    expect_part(voice, "listening")
    button(voice, "Mute").focus()
    voice.keyboard.press("?")
    dialog = voice.get_by_role("dialog", name="Keys")
    expect(dialog).to_be_visible()
    dialog.get_by_label("Use M, Space and ? on the whole page").uncheck()
    voice.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(button(voice, "Mute")).to_be_focused()
    voice.keyboard.press("m")
    voice.keyboard.press("?")
    expect(dialog).to_be_hidden()
    expect_part(voice, "listening")
    voice.locator(".more > summary").click()
    press(voice, "Keys")
    expect(dialog).to_be_visible()


def test_item_63_escape_stops_a_reply_but_not_behind_a_dialog(open_page: OpenPage) -> None:
    voice = open_page()
    start_typing(voice)
    write(voice, "count to thirty")
    wait_until_sounding(voice)
    press(voice, "Options")
    voice.keyboard.press("Escape")
    expect(voice.locator("#transcript-options")).to_be_hidden()
    expect_part(voice, "speaking")
    voice.keyboard.press("Escape")
    wait_until_silent(voice, timeout_ms=1000)


def test_item_64_a_reply_is_announced_once_it_is_finished_and_only_on_wish(open_page: OpenPage) -> None:
    voice = open_page()
    start_typing(voice)
    count_announcements(voice)
    delta = {"type": "response.output_audio_transcript.delta", "item_id": "a1", "response_id": "r1", "delta": "word "}
    done = {"type": "response.output_audio_transcript.done", "response_id": "r1", "transcript": "All the words."}
    receive(voice, *[delta] * 40, {**done, "item_id": "a1"})
    expect(turns(voice, "assistant")).to_have_attribute("data-status", "done")
    assert voice.evaluate("announcements") == []
    press(voice, "Options")
    voice.get_by_label("Read replies aloud with a screen reader").check()
    receive(voice, *[{**delta, "item_id": "a2"}] * 40, {**done, "item_id": "a2"})
    expect(voice.locator("[data-part=read-aloud]")).to_have_text("All the words.")
    assert voice.evaluate("announcements") == ["All the words."]


def count_announcements(voice: Page) -> None:
    """Write down, from now on, every text that a live region comes to hold."""
    voice.evaluate(
        """() => {
          globalThis.announcements = [];
          for (const region of document.querySelectorAll('[role=status], [role=alert]')) {
            new MutationObserver(() => region.textContent.trim() && announcements.push(region.textContent.trim()))
              .observe(region, { childList: true, characterData: true, subtree: true });
          }
        }"""
    )


def test_items_65_66_focus_stays_where_one_is_and_names_tell_what_is_done(open_page: OpenPage, silence: Path) -> None:
    voice = open_page(silence)
    call = voice.get_by_role("group", name="Call")
    button(voice, "Start talking").focus()
    expect(call).to_match_aria_snapshot('- group "Call":\n  - button "Start talking"\n  - button "Type instead"')
    voice.keyboard.press("Enter")
    expect_state(voice, "live")
    expect(button(voice, "Mute")).to_be_focused()
    expect(call).to_match_aria_snapshot(
        '- group "Call":\n  - button "Mute"\n  - button "Stop reply" [disabled]\n  - button "End call"'
    )
    voice.keyboard.press("Enter")
    expect(call).to_match_aria_snapshot(
        '- group "Call":\n  - button "Unmute" [pressed]\n  - button "Stop reply" [disabled]\n  - button "End call"'
    )
    expect(button(voice, "Unmute")).to_be_focused()
    button(voice, "End call").focus()
    voice.keyboard.press("Enter")
    expect_state(voice, "ended")
    expect(button(voice, "Start again")).to_be_focused()
    voice.route("**/api/client-secret", lambda route: route.fulfill(status=500, json={"code": "odd"}))
    voice.keyboard.press("Enter")
    expect_headline(voice, "Something went wrong")
    expect(voice.get_by_role("heading", level=1)).to_be_focused()
    expect(voice.get_by_role("alert").filter(has_text="Something went wrong")).to_have_count(1)


def test_item_50_the_connection_is_told_in_the_log_and_a_bad_one_to_everybody(open_page: OpenPage) -> None:
    voice = open_page()
    voice.evaluate(
        """() => { RTCPeerConnection.prototype.getStats = async () => new Map([
          ['pair', { type: 'candidate-pair', nominated: true, currentRoundTripTime: 0.45 }],
          ['in', { type: 'inbound-rtp', packetsLost: 1, packetsReceived: 99 }],
        ]); }"""
    )
    voice.locator(".log-drawer > summary").click()
    start_typing(voice)
    expect(voice.locator("[data-part=connection]")).to_have_text("Connected by WebRTC; round trip 450 ms, loss 1 %.")
    expect(voice.get_by_text("Your connection is unstable")).to_be_visible()
