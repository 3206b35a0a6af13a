"""One's own API keys in a browser: made, copied, used, revoked."""

import requests
from playwright.sync_api import expect

from tests.e2e.conftest import OpenPage
from tests.e2e.site import Site
from tests.e2e.test_accessibility import assert_fine_in_every_dress


def test_a_key_is_made_copied_used_and_revoked(open_page: OpenPage, site: Site) -> None:
    page = open_page()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("link", name="Keys").click()
    page.get_by_label("Name").fill("kiosk")
    page.get_by_role("button", name="Make a key").click()
    value = page.locator("#new-key").inner_text()
    page.get_by_role("button", name="Copy").click()

    expect(page.get_by_role("button", name="Copied.")).to_be_visible()
    assert page.evaluate("() => navigator.clipboard.readText()") == value
    assert status_with(site, value) == 200
    assert_fine_in_every_dress(page)
    page.get_by_role("link", name="Revoke kiosk").click()
    assert_fine_in_every_dress(page)
    page.get_by_role("button", name="Revoke the key").click()

    expect(page.get_by_text("You have no keys yet.")).to_be_visible()
    assert status_with(site, value) == 401
    assert value not in page.content()


def status_with(site: Site, value: str) -> int:
    return requests.get(f"{site.url}/v1/models", headers={"Authorization": f"Bearer {value}"}, timeout=5).status_code
