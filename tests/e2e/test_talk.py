"""The main job in a real browser: speak, be understood, hear an answer that depends on it."""

import re

from playwright.sync_api import Page, expect

from tests.e2e.conftest import OpenPage, Site, Speech

LIVE_MS = 10_000


def start(page: Page) -> None:
    page.get_by_role("button", name="Start talking").click()
    expect(page.locator("body")).to_have_attribute("data-state", "live", timeout=LIVE_MS)


def transcript(page: Page) -> str:
    return page.get_by_role("log").inner_text().lower()


def wait_until_silent(page: Page) -> None:
    """Wait until the page measures a level (RMS, 0 to 1) below 0.005 in what it plays."""
    expect(page.locator("body")).to_have_attribute("data-output-level", re.compile(r"^0(\.00[0-4]\d*)?$"))


def wait_until_sounding(page: Page) -> None:
    """Wait until the page measures a level above 0.01 in what it plays."""
    expect(page.locator("body")).to_have_attribute(
        "data-output-level", re.compile(r"^0\.(0[1-9]|[1-9])"), timeout=LIVE_MS
    )


def test_a_spoken_question_gets_a_spoken_answer(open_page: OpenPage, speech: Speech, site: Site) -> None:
    page = open_page(speech((2.5, "Please count to five.")))
    start(page)
    wait_until_sounding(page)
    expect(page.get_by_role("log")).to_contain_text(re.compile("count to (five|5)", re.I))
    expect(page.get_by_role("log")).to_contain_text(re.compile("one.*two.*three.*four.*five", re.I | re.S))
    page.get_by_role("button", name="End call").click()
    expect(page.locator("body")).to_have_attribute("data-state", "ended")
    assert site.rows("SELECT status, username, agent FROM tokens_issuance ORDER BY id DESC LIMIT 1") == [
        ("issued", "demo", "assistant")
    ]
