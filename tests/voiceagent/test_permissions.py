"""Every address of the site, and who gets past its door. A new one must be put into a list here."""

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

# Addresses that answer anybody, and why.
OPEN = {
    "healthz", "readyz",  # probes
    "accounts/login/", "accounts/logout/", "accounts/signup/", "accounts/inactive/",  # to get in, or to be told
    "accounts/login/passkey/", "accounts/oidc/login/", "accounts/oidc/login/callback/",  # other ways in
    "v1/realtime/calls", "api/realtime/handshake",  # the client secret itself decides
}  # fmt: skip
# Pages among the programs' addresses: they lead to the login, as pages do.
PAGES = {"/api/docs/"}
# What stands for the parts of an address.
PARTS = {"<int:pk>": "1", "<call_id:call_id>": "rtc_1", "<slug:name>": "find_book", "<path:place>": "0/000"}


def addresses(patterns: list[URLPattern | URLResolver] | None = None, prefix: str = "") -> list[str]:
    """Return every address but the admin's, which has its own door and its own test."""
    found = []
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        path = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            found += [] if path == "admin/" else addresses(pattern.url_patterns, path)
        else:
            found.append(path)
    return found


@pytest.mark.django_db
@pytest.mark.parametrize("address", sorted(set(addresses()) - OPEN))
@pytest.mark.parametrize("method", ["get", "post", "delete"])
def test_nobody_gets_in_unknown(client: Client, address: str, method: str) -> None:
    path = "/" + address
    for part, value in PARTS.items():
        path = path.replace(part, value)
    response = getattr(client, method)(path, content_type="application/json")

    if path.startswith(("/api/", "/v1/", "/metrics", "/log/")) and path not in PAGES:
        assert response.status_code in (401, 405), response.content
    else:
        assert response.status_code in (302, 405)
        assert response.status_code == 405 or response["Location"].startswith("/accounts/login/")


@pytest.mark.django_db
def test_the_admin_has_the_same_door(client: Client) -> None:
    response = client.get("/admin/login/", follow=True)

    assert response.redirect_chain[0][0].startswith("/accounts/login/")


@pytest.mark.django_db
def test_that_door_is_shut_after_some_wrong_passwords(client: Client, alice: object) -> None:
    for _ in range(5):
        client.post("/accounts/login/", {"login": "alice", "password": "wrong"})
    response = client.post("/accounts/login/", {"login": "alice", "password": "a-long-password"})

    assert response.status_code == 429
