"""The microphone: refused, missing or busy there is still typing; and whatever way a call ends, it is given back."""

from collections.abc import Callable
from pathlib import Path
from statistics import median

import pytest
from playwright.sync_api import Page, Route, expect

from tests.e2e.conftest import OpenPage
from tests.e2e.site import Site, wait_for
from tests.e2e.voice_page import (
    button,
    expect_headline,
    expect_held,
    expect_line,
    expect_state,
    press,
    start,
    states_of,
    turns,
    wait_until_sounding,
    write,
)

CONNECTED_WITHIN_MS = 1500


def refuse_microphone(name: str, message: str = "") -> str:
    """Return a script that lets every request for the microphone fail with an error of that name."""
    refusing = f"async () => {{ throw new DOMException('{message}', '{name}'); }}"
    return f"() => {{ navigator.mediaDevices.getUserMedia = {refusing}; }}"


def expect_typing_to_work(voice: Page) -> None:
    press(voice, "Type instead")
    expect_state(voice, "live")
    expect_headline(voice, "Type your question")
    expect(voice.get_by_label("Write to the assistant")).to_be_focused()
    write(voice, "count to three")
    wait_until_sounding(voice)
    expect(turns(voice, "assistant")).to_contain_text(["One, two, three."])


def test_item_19_a_denied_microphone_is_explained_and_typing_works(open_page: OpenPage, silence: Path) -> None:
    voice = open_page(silence, allow=False)
    press(voice, "Start talking")
    expect_headline(voice, "Microphone is blocked")
    expect(voice.get_by_role("listitem")).to_have_text(
        ["Click the icon at the left of the address.", "Switch Microphone on.", "Press Try again."]
    )
    expect(voice.get_by_role("heading", level=1)).to_be_focused()
    expect_typing_to_work(voice)


def test_item_18_a_missing_microphone_is_explained_and_typing_works(open_page: OpenPage) -> None:
    voice = open_page()
    press(voice, "Start talking")
    expect_headline(voice, "No microphone found")
    expect_line(voice, "Plug one in, then try again.")
    expect_typing_to_work(voice)


def test_item_18_a_busy_microphone_is_explained(open_page: OpenPage) -> None:
    voice = open_page()
    voice.evaluate(refuse_microphone("NotReadableError"))
    press(voice, "Start talking")
    expect_headline(voice, "Microphone is busy")
    expect_line(voice, "Another program is using the microphone. Close it, then try again.")


def test_item_18_a_question_that_was_waved_away_can_be_asked_again(open_page: OpenPage) -> None:
    voice = open_page()
    voice.evaluate(refuse_microphone("NotAllowedError", "Permission dismissed"))
    press(voice, "Start talking")
    expect_headline(voice, "The microphone wasn't allowed")
    expect(button(voice, "Try again")).to_be_enabled()


def test_item_13_nothing_is_asked_for_before_start(open_page: OpenPage, silence: Path, site: Site) -> None:
    before = site.rows("SELECT count(*) FROM tokens_issuance")
    voice = open_page(silence)
    expect(button(voice, "Start talking")).to_be_enabled()
    expect(voice.locator("html")).to_have_attribute("data-asked", "0")
    assert site.rows("SELECT count(*) FROM tokens_issuance") == before


def test_ending_a_call_gives_everything_back(open_page: OpenPage, silence: Path, site: Site) -> None:
    voice = open_page(silence)
    start(voice)
    expect_held(voice, tracks=1, connections=1, contexts=1)
    press(voice, "End call")
    expect_headline(voice, "Call ended")
    expect_held(voice, tracks=0, connections=0, contexts=0)
    expect(voice.locator("html")).to_have_attribute("data-players", "0")
    wait_for("the engine to hang up", lambda: site.calls_in_engine() == 0, site)
    wait_for("the end to be on record", lambda: site.last_call("state, end_reason") == ("ended", "user"), site)


def test_item_95_ten_calls_in_a_row_are_quick_and_leave_nothing_behind(
    open_page: OpenPage, silence: Path, site: Site
) -> None:
    voice = open_page(silence)
    took_ms = []
    for name in ["Start talking", *["Start again"] * 9]:
        press(voice, name)
        expect_state(voice, "live")
        press(voice, "End call")
        expect_state(voice, "ended")
        reached = states_of(voice)
        took_ms.append(reached["live"] - reached["preparing"])
    expect_held(voice, tracks=0, connections=0, contexts=0)
    wait_for("the engine to hang up", lambda: site.calls_in_engine() == 0, site)
    print(f"Start to live: median of ten {median(took_ms):.0f} ms, longest {max(took_ms)} ms")
    assert median(took_ms) < CONNECTED_WITHIN_MS


