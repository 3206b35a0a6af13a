"""An agent with a tool, a handoff and a guardrail, made by the administration alone, as docs/agents.md tells it."""

from playwright.sync_api import Page, expect

from tests.e2e.conftest import OpenPage
from tests.e2e.site import Site
from tests.e2e.voice_page import (
    button,
    choose_way,
    conversation,
    expect_state,
    lose_connection,
    microphone_note,
    press,
    start_typing,
    write,
)


def test_an_agent_with_a_tool_a_handoff_and_a_guardrail(open_page: OpenPage, site: Site) -> None:
    admin = open_page(path="/admin/agents/guardrail/add/")
    name_it(admin, "Room numbers")
    admin.get_by_role("textbox", name="Words:", exact=True).fill("seventeen")
    admin.get_by_label("Safe line").fill("Let us talk about something else.")
    admin.get_by_role("button", name="Save", exact=True).click()

    make_agent(admin, "Billing", "Talk about invoices.")
    publish(admin)
    make_agent(admin, "Front desk", "Help guests.", "Today's date", "Room numbers", "Billing")
    publish(admin)

    admin.goto("/")
    admin.get_by_label("Assistant").first.select_option(label="Front desk")
    start_typing(admin)
    says(admin, "What is the current date?", "Looked up: current date")
    says(admin, "Repeat after me: we have seventeen rooms.", "It broke this assistant's rules.")
    says(admin, "Please transfer me to billing.", "You talk to Billing now")
    press(admin, "End call")

    press(admin, "Type again")
    go_on_with(admin, "Billing")
    press(admin, "End call")

    choose_way(admin, "websocket")
    press(admin, "Type again")
    go_on_with(admin, "Billing")
    lose_connection(admin)
    expect(conversation(admin).get_by_text("Connected again.")).to_be_visible()
    press(admin, "End call")
    assert [site.last_issuance("agent")] == site.rows("SELECT slug FROM agents_agent WHERE name = 'Billing'")

    admin.route("**/api/client-secret", lambda route: route.fulfill(status=403, json={"code": "policy_denied"}))
    press(admin, "Type again")
    press(admin, "Choose another")
    expect(admin.get_by_label("Assistant").first).to_be_focused()
    expect(button(admin, "Start talking")).to_be_visible()


def go_on_with(voice: Page, name: str) -> None:
    """Have another assistant take over, by keyboard alone; from then on nobody is left to go on with."""
    expect_state(voice, "live")
    expect(voice.get_by_label("Assistant").first).to_be_disabled()
    expect(voice.get_by_text("End the call to change.")).to_be_hidden()
    button(voice, "Change assistant").press("Enter")
    voice.keyboard.press("Tab")
    expect(button(voice, name)).to_be_focused()
    voice.keyboard.press("Enter")
    expect(conversation(voice).get_by_text(f"You talk to {name} now")).to_be_visible()
    expect(microphone_note(voice)).to_have_text(f"You talk to {name} now")
    expect(button(voice, "Change assistant")).to_be_hidden()
    expect(voice.get_by_text("End the call to change.")).to_be_visible()
    expect(voice.get_by_role("heading", level=1)).to_be_focused()


def make_agent(admin: Page, name: str, instructions: str, *chosen: str) -> None:
    admin.goto("/admin/agents/agent/add/")
    name_it(admin, name)
    admin.get_by_label("Instructions").fill(instructions)
    for label in chosen:
        admin.get_by_role("checkbox", name=label, exact=True).check()
    admin.get_by_role("button", name="Save and continue editing").click()


def publish(admin: Page) -> None:
    admin.get_by_role("button", name="Publish version 1").click()
    expect(admin.get_by_text("calls that run keep theirs")).to_be_visible()


def name_it(admin: Page, name: str) -> None:
    admin.get_by_role("textbox", name="Name:", exact=True).fill(name)
    admin.get_by_role("textbox", name="Slug:", exact=True).fill(name.lower().replace(" ", "-"))


def says(voice: Page, text: str, shown: str) -> None:
    """Write something, and wait for what the conversation shows then."""
    write(voice, text)
    expect(voice.get_by_role("log").get_by_text(shown)).to_be_visible()
