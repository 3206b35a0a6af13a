"""What each route really answers, in success and in several refusals, is what the document says of it."""

import json
import re
from dataclasses import dataclass, field
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.test import AsyncClient, Client
from django.utils import timezone

from agents.models import Agent
from api_docs.operations import OPERATIONS
from audit.actions import Action
from audit.event_rows import read_rows
from audit.merkle import GrowingTree
from audit.notes import signed_checkpoint, signers
from audit.services import record_event
from audit.stored_tree import write_tiles
from audit.tree_models import AuditCheckpoint
from audit.verifier import event_leaf, gap_leaf
from relay.models import Call
from tests.api_docs.conformance import check_answer
from tests.conftest import ORIGIN, FakeUpstream
from tests.tokens.conftest import MakeKey
from tokens.models import Issuance, Policy
from tools.models import ToolCall

JSON = "application/json"
ISSUING = ("/api/client-secret", "/api/realtime/client-secret", "/api/session", "/v1/realtime/client_secrets")
OFFERS = ("/v1/realtime/calls", "/api/realtime/handshake")
WRONG_KEY = {"authorization": "Bearer vak_wrong"}


@dataclass(frozen=True)
class Case:
    """One request and what is expected of it. by: `session`, `key` or `nobody`."""

    method: str
    path: str
    status: int
    code: str = ""
    by: str = "session"
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = JSON

    def __str__(self) -> str:
        return f"{self.method} {self.path} {self.status} {self.code}"


def issuing(path: str) -> list[Case]:
    post = "POST", path
    return [
        Case(*post, 200),
        Case(*post, 200, by="key"),
        Case(*post, 401, "not_authenticated", by="nobody"),
        Case(*post, 401, "invalid_api_key", headers=WRONG_KEY),
        Case(*post, 403, "missing_scope", by="reading key"),
        Case(*post, 403, "origin_not_allowed", headers={"origin": "https://evil.example"}),
        Case(*post, 400, "unknown_field", body={"nothing": 1}),
        Case(*post, 400, "invalid_session_config", body={"model": "gpt-realtime-2.1"}),
        Case(*post, 400, "invalid_request", body=[]),
        Case(*post, 415, "unsupported_media_type", body="x", content_type="text/plain"),
    ]


def reading(path: str, scope: str = "minting key") -> list[Case]:
    return [
        Case("GET", path, 200),
        Case("GET", path, 200, by="key"),
        Case("GET", path, 401, "not_authenticated", by="nobody"),
        Case("GET", path, 401, "invalid_api_key", headers=WRONG_KEY),
        Case("GET", path, 403, "missing_scope", by=scope),
    ]


def changing(method: str, path: str, unknown: str) -> list[Case]:
    return [
        Case(method, path, 401, "not_authenticated", by="nobody"),
        Case(method, path.replace("/1", "/999").replace("rtc_1", "rtc_9"), 404, unknown),
    ]


