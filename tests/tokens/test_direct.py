"""Direct secrets: minted upstream, recorded here, good at our relay once."""

import json
from typing import Any

import pytest
from aiohttp import web
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.test import AsyncClient
from pytest_django import Settings

from agents.models import Agent
from audit.models import AuditEvent
from relay.models import Call
from tests.conftest import FakeUpstream
from tests.tokens.conftest import MakeKey
from tokens.models import Issuance, Policy, QuotaCounter
from tokens.services import secret_digest

pytestmark = pytest.mark.django_db(transaction=True)
URL = "/api/client-secret"


class Program(AsyncClient):
    """A client with an API key and no cookies."""

    key = ""

    async def post(self, *args: Any, **kwargs: Any) -> Any:
        kwargs["headers"] = {"authorization": f"Bearer {self.key}"} | kwargs.get("headers", {})
        return await super().post(*args, **kwargs)


@pytest.fixture
async def program(alices_page: AsyncClient, make_key: MakeKey) -> Program:
    program = Program()
    program.key = (await sync_to_async(make_key)()).value
    return program


async def issue(client: AsyncClient, body: object = None, **headers: str) -> tuple[int, dict[str, object]]:
    response = await client.post(URL, body or {}, content_type="application/json", headers=headers)
    return response.status_code, response.json()


async def test_a_program_gets_what_the_upstream_minted(program: Program, upstream: FakeUpstream, alice: User) -> None:
    status, answer = await issue(program, {"expiresAfter": 120})

    assert status == 200
    assert (answer["value"], answer["kind"], answer["sessionId"]) == (f"ek_{1:032x}", "direct", "sess_1")
    (asked,) = upstream.minted
    assert asked["expires_after"] == {"anchor": "created_at", "seconds": 120}
    assert asked["session"] == await agents_session()
    assert asked["authorization"] == "Bearer sk-tests-engine"
    row = await Issuance.objects.aget()
    assert (row.status, row.kind, row.user_id) == ("issued", "direct", alice.pk)
    assert row.secret_digest == secret_digest(f"ek_{1:032x}")


async def agents_session() -> object:
    agent = await Agent.objects.select_related("published").aget(slug="assistant")
    assert agent.published is not None
    return agent.published.session_config()


async def test_a_page_gets_a_relayed_one_unless_it_asks(alices_page: AsyncClient, upstream: FakeUpstream) -> None:
    assert (await issue(alices_page))[1]["kind"] == "relayed"
    assert (await issue(alices_page, {"kind": "direct"}))[1]["kind"] == "direct"
    assert len(upstream.minted) == 1


async def test_it_makes_one_call_at_our_relay_as_its_holder(
    program: Program, upstream: FakeUpstream, offer_sdp: str
) -> None:
    _, answer = await issue(program)
    sent = {"authorization": f"Bearer {answer['value']}"}
    browser = AsyncClient()
    first = await browser.post("/v1/realtime/calls", offer_sdp, content_type="application/sdp", headers=sent)
    again = await browser.post("/v1/realtime/calls", offer_sdp, content_type="application/sdp", headers=sent)

    assert (first.status_code, again.status_code) == (201, 409)
    (asked,) = upstream.requests
    assert asked["authorization"] == f"Bearer {answer['value']}"
    assert "session" not in asked


async def test_a_secret_that_the_upstream_no_longer_takes_is_the_caller_s_matter(
    program: Program, upstream: FakeUpstream, offer_sdp: str
) -> None:
    _, answer = await issue(program)
    upstream.answer = web.Response(status=401, text="{}")
    sent = {"authorization": f"Bearer {answer['value']}"}
    response = await AsyncClient().post("/v1/realtime/calls", offer_sdp, content_type="application/sdp", headers=sent)

    assert response.status_code == 401
    assert response.json()["error"]["code"] == "ephemeral_key_expired"
    assert (await Call.objects.aget()).error_code == "ephemeral_key_expired"


