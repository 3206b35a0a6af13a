"""What the person sees when a part is missing or dies, and what is left behind."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import OpenPage
from tests.e2e.site import ROOT, Site, start_processes, wait_for
from tests.e2e.voice_page import (
    button,
    choose_way,
    conversation,
    expect_headline,
    expect_held,
    expect_line,
    expect_state,
    press,
    start,
    start_typing,
    turns,
    write,
)

INTERRUPTED_WITHIN_MS = 8_000
LOST_WITHIN_MS = 15_000
FAILED_WITHIN_MS = 20_000
MOMENTS = "SELECT julianday(requested_at) * 86400 FROM tokens_issuance ORDER BY id"
SDK_FILE = "static/vendor/openai-realtime-transports.js"


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[Site]:
    """The application in processes that do not end one another, as in production."""
    running = start_processes(tmp_path, ("web", "worker", "engine"))
    yield running
    running.stop()
    assert "Traceback" not in running.output()


def seconds_between(one: tuple[object, ...], other: tuple[object, ...]) -> float:
    return float(str(other[0])) - float(str(one[0]))


def test_item_51_an_engine_that_dies_during_a_call_and_one_that_is_not_there_are_told(
    open_page: OpenPage, silence: Path, parts: Site
) -> None:
    voice = open_page(silence, at=parts)
    start(voice)
    write(voice, "hello")
    expect(turns(voice, "assistant")).to_have_count(1)
    parts.kill("engine")
    expect_headline(voice, "Connection interrupted", timeout_ms=INTERRUPTED_WITHIN_MS)
    expect_state(voice, "reconnecting", timeout_ms=LOST_WITHIN_MS)
    expect_headline(voice, "Connection lost")
    expect_state(voice, "failed", timeout_ms=FAILED_WITHIN_MS)
    expect_headline(voice, "Connection lost")
    expect(conversation(voice)).to_contain_text("hello")
    expect(button(voice, "Download transcript")).to_be_visible()
    expect_held(voice, tracks=0, connections=0, contexts=0)
    tries = parts.rows("SELECT state, end_reason, error_code FROM relay_call ORDER BY id")
    assert tries == [("ended", "connection_lost", ""), *3 * [("failed", "", "openai_api_unavailable")]]
    first, second, third = parts.rows(MOMENTS)[1:]
    assert 2 <= seconds_between(first, second) < 4 <= seconds_between(second, third) < 6

    press(voice, "Try again")
    expect_headline(voice, "The voice service isn't answering")
    expect_line(
        voice, "Nothing is wrong with your microphone. The local engine is not running. Start it with: make run"
    )
    expect_held(voice, tracks=0, connections=0, contexts=0)
    assert parts.last_call("state, error_code") == ("failed", "openai_api_unavailable")


def test_a_hang_up_by_a_program_is_noticed_at_once_and_explained(
    open_page: OpenPage, silence: Path, site: Site
) -> None:
    voice = open_page(silence)
    start(voice)
    answer = voice.evaluate(
        """async ([callId, token]) => {
            const headers = { 'X-CSRFToken': token };
            return (await fetch(`/v1/realtime/calls/${callId}/hangup`, { method: 'POST', headers })).status;
        }""",
        [
            voice.locator("body").get_attribute("data-call-id"),
            voice.locator("meta[name=csrf-token]").get_attribute("content"),
        ],
    )
    assert answer == 200
    expect_headline(voice, "Call ended", timeout_ms=3000)
    expect_line(voice, re.compile("^It was hung up from another page or program of yours. It lasted "))
    expect_held(voice, tracks=0, connections=0, contexts=0)
    assert site.last_call("state, end_reason") == ("ended", "hung_up")


def test_a_hang_up_by_an_administrator_is_told_as_such(open_page: OpenPage, silence: Path, site: Site) -> None:
    voice = open_page(silence)
    start(voice)
    admin = voice.context.new_page()
    admin.goto("/admin/relay/call/?state=live")
    admin.locator("#result_list .action-select").first.check()
    admin.locator("select[name=action]").select_option("hang_up")
    admin.get_by_role("button", name="Go", exact=True).click()
    expect(admin.get_by_text("1 calls ended.")).to_be_visible()
    voice.bring_to_front()
    expect_headline(voice, "An administrator ended this call", timeout_ms=3000)
    assert site.last_call("end_reason") == ("administrator",)


def test_item_48_a_limit_of_ten_seconds_ends_calls_in_time_over_both_transports_and_says_so(
    open_page: OpenPage, silence: Path, tmp_path: Path
) -> None:
    limited = start_processes(tmp_path, ("web", "worker", "engine"), CALL_MAX_S="10")
    pages = [open_page(silence, at=limited) for _ in range(2)]
    choose_way(pages[1], "websocket")
    for voice in pages:
        start(voice)
    for voice in pages:
        expect_headline(voice, "Call ended", timeout_ms=20_000)
        expect_line(voice, re.compile("^The longest time for one call was reached."))
    ended = limited.rows(
        "SELECT transport, end_reason, (julianday(ended_at) - julianday(started_at)) * 86400"
        " FROM relay_call ORDER BY id"
    )
    assert [row[:2] for row in ended] == [("webrtc", "time_limit"), ("websocket", "time_limit")]
    assert all(10 <= float(str(row[2])) <= 12 for row in ended)
    limited.stop()
    assert "Traceback" not in limited.output()


def test_item_48_it_is_said_in_time_that_a_call_must_end(open_page: OpenPage) -> None:
    voice = open_page()
    known = {"state": "live", "endReason": None, "isFree": True, "assistantMuted": False, "secondsLeft": 300.2}
    voice.route("**/api/calls/*/events", lambda route: route.fulfill(json=known))
    start_typing(voice)
    expect(voice.get_by_text("This call ends in 5 minutes.")).to_be_visible()


def test_an_end_is_told_although_the_voice_service_keeps_the_connection(
    open_page: OpenPage, silence: Path, site: Site
) -> None:
    voice = open_page(silence)
    start(voice)
    site.rows(
        "UPDATE relay_call SET state = 'ended', ended_at = datetime('now'), end_reason = 'budget' WHERE upstream_id = "
        f"'{voice.locator('body').get_attribute('data-call-id')}'"
    )
    expect_headline(voice, "Call ended", timeout_ms=3000)
    expect_line(voice, re.compile("^What you may spend is used up."))
    expect_held(voice, tracks=0, connections=0, contexts=0)


def test_a_conversation_goes_on_past_the_session_s_limit_of_twenty_seconds(
    open_page: OpenPage, silence: Path, tmp_path: Path
) -> None:
    short = start_processes(
        tmp_path, ("web", "worker", "engine"), ENGINE_SESSION_LIFE_S="20", CALL_MAX_S="7200", CALLS_AT_ONCE="1"
    )
    voice = open_page(silence, at=short)
    start(voice)
    write(voice, "say apples")
    expect(turns(voice, "assistant")).to_contain_text([re.compile("apples", re.I)])
    expect(conversation(voice)).to_contain_text("Connected again.", timeout=25_000)
    expect_state(voice, "live")
    write(voice, "say pears")
    expect(turns(voice, "assistant")).to_contain_text([re.compile("apples", re.I), re.compile("pears", re.I)])
    expect_held(voice, tracks=1, connections=1, contexts=1)
    wait_for(
        "the calls to be joined", lambda: bool(short.rows("SELECT 1 FROM relay_call WHERE continues_id = 1")), short
    )
    first, second = short.rows("SELECT end_reason, state FROM relay_call ORDER BY id")
    assert (first, second) == (("renewed", "ended"), ("", "live"))
    short.stop()
    assert "Traceback" not in short.output()


def test_without_key_and_engine_the_page_says_what_to_set(open_page: OpenPage, tmp_path: Path) -> None:
    bare = start_processes(tmp_path, ("web",), LOCAL_ENGINE="false")
    voice = open_page(at=bare)
    press(voice, "Type instead")
    expect_headline(voice, "Voice isn't set up yet")
    expect(voice.locator("[data-part=line]")).to_contain_text("OPENAI_API_KEY")
    assert bare.last_issuance("status, error_code") == ("failed", "not_configured")
    bare.stop()
    assert "Traceback" not in bare.output()


def test_without_the_audio_library_the_page_names_the_command(open_page: OpenPage, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy_project(copy)
    (copy / SDK_FILE).unlink()
    bare = start_processes(tmp_path, ("web",), root=copy)
    voice = open_page(at=bare)
    expect_headline(voice, "The audio library has not been built.")
    expect(voice.get_by_role("main")).to_contain_text("Run: python manage.py assets")
    bare.stop()
    assert "Traceback" not in bare.output()


def copy_project(copy: Path) -> None:
    """Copy what the web process needs, to leave something out of it."""
    left_out = shutil.ignore_patterns(".*", "node_modules", "tests", "var", "staticfiles", "__pycache__")
    shutil.copytree(ROOT, copy, ignore=left_out)
    for name in (".venv", "staticfiles"):
        (copy / name).symlink_to(ROOT / name)


def test_an_audio_library_that_does_not_arrive_is_told(open_page: OpenPage) -> None:
    voice = open_page()
    voice.route("**/vendor/*", lambda route: route.fulfill(status=404))
    press(voice, "Type instead")
    expect_headline(voice, "The audio library could not be loaded")
    expect(button(voice, "Reload the page")).to_be_visible()
    expect_held(voice, tracks=0, connections=0, contexts=0)