CASES = [
    *(case for path in ISSUING for case in issuing(path)),
    Case("POST", "/api/client-secret", 404, "unknown_agent", body={"agent": "nobody"}),
    Case("POST", "/api/client-secret", 400, "out_of_range", body={"expiresAfter": 1}),
    Case("POST", "/api/client-secret", 403, "policy_denied", body={"expiresAfter": 7200}),
    Case("POST", "/api/client-secret/dry-run", 200),
    Case("POST", "/api/client-secret/dry-run", 200, by="key"),
    Case("POST", "/api/client-secret/dry-run", 401, "not_authenticated", by="nobody"),
    Case("POST", "/api/client-secret/dry-run", 403, "missing_scope", by="reading key"),
    Case("POST", "/api/client-secret/dry-run", 404, "unknown_agent", body={"agent": "nobody"}),
    Case("POST", "/api/client-secret/dry-run", 400, "unknown_field", body={"nothing": 1}),
    Case("GET", "/api/session", 200, headers={"sec-fetch-site": "none"}),
    Case("GET", "/api/session", 403, "origin_not_allowed"),
    Case("GET", "/api/session", 401, "not_authenticated", by="nobody"),
    *reading("/api/issuances"),
    Case("GET", "/api/issuances?before=x", 400, "invalid_request"),
    Case("POST", "/api/issuances/1/revoke", 200),
    *changing("POST", "/api/issuances/1/revoke", "unknown_issuance"),
    Case("POST", "/api/issuances/1/revoke", 403, "missing_scope", by="reading key"),
    *(Case("POST", path, 401, "ephemeral_key_expired", body="v=0", content_type="application/sdp", by="offer")
      for path in OFFERS),
    *(Case("POST", path, 400, "invalid_sdp", body="x", content_type="application/sdp") for path in OFFERS),
    *(Case("POST", path, 415, "unsupported_media_type") for path in OFFERS),
    Case("POST", "/v1/realtime/calls/rtc_1/hangup", 200),
    *changing("POST", "/v1/realtime/calls/rtc_1/hangup", "unknown_call"),
    *reading("/api/calls"),
    Case("GET", "/api/calls?before=x", 400, "invalid_request"),
    *reading("/api/calls/rtc_1"),
    Case("GET", "/api/calls/stream?last=1", 200),
    Case("GET", "/api/calls/stream?last=1", 200),
    Case("GET", "/api/calls/stream", 401, "not_authenticated", by="nobody"),
    Case("GET", "/api/calls/rtc_9", 404, "unknown_call"),
    Case("POST", "/api/calls/rtc_1/commands", 202, body={"kind": "mute"}),
    Case("POST", "/api/calls/rtc_1/commands", 400, "invalid_request", body={"kind": "dance"}),
    Case("POST", "/api/calls/rtc_1/commands", 403, "policy_denied", body={"kind": "say", "text": "Hello."}),
    *changing("POST", "/api/calls/rtc_1/commands", "unknown_call"),
    Case("POST", "/api/calls/rtc_1/events", 200, body={"type": "heartbeat"}),
    Case("POST", "/api/calls/rtc_1/events", 200, body={"type": "ended", "reason": "user"}),
    Case("POST", "/api/calls/rtc_1/events", 400, "invalid_request", body={"type": "nothing"}),
    Case("POST", "/api/calls/rtc_1/events", 415, "unsupported_media_type", body="x", content_type="text/plain"),
    *changing("POST", "/api/calls/rtc_1/events", "unknown_call"),
    *reading("/api/calls/rtc_1/tools"),
    Case("GET", "/api/calls/rtc_9/tools", 404, "unknown_call"),
    Case("POST", "/api/calls/rtc_1/tools/1", 200, body={"approve": True}),
    Case("POST", "/api/calls/rtc_1/tools/1", 400, "invalid_request", body={}),
    Case("POST", "/api/calls/rtc_1/tools/999", 409, "nothing_to_approve", body={"approve": True}),
    Case("POST", "/api/calls/rtc_1/tools/1", 403, "missing_scope", by="key", body={"approve": True}),
    Case("POST", "/api/tools/find_book", 200, body={"callId": "rtc_2", "toolCallId": "call_1"}),
    Case("POST", "/api/tools/find_book", 409, "tool_runs_elsewhere", body={"callId": "rtc_1", "toolCallId": "call_1"}),
    Case("POST", "/api/tools/find_book", 404, "unknown_call", body={"callId": "rtc_9", "toolCallId": "call_1"}),
    Case("POST", "/api/tools/find_book", 400, "invalid_request", body={"callId": "rtc_1"}),
    *reading("/v1/models", scope="reading key"),
    *reading("/api/agents"),
    *reading("/api/whoami"),
    *reading("/api/usage"),
    *reading("/api/audit/checkpoint"),
    Case("GET", "/api/audit/checkpoint?from=1", 200),
    Case("GET", "/api/audit/checkpoint?from=x", 400, "invalid_request"),
    Case("GET", "/api/audit/checkpoint?from=999999999", 409, "event_not_sealed"),
    Case("GET", "/api/audit/proof/1", 200),
    Case("GET", "/api/audit/proof/1?from=1", 200),
    Case("GET", "/api/audit/proof/999999999", 404, "unknown_event"),
    Case("GET", "/api/audit/proof/1", 401, "not_authenticated", by="nobody"),
    *reading("/api/keys"),
    Case("POST", "/api/keys", 201, body={"name": "shop"}),
    Case("POST", "/api/keys", 400, "invalid_request", body={}),
    Case("POST", "/api/keys", 400, "unknown_field", body={"name": "x", "more": 1}),
    Case("POST", "/api/keys", 403, "missing_scope", by="key", body={"name": "more"}),
    Case("POST", "/api/keys", 401, "not_authenticated", by="nobody", body={"name": "more"}),
    Case("DELETE", "/api/keys/1", 204),
    *changing("DELETE", "/api/keys/1", "unknown_key"),
    *reading("/api/schema/"),
    Case("GET", "/api/docs/", 200),
    Case("GET", "/api/docs/", 302, by="nobody"),
]  # fmt: skip
FAR = 1_000_000
SCOPES = {"key": ["mint", "read", "control"], "reading key": ["read"], "minting key": ["mint"]}


@pytest.fixture
def things(alice: User, assistant: Agent, answer_sdp: str) -> int:
    """What the cases name by number: a secret of Alice's, calls that are on, a tool that waits for her word, and a
    sealed event, which is returned."""
    # Far from where the database itself begins to number, which PostgreSQL does not move on for it.
    Issuance.objects.create(pk=FAR, user=alice, username="alice", status="issued", requested_at="2026-01-01T00:00:00Z")
    seen, _ = (
        Call.objects.create(
            upstream_id=name, user=alice, username="alice", state=Call.State.LIVE, request_id="req_tests",
            requested_at="2026-01-01T00:00:00Z", deadline_at="2030-01-01T00:00:00Z", monitoring=monitoring,
        )
        for name, monitoring in (("rtc_1", Call.Monitoring.JOINED), ("rtc_2", Call.Monitoring.UNMONITORED))
    )  # fmt: skip
    ToolCall.objects.create(
        pk=FAR, call=seen, tool_call_id="call_9", name="asks_first", state="waiting", approval="person",
        requested_at="2026-01-01T00:00:00Z", decide_until="2030-01-01T00:00:00Z",
    )  # fmt: skip
    return sealed_event(alice)