def test_item_15_start_pressed_twice_makes_one_call(open_page: OpenPage, silence: Path, site: Site) -> None:
    before = site.rows("SELECT count(*) FROM relay_call")[0][0]
    voice = open_page(silence)
    button(voice, "Start talking").dblclick()
    expect_state(voice, "live")
    expect_held(voice, tracks=1, connections=1, contexts=1)
    assert site.rows("SELECT count(*) FROM relay_call")[0][0] == int(str(before)) + 1


@pytest.mark.parametrize(
    "leave", [lambda voice: voice.goto("/admin/"), lambda voice: voice.reload()], ids=["for another", "for itself"]
)
def test_item_15_leaving_the_page_ends_the_call(
    open_page: OpenPage, silence: Path, site: Site, leave: Callable[[Page], object]
) -> None:
    voice = open_page(silence)
    start(voice)
    leave(voice)
    wait_for("the call to end", lambda: site.last_call("state, end_reason") == ("ended", "page_closed"), site)
    wait_for("the engine to hang up", lambda: site.calls_in_engine() == 0, site)


def test_leaving_the_page_stops_the_microphone(open_page: OpenPage, silence: Path) -> None:
    voice = open_page(silence)
    start(voice)
    voice.reload()
    assert voice.evaluate("sessionStorage.getItem('tracksLeft')") == "0"


def hold(voice: Page, path: str) -> list[Route]:
    """Let requests to a path wait; returns them."""
    held: list[Route] = []
    voice.route(f"**{path}", lambda route: held.append(route))
    return held


def test_item_14_cancel_while_the_browser_asks_gives_a_late_microphone_back(open_page: OpenPage, silence: Path) -> None:
    voice = open_page(silence)
    voice.evaluate(
        """() => {
            const ask = navigator.mediaDevices.getUserMedia;
            navigator.mediaDevices.getUserMedia = async (wish) => {
                await new Promise((resolve) => addEventListener('answered', resolve));
                return ask(wish);
            };
        }"""
    )
    press(voice, "Start talking")
    expect_headline(voice, "Checking your microphone…")
    press(voice, "Cancel")
    expect_state(voice, "idle")
    voice.evaluate("dispatchEvent(new Event('answered'))")
    expect(voice.locator("html")).to_have_attribute("data-asked", "1")
    expect_held(voice, tracks=0, connections=0, contexts=0)


@pytest.mark.parametrize(
    ("path", "headline"),
    [("/api/client-secret", "Getting a session…"), ("/v1/realtime/calls", "Connecting…")],
)
def test_item_14_cancel_stops_what_was_begun(
    open_page: OpenPage, silence: Path, site: Site, path: str, headline: str
) -> None:
    earlier_calls = site.rows("SELECT coalesce(max(id), 0) FROM relay_call")[0][0]  # of pages that were closed at once
    voice = open_page(silence)
    held = hold(voice, path)
    press(voice, "Start talking")
    expect_headline(voice, headline)
    press(voice, "Cancel")
    expect_state(voice, "idle")
    expect_held(voice, tracks=0, connections=0, contexts=0)
    for route in held:
        route.continue_()
    voice.unroute(f"**{path}")
    start(voice)
    press(voice, "End call")
    wait_for("the engine to hang up both", lambda: site.calls_in_engine() == 0, site)
    own_open = f"SELECT 1 FROM relay_call WHERE ended_at IS NULL AND id > {earlier_calls}"
    wait_for("no call of this page to stay open", lambda: site.rows(own_open) == [], site)


def test_item_32_a_reply_that_the_browser_keeps_silent_can_be_played(open_page: OpenPage) -> None:
    voice = open_page()
    voice.evaluate(
        """() => {
            const { play } = HTMLMediaElement.prototype;
            HTMLMediaElement.prototype.play = async function () {
                HTMLMediaElement.prototype.play = play;
                throw new DOMException('', 'NotAllowedError');
            };
        }"""
    )
    press(voice, "Type instead")
    expect(button(voice, "Play sound")).to_be_visible()
    press(voice, "Play sound")
    expect(button(voice, "Play sound")).to_be_hidden()
    write(voice, "count to three")
    wait_until_sounding(voice)
