"""REST routes of one's own things: who one is, history, keys, allowances, models."""

from typing import Any, Final, TypeVar

from django.contrib.auth.models import User
from django.db.models import Model, QuerySet
from django.http import HttpResponse
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.views import APIView

from realtime_api.errors import CodedError
from tokens import exceptions, quotas
from tokens.authentication import KeyOrSession
from tokens.key_services import create_api_key, refuse_key_use, revoke_api_key
from tokens.models import ApiKey, Issuance, Scope
from tokens.open_agents import open_agents, open_voices
from tokens.policy import allowance_of
from tokens.requester import requester_of
from tokens.serializers import ApiKeySerializer, IssuanceSerializer, NewKeySerializer
from tokens.services import revoke_issuance
from voiceagent import acting
from voiceagent.strict_json import UNKNOWN_FIELD

PAGE_SIZE: Final = 50

Row = TypeVar("Row", bound=Model)


class OwnView(APIView):
    """Base of routes that take a session or an API key with the scope that the route names."""

    authentication_classes = [KeyOrSession]
    required_scope = Scope.READ

    def perform_authentication(self, request: Request) -> None:
        """Find out who asks. A key that is refused leaves an event, and counts against its address's rate."""
        try:
            super().perform_authentication(request)
        except CodedError as exc:
            if "HTTP_AUTHORIZATION" in request.META:
                refuse_key_use(requester_of(request._request, None), error=exc)
            raise

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        final = super().finalize_response(request, response, *args, **kwargs)
        final["Cache-Control"] = "no-store"
        return final


def owner_of(request: Request) -> User:
    """Return who asks; the authenticator has let nobody else through."""
    assert isinstance(request.user, User)
    return request.user


def key_of(request: Request) -> ApiKey | None:
    return request.auth if isinstance(request.auth, ApiKey) else None


def actor_of(request: Request) -> str:
    key = key_of(request)
    return f"key:{key.pk}" if key else f"user:{request.user.pk}"


def request_id_of(request: Request) -> str:
    return acting.request_id_of(request._request)


def page_of(newest_first: QuerySet[Row], request: Request) -> tuple[list[Row], int | None]:
    """Return the rows that follow the one that the address names by `before`, and the number for the next page."""
    before = request.query_params.get("before", "")
    if before:
        if not (before.isascii() and before.isdigit() and len(before) < 19):
            raise exceptions.InvalidRequest("'before' must be the id of the last entry that you have.")
        newest_first = newest_first.filter(pk__lt=int(before))
    rows = list(newest_first[: PAGE_SIZE + 1])
    return rows[:PAGE_SIZE], rows[PAGE_SIZE - 1].pk if len(rows) > PAGE_SIZE else None


class WhoAmIView(OwnView):
    """`GET /api/whoami`: the user, and how they proved it."""

    def get(self, request: Request) -> Response:
        key = key_of(request)
        body = {
            "user": request.user.get_username(),
            "isStaff": owner_of(request).is_staff,
            "via": "session",
            "apiKey": None,
        }
        if key:
            body |= {"via": "apiKey", "apiKey": ApiKeySerializer(key).data}
        return Response(body)


class IssuancesView(OwnView):
    """`GET /api/issuances?before=ID`: one's own history, the newest first, 50 at a time."""

    def get(self, request: Request) -> Response:
        issuances = Issuance.objects.filter(user=owner_of(request)).select_related("api_key")
        rows, more = page_of(issuances, request)
        return Response({"results": IssuanceSerializer(rows, many=True).data, "nextBefore": more})


class RevokeView(OwnView):
    """`POST /api/issuances/{id}/revoke`: the relay takes the secret no more. A direct one lives on upstream."""

    required_scope = Scope.CONTROL

    def post(self, request: Request, pk: int) -> Response:
        issuance = Issuance.objects.filter(pk=pk, user=owner_of(request)).first()
        if issuance is None:
            raise exceptions.UnknownIssuance()
        revoke_issuance(issuance, actor=actor_of(request), request_id=request_id_of(request))
        issuance.refresh_from_db()
        return Response(IssuanceSerializer(issuance).data)