@pytest.mark.parametrize(
    ("answer", "status", "code", "row_status"),
    [
        (web.json_response({"error": {"message": "No such voice.", "code": "invalid_value"}}, status=400), 400,
         "invalid_session_config", "failed"),
        (web.json_response({"error": {"message": "sk-tests-engine is wrong"}}, status=401), 502,
         "upstream_auth_failed", "failed"),
        (web.Response(status=429, headers={"Retry-After": "7"}), 429, "rate_limited", "failed"),
        (web.Response(status=503), 502, "openai_api_unavailable", "unknown"),
        (web.Response(text="<html>"), 500, "token_generation_failed", "unknown"),
        (web.json_response({}), 500, "token_generation_failed", "unknown"),
        (web.json_response({"value": None, "expires_at": 1}), 500, "token_generation_failed", "unknown"),
        (web.json_response({"value": "sk-1", "expires_at": 4e9}), 500, "token_generation_failed", "unknown"),
        (web.json_response({"value": "ek_1", "expires_at": 1}), 500, "token_generation_failed", "unknown"),
        (web.json_response({"value": "ek_1", "expires_at": "soon"}), 500, "token_generation_failed", "unknown"),
        (web.json_response({"value": "ek_1", "expires_at": 10**30}), 500, "token_generation_failed", "unknown"),
        (web.Response(status=307, headers={"Location": "http://127.0.0.1:1/"}), 502, "upstream_bad_response",
         "unknown"),
    ],
)  # fmt: skip
async def test_what_the_upstream_refuses_or_garbles_is_told_and_recorded(
    program: Program, upstream: FakeUpstream, answer: web.Response, status: int, code: str, row_status: str
) -> None:
    upstream.mint_answer = answer
    got, body = await issue(program)

    assert (got, body["code"]) == (status, code)
    assert "sk-tests-engine" not in str(body)
    row = await Issuance.objects.aget()
    assert (row.status, row.error_code) == (row_status, code)
    action = "client_secret.unknown" if row_status == "unknown" else "client_secret.failed"
    assert await AuditEvent.objects.filter(action=action, code=code).acount() == 1


async def test_what_surely_was_not_minted_counts_against_nothing(
    program: Program, upstream: FakeUpstream, alice: User
) -> None:
    await Policy.objects.acreate(user=alice, secrets_a_day=1)
    upstream.mint_answer = web.Response(status=429)
    assert (await issue(program, idempotency_key="k-1"))[0] == 429
    assert (await QuotaCounter.objects.aget()).used == 0
    upstream.mint_answer = None
    assert (await issue(program, idempotency_key="k-1"))[0] == 200


async def test_what_may_have_been_minted_counts_and_its_idempotency_key_is_spent(
    program: Program, upstream: FakeUpstream, alice: User
) -> None:
    await Policy.objects.acreate(user=alice, secrets_a_day=2)
    upstream.mint_answer = web.Response(status=503)
    assert (await issue(program, idempotency_key="k-1"))[0] == 502
    upstream.mint_answer = None
    status, answer = await issue(program, idempotency_key="k-1")

    assert (status, answer["code"]) == (409, "already_minted")
    assert (await QuotaCounter.objects.aget()).used == 1
    assert len(upstream.minted) == 1


async def test_an_upstream_that_is_not_there_is_told_with_what_to_do(program: Program, settings: Settings) -> None:
    settings.UPSTREAM_BASE_URL = "http://127.0.0.1:1/v1"
    status, body = await issue(program)

    assert (status, body["code"]) == (503, "openai_api_unavailable")
    assert (await Issuance.objects.aget()).status == "failed"


async def test_what_the_upstream_said_is_kept_without_any_secret(
    program: Program, upstream: FakeUpstream, settings: Settings
) -> None:
    said = f"Key {settings.UPSTREAM_API_KEY} of org-abcdef123 is over its limit.\0"
    upstream.mint_answer = web.Response(status=503, text=said)

    _, answer = await issue(program)

    row = await Issuance.objects.aget()
    assert row.upstream_data == "Key [removed] of [removed] is over its limit."
    assert "limit" not in json.dumps(answer)
