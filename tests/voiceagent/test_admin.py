"""Administrators see the history, and can end calls; nobody edits what happened."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from audit.actions import Action
from audit.models import AuditEvent
from audit.services import record_event
from relay.models import Call
from tokens.models import Issuance

HISTORY = ["tokens/issuance", "relay/call", "audit/auditevent"]


@pytest.fixture
def issuance(alices_client: Client) -> Issuance:
    sent = {"user-agent": "Tests/1.0", "origin": "http://testserver"}
    alices_client.post("/api/client-secret", content_type="application/json", headers=sent)
    return Issuance.objects.get()


def live_call(user: User, upstream_id: str) -> Call:
    now = timezone.now()
    return Call.objects.create(
        user=user,
        username=user.username,
        upstream_id=upstream_id,
        state=Call.State.LIVE,
        requested_at=now,
        started_at=now,
        request_id="req_tests",
    )


def page(client: Client, path: str) -> str:
    response = client.get(f"/admin/{path}")
    assert response.status_code == 200, path
    return response.content.decode()


def test_the_list_tells_who_was_issued_what(adas_client: Client, issuance: Issuance) -> None:
    shown = page(adas_client, "tokens/issuance/")

    for words in ("alice", "Issued", "assistant", "gpt-realtime-2.1", "127.0.0.1"):
        assert words in shown
    assert issuance.secret_digest is not None


def test_the_detail_tells_the_rest_and_neither_value_nor_digest(adas_client: Client, issuance: Issuance) -> None:
    shown = page(adas_client, f"tokens/issuance/{issuance.pk}/change/")

    assert issuance.request_id in shown
    assert "Tests/1.0" in shown
    assert "http://testserver" in shown
    assert str(issuance.secret_digest) not in shown
    assert 'name="_save"' not in shown


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("q=alice", True),
        ("q=ali", True),
        ("q=charlie", False),
        ("status=issued", True),
        ("status=denied", False),
        ("agent=assistant", True),
        ("q=127.0.0.1", True),
    ],
)
def test_the_list_is_searched_and_filtered(adas_client: Client, issuance: Issuance, query: str, found: bool) -> None:
    shown = page(adas_client, f"tokens/issuance/?{query}")

    assert (f"/admin/tokens/issuance/{issuance.pk}/change/" in shown) is found


def test_a_request_id_finds_what_happened_in_it(adas_client: Client, issuance: Issuance) -> None:
    assert f"issuance:{issuance.pk}" in page(adas_client, f"audit/auditevent/?q={issuance.request_id}")


@pytest.mark.parametrize("model", HISTORY)
def test_history_is_not_edited(adas_client: Client, issuance: Issuance, alice: User, model: str) -> None:
    call = live_call(alice, "rtc_1")
    pk = {"tokens/issuance": issuance.pk, "relay/call": call.pk}.get(model) or AuditEvent.objects.latest("id").pk

    assert adas_client.get(f"/admin/{model}/add/").status_code == 403
    assert adas_client.post(f"/admin/{model}/{pk}/change/", {"status": "issued"}).status_code == 403
    assert adas_client.post(f"/admin/{model}/{pk}/delete/", {"post": "yes"}).status_code == 403
    chosen = {"action": "delete_selected", "_selected_action": [pk], "post": "yes"}
    adas_client.post(f"/admin/{model}/", chosen)
    assert page(adas_client, f"{model}/{pk}/change/")


@pytest.mark.parametrize("model", [*HISTORY, "agents/agent"])
def test_people_who_are_no_staff_see_nothing(alices_client: Client, model: str) -> None:
    response = alices_client.get(f"/admin/{model}/")

    assert response.status_code == 302
    assert response["Location"].startswith("/admin/login/")


def test_an_administrator_ends_live_calls(adas_client: Client, ada: User, alice: User) -> None:
    first, second = live_call(alice, "rtc_1"), live_call(alice, "rtc_2")
    other = live_call(alice, "rtc_3")
    other.state, other.ended_at = Call.State.FAILED, timezone.now()
    other.save()

    chosen = {"action": "hang_up", "_selected_action": [first.pk, second.pk, other.pk]}
    response = adas_client.post("/admin/relay/call/", chosen, follow=True)

    assert "2 calls ended." in response.content.decode()
    assert set(Call.objects.values_list("upstream_id", "state", "end_reason")) == {
        ("rtc_1", "ended", "administrator"),
        ("rtc_2", "ended", "administrator"),
        ("rtc_3", "failed", ""),
    }
    events = AuditEvent.objects.filter(action="call.ended")
    assert {event.actor for event in events} == {f"user:{ada.pk}"}
    assert events.count() == 2


@pytest.mark.parametrize("model", HISTORY)
def test_a_long_list_takes_a_fixed_number_of_queries(
    adas_client: Client, alice: User, model: str, django_assert_max_num_queries: object
) -> None:
    now = timezone.now()
    for number in range(60):
        live_call(alice, f"rtc_{number}")
        moment = now - timedelta(minutes=number)
        Issuance.objects.create(request_id=f"req_{number}", user=alice, status="issued", requested_at=moment)
        record_event(Action.CALL_CREATED, request_id=f"req_{number}")

    with django_assert_max_num_queries(12):  # type: ignore[operator]  # the fixture's own type is not exported
        page(adas_client, f"{model}/")
