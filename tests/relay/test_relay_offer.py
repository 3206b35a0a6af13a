"""POST /v1/realtime/calls: one secret, one call; what is checked, forwarded and recorded."""

import json
from datetime import timedelta
from typing import Protocol

import pytest
from aiohttp import web
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.test import AsyncClient
from django.utils import timezone
from pytest_django import Settings

from agents.models import Agent
from audit.models import AuditEvent
from relay.models import Call
from relay.services import sweep_calls
from tests.conftest import ORIGIN, FakeUpstream, close_this_loop_s, session_of
from tokens.key_services import create_api_key
from tokens.models import ApiKey, Issuance, Policy


class Answer(Protocol):
    """What these tests read of the test client's response."""

    status_code: int
    content: bytes

    def __getitem__(self, header: str) -> str: ...


pytestmark = pytest.mark.django_db(transaction=True)
URL = "/v1/realtime/calls"
EVENTS_URL = "/api/calls/rtc_1/events"


async def issue(page: AsyncClient) -> str:
    response = await page.post("/api/client-secret", "", content_type="application/json", headers={"origin": ORIGIN})
    value: str = response.json()["value"]
    return value


async def offer(page: AsyncClient, secret: str, sdp: str | bytes, **headers: str) -> Answer:
    sent = {"origin": ORIGIN, "authorization": f"Bearer {secret}"} | headers
    return await page.post(URL, sdp, content_type="application/sdp", headers=sent)


async def report(page: AsyncClient, **event: str) -> Answer:
    return await page.post(EVENTS_URL, json.dumps(event), content_type="application/json")


def code(response: Answer) -> tuple[int, str]:
    return response.status_code, json.loads(response.content)["error"]["code"]


async def test_an_offer_is_answered_with_the_call_s_place(
    alices_page: AsyncClient, upstream: FakeUpstream, offer_sdp: str, answer_sdp: str
) -> None:
    response = await offer(alices_page, await issue(alices_page), offer_sdp)

    assert response.status_code == 201
    assert response["Content-Type"] == "application/sdp"
    assert response["Location"] == "/v1/realtime/calls/rtc_1"
    assert response.content.decode() == answer_sdp


async def test_the_upstream_gets_the_server_s_key_and_the_agent_s_session(
    alices_page: AsyncClient, upstream: FakeUpstream, offer_sdp: str
) -> None:
    await offer(alices_page, await issue(alices_page), offer_sdp)

    asked = upstream.requests[0]
    assert asked["authorization"] == "Bearer sk-tests-engine"
    assert asked["sdp"] == offer_sdp
    assert session_of(asked)["type"] == "realtime"
    assert session_of(asked)["model"] == "gpt-realtime-2.1"


async def test_the_call_is_recorded_as_live(alices_page: AsyncClient, upstream: FakeUpstream, offer_sdp: str) -> None:
    await offer(alices_page, await issue(alices_page), offer_sdp)

    call = await Call.objects.select_related("issuance").aget()
    assert (call.state, call.upstream_id, call.username, call.agent) == ("live", "rtc_1", "alice", "assistant")
    assert call.issuance is not None
    assert call.issuance.first_used_at is not None


async def test_a_secret_is_good_for_one_call(alices_page: AsyncClient, upstream: FakeUpstream, offer_sdp: str) -> None:
    secret = await issue(alices_page)
    await offer(alices_page, secret, offer_sdp)

    response = await offer(alices_page, secret, offer_sdp)

    assert code(response) == (409, "client_secret_used")
    assert len(upstream.requests) == 1


async def test_an_expired_secret_is_refused(alices_page: AsyncClient, upstream: FakeUpstream, offer_sdp: str) -> None:
    secret = await issue(alices_page)
    await Issuance.objects.aupdate(expires_at=timezone.now())

    assert code(await offer(alices_page, secret, offer_sdp)) == (401, "ephemeral_key_expired")


@pytest.mark.parametrize("secret", ["ek_unknown", "sk-no-secret-at-all", "", "ek_" + "x" * 10_000])
async def test_an_unknown_secret_is_refused_and_recorded_once(
    alices_page: AsyncClient, upstream: FakeUpstream, offer_sdp: str, secret: str
) -> None:
    assert code(await offer(alices_page, secret, offer_sdp)) == (401, "ephemeral_key_expired")
    assert [event.code async for event in AuditEvent.objects.filter(action="call.refused")] == ["ephemeral_key_expired"]
    assert not upstream.requests


async def test_another_user_s_secret_looks_unknown(
    alices_page: AsyncClient, charlie: User, upstream: FakeUpstream, offer_sdp: str
) -> None:
    charlies_page = AsyncClient()
    await charlies_page.aforce_login(charlie)

    response = await offer(charlies_page, await issue(alices_page), offer_sdp)

    assert code(response) == (401, "ephemeral_key_expired")


async def test_the_sdk_s_request_without_cookies_is_enough(
    alices_page: AsyncClient, upstream: FakeUpstream, offer_sdp: str
) -> None:
    response = await offer(AsyncClient(enforce_csrf_checks=True), await issue(alices_page), offer_sdp)

    assert response.status_code == 201


