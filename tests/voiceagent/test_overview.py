"""The overview counts what a slow plain count would, quickly, and shows it also to those who see no chart."""

import re
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from relay.models import Call
from tokens.models import Issuance
from voiceagent.column_charts import charts_of
from voiceagent.overview import PERIODS, count_overview

NOW = datetime(2026, 11, 21, 13, 20, tzinfo=UTC)
PAGE = "/admin/overview/"


def ask(number: int, moment: datetime, **changes: Any) -> None:
    facts: dict[str, Any] = {"username": f"user{number % 3}", "agent": ["assistant", "other"][number % 4 == 0]}
    status, code = [("issued", ""), ("issued", ""), ("denied", "rate_limited"), ("failed", "upstream_error")][
        number % 4
    ]
    decided = moment + timedelta(milliseconds=number)
    facts |= {"status": status, "error_code": code, "requested_at": moment, "decided_at": decided}
    Issuance.objects.create(request_id=f"req_{number}", **(facts | changes))


@pytest.mark.django_db
@pytest.mark.parametrize("name", PERIODS)
def test_the_numbers_are_those_of_a_plain_count(name: str) -> None:
    period = PERIODS[name]
    for number in range(1, 90):
        ask(number, NOW - timedelta(hours=number * number // 3))
    ask(90, NOW - timedelta(days=1), status="unknown", error_code="outcome_unknown")
    counted = count_overview(period, NOW)

    rows = list(Issuance.objects.filter(requested_at__gte=counted.since))
    assert counted.since == NOW.replace(minute=0) - timedelta(hours=23) or counted.since.hour == 0
    assert len(counted.steps) == period.steps
    assert (counted.issued, counted.refused) == (
        sum(row.status == "issued" for row in rows), sum(row.status != "issued" for row in rows)
    )  # fmt: skip
    for step in counted.steps:
        inside = [row.status for row in rows if step.start <= row.requested_at < step.start + period.step]
        assert (step.issued, step.denied, step.failed) == (
            inside.count("issued"), inside.count("denied"), inside.count("failed") + inside.count("unknown")
        )  # fmt: skip
        delays = [
            (row.decided_at - row.requested_at) / timedelta(milliseconds=1)
            for row in rows
            if row.decided_at and row.status == "issued" and step.start <= row.requested_at < step.start + period.step
        ]
        assert step.delay_p50_ms == (pytest.approx(median(delays)) if len(delays) > 1 else None)
    for field, counts in (("error_code", counted.codes), ("agent", counted.agents), ("username", counted.users)):
        values = [getattr(row, field) for row in rows if getattr(row, field)]
        assert dict(counts) == {value: values.count(value) for value in values}
        assert [count for _, count in counts] == sorted((count for _, count in counts), reverse=True)


@pytest.mark.django_db
def test_a_column_reaches_as_far_as_its_number() -> None:
    for number in (1, 2, 5, 6):  # issued, denied, issued, denied, by `ask`
        ask(number, NOW - timedelta(minutes=number))
    ask(9, NOW - timedelta(hours=2))
    requests, delays, _ = charts_of(count_overview(PERIODS["24h"], NOW), PERIODS["24h"])
    last = requests.columns[-1]

    assert (requests.highest, last.cells) == ("4", ["2", "2", "0"])
    assert [(piece.kind, piece.y, piece.height) for piece in last.pieces] == [("issued", 50, 50), ("denied", 0, 50)]
    assert (delays.highest, delays.columns[-1].cells[0]) == ("5 ms", "3 ms")
    assert [piece.kind for piece in delays.columns[-1].pieces] == ["median", "slow"]


@pytest.mark.django_db
def test_steps_that_are_over_are_counted_once_and_the_rest_anew() -> None:
    ask(1, NOW - timedelta(hours=5))
    ask(1, NOW - timedelta(minutes=5))
    first = count_overview(PERIODS["24h"], NOW)
    ask(1, NOW - timedelta(minutes=1))
    with CaptureQueriesContext(connection) as queries:
        again = count_overview(PERIODS["24h"], NOW)

    assert (first.issued, again.issued) == (2, 3)
    assert len(queries) <= 20


@pytest.mark.django_db
def test_an_hour_is_not_settled_as_soon_as_it_is_over() -> None:
    ask(1, NOW - timedelta(minutes=30), status="requested")
    assert count_overview(PERIODS["24h"], NOW).refused == 0
    Issuance.objects.update(status="unknown")

    assert count_overview(PERIODS["24h"], NOW).refused == 1


@pytest.mark.django_db
def test_delays_are_of_the_newest_answers() -> None:
    assert count_overview(PERIODS["24h"], NOW).delay_p50_ms is None
    for number in range(101):
        ask(number, NOW, status="issued")
    counted = count_overview(PERIODS["24h"], NOW)

    assert (counted.delay_p50_ms, counted.delay_p95_ms) == (50, 95)


def test_the_page_tells_it_in_words_numbers_and_links(adas_client: Client, alice: User) -> None:
    now = timezone.now()
    for number in range(12):
        ask(number, now)
    Call.objects.create(user=alice, request_id="req_1", state="live", requested_at=now)
    shown = adas_client.get(PAGE).content.decode()

    assert re.search(r"<dt>Issued</dt><dd>6</dd>", shown)
    assert "50.0 %" in shown
    assert re.search(r'/admin/live/">1</a>', shown)
    assert re.search(r"<title[^>]*>Requests over the last 24 hours</title>", shown)
    assert "6 issued, 6 refused or failed" in shown
    assert f"since={now:%Y-%m-%d}&amp;until={now:%Y-%m-%d}&amp;zone=UTC" in shown
    for link in ("code=rate_limited", "agent=assistant", "user=user1"):
        assert link in shown
    assert "style=" not in shown
    assert "<style" not in shown


def test_cost_is_of_settled_calls_and_by_user(adas_client: Client) -> None:
    now = timezone.now()
    for name, cost in (("bea", 1_500_000), ("bea", 250_000), ("ben", 2_000_000), ("ben", None), ("carl", 0)):
        Call.objects.create(username=name, request_id="req_1", state="ended", requested_at=now, cost_microdollars=cost)
    old = now - timedelta(days=3)
    Call.objects.create(username="bea", request_id="req_1", state="ended", requested_at=old, cost_microdollars=7)
    counted = count_overview(PERIODS["24h"], now)
    shown = adas_client.get(PAGE).content.decode()

    assert counted.spent_microdollars == 3_750_000
    assert counted.spenders == [("ben", 2_000_000), ("bea", 1_750_000)]
    assert "$3.75" in shown
    assert counted.steps[-1].spent_microdollars == 3_750_000
    assert re.search(r"<title[^>]*>Cost of calls over the last 24 hours</title>", shown)
    assert re.search(r"/admin/relay/call/\?user=bea[^>]*>bea</a>.*?\$1.75", shown, re.S)


@pytest.mark.parametrize(("spent", "badge", "words"), [
    (5_000_000, "good", "17 % of $30.00"), (25_000_000, "warn", "84 % of $30.00"),
    (31_000_000, "bad", "104 % of $30.00"),
])  # fmt: skip
def test_item_86_cost_stands_against_the_budget_of_the_period(
    adas_client: Client, settings: Settings, spent: int, badge: str, words: str
) -> None:
    settings.BUDGET_USD_A_MONTH = 30
    now = datetime.now(UTC)
    Call.objects.create(
        request_id="r", state="ended", requested_at=now, ended_at=now, metering="settled", cost_microdollars=spent
    )
    page = adas_client.get("/admin/overview/?period=30d").content.decode()

    assert f'<span class="badge badge--{badge}">{words}</span>' in page
    cache.clear()
    assert "% of $1.00" in adas_client.get("/admin/overview/?period=24h").content.decode()


def test_without_a_budget_there_is_none_to_compare_with(adas_client: Client) -> None:
    assert "budget" not in adas_client.get("/admin/overview/").content.decode()


def test_a_bar_s_link_leads_to_as_many_rows(adas_client: Client) -> None:
    for number in range(12):
        ask(number, timezone.now())
    response = adas_client.get(PAGE)
    linked = [(row.address, row.amount) for chart in response.context["bars"] for row in chart.rows]

    assert len(linked) == 7
    for path, count in linked:
        assert adas_client.get(path).context["cl"].result_count == count, path


def test_an_empty_history_is_shown_too(adas_client: Client) -> None:
    shown = adas_client.get(f"{PAGE}?period=90d").content.decode()

    assert "Nothing was refused and nothing failed." in shown
    assert "the last 90 days" in shown


@pytest.mark.parametrize("period", ["", "25h", "7d'", "__class__"])
def test_an_unknown_period_is_the_last_day(adas_client: Client, period: str) -> None:
    assert "the last 24 hours" in adas_client.get(PAGE, {"period": period}).content.decode()


def test_what_is_not_ours_is_shown_as_text(adas_client: Client) -> None:
    ask(1, timezone.now(), username="<b>x", agent="<b>y", error_code="<b>z", status="failed")

    assert "<b>" not in adas_client.get(PAGE).content.decode()


def test_a_minute_long_nothing_is_counted_again(adas_client: Client) -> None:
    cache.clear()
    adas_client.get(PAGE)
    with CaptureQueriesContext(connection) as queries:
        adas_client.get(PAGE)

    assert len(queries) <= 3  # session, user, and no count


@pytest.mark.parametrize("missing", ["view_issuance", "view_call"])
def test_who_may_not_see_the_histories_may_not_see_their_counts(db: None, missing: str) -> None:
    clerk = User.objects.create_user("clerk", is_staff=True)
    clerk.user_permissions.set(Permission.objects.filter(codename__in={"view_issuance", "view_call"} - {missing}))
    client = Client()
    client.force_login(clerk)

    assert client.get(PAGE).status_code == 403
    assert "Overview" not in client.get("/admin/").content.decode()


def test_people_who_are_no_staff_get_to_the_door(client: Client, alice: User) -> None:
    assert client.get(PAGE)["Location"].startswith("/admin/login/")
    client.force_login(alice)
    assert client.get(PAGE)["Location"].startswith("/admin/login/")
