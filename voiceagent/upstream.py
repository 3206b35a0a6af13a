"""The upstream as it is configured: where it is, who we are to it, and one HTTP session for each event loop."""

import asyncio
import hashlib
import hmac
from weakref import WeakKeyDictionary

import aiohttp
from django.conf import settings

from realtime_api.upstream import Upstream, open_http

_sessions: WeakKeyDictionary[asyncio.AbstractEventLoop, aiohttp.ClientSession] = WeakKeyDictionary()


def configured_upstream() -> Upstream:
    return Upstream(settings.UPSTREAM_BASE_URL, settings.UPSTREAM_API_KEY, settings.UPSTREAM_DEADLINE_S)


def safety_identifier(user_id: int | None) -> str:
    """Return the stable keyed hash by which the upstream may tell users apart without knowing them."""
    return hmac.new(settings.SECRET_KEY.encode(), f"safety:{user_id}".encode(), hashlib.sha256).hexdigest()


def upstream_http() -> aiohttp.ClientSession:
    """Return the running loop's session, opened on first use."""
    loop = asyncio.get_running_loop()
    session = _sessions.get(loop)
    if session is None or session.closed:
        session = _sessions[loop] = open_http()
    return session


async def close_upstream_http() -> None:
    """Close the running loop's session, at the server's shutdown."""
    session = _sessions.pop(asyncio.get_running_loop(), None)
    if session is not None:
        await session.close()
