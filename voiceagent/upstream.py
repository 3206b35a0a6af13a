"""The upstream as it is configured: where it is, who we are to it, and one HTTP session for each event loop."""

import asyncio
import hmac
from collections.abc import Callable
from functools import lru_cache
from weakref import WeakKeyDictionary

import aiohttp
from django.conf import settings

from realtime_api.errors import UpstreamUnreachable
from realtime_api.upstream import Upstream, open_http
from realtime_api.upstream_socket import open_socket_http

Sessions = WeakKeyDictionary[asyncio.AbstractEventLoop, aiohttp.ClientSession]
_sessions: Sessions = WeakKeyDictionary()
_socket_sessions: Sessions = WeakKeyDictionary()


def configured_upstream() -> Upstream:
    return Upstream(settings.UPSTREAM_BASE_URL, settings.UPSTREAM_API_KEY, settings.UPSTREAM_DEADLINE_S)


def unavailable(error: UpstreamUnreachable) -> UpstreamUnreachable:
    """Return the error with what helps here: whether it is the local engine that does not run."""
    hint: str = settings.UPSTREAM_UNAVAILABLE_HINT
    return UpstreamUnreachable(f"{error.default_message} {hint}", suggested_action=hint)


def safety_identifier(user_id: int | None) -> str:
    """Return the stable keyed hash by which the upstream may tell users apart without knowing them."""
    return _keyed_hash(settings.SECRET_KEY, user_id)


@lru_cache(maxsize=4096)
def _keyed_hash(secret_key: str, user_id: int | None) -> str:
    return hmac.digest(secret_key.encode(), f"safety:{user_id}".encode(), "sha256").hex()


def upstream_http() -> aiohttp.ClientSession:
    """Return the running loop's session, opened on first use."""
    return _session(_sessions, open_http)


def upstream_socket_http() -> aiohttp.ClientSession:
    """Return the running loop's session for sockets, opened on first use."""
    return _session(_socket_sessions, open_socket_http)


def _session(sessions: Sessions, open_one: Callable[[], aiohttp.ClientSession]) -> aiohttp.ClientSession:
    loop = asyncio.get_running_loop()
    session = sessions.get(loop)
    if session is None or session.closed:
        session = sessions[loop] = open_one()
    return session


async def close_upstream_http() -> None:
    """Close the running loop's sessions, at the server's shutdown."""
    for sessions in (_sessions, _socket_sessions):
        session = sessions.pop(asyncio.get_running_loop(), None)
        if session is not None:
            await session.close()
