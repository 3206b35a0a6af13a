"""Count a request's bytes as they arrive and refuse what is too large, before anything spools it."""

import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from django.conf import settings
from django.http import HttpRequest

from voiceagent.errors import TooLarge, error_response

Scope = dict[str, Any]
Message = Mapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class _TooLarge(Exception):
    """The body went past the limit; caught by the one who raised it."""


class BodyLimit:
    """ASGI middleware, outermost: answers 413 once a body passes `DATA_UPLOAD_MAX_MEMORY_SIZE` bytes.

    Django would store the whole of any body first. A declared length is refused at once, a chunked body as
    soon as it is too long, and the connection is closed.
    """

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        limit: int = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        if _declared_length(scope) > limit:
            return await _refuse(scope, send)
        received = 0
        started = False

        async def counting_receive() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                raise _TooLarge
            return message

        async def watching_send(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.app(scope, counting_receive, watching_send)
        except _TooLarge:
            if not started:
                await _refuse(scope, send)


def _declared_length(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit() and len(value) < 20:
            return int(value)
    return 0


async def _refuse(scope: Scope, send: Send) -> None:
    """Answer in the form of the route, with a request id, as every other error does."""
    request_id = f"req_{secrets.token_hex(12)}"
    request = HttpRequest()
    request.path = scope["path"]
    request.request_id = request_id  # type: ignore[attr-defined]  # as the outermost middleware does
    response = error_response(request, TooLarge(headers={"X-Request-ID": request_id, "Connection": "close"}))
    headers = [(name.lower().encode(), value.encode()) for name, value in response.items()]
    await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
    await send({"type": "http.response.body", "body": response.content})
