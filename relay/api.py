"""Routes of calls: the SDP relay (asynchronous), hang-up, and what the page reports."""

from http import HTTPStatus

from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from rest_framework.request import Request
from rest_framework.response import Response

from realtime_api.errors import CodedError
from relay import exceptions
from relay.call_records import refuse
from relay.claims import CallWish
from relay.constants import DETAIL_CHARS
from relay.control import MAY_STEER, check_may_command, command_call
from relay.models import Call, CallCommand
from relay.multipart_offer import exchange_key, is_multipart
from relay.offers import relay_to_the_end
from relay.serializers import CallEventSerializer, CallStateSerializer, CommandSerializer
from relay.services import end_call, note_seen
from tokens.authentication import bearer_of, session_user
from tokens.models import Scope
from tokens.requester import Requester, check_origin, is_allowed_origin, requester_of
from tokens.rest import OwnView, actor_of, key_of, owner_of, request_id_of
from voiceagent.errors import allow_methods, error_response
from voiceagent.person import kept, person_of

# What the browser SDK sends along; a page on another allowed origin asks for these first.
CORS_REQUEST_HEADERS = "authorization, content-type, x-openai-agents-sdk"


# No CSRF token can come with the SDK's request. The single-use secret and the Origin check stand in its place:
# another site knows no secret, and cookies alone get nobody a call.
@csrf_exempt
@allow_methods("POST", "OPTIONS")
@never_cache
async def calls(request: HttpRequest) -> HttpResponse:
    """Relay an SDP offer: `POST /v1/realtime/calls`, `Bearer ek_…`, `application/sdp`; 201, answer, `Location`.

    With an API key: offer and session in one multipart body, as if a secret had been issued for it and used.
    """
    requester = requester_of(request, None)
    try:
        response = await _answer(request, requester)
    except CodedError as exc:
        response = error_response(request, exc)  # here, so that a page of another origin may read it
    return _allow_origin(request, response, requester.origin)


async def _answer(request: HttpRequest, requester: Requester) -> HttpResponse:
    if request.method == "OPTIONS":
        check_origin(request, requester)
        return _preflight()
    await _check_envelope(request, requester)
    if is_multipart(request):
        secret, raw_offer = await exchange_key(request)
    else:
        secret, raw_offer = bearer_of(request), request.body
    named = {name: request.GET.get(name, "") for name in ("model", "continues")}
    created = await relay_to_the_end(
        wish=CallWish(secret, Call.Transport.WEBRTC, **named),
        raw_offer=raw_offer,
        read=lambda: requester_of(request, session_user(request)[0]),
    )
    response = HttpResponse(created.answer_sdp, content_type="application/sdp", status=HTTPStatus.CREATED)
    response["Location"] = f"/v1/realtime/calls/{created.call_id}"
    return response


async def _check_envelope(request: HttpRequest, requester: Requester) -> None:
    """Raise OriginNotAllowed or UnsupportedOfferType, recorded like every other refusal."""
    try:
        check_origin(request, requester)
        if request.content_type != "application/sdp" and not is_multipart(request):
            raise exceptions.UnsupportedOfferType()
    except CodedError as exc:
        await refuse(lambda: requester, exc)
        raise


def _preflight() -> HttpResponse:
    response = HttpResponse(status=HTTPStatus.NO_CONTENT)
    response["Access-Control-Allow-Methods"] = "POST"
    response["Access-Control-Allow-Headers"] = CORS_REQUEST_HEADERS
    response["Access-Control-Max-Age"] = "600"
    return response


def _allow_origin(request: HttpRequest, response: HttpResponse, origin: str) -> HttpResponse:
    if origin and is_allowed_origin(request, origin):
        response["Access-Control-Allow-Origin"] = origin
        # Without the first the SDK never learns the call's id.
        response["Access-Control-Expose-Headers"] = "Location, Retry-After, X-Request-ID"
        response["Vary"] = "Origin"
    return response


class OwnCallView(OwnView):
    """Base of routes that concern one call of whoever asks: by session, or by a key with the scope `control`."""

    required_scope = Scope.CONTROL

    def own_call(self, request: Request, call_id: str) -> Call:
        call = Call.objects.filter(upstream_id=call_id, user=owner_of(request)).first()
        if call is None:
            raise exceptions.UnknownCall()
        return call

    def call_to_steer(self, request: Request, call_id: str) -> Call:
        """Return one's own call, or anybody's to staff who are signed in."""
        call = Call.objects.filter(upstream_id=call_id).first()
        if call is None or not (call.user_id == owner_of(request).pk or acts_as_staff(request)):
            raise exceptions.UnknownCall()
        return call


def acts_as_staff(request: Request) -> bool:
    """Tell whether who asks may steer anybody's call: never by key, which may be a program's."""
    return key_of(request) is None and owner_of(request).is_staff and owner_of(request).has_perm(MAY_STEER)


class CallEventsView(OwnCallView):
    """What the page saw: `POST /api/calls/{call_id}/events` `{"type", "reason", "detail"}`."""

    def post(self, request: Request, call_id: str) -> Response:
        call = self.own_call(request, call_id)
        report = CallEventSerializer(data=request.data)
        if not report.is_valid():
            raise exceptions.InvalidCallEvent()
        if report.is_alive:
            note_seen(call)
        else:
            end_call(
                call, reason=report.end_reason, actor=actor_of(request), detail=kept(report.end_detail, DETAIL_CHARS)
            )
        call.refresh_from_db()
        return Response(CallStateSerializer(call).data)


class HangUpView(OwnCallView):
    """End one's own call: `POST /v1/realtime/calls/{call_id}/hangup`; 200 with an empty body, as upstream.

    Staff who may hang up calls in the administration may end anybody's.
    """

    def post(self, request: Request, call_id: str) -> HttpResponse:
        call = self._call_to_end(request, call_id)
        is_own = call.user_id == request.user.pk
        reason = Call.EndReason.HUNG_UP if is_own else Call.EndReason.ADMINISTRATOR
        end_call(call, reason=reason, actor=actor_of(request))
        return HttpResponse(status=HTTPStatus.OK)

    def _call_to_end(self, request: Request, call_id: str) -> Call:
        user = owner_of(request)
        if not (user.is_staff and user.has_perm(MAY_STEER)):
            return self.own_call(request, call_id)
        call = Call.objects.filter(upstream_id=call_id).first()
        if call is None:
            raise exceptions.UnknownCall()
        return call


class CommandsView(OwnCallView):
    """Steer a live call: `POST /api/calls/{call_id}/commands` `{"kind", "text"}`; 202, and it is done in a second."""

    def post(self, request: Request, call_id: str) -> Response:
        call = self.call_to_steer(request, call_id)
        wish = CommandSerializer(data=request.data)
        if not wish.is_valid():
            raise exceptions.InvalidCommand()
        kind, text = CallCommand.Kind(wish.validated_data["kind"]), wish.validated_data["text"]
        is_staff = acts_as_staff(request)
        check_may_command(owner_of(request), key_of(request), kind, is_staff=is_staff)
        command = command_call(
            call, kind=kind, text=text, actor=actor_of(request), request_id=request_id_of(request),
            person=person_of(request._request, owner_of(request)), is_staff=is_staff,
        )  # fmt: skip
        return Response({"id": command.pk, "kind": command.kind, "state": "requested"}, status=HTTPStatus.ACCEPTED)
