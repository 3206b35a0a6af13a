"""What one has left, in a browser: on every screen, light and dark."""

from playwright.sync_api import expect

from tests.e2e.conftest import OpenPage
from tests.e2e.test_accessibility import assert_fine_in_every_dress


def test_it_is_found_from_every_page_and_fine_on_every_screen(open_page: OpenPage) -> None:
    page = open_page()
    page.get_by_role("link", name="Usage").click()

    expect(page.get_by_role("heading", name="What you have left")).to_be_visible()
    expect(page.get_by_text("Starts anew on")).to_have_count(2)
    assert_fine_in_every_dress(page)
