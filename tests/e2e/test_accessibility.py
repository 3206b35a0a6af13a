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
    expect_part,
    expect_state,
    press,
    start,
    turns,
    wait_until_silent,
    write,
)

AXE = (ROOT / "node_modules/axe-core/axe.min.js").read_text()
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
VIEWPORTS: tuple[ViewportSize, ...] = ({"width": 1280, "height": 800}, {"width": 320, "height": 640})


def findings(voice: Page, rules: list[str] = TAGS) -> list[tuple[str, str]]:
    """Return what axe-core finds by rules, or rules with tags: rule and elements."""
    if not voice.evaluate("'axe' in window"):
        voice.evaluate(AXE)
    report: dict[str, Any] = voice.evaluate("(rules) => axe.run({ runOnly: rules })", rules)
    return [(found["id"], ", ".join(str(node["target"]) for node in found["nodes"])) for found in report["violations"]]


def assert_fine_in_every_dress(voice: Page) -> None:
    """Only colours differ between light and dark, so that only their contrast is looked at twice."""
    for scheme, viewport in itertools.product(SCHEMES, VIEWPORTS):
        voice.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # colours that fade have no contrast yet
        voice.set_viewport_size(viewport)
        assert findings(voice, TAGS if scheme == "light" else ["color-contrast"]) == [], (scheme, viewport)
        assert voice.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, (scheme, viewport)


def idle(voice: Page) -> None:
    expect_state(voice, "idle")


def preparing(voice: Page) -> None:
    voice.evaluate("() => { navigator.mediaDevices.getUserMedia = () => new Promise(() => {}); }")
    press(voice, "Start talking")
    expect_state(voice, "preparing")


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


STATES = [idle, preparing, talking, interrupted, muted, ended, blocked, failed]


@pytest.mark.parametrize("reach", STATES, ids=lambda reach: reach.__name__)
def test_the_voice_page_is_accessible(open_page: OpenPage, silence: Path, reach: Callable[[Page], None]) -> None:
    voice = open_page(silence)
    reach(voice)
    assert_fine_in_every_dress(voice)


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


def test_nothing_moves_for_who_wants_less_motion(open_page: OpenPage, silence: Path) -> None:
    voice = open_page(silence)
    talking(voice)
    assert voice.evaluate("document.getAnimations().length") == 0
