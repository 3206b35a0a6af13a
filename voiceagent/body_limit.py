"""Count a request's bytes as they arrive and refuse what is too large or too slow, before anything spools it."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from django.conf import settings
from django.http import HttpRequest

from realtime_api.errors import CodedError
from voiceagent.error_views import answer
from voiceagent.errors import RequestTimeout, TooLarge
from voiceagent.request_id import make_request_id

BODY_DEADLINE_S: Final = 10.0  # for the whole of a body; the largest one takes a slow phone two seconds

Scope = dict[str, Any]
Message = Mapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

CLIENT_LEFT: Final[Message] = {"type": "http.disconnect"}


class BodyLimit:
    """ASGI middleware, outermost: 413 past `DATA_UPLOAD_MAX_MEMORY_SIZE` bytes, 408 for a body that takes too long.

    Django would wait for any body and store the whole of it first. A declared length is refused at once, a chunked
    body as soon as it is too long, and the connection is closed.
    """

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limit: int = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        if _declared_length(scope) > limit:
            await refuse(scope, send, TooLarge(), Connection="close")
            return
        body = _Body(receive, limit)
        started = False

        async def watching_send(message: Message) -> None:
            nonlocal started
            if started or body.refusal is None:
                started = True
                await send(message)

        await self.app(scope, body.receive, watching_send)
        if body.refusal and not started:
            await refuse(scope, send, body.refusal(), Connection="close")


class _Body:
    """What arrives of one request. refusal: why it was broken off; the application is told that the client left."""

    def __init__(self, receive: Receive, limit: int) -> None:
        self.refusal: type[CodedError] | None = None
        self._receive = receive
        self._limit = limit
        self._deadline = asyncio.get_running_loop().time() + BODY_DEADLINE_S
        self._received = 0
        self._is_whole = False

    async def receive(self) -> Message:
        if self._is_whole:
            return await self._receive()  # tells when the client leaves, and may take as long as it likes
        try:
            async with asyncio.timeout_at(self._deadline):
                message = await self._receive()
        except TimeoutError:
            self.refusal = RequestTimeout
            return CLIENT_LEFT
        self._received += len(message.get("body", b""))
        if self._received > self._limit:
            self.refusal = TooLarge
            return CLIENT_LEFT
        self._is_whole = not message.get("more_body", False)
        return message


def _declared_length(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit() and len(value) < 20:
            return int(value)
    return 0


async def refuse(scope: Scope, send: Send, error: CodedError, template: str = "400.html", **fields: str) -> None:
    """Answer before Django in the form of the route, with a request id, as every other error does."""
    request_id = make_request_id()
    request = HttpRequest()
    request.path = request.path_info = scope["path"]
    request.request_id = request_id  # type: ignore[attr-defined]  # as the outermost middleware does
    response = answer(request, error, template)
    all_fields = {"X-Request-ID": request_id, **fields, **dict(response.items())}
    headers = [(name.lower().encode(), value.encode()) for name, value in all_fields.items()]
    await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
    await send({"type": "http.response.body", "body": response.content})
