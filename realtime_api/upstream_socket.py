"""The upstream over WebSocket: a session of its own, or the sideband of a call. Failures become `realtime_api.errors`.

aiohttp's client holds at most 128 KiB and one event that were not taken yet, then stops reading; what it is given to
send waits while the upstream does not read.
"""

import asyncio
import json
import secrets
from collections.abc import Mapping
from typing import Any, Final

import aiohttp
from aiohttp import ClientWebSocketResponse, WSMsgType

from realtime_api import errors
from realtime_api.masking import mask_secrets
from realtime_api.session import SessionConfig
from realtime_api.upstream import (
    CONNECT_TIMEOUT_S,
    ERROR_CODE,
    Upstream,
    async_error,
    failure,
    logged,
    read_capped,
)

MAX_SERVER_EVENT_BYTES: Final = 4 * 1024 * 1024  # `conversation.item.retrieved` with a minute of sound
HEARTBEAT_S: Final = 20.0
CLOSE_TIMEOUT_S: Final = 2.0
EVENTS_BEFORE_SESSION: Final = 20  # others that may come before the two that are waited for
SWITCHING_PROTOCOLS: Final = 101


def open_socket_http() -> aiohttp.ClientSession:
    """Return the session that one event loop keeps for sockets to the upstream; the caller closes it."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),  # each socket keeps its connection; whoever opens them counts
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S),
        middlewares=(_refuse_other_answers,),
    )


async def _refuse_other_answers(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Turn every answer but an upgrade into its error: a redirect would be followed, a refusal's words be lost."""
    answer = await handler(request)
    if answer.status == SWITCHING_PROTOCOLS:
        return answer
    try:
        raise failure(answer.status, answer.headers, await read_capped(answer.content))
    finally:
        answer.close()


async def connect(
    http: aiohttp.ClientSession, upstream: Upstream, *, address: Mapping[str, str], headers: Mapping[str, str]
) -> ClientWebSocketResponse:
    """Open a socket to the upstream. address: its query, `model` or `call_id`. headers: beside the server's own.

    Raises UpstreamError subclasses.
    """
    with logged("socket"):
        try:
            async with asyncio.timeout(upstream.deadline_s):
                return await http.ws_connect(
                    f"{upstream.base_url}/realtime",
                    params=address,
                    headers=upstream.headers() | dict(headers),
                    heartbeat=HEARTBEAT_S,
                    max_msg_size=MAX_SERVER_EVENT_BYTES,
                    timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_TIMEOUT_S),
                )
        except aiohttp.WSServerHandshakeError as exc:
            raise errors.UpstreamBadAnswer(upstream_status=exc.status) from exc
        except (TimeoutError, aiohttp.ClientError) as exc:
            raise async_error(exc) from exc


async def start_session(
    socket: ClientWebSocketResponse, session: SessionConfig | dict[str, Any], *, deadline_s: float
) -> dict[str, Any]:
    """Set a new socket's session before anything else is said; returns its `session.created` as if it began with it.

    Raises UpstreamRefusedRequest when the upstream does not take the session, else UpstreamError subclasses.
    """
    with logged("session"):
        try:
            async with asyncio.timeout(deadline_s):
                created = await _event(socket, "session.created")
                updated = await update_session(socket, session)
        except (TimeoutError, aiohttp.ClientError) as exc:
            raise async_error(exc) from exc
    return created | {"session": updated["session"]}


async def update_session(socket: ClientWebSocketResponse, session: SessionConfig | dict[str, Any]) -> dict[str, Any]:
    """Set the session of a socket that nobody else reads; returns its `session.updated`. Raises as `start_session`."""
    update = {"type": "session.update", "event_id": f"event_{secrets.token_hex(8)}", "session": session}
    await socket.send_str(json.dumps(update))
    return await _event(socket, "session.updated")


async def _event(socket: ClientWebSocketResponse, wanted: str) -> dict[str, Any]:
    for _ in range(EVENTS_BEFORE_SESSION):
        message = await socket.receive()
        if message.type is not WSMsgType.TEXT:
            raise errors.UpstreamBroken()
        try:
            event = json.loads(message.data)
            kind = event["type"]
        except (ValueError, KeyError, TypeError, RecursionError) as exc:
            raise errors.UpstreamBadAnswer() from exc
        if kind == "error":
            raise _refusal(event)
        if kind == wanted and isinstance(event.get("session"), dict):
            return dict(event)
    raise errors.UpstreamBadAnswer()


def _refusal(event: dict[str, Any]) -> errors.UpstreamRefusedRequest:
    error = event.get("error")
    told = error if isinstance(error, dict) else {}
    code = str(told.get("code") or "")
    message = mask_secrets(str(told.get("message") or ""))[:500]
    return errors.UpstreamRefusedRequest(
        message, upstream_status=400, upstream_code=code if ERROR_CODE.fullmatch(code) else ""
    )