async def test_a_foreign_origin_is_refused(alices_page: AsyncClient, upstream: FakeUpstream, offer_sdp: str) -> None:
    response = await offer(alices_page, await issue(alices_page), offer_sdp, origin="https://evil.example")

    assert code(response) == (403, "origin_not_allowed")
    assert [event.code async for event in AuditEvent.objects.filter(action="call.refused")] == ["origin_not_allowed"]
    assert not upstream.requests


async def test_refusals_alike_do_not_fill_the_record(
    alices_page: AsyncClient, upstream: FakeUpstream, offer_sdp: str
) -> None:
    for _ in range(25):
        await offer(alices_page, "ek_unknown", offer_sdp)
    await offer(alices_page, "ek_unknown", "junk")

    refused = AuditEvent.objects.filter(action="call.refused")
    assert await refused.filter(code="ephemeral_key_expired").acount() == 20
    assert await refused.filter(code="invalid_sdp").acount() == 1


async def test_a_secret_stays_with_its_origin(
    alices_page: AsyncClient, upstream: FakeUpstream, offer_sdp: str, settings: Settings
) -> None:
    settings.ALLOWED_ORIGINS = ["https://app.example"]

    response = await offer(alices_page, await issue(alices_page), offer_sdp, origin="https://app.example")

    assert code(response) == (401, "ephemeral_key_expired")


async def test_a_policy_may_name_the_pages_that_call(
    alices_page: AsyncClient, alice: User, upstream: FakeUpstream, offer_sdp: str
) -> None:
    secret = await issue(alices_page)
    await Issuance.objects.aupdate(origin="")  # as if a program had asked for it
    await Policy.objects.acreate(user=alice, allowed_origins=["https://app.example"])

    assert code(await offer(alices_page, secret, offer_sdp)) == (403, "origin_not_allowed")
    assert not upstream.requests
    assert await Issuance.objects.filter(first_used_at=None).acount() == 1


async def test_a_disabled_user_s_secret_dies_at_once(
    alices_page: AsyncClient, alice: User, upstream: FakeUpstream, offer_sdp: str
) -> None:
    secret = await issue(alices_page)
    await User.objects.filter(pk=alice.pk).aupdate(is_active=False)

    assert code(await offer(AsyncClient(), secret, offer_sdp)) == (401, "ephemeral_key_expired")


@pytest.mark.parametrize(
    "change",
    [
        {"revoked_at": timezone.now()},
        {"enabled": False},
        {"expires_at": timezone.now()},
    ],
    ids=["revoked", "switched off", "expired"],
)
async def test_a_secret_of_a_key_that_no_longer_counts_makes_no_call(
    alice: User, assistant: Agent, upstream: FakeUpstream, offer_sdp: str, change: dict[str, object]
) -> None:
    made = await sync_to_async(create_api_key)(
        alice, name="x", scopes=["mint"], days=1, allowed_networks=[], request_id="req_tests", actor="tests"
    )
    headers = {"authorization": f"Bearer {made.value}"}
    answers = [
        await AsyncClient().post("/api/client-secret", {}, content_type="application/json", headers=headers)
        for _ in range(2)
    ]
    first, second = (answer.json()["value"] for answer in answers)
    assert (await offer(AsyncClient(), first, offer_sdp)).status_code == 201

    await ApiKey.objects.filter(pk=made.key.pk).aupdate(**change)

    assert code(await offer(AsyncClient(), second, offer_sdp)) == (401, "ephemeral_key_expired")
    assert len(upstream.requests) == 1
    await close_this_loop_s()


async def test_a_secret_for_an_agent_that_was_switched_off_makes_no_call(
    alices_page: AsyncClient, upstream: FakeUpstream, offer_sdp: str
) -> None:
    secret = await issue(alices_page)
    await Agent.objects.aupdate(enabled=False)

    assert code(await offer(alices_page, secret, offer_sdp)) == (401, "ephemeral_key_expired")
    assert not upstream.requests


async def test_the_model_in_the_address_is_checked_and_dropped(
    alices_page: AsyncClient, upstream: FakeUpstream, offer_sdp: str
) -> None:
    sent = {"origin": ORIGIN, "authorization": f"Bearer {await issue(alices_page)}"}

    async def ask(model: str) -> Answer:
        return await alices_page.post(f"{URL}?model={model}", offer_sdp, content_type="application/sdp", headers=sent)

    assert code(await ask("gpt-realtime-mini")) == (400, "invalid_session_config")
    assert not upstream.requests
    assert (await ask("gpt-realtime-2.1")).status_code == 201  # the secret was kept
    assert "model=" not in upstream.requests[0]["path"]


async def test_a_call_too_many_is_refused_and_keeps_the_secret(
    alices_page: AsyncClient, upstream: FakeUpstream, offer_sdp: str, settings: Settings
) -> None:
    settings.CALLS_AT_ONCE = 1
    await offer(alices_page, await issue(alices_page), offer_sdp)
    await report(alices_page, type="heartbeat")
    secret = await issue(alices_page)

    response = await offer(alices_page, secret, offer_sdp)

    assert code(response) == (409, "too_many_calls")
    assert await Issuance.objects.filter(first_used_at=None).acount() == 1


