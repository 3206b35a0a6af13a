"""Pictures of the voice page's states and of the administration, to be looked at: `pytest tests/e2e -m pictures`.

They are written to `test-results/pictures/`, wide and narrow, light and dark. Nothing is compared.
"""

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, ViewportSize, expect

from tests.e2e.conftest import OpenPage
from tests.e2e.site import ROOT
from tests.e2e.test_accessibility import SCHEMES, STATES
from tests.e2e.test_admin_pages import LISTS, OWN_PAGES
from tests.e2e.voice_page import start_typing

pytestmark = pytest.mark.pictures
FOLDER = ROOT / "test-results" / "pictures"
SIZES: tuple[ViewportSize, ...] = ({"width": 390, "height": 844}, {"width": 1280, "height": 800})
ADMIN_PAGES = ["", *OWN_PAGES, *LISTS, "agents/agent/1/change/", "tokens/policy/add/"]
DOCS = "/api/docs/"
PEOPLES_PAGES = ["/usage/", "/keys/", "/calls/", "/accounts/security/", DOCS]


def take(page: Page, name: str) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for scheme, size in itertools.product(SCHEMES, SIZES):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        page.set_viewport_size(size)
        page.screenshot(path=FOLDER / f"{name}-{size['width']}-{scheme}.png", full_page=True)


@pytest.mark.parametrize("reach", STATES, ids=lambda reach: reach.__name__)
def test_item_94_the_voice_page_in_each_state(
    open_page: OpenPage, silence: Path, reach: Callable[[Page], None]
) -> None:
    voice = open_page(silence)
    reach(voice)
    take(voice, f"voice-{reach.__name__}")


def test_item_94_the_pages_of_people_and_of_the_administration(open_page: OpenPage) -> None:
    page = open_page()
    start_typing(page)
    for path in [*PEOPLES_PAGES, *(f"/admin/{path}" for path in ADMIN_PAGES)]:
        page.goto(path)
        if path == DOCS:
            expect(page.locator(".opblock").first).to_be_visible()  # drawn by a script
        take(page, path.partition("?")[0].strip("/").replace("/", "-"))
