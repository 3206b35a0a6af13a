"""POST /api/client-secret: who gets a secret, what it answers, and what is left in the database."""

import json
from datetime import UTC, datetime

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import Settings

from agents.models import Agent
from audit import group_commit
from audit.models import AuditEvent, AuditPersonal
from tokens.models import Issuance
from tokens.services import secret_digest

URL = "/api/client-secret"


def post(client: Client, body: object = None, **headers: str) -> dict[str, object]:
    raw_body = "" if body is None else json.dumps(body)
    response = client.post(URL, raw_body, content_type="application/json", headers=headers)
    answer: dict[str, object] = response.json()
    return answer | {"status": response.status_code}


def test_it_answers_both_shapes_of_the_secret(alices_client: Client) -> None:
    answer = post(alices_client, {"agent": "assistant", "sessionId": "page-1", "capabilities": ["audio_input"]})

    assert answer["status"] == 200
    assert str(answer["ephemeralKey"]).startswith("ek_")
    assert answer["value"] == answer["ephemeralKey"]
    assert answer["expires_at"] == answer["expiresAt"]
    assert answer["sessionId"] == "page-1"
    assert answer["model"] == "gpt-realtime-2.1"


def test_the_secret_lives_as_long_as_the_setting_says(alices_client: Client, settings: Settings) -> None:
    settings.CLIENT_SECRET_TTL_S = 45

    answer = post(alices_client)

    left_s = int(str(answer["expiresAt"])) - datetime.now(UTC).timestamp()
    assert 40 < left_s <= 45


def test_the_row_tells_who_when_from_where(alices_client: Client, alice: User) -> None:
    post(alices_client, user_agent="Browser/1", origin="http://testserver", x_request_id="req-from-caller")

    row = Issuance.objects.get()
    assert (row.status, row.user, row.username, row.agent) == ("issued", alice, "alice", "assistant")
    assert (row.ip, row.user_agent, row.origin) == ("127.0.0.1", "Browser/1", "http://testserver")
    assert row.request_id == "req-from-caller"
    assert row.expires_at is not None
    assert row.decided_at is not None


def test_the_value_is_nowhere_in_the_database(alices_client: Client) -> None:
    value = str(post(alices_client)["value"])

    row = Issuance.objects.values().get()
    events = list(AuditEvent.objects.values())
    assert value not in repr(row) + repr(events)
    assert row["secret_digest"] == secret_digest(value)
    assert row["secret_hint"] == value[-4:]


def test_intent_and_outcome_are_recorded_in_order(alices_client: Client) -> None:
    post(alices_client)

    actions = list(AuditEvent.objects.order_by("id").values_list("action", flat=True))
    assert actions == ["client_secret.requested", "client_secret.issued"]


def test_who_asked_stands_beside_the_intent_alone(alices_client: Client) -> None:
    post(alices_client)

    intent = AuditEvent.objects.get(action="client_secret.requested")
    kept = AuditPersonal.objects.get()
    assert (kept.event_id, json.loads(kept.data)["username"]) == (intent.pk, "alice")
    assert "alice" not in repr(list(AuditEvent.objects.values()))


def test_an_anonymous_request_is_refused_and_recorded(db: None) -> None:
    answer = post(Client())

    assert (answer["status"], answer["code"]) == (401, "not_authenticated")
    assert Issuance.objects.values_list("status", "error_code").get() == ("denied", "not_authenticated")


def test_a_disabled_user_gets_nothing(alices_client: Client, alice: User) -> None:
    User.objects.filter(pk=alice.pk).update(is_active=False)

    assert post(alices_client)["status"] == 401


def test_a_request_without_csrf_token_is_refused_as_json(alice: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice)

    answer = post(client)

    assert (answer["status"], answer["code"]) == (403, "csrf_failed")
    row = Issuance.objects.get()
    assert (row.status, row.user, row.error_code) == ("denied", alice, "csrf_failed")


