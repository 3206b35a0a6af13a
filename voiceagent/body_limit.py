"""Count a request's bytes as they arrive and refuse what is too large, before anything spools it."""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from django.conf import settings

Scope = dict[str, Any]
Message = Mapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

REFUSAL: Final = json.dumps(
    {
        "error": {
            "message": "The body is larger than this server takes.",
            "type": "invalid_request_error",
            "code": "too_large",
            "param": None,
        }
    }
).encode()


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
            return await _refuse(send)
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
                await _refuse(send)


def _declared_length(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit() and len(value) < 20:
            return int(value)
    return 0


async def _refuse(send: Send) -> None:
    headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": REFUSAL})
