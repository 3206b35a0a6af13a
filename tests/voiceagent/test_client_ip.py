"""Whose address counts, with and without trusted proxies."""

import pytest
from django.test import RequestFactory
from pytest_django import Settings

from voiceagent.client_ip import client_ip


@pytest.mark.parametrize(
    ("hops", "forwarded", "expected"),
    [
        (0, "", "192.0.2.1"),
        (0, "198.51.100.7", "192.0.2.1"),  # nobody trusted, so anybody could have written it
        (1, "198.51.100.7", "198.51.100.7"),
        (1, "203.0.113.9, 198.51.100.7", "198.51.100.7"),  # the left part is the client's own claim
        (2, "203.0.113.9, 198.51.100.7", "203.0.113.9"),
        (2, "198.51.100.7", "192.0.2.1"),  # fewer entries than proxies: somebody came around one
        (1, "not an address", "192.0.2.1"),
        (1, "2001:db8::1", "2001:db8::1"),
        (1, "2001:DB8:0::1", "2001:db8::1"),  # one address, one spelling: limits are keyed by it
        (1, "::ffff:198.51.100.7", "198.51.100.7"),
        (1, "::FFFF:C633:6407", "198.51.100.7"),
    ],
)
def test_the_address(settings: Settings, hops: int, forwarded: str, expected: str) -> None:
    settings.TRUSTED_PROXY_COUNT = hops
    request = RequestFactory().get("/", REMOTE_ADDR="192.0.2.1", headers={"x-forwarded-for": forwarded})

    assert client_ip(request) == expected


def test_a_unix_socket_has_no_address() -> None:
    assert client_ip(RequestFactory().get("/", REMOTE_ADDR="")) is None


def test_a_caller_by_ipv4_at_an_ipv6_socket_is_known_by_the_ipv4_address() -> None:
    assert client_ip(RequestFactory().get("/", REMOTE_ADDR="::ffff:192.0.2.1")) == "192.0.2.1"
