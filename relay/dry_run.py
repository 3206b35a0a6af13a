"""`POST /api/client-secret/dry-run`: whether somebody could talk just now, for whoever looks for a fault."""

from collections.abc import Mapping

from django.conf import settings
from rest_framework.request import Request
from rest_framework.response import Response

from audit.actions import Action
from audit.services import durable_record, record_event
from realtime_api.errors import CodedError
from relay.claims import check_room
from tokens.api import body_headers
from tokens.limits import check_rate
from tokens.models import Scope
from tokens.requester import Requester, check_origin, requester_of
from tokens.rest import OwnView, key_of, owner_of
from tokens.services import rehearse_issuing
from tokens.wishes import parse_wish


class DryRunView(OwnView):
    """Takes what issuing takes, answers what it would answer, and issues nothing. That somebody asked is on record."""

    required_scope = Scope.MINT

    def post(self, request: Request) -> Response:
        requester = requester_of(request._request, owner_of(request), api_key=key_of(request))
        check_rate("dry-run", key=requester.rate_key, rate=settings.ISSUE_RATE)
        try:
            answer = _rehearse(request, requester)
        except CodedError as exc:
            _record(requester, exc.code)
            raise
        _record(requester, "")
        return Response(answer)


def _rehearse(request: Request, requester: Requester) -> Mapping[str, object]:
    check_origin(request._request, requester)
    wish = parse_wish(body_headers(request._request), request._request.body)
    issuance, allowance = rehearse_issuing(requester, wish)
    check_room(owner_of(request), allowance)
    return {
        "agent": issuance.agent,
        "model": issuance.model,
        "kind": issuance.kind,
        "requestId": requester.request_id,
    }


def _record(requester: Requester, code: str) -> None:
    """A dry run tells what policy says; who asks many of them may be looking for a way in."""
    with durable_record():
        record_event(
            Action.CLIENT_SECRET_REHEARSED,
            request_id=requester.request_id,
            actor=requester.actor,
            code=code,
            person=requester.person,
        )
