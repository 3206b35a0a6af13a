"""An administrator changes an agent, tries the draft, publishes it and goes back."""

from playwright.sync_api import Page, expect

from tests.e2e.conftest import OpenPage
from tests.e2e.voice_page import expect_state, press, start_typing


def test_item_89_edit_try_publish_and_go_back(open_page: OpenPage) -> None:
    admin = open_page(path="/admin/agents/agent/")
    admin.get_by_role("link", name="Assistant").click()
    admin.get_by_label("Greeting").fill("Good day.")
    admin.get_by_label("Note").fill("Greets first")
    admin.get_by_role("button", name="Save and continue editing").click()
    expect(admin.get_by_text("is a draft of demo")).to_be_visible()

    try_it(admin)
    admin.get_by_role("link", name="Back to the agent").click()
    admin.get_by_role("button", name="Publish version").click()
    expect(admin.get_by_text("People talk to version 2")).to_have_count(2)

    admin.get_by_role("link", name="All versions").click()
    expect(admin.get_by_role("region", name="Version 2")).to_contain_text("+Good day.")
    admin.get_by_role("button", name="Go back to version 1").click()
    expect(admin.get_by_role("region", name="Version 3")).to_contain_text("Back to version 1")


def try_it(admin: Page) -> None:
    admin.get_by_role("link", name="Try version 2").click()
    expect(admin.get_by_text("You are trying version 2.")).to_be_visible()
    start_typing(admin)
    expect_state(admin, "live")
    press(admin, "End call")
    expect_state(admin, "ended")
