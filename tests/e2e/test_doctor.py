"""The connection check: what it finds when all is well, and when it is not."""

import json

from playwright.sync_api import Locator, Page, expect

from tests.e2e.conftest import OpenPage, Speech
from tests.e2e.site import Site
from tests.e2e.test_accessibility import assert_fine_in_every_dress
from tests.e2e.voice_page import expect_headline, expect_held, open_settings, press

NAMES = ["secure", "permission", "microphone", "level", "server", "clock", "allowed", "socket", "webrtc"]


def finished(voice: Page) -> Locator:
    dialog = voice.get_by_role("dialog")
    expect(dialog).to_have_attribute("data-state", "done", timeout=20_000)
    return dialog


def verdicts(dialog: Locator) -> dict[str, str | None]:
    return {name: dialog.locator(f"[data-check={name}]").get_attribute("data-verdict") for name in NAMES}


def test_the_connection_check_finds_all_well(open_page: OpenPage, speech: Speech, site: Site) -> None:
    before = site.rows("SELECT count(*) FROM tokens_issuance")
    voice = open_page(speech((0.3, "one two three four five six seven")))
    voice.context.grant_permissions(["microphone", "clipboard-read", "clipboard-write"])
    open_settings(voice)
    press(voice, "Check the connection")
    dialog = finished(voice)
    assert verdicts(dialog) == dict.fromkeys(NAMES, "good")
    expect(dialog.get_by_role("status")).to_have_text("Everything that can be checked here is fine.")
    expect_held(voice, tracks=0, connections=0, contexts=0)
    press(voice, "Copy the report")
    expect(dialog.get_by_role("status")).to_have_text("Copied.")
    report = voice.evaluate("navigator.clipboard.readText()")
    assert "socket: open, not_authenticated" in report
    assert "host/udp" in report
    voice.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    assert site.rows("SELECT count(*) FROM tokens_issuance") == before


def test_the_connection_check_names_what_is_wrong(open_page: OpenPage) -> None:
    voice = open_page(allow=False)
    voice.route(
        "**/readyz", lambda route: route.fulfill(status=503, json={"reasons": {"cache": "It does not answer."}})
    )
    refusal = {"code": "quota_exceeded", "message": "The allowance is used up.", "requestId": "req_7"}
    voice.route("**/dry-run", lambda route: route.fulfill(status=403, body=json.dumps(refusal)))
    voice.route_web_socket("**/v1/realtime*", lambda socket: socket.close())
    press(voice, "Start talking")
    expect_headline(voice, "No microphone found")
    press(voice, "Check the connection")
    dialog = finished(voice)
    found = verdicts(dialog)
    assert {name for name, verdict in found.items() if verdict == "bad"} >= {
        "microphone",
        "server",
        "allowed",
        "socket",
    }
    assert found["level"] == "skipped"
    expect(dialog.locator("[data-check=allowed]")).to_contain_text("The allowance is used up.")
    assert_fine_in_every_dress(voice)
    press(voice, "Close")
    expect(voice.get_by_role("dialog")).to_be_hidden()
