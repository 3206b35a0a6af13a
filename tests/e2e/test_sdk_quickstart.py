"""A page of somebody else, with the official SDK's own session as its quickstart shows it, works with our server."""

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import OpenPage, Speech
from tests.e2e.site import ROOT, Site
from tests.e2e.voice_page import HEARD_MS, LIVE_MS

HERE = Path(__file__).parent
SDK = ROOT / "node_modules/@openai/agents-realtime/dist/bundle/openai-realtime-agents.umd.js"


@pytest.fixture
def quickstart(open_page: OpenPage, speech: Speech) -> Page:
    """The plain page, served on the site's own origin by the test alone."""
    voice = open_page(speech((3.0, "Please count to five.")))
    serve(voice, "/quickstart/", "text/html", (HERE / "quickstart.html").read_text())
    serve(voice, "/quickstart/page.js", "text/javascript", (HERE / "quickstart.js").read_text())
    serve(voice, "/quickstart/sdk.js", "text/javascript", SDK.read_text().partition("//# sourceMappingURL=data:")[0])
    voice.goto("/quickstart/")
    return voice


def serve(voice: Page, path: str, kind: str, text: str) -> None:
    voice.route(f"**{path}", lambda route: route.fulfill(content_type=kind, body=text))


def test_the_sdks_own_session_talks_with_our_server(quickstart: Page, site: Site) -> None:
    html = quickstart.locator("html")
    expect(html).to_have_attribute("data-connected", "true", timeout=LIVE_MS)
    expect(html).to_have_attribute("data-call-id", re.compile("^rtc_"))
    expect(html).to_have_attribute("data-history", re.compile("one, two, three, four, five", re.I), timeout=HEARD_MS)
    expect(html).to_have_attribute("data-loudest", re.compile(r"^0\.[1-9]"))
    history = json.loads(html.get_attribute("data-history") or "[]")
    said = {item["role"]: item["content"][0]["transcript"] for item in history}
    assert re.search("count to (five|5)", said["user"], re.I)
    assert html.get_attribute("data-error") is None
    assert site.last_issuance("status, first_used_at IS NOT NULL") == ("issued", 1)