def sealed_event(user: User) -> int:
    """Record an event of somebody's and seal it, in the test's own transaction."""
    event = record_event(Action.CALL_ENDED, request_id="req_tests", actor=f"user:{user.pk}", target="call:1").pk
    (row,) = read_rows(event - 1, event, 1)
    tree = GrowingTree()
    for before in range(1, event):
        tree.push(gap_leaf(before))
    tree.push(event_leaf(event, row.mac, row.record))
    write_tiles(tree.take_whole(), tree.edge)
    AuditCheckpoint.objects.create(
        size=event, previous_size=0, root=tree.root().hex(), note=signed_checkpoint(signers(), event, tree.root(), 0),
        signing_key=0, gaps=event - 1, made_at=timezone.now(),
    )  # fmt: skip
    return event


@pytest.mark.parametrize("case", CASES, ids=str)
def test_an_answer_is_as_described(
    case: Case, things: int, make_key: MakeKey, alices_client: Client, offer_sdp: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relay.services.hang_up_upstream", lambda call: None)  # there is no upstream here
    headers, body = dict(case.headers), case.body
    own_key = make_key()
    path = case.path.replace("/api/keys/1", f"/api/keys/{own_key.key.pk}")
    path = path.replace("/api/issuances/1/", f"/api/issuances/{FAR}/")
    path = path.replace("/tools/1", f"/tools/{FAR}")
    path = re.sub(r"/proof/1\b", f"/proof/{things}", path)
    client = alices_client if case.by == "session" else Client()
    if case.by in SCOPES:
        headers["authorization"] = f"Bearer {make_key(scopes=SCOPES[case.by]).value}"
        Policy.objects.create(allowed_kinds=["relayed"])  # a direct one would need an upstream
    if case.by == "offer":
        headers["authorization"], body = "Bearer ek_" + "0" * 32, offer_sdp
    sent = {} if case.method == "GET" else {"data": body, "content_type": case.content_type}
    response = getattr(client, case.method.lower())(path, headers=headers, **sent)

    assert response.status_code == case.status, response.content
    check_answer(case.method, path.partition("?")[0], response)
    if case.code:
        error = response.json()["error"] if path.startswith("/v1/") else response.json()
        assert error["code"] == case.code


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("path", OFFERS)
async def test_a_call_is_answered_as_described(
    alices_page: AsyncClient, upstream: FakeUpstream, offer_sdp: str, path: str
) -> None:
    minted = await alices_page.post("/api/client-secret", "", content_type=JSON, headers={"origin": ORIGIN})
    headers = {"origin": ORIGIN, "authorization": f"Bearer {minted.json()['value']}"}
    answers = [
        await alices_page.post(path, offer_sdp, content_type="application/sdp", headers=headers) for _ in range(2)
    ]

    assert [answer.status_code for answer in answers] == [201, 409]
    for answer in answers:
        assert check_answer("POST", path, answer).startswith("createCall")
    await sync_to_async(Call.objects.all().delete)()


def test_every_operation_is_tried_in_success_and_in_refusal() -> None:
    tried = {(case.method, case.path.partition("?")[0], case.status < 300) for case in CASES}
    tried |= {("POST", path, True) for path in OFFERS}  # above, with an upstream
    parts = {"{id}": "1", "{call_id}": "rtc_1", "{name}": "find_book"}
    samples = {(method, path): re.sub(r"{\w+}", lambda part: parts[part[0]], path) for method, path in OPERATIONS}

    missing = {(*key, good) for key, path in samples.items() for good in (True, False)} - {
        (method, original, good)
        for (method, original), path in samples.items()
        for good in (True, False)
        if (method, path, good) in tried
    }
    assert missing == set()


class _Changed:
    """An answer with another body or status, as if a view had changed and its row had not."""

    streaming = False

    def __init__(self, status_code: int, body: object) -> None:
        self.status_code, self.content = status_code, json.dumps(body).encode()

    def __getitem__(self, header: str) -> str:
        return {"Content-Type": JSON}.get(header, "1")

    def __contains__(self, header: str) -> bool:
        return True


@pytest.mark.parametrize(
    ("status", "body"),
    [(200, {"user": "alice"}), (200, {"user": "a", "isStaff": False, "via": "session", "apiKey": None, "more": 1}),
     (418, {}), (403, {"code": "unknown_code"})],
)  # fmt: skip
def test_an_answer_that_is_not_as_described_is_found(status: int, body: object) -> None:
    with pytest.raises(AssertionError):
        check_answer("GET", "/api/whoami", _Changed(status, body))
