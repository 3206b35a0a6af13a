"""Django's and DRF's own refusals in the project's form: JSON for programs, a page for people."""

from typing import Any

from django.core.exceptions import PermissionDenied as DjangoPermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from rest_framework import exceptions as rest
from rest_framework.views import set_rollback

from realtime_api.errors import CodedError
from tokens.exceptions import InvalidRequest, NotAuthenticated
from voiceagent import errors


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    return answer(request, errors.CsrfFailed(), "403_csrf.html")


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return answer(request, errors.BadRequest(), "400.html")


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    return answer(request, errors.PermissionDenied(), "403.html")


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return answer(request, errors.NotFound(), "404.html")


def server_error(request: HttpRequest) -> HttpResponse:
    return answer(request, CodedError(), "500.html")


def answer(request: HttpRequest, error: CodedError, template: str) -> HttpResponse:
    """Return an error as JSON to a program, as a page to a person."""
    if errors.is_api_path(request.path):
        return errors.error_response(request, error)
    context = {"error": error, "request_id": getattr(request, "request_id", "")}
    response = render(request, template, context, status=error.status)
    if error.retry_after_ms is not None:
        response["Retry-After"] = str(-(-error.retry_after_ms // 1000))
    return response


def rest_exception_handler(exc: Exception, context: dict[str, Any]) -> HttpResponse | None:
    """Answer a DRF view's exception in our form; None lets an unexpected one go on to be logged as a 500."""
    request: HttpRequest = context["request"]._request
    error = _coded(exc)
    if error is None:
        return None
    set_rollback()
    response = errors.error_response(request, error)
    if isinstance(exc, rest.MethodNotAllowed):
        response["Allow"] = ", ".join(context["view"].allowed_methods)
    return response


def _coded(exc: Exception) -> CodedError | None:
    if isinstance(exc, CodedError):
        return exc
    if isinstance(exc, rest.NotAuthenticated | rest.AuthenticationFailed):
        return NotAuthenticated()
    if isinstance(exc, rest.PermissionDenied) and str(exc.detail).startswith("CSRF"):
        return errors.CsrfFailed()
    if isinstance(exc, Http404):
        return errors.NotFound()
    if isinstance(exc, DjangoPermissionDenied):
        return errors.PermissionDenied()
    if isinstance(exc, rest.ParseError):
        return InvalidRequest(str(exc.detail))
    if isinstance(exc, rest.APIException):
        kind = errors.PLAIN_ERRORS.get(exc.status_code)
        return kind() if kind else None
    return None
