"""The refusals of a route as OpenAPI responses, made of the catalogue's classes by the code that answers with them."""

import json
from collections.abc import Iterable
from typing import Any, Final

from django.http import HttpRequest

from api_docs.operations import Errors
from api_docs.shapes import REQUEST_ID, ref
from audit.exceptions import AuditUnavailable
from realtime_api import errors as upstream
from realtime_api.errors import CodedError, UpstreamRefusedRequest
from tokens import exceptions as of_tokens
from voiceagent.errors import Busy, error_response

# What an error carries where it is raised, beside its class's words.
ARGUMENTS: Final[dict[type[CodedError], dict[str, Any]]] = {
    AuditUnavailable: {"retry_after_ms": 1000},
    Busy: {"retry_after_ms": 1000},
    of_tokens.LimitsUnavailable: {"retry_after_ms": 1000},
    of_tokens.RateLimited: {"retry_after_ms": 12_000},
    of_tokens.PolicyDenied: {"context": {"rule": "voices"}},
    of_tokens.QuotaExceeded: {
        "retry_after_ms": 53_940_000,
        "context": {"metric": "secrets_a_day", "limit": 100, "resetsAt": 1795305600},
    },
    of_tokens.ModelUnpriced: {"context": {"model": "gpt-realtime-2.1"}},
    of_tokens.AlreadyMinted: {"context": {"issuance": 41}},
    upstream.UpstreamRateLimited: {"retry_after_ms": 12_000, "upstream_status": 429},
    upstream.UpstreamAuthFailed: {"upstream_status": 401},
    upstream.ClientSecretRefused: {"upstream_status": 401},
    upstream.UpstreamBroken: {"upstream_status": 500},
}
KEPT_STATUSES: Final = (400, 404, 409, 413, 422)  # of the upstream's, about the caller's own request
HEADERS_OF_STATUS: Final = {401: ["WWW-Authenticate"], 405: ["Allow"], 429: ["Retry-After"], 503: ["Retry-After"]}


def error_answers(path: str, errors: Errors) -> dict[str, Any]:
    """Return OpenAPI's `responses` for what a route may refuse with, by status; each code with an example."""
    by_status: dict[int, list[CodedError]] = {}
    for error in dict.fromkeys(errors):
        for example in examples_of(error):
            by_status.setdefault(status_of(example), []).append(example)
    return {str(status): _response(path, status, by_status[status]) for status in sorted(by_status)}


def examples_of(error: type[CodedError]) -> list[CodedError]:
    """Return what may be raised of a class: one error, or for the upstream's refusals one for each status."""
    if issubclass(error, UpstreamRefusedRequest):
        words = "Invalid value: 'nobody'. Supported values are: 'alloy', 'marin' and others."
        return [error(words, upstream_status=status, upstream_code="invalid_value") for status in KEPT_STATUSES]
    return [error(**ARGUMENTS.get(error, {}))]


def status_of(error: CodedError) -> int:
    return (isinstance(error, UpstreamRefusedRequest) and error.upstream_status) or error.status


def _response(path: str, status: int, errors: list[CodedError]) -> dict[str, Any]:
    names = ["X-Request-ID", *HEADERS_OF_STATUS.get(status, [])]
    content: dict[str, Any] = {"schema": _schema(path, errors), "examples": {}}
    for error in errors:
        name = error.code if error.code not in content["examples"] else f"{error.code}.{type(error).__name__}"
        content["examples"][name] = {"$ref": f"#/components/examples/{_example_name(path, error)}"}
    return {
        "description": "\n".join(f"- `{error.code}`: {error.message} {error.suggested_action}" for error in errors),
        "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in names},
        "content": {"application/json": content},
    }


def error_examples(errors: Iterable[type[CodedError]]) -> dict[str, Any]:
    """Return the example of each error in both forms, under the names by which the routes refer to them."""
    examples = {}
    for error in dict.fromkeys(errors):
        for raised in examples_of(error):
            for path in ("/api/", "/v1/"):
                body = json.loads(error_response(_request_to(path), raised).content)
                examples[_example_name(path, raised)] = {"summary": f"{raised.code}: {raised.title}", "value": body}
    return examples


def _example_name(path: str, error: CodedError) -> str:
    """Return a name of our own form, or with `v1` of the upstream's; one for each class and status."""
    form = "v1." if path.startswith("/v1/") else ""
    return f"{form}{type(error).__module__.split('.')[0]}.{type(error).__name__}.{status_of(error)}"


def _schema(path: str, errors: list[CodedError]) -> dict[str, Any]:
    """Return the schema of a status: the form of the route, with the codes that it may carry there."""
    codes: dict[str, Any] = {"properties": {"code": {"enum": sorted({error.code for error in errors})}}}
    if not path.startswith("/v1/"):
        return {"allOf": [ref("Error"), codes]}
    if any(isinstance(error, UpstreamRefusedRequest) for error in errors):
        return ref("UpstreamFormError")  # with the upstream's own code, whatever that is
    return {"allOf": [ref("UpstreamFormError"), {"properties": {"error": codes}}]}


def _request_to(path: str) -> HttpRequest:
    request = HttpRequest()
    request.path = path
    request.request_id = REQUEST_ID  # type: ignore[attr-defined]  # as the outermost middleware does
    return request
