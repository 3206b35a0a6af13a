"""Schemas of the REST API's bodies, with an example of each. Times named `…At` in answers are ISO 8601 or Unix seconds.

What comes in is described by its serializer where it has one; what goes out stands here.
"""

import json
from typing import Any, Final

from agents.models import Agent
from realtime_api.session import FIELDS as SESSION_FIELDS
from realtime_api.session import VOICES
from relay.models import Call, CallCommand, Handoff, TranscriptItem
from tokens import quotas
from tokens.constants import MAX_TTL_S, MIN_TTL_S, SESSION_ID_CHARS
from tokens.models import Issuance, Kind, Scope
from tokens.wishes import CAPABILITIES
from tools.models import ToolCall
from tools.registry import Approval
from usage.models import UsageRecord

Schema = dict[str, Any]

# --- Examples ---------------------------------------------------------------------------------------------------
EARLIER: Final = "2026-11-21T09:00:00Z"
LATER: Final = "2026-11-21T09:00:20Z"
EXPIRES_AT: Final = 1795251660
REQUEST_ID: Final = "req_0a9d3b7e4c2a8f605f1c77d2"
SESSION_ID: Final = "sess_5f1c0a9d3b7e4c2a8f60d1e2"
VALUE: Final = "ek_" + "0123456789abcdef" * 2
API_KEY_VALUE: Final = "vak_" + "A1b2C3d4" * 6 + "x"
MODEL: Final = "gpt-realtime-2.1"
SDP_START: Final = "v=0\r\no=- 4611731400430051336 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"
CLIENT_SECRET: Final = {
    "ephemeralKey": VALUE,
    "expiresAt": EXPIRES_AT,
    "sessionId": SESSION_ID,
    "model": MODEL,
    "requestId": REQUEST_ID,
    "kind": "relayed",
    "value": VALUE,
    "expires_at": EXPIRES_AT,
    "auditEvent": 320,
}
DRY_RUN: Final = {"agent": "assistant", "model": MODEL, "kind": "relayed", "requestId": REQUEST_ID}
OLDER_SESSION: Final = {
    "id": SESSION_ID,
    "object": "realtime.session",
    "model": MODEL,
    "expires_at": EXPIRES_AT,
    "client_secret": {"value": VALUE, "expires_at": EXPIRES_AT},
}
UPSTREAM_CLIENT_SECRET: Final = {
    "value": VALUE,
    "expires_at": EXPIRES_AT,
    "session": {"type": "realtime", "object": "realtime.session", "id": SESSION_ID, "expires_at": 0, "model": MODEL},
}
API_KEY: Final = {
    "id": 3,
    "name": "shop",
    "publicPart": "vak_A1b2C3d4",
    "scopes": ["mint", "read"],
    "allowedNetworks": ["192.0.2.0/24"],
    "enabled": True,
    "createdAt": EARLIER,
    "expiresAt": "2027-02-19T09:00:00Z",
    "revokedAt": None,
    "lastUsedAt": LATER,
}
ISSUANCE: Final = {
    "id": 41,
    "requestId": REQUEST_ID,
    "sessionId": SESSION_ID,
    "status": "issued",
    "errorCode": "",
    "kind": "relayed",
    "agent": "assistant",
    "model": MODEL,
    "voice": "marin",
    "requestedAt": EARLIER,
    "expiresAt": "2026-11-21T09:01:00Z",
    "firstUsedAt": None,
    "revokedAt": None,
    "secretHint": "cdef",
    "apiKey": "vak_A1b2C3d4",
    "isValid": True,
    "life": "valid",
}
CALL: Final = {
    "id": 7,
    "callId": "rtc_1",
    "requestId": REQUEST_ID,
    "state": "ended",
    "errorCode": "",
    "agent": "assistant",
    "model": MODEL,
    "transport": "webrtc",
    "continues": None,
    "requestedAt": EARLIER,
    "startedAt": EARLIER,
    "endedAt": LATER,
    "endReason": "user",
    "monitoring": "joined",
    "responses": 1,
    "metering": "settled",
    "costMicrodollars": 6946,
    "unpriced": False,
}
TOOL_CALL: Final = {
    "id": 12,
    "toolCallId": "call_1",
    "name": "create_booking",
    "publicName": "Book an appointment",
    "arguments": '{"date": "2026-12-01", "time": "10:00"}',
    "state": "waiting",
    "errorCode": "",
    "approval": "person",
    "approved": None,
    "requestedAt": EARLIER,
    "decideUntil": LATER,
    "endedAt": None,
    "durationMs": None,
    "resultChars": 0,
}
WHOLE_CALL: Final = CALL | {
    "transcript": [
        {
            "itemId": "item_a1",
            "role": "assistant",
            "text": "We open at nine.",
            "status": "done",
            "startedAt": EARLIER,
            "endedAt": LATER,
            "heardMs": None,
            "isRepeated": False,
        }
    ],
    "usage": [
        {
            "kind": "response",
            "sourceId": "resp_1",
            "at": LATER,
            "model": MODEL,
            "outcome": "completed",
            "counts": {"audio_output": 74},
            "microdollars": 4736,
        }
    ],
    "handoffs": [{"at": LATER, "agent": "billing", "version": 2, "by": "model", "errorCode": ""}],
    "timeline": [{"at": LATER, "event": "call.ended", "code": "user"}],
}
AGENT_LIST: Final = {
    "results": [
        {
            "slug": "assistant",
            "name": "Assistant",
            "description": "Answers questions in a few words.",
            "version": 3,
            "language": "en",
            "voice": "marin",
            "voices": ["marin", "cedar"],
        }
    ]
}
LIVE_CALL: Final = CALL | {
    "state": "live",
    "endedAt": None,
    "endReason": None,
    "metering": "open",
    "user": "alice",
    "activeAt": LATER,
    "muted": False,
    "endDetail": "",
    "isWatched": False,
}
CALL_STREAM: Final = f"id: 1795251620000000\nevent: call\ndata: {json.dumps(LIVE_CALL)}\n\n"
MODEL_LIST: Final = {
    "object": "list",
    "data": [{"id": MODEL, "object": "model", "created": 0, "owned_by": "openai"}],
}


