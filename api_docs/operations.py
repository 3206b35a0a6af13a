"""What each route of the REST API takes and answers: one row for each method and path, in the order of the document.

A route that is missing here, or whose answers differ from its row, fails tests/api_docs/.
"""

from dataclasses import dataclass
from typing import Any, Final, Literal

from rest_framework.serializers import Serializer

from accounts.exceptions import SecondFactorRequired
from api_docs import shapes
from audit import exceptions as of_record
from audit.exceptions import AuditUnavailable
from realtime_api import errors as upstream
from realtime_api.errors import CodedError
from relay import exceptions as of_calls
from relay.serializers import CallEventSerializer, CommandSerializer
from tokens import exceptions as of_tokens
from tokens.models import Scope
from tokens.serializers import NewKeySerializer
from tools import exceptions as of_tools
from tools.serializers import DecisionSerializer, RunSerializer
from voiceagent import errors as plain

Errors = tuple[type[CodedError], ...]
Shape = str | type[Serializer[Any]]  # the name of a schema of `shapes`, or a serializer


@dataclass(frozen=True)
class Body:
    """What stands in a request or an answer. examples: by their headlines."""

    shape: Shape
    examples: dict[str, object]
    media_type: str = "application/json"
    is_required: bool = True


@dataclass(frozen=True)
class Access:
    """Who gets in: the holder of a key with a scope, of a session, or of a client secret."""

    scope: Scope | None = None
    session: bool = True
    client_secret: bool = False


@dataclass(frozen=True)
class Operation:
    """One method of one path. name: the `operationId`, by which generated clients call their functions."""

    name: str
    summary: str
    group: str
    access: Access
    errors: Errors
    answer: Body | None
    description: str = ""
    status: int = 200
    body: Body | None = None
    parameters: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    other_form: Body | None = None  # the answer in a second media type


# --- Who gets in ------------------------------------------------------------------------------------------------
MINT: Final = Access(scope=Scope.MINT)
READ: Final = Access(scope=Scope.READ)
CONTROL: Final = Access(scope=Scope.CONTROL)
SESSION: Final = Access()
OFFER: Final = Access(scope=Scope.MINT, session=False, client_secret=True)

# --- What can go wrong ------------------------------------------------------------------------------------------
ANYWHERE: Final[Errors] = (
    plain.BadRequest,
    plain.MethodNotAllowed,
    plain.NotAcceptable,
    plain.RequestTimeout,
    plain.Busy,
    CodedError,
    AuditUnavailable,
)
LIMITS: Final[Errors] = (of_tokens.RateLimited, of_tokens.LimitsUnavailable)
OF_KEY: Final[Errors] = (
    of_tokens.NotAuthenticated,
    of_tokens.InvalidApiKey,
    of_tokens.ApiKeyExpired,
    of_tokens.NetworkNotAllowed,
    of_tokens.MissingScope,
    SecondFactorRequired,
    *LIMITS,
)
OF_CALL_BODY: Final[Errors] = (
    *OF_KEY,
    plain.CsrfFailed,
    plain.NotFound,
    plain.TooLarge,
    plain.UnsupportedMediaType,
    of_calls.UnknownCall,
)
OF_JSON: Final[Errors] = (plain.TooLarge, plain.UnsupportedMediaType, of_tokens.InvalidRequest, of_tokens.UnknownField)
OF_UPSTREAM: Final[Errors] = (
    upstream.UpstreamUnreachable,
    upstream.UpstreamBroken,
    upstream.UpstreamBadAnswer,
    upstream.UpstreamUnknown,
    upstream.UpstreamTlsFailed,
    upstream.UpstreamTimeout,
    upstream.UpstreamAuthFailed,
    upstream.UpstreamRateLimited,
    upstream.UpstreamRefusedRequest,
)
OF_POLICY: Final[Errors] = (
    *OF_KEY,
    of_tokens.OriginNotAllowed,
    of_tokens.UnknownAgent,
    of_tokens.AgentDisabled,
    of_tokens.PolicyDenied,
    of_tokens.QuotaExceeded,
    of_tokens.ModelUnpriced,
    of_tokens.NotConfigured,
)
OF_DRY_RUN: Final[Errors] = (*OF_POLICY, of_calls.TooManyCalls)
OF_ISSUING: Final[Errors] = (
    *OF_POLICY,
    upstream.NoClientSecret,
    *OF_UPSTREAM,
)
OF_ISSUING_BODY: Final[Errors] = (
    *OF_JSON,
    of_tokens.OutOfRange,
    of_tokens.InvalidSessionConfig,
    of_tokens.AlreadyMinted,
    of_tokens.IdempotencyMismatch,
)
OF_OFFER: Final[Errors] = (
    plain.TooLarge,
    of_calls.UnsupportedOfferType,
    of_tokens.OriginNotAllowed,
    upstream.InvalidSdp,
    upstream.SdpPolicy,
    of_calls.EphemeralKeyExpired,
    upstream.ClientSecretRefused,
    of_calls.ClientSecretUsed,
    of_calls.TooManyCalls,
    of_calls.OtherModel,
    of_calls.UnknownCall,
    of_tokens.QuotaExceeded,
    of_tokens.ModelUnpriced,
    *OF_ISSUING,
    of_tokens.InvalidRequest,
    of_tokens.UnknownField,
    of_tokens.InvalidSessionConfig,
)

