"""One's own calls: the list, and one with its words, usage and timeline. Nobody else's."""

from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from agents.models import Agent
from audit.models import AuditEvent
from relay.conversation import Conversation
from relay.models import Call, TranscriptItem
from relay.recorder import Report, write_reports
from relay.services import end_call
from tests.relay.events import TRACES
from tests.relay.test_charges import start

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("prices")]
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
ME = "worker-1"


@pytest.fixture
def call(alice: User, assistant: Agent) -> Call:
    """Alice's live call, of which one turn was seen."""
    call = start(alice, assistant)
    Call.objects.filter(pk=call.pk).update(upstream_id="rtc_1", lease_owner=ME)
    conversation = Conversation(NOW)
    for second, event in enumerate(TRACES["voice"]):
        conversation.take(event, NOW + timedelta(seconds=second))
    write_reports(ME, [Report(call.pk, conversation.drain(), "joined")], NOW)
    call.refresh_from_db()
    return call


def reported(client: Client) -> dict[str, object]:
    answer: dict[str, object] = client.post(
        "/api/calls/rtc_1/events", {"type": "heartbeat"}, content_type="application/json"
    ).json()
    return answer


def test_item_46_a_page_that_reports_is_told_the_cost_so_far(
    alices_client: Client, call: Call, settings: Settings
) -> None:
    settings.UPSTREAM_IS_LOCAL = False
    Call.objects.filter(pk=call.pk).update(deadline_at=None)
    assert reported(alices_client) == {
        "state": "live", "endReason": None, "costMicrodollars": 6946, "isFree": False, "assistantMuted": False,
        "secondsLeft": None,
    }  # fmt: skip
    settings.UPSTREAM_IS_LOCAL = True
    assert reported(alices_client)["isFree"] is True


def test_a_page_that_reports_is_told_that_the_assistant_was_muted(alices_client: Client, call: Call) -> None:
    Call.objects.filter(pk=call.pk).update(muted=True)

    assert reported(alices_client)["assistantMuted"] is True


def test_item_48_a_page_that_reports_is_told_how_long_is_left(alices_client: Client, call: Call) -> None:
    Call.objects.filter(pk=call.pk).update(deadline_at=timezone.now() + timedelta(seconds=300.5))
    assert reported(alices_client)["secondsLeft"] in (299, 300)
    Call.objects.filter(pk=call.pk).update(deadline_at=timezone.now() - timedelta(seconds=1))
    assert reported(alices_client)["secondsLeft"] == 0
    end_call(call, reason=Call.EndReason.TIME_LIMIT, actor="worker")
    assert reported(alices_client)["secondsLeft"] is None


def test_what_a_page_told_again_is_marked_as_far_as_it_stands_in_the_call_before(
    alices_client: Client, alice: User, call: Call
) -> None:
    """A client names its items as it likes: what was not said before stays, and unmarked."""
    later = Call.objects.create(
        user=alice, upstream_id="rtc_2", request_id="r", state="live", requested_at=NOW, continues=call
    )
    lines = [
        ("earlier_1", "user", "When do you open?"), ("earlier_2", "retold", "We open at"),
        ("earlier_3", "user", "I never said this."), ("earlier_4", "retold", "We open at noon."),
        ("item_5", "user", "When do you open?"), ("earlier_6", "assistant", "We open at nine."),
    ]  # fmt: skip
    for item_id, role, text in lines:
        TranscriptItem.objects.create(call=later, item_id=item_id, role=role, text=text, status="done", started_at=NOW)
    shown = alices_client.get("/api/calls/rtc_2").json()["transcript"]

    assert [line["itemId"] for line in shown] == [item_id for item_id, _, _ in lines]
    assert [line["itemId"] for line in shown if line["isRepeated"]] == ["earlier_1", "earlier_2"]
    words = alices_client.get(f"/calls/{later.pk}/").content.decode()
    assert (words.count("(told again from the call before)"), words.count("(as the page told it)")) == (2, 1)


def test_a_call_shows_its_words_in_order_and_its_cost_so_far(alices_client: Client, call: Call) -> None:
    shown = alices_client.get("/api/calls/rtc_1").json()

    assert [(line["role"], line["text"]) for line in shown["transcript"]] == [
        ("user", "When do you open?"), ("assistant", "We open at nine."),
    ]  # fmt: skip
    assert (shown["state"], shown["monitoring"], shown["costMicrodollars"], shown["metering"]) == (
        "live", "joined", 6946, "open",
    )  # fmt: skip
    response = next(use for use in shown["usage"] if use["kind"] == "response")
    assert (response["microdollars"], response["counts"]["audio_output"]) == (6946, 74)
    assert [step["event"] for step in shown["timeline"]] == ["call.requested"]


def test_usage_without_a_price_has_no_sum(alices_client: Client, call: Call) -> None:
    shown = alices_client.get("/api/calls/rtc_1").json()

    written_down = next(use for use in shown["usage"] if use["kind"] == "transcription")
    assert (written_down["microdollars"], written_down["counts"]) == (None, {"seconds": 2})


def test_the_list_has_one_s_own_calls_page_by_page(alices_client: Client, alice: User, charlie: User) -> None:
    Call.objects.bulk_create(
        Call(user=user, request_id="r", state="ended", requested_at=NOW, ended_at=NOW, upstream_id=f"rtc_{user}{n}")
        for user in (alice, charlie)
        for n in range(60)
    )
    first = alices_client.get("/api/calls").json()
    second = alices_client.get(f"/api/calls?before={first['nextBefore']}").json()

    ids = [call["callId"] for call in first["results"] + second["results"]]
    assert ids == [f"rtc_alice{number}" for number in reversed(range(60))]
    assert second["nextBefore"] is None


def test_the_list_takes_few_queries(alices_client: Client, alice: User) -> None:
    Call.objects.bulk_create(
        Call(user=alice, request_id="r", state="ended", requested_at=NOW, ended_at=NOW) for _ in range(50)
    )
    alices_client.get("/api/calls")
    with CaptureQueriesContext(connection) as captured:
        alices_client.get("/api/calls")

    assert len([query for query in captured if "relay_call" in query["sql"]]) == 1


def test_a_stranger_s_call_is_no_call(client: Client, call: Call, charlie: User) -> None:
    client.force_login(charlie)

    assert client.get("/api/calls/rtc_1").status_code == 404
    assert client.get("/api/calls").json()["results"] == []


@pytest.mark.parametrize("before", ["x", "-1", "9" * 30])
def test_a_page_that_is_none_is_refused(alices_client: Client, before: str) -> None:
    assert alices_client.get(f"/api/calls?before={before}").json()["code"] == "invalid_request"


def test_staff_see_any_call_and_their_look_is_on_record(client: Client, call: Call, ada: User) -> None:
    client.force_login(ada)

    page = client.get(f"/admin/relay/call/{call.pk}/change/").content.decode()

    assert "We open at nine." in page
    assert "74 audio out" in page
    event = AuditEvent.objects.get(action="call.viewed")
    assert (event.target, event.actor) == (f"call:{call.pk}", f"user:{ada.pk}")


def test_words_cannot_become_markup(client: Client, call: Call, ada: User) -> None:
    TranscriptItem.objects.filter(role="user").update(text="<script>alert(1)</script>")
    client.force_login(ada)

    page = client.get(f"/admin/relay/call/{call.pk}/change/").content.decode()

    assert "<script>alert(1)" not in page
    assert "&lt;script&gt;alert(1)" in page
