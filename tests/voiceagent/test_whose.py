"""Whose is a value that leaked? Asked by a form, answered without the value being kept or shown anywhere."""

import logging
from urllib.parse import urlencode

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from audit.models import AuditEvent
from tests.tokens.conftest import MakeKey
from tokens.models import Issuance

PAGE = "/admin/whose/"


def test_a_client_secret_is_found(adas_client: Client, ada: User, alices_client: Client) -> None:
    value = alices_client.post("/api/client-secret", content_type="application/json").json()["value"]
    row = Issuance.objects.get()
    response = adas_client.post(PAGE, {"value": f" {value}\n"})
    shown = response.content.decode()

    assert f"still valid: issuance {row.pk} to alice" in shown
    assert f"/admin/tokens/issuance/{row.pk}/change/" in shown
    assert "no-store" in response["Cache-Control"]
    event = AuditEvent.objects.latest("id")
    assert (event.action, event.actor, event.target) == ("secret.looked_up", f"user:{ada.pk}", f"issuance:{row.pk}")


def test_a_key_is_found(adas_client: Client, make_key: MakeKey) -> None:
    made = make_key(name="kiosk")
    shown = adas_client.post(PAGE, {"value": made.value}).content.decode()

    assert "API key, in use" in shown
    assert f"/admin/tokens/apikey/{made.key.pk}/change/" in shown


@pytest.mark.parametrize("value", ["ek_unknown", "vak_unknown", "x", "<script>", "\ud83d", "ek_" + "9" * 9000, "a\0b"])
def test_another_value_is_none_of_ours_and_that_was_asked_too(adas_client: Client, value: str) -> None:
    body = urlencode({"value": value.encode(errors="surrogatepass")})
    shown = adas_client.post(PAGE, body, content_type="application/x-www-form-urlencoded").content.decode()

    assert "No client secret and no API key of this server" in shown
    assert AuditEvent.objects.get().facts == {"found": False}


@pytest.mark.parametrize("value", ["", "  "])
def test_nothing_pasted_asks_nothing(adas_client: Client, value: str) -> None:
    assert "No client secret" not in adas_client.post(PAGE, {"value": value}).content.decode()
    assert not AuditEvent.objects.exists()


def test_an_address_is_never_asked(adas_client: Client, alices_client: Client) -> None:
    value = alices_client.post("/api/client-secret", content_type="application/json").json()["value"]

    assert "issuance" not in adas_client.get(PAGE, {"value": value}).content.decode().split("<h1>")[1]
    assert not AuditEvent.objects.filter(action="secret.looked_up").exists()


def test_the_value_is_found_nowhere_afterwards(
    adas_client: Client,
    make_key: MakeKey,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    for value in (make_key().value, "ek_" + "7" * 64):
        assert value not in adas_client.post(PAGE, {"value": value}).content.decode()
        assert value not in caplog.text
        assert value not in str(list(AuditEvent.objects.values()))
        assert value not in str([dict(session) for session in [adas_client.session]])


@pytest.mark.parametrize("missing", ["view_issuance", "view_apikey"])
def test_who_may_not_see_both_histories_may_not_ask(db: None, missing: str) -> None:
    clerk = User.objects.create_user("clerk", is_staff=True)
    names = {"view_issuance", "view_apikey"} - {missing}
    clerk.user_permissions.set(Permission.objects.filter(codename__in=names))
    client = Client()
    client.force_login(clerk)

    assert client.get(PAGE).status_code == 403
    assert client.post(PAGE, {"value": "ek_1"}).status_code == 403
    assert not AuditEvent.objects.exists()


def test_the_form_needs_its_token(ada: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(ada)

    assert client.post(PAGE, {"value": "ek_1"}).status_code == 403