# --- The rows ---------------------------------------------------------------------------------------------------
OF_ISSUED: Final = ("RateLimit", "RateLimit-Policy", "X-Audit-Event")
ISSUE_BODY: Final = Body(
    "ClientSecretRequest",
    {
        "With the defaults": {},
        "Naming what is wanted": {
            "agent": "assistant",
            "voice": "marin",
            "kind": "relayed",
            "expiresAfter": 60,
            "sessionId": "visit-17",
        },
    },
    is_required=False,
)


def _issue(alias: bool) -> Operation:
    return Operation(
        name="issueClientSecretAlias" if alias else "issueClientSecret",
        summary="Issue a client secret (another name of /api/client-secret)" if alias else "Issue a client secret",
        group="Client secrets",
        description="The value is in this answer and nowhere else: only a fingerprint of it is stored. A program asks"
        " with an API key, a page with its session and CSRF token.",
        access=MINT,
        body=ISSUE_BODY,
        parameters=("Idempotency-Key",),
        answer=Body("ClientSecret", {"A relayed secret": shapes.CLIENT_SECRET}),
        headers=OF_ISSUED,
        errors=OF_ISSUING + OF_ISSUING_BODY,
    )


def _older_session(method: Literal["Get", "Post"]) -> Operation:
    return Operation(
        name=f"issueBySession{method}",
        summary="Issue a client secret in the older shape",
        group="Client secrets",
        description="To be tried in a browser. Answered to an API key, or to a browser that says by `Sec-Fetch-Site`"
        " that the request comes from our own pages or was typed by the person."
        if method == "Get"
        else "For clients that read `client_secret.value`; new ones use `/api/client-secret`.",
        access=MINT,
        body=ISSUE_BODY if method == "Post" else None,
        parameters=("Idempotency-Key",),
        answer=Body("OlderSession", {"A relayed secret": shapes.OLDER_SESSION}),
        headers=OF_ISSUED,
        errors=OF_ISSUING + (OF_ISSUING_BODY if method == "Post" else (of_tokens.InvalidRequest,)),
    )


def _relay(alias: bool) -> Operation:
    return Operation(
        name="createCallAlias" if alias else "createCall",
        summary="Make a call (another name of /v1/realtime/calls)" if alias else "Make a call: relay an SDP offer",
        group="Calls",
        description="Takes the offer of a WebRTC peer connection, and answers the voice service's. The client secret is"
        " the credential and is good for one call. Audio then flows between the browser and the voice service directly."
        " A page of an origin in `ALLOWED_ORIGINS` may call this. A program may come with an API key (scope `mint`)"
        " instead: then the body is `multipart/form-data` with the parts `sdp` and, if it likes, `session`, and a"
        " client secret is issued for it and used on the way.",
        access=OFFER,
        body=Body("SdpOffer", {"The beginning of an offer": shapes.SDP_START}, media_type="application/sdp"),
        parameters=("model", "continues"),
        status=201,
        answer=Body("SdpAnswer", {"The beginning of an answer": shapes.SDP_START}, media_type="application/sdp"),
        headers=("Location",),
        errors=OF_OFFER,
    )