ROOT: Final = "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
CHECKPOINT: Final = {
    "size": 1,
    "root": ROOT,
    "checkpoint": "voice.example.org\n1\nbjQLnP+zepicpUTma3gKLHiQHT+zNzh2hRGjBhevoB0=\n\n— voice.example.org …\n",
    "consistency": None,
}
EVENT_PROOF: Final = CHECKPOINT | {
    "event": 1,
    "mac": "0" * 64,
    "record": '[1,"0193…","2026-11-21T09:00:00.000000Z","client_secret.issued",…]',
    "leaf": ROOT,
    "inclusion": [],
}
del EVENT_PROOF["root"]


def usage_example() -> dict[str, object]:
    counted = {"limit": 100, "used": 7, "left": 93, "resetsAt": 1795305600}
    unlimited = {"limit": None, "used": None, "left": None, "resetsAt": 1795305600}
    return {camel(metric): counted if metric == "secrets_a_day" else unlimited for metric in quotas.METRICS} | {
        "kinds": ["relayed", "direct"],
        "agents": None,
        "models": None,
        "voices": None,
        "origins": None,
        "issueRate": "20/m",
        "callsAtOnce": 2,
        "callMaxSeconds": 3600,
        "secretMaxSeconds": 600,
    }


def camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.title() for word in rest)


# --- The pieces -------------------------------------------------------------------------------------------------
def an_object(required: dict[str, Schema], optional: dict[str, Schema] | None = None, **more: Any) -> Schema:
    return {"type": "object", "properties": required | (optional or {}), "required": sorted(required), **more}


def text(description: str = "", **more: Any) -> Schema:
    return _described("string", description, more)


def number(description: str = "", **more: Any) -> Schema:
    return _described("integer", description, more)


def yes_or_no(description: str = "") -> Schema:
    return _described("boolean", description, {})


