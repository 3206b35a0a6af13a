"""An appointment is booked by speaking, over both transports: read back, agreed to, done, on record; or approved."""

import subprocess
import sys
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import OpenPage, Speech
from tests.e2e.site import ROOT, Site, run_in_shell, wait_for
from tests.e2e.voice_page import conversation, expect_state, open_settings, press, start, start_typing, write

BOOKING_MS = 30_000
WISH = "Please book an appointment on Monday at {}, my name is Peter, my phone number is 5 5 5, 1 2, 3 4."
APPROVAL = "from tools.models import Tool; Tool.objects.filter(name='create_booking').update(approval='{}')"
SWITCH = "from agents.models import Agent; Agent.objects.filter(slug='booking').update(enabled={})"


@pytest.fixture
def appointments(site: Site) -> Iterator[None]:
    """The example's agent, which other tests do not expect."""
    subprocess.run([sys.executable, "manage.py", "booking_agent"], cwd=ROOT, env=site.environment, check=True)
    run_in_shell(site, SWITCH.format(True))
    yield
    run_in_shell(site, SWITCH.format(False))


@pytest.mark.parametrize(("transport", "hour", "at"), [
    ("webrtc", "ten o'clock", "10:00:00"), ("websocket", "eleven o'clock", "11:00:00"),
])  # fmt: skip
def test_an_appointment_is_booked_by_voice(
    appointments: None, open_page: OpenPage, speech: Speech, site: Site, transport: str, hour: str, at: str
) -> None:
    voice = open_page(speech((2.0, WISH.format(hour)), (4.0, "Yes, please.")))
    voice.get_by_label("Assistant", exact=True).select_option("booking")
    if transport == "websocket":
        open_settings(voice)
        voice.get_by_label("Connection", exact=True).select_option("websocket")
    start(voice)
    expect(conversation(voice)).to_contain_text("So that is: name Peter", timeout=BOOKING_MS)
    expect(conversation(voice)).to_contain_text("Done: booked Monday", timeout=BOOKING_MS)
    press(voice, "End call")
    expect_state(voice, "ended")

    wait_for("the call to be closed", lambda: site.last_call("state") == ("ended",), site)
    assert site.last_call("transport") == (transport,)
    assert site.rows(f"SELECT name, phone, booked_by FROM booking_booking WHERE time = '{at}'") == [
        ("Peter", "5551234", "demo")
    ]
    (call,) = site.last_call("id")
    ((row, name, state),) = site.rows(f"SELECT id, name, state FROM tools_toolcall WHERE call_id = {call}")
    assert (name, state) == ("create_booking", "done")
    events = f"SELECT action FROM audit_auditevent WHERE target = 'toolcall:{row}' ORDER BY id"
    assert site.rows(events) == [("tool.requested",), ("tool.done",)]


@pytest.fixture
def approved_by_person(site: Site, appointments: None) -> Iterator[None]:
    run_in_shell(site, APPROVAL.format("person"))
    yield
    run_in_shell(site, APPROVAL.format("none"))


def ask_for_it(voice: Page) -> None:
    voice.get_by_label("Assistant", exact=True).select_option("booking")
    start_typing(voice)
    expect(conversation(voice)).to_contain_text("Which day would suit you?")
    write(voice, "Book Tuesday at two pm, my name is Ann, my number is 5551234")
    expect(conversation(voice)).to_contain_text("Is that right?")
    write(voice, "Yes")
    expect(voice.get_by_role("dialog", name="Allow “Book an appointment”?")).to_contain_text("5551234")


def test_a_tool_that_needs_a_word_waits_for_it(approved_by_person: None, open_page: OpenPage, site: Site) -> None:
    voice = open_page()
    ask_for_it(voice)
    voice.keyboard.press("Escape")
    voice.get_by_role("button", name="Don't allow").press("Enter")
    expect(conversation(voice)).to_contain_text("did not approve this")
    assert site.rows("SELECT count(*) FROM booking_booking WHERE name = 'Ann'") == [(0,)]

    write(voice, "Book Tuesday at two pm, my name is Ann, my number is 5551234")
    expect(conversation(voice).get_by_text("Is that right?")).to_have_count(2)
    write(voice, "Yes")
    press(voice, "Allow")
    expect(conversation(voice)).to_contain_text("Done: booked Tuesday")
    expect(voice.get_by_role("dialog")).to_be_hidden()
    press(voice, "End call")
