"""The REST API's page in a browser: no other origin, no breach of the policy (`open_page` watches both), usable."""

from playwright.sync_api import Page, ViewportSize, expect

from api_docs.operations import OPERATIONS
from tests.e2e.conftest import OpenPage
from tests.e2e.site import Site
from tests.e2e.test_accessibility import RULES, SCHEMES, findings

# Swagger UI's own markup, which nobody can change from outside: buttons within buttons, unnamed lists, a second <main>.
OF_SWAGGER = {
    "heading-order",
    "label",
    "landmark-main-is-top-level",
    "landmark-no-duplicate-main",
    "landmark-unique",
    "nested-interactive",
    "select-name",
}
NARROW: ViewportSize = {"width": 320, "height": 640}


def open_operation(page: Page) -> None:
    page.get_by_role("button", name="post /api/client-secret", exact=False).first.click()
    expect(page.get_by_role("heading", name="Responses")).to_be_visible()


def test_every_route_is_listed_and_one_can_be_tried(open_page: OpenPage, site: Site) -> None:
    page = open_page(path="/api/docs/")
    expect(page.locator(".opblock-summary-path")).to_have_count(len(OPERATIONS))
    open_operation(page)
    page.get_by_role("button", name="Try it out").click()
    page.get_by_role("button", name="Execute").click()

    expect(page.locator(".live-responses-table .response-col_status").nth(1)).to_have_text("200")
    assert site.last_issuance("status, kind") == ("issued", "relayed")


def test_it_can_be_read_in_every_dress(open_page: OpenPage) -> None:
    page = open_page(path="/api/docs/")
    open_operation(page)
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme)
        assert [found for found in findings(page, RULES[scheme]) if found[0] not in OF_SWAGGER] == [], scheme
    page.set_viewport_size(NARROW)

    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
