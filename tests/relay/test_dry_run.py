"""The dry run of a client secret: the answer that issuing would get, and nothing issued or counted."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from agents.models import Agent
from audit.models import AuditEvent
from relay.models import Call
from tokens.models import Issuance, Policy, QuotaCounter

pytestmark = pytest.mark.django_db(transaction=True)
PATH = "/api/client-secret/dry-run"


def rehearse(client: Client, body: object = None, **headers: str) -> Any:
    return client.post(PATH, body or {}, content_type="application/json", headers=headers)


def code_of(response: Any) -> str:
    return str(response.json()["code"])


def test_it_says_what_would_be_issued_and_issues_nothing(alices_client: Client, alice: User, assistant: Agent) -> None:
    Policy.objects.create(user=alice, secrets_a_day=1)
    answers = [rehearse(alices_client, {"agent": "assistant"}) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json() == {
        "agent": "assistant",
        "model": assistant.published and assistant.published.effective_model,
        "kind": "relayed",
        "requestId": answers[0]["X-Request-ID"],
    }
    assert answers[0]["Cache-Control"] == "no-store"
    assert not Issuance.objects.exists()
    assert not QuotaCounter.objects.exists()


def test_that_somebody_asked_is_on_record(alices_client: Client, alice: User, assistant: Agent) -> None:
    good, bad = rehearse(alices_client), rehearse(alices_client, {"agent": "nobody"})

    events = AuditEvent.objects.filter(action="client_secret.rehearsed").order_by("id")
    assert [(event.request_id, event.actor, event.code) for event in events] == [
        (good["X-Request-ID"], f"user:{alice.pk}", ""),
        (bad["X-Request-ID"], f"user:{alice.pk}", "unknown_agent"),
    ]


@pytest.mark.parametrize(
    ("policy", "code"),
    [
        ({"allowed_agents": ["another"]}, "unknown_agent"),
        ({"allowed_networks": ["192.0.2.0/24"]}, "network_not_allowed"),
        ({"allowed_models": ["another"]}, "policy_denied"),
        ({"seconds_a_day": 0}, "quota_exceeded"),
        ({"secrets_a_month": 0}, "quota_exceeded"),
    ],
)
def test_it_refuses_what_issuing_refuses(
    alices_client: Client, alice: User, assistant: Agent, policy: dict[str, object], code: str
) -> None:
    Policy.objects.create(user=alice, **policy)
    issued = alices_client.post("/api/client-secret", {"agent": "assistant"}, content_type="application/json")

    assert code_of(rehearse(alices_client, {"agent": "assistant"})) == code_of(issued) == code


def test_it_says_that_there_is_a_call_already(alices_client: Client, alice: User, assistant: Agent) -> None:
    Policy.objects.create(user=alice, calls_at_once=1)
    now = timezone.now()
    call = Call.objects.create(user=alice, upstream_id="rtc_1", state="live", requested_at=now, last_seen_at=now)

    assert code_of(rehearse(alices_client)) == "too_many_calls"
    Call.objects.filter(pk=call.pk).update(last_seen_at=None)  # one that never reported would give way
    assert rehearse(alices_client).status_code == 200
    assert Call.objects.get().state == "live"


def test_it_says_that_voice_is_not_set_up(alices_client: Client, assistant: Agent, settings: Settings) -> None:
    settings.UPSTREAM_API_KEY = ""

    assert code_of(rehearse(alices_client)) == "not_configured"


def test_it_has_a_rate_of_its_own(alices_client: Client, assistant: Agent, settings: Settings) -> None:
    settings.ISSUE_RATE = "2/m"
    codes = [rehearse(alices_client).status_code for _ in range(3)]

    assert codes == [200, 200, 429]
    issued = alices_client.post("/api/client-secret", {}, content_type="application/json")
    assert issued.status_code == 200


def test_another_site_s_page_is_refused(alices_client: Client, assistant: Agent) -> None:
    assert code_of(rehearse(alices_client, origin="https://elsewhere.example")) == "origin_not_allowed"


def test_a_page_without_its_token_is_refused(alice: User, assistant: Agent) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(alice)

    assert code_of(rehearse(strict)) == "csrf_failed"
