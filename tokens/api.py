"""Routes of client secrets. The issuing ones are asynchronous, because a direct secret waits for the upstream."""

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from django.http import HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from realtime_api.errors import CodedError
from tokens.authentication import check_access, identify
from tokens.exceptions import OriginNotAllowed
from tokens.models import Scope
from tokens.requester import check_origin, requester_of
from tokens.services import Asked, IssuedSecret, issue_client_secret
from tokens.wishes import Parser, parse_upstream_wish, parse_wish
from voiceagent.errors import allow_methods

# The views are exempt from the CSRF middleware because programs come with a key and no token; `check_access` asks
# a session's request for its token all the same.


BODY_HEADERS: Final = {
    "Content-Type": "CONTENT_TYPE",
    "Content-Encoding": "HTTP_CONTENT_ENCODING",
    "Idempotency-Key": "HTTP_IDEMPOTENCY_KEY",
}
NO_STORE: Final = {"Cache-Control": "no-store"}
RECEIPT: Final = "X-Audit-Event"


@csrf_exempt
@allow_methods("POST")
async def client_secret(request: HttpRequest) -> JsonResponse:
    """Issue a client secret: `POST /api/client-secret`.

    Body: nothing, or `{"agent", "version", "sessionId", "capabilities", "kind", "expiresAfter"}`. A session with
    its CSRF token, or an API key with the scope `mint`, authenticates. `Idempotency-Key` is honoured.
    """
    issued = await _issue(request, parse_wish)
    issuance = issued.issuance
    # Both shapes that clients know: camelCase, and the upstream's `value` and `expires_at` (Unix seconds).
    body = {
        "ephemeralKey": issued.value,
        "expiresAt": _expires_at(issued),
        "sessionId": issuance.session_id,
        "model": issuance.model,
        "requestId": issuance.request_id,
        "kind": issuance.kind,
        "value": issued.value,
        "expires_at": _expires_at(issued),
        "auditEvent": issued.event.number,
    }
    return _answer(issued, body)


@csrf_exempt
@allow_methods("POST")
async def upstream_client_secret(request: HttpRequest) -> JsonResponse:
    """Issue a client secret in the upstream's own shape: `POST /v1/realtime/client_secrets`."""
    issued = await _issue(request, parse_upstream_wish)
    body = {"value": issued.value, "expires_at": _expires_at(issued), "session": issued.session}
    return _answer(issued, body)


@csrf_exempt
@allow_methods("GET", "POST")
async def session(request: HttpRequest) -> JsonResponse:
    """Issue a client secret in the older shape, by GET too, so that a person can try it: `/api/session`.

    A GET cannot carry a CSRF token, so it is answered to a key, or to a browser that says that the request
    comes from our own site or was typed by the person (`Sec-Fetch-Site`).
    """
    issued = await _issue(request, parse_wish)
    issuance = issued.issuance
    expires_at = _expires_at(issued)
    body = {
        "id": issuance.session_id,
        "object": "realtime.session",
        "model": issuance.model,
        "expires_at": expires_at,
        "client_secret": {"value": issued.value, "expires_at": expires_at},
    }
    return _answer(issued, body)


async def _issue(request: HttpRequest, parse: Parser) -> IssuedSecret:
    return await issue_client_secret(partial(_read, request, parse))


def _answer(issued: IssuedSecret, body: Mapping[str, Any]) -> JsonResponse:  # Any: JSON
    """Answer with the receipt: by its number the event that tells of the secret can be proved to anybody."""
    return JsonResponse(body, headers=NO_STORE | issued.rate.headers() | {RECEIPT: str(issued.event.number)})


def _read(request: HttpRequest, parse: Parser) -> Asked:
    """Authenticate and validate."""
    try:
        requester = identify(request)
    except CodedError as exc:
        return Asked(requester_of(request, None), refusal=exc)
    try:
        is_get = request.method == "GET"
        check_access(request, requester, Scope.MINT, csrf=not is_get)
        check_origin(request, requester)
        if is_get and requester.user is not None and requester.api_key is None:
            _check_own_page(request)
        return Asked(requester, parse(body_headers(request), request.body if not is_get else b""))
    except CodedError as exc:
        return Asked(requester, refusal=exc)


def body_headers(request: HttpRequest) -> Mapping[str, str]:
    """Return the fields that say how to read the body."""
    return {name: request.META[field] for name, field in BODY_HEADERS.items() if field in request.META}


def _check_own_page(request: HttpRequest) -> None:
    if request.META.get("HTTP_SEC_FETCH_SITE") not in ("same-origin", "none"):
        raise OriginNotAllowed("A GET is only answered to a request of this site's own pages.")


def _expires_at(issued: IssuedSecret) -> int:
    expires_at: Any = issued.issuance.expires_at
    return int(expires_at.timestamp())
