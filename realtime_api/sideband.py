"""A sideband: our server's own WebSocket to a live call. Events in, client events out, plain failures."""

import json
import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import quote

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from realtime_api.upstream import Upstream

logger = logging.getLogger(__name__)
OPEN_TIMEOUT_S: Final = 10.0
CLOSE_TIMEOUT_S: Final = 2.0
PING_S: Final = 20.0
MAX_EVENT_BYTES: Final = 4 * 1024 * 1024  # an item that is retrieved brings its sound along
# The upstream knows a call a moment after it has answered its offer.
RETRY_DELAYS_S: Final = (0.2, 0.4, 0.8, 1.6, 3.2)


class SidebandFailed(Exception):
    """No sideband was opened. status: of the HTTP answer, 0 when there was none."""

    def __init__(self, status: int = 0) -> None:
        super().__init__(f"status {status}")
        self.status = status


class SidebandClosed(Exception):
    """The sideband has ended, so that nothing can be sent."""


class Sideband:
    """An open sideband. Iterating over it yields server events until it ends, for whatever reason."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    async def __aiter__(self) -> AsyncIterator[dict[str, Any]]:
        try:
            async for message in self._connection:
                event = _event_of(message)
                if event is not None:
                    yield event
        except ConnectionClosed:
            return

    async def send(self, event: dict[str, Any]) -> None:
        """Send a client event; raises SidebandClosed."""
        try:
            await self._connection.send(json.dumps(event))
        except ConnectionClosed as exc:
            raise SidebandClosed from exc


@asynccontextmanager
async def join_call(upstream: Upstream, call_id: str) -> AsyncIterator[Sideband]:
    """Join a live call with the server's key. Raises SidebandFailed."""
    url = f"ws{upstream.base_url.removeprefix('http')}/realtime?call_id={quote(call_id, safe='')}"
    opening = _Connect(
        url,
        additional_headers={"Authorization": f"Bearer {upstream.api_key}"},
        proxy=None,  # the environment's proxy must not see the key
        compression=None,
        max_size=MAX_EVENT_BYTES,
        open_timeout=min(OPEN_TIMEOUT_S, upstream.deadline_s),
        close_timeout=CLOSE_TIMEOUT_S,
        ping_interval=PING_S,
        ping_timeout=PING_S,
    )
    try:
        connection = await opening
    except InvalidStatus as exc:
        raise SidebandFailed(exc.response.status_code) from exc
    except (InvalidHandshake, InvalidURI, OSError, TimeoutError, ssl.SSLError) as exc:
        raise SidebandFailed from exc
    try:
        yield Sideband(connection)
    finally:
        await connection.close()


class _Connect(connect):
    """A connection that is not redirected: the key is for one address."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


def _event_of(message: str | bytes) -> dict[str, Any] | None:
    try:
        event = json.loads(message)
    except (ValueError, RecursionError):
        logger.warning("the sideband brought what is no JSON bytes=%d", len(message))
        return None
    return event if isinstance(event, dict) else None