NO_COST_YET: Final = {"costMicrodollars": None, "isFree": False, "assistantMuted": False, "secondsLeft": None}
OPERATIONS: Final[dict[tuple[str, str], Operation]] = {
    ("POST", "/api/client-secret"): _issue(alias=False),
    ("POST", "/api/realtime/client-secret"): _issue(alias=True),
    ("POST", "/api/client-secret/dry-run"): Operation(
        name="rehearseClientSecret",
        summary="Tell whether a client secret would be issued, and issue none",
        group="Client secrets",
        description="Every check of policy and limits, calls at once among them, with the answer that issuing would get"
        " just now. Counts against no allowance but a rate of its own, as high as the one of issuing.",
        access=MINT,
        body=ISSUE_BODY,
        answer=Body("DryRun", {"It would be issued": shapes.DRY_RUN}),
        errors=OF_DRY_RUN + OF_JSON + (of_tokens.OutOfRange, of_tokens.InvalidSessionConfig),
    ),
    ("POST", "/v1/realtime/client_secrets"): Operation(
        name="issueUpstreamClientSecret",
        summary="Issue a client secret in the vendor's shape",
        group="Client secrets",
        description="A drop-in: the vendor's clients work with our address and an API key of ours. `session` may name"
        " a model and a voice that policy allows; the other fields need a policy with *own session*.",
        access=MINT,
        body=Body(
            "UpstreamClientSecretRequest",
            {
                "With the defaults": {},
                "Naming model and voice": {
                    "expires_after": {"anchor": "created_at", "seconds": 60},
                    "session": {
                        "type": "realtime",
                        "model": "gpt-realtime-2.1",
                        "audio": {"output": {"voice": "marin"}},
                    },
                },
            },
            is_required=False,
        ),
        parameters=("Idempotency-Key",),
        answer=Body("UpstreamClientSecret", {"A client secret": shapes.UPSTREAM_CLIENT_SECRET}),
        headers=OF_ISSUED,
        errors=OF_ISSUING + OF_ISSUING_BODY,
    ),
    ("GET", "/api/session"): _older_session("Get"),
    ("POST", "/api/session"): _older_session("Post"),
    ("GET", "/api/issuances"): Operation(
        name="listIssuances",
        summary="List one's own history",
        group="Client secrets",
        description="The newest first, 50 at a time. Refusals are in it too.",
        access=READ,
        parameters=("before",),
        answer=Body("IssuancePage", {"One issuance": {"results": [shapes.ISSUANCE], "nextBefore": None}}),
        errors=(*OF_KEY, of_tokens.InvalidRequest),
    ),
    ("POST", "/api/issuances/{id}/revoke"): Operation(
        name="revokeIssuance",
        summary="Revoke a client secret",
        group="Client secrets",
        description="Our relay takes the secret no more. A direct one stays valid at the voice service until it"
        " expires. Revoking again changes nothing.",
        access=CONTROL,
        parameters=("id",),
        answer=Body(
            "Issuance",
            {"A revoked one": shapes.ISSUANCE | {"revokedAt": shapes.LATER, "isValid": False, "life": "revoked"}},
        ),
        errors=(*OF_KEY, plain.CsrfFailed, plain.NotFound, of_tokens.UnknownIssuance),
    ),
    ("POST", "/v1/realtime/calls"): _relay(alias=False),
    ("POST", "/api/realtime/handshake"): _relay(alias=True),
    ("POST", "/v1/realtime/calls/{call_id}/hangup"): Operation(
        name="hangUp",
        summary="Hang up",
        group="Calls",
        description="Ends one's own call; staff who may hang up calls in the administration end anybody's. Hanging up"
        " again changes nothing.",
        access=CONTROL,
        parameters=("call_id",),
        answer=None,
        errors=(*OF_KEY, plain.CsrfFailed, plain.NotFound, of_calls.UnknownCall),
    ),
    ("GET", "/api/calls"): Operation(
        name="listCalls",
        summary="List one's own calls",
        group="Calls",
        description="The newest first, 50 at a time.",
        access=READ,
        parameters=("before",),
        answer=Body("CallPage", {"One call": {"results": [shapes.CALL], "nextBefore": None}}),
        errors=(*OF_KEY, of_tokens.InvalidRequest),
    ),
    ("GET", "/api/calls/stream"): Operation(
        name="streamCalls",
        summary="Follow one's own calls as they go on",
        group="Calls",
        description="Server-sent events. `call` has what a call is now (schema `LiveCall`): for each that goes on,"
        " then for each that changes, within a second or two. A browser that comes back with `Last-Event-ID`, or `last`"
        " in the address, is told also of those that ended meanwhile. `end` is the last event when one has been signed"
        " out. A stream is ended after 15 minutes; browsers open it again by themselves.",
        access=READ,
        parameters=("last",),
        answer=Body("CallStream", {"One call": shapes.CALL_STREAM}, media_type="text/event-stream"),
        errors=(*OF_KEY, of_calls.TooManyStreams),
    ),
    ("GET", "/api/calls/{call_id}"): Operation(
        name="showCall",
        summary="Show one call: its words, what it used, what happened when",
        group="Calls",
        access=READ,
        parameters=("call_id",),
        answer=Body("WholeCall", {"A call of one answer": shapes.WHOLE_CALL}),
        errors=(*OF_KEY, plain.NotFound, of_calls.UnknownCall),
    ),
    ("POST", "/api/calls/{call_id}/commands"): Operation(
        name="commandCall",
        summary="Steer a live call",
        group="Calls",
        description="Done within about a second. `mute` and `unmute` are for everybody's own calls; `say`,"
        " `instructions` and `agent` for staff, and for those whose policy lets them bring a session of their own."
        " Staff may steer any call, by session.",
        access=CONTROL,
        status=202,
        body=Body(
            CommandSerializer,
            {"Silence": {"kind": "mute"}, "A line": {"kind": "say", "text": "We close in ten minutes."}},
        ),
        parameters=("call_id",),
        answer=Body("CallCommand", {"Taken": {"id": 3, "kind": "mute", "state": "requested"}}),
        errors=(
            *OF_CALL_BODY,
            of_calls.InvalidCommand,
            of_calls.CallNotLive,
            of_calls.CallOutOfReach,
            of_calls.TooManyHandoffs,
            of_tokens.PolicyDenied,
            of_tokens.UnknownAgent,
            of_tokens.AgentDisabled,
        ),
    ),
    ("POST", "/api/calls/{call_id}/events"): Operation(
        name="reportCallEvent",
        summary="Report what the page sees of its call",
        group="Calls",
        description="`connected`, then `heartbeat` every 15 seconds, and `ended` or `failed` at last. A call whose page"
        " once reported and then is silent for 45 seconds is ended.",
        access=CONTROL,
        body=Body(
            CallEventSerializer,
            {"Alive": {"type": "heartbeat"}, "Over": {"type": "ended", "reason": "user"}},
        ),
        parameters=("call_id",),
        answer=Body(
            "CallState",
            {
                "Alive": {"state": "live", "endReason": None} | NO_COST_YET,
                "Over": {"state": "ended", "endReason": "user"} | NO_COST_YET | {"costMicrodollars": 6946},
            },
        ),
        errors=(*OF_CALL_BODY, of_calls.InvalidCallEvent),
    ),
    ("GET", "/api/calls/{call_id}/tools"): Operation(
        name="listToolCalls",
        summary="List the tools that a call's model called",
        group="Tools",
        description="The newest first, 50 at most. One that is `waiting` needs somebody's word before it runs.",
        access=READ,
        parameters=("call_id",),
        answer=Body("ToolCallList", {"One that waits": {"results": [shapes.TOOL_CALL]}}),
        errors=(*OF_KEY, plain.NotFound, of_calls.UnknownCall),
    ),
    ("POST", "/api/calls/{call_id}/tools/{id}"): Operation(
        name="decideToolCall",
        summary="Approve a waiting tool, or not",
        group="Tools",
        description="For the person who talks, signed in: a key cannot give their word. What waits for staff is decided"
        " in the administration.",
        access=CONTROL,
        body=Body(DecisionSerializer, {"Yes": {"approve": True}}),
        parameters=("call_id", "id"),
        answer=Body("ToolCall", {"Approved": shapes.TOOL_CALL | {"state": "running", "approved": True}}),
        errors=(*OF_CALL_BODY, of_tools.InvalidToolRequest, of_tools.NothingToApprove),
    ),
    ("POST", "/api/tools/{name}"): Operation(
        name="runTool",
        summary="Run a tool of a call that the server has no sideband to",
        group="Tools",
        description="Elsewhere the server runs tools itself and answers their models. `arguments` is the JSON text of"
        " the model's function call; `output` goes back to the model as its output, also when the tool refused.",
        access=CONTROL,
        body=Body(
            RunSerializer,
            {"A booking": {"callId": "rtc_u1", "toolCallId": "call_1", "arguments": '{"date": "2026-12-01"}'}},
        ),
        parameters=("name",),
        answer=Body("ToolOutput", {"Done": {"output": '{"booked": true}'}}),
        errors=(*OF_CALL_BODY, of_tools.InvalidToolRequest, of_tools.ToolRunsElsewhere),
    ),
    ("GET", "/v1/models"): Operation(
        name="listModels",
        summary="List the models that one may use",
        group="Oneself",
        access=MINT,
        answer=Body("ModelList", {"One model": shapes.MODEL_LIST}),
        errors=OF_KEY,
    ),
    ("GET", "/api/agents"): Operation(
        name="listAgents",
        summary="List the assistants that one may talk to",
        group="Oneself",
        description="The first is the one that a request without an agent gets.",
        access=READ,
        answer=Body("AgentList", {"One assistant": shapes.AGENT_LIST}),
        errors=OF_KEY,
    ),
    ("GET", "/api/whoami"): Operation(
        name="whoAmI",
        summary="Tell who one is",
        group="Oneself",
        description="The quickest way to try a key.",
        access=READ,
        answer=Body(
            "WhoAmI",
            {
                "By API key": {"user": "alice", "isStaff": False, "via": "apiKey", "apiKey": shapes.API_KEY},
                "By session": {"user": "alice", "isStaff": False, "via": "session", "apiKey": None},
            },
        ),
        errors=OF_KEY,
    ),
    ("GET", "/api/usage"): Operation(
        name="showUsage",
        summary="Tell what one may, and what is left",
        group="Oneself",
        description="What running calls have reserved counts as used. Money is in millionths of a dollar.",
        access=READ,
        answer=Body("Usage", {"With a limit for each day": shapes.usage_example()}),
        errors=OF_KEY,
    ),
    ("GET", "/api/audit/checkpoint"): Operation(
        name="showCheckpoint",
        summary="Give the newest signed checkpoint of the record",
        group="The record",
        description="For witnesses: a checkpoint says what all events up to its size hash to. docs/audit.md",
        access=READ,
        parameters=("from",),
        answer=Body("Checkpoint", {"Of one event": shapes.CHECKPOINT}),
        errors=(*OF_KEY, of_tokens.InvalidRequest, of_record.EventNotSealed),
    ),
    ("GET", "/api/audit/proof/{id}"): Operation(
        name="proveEvent",
        summary="Prove one event of the record",
        group="The record",
        description="For whoever acted in it, and for those who may see the record. `audit/verifier.py` checks it"
        " anywhere. An event is sealed a second after it was written.",
        access=READ,
        parameters=("id", "from"),
        answer=Body("EventProof", {"Of the only event": shapes.EVENT_PROOF}),
        errors=(*OF_KEY, plain.NotFound, of_tokens.InvalidRequest, of_record.UnknownEvent, of_record.EventNotSealed),
    ),
    ("GET", "/api/keys"): Operation(
        name="listKeys",
        summary="List one's own API keys",
        group="API keys",
        description="Revoked and expired ones too; never their values.",
        access=READ,
        answer=Body("ApiKeyList", {"One key": {"results": [shapes.API_KEY]}}),
        errors=OF_KEY,
    ),
    ("POST", "/api/keys"): Operation(
        name="makeKey",
        summary="Make an API key",
        group="API keys",
        description="`value` is in this answer and nowhere else. A key cannot make keys: only a signed-in person can.",
        access=SESSION,
        body=Body(NewKeySerializer, {"For a server that issues": {"name": "shop", "scopes": ["mint"], "days": 90}}),
        status=201,
        answer=Body("NewApiKey", {"A new key": shapes.API_KEY | {"value": shapes.API_KEY_VALUE}}),
        errors=(*OF_KEY, *OF_JSON, plain.CsrfFailed, of_tokens.TooManyKeys),
    ),
    ("DELETE", "/api/keys/{id}"): Operation(
        name="revokeKey",
        summary="Revoke an API key",
        group="API keys",
        description="It works no more with the next request, and stays in history. A key cannot revoke keys.",
        access=SESSION,
        parameters=("id",),
        status=204,
        answer=None,
        errors=(*OF_KEY, plain.CsrfFailed, plain.NotFound, of_tokens.UnknownKey),
    ),
    ("GET", "/api/schema/"): Operation(
        name="showApiDescription",
        summary="Give this document",
        group="This document",
        description="OpenAPI 3.1, for reading on and for generating clients. As YAML with `?format=yaml`.",
        access=READ,
        parameters=("format",),
        answer=Body("OpenApiDocument", {"Its beginning": {"openapi": "3.1.1", "info": {"title": "voiceagent"}}}),
        other_form=Body("Text", {"Its beginning": "openapi: 3.1.1\n"}, media_type="application/yaml"),
        errors=(*OF_KEY, plain.NotFound),
    ),
    ("GET", "/api/docs/"): Operation(
        name="browseApiDescription",
        summary="Show this document as a page",
        group="This document",
        description="For people: whoever is not signed in is led to the login.",
        access=SESSION,
        answer=Body("Text", {"Its beginning": "<!doctype html>"}, media_type="text/html"),
        errors=(),
    ),
}
