"""The example: what is free, taking it, and that nobody gets what somebody else has, however many ask at once."""

import json
import threading
from datetime import UTC, date, datetime, time, timedelta

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.utils import timezone

from agents.models import Agent
from examples.booking.models import Booking
from examples.booking.services import BOOKINGS_A_PERSON, CannotBook, book, free_times
from relay.models import Call
from tools.registry import CallContext, find_tool
from tools.running import Outcome, run_and_wait

pytestmark = pytest.mark.django_db(transaction=True)
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)  # a Saturday
MONDAY = date(2026, 11, 23)


def booked(**changes: object) -> Booking:
    facts = {"name": "Ann", "phone": "555 0123", "day": MONDAY, "at": time(10), "booked_by": "alice", "call_id": ""}
    return book(**(facts | {"now": NOW} | changes))  # type: ignore[arg-type]  # as the function takes them


def test_working_days_are_free_but_for_what_is_booked() -> None:
    booked()
    free = free_times(date(2026, 11, 21), date(2026, 11, 24), NOW)

    assert list(free) == [MONDAY, date(2026, 11, 24)]
    assert (len(free[MONDAY]), len(free[date(2026, 11, 24)])) == (15, 16)
    assert time(10) not in free[MONDAY]


def test_what_is_over_is_not_free() -> None:
    assert free_times(MONDAY, MONDAY, datetime(2026, 11, 23, 16, 10, tzinfo=UTC)) == {MONDAY: [time(16, 30)]}


@pytest.mark.parametrize(("start", "end"), [(MONDAY, MONDAY - timedelta(1)), (MONDAY, MONDAY + timedelta(15))])
def test_days_that_cannot_be_looked_at_are_refused(start: date, end: date) -> None:
    with pytest.raises(CannotBook):
        free_times(start, end, NOW)


@pytest.mark.parametrize(("changes", "words"), [
    ({"at": time(10, 15)}, "every half hour"), ({"at": time(17)}, "every half hour"),
    ({"day": date(2026, 11, 22)}, "Monday to Friday"), ({"day": date(2026, 11, 20)}, "over"),
    ({"day": date(2028, 11, 20)}, "too far"), ({"name": " "}, "name"), ({"phone": "none"}, "phone number"),
])  # fmt: skip
def test_what_cannot_be_booked_is_refused_with_the_reason(changes: dict[str, object], words: str) -> None:
    with pytest.raises(CannotBook, match=words):
        booked(**changes)


def test_what_is_cancelled_is_free_again() -> None:
    Booking.objects.filter(pk=booked().pk).update(cancelled_at=NOW)

    assert booked().pk


def test_one_person_cannot_book_for_everybody() -> None:
    for number in range(BOOKINGS_A_PERSON):
        booked(at=time(9 + number))

    with pytest.raises(CannotBook, match="all that one person may have"):
        booked(at=time(16))


def test_of_thirty_two_who_want_the_same_time_one_gets_it(alice: User) -> None:
    tool = find_tool("create_booking")
    assert tool is not None
    wish = {"name": "Ann", "phone": "555 0123", "date": _next_monday(), "time": time(10)}
    users = [User(username=f"user-{number}") for number in range(32)]
    outcomes: list[Outcome] = []
    together = threading.Barrier(32)

    def want(user: User) -> None:
        together.wait()
        outcomes.append(run_and_wait(tool, CallContext(user, Call(upstream_id="rtc_1"), "booking"), wish, 30))

    threads = [threading.Thread(target=want, args=[user]) for user in users]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert Booking.objects.count() == 1
    assert sorted(outcome.error_code for outcome in outcomes) == [""] + ["tool_refused"] * 31
    refused = next(outcome for outcome in outcomes if outcome.error_code)
    assert json.loads(refused.output)["message"].endswith("is taken.")


def test_the_database_itself_keeps_two_from_one_time() -> None:
    booked()

    with pytest.raises(Exception, match=r"(?i)unique"):
        Booking.objects.create(date=MONDAY, time=time(10), name="Bob", phone="555 0124")
    connection.close()


def _next_monday() -> date:
    today = timezone.localdate()
    return today + timedelta(days=7 - today.weekday())


def test_its_agent_is_made_once_and_offers_its_tools() -> None:
    for _ in range(2):
        call_command("booking_agent")

    agent = Agent.objects.get(slug="booking")
    assert agent.published is not None
    assert [tool["name"] for tool in agent.published.session_config()["tools"]] == [
        "check_availability", "create_booking", "current_date",
    ]  # fmt: skip
    create = agent.published.session_config()["tools"][1]["parameters"]
    assert create["required"] == ["name", "phone", "date", "time"]
    assert agent.versions.count() == 1


def test_appointments_are_listed_and_cancelled_in_the_administration(client: Client, ada: User) -> None:
    row = booked()
    client.force_login(ada)

    assert "555 0123" in client.get("/admin/booking/booking/").content.decode()
    client.post("/admin/booking/booking/", {"action": "cancel", "_selected_action": [row.pk]})
    assert Booking.objects.get().cancelled_at is not None
