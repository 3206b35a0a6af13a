"""The short way to the hot routes: from the ASGI server to the view, past Django's handler and middleware.

Django's handler costs several times what these views do. Only plain requests take this way; whatever a middleware
would have answered by itself (another method, plain http where https is asked for, a wrong Host, a cookie that cannot
be kept) goes on to Django with its body untouched. The views are in the URLconf all the same, and answer alike.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing
from http import HTTPStatus
from io import BytesIO
from typing import Final

from csp.middleware import CSPMiddleware
from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.middleware.clickjacking import XFrameOptionsMiddleware
from django.middleware.security import SecurityMiddleware
from django.utils.log import log_response

from realtime_api.errors import CodedError
from voiceagent.body_limit import App, Message, Receive, Scope, Send
from voiceagent.errors import error_response
from voiceagent.middleware import coded, has_readable_cookies, identify_request

View = Callable[[HttpRequest], Awaitable[HttpResponseBase]]
# Middleware that only adds fields to an answer, the same ones to each.
HEADER_MIDDLEWARE: Final = (XFrameOptionsMiddleware, CSPMiddleware, SecurityMiddleware)


class DirectMount:
    """ASGI middleware: answers POST requests to some paths by their views, and hands on everything else.

    streams: views that answer GET by a stream. Django's handler would keep a thread for each as long as it lasts.
    """

    def __init__(self, app: App, views: Mapping[str, View], streams: Mapping[str, View] | None = None) -> None:
        self.app = app
        self._views = {"POST": views, "GET": streams or {}}
        self._headers = {scheme: _site_headers(scheme) for scheme in ("http", "https")}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        view = self._views.get(scope["method"], {}).get(scope["path"]) if scope["type"] == "http" else None
        if view is None:
            return await self.app(scope, receive, send)
        raw_body = await _read_body(receive)
        if raw_body is None:
            return None  # the client left before it had said everything
        request = _plain_request(scope, raw_body)
        if request is None:
            return await self.app(scope, _again(raw_body, receive), send)
        request_id = identify_request(request)
        response = await _answer(request, view)
        response.headers.setdefault("X-Request-ID", request_id)
        headers = [(name.encode("ascii"), value.encode("latin-1")) for name, value in response.items()]
        headers += self._headers[request.scheme or "http"]
        start: Message = {"type": "http.response.start", "status": response.status_code, "headers": headers}
        if isinstance(response, StreamingHttpResponse):
            await send(start)
            return await _pass_on(aiter(response), receive, send)
        assert isinstance(response, HttpResponse)
        headers.append((b"Content-Length", b"%d" % len(response.content)))
        await send(start)
        await send({"type": "http.response.body", "body": response.content})
        return None


def _plain_request(scope: Scope, raw_body: bytes) -> ASGIRequest | None:
    """Return Django's form of a request that no middleware would answer by itself; None for any other."""
    try:
        request = ASGIRequest(scope, BytesIO(raw_body))
        request.get_host()
    except (DisallowedHost, UnicodeDecodeError):
        return None
    must_redirect = settings.SECURE_SSL_REDIRECT and not request.is_secure()
    return request if not must_redirect and has_readable_cookies(request) else None


async def _answer(request: HttpRequest, view: View) -> HttpResponseBase:
    unexpected: Exception | None = None  # only this one needs its traceback
    try:
        response = await view(request)
    except Exception as exc:
        error = coded(exc)
        unexpected = None if error else exc
        response = error_response(request, error or CodedError())
    if isinstance(response, HttpResponse) and response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log_response(  # whoever made it, as Django's handler does
            "%s: %s", response.reason_phrase, request.path, response=response, request=request, exception=unexpected
        )
    return response


async def _pass_on(parts: AsyncIterator[bytes], receive: Receive, send: Send) -> None:
    """Send what a stream yields as it comes, until it ends or the client leaves; either way the stream is closed."""
    sending = asyncio.create_task(_send_parts(parts, send))
    leaving = asyncio.create_task(_wait_for_leaving(receive))
    try:
        await asyncio.wait((sending, leaving), return_when=asyncio.FIRST_COMPLETED)
    finally:
        sending.cancel()
        leaving.cancel()
        await asyncio.gather(sending, leaving, return_exceptions=True)


async def _send_parts(parts: AsyncIterator[bytes], send: Send) -> None:
    async with aclosing(parts):  # type: ignore[type-var]  # a generator, by Django's own `__aiter__`
        async for part in parts:
            await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def _wait_for_leaving(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _read_body(receive: Receive) -> bytes | None:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        if not message.get("more_body"):
            return bytes(body)


def _again(raw_body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that tells the body once more, then what the server has to say."""
    is_told = False

    async def again() -> Message:
        nonlocal is_told
        if is_told:
            return await receive()
        is_told = True
        return {"type": "http.request", "body": raw_body, "more_body": False}

    return again


def _site_headers(scheme: str) -> list[tuple[bytes, bytes]]:
    """Return the fields that Django's own middleware would add to every answer."""
    request = HttpRequest()
    request.META["SERVER_NAME"], request.META["SERVER_PORT"] = "localhost", "80"
    request._get_scheme = lambda: scheme  # type: ignore[attr-defined]  # its hook for the kinds of server
    if scheme == "https" and settings.SECURE_PROXY_SSL_HEADER:
        name, value = settings.SECURE_PROXY_SSL_HEADER
        request.META[name] = value
    response = HttpResponse()
    del response.headers["Content-Type"]
    for middleware in HEADER_MIDDLEWARE:
        middleware(lambda _: response).process_response(request, response)  # each changes it in place
    response["Permissions-Policy"] = settings.PERMISSIONS_POLICY
    return [(name.encode(), value.encode()) for name, value in response.items()]
