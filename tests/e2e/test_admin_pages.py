"""The administration in a browser: by its content policy, readable on a phone, times in the reader's own zone."""

import itertools
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import OpenPage
from tests.e2e.test_accessibility import SCHEMES, VIEWPORTS, assert_fine_in_every_dress
from tests.e2e.voice_page import start_typing

OWN_PAGES = [
    "overview/", "overview/?period=90d", "integrity/", "whose/", "end-everything/?user=1",
    "agents/agent/1/versions/",
]  # fmt: skip
LISTS = ["tokens/issuance/?status=issued", "relay/call/?state=ended", "audit/auditevent/?action=call.created"]


@pytest.fixture
def admin(open_page: OpenPage) -> Page:
    """Open the administration, of a person nine hours ahead, after a call."""
    voice = open_page(timezone_id="Asia/Tokyo")
    start_typing(voice)
    voice.goto("/admin/")
    return voice


def test_our_own_pages_are_fine_for_everybody(admin: Page) -> None:
    for path in [*OWN_PAGES, *LISTS]:
        admin.goto(f"/admin/{path}")
        assert_fine_in_every_dress(admin)


def test_lists_need_no_scrolling_sideways_and_a_phone_shows_cards(admin: Page) -> None:
    for path, scheme, viewport in itertools.product(LISTS, SCHEMES, VIEWPORTS):
        admin.emulate_media(color_scheme=scheme)
        admin.set_viewport_size(viewport)
        admin.goto(f"/admin/{path}")
        cell = admin.locator("#result_list tbody tr").first.locator("td").last
        expect(cell).to_be_visible()
        box = cell.bounding_box()
        assert box, path
        assert box["x"] + box["width"] <= viewport["width"], (path, viewport)
        assert admin.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, (path, viewport)


def test_times_are_the_reader_s_and_so_are_days(admin: Page) -> None:
    admin.goto("/admin/tokens/issuance/")
    shown = admin.locator("#result_list time").first
    utc = datetime.fromisoformat(str(shown.get_attribute("datetime")))
    expect(shown).to_have_text(f"{utc.astimezone(ZoneInfo('Asia/Tokyo')):%Y-%m-%d %H:%M:%S}")
    expect(shown).to_have_attribute("title", f"{utc:%Y-%m-%d %H:%M:%S} UTC")
    expect(admin.get_by_text("Times are in Asia/Tokyo.")).to_be_visible()

    day = f"{utc.astimezone(ZoneInfo('Asia/Tokyo')):%Y-%m-%d}"
    for label in ("From", "Up to"):
        admin.get_by_label(label).fill(day)
    admin.locator("form", has=admin.get_by_label("From")).get_by_role("button", name="Apply").click()
    chip = admin.get_by_role("link", name=f"Days: {day} (Asia/Tokyo)")
    expect(chip).to_be_visible()
    expect(admin.locator("#result_list time").first).to_have_attribute("datetime", str(shown.get_attribute("datetime")))
    chip.click()
    expect(chip).to_have_count(0)


def test_a_filter_keeps_the_others_in_use(admin: Page) -> None:
    admin.goto("/admin/tokens/issuance/?status=issued")
    admin.get_by_label("Agent", exact=True).select_option("assistant")
    admin.locator("form", has=admin.get_by_label("Agent", exact=True)).get_by_role("button", name="Apply").click()

    expect(admin.get_by_role("list", name="Filters in use").get_by_role("listitem")).to_have_count(2)


def test_a_value_is_looked_up_and_leaves_no_trace_in_the_page(admin: Page) -> None:
    admin.goto("/admin/whose/")
    value = "ek_" + "0" * 64
    admin.get_by_label("The value").fill(value)
    admin.get_by_role("button", name="Whose is it?").click()

    expect(admin.get_by_role("status")).to_have_text("No client secret and no API key of this server has that value.")
    assert value not in admin.content()
    assert value not in admin.url
