"""The voice page, as the tests use it. Every wait is on an attribute or a text of the page."""

import json
import re
from typing import Final

from playwright.sync_api import Locator, Page, expect

LIVE_MS: Final = 10_000
HEARD_MS: Final = 15_000
SILENT = re.compile(r"^0(\.00[0-4]\d*)?$")
SOUNDING = re.compile(r"^0\.(0[1-9]|[1-9])|^1")


def press(voice: Page, name: str) -> None:
    button(voice, name).click()


def button(voice: Page, name: str) -> Locator:
    return voice.get_by_role("button", name=name, exact=True)


def expect_state(voice: Page, state: str, timeout_ms: float = LIVE_MS) -> None:
    expect(voice.locator("body")).to_have_attribute("data-state", state, timeout=timeout_ms)


def expect_part(voice: Page, part: str, timeout_ms: float = HEARD_MS) -> None:
    """Wait for a part of a live call: listening, hearing, thinking, speaking or muted."""
    expect(voice.locator("body")).to_have_attribute("data-live", part, timeout=timeout_ms)


def expect_headline(voice: Page, text: str, timeout_ms: float = LIVE_MS) -> None:
    expect(voice.get_by_role("heading", level=1)).to_have_text(text, timeout=timeout_ms)


def expect_line(voice: Page, text: str | re.Pattern[str]) -> None:
    expect(voice.locator("[data-part=line]")).to_have_text(text)


def expect_held(voice: Page, *, tracks: int, connections: int, contexts: int) -> None:
    """Wait until the page holds just this many live microphone tracks, peer connections and audio contexts."""
    html = voice.locator("html")
    expect(html).to_have_attribute("data-live-tracks", str(tracks))
    expect(html).to_have_attribute("data-open-connections", str(connections))
    expect(html).to_have_attribute("data-open-contexts", str(contexts))


def start(voice: Page) -> None:
    press(voice, "Start talking")
    expect_state(voice, "live")


def start_typing(voice: Page) -> None:
    press(voice, "Type instead")
    expect_state(voice, "live")


def write(voice: Page, text: str) -> None:
    box = voice.get_by_label("Write to the assistant")
    box.fill(text)
    box.press("Enter")


def conversation(voice: Page) -> Locator:
    return voice.get_by_role("log")


def turns(voice: Page, who: str) -> Locator:
    return conversation(voice).locator(f"article[data-who={who}]")


def choose_way(voice: Page, name: str) -> None:
    """Choose under More how calls connect: automatic, webrtc or websocket."""
    voice.locator("details.more > summary").click()
    voice.get_by_label("Connection", exact=True).select_option(name)


def lose_connection(voice: Page) -> None:
    """Break the newest connection of the page, as if the other side had gone without a word."""
    voice.evaluate(
        "() => [...spiedChannels, ...spiedSockets].findLast((each) => [1, 'open'].includes(each.readyState)).close()"
    )


def wait_until_silent(voice: Page, timeout_ms: float = LIVE_MS) -> None:
    """Wait until the page measures a level (RMS, 0 to 1) below 0.005 in what it plays."""
    expect(voice.locator("body")).to_have_attribute("data-output-level", SILENT, timeout=timeout_ms)


def wait_until_sounding(voice: Page, timeout_ms: float = HEARD_MS) -> None:
    """Wait until the page measures a level above 0.01 in what it plays."""
    expect(voice.locator("body")).to_have_attribute("data-output-level", SOUNDING, timeout=timeout_ms)


def states_of(voice: Page) -> dict[str, int]:
    """Return when the page came last into each state, in milliseconds since it was opened."""
    states = json.loads(voice.locator("html").get_attribute("data-states") or "[]")
    return {entry["state"]: entry["atMs"] for entry in states}


def microphone_note(voice: Page) -> Locator:
    return voice.locator("[data-part=microphone-note]")


def open_settings(voice: Page) -> None:
    voice.locator("details.more > summary").click()
