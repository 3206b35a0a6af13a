"""API keys: what they open, when they stop, and that nobody can read them back."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from audit.models import AuditEvent
from tests.tokens.conftest import MakeKey
from tokens import api_keys
from tokens.key_services import revoke_api_key
from tokens.models import ApiKey, Issuance

WHOAMI = "/api/whoami"


def code(response: object) -> tuple[int, str]:
    return response.status_code, response.json()["code"]  # type: ignore[attr-defined]  # the test client's response


def ask(client: Client, value: str, url: str = WHOAMI, **headers: str) -> tuple[int, str]:
    response = client.get(url, headers={"authorization": f"Bearer {value}"} | headers)
    return response.status_code, response.json().get("code", "")


def test_values_are_random_and_have_a_checksum() -> None:
    values = {api_keys.make_value() for _ in range(50)}

    assert len(values) == 50
    assert all(api_keys.has_form(value) for value in values)
    value = values.pop()
    assert not api_keys.has_form(value[:-1] + ("A" if value[-1] != "A" else "B"))
    assert not api_keys.has_form(value.removeprefix("vak_"))


def test_a_key_tells_who_it_is(client: Client, make_key: MakeKey) -> None:
    made = make_key(name="kiosk", scopes=["read"])
    answer = client.get(WHOAMI, headers={"authorization": f"Bearer {made.value}"}).json()

    assert (answer["user"], answer["via"], answer["apiKey"]["name"]) == ("alice", "apiKey", "kiosk")
    assert answer["apiKey"]["scopes"] == ["read"]
    assert answer["apiKey"]["publicPart"] == made.value[:12]


def test_a_session_tells_who_it_is_and_nobody_is_refused(alices_client: Client, client: Client) -> None:
    assert alices_client.get(WHOAMI).json() == {"user": "alice", "isStaff": False, "via": "session", "apiKey": None}
    response = client.get(WHOAMI)
    assert code(response) == (401, "not_authenticated")
    assert response["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    "value", ["", "x", "' OR '1'='1", "vak_" + "x" * 49, "vak_" + "x" * 10_000, "sk-proj-1", "vak_\u00e9"]
)
def test_what_is_no_key_is_refused(client: Client, make_key: MakeKey, value: str) -> None:
    make_key()
    assert ask(client, value) == (401, "invalid_api_key")


def test_a_key_with_the_same_public_part_is_another_key(client: Client, make_key: MakeKey) -> None:
    value = make_key().value
    body = value[4:12] + "0" * 35
    twin = "vak_" + body + api_keys._checksum(body)

    assert api_keys.has_form(twin)
    assert ask(client, twin) == (401, "invalid_api_key")


def test_a_wrong_key_is_not_overlooked_in_favour_of_a_session(alices_client: Client) -> None:
    assert ask(alices_client, "vak_wrong") == (401, "invalid_api_key")


def test_it_stops_with_the_next_request(client: Client, make_key: MakeKey, alice: User) -> None:
    made = make_key()
    assert ask(client, made.value)[0] == 200
    ApiKey.objects.update(enabled=False)
    assert ask(client, made.value) == (401, "invalid_api_key")
    ApiKey.objects.update(enabled=True)
    User.objects.update(is_active=False)
    assert ask(client, made.value) == (401, "invalid_api_key")
    User.objects.update(is_active=True)
    assert revoke_api_key(made.key, now=timezone.now(), request_id="req_tests", actor="tests")
    assert ask(client, made.value) == (401, "invalid_api_key")


def test_an_expired_key_says_so_to_its_holder(client: Client, make_key: MakeKey) -> None:
    made = make_key()
    ApiKey.objects.update(expires_at=timezone.now())

    assert ask(client, made.value) == (401, "key_expired")


def test_a_key_opens_what_its_scopes_say(client: Client, make_key: MakeKey) -> None:
    reader = make_key(scopes=["read"]).value
    minter = make_key(scopes=["mint"]).value

    response = client.post("/api/client-secret", headers={"authorization": f"Bearer {reader}"})
    assert code(response) == (403, "missing_scope")
    assert Issuance.objects.get().api_key is not None
    assert ask(client, minter, "/api/issuances") == (403, "missing_scope")
    assert ask(client, reader, "/api/issuances")[0] == 200
    assert ask(client, minter, "/v1/models")[0] == 200


def test_a_key_works_from_its_networks_only(client: Client, make_key: MakeKey) -> None:
    assert ask(client, make_key(allowed_networks=["192.0.2.0/24"]).value) == (403, "network_not_allowed")
    assert ask(client, make_key(allowed_networks=["192.0.2.0/24", "127.0.0.0/8"]).value)[0] == 200


def test_the_last_use_is_noted_at_most_once_a_minute(client: Client, make_key: MakeKey) -> None:
    made = make_key()
    ask(client, made.value)
    first = ApiKey.objects.get().last_used_at
    assert first is not None
    ask(client, made.value)
    assert ApiKey.objects.get().last_used_at == first
    ApiKey.objects.update(last_used_at=first - timedelta(seconds=61))
    ask(client, made.value)
    assert ApiKey.objects.get().last_used_at != first - timedelta(seconds=61)


def test_neither_value_nor_anything_that_makes_one_is_stored(
    make_key: MakeKey, capsys: pytest.CaptureFixture[str]
) -> None:
    value = make_key().value
    call_command("dumpdata", "tokens", "audit")

    dump = capsys.readouterr().out
    assert value[:12] in dump
    assert value[12:] not in dump
    assert value not in repr(make_key())


def test_a_pepper_goes_and_only_its_keys_with_it(client: Client, make_key: MakeKey, settings: Settings) -> None:
    made = [make_key()]
    for number in (1, 3):
        settings.API_KEY_PEPPERS = settings.API_KEY_PEPPERS | {number: f"pepper {number}"}
        made.append(make_key())
    assert [new.key.pepper_number for new in made] == [0, 1, 3]
    assert [ask(client, new.value)[0] for new in made] == [200, 200, 200]

    settings.API_KEY_PEPPERS = {3: "pepper 3"}
    assert [ask(client, new.value)[0] for new in made] == [200, 401, 200]
    settings.API_KEY_PEPPERS = {1: "another pepper", 3: "pepper 3"}
    assert [ask(client, new.value)[0] for new in made] == [200, 401, 200]


def test_a_person_makes_lists_and_revokes_keys(alices_client: Client) -> None:
    wish = {"name": "kiosk", "scopes": ["mint"], "days": 7, "allowedNetworks": ["127.0.0.0/8"]}
    made = alices_client.post("/api/keys", wish, content_type="application/json")

    assert made.status_code == 201
    assert made["Cache-Control"] == "no-store"
    value = made.json()["value"]
    assert ask(Client(), value, "/v1/models")[0] == 200
    (listed,) = alices_client.get("/api/keys").json()["results"]
    assert "value" not in listed
    assert alices_client.delete(f"/api/keys/{listed['id']}").status_code == 204
    assert ask(Client(), value) == (401, "invalid_api_key")
    assert list(
        AuditEvent.objects.filter(target__startswith="api_key:").order_by("id").values_list("action", flat=True)
    ) == [
        "api_key.created",
        "api_key.revoked",
    ]


@pytest.mark.parametrize(
    "wish",
    [
        {},
        {"name": "x", "scopes": ["root"]},
        {"name": "x", "scopes": []},
        {"name": "x", "days": 4000},
        {"name": "x", "days": 0},
        {"name": "x", "allowedNetworks": ["everywhere"]},
        {"name": "x" * 81},
        {"name": 7},
        {"name": True},
        {"name": "line\nbreak"},
        {"name": "\u202eelif"},
        {"name": "\x1b[31mred"},
        {"name": "x", "days": "7"},
        {"name": "x", "days": 7.0},
        {"name": "x", "days": True},
        {"name": "x", "days": "\u0667"},
        {"name": "x", "allowedNetworks": [2]},
        {"name": "x", "allowedNetworks": "127.0.0.0/8"},
    ],
)
def test_a_bad_wish_for_a_key_names_the_field(alices_client: Client, wish: dict[str, object]) -> None:
    response = alices_client.post("/api/keys", wish, content_type="application/json")

    assert code(response) == (400, "invalid_request")
    assert any(f"'{field}'" in response.json()["message"] for field in ("name", "scopes", "days", "allowedNetworks"))
    assert not ApiKey.objects.exists()


@pytest.mark.parametrize("body", ["null", "[]", '"x"', "5", "{", '{"name": "a", "name": "b"}', "[" * 10_000])
def test_what_is_no_object_is_no_wish(alices_client: Client, body: str) -> None:
    response = alices_client.post("/api/keys", body, content_type="application/json")

    assert code(response) == (400, "invalid_request")


def test_an_unknown_field_is_named(alices_client: Client) -> None:
    response = alices_client.post("/api/keys", {"name": "x", "is_admin": True}, content_type="application/json")

    assert code(response) == (400, "unknown_field")
    assert "'is_admin'" in response.json()["message"]


@pytest.mark.parametrize(
    ("content_type", "encoding"),
    [("application/json; charset=utf-7", ""), ("application/json; charset=x", ""), ("application/json", "gzip")],
)
def test_a_body_in_another_encoding_is_not_read(alices_client: Client, content_type: str, encoding: str) -> None:
    headers = {"content-encoding": encoding}
    response = alices_client.generic("POST", "/api/keys", b'{"name": "x"}', content_type, headers=headers)

    assert code(response) == (415, "unsupported_media_type")


def test_a_body_of_utf_8_may_say_so(alices_client: Client) -> None:
    type_ = "application/json; charset=UTF-8"
    assert alices_client.post("/api/keys", '{"name": "x"}', content_type=type_).status_code == 201


@pytest.mark.parametrize("url", ["/api/keys", "/api/client-secret"])
def test_a_body_of_more_than_16_kib_is_refused(alices_client: Client, url: str) -> None:
    body = '{"name": "x"' + " " * 16_384 + "}"
    assert code(alices_client.post(url, body, content_type="application/json")) == (413, "too_large")


def test_a_refused_key_leaves_an_event_and_a_flood_of_them_few(client: Client, make_key: MakeKey) -> None:
    minter = make_key(scopes=["mint"]).value
    assert ask(client, minter, "/api/issuances") == (403, "missing_scope")
    for _ in range(25):
        ask(client, "vak_wrong")
    client.get(WHOAMI)  # shows no key

    refused = AuditEvent.objects.filter(action="api_key.refused")
    assert refused.filter(code="missing_scope").count() == 1
    assert refused.filter(code="invalid_api_key").count() == 20
    assert refused.count() == 21


def test_bad_keys_from_one_address_are_limited_and_a_good_one_goes_on(
    client: Client, make_key: MakeKey, settings: Settings
) -> None:
    settings.ISSUE_RATE = "2/h"
    good = make_key().value

    assert [ask(client, "vak_wrong")[0] for _ in range(4)] == [401, 401, 429, 429]
    assert ask(client, good)[0] == 200


def test_a_key_cannot_make_or_revoke_keys(client: Client, bearer: dict[str, str]) -> None:
    response = client.post("/api/keys", {"name": "more"}, content_type="application/json", headers=bearer)
    assert code(response) == (403, "missing_scope")
    assert code(client.delete(f"/api/keys/{ApiKey.objects.get().pk}", headers=bearer)) == (403, "missing_scope")


def test_a_stranger_s_key_looks_unknown(make_key: MakeKey, charlie: User) -> None:
    key = make_key().key
    stranger = Client()
    stranger.force_login(charlie)

    assert code(stranger.delete(f"/api/keys/{key.pk}")) == (404, "unknown_key")
    assert stranger.get("/api/keys").json() == {"results": []}


def test_nobody_has_more_than_so_many_keys(alices_client: Client, make_key: MakeKey) -> None:
    for _ in range(20):
        make_key()
    response = alices_client.post("/api/keys", {"name": "one more"}, content_type="application/json")

    assert code(response) == (409, "too_many_keys")


def test_a_session_s_request_for_a_key_needs_its_csrf_token(alice: User) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(alice)
    response = browser.post("/api/keys", {"name": "x"}, content_type="application/json")

    assert code(response) == (403, "csrf_failed")


def test_a_key_is_never_deleted(make_key: MakeKey) -> None:
    with pytest.raises(TypeError):
        make_key().key.delete()
