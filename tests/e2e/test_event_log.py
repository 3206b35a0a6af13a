"""The event log of the voice page, by keyboard alone; and what of a call can be read from it."""

import json

from playwright.sync_api import expect

from tests.e2e.conftest import OpenPage
from tests.e2e.scripted import receive
from tests.e2e.voice_page import start_typing, turns, write


def test_items_57_58_59_the_event_log_is_read_by_keyboard_and_taken_away(open_page: OpenPage) -> None:
    voice = open_page()
    start_typing(voice)
    summary = voice.locator(".log-drawer > summary")
    log_rows = voice.locator(".log-drawer__row")
    shown_kind = voice.get_by_role("combobox", name="Show")
    expect(log_rows).to_have_count(0)
    summary.press("Enter")
    receive(voice, *[{"type": "response.function_call_arguments.delta", "item_id": "f", "delta": "x"}] * 5_000)
    folded = log_rows.filter(has_text="response.function_call_arguments.delta")
    expect(folded).to_contain_text("5000")
    expect(folded).to_contain_text("received")
    folded.focus()
    folded.press("Enter")
    expect(folded).to_have_attribute("aria-expanded", "true")
    expect(voice.locator(".log-drawer pre:visible")).to_contain_text('"delta": "x"')
    folded.press("Enter")
    expect(voice.locator(".log-drawer pre:visible")).to_have_count(0)
    receive(voice, {"type": "error", "error": {"code": "odd", "message": "Bearer ek_not-for-you"}})
    shown_kind.select_option("Errors only")
    expect(log_rows).to_have_count(1)
    shown_kind.select_option("All")
    write(voice, "say hello")
    expect(turns(voice, "assistant").last).to_contain_text("hello")
    with voice.expect_download() as downloading:
        voice.get_by_role("button", name="Download .jsonl").press("Enter")
    lines = downloading.value.path().read_text()
    events = [json.loads(line) for line in lines.splitlines()]
    assert {"sent", "received"} == {event["direction"] for event in events}
    assert "not-for-you" not in lines
    voice.get_by_label("Search the events").fill("session.created")
    expect(log_rows).to_have_count(1)
    voice.get_by_role("button", name="Clear the log").press("Enter")
    expect(log_rows).to_have_count(0)
    voice.reload()
    expect(voice.locator(".log-drawer")).to_have_attribute("open", "")
