"""A client secret passes through the page and stays nowhere in it: not during a call, and not after."""

from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect

from tests.e2e.conftest import OpenPage
from tests.e2e.voice_page import expect_state, press, start, turns, write

PLACES = """async () => {
  const read = (key) => { try { return String(window[key]); } catch { return ''; } };
  return JSON.stringify([
    document.documentElement.outerHTML, document.body.innerText, location.href, document.cookie, name,
    [...document.querySelectorAll('input, textarea')].map((field) => field.value),
    { ...localStorage }, { ...sessionStorage }, history.state, Object.getOwnPropertyNames(window).map(read),
    await indexedDB.databases(), 'caches' in window ? await caches.keys() : [],
    performance.getEntries().map((entry) => entry.name),
  ]);
}"""


def secrets_of(voice: Page) -> list[str]:
    """Return the values that the server issues to this page, as they come."""
    seen: list[str] = []

    def take(response: Any) -> None:  # Any: the browser's
        if response.url.endswith("/client-secret"):
            seen.append(response.json()["value"])

    voice.on("response", take)
    return seen


def test_no_value_is_found_in_the_page_its_storage_or_its_console(open_page: OpenPage, silence: Path) -> None:
    voice = open_page(silence)
    told: list[str] = []
    voice.on("console", lambda line: told.append(line.text))
    issued = secrets_of(voice)
    start(voice)
    write(voice, "hello")
    expect(turns(voice, "assistant")).to_have_count(1)
    during = voice.evaluate(PLACES)
    press(voice, "End call")
    expect_state(voice, "ended")
    after = voice.evaluate(PLACES) + "".join(told) + str(voice.context.cookies())

    (value,) = issued
    assert value.startswith("ek_")
    for text in (during, after):
        assert value not in text
        assert value[3:] not in text