def list_of(items: Schema, description: str = "", **more: Any) -> Schema:
    return _described("array", description, {"items": items, **more})


def moment(description: str = "") -> Schema:
    return text(description, format="date-time")


def or_null(schema: Schema) -> Schema:
    return schema | {"type": [schema["type"], "null"]}


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _described(kind: str, description: str, more: dict[str, Any]) -> Schema:
    return {"type": kind, **({"description": description} if description else {}), **more}


# --- The schemas ------------------------------------------------------------------------------------------------
UNIX_SECONDS: Final = number("Unix seconds.")
A_VALUE: Final = text("The client secret. It begins with `ek_`, also where the voice service made it.", pattern="^ek_")
A_KIND: Final = text(
    "`relayed`: ours, for one call at our relay. `direct`: made by the voice service, works there too.",
    enum=list(Kind.values),
)
HASH: Final = text("Hexadecimal.", pattern="^[0-9a-f]{64}$")
UPSTREAM_SESSION: Final = {
    "type": "object",
    "description": "A session as the vendor's Realtime API describes it.",
    "additionalProperties": True,
}
CALL_FIELDS: Final[dict[str, Schema]] = {
    "id": number(),
    "callId": or_null(text("null where the voice service made none.")),
    "requestId": text(),
    "state": text(enum=list(Call.State.values)),
    "errorCode": text(),
    "agent": text(),
    "model": text(),
    "transport": text(),
    "continues": or_null(text("The call whose conversation goes on in this one, after its connection was lost.")),
    "requestedAt": moment(),
    "startedAt": or_null(moment()),
    "endedAt": or_null(moment()),
    "endReason": {"enum": [None, *Call.EndReason.values], "description": "Why it ended; null until it has."},
    "monitoring": text("Whether we see its events.", enum=Call.Monitoring.values),
    "responses": number("How many were counted."),
    "metering": text("How sure the cost is.", enum=Call.Metering.values),
    "costMicrodollars": or_null(number("In millionths of a US dollar; so far, while the call goes on.")),
    "unpriced": yes_or_no("Whether a part of it has no price."),
}
API_KEY_FIELDS: Final[dict[str, Schema]] = {
    "id": number(),
    "name": text(),
    "publicPart": text("The beginning of the value, by which people recognise it."),
    "scopes": list_of(text(enum=list(Scope.values))),
    "allowedNetworks": list_of(text(), "From where it works, in CIDR form; empty: from anywhere."),
    "enabled": yes_or_no(),
    "createdAt": moment(),
    "expiresAt": moment(),
    "revokedAt": or_null(moment()),
    "lastUsedAt": or_null(moment("To the minute.")),
}
REQUESTS: Final[dict[str, Schema]] = {
    "ClientSecretRequest": an_object(
        {},
        {
            "agent": text("Which assistant; without it, the first that one may use.", pattern="^[-a-zA-Z0-9_]{1,50}$"),
            "version": number(
                "A version of it that need not be published, for people who may change agents.", minimum=1
            ),
            "voice": text("One of the voices that the assistant offers; without it, its own.", pattern="^[a-z]{1,40}$"),
            "sessionId": text(
                "A name of yours for the session; it is answered and kept in history.",
                pattern=rf"^[A-Za-z0-9._:-]{{1,{SESSION_ID_CHARS}}}$",
            ),
            "kind": A_KIND | {"description": A_KIND["description"] + " Without it, what policy prefers."},
            "expiresAfter": number(
                "Seconds until the secret expires. Policy may set a lower maximum.",
                minimum=MIN_TTL_S,
                maximum=MAX_TTL_S,
            ),
            "capabilities": list_of(text(enum=sorted(CAPABILITIES)), "Taken for older clients, and without effect."),
        },
        additionalProperties=False,
    ),
    "UpstreamClientSecretRequest": an_object(
        {},
        {
            "expires_after": {
                "type": ["object", "null"],
                "properties": {
                    "anchor": {"const": "created_at"},
                    "seconds": number("Until the secret expires.", minimum=MIN_TTL_S, maximum=MAX_TTL_S),
                },
            },
            "session": {
                "type": ["object", "null"],
                "description": "Laid over the agent's session. `model` belongs in here, never at the top.",
                "properties": {
                    **dict.fromkeys(sorted(SESSION_FIELDS - {"type", "model", "audio"}), True),
                    "type": {"const": "realtime"},
                    "model": text(examples=[MODEL]),
                    "audio": {
                        "type": "object",
                        "properties": {
                            "input": {"type": "object"},
                            "output": an_object({}, {"voice": text(examples=list(VOICES))}),
                        },
                    },
                },
                "required": ["type"],
                "additionalProperties": False,
            },
        },
        additionalProperties=False,
    ),
    "SdpOffer": text("The text of `RTCPeerConnection.createOffer()`: one audio section and one data channel."),
}
TOOL_CALL_SHAPE: Final = an_object(
    {
        "id": number(),
        "toolCallId": text("The `call_id` of the model's function call."),
        "name": text(),
        "publicName": text("For people."),
        "arguments": text("JSON, as far as policy keeps it."),
        "state": text(enum=ToolCall.State.values),
        "errorCode": text(),
        "approval": text("Who has to approve it.", enum=Approval.values),
        "approved": {"enum": [None, True, False], "description": "null until somebody said so."},
        "requestedAt": moment(),
        "decideUntil": or_null(moment()),
        "endedAt": or_null(moment()),
        "durationMs": or_null(number()),
        "resultChars": number("How long its result was."),
    }
)
ANSWERS: Final[dict[str, Schema]] = {
    "ToolCall": TOOL_CALL_SHAPE,
    "ToolCallList": an_object({"results": list_of(ref("ToolCall"), "The newest first, at most 50.")}),
    "ToolOutput": an_object({"output": text("JSON for the model, as its `function_call_output` takes it.")}),
    "ClientSecret": an_object(
        {
            "ephemeralKey": A_VALUE,
            "expiresAt": UNIX_SECONDS,
            "sessionId": text("The session's id, or the name that the request gave it."),
            "model": text(),
            "requestId": text("Under which history and log have the request."),
            "kind": A_KIND,
            "value": A_VALUE | {"description": "The same as `ephemeralKey`, for clients of the vendor's shape."},
            "expires_at": UNIX_SECONDS | {"description": "The same as `expiresAt`."},
            "auditEvent": number("The receipt: the event's number, for `/api/audit/proof/{id}`."),
        }
    ),
    "DryRun": an_object(
        {
            "agent": text("Whose session it would be."),
            "model": text(),
            "kind": A_KIND,
            "requestId": text("Under which the record has the dry run."),
        }
    ),
    "OlderSession": an_object(
        {
            "id": text(),
            "object": {"const": "realtime.session"},
            "model": text(),
            "expires_at": UNIX_SECONDS,
            "client_secret": an_object({"value": A_VALUE, "expires_at": UNIX_SECONDS}),
        }
    ),
    "UpstreamClientSecret": an_object({"value": A_VALUE, "expires_at": UNIX_SECONDS, "session": UPSTREAM_SESSION}),
    "SdpAnswer": text("What `RTCPeerConnection.setRemoteDescription()` takes as an answer."),
    "CallState": an_object(
        {
            "state": text(enum=list(Call.State.values)),
            "endReason": CALL_FIELDS["endReason"],
            "costMicrodollars": CALL_FIELDS["costMicrodollars"],
            "isFree": yes_or_no("Whether its cost is known to be nothing."),
            "assistantMuted": yes_or_no("Whether its assistant was muted by a command."),
            "secondsLeft": or_null(number("How long it may still last; null without a limit, and when it is over.")),
        }
    ),
    "Call": an_object(CALL_FIELDS),
    "LiveCall": an_object(
        CALL_FIELDS
        | {
            "user": text("The name of whoever talks."),
            "activeAt": or_null(moment("When something was last said or used.")),
            "muted": yes_or_no("Whether the assistant was silenced."),
            "endDetail": text("What whoever ended it said about that."),
            "isWatched": yes_or_no("Whether an administrator reads its words just now."),
        }
    ),
    "CallStream": text("Server-sent events; the data of each `call` are a `LiveCall`."),
    "CallCommand": an_object(
        {"id": number(), "kind": text(enum=CallCommand.Kind.values), "state": {"const": "requested"}}
    ),
    "CallPage": an_object(
        {
            "results": list_of(ref("Call")),
            "nextBefore": or_null(number("Give it as `before` for the next page; null at the end.")),
        }
    ),
    "WholeCall": an_object(
        CALL_FIELDS
        | {
            "transcript": list_of(
                an_object(
                    {
                        "itemId": text(),
                        "role": text(
                            "`user`, `assistant`, `system`, `tool` for a tool call, `handoff` for another agent, or "
                            "`retold` for what a client put in as the assistant's."
                        ),
                        "text": text("As far as policy keeps it."),
                        "status": text(enum=TranscriptItem.Status.values),
                        "startedAt": moment(),
                        "endedAt": or_null(moment()),
                        "heardMs": or_null(number("How much of one that was interrupted was heard, if known.")),
                        "isRepeated": yes_or_no("A page told it again; it stands in the call that this one continues."),
                    }
                ),
                "In the order of the conversation.",
            ),
            "usage": list_of(
                an_object(
                    {
                        "kind": text(enum=UsageRecord.Kind.values),
                        "sourceId": text("Of the response, or of the item that was written down."),
                        "at": moment(),
                        "model": text(),
                        "outcome": text(),
                        "counts": {
                            "type": "object",
                            "description": "Tokens, or seconds, by meter.",
                            "additionalProperties": {"type": "integer"},
                        },
                        "microdollars": or_null(number("null: it has no price.")),
                    }
                )
            ),
            "handoffs": list_of(
                an_object(
                    {
                        "at": moment(),
                        "agent": text("Who has the call from then on; `agent` is who began it."),
                        "version": or_null(number("Of that agent; null where it did not get the call.")),
                        "by": text("Who wanted it.", enum=list(Handoff.By.values)),
                        "errorCode": text("Why it did not get the call."),
                    }
                )
            ),
            "timeline": list_of(an_object({"at": moment(), "event": text(), "code": text()})),
        }
    ),
    "Issuance": an_object(
        {
            "id": number(),
            "requestId": text(),
            "sessionId": text(),
            "status": text("`denied`, `failed` and `unknown` tell why in `errorCode`.", enum=Issuance.Status.values),
            "errorCode": text("A code of this document, or empty."),
            "kind": text("Empty where it came to none.", enum=["", *Kind.values]),
            "agent": text("The agent's name in addresses.", maxLength=Agent._meta.get_field("slug").max_length),
            "model": text(),
            "voice": text(),
            "requestedAt": moment(),
            "expiresAt": or_null(moment("null for one that was not issued.")),
            "firstUsedAt": or_null(moment("When a call was made with it.")),
            "revokedAt": or_null(moment()),
            "secretHint": text("The last characters of the value; the rest is stored nowhere."),
            "apiKey": or_null(text("The beginning of the API key that asked; null for a page.")),
            "isValid": yes_or_no("Whether a call can be made with it now."),
            "life": text("Where the secret stands; `none`: it was never issued.", enum=Issuance.Life.values),
        }
    ),
    "IssuancePage": an_object(
        {
            "results": list_of(ref("Issuance")),
            "nextBefore": or_null(number("Give it as `before` for the next page; null at the end.")),
        }
    ),
    "ApiKey": an_object(API_KEY_FIELDS),
    "ApiKeyList": an_object({"results": list_of(ref("ApiKey"))}),
    "NewApiKey": an_object(API_KEY_FIELDS | {"value": text("The key itself, shown this once.", pattern="^vak_")}),
    "WhoAmI": an_object(
        {
            "user": text(),
            "isStaff": yes_or_no("Whether the administration is open to this user."),
            "via": text(enum=["session", "apiKey"]),
            "apiKey": {"anyOf": [ref("ApiKey"), {"type": "null"}]},
        }
    ),
    "Counted": an_object(
        {
            "limit": or_null(number("null: no limit.")),
            "used": or_null(number("null where nothing is counted.")),
            "left": or_null(number()),
            "resetsAt": number("When it starts anew (UTC), in Unix seconds."),
        }
    ),
    "Usage": an_object(
        {
            **{camel(metric): ref("Counted") for metric in quotas.METRICS},
            "kinds": list_of(text(enum=list(Kind.values))),
            "agents": or_null(list_of(text(), "null: all.")),
            "models": or_null(list_of(text(), "null: all.")),
            "voices": or_null(list_of(text(), "null: all.")),
            "origins": or_null(list_of(text(), "Pages that may use it; null: all that the server allows.")),
            "issueRate": text("Client secrets in a time: `20/m` is 20 a minute."),
            "callsAtOnce": number(),
            "callMaxSeconds": number(),
            "secretMaxSeconds": number("The longest life of a client secret that one may ask for."),
        }
    ),
    "Consistency": an_object(
        {"from": number("The size that was asked about."), "hashes": list_of(HASH, "RFC 6962 section 2.1.2.")}
    ),
    "Checkpoint": an_object(
        {
            "size": number("How many events it covers."),
            "root": HASH,
            "checkpoint": text("The signed note (C2SP), with a second line that signs its time."),
            "consistency": {"anyOf": [ref("Consistency"), {"type": "null"}]},
        }
    ),
    "EventProof": an_object(
        {
            "event": number(),
            "mac": HASH,
            "record": text("The event itself, as the text that was signed."),
            "leaf": HASH,
            "size": number("How many events the checkpoint covers."),
            "checkpoint": text("The signed note (C2SP)."),
            "inclusion": list_of(HASH, "What leads from the leaf to the root: RFC 6962 section 2.1.1."),
            "consistency": {"anyOf": [ref("Consistency"), {"type": "null"}]},
        }
    ),
    "AgentList": an_object(
        {
            "results": list_of(
                an_object(
                    {
                        "slug": text("Its name in requests: `agent`."),
                        "name": text(),
                        "description": text(),
                        "version": number("What a call runs that begins now."),
                        "language": text("What it expects to hear."),
                        "voice": text(),
                        "voices": list_of(text(), "What one may choose from; empty where the voice is fixed."),
                    }
                )
            )
        }
    ),
    "ModelList": an_object(
        {
            "object": {"const": "list"},
            "data": list_of(
                an_object({"id": text(), "object": {"const": "model"}, "created": UNIX_SECONDS, "owned_by": text()})
            ),
        }
    ),
    "OpenApiDocument": {"type": "object", "additionalProperties": True},
    "Text": text(),
    "Error": an_object(
        {
            "error": text("A short headline for people."),
            "code": text("A stable word for programs: the catalogue is in docs/errors.md."),
            "message": text("What happened."),
            "requestId": text("Give it when you ask an administrator."),
            "suggestedAction": text("What to do about it."),
            "reference": text("Where the documentation explains it."),
        },
        {
            "retryAfter": number("Milliseconds to wait before trying again; `Retry-After` has it in seconds."),
            "upstreamStatus": number("What the voice service answered."),
            "upstreamData": text("What it said, without secrets; only while debugging is on."),
            "context": {"type": "object", "additionalProperties": True, "description": "Particulars of this code."},
        },
    ),
    "UpstreamFormError": an_object(
        {
            "error": an_object(
                {
                    "message": text("What happened."),
                    "type": text(enum=["invalid_request_error", "server_error"]),
                    "code": text("A stable word for programs, ours or the voice service's."),
                    "param": {"type": ["string", "null"]},
                }
            )
        },
        description="The envelope that the vendor's clients turn into their exceptions.",
    ),
}
SCHEMAS: Final = REQUESTS | ANSWERS
