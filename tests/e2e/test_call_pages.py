"""One's own calls in a browser: rows that change by themselves, more rows in place, and all of it without a script."""

import re

from playwright.sync_api import expect

from tests.e2e.conftest import OpenPage
from tests.e2e.site import Site, run_in_shell, wait_for
from tests.e2e.test_accessibility import assert_fine_in_every_dress
from tests.e2e.voice_page import expect_part, expect_state, start_typing, turns, write

SOON_MS = 2_000
MANY_CALLS = """
from django.contrib.auth.models import User
from django.utils import timezone
from relay.models import Call
now = timezone.now()
Call.objects.bulk_create(Call(user=User.objects.get(), request_id="r", state="ended", agent="many", requested_at=now,
    started_at=now, ended_at=now, end_reason="user", metering="free", cost_microdollars=0) for _ in range(60))
"""


def test_item_77_a_call_shows_as_live_by_itself_and_is_ended_from_the_list(open_page: OpenPage, site: Site) -> None:
    page = open_page(path="/calls/", timezone_id="Asia/Tokyo")
    expect(page.locator("[data-zone-name]")).to_have_text("Asia/Tokyo")
    voice = open_page()
    start_typing(voice)
    wait_for("a worker to see the call", lambda: site.last_call("monitoring") == ("joined",), site)
    write(voice, "What can you do?")
    expect_part(voice, "speaking")
    expect(turns(voice, "assistant")).to_have_count(1)
    page.bring_to_front()
    row = page.locator("tbody tr").first
    expect(row).to_contain_text("Live", timeout=SOON_MS + 1000)
    written = "SELECT 1 FROM relay_transcriptitem WHERE text = 'What can you do?'"
    wait_for("a worker to write down what was said", lambda: bool(site.rows(written)), site)
    row.get_by_role("button", name="End").click()

    expect(page.locator("tbody tr").first).to_contain_text("You hung up elsewhere", timeout=SOON_MS + 1000)
    expect_state(voice, "ended")
    wait_for("the worker to have done with the call", lambda: site.last_call("lease_owner") == ("",), site)
    page.locator("tbody tr").first.get_by_role("link").click()
    expect(page.get_by_role("article")).to_contain_text(["What can you do?"])
    assert_fine_in_every_dress(page)
    page.get_by_role("link", name="Delete what was said").click()
    assert_fine_in_every_dress(page)
    page.get_by_role("button", name="Delete the words").click()
    expect(page.get_by_text("There are no words of this call.")).to_be_visible()


def test_item_76_more_rows_come_in_place_and_without_a_script_on_pages(open_page: OpenPage, site: Site) -> None:
    run_in_shell(site, MANY_CALLS)
    page = open_page(path="/calls/?agent=many")
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(25)
    page.get_by_role("link", name="Show more").click()
    expect(rows).to_have_count(50)
    assert page.url.endswith("?agent=many")
    page.get_by_role("link", name="Show more").click()
    expect(rows).to_have_count(60)
    expect(page.get_by_role("link", name="Show more")).to_have_count(0)
    assert_fine_in_every_dress(page)

    plain = open_page(path="/calls/?agent=many", java_script_enabled=False)
    plain.get_by_role("link", name="Show more").click()
    plain.wait_for_url(re.compile("before="))
    expect(plain.locator("tbody tr")).to_have_count(25)
    plain.get_by_label("Result").select_option("failed")
    plain.get_by_role("button", name="Show").click()
    expect(plain.get_by_text("No call is like that.")).to_be_visible()
