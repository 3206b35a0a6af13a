"""The one HTTP session of each event loop to the upstream, so that connections are kept alive between calls."""

import asyncio
from weakref import WeakKeyDictionary

import aiohttp

from realtime_api.upstream import open_http

_sessions: WeakKeyDictionary[asyncio.AbstractEventLoop, aiohttp.ClientSession] = WeakKeyDictionary()


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
