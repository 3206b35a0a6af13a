"""A page of somebody else, with the official SDK's own session as its quickstart shows it, works with our server."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import OpenPage, Speech
from tests.e2e.site import ROOT, USER_NAME, Site, run_in_shell
from tests.e2e.voice_page import HEARD_MS, LIVE_MS

HERE = Path(__file__).parent
SDK = ROOT / "node_modules/@openai/agents-realtime/dist/bundle/openai-realtime-agents.umd.js"


@pytest.fixture
def quickstart(open_page: OpenPage, speech: Speech) -> Page:
    """The plain page, served on the site's own origin by the test alone."""
    return open_quickstart(open_page(speech((3.0, "Please count to five."))), "quickstart.js")


def open_quickstart(voice: Page, script: str, search: str = "") -> Page:
    serve(voice, f"/quickstart/{search}", "text/html", (HERE / "quickstart.html").read_text())
    serve(voice, "/quickstart/page.js", "text/javascript", (HERE / script).read_text())
    serve(voice, "/quickstart/sdk.js", "text/javascript", SDK.read_text().partition("//# sourceMappingURL=data:")[0])
    voice.goto(f"/quickstart/{search}")
    return voice


def serve(voice: Page, path: str, kind: str, text: str) -> None:
    voice.route(lambda url: url.endswith(path), lambda route: route.fulfill(content_type=kind, body=text))


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


@pytest.fixture
def own_sessions(site: Site) -> Iterator[None]:
    """Let the demo account bring sessions of its own."""
    user = f"User.objects.get(username={USER_NAME!r})"
    imports = "from django.contrib.auth.models import User; from tokens.models import Policy; "
    run_in_shell(site, f"{imports}Policy.objects.create(user={user}, own_session=True)")
    yield
    run_in_shell(site, f"{imports}Policy.objects.filter(user={user}).delete()")


def say(quickstart: Page, text: str) -> None:
    quickstart.evaluate("(text) => dispatchEvent(new CustomEvent('say', { detail: text }))", text)


@pytest.mark.usefixtures("own_sessions")
def test_the_sdks_session_runs_its_tool_and_is_interrupted_over_both_transports(
    open_page: OpenPage, silence: Path, site: Site
) -> None:
    for way in ("webrtc", "websocket"):
        # The test itself answers for this page, so the browser does not know that it comes from this machine, too.
        voice = open_page(silence, permissions=["microphone", "local-network-access"])
        quickstart = open_quickstart(voice, "quickstart_tools.js", f"?{way}")
        html = quickstart.locator("html")
        expect(html).to_have_attribute("data-connected", "true", timeout=LIVE_MS)
        say(quickstart, "Find the book Dune")
        expect(html).to_have_attribute("data-title", "Dune")
        expect(html).to_have_attribute("data-history", re.compile("two copies on the second floor"), timeout=HEARD_MS)
        say(quickstart, "Count to thirty")
        expect(html).to_have_attribute("data-said", re.compile("One, two, three"), timeout=HEARD_MS)
        expect(html).to_have_attribute("data-sounding" if way == "webrtc" else "data-sound-bytes", re.compile("."))
        quickstart.evaluate("() => dispatchEvent(new Event('interrupt'))")
        expect(html).to_have_attribute("data-interrupted", "true")
        assert html.get_attribute("data-error") is None
        assert site.last_call("transport, state") == (way, "live")
        quickstart.close()
