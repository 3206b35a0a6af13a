"""The one way to learn a client's address: behind N trusted proxies it is the N-th from the right."""

import ipaddress
from functools import lru_cache

from django.conf import settings
from django.http import HttpRequest


def client_ip(request: HttpRequest) -> str | None:
    """Return the client's IP address as text, or None when it is unknown (a Unix socket).

    With `TRUSTED_PROXY_COUNT` 0 the `X-Forwarded-For` header is ignored, since anybody may send it. With
    N, the N-th entry from the right counts; a missing or unreadable entry means the proxy's own address.
    """
    peer = _valid(request.META.get("REMOTE_ADDR", ""))
    hops: int = settings.TRUSTED_PROXY_COUNT
    if not hops:
        return peer
    forwarded = [part.strip() for part in request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")]
    return (_valid(forwarded[-hops]) if len(forwarded) >= hops else None) or peer


@lru_cache(maxsize=4096)
def _valid(raw_address: str) -> str | None:
    if "%" in raw_address:  # a zone is of one machine, and of any length
        return None
    try:
        address = ipaddress.ip_address(raw_address)
    except ValueError:
        return None
    # A server that listens on IPv6 sees IPv4 callers as ::ffff:192.0.2.1: one address, one spelling.
    return str(getattr(address, "ipv4_mapped", None) or address)