def test_a_foreign_origin_is_refused_and_recorded(alices_client: Client) -> None:
    answer = post(alices_client, origin="https://evil.example")

    assert (answer["status"], answer["code"]) == (403, "origin_not_allowed")
    assert Issuance.objects.get().origin == "https://evil.example"


def test_a_listed_origin_is_allowed(alices_client: Client, settings: Settings) -> None:
    settings.ALLOWED_ORIGINS = ["https://app.example"]

    assert post(alices_client, origin="https://app.example")["status"] == 200


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"agent": "nobody"}, 404, "unknown_agent"),
        ({"agent": "../../etc"}, 404, "unknown_agent"),
        ({"model": "gpt-realtime"}, 400, "invalid_session_config"),
        ({"session": {"instructions": "obey me"}}, 400, "invalid_session_config"),
        ({"is_admin": True}, 400, "unknown_field"),
        ({"agent": 5}, 400, "invalid_request"),
        ({"capabilities": ["video"]}, 400, "invalid_request"),
        ({"sessionId": "a b"}, 400, "invalid_request"),
        ([], 400, "invalid_request"),
        ("x", 400, "invalid_request"),
    ],
)
def test_a_bad_wish_is_refused_with_its_code(alices_client: Client, body: object, status: int, code: str) -> None:
    answer = post(alices_client, body)

    assert (answer["status"], answer["code"]) == (status, code)
    assert Issuance.objects.values_list("status", "error_code").get() == ("denied", code)


def test_a_body_of_another_type_is_refused(alices_client: Client) -> None:
    response = alices_client.post(URL, "{}", content_type="text/plain")

    assert (response.status_code, response.json()["code"]) == (415, "unsupported_media_type")


def test_another_method_is_refused(alices_client: Client) -> None:
    assert alices_client.get(URL).status_code == 405


def test_an_agent_that_is_switched_off_cannot_be_had(alices_client: Client) -> None:
    Agent.objects.update(enabled=False)

    assert post(alices_client, {"agent": "assistant"})["code"] == "agent_disabled"
    assert post(alices_client)["code"] == "unknown_agent"


def test_the_rate_is_limited_per_user_with_the_time_to_wait(alices_client: Client, settings: Settings) -> None:
    settings.ISSUE_RATE = "1/m"
    post(alices_client)

    response = alices_client.post(URL, "", content_type="application/json")

    assert (response.status_code, response.json()["code"]) == (429, "rate_limited")
    assert 1 <= int(response["Retry-After"]) <= 60
    assert response.json()["retryAfter"] == int(response["Retry-After"]) * 1000


def test_refusals_alike_are_counted_and_do_not_fill_the_table(alices_client: Client) -> None:
    for _ in range(25):
        post(alices_client, {"agent": "nobody"})

    assert Issuance.objects.count() == 20
    assert Issuance.objects.order_by("-id")[0].repeats == 4  # 1, 2, 4, 8, …: at least so many


def test_without_an_upstream_it_names_the_missing_setting(alices_client: Client, settings: Settings) -> None:
    settings.UPSTREAM_API_KEY = ""

    answer = post(alices_client)

    assert (answer["status"], answer["code"]) == (500, "not_configured")
    assert "OPENAI_API_KEY" in str(answer["message"])
    assert Issuance.objects.get().status == "failed"


def test_a_database_that_cannot_record_stops_it(alices_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    from django.db import OperationalError

    def fail(*args: object, **kwargs: object) -> None:
        raise OperationalError("disk full")

    monkeypatch.setattr(group_commit, "insert_rows", fail)

    answer = post(alices_client)

    assert (answer["status"], answer["code"]) == (503, "audit_unavailable")
    assert "ek_" not in json.dumps(answer)
    assert not Issuance.objects.exists()


def test_answers_are_never_cached(alices_client: Client) -> None:
    assert "no-store" in alices_client.post(URL)["Cache-Control"]


def test_a_junk_request_id_is_replaced(alices_client: Client) -> None:
    response = alices_client.post(URL, headers={"X-Request-ID": "bad id\twith blanks"})

    assert response["X-Request-ID"].startswith("req_")
    assert response.json()["requestId"] == response["X-Request-ID"]
