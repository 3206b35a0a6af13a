"""Middleware of our own: who a request is in every log and answer, and errors that turn into answers."""

import logging
import re
from collections.abc import Awaitable, Callable
from typing import Final

from asgiref.sync import markcoroutinefunction
from django.conf import settings
from django.db import InterfaceError, InternalError, OperationalError
from django.http import HttpRequest, HttpResponseBase
from redis.exceptions import RedisError

from audit.exceptions import AuditUnavailable
from realtime_api.errors import CodedError
from realtime_api.masking import mask_keys
from tokens.exceptions import LimitsUnavailable
from voiceagent.error_views import answer
from voiceagent.errors import BadRequest, error_response
from voiceagent.request_id import current_request_id, make_request_id

logger = logging.getLogger(__name__)
REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{8,64}")
Handler = Callable[[HttpRequest], Awaitable[HttpResponseBase]]


def identify_request(request: HttpRequest) -> str:
    """Give a request its id, for its answer and every log line, and return it."""
    theirs = request.META.get("HTTP_X_REQUEST_ID", "")
    is_sane = REQUEST_ID.fullmatch(theirs) and mask_keys(theirs) == theirs
    request_id = theirs if is_sane else make_request_id()
    request.request_id = request_id  # type: ignore[attr-defined]  # Django's request has no room of its own
    current_request_id.set(request_id)
    return request_id


def has_readable_cookies(request: HttpRequest) -> bool:
    """Tell whether no cookie holds a NUL: PostgreSQL stores none, so it would end as an error of the database."""
    return not any("\0" in value for value in request.COOKIES.values())


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
        request_id = identify_request(request)
        response = (
            await self.get_response(request) if has_readable_cookies(request) else error_response(request, BadRequest())
        )
        response["X-Request-ID"] = request_id
        response.setdefault("Permissions-Policy", settings.PERMISSIONS_POLICY)
        return response


class CodedErrors:
    """Turn an error of the catalogue that a view raised into its answer.

    Innermost and synchronous on purpose: Django then runs all of its own middleware in one thread hop for each
    request, where in asynchronous mode each of them would hop by itself.
    """

    async_capable = False
    sync_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponseBase | None:
        error = coded(exception)
        return answer(request, error, "500.html") if error else None


def coded(exception: Exception) -> CodedError | None:
    """Return the error of the catalogue that an exception stands for; None for one that nobody expected."""
    if isinstance(exception, CodedError):
        return exception
    if isinstance(exception, OperationalError | InterfaceError | InternalError):  # the last: a replica that only reads
        logger.exception("the database does not answer")
        return AuditUnavailable(retry_after_ms=1000)
    if isinstance(exception, RedisError):
        logger.exception("the cache does not answer")
        return LimitsUnavailable(retry_after_ms=1000)
    return None
