"""The issuing routes' other forms: idempotent, in the older shape, and one's own history."""

import pytest
from django.contrib.auth.models import User
from django.test import Client
from openai.types.realtime import ClientSecretCreateResponse
from pytest_django import Settings

from tokens.models import Issuance

URL = "/api/client-secret"


def post(client: Client, body: object = None, **headers: str) -> tuple[int, dict[str, object]]:
    response = client.post(URL, body or {}, content_type="application/json", headers=headers)
    return response.status_code, response.json()


def test_a_repeat_with_the_same_key_mints_nothing_more(alices_client: Client) -> None:
    assert post(alices_client, idempotency_key="order-1")[0] == 200
    status, answer = post(alices_client, idempotency_key="order-1")

    assert (status, answer["code"]) == (409, "already_minted")
    assert answer["context"] == {"issuance": Issuance.objects.get(status="issued").pk}
    status, answer = post(alices_client, {"agent": "assistant"}, idempotency_key="order-1")
    assert (status, answer["code"]) == (422, "idempotency_mismatch")
    assert post(alices_client, idempotency_key="order-2")[0] == 200
    assert Issuance.objects.filter(status="issued").count() == 2


def test_another_user_s_idempotency_key_is_another_key(alices_client: Client, charlie: User) -> None:
    other = Client()
    other.force_login(charlie)

    assert post(alices_client, idempotency_key="order-1")[0] == post(other, idempotency_key="order-1")[0] == 200


@pytest.mark.parametrize("key", ["x" * 256, "with blank", "\u00e9"])
def test_an_idempotency_key_of_another_form_is_refused(alices_client: Client, key: str) -> None:
    assert post(alices_client, idempotency_key=key)[0] == 400


def test_every_answer_tells_what_is_left_of_the_rate(alices_client: Client, settings: Settings) -> None:
    settings.ISSUE_RATE = "2/m"
    first = alices_client.post(URL, {}, content_type="application/json")
    alices_client.post(URL, {}, content_type="application/json")
    refused = alices_client.post(URL, {}, content_type="application/json")

    assert first["RateLimit-Policy"] == '"issue";q=2;w=60'
    assert first["RateLimit"].startswith('"issue";r=1;t=')
    assert (refused.status_code, refused["RateLimit"][:12]) == (429, '"issue";r=0;')


def test_a_burst_at_a_window_s_edge_is_held_off(alices_client: Client, settings: Settings) -> None:
    settings.ISSUE_RATE, settings.ISSUE_BURST_RATE = "100/m", "3/10s"
    statuses = [post(alices_client)[0] for _ in range(4)]

    assert statuses == [200, 200, 200, 429]


def test_the_drop_in_route_answers_what_the_upstream_does(alices_client: Client) -> None:
    body = {"expires_after": {"anchor": "created_at", "seconds": 60}, "session": {"type": "realtime"}}
    response = alices_client.post("/v1/realtime/client_secrets", body, content_type="application/json")

    assert response.status_code == 200
    assert set(response.json()) == {"value", "expires_at", "session"}
    parsed = ClientSecretCreateResponse.model_validate(response.json())
    assert parsed.session.type == "realtime"
    assert parsed.session.id == Issuance.objects.get().session_id


def test_the_older_shape_is_answered_by_post_and_to_one_s_own_pages_by_get(alices_client: Client) -> None:
    by_post = alices_client.post("/api/session", {}, content_type="application/json").json()
    typed = alices_client.get("/api/session", headers={"sec-fetch-site": "none"}).json()

    for answer in (by_post, typed):
        assert answer["object"] == "realtime.session"
        assert answer["client_secret"]["value"].startswith("ek_")
        assert answer["client_secret"]["expires_at"] == answer["expires_at"]
        assert answer["model"] == "gpt-realtime-2.1"


@pytest.mark.parametrize("site", ["cross-site", "same-site", ""])
def test_another_site_cannot_make_a_browser_mint_by_get(alices_client: Client, site: str) -> None:
    headers = {"sec-fetch-site": site} if site else {}
    response = alices_client.get("/api/session", headers=headers)

    assert (response.status_code, response.json()["code"]) == (403, "origin_not_allowed")
    assert not Issuance.objects.filter(status="issued").exists()


def test_a_program_may_get(client: Client, bearer: dict[str, str], settings: Settings) -> None:
    settings.CLIENT_SECRET_KINDS = ["relayed"]

    assert client.get("/api/session", headers=bearer).status_code == 200


@pytest.mark.parametrize("method", ["get", "put", "patch", "delete", "trace", "head"])
def test_other_methods_are_refused(alices_client: Client, method: str) -> None:
    response = getattr(alices_client, method)(URL)

    assert response.status_code == 405
    assert response["Allow"] == "POST"


def test_one_s_history_is_one_s_own_and_paged(alices_client: Client, charlie: User) -> None:
    for _ in range(52):
        post(alices_client)
    first = alices_client.get("/api/issuances").json()
    second = alices_client.get(f"/api/issuances?before={first['nextBefore']}").json()

    ids = [row["id"] for row in first["results"] + second["results"]]
    assert ids == sorted(ids, reverse=True)
    assert (len(ids), second["nextBefore"]) == (52, None)
    assert first["results"][0]["status"] == "issued"
    assert "ek_" not in str(first)
    stranger = Client()
    stranger.force_login(charlie)
    assert stranger.get("/api/issuances").json() == {"results": [], "nextBefore": None}


@pytest.mark.parametrize("before", ["x", "-1", "1" * 30, "\u0661"])
def test_a_page_that_is_none_is_refused(alices_client: Client, before: str) -> None:
    assert alices_client.get("/api/issuances", {"before": before}).status_code == 400


def test_a_revoked_secret_is_no_longer_valid(alices_client: Client, charlie: User) -> None:
    post(alices_client)
    pk = Issuance.objects.get().pk
    stranger = Client()
    stranger.force_login(charlie)

    assert stranger.post(f"/api/issuances/{pk}/revoke").status_code == 404
    answer = alices_client.post(f"/api/issuances/{pk}/revoke").json()
    assert (answer["isValid"], answer["revokedAt"] is not None) == (False, True)


def test_the_models_are_those_of_the_agents(alices_client: Client) -> None:
    answer = alices_client.get("/v1/models").json()

    assert answer["object"] == "list"
    assert [model["id"] for model in answer["data"]] == ["gpt-realtime-2.1"]