class KeysView(OwnView):
    """`GET, POST /api/keys`: one's own keys. A key cannot make keys: only a signed-in person can."""

    def get(self, request: Request) -> Response:
        return Response({"results": ApiKeySerializer(ApiKey.objects.filter(user=owner_of(request)), many=True).data})

    def post(self, request: Request) -> Response:
        refuse_key(request)
        form = NewKeySerializer(data=request.data)
        if not form.is_valid():
            raise _invalid(form.errors)
        wish = form.validated_data
        made = create_api_key(
            owner_of(request),
            name=wish["name"],
            scopes=wish["scopes"],
            days=wish["days"],
            allowed_networks=wish["allowedNetworks"],
            request_id=request_id_of(request),
            actor=actor_of(request),
        )
        return Response(ApiKeySerializer(made.key).data | {"value": made.value}, status=201)


class KeyView(OwnView):
    """`DELETE /api/keys/{id}`: revoke one's own key; it is kept in history."""

    def delete(self, request: Request, pk: int) -> HttpResponse:
        refuse_key(request)
        key = ApiKey.objects.filter(pk=pk, user=owner_of(request)).first()
        if key is None:
            raise exceptions.UnknownKey()
        revoke_api_key(key, now=timezone.now(), request_id=request_id_of(request), actor=actor_of(request))
        return HttpResponse(status=204)


def refuse_key(request: Request) -> None:
    """Raise MissingScope for a request by API key: what a leaked key can do must not include making more."""
    if key_of(request):
        raise exceptions.MissingScope("Keys are managed by a signed-in person, not by a key.")


def _invalid(problems: Any) -> exceptions.InvalidRequest:
    """Return the error that names the first field with a problem, and what is wrong with it."""
    field, problem = next(iter(problems.items()))
    while isinstance(problem, dict | list):
        problem = next(iter(problem.values())) if isinstance(problem, dict) else problem[0]
    if problem.code == UNKNOWN_FIELD:
        return exceptions.UnknownField(f"{field!r} {problem}")
    return exceptions.InvalidRequest("" if field == api_settings.NON_FIELD_ERRORS_KEY else f"{field!r}: {problem}")


class UsageView(OwnView):
    """`GET /api/usage`: what policy allows, what is used, and when it starts anew. Money is in micro-dollars."""

    def get(self, request: Request) -> Response:
        allowance = allowance_of(owner_of(request), key_of(request))
        counted = {
            _camel(standing.metric): {
                "limit": standing.limit,
                "used": standing.used,
                "left": standing.left,
                "resetsAt": int(standing.resets_at.timestamp()),
            }
            for standing in quotas.standings(owner_of(request), allowance, timezone.now())
        }
        return Response(
            counted
            | {
                "kinds": allowance.kinds,
                "agents": allowance.agents,
                "models": allowance.models,
                "voices": allowance.voices,
                "origins": allowance.origins,
                "issueRate": allowance.issue_rate,
                "callsAtOnce": allowance.calls_at_once,
                "callMaxSeconds": allowance.call_max_s,
                "secretMaxSeconds": allowance.max_ttl_s,
            }
        )


class ModelsView(OwnView):
    """`GET /v1/models`: the models that the caller may use, in the upstream's shape."""

    required_scope = Scope.MINT

    def get(self, request: Request) -> Response:
        allowance = allowance_of(owner_of(request), key_of(request))
        of_agents = {version.effective_model for _, version in open_agents(allowance)}
        models = sorted(of_agents | set(allowance.models or ()))
        if allowance.models is not None:
            models = [model for model in models if model in allowance.models]
        data = [{"id": model, "object": "model", "created": 0, "owned_by": "openai"} for model in models]
        return Response({"object": "list", "data": data})


class AgentsView(OwnView):
    """`GET /api/agents`: the agents that one may talk to, the default one first."""

    def get(self, request: Request) -> Response:
        allowance = allowance_of(owner_of(request), key_of(request))
        results = [
            {
                "slug": agent.slug,
                "name": agent.name,
                "description": agent.description,
                "version": version.number,
                "language": version.language,
                "voice": version.voice,
                "voices": open_voices(version, allowance),
            }
            for agent, version in open_agents(allowance)
        ]
        return Response({"results": results})


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.title() for word in rest)
