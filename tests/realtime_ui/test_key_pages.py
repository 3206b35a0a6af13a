"""The page of one's own keys: made once, shown once, revoked after a question."""

import re
from datetime import UTC, datetime

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import Settings

from tokens.models import ApiKey

FORM = {
    "form_token": "0123456789abcdefghij_-",
    "name": "kiosk",
    "scopes": ["mint"],
    "days": "30",
    "allowed_networks": "127.0.0.0/8, ::1/128",
}


def value_on(html: str) -> str:
    found = re.search(r"vak_[0-9A-Za-z]{49}", html)
    assert found is not None
    return found[0]


def test_a_key_is_made_shown_once_and_works(alices_client: Client) -> None:
    made = alices_client.post("/keys/", FORM)
    value = value_on(made.content.decode())
    key = ApiKey.objects.get()

    assert (made.status_code, "no-store" in made["Cache-Control"]) == (200, True)
    assert (key.name, key.scopes, key.allowed_networks) == ("kiosk", ["mint"], ["127.0.0.0/8", "::1/128"])
    assert Client().get("/v1/models", headers={"authorization": f"Bearer {value}"}).status_code == 200
    listed = alices_client.get("/keys/").content.decode()
    assert value not in listed
    assert f"{value[:12]}…" in listed


def test_a_page_that_is_loaded_again_makes_no_other_key(alices_client: Client) -> None:
    form = FORM | {"form_token": token_on(alices_client.get("/keys/").content.decode())}
    value = value_on(alices_client.post("/keys/", form).content.decode())
    again = alices_client.post("/keys/", form)

    assert ApiKey.objects.count() == 1
    shown = again.content.decode()
    assert "That key is made already" in shown
    assert value not in shown
    assert token_on(shown) != form["form_token"]
    assert alices_client.post("/keys/", form | {"form_token": token_on(shown)}).status_code == 200
    assert ApiKey.objects.count() == 2


def test_a_form_s_token_is_one_s_own_and_lives_on_when_nothing_was_made(alices_client: Client, charlie: User) -> None:
    assert alices_client.post("/keys/", FORM | {"name": ""}).status_code == 422
    other = Client()
    other.force_login(charlie)
    other.post("/keys/", FORM)
    alices_client.post("/keys/", FORM)

    assert ApiKey.objects.count() == 2


@pytest.mark.parametrize("token", ["", "x", "x" * 500, "0123456789abcdefghij:*"])
def test_a_form_without_a_token_of_its_own_makes_nothing(alices_client: Client, token: str) -> None:
    response = alices_client.post("/keys/", FORM | {"form_token": token})

    assert response.status_code == 422
    assert "This form cannot be used. Load the page again." in response.content.decode()
    assert not ApiKey.objects.exists()


def token_on(html: str) -> str:
    found = re.search(r'name="form_token" value="([^"]+)"', html)
    assert found is not None
    return found[1]


def test_revoking_asks_first_and_then_is_for_good(alices_client: Client) -> None:
    value = value_on(alices_client.post("/keys/", FORM).content.decode())
    key = ApiKey.objects.get()
    url = f"/keys/{key.pk}/revoke/"

    assert "Revoke “kiosk”?" in alices_client.get(url).content.decode()
    assert ApiKey.objects.get().revoked_at is None
    assert alices_client.post(url)["Location"] == "/keys/"
    assert Client().get("/v1/models", headers={"authorization": f"Bearer {value}"}).status_code == 401
    assert alices_client.post(url).status_code == 404
    assert "revoked on" in alices_client.get("/keys/").content.decode()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": ""}, "This field is required."),
        ({"name": "a\u202eb"}, "Use characters that can be shown."),
        ({"scopes": []}, "Choose at least one."),
        ({"scopes": ["root"]}, "root is not one of the available choices."),
        ({"days": "4000"}, "4000 is not one of the available choices."),
        ({"allowed_networks": "everywhere"}, "is not a network such as 192.0.2.0/24"),
    ],
)
def test_what_is_wrong_stands_at_its_field(alices_client: Client, change: dict[str, object], words: str) -> None:
    response = alices_client.post("/keys/", FORM | change)

    assert response.status_code == 422
    assert words in response.content.decode()
    assert not ApiKey.objects.exists()


def test_the_administrator_s_maximum_is_the_longest_choice(alices_client: Client, settings: Settings) -> None:
    settings.API_KEY_MAX_DAYS = 45
    shown = alices_client.get("/keys/").content.decode()

    assert re.findall(r'<option value="(\d+)"', shown) == ["7", "30", "45"]
    assert 'value="45" selected' in shown


def test_a_name_is_text_and_no_markup(alices_client: Client) -> None:
    shown = alices_client.post("/keys/", FORM | {"name": "<script>alert(1)</script>"}).content.decode()

    assert "<script>alert(1)" not in shown


def test_a_stranger_s_key_is_not_there(alices_client: Client, charlie: User) -> None:
    alices_client.post("/keys/", FORM)
    stranger = Client()
    stranger.force_login(charlie)

    assert stranger.post(f"/keys/{ApiKey.objects.get().pk}/revoke/").status_code == 404
    assert "kiosk" not in stranger.get("/keys/").content.decode()
    assert ApiKey.objects.get().revoked_at is None


def test_a_form_without_token_is_refused(alice: User) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(alice)

    assert browser.post("/keys/", FORM).status_code == 403
    assert not ApiKey.objects.exists()


def test_item_80_an_administrator_without_a_second_step_is_told(adas_client: Client, alices_client: Client) -> None:
    told = "You are an administrator without a second step"

    assert told in adas_client.get("/keys/").content.decode()
    page = alices_client.get("/keys/").content.decode()
    assert told not in page
    assert 'href="/accounts/security/"' in page


def test_item_91_times_are_told_in_utc_and_in_a_zone_with_a_name(alices_client: Client, alice: User) -> None:
    ApiKey.objects.create(
        user=alice, name="k", public_part="vak_1", pepper_number=0, scopes=["read"],
        created_at=datetime(2026, 7, 1, 22, tzinfo=UTC), expires_at=datetime(2126, 7, 1, tzinfo=UTC),
    )  # fmt: skip
    page = alices_client.get("/keys/").content.decode()

    assert '<time datetime="2026-07-01T22:00:00Z" title="2026-07-01 22:00:00 UTC">' in page
    assert "data-zone-name>UTC<" in page
