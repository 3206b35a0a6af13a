"""What one has left, in a browser: on every screen, light and dark."""

from pathlib import Path

from playwright.sync_api import expect

from tests.corpus.test_cases_69_to_79 import run_manage
from tests.e2e.conftest import OpenPage
from tests.e2e.site import start_processes
from tests.e2e.test_accessibility import assert_fine_in_every_dress


def test_it_is_found_from_every_page_and_fine_on_every_screen(open_page: OpenPage) -> None:
    page = open_page()
    page.get_by_role("link", name="Usage").click()

    expect(page.get_by_role("heading", name="What you have left")).to_be_visible()
    expect(page.get_by_text("Starts anew on")).to_have_count(2)
    assert_fine_in_every_dress(page)


USE_MOST = """
from django.contrib.auth.models import User
from django.utils import timezone
from tokens.models import Policy, QuotaCounter
from tokens.quotas import period_start, subject
user, metric = User.objects.get(), "seconds_a_day"
Policy.objects.create(user=user, seconds_a_day=3600)
start = period_start(metric, timezone.now())
QuotaCounter.objects.create(subject=subject(user), metric=metric, period_start=start, used=3200)
"""


def test_item_47_little_left_is_told_where_people_talk(open_page: OpenPage, tmp_path: Path) -> None:
    site = start_processes(tmp_path, ("web",))
    voice = open_page(at=site)
    left = voice.locator("[data-part=left]")
    with voice.expect_response("**/api/usage"):
        voice.reload()
    expect(left).to_be_empty()

    settings = {"DATABASE_URL": f"sqlite:///{site.database}", "REDIS_URL": "", "SECRET_KEY": "end-to-end"}
    run_manage(settings, "shell", "-v0", "-c", USE_MOST)
    voice.reload()

    expect(left).to_have_text("About 6 minutes left today.")
    site.stop()
