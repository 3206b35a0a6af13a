"""What every answer carries, and what the probes say."""

import re

import pytest
from django.db import DatabaseError
from django.test import Client
from redis.exceptions import ConnectionError as RedisConnectionError

from voiceagent import sdk_bundle
from voiceagent.request_id import make_request_id

pytestmark = pytest.mark.django_db


def test_every_request_has_an_id(client: Client) -> None:
    first, second = client.get("/healthz"), client.get("/healthz")

    assert re.fullmatch(r"req_[0-9a-f]{24}", first["X-Request-ID"])
    assert first["X-Request-ID"] != second["X-Request-ID"]


@pytest.mark.parametrize(
    ("theirs", "is_kept"),
    [("trace-0123456789", True), ("short", False), ("x" * 65, False), ("has blanks in it", False), ("<b>12345", False)],
)
def test_a_caller_s_sane_id_is_kept_and_junk_is_replaced(client: Client, theirs: str, is_kept: bool) -> None:
    answered = client.get("/healthz", headers={"x-request-id": theirs})["X-Request-ID"]

    assert (answered == theirs) is is_kept


def test_pages_forbid_foreign_code_and_framing(client: Client) -> None:
    response = client.get("/accounts/login/")
    policy = response["Content-Security-Policy"]

    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert response["X-Frame-Options"] == "DENY"
    assert "microphone=(self)" in response["Permissions-Policy"]


def test_liveness_asks_nothing_and_is_not_cached(client: Client, django_assert_num_queries: object) -> None:
    with django_assert_num_queries(0):  # type: ignore[operator]  # the fixture's own type is not exported
        response = client.get("/healthz")

    assert response.json() == {"status": "ok"}
    assert "no-store" in response["Cache-Control"]


def test_readiness_names_what_is_missing(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sdk_bundle, "is_built", lambda: True)
    assert client.get("/readyz").json() == {"status": "ready", "reasons": {}}

    def refuse(*args: object) -> None:
        raise DatabaseError("secret host name")

    monkeypatch.setattr("django.db.backends.utils.CursorWrapper.execute", refuse)

    def hang_up(*args: object) -> None:
        raise RedisConnectionError("secret host name")

    monkeypatch.setattr("voiceagent.health.cache.get", hang_up)
    monkeypatch.setattr(sdk_bundle, "is_built", lambda: False)
    response = client.get("/readyz")

    assert response.status_code == 503
    assert sorted(response.json()["reasons"]) == ["assets", "cache", "database"]
    assert b"secret host name" not in response.content


def test_nobody_signs_up(client: Client) -> None:
    response = client.post("/accounts/signup/", {"username": "eve", "password1": "long-enough-1", "password2": "x"})

    assert b"eve" not in response.content
    assert client.post("/accounts/login/", {"login": "eve", "password": "long-enough-1"}).status_code == 200


def test_ids_of_requests_follow_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    for moment_ns in (1_000_000_000_000, 1_000_001_000_000, 1_764_000_000_000_000_000):
        monkeypatch.setattr("time.time_ns", lambda moment_ns=moment_ns: moment_ns)
        made += [make_request_id(), make_request_id()]

    assert len(set(made)) == 6
    assert [request_id[:16] for request_id in made] == sorted(request_id[:16] for request_id in made)
    assert {len(request_id) for request_id in made} == {28}