@pytest.mark.parametrize(
    "sdp", [b"\r\n", b"<html>", b'{"a": 1}', b"v=0\r\n", b"\xff\xfe", b"v=0\r\n" + b"a=x\r\n" * 2000]
)
async def test_junk_is_refused_before_anything_is_forwarded(
    alices_page: AsyncClient, upstream: FakeUpstream, sdp: bytes
) -> None:
    response = await offer(alices_page, await issue(alices_page), sdp)

    assert code(response) == (400, "invalid_sdp")
    assert not upstream.requests
    assert not await Call.objects.aexists()


async def test_another_type_is_refused(alices_page: AsyncClient, upstream: FakeUpstream) -> None:
    response = await alices_page.post(URL, "{}", content_type="application/json", headers={"origin": ORIGIN})

    assert code(response) == (415, "unsupported_media_type")


@pytest.mark.parametrize(
    ("status", "expected", "state"),
    [
        (400, (400, "bad_offer"), "failed"),
        (401, (502, "upstream_auth_failed"), "failed"),
        (429, (429, "rate_limited"), "failed"),
        (500, (502, "openai_api_unavailable"), "unknown"),
        (302, (502, "upstream_bad_response"), "unknown"),
    ],
)
async def test_an_upstream_refusal_becomes_ours(
    alices_page: AsyncClient, upstream: FakeUpstream, offer_sdp: str, status: int, expected: tuple[int, str], state: str
) -> None:
    body = {"error": {"message": "not with sk-abcdef123456", "code": "bad_offer"}}
    upstream.answer = web.json_response(body, status=status, headers={"Location": "http://127.0.0.1:1/"})

    response = await offer(alices_page, await issue(alices_page), offer_sdp)

    assert code(response) == expected
    assert b"sk-abcdef" not in response.content
    assert (await Call.objects.aget()).state == state


@pytest.mark.parametrize("location", ["", "/v1/realtime/calls/../../admin%00", "/v1/realtime/calls/" + "x" * 200])
async def test_an_answer_without_a_usable_call_id_is_a_bad_answer(
    alices_page: AsyncClient, upstream: FakeUpstream, offer_sdp: str, answer_sdp: str, location: str
) -> None:
    upstream.answer = web.Response(status=201, text=answer_sdp, headers={"Location": location} if location else {})

    assert code(await offer(alices_page, await issue(alices_page), offer_sdp)) == (502, "upstream_bad_response")


async def test_an_upstream_that_is_not_running_is_named_with_what_to_do(
    alices_page: AsyncClient, offer_sdp: str, settings: Settings
) -> None:
    settings.UPSTREAM_BASE_URL = "http://127.0.0.1:1/v1"

    response = await offer(alices_page, await issue(alices_page), offer_sdp)

    assert code(response) == (503, "openai_api_unavailable")
    assert "make run" in response.content.decode()
    assert (await Call.objects.aget()).state == "failed"


async def test_a_slow_upstream_is_given_up_at_the_deadline(
    alices_page: AsyncClient, upstream: FakeUpstream, offer_sdp: str, settings: Settings
) -> None:
    settings.UPSTREAM_DEADLINE_S = 0.001
    response = await offer(alices_page, await issue(alices_page), offer_sdp)

    assert code(response) == (504, "upstream_timeout")
    assert (await Call.objects.aget()).state == "unknown"


async def test_the_page_s_end_hangs_up_once(alices_page: AsyncClient, upstream: FakeUpstream, offer_sdp: str) -> None:
    await offer(alices_page, await issue(alices_page), offer_sdp)

    for _ in range(2):
        response = await report(alices_page, type="ended", reason="user")
        assert json.loads(response.content).items() >= {"state": "ended", "endReason": "user"}.items()

    call = await Call.objects.aget()
    assert (call.state, call.end_reason) == ("ended", "user")
    assert upstream.hung_up == ["rtc_1"]
    assert await AuditEvent.objects.filter(action="call.ended").acount() == 1


async def test_a_stranger_cannot_end_a_call(
    alices_page: AsyncClient, charlie: User, upstream: FakeUpstream, offer_sdp: str
) -> None:
    await offer(alices_page, await issue(alices_page), offer_sdp)
    charlies_page = AsyncClient()
    await charlies_page.aforce_login(charlie)

    response = await charlies_page.post("/v1/realtime/calls/rtc_1/hangup")

    assert code(response) == (404, "unknown_call")
    assert not upstream.hung_up


async def test_a_page_that_went_silent_is_swept(
    alices_page: AsyncClient, upstream: FakeUpstream, offer_sdp: str
) -> None:
    await offer(alices_page, await issue(alices_page), offer_sdp)
    now = timezone.now()
    await Call.objects.aupdate(last_seen_at=now - timedelta(seconds=60))

    assert await sync_to_async(sweep_calls)(now) == 1
    assert (await Call.objects.aget()).end_reason == "page_lost"
    assert upstream.hung_up == ["rtc_1"]
