"""No finding of axe-core and no sideways scroll, on each page, in each state, light and dark, wide and narrow."""

import itertools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Page, ViewportSize, expect

from tests.e2e.conftest import OpenPage
from tests.e2e.site import ROOT
from tests.e2e.voice_page import (
    expect_headline,
    expect_line,
    expect_part,
    expect_state,
    lose_connection,
    press,
    start,
    turns,
    wait_until_silent,
    write,
)

AXE = (ROOT / "node_modules/axe-core/axe.min.js").read_text()
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
RULES = {"light": TAGS, "dark": ["color-contrast"]}  # nothing but colours differs in the dark
VIEWPORTS: tuple[ViewportSize, ...] = ({"width": 1280, "height": 800}, {"width": 320, "height": 640})


def findings(voice: Page, rules: list[str] = TAGS) -> list[tuple[str, str]]:
    """Return what axe-core finds by rules, or rules with tags: rule and elements."""
    if not voice.evaluate("'axe' in window"):
        voice.evaluate(AXE)
    report: dict[str, Any] = voice.evaluate("(rules) => axe.run({ runOnly: rules })", rules)
    return [(found["id"], ", ".join(str(node["target"]) for node in found["nodes"])) for found in report["violations"]]


def assert_fine_in_every_dress(voice: Page) -> None:
    for scheme, viewport in itertools.product(SCHEMES, VIEWPORTS):
        voice.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # colours that fade have no contrast yet
        voice.set_viewport_size(viewport)
        assert findings(voice, RULES[scheme]) == [], (scheme, viewport)
        assert_fits(voice)


def assert_fits_with_large_text(voice: Page) -> None:
    """Item 8: as wide as a phone and a tablet, and with text twice as large, as people set it in their browser."""
    session = voice.context.new_cdp_session(voice)
    for text_px, width in ((16, 390), (16, 768), (32, 1280), (32, 320)):
        session.send("Page.setFontSizes", {"fontSizes": {"standard": text_px, "fixed": text_px}})
        voice.set_viewport_size({"width": width, "height": 800})
        assert_fits(voice)
    session.detach()  # what it set goes with it


def assert_fits(voice: Page) -> None:
    """Nothing needs scrolling sideways."""
    assert voice.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, voice.viewport_size


def idle(voice: Page) -> None:
    expect_state(voice, "idle")


def preparing(voice: Page) -> None:
    voice.evaluate("() => { navigator.mediaDevices.getUserMedia = () => new Promise(() => {}); }")
    press(voice, "Start talking")
    expect_state(voice, "preparing")


def minting(voice: Page) -> None:
    voice.route("**/api/client-secret", lambda route: None)  # never answered
    press(voice, "Start talking")
    expect_state(voice, "minting")


def thinking(voice: Page) -> None:
    start(voice)
    voice.evaluate("() => { spiedChannels.at(-1).send = () => {}; }")  # the question never arrives
    write(voice, "count to twenty")
    expect_part(voice, "thinking")


def reconnecting(voice: Page) -> None:
    start(voice)
    voice.context.set_offline(True)
    lose_connection(voice)
    expect_state(voice, "reconnecting")
    expect_line(voice, "You are offline. The call goes on as soon as the network is back.")


def talking(voice: Page) -> None:
    start(voice)
    write(voice, "count to twenty")
    expect_part(voice, "speaking")
    expect(turns(voice, "assistant")).to_contain_text([re.compile("three")])


def interrupted(voice: Page) -> None:
    talking(voice)
    press(voice, "Stop reply")
    wait_until_silent(voice)
    expect(turns(voice, "assistant")).to_contain_text(["You stopped it here"])


def muted(voice: Page) -> None:
    start(voice)
    press(voice, "Mute")
    expect_part(voice, "muted")


def ended(voice: Page) -> None:
    interrupted(voice)
    press(voice, "End call")
    expect_state(voice, "ended")


def blocked(voice: Page) -> None:
    voice.context.clear_permissions()
    press(voice, "Start talking")
    expect_headline(voice, "Microphone is blocked")


def failed(voice: Page) -> None:
    body = {"error": "Odd", "code": "something_new", "message": "", "requestId": "req_77"}
    voice.route("**/api/client-secret", lambda route: route.fulfill(status=500, json=body))
    press(voice, "Start talking")
    expect_headline(voice, "Something went wrong")


STATES = [idle, preparing, minting, thinking, talking, interrupted, muted, reconnecting, ended, blocked, failed]


@pytest.mark.parametrize("reach", STATES, ids=lambda reach: reach.__name__)
def test_item_10_the_voice_page_is_accessible(
    open_page: OpenPage, silence: Path, reach: Callable[[Page], None]
) -> None:
    voice = open_page(silence)
    reach(voice)
    assert_fine_in_every_dress(voice)
    assert_fits_with_large_text(voice)


def test_pages_for_anybody_are_accessible(open_page: OpenPage) -> None:
    login = open_page(signed_in=False)
    assert_fine_in_every_dress(login)
    login.get_by_label("Name").fill("demo")
    login.get_by_label("Password").fill("wrong")
    login.get_by_role("button", name="Sign in").click()
    expect(login.get_by_role("alert")).not_to_be_empty()
    assert_fine_in_every_dress(login)
    for path in ("/accounts/signup/", "/there-is-nothing-here"):
        login.goto(path)
        assert_fine_in_every_dress(login)


def test_item_9_nothing_moves_on_wish_and_forced_colours_leave_the_icons(open_page: OpenPage, silence: Path) -> None:
    voice = open_page(silence)
    talking(voice)
    assert voice.evaluate("document.getAnimations().length") == 0
    voice.emulate_media(forced_colors="active", reduced_motion="reduce")
    painted = """() => {
        const colour = (of) => getComputedStyle(document.querySelector(of)).backgroundColor;
        return ['mute', 'end'].map((name) => colour(`[data-action=${name}] .icon`) !== colour(`[data-action=${name}]`));
    }"""
    assert voice.evaluate(painted) == [True, True]
