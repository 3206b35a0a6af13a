"""A secret's life follows from its row and the clock."""

from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client

from tokens.models import Issuance

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def issuance(**changes: object) -> Issuance:
    facts: dict[str, object] = {"status": "issued", "requested_at": NOW, "expires_at": NOW + MINUTE}
    return Issuance(request_id="req_1", **(facts | changes))


@pytest.mark.parametrize(
    ("changes", "life"),
    [
        ({}, "valid"),
        ({"expires_at": NOW}, "expired"),
        ({"first_used_at": NOW, "expires_at": NOW - MINUTE}, "used"),
        ({"first_used_at": NOW, "revoked_at": NOW}, "revoked"),
        ({"status": "denied", "expires_at": None}, "none"),
        ({"status": "unknown"}, "none"),
    ],
)
def test_where_a_secret_stands(changes: dict[str, object], life: str) -> None:
    assert issuance(**changes).life(NOW) == life


def test_the_last_half_minute_is_left_to_whoever_connects_already() -> None:
    secret = issuance()

    assert secret.is_valid(NOW + timedelta(seconds=29))
    assert not secret.is_valid(NOW + timedelta(seconds=30))
    assert secret.life(NOW + timedelta(seconds=59)) == "valid"
    assert secret.life(NOW + timedelta(seconds=60)) == "expired"


@pytest.mark.parametrize(("left_s", "is_taken"), [(1, True), (0, False)])
@pytest.mark.django_db
def test_the_relay_takes_a_secret_to_its_last_second(left_s: int, is_taken: bool) -> None:
    secret = issuance(secret_digest="digest", expires_at=NOW + timedelta(seconds=left_s))
    secret.save()

    assert Issuance.objects.usable(secret_digest="digest", now=NOW).exists() is is_taken


def test_history_tells_the_life(alices_client: Client) -> None:
    alices_client.post("/api/client-secret", {}, content_type="application/json")
    assert alices_client.get("/api/issuances").json()["results"][0]["life"] == "valid"
    Issuance.objects.update(expires_at=NOW - timedelta(days=1))

    assert alices_client.get("/api/issuances").json()["results"][0]["life"] == "expired"
