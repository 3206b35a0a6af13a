"""A connection that is lost or cannot be had: the call goes on, in another connection or another way."""

import re
from pathlib import Path

from playwright.sync_api import Route, expect

from tests.e2e.conftest import OpenPage, Speech
from tests.e2e.site import Site, wait_for
from tests.e2e.test_socket_calls import Wire
from tests.e2e.voice_page import (
    HEARD_MS,
    button,
    choose_way,
    conversation,
    expect_held,
    expect_line,
    expect_part,
    expect_state,
    lose_connection,
    press,
    start,
    start_typing,
    turns,
    wait_until_sounding,
    write,
)

NO_PATH_MS = 15_000
CANDIDATE = re.compile(r"^(a=candidate:(?:\S+ ){5})\d+ ", re.M)
DISCARD_PORT = 9


def last_two(site: Site) -> list[tuple[object, ...]]:
    """Return the newest two calls, the newer first: transport, end, and whether it continues the other."""
    rows = site.rows("SELECT transport, end_reason, continues_id, id FROM relay_call ORDER BY id DESC LIMIT 2")
    return [(rows[0][0], rows[0][1], rows[0][2] == rows[1][3]), (rows[1][0], rows[1][1], None)]


def test_item_51_a_lost_connection_goes_on_with_the_same_microphone(
    open_page: OpenPage, silence: Path, site: Site
) -> None:
    voice = open_page(silence)
    start(voice)
    write(voice, "say apples")
    expect(turns(voice, "assistant")).to_contain_text([re.compile("apples", re.I)])
    press(voice, "Mute")
    lose_connection(voice)
    expect_state(voice, "reconnecting")
    expect_line(voice, re.compile(r"^Trying again in 1 s \(attempt 1 of 3\)\."))
    expect_state(voice, "live")
    expect_part(voice, "muted")
    expect(conversation(voice)).to_contain_text("Connected again. The assistant knows what was said before.")
    expect(turns(voice, "user")).to_have_count(1)
    expect_held(voice, tracks=1, connections=1, contexts=1)
    expect(voice.locator("html")).to_have_attribute("data-asked", "1")
    expect(voice.locator("html")).to_have_attribute("data-enabled-tracks", "0")
    wait_for("the calls to be joined", lambda: last_two(site)[0] == ("webrtc", "", True), site)
    assert last_two(site)[1] == ("webrtc", "connection_lost", None)
    write(voice, "say pears")
    expect(turns(voice, "assistant")).to_contain_text([re.compile("apples", re.I), re.compile("pears", re.I)])


def test_item_51_a_socket_that_breaks_goes_on_in_another(open_page: OpenPage, silence: Path, site: Site) -> None:
    voice = open_page(silence)
    wire = Wire()
    voice.on("websocket", wire.watch)
    choose_way(voice, "websocket")
    start(voice)
    write(voice, "say apples")
    expect(turns(voice, "assistant")).to_contain_text([re.compile("apples", re.I)])
    lose_connection(voice)
    expect_state(voice, "reconnecting")
    expect_state(voice, "live")
    repeated = [event["item"] for _, event in wire.sent if event.get("item", {}).get("id", "").startswith("earlier_")]
    assert [item["role"] for item in repeated] == ["user", "assistant"]
    assert [event for _, event in wire.received if event["type"] == "error"] == []
    wait_for("the calls to be joined", lambda: last_two(site)[0] == ("websocket", "", True), site)


def test_item_52_offline_it_waits_and_item_44_keeps_what_was_typed(open_page: OpenPage, silence: Path) -> None:
    voice = open_page(silence)
    start(voice)
    voice.get_by_label("Write to the assistant").fill("half a question")
    voice.context.set_offline(True)
    lose_connection(voice)
    expect_state(voice, "reconnecting")
    expect_line(voice, re.compile("^You are offline."))
    expect(button(voice, "Try now")).to_be_enabled()
    voice.context.set_offline(False)
    expect_state(voice, "live")
    expect(voice.get_by_label("Write to the assistant")).to_have_value("half a question")


def test_item_53_without_a_path_for_sound_the_call_goes_by_websocket(
    open_page: OpenPage, speech: Speech, site: Site
) -> None:
    voice = open_page(speech((11.0, "Please count to five.")))
    voice.route("**/v1/realtime/calls", answer_without_path)
    press(voice, "Start talking")
    expect_state(voice, "live", timeout_ms=NO_PATH_MS)
    expect(voice.get_by_text("Using the fallback connection: the direct one could not be set up.")).to_be_visible()
    wait_until_sounding(voice)
    expect(turns(voice, "user")).to_contain_text([re.compile("count to (five|5)", re.I)], timeout=HEARD_MS)
    assert last_two(site) == [("websocket", "", False), ("webrtc", "connection_lost", None)]


def answer_without_path(route: Route) -> None:
    """Let the call be made, but point its sound to where nobody listens."""
    answer = route.fetch()
    route.fulfill(response=answer, body=CANDIDATE.sub(rf"\g<1>{DISCARD_PORT} ", answer.text()))


def test_item_53_a_browser_without_webrtc_says_so_and_is_heard(open_page: OpenPage) -> None:
    voice = open_page()
    voice.add_init_script("delete globalThis.RTCPeerConnection;")
    voice.reload()
    start_typing(voice)
    expect(voice.get_by_text("Using the fallback connection: this browser has no WebRTC.")).to_be_visible()
    write(voice, "say hello")
    wait_until_sounding(voice)
