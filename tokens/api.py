"""The issuing route. Asynchronous, because later kinds of secret wait for the upstream."""

from asgiref.sync import sync_to_async
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from tokens.exceptions import IssueError
from tokens.requester import Requester, check_origin, requester_of
from tokens.services import IssuedSecret, Wish, issue_client_secret, record_refusal
from tokens.wishes import parse_wish


@require_POST
@never_cache
async def client_secret(request: HttpRequest) -> JsonResponse:
    """Issue a client secret to the signed-in user: `POST /api/client-secret`.

    Body: nothing, or `{"agent", "sessionId", "capabilities"}`. The session and CSRF cookies authenticate.
    """
    requester = requester_of(request, await request.auser())
    wish = await _read_wish(request, requester)
    issued = await issue_client_secret(requester=requester, wish=wish)
    return JsonResponse(_answer(issued))


async def _read_wish(request: HttpRequest, requester: Requester) -> Wish:
    try:
        check_origin(request, requester)
        return parse_wish(request.META.get("CONTENT_TYPE", ""), request.body)
    except IssueError as exc:
        await sync_to_async(record_refusal)(requester, error=exc)
        raise


def _answer(issued: IssuedSecret) -> dict[str, object]:
    """Both shapes that clients know: camelCase and the upstream's `value`, `expires_at` (Unix seconds)."""
    issuance = issued.issuance
    assert issuance.expires_at is not None  # set by the outcome that was just written
    expires_at = int(issuance.expires_at.timestamp())
    return {
        "ephemeralKey": issued.value,
        "expiresAt": expires_at,
        "sessionId": issuance.session_id,
        "model": issuance.model,
        "requestId": issuance.request_id,
        "value": issued.value,
        "expires_at": expires_at,
    }
