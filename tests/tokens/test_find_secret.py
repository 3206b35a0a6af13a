"""Whose is a value that leaked? Answered without the value ever being an argument."""

import io

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from pytest_django import Settings

from tests.tokens.conftest import MakeKey
from tokens.models import Issuance


def find(monkeypatch: pytest.MonkeyPatch, value: str) -> str:
    monkeypatch.setattr("sys.stdin", io.StringIO(value + "\n"))
    said = io.StringIO()
    call_command("find_secret", stdout=said)
    return said.getvalue()


def test_a_client_secret_is_found(alices_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    value = alices_client.post("/api/client-secret", content_type="application/json").json()["value"]
    row = Issuance.objects.get()

    said = find(monkeypatch, value)
    assert f"still valid: issuance {row.pk} to alice from 127.0.0.1" in said
    assert row.request_id in said
    assert value not in said


def test_a_key_is_found(make_key: MakeKey, monkeypatch: pytest.MonkeyPatch) -> None:
    value = make_key(name="kiosk").value

    assert "API key, in use: 'kiosk'" in find(monkeypatch, value)


def test_a_key_whose_pepper_is_gone_is_none_of_ours(
    make_key: MakeKey, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    settings.API_KEY_PEPPERS = {1: "pepper"}
    value = make_key().value
    settings.API_KEY_PEPPERS = {}

    with pytest.raises(CommandError):
        find(monkeypatch, value)


@pytest.mark.django_db
@pytest.mark.parametrize("value", ["", "ek_unknown", "vak_unknown", "x"])
def test_another_value_is_none_of_ours(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    with pytest.raises(CommandError):
        find(monkeypatch, value)
