"""The one catalogue of errors and the one form in which they leave: ours, or the upstream's on `/v1` routes."""

from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from functools import wraps
from http import HTTPStatus
from typing import Any, Final, TypeVar

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse

from realtime_api.errors import CodedError, UpstreamError, UpstreamRefusedRequest

# Other names under which a code is known, and the code that the catalogue lists.
ALIASES = {"token_expired": "ephemeral_key_expired"}


@dataclass(frozen=True)
class PageError:
    """What goes wrong in the browser, where no answer of ours tells of it; call_errors.js has the page's words."""

    code: str
    message: str
    suggested_action: str


PAGE_ERRORS: Final = (
    PageError(
        "connection_lost",
        "The sound connection of a call that was going on broke off.",
        "Start a new call; what was said so far stays on the page.",
    ),
    PageError(
        "microphone_access_denied",
        "The browser or the system keeps the page from the microphone, or there is none.",
        "Allow it for this site as the page describes, or type instead.",
    ),
    PageError("network", "The page could not reach this server.", "Check the network, then try again."),
    PageError("sdk_missing", "The audio library did not load.", "Reload the page; see `check --deploy`."),
    PageError(
        "unknown",
        "The page got an answer that it has no words for.",
        "Try again; copy the details for an administrator.",
    ),
    PageError(
        "webrtc_connection_failed",
        "The sound connection could not be set up.",
        "Check the network, try again, or type instead. A firewall may be in the way.",
    ),
)


class BadRequest(CodedError):
    code = "bad_request"
    title = "The request could not be read"
    status = 400
    default_message = "The request is malformed."
    suggested_action = "Correct the request."


class Busy(CodedError):
    code = "busy"
    title = "The service is busy"
    status = 503
    default_message = "Too many requests are being worked on."
    suggested_action = "Wait for the time given, then try again."


class CsrfFailed(CodedError):
    code = "csrf_failed"
    title = "The page is out of date"
    status = 403
    default_message = "The request's CSRF token is missing or wrong."
    suggested_action = "Reload the page and try again."


class PermissionDenied(CodedError):
    code = "permission_denied"
    title = "This isn't open to you"
    status = 403
    default_message = "You may not do this."
    suggested_action = "Ask an administrator."


class NotFound(CodedError):
    code = "not_found"
    title = "There is nothing here"
    status = 404
    default_message = "There is no such address."
    suggested_action = "Check the address."


class MethodNotAllowed(CodedError):
    code = "method_not_allowed"
    title = "The request could not be read"
    status = 405
    default_message = "This address does not take that method."
    suggested_action = "Use a method of the Allow header."


class NotAcceptable(CodedError):
    code = "not_acceptable"
    title = "The request could not be read"
    status = 406
    default_message = "This address answers in JSON, which the Accept header rules out."
    suggested_action = "Send Accept: application/json, or no Accept at all."


class RequestTimeout(CodedError):
    code = "request_timeout"
    title = "The request took too long"
    status = 408
    default_message = "The request's body did not arrive in time."
    suggested_action = "Send the whole body at once."


class TooLarge(CodedError):
    code = "too_large"
    title = "The request is too large"
    status = 413
    default_message = "The body is larger than this server takes."
    suggested_action = "Send less."


class UnsupportedMediaType(CodedError):
    code = "unsupported_media_type"
    title = "The request could not be read"
    status = 415
    default_message = "The body's type is not taken here."
    suggested_action = "Send the type that the documentation names."


Answer = TypeVar("Answer", bound=HttpResponseBase)
View = Callable[..., Coroutine[Any, Any, Answer]]


def allow_methods(*methods: str) -> Callable[[View[Answer]], View[Answer | HttpResponse]]:
    """Decorate an asynchronous view that takes these methods and answers all others in our form."""

    def decorate(view: View[Answer]) -> View[Answer | HttpResponse]:
        @wraps(view)
        async def checked(request: HttpRequest, *args: Any, **kwargs: Any) -> Answer | HttpResponse:
            if request.method not in methods:
                return error_response(request, MethodNotAllowed(headers={"Allow": ", ".join(methods)}))
            return await view(request, *args, **kwargs)

        return checked

    return decorate


PLAIN_ERRORS: dict[int, type[CodedError]] = {
    error.status: error
    for error in (
        BadRequest,
        PermissionDenied,
        NotFound,
        MethodNotAllowed,
        NotAcceptable,
        TooLarge,
        UnsupportedMediaType,
    )
}


def is_api_path(path: str) -> bool:
    """Tell whether a path is a program's, which gets JSON whatever happens."""
    return path.startswith(("/api/", "/v1/"))


def error_response(request: HttpRequest, error: CodedError) -> HttpResponse:
    """Return an error as JSON: in the upstream's form on `/v1` routes, else in ours."""
    status = (
        error.upstream_status if isinstance(error, UpstreamRefusedRequest) and error.upstream_status else error.status
    )
    body = _upstream_form(error) if request.path.startswith("/v1/") else _own_form(request, error)
    response = JsonResponse(body, status=status, headers=error.headers)
    response["Cache-Control"] = "no-store"
    if error.retry_after_ms is not None:
        response["Retry-After"] = str(-(-error.retry_after_ms // 1000))
    if status == HTTPStatus.UNAUTHORIZED:
        response["WWW-Authenticate"] = 'Bearer realm="voiceagent"'
    return response


def _own_form(request: HttpRequest, error: CodedError) -> dict[str, object]:
    body: dict[str, object] = {
        "error": error.title,
        "code": error.code,
        "message": error.message,
        "requestId": getattr(request, "request_id", ""),
        "suggestedAction": error.suggested_action,
        "reference": f"docs/errors.md#{error.code}",
    }
    extra = {
        "retryAfter": error.retry_after_ms,
        "upstreamStatus": error.upstream_status,
        "upstreamData": error.upstream_data or None if settings.DEBUG and isinstance(error, UpstreamError) else None,
        "context": error.context or None,
    }
    return body | {name: value for name, value in extra.items() if value is not None}


def _upstream_form(error: CodedError) -> dict[str, object]:
    """Return the envelope that clients of the upstream parse: `{"error": {message, type, code, param}}`."""
    code = error.upstream_code if isinstance(error, UpstreamRefusedRequest) and error.upstream_code else error.code
    kind = "server_error" if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR else "invalid_request_error"
    return {"error": {"message": error.message, "type": kind, "code": code, "param": None}}


def catalogue() -> dict[str, list[type[CodedError]]]:
    """Return the error classes of each code, in an order that imports do not change; the apps must be loaded."""
    by_code: dict[str, list[type[CodedError]]] = {}
    errors: set[type[CodedError]] = {CodedError, *_subclasses(CodedError)}
    for error in sorted(errors, key=lambda error: (error.code, error.__module__, error.__qualname__)):
        by_code.setdefault(error.code, []).append(error)
    return by_code


def _subclasses(parent: type[CodedError]) -> Iterator[type[CodedError]]:
    for child in parent.__subclasses__():
        yield child
        yield from _subclasses(child)
