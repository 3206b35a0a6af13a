"""The control room beside a stranger's call: seen, read along, cut, in two browsers, with every step on record."""

from pathlib import Path

from playwright.sync_api import Page, expect

from tests.e2e.conftest import OpenPage
from tests.e2e.site import Site, run_in_shell, start_processes, wait_for
from tests.e2e.test_accessibility import assert_fine_in_every_dress
from tests.e2e.voice_page import expect_headline, start_typing, turns, write

SOON_MS = 2_000
ANN = """
from django.contrib.auth.models import User
User.objects.create_user("ann", password="a-long-password-of-ann")
"""


def open_ann(open_page: OpenPage, at: Site) -> Page:
    page = open_page(at=at, signed_in=False, path="/accounts/login/")
    page.get_by_label("Name").fill("ann")
    page.get_by_label("Password").fill("a-long-password-of-ann")
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{at.url}/")
    return page


def test_item_88_a_stranger_s_call_is_seen_read_and_cut_and_all_is_on_record(
    open_page: OpenPage, site: Site, tmp_path: Path
) -> None:
    priced = start_processes(  # the engine by a key: what it does has a price then
        tmp_path, ("web", "worker"), OPENAI_API_KEY="sk-end-to-end-engine",
        OPENAI_BASE_URL=f"{site.engine_url}/v1", ENGINE_PORT="1",
    )  # fmt: skip
    try:
        run_in_shell(priced, ANN)
        staff = open_page(at=priced, path="/admin/live/")
        voice = open_ann(open_page, priced)
        start_typing(voice)
        staff.bring_to_front()
        row = staff.locator("tbody tr").filter(has_text="ann")
        expect(row).to_contain_text("Live", timeout=SOON_MS + 1000)
        assert_fine_in_every_dress(staff)
        wait_for("a worker to see the call", lambda: priced.last_call("monitoring") == ("joined",), priced)
        write(voice, "Say: good morning")
        expect(turns(voice, "assistant")).to_contain_text(["good morning"])
        expect(row.locator("[data-field=cost]")).to_contain_text("$0.0", timeout=10_000)

        row.get_by_role("link").click()
        staff.get_by_role("link", name="Read what is said").click()
        expect(staff.get_by_role("log")).to_contain_text("good morning")
        expect(voice.locator("[data-part=watched]")).to_have_text("An administrator is watching")
        assert_fine_in_every_dress(staff)

        staff.get_by_label("Reason, which the person reads").fill("Please call again tomorrow")
        staff.get_by_role("button", name="Hang up").click()
        expect_headline(voice, "An administrator ended this call", SOON_MS)
        expect(voice.locator("[data-part=line]")).to_contain_text("Reason given: Please call again tomorrow")
        expect(voice.locator("[data-part=watched]")).to_be_empty()
        expect(staff.get_by_text("The call is over.")).to_be_visible()
        actor = priced.rows("SELECT 'user:' || id FROM auth_user WHERE username = 'demo'")[0][0]
        steps = priced.rows(f"SELECT action FROM audit_auditevent WHERE actor = '{actor}' AND target LIKE 'call:%'")
        assert steps == [("call.watched",), ("call.ended",)]
    finally:
        priced.stop()
