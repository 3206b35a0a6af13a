"""Middleware of our own: who a request is in every log and answer, and errors that turn into answers."""

import re
import secrets
from collections.abc import Awaitable, Callable
from typing import Final

from asgiref.sync import markcoroutinefunction
from django.conf import settings
from django.http import HttpRequest, HttpResponseBase

from realtime_api.errors import CodedError
from voiceagent.errors import error_response

REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{8,64}")
Handler = Callable[[HttpRequest], Awaitable[HttpResponseBase]]


class AsyncMiddleware:
    """Base of middleware that runs on the event loop; Django adapts it where a caller is synchronous."""

    async_capable = True
    sync_capable = False

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response
        markcoroutinefunction(self)  # type: ignore[type-var]  # an instance with an async __call__, as Django does it


class RequestIdentity(AsyncMiddleware):
    """Give every request an id: the caller's `X-Request-ID` if it is sane, else ours. It is answered back."""

    async def __call__(self, request: HttpRequest) -> HttpResponseBase:
        theirs = request.META.get("HTTP_X_REQUEST_ID", "")
        request_id = theirs if REQUEST_ID.fullmatch(theirs) else f"req_{secrets.token_hex(12)}"
        request.request_id = request_id  # type: ignore[attr-defined]  # Django's request has no room of its own
        response = await self.get_response(request)
        response["X-Request-ID"] = request_id
        response.setdefault("Permissions-Policy", settings.PERMISSIONS_POLICY)
        return response


class CodedErrors(AsyncMiddleware):
    """Turn an error of the catalogue that a view raised into its answer."""

    async def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return await self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponseBase | None:
        return error_response(request, exception) if isinstance(exception, CodedError) else None
