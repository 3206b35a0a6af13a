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
    conversation,
    expect_headline,
    expect_held,
    expect_line,
    press,
    start,
    turns,
    write,
)

INTERRUPTED_WITHIN_MS = 8_000
LOST_WITHIN_MS = 15_000
SDK_FILE = "static/vendor/openai-realtime-transports.js"


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[Site]:
    """The application in processes that do not end one another, as in production."""
    running = start_processes(tmp_path, ("web", "worker", "engine"))
    yield running
    running.stop()
    assert "Traceback" not in running.output()


def test_an_engine_that_dies_during_a_call_and_one_that_is_not_there_are_told(
    open_page: OpenPage, silence: Path, parts: Site
) -> None:
    voice = open_page(silence, at=parts)
    start(voice)
    write(voice, "hello")
    expect(turns(voice, "assistant")).to_have_count(1)
    parts.kill("engine")
    expect_headline(voice, "Connection interrupted", timeout_ms=INTERRUPTED_WITHIN_MS)
    expect_headline(voice, "Connection lost", timeout_ms=LOST_WITHIN_MS)
    expect(conversation(voice)).to_contain_text("hello")
    expect(button(voice, "Download transcript")).to_be_visible()
    expect_held(voice, tracks=0, connections=0, contexts=0)
    wait_for("the call to be closed", lambda: parts.last_call("state") == ("ended",), parts)
    assert parts.rows("SELECT state, end_reason FROM relay_call") == [("ended", "connection_lost")]
    assert parts.rows("SELECT status FROM tokens_issuance") == [("issued",)]

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
    expect_line(voice, re.compile("^It was hung up by one of your programs. It lasted "))
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


def test_a_limit_of_ten_seconds_ends_a_call_in_time_and_says_so(
    open_page: OpenPage, silence: Path, tmp_path: Path
) -> None:
    limited = start_processes(tmp_path, ("web", "worker", "engine"), CALL_MAX_S="10")
    voice = open_page(silence, at=limited)
    start(voice)
    expect_headline(voice, "Call ended", timeout_ms=20_000)
    expect_line(voice, re.compile("^The longest time for one call was reached."))
    ((seconds, reason),) = limited.rows(
        "SELECT (julianday(ended_at) - julianday(started_at)) * 86400, end_reason FROM relay_call"
    )
    assert reason == "time_limit"
    assert 10 <= float(str(seconds)) <= 12
    limited.stop()
    assert "Traceback" not in limited.output()


def test_a_data_channel_that_closes_alone_ends_the_call(open_page: OpenPage, silence: Path) -> None:
    voice = open_page(silence)
    start(voice)
    voice.evaluate("() => spiedChannels[0].close()")
    expect_headline(voice, "Connection lost", timeout_ms=3000)
    expect_held(voice, tracks=0, connections=0, contexts=0)


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
