"""The relay when something goes wrong at the worst moment, and its limits."""

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.db import OperationalError
from django.test import AsyncClient
from django.utils import timezone
from pytest_django import Settings
from redis.exceptions import ConnectionError as RedisConnectionError

from audit.actions import Action
from audit.group_commit import Group, Recorded
from audit.models import AuditEvent
from realtime_api.upstream import CreatedCall
from relay import services
from relay.claims import CallWish
from relay.models import Call
from relay.offers import relay_offer, relay_to_the_end
from tests.conftest import ORIGIN, FakeUpstream
from tests.relay.test_relay_offer import EVENTS_URL, URL, code, issue, offer, report
from tokens.key_services import NewKey, create_api_key
from tokens.models import Issuance, Policy
from tokens.requester import Requester
from voiceagent.upstream import safety_identifier

pytestmark = pytest.mark.django_db(transaction=True)


async def test_a_silent_call_gives_way_to_a_new_one(
    alices_page: AsyncClient, upstream: FakeUpstream, offer_sdp: str, settings: Settings
) -> None:
    settings.CALLS_AT_ONCE = 2
    statuses = [(await offer(alices_page, await issue(alices_page), offer_sdp)).status_code for _ in range(3)]

    assert statuses == [201, 201, 201]
    ended = await Call.objects.aget(state="ended")
    assert (ended.upstream_id, ended.end_reason) == ("rtc_1", "replaced")
    await Call.objects.filter(pk=ended.pk).aupdate(ended_at=timezone.now() - timedelta(seconds=10))
    await sync_to_async(services.sweep_calls)(timezone.now())
    assert upstream.hung_up == ["rtc_1"]


async def test_a_call_whose_outcome_cannot_be_written_is_hung_up(
    alices_page: AsyncClient, upstream: FakeUpstream, offer_sdp: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = Group.record

    def fail(self: Group, action: Action, **facts: Any) -> Recorded:
        if action == Action.CALL_CREATED:
            raise OperationalError("disk full")
        return record(self, action, **facts)

    monkeypatch.setattr(Group, "record", fail)
    response = await offer(alices_page, await issue(alices_page), offer_sdp)

    assert code(response) == (503, "audit_unavailable")
    assert upstream.hung_up == ["rtc_1"]


async def test_a_call_with_an_answer_that_is_no_sdp_is_hung_up(
    alices_page: AsyncClient, upstream: FakeUpstream, offer_sdp: str
) -> None:
    upstream.answer = web.Response(status=201, text="<html>", headers={"Location": "/v1/realtime/calls/rtc_9"})
    response = await offer(alices_page, await issue(alices_page), offer_sdp)

    assert code(response) == (502, "upstream_bad_response")
    assert upstream.hung_up == ["rtc_9"]
    assert (await Call.objects.aget()).state == "unknown"


async def test_a_call_whose_answer_cannot_be_read_to_its_end_is_hung_up(
    alices_page: AsyncClient, upstream: FakeUpstream, offer_sdp: str
) -> None:
    headers = {"Location": "/v1/realtime/calls/rtc_9"}
    upstream.answer = web.Response(status=201, body=b"x" * 300_000, headers=headers)
    response = await offer(alices_page, await issue(alices_page), offer_sdp)

    assert code(response) == (502, "upstream_bad_response")
    assert upstream.hung_up == ["rtc_9"]


async def test_a_client_that_leaves_meanwhile_leaves_no_call_behind(
    alices_page: AsyncClient, alice: User, upstream: FakeUpstream, offer_sdp: str
) -> None:
    secret = await issue(alices_page)
    requester = Requester(alice, None, "req_leaves", "127.0.0.1", "", ORIGIN)
    work = asyncio.create_task(
        relay_to_the_end(
            wish=CallWish(secret, Call.Transport.WEBRTC), raw_offer=offer_sdp.encode(), read=lambda: requester
        )
    )
    upstream.held.clear()
    await upstream.asked.wait()
    work.cancel()
    upstream.held.set()
    with pytest.raises(asyncio.CancelledError):
        await work

    call = await Call.objects.aget()
    assert (call.state, call.end_reason) == ("ended", "client_gone")
    assert upstream.hung_up == ["rtc_1"]


async def test_calls_at_once_are_counted_among_offers_that_come_together(
    alices_page: AsyncClient, alice: User, upstream: FakeUpstream, offer_sdp: str
) -> None:
    await Policy.objects.acreate(user=alice, calls_at_once=1)
    secrets = [await issue(alices_page) for _ in range(3)]
    requester = Requester(alice, None, "req_together", "127.0.0.1", "", ORIGIN)
    upstream.held.clear()  # a call that is not made yet does not give way to another
    offers = [
        asyncio.create_task(
            relay_offer(
                wish=CallWish(secret, Call.Transport.WEBRTC), raw_offer=offer_sdp.encode(), read=lambda: requester
            )
        )
        for secret in secrets
    ]
    done: set[asyncio.Task[CreatedCall]] = set()
    while len(done) < 2:
        done, _ = await asyncio.wait(offers, timeout=0.05)
    upstream.held.set()
    results = await asyncio.gather(*offers, return_exceptions=True)

    assert sorted(type(result).__name__ for result in results) == ["CreatedCall", "TooManyCalls", "TooManyCalls"]
    assert await Issuance.objects.filter(first_used_at=None).acount() == 2


async def test_of_several_offers_at_once_one_is_relayed(
    alices_page: AsyncClient, upstream: FakeUpstream, offer_sdp: str
) -> None:
    secret = await issue(alices_page)
    responses = await asyncio.gather(*(offer(AsyncClient(), secret, offer_sdp) for _ in range(6)))

    assert sorted(response.status_code for response in responses) == [201] + [409] * 5
    assert len(upstream.requests) == 1


async def test_offers_from_one_address_are_limited(
    alices_page: AsyncClient, upstream: FakeUpstream, offer_sdp: str, settings: Settings
) -> None:
    settings.RELAY_RATE = "1/d"
    await offer(alices_page, await issue(alices_page), offer_sdp)
    response = await offer(alices_page, await issue(alices_page), offer_sdp)

    assert code(response) == (429, "rate_limited")
    assert int(response["Retry-After"]) >= 1


async def test_limits_that_cannot_be_asked_are_not_passed(
    alices_page: AsyncClient, upstream: FakeUpstream, offer_sdp: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = await issue(alices_page)

    def refuse(*args: object, **kwargs: object) -> None:
        raise RedisConnectionError("connection refused")

    monkeypatch.setattr("tokens.limits.get_usage", refuse)
    response = await offer(alices_page, secret, offer_sdp)

    assert code(response) == (503, "limits_unavailable")
    assert not upstream.requests


async def test_another_origin_is_told_who_may_ask_and_read(
    alices_page: AsyncClient, upstream: FakeUpstream, settings: Settings
) -> None:
    settings.ALLOWED_ORIGINS = ["https://app.example"]
    asks = {"access-control-request-method": "POST"}
    allowed = await alices_page.options(URL, headers=asks | {"origin": "https://app.example"})
    foreign = await alices_page.options(URL, headers=asks | {"origin": "https://evil.example"})

    assert (allowed.status_code, foreign.status_code) == (204, 403)
    assert allowed["Access-Control-Allow-Origin"] == "https://app.example"
    assert "x-openai-agents-sdk" in allowed["Access-Control-Allow-Headers"]
    assert not foreign.has_header("Access-Control-Allow-Origin")


async def test_a_page_of_an_allowed_origin_reads_errors_too(
    alices_page: AsyncClient, upstream: FakeUpstream, offer_sdp: str, settings: Settings
) -> None:
    settings.ALLOWED_ORIGINS = ["https://app.example"]
    response = await offer(AsyncClient(), "ek_unknown", offer_sdp, origin="https://app.example")

    assert code(response) == (401, "ephemeral_key_expired")
    assert response["Access-Control-Allow-Origin"] == "https://app.example"


async def test_answers_are_never_cached(alices_page: AsyncClient, upstream: FakeUpstream, offer_sdp: str) -> None:
    assert "no-store" in (await offer(alices_page, await issue(alices_page), offer_sdp))["Cache-Control"]
    assert "no-store" in (await offer(alices_page, "ek_unknown", offer_sdp))["Cache-Control"]


@pytest.mark.parametrize(
    "raw_body",
    [
        "",
        "x",
        "[]",
        "{}",
        '{"type": "vanished"}',
        '{"type": "heartbeat", "x": 1}',
        '{"type": "ended", "type": "ended"}',
    ],
)
async def test_a_report_of_another_form_is_refused(
    alices_page: AsyncClient, upstream: FakeUpstream, offer_sdp: str, raw_body: str
) -> None:
    await offer(alices_page, await issue(alices_page), offer_sdp)
    response = await alices_page.post(EVENTS_URL, raw_body, content_type="application/json")

    assert response.status_code == 400
    assert (await Call.objects.aget()).state == "live"


async def test_a_deeply_nested_report_is_refused(
    alices_page: AsyncClient, upstream: FakeUpstream, offer_sdp: str
) -> None:
    await offer(alices_page, await issue(alices_page), offer_sdp)
    response = await alices_page.post(EVENTS_URL, "[" * 10_000, content_type="application/json")

    assert (response.status_code, json.loads(response.content)["code"]) == (400, "invalid_request")


async def test_a_heartbeat_keeps_a_call(alices_page: AsyncClient, upstream: FakeUpstream, offer_sdp: str) -> None:
    await offer(alices_page, await issue(alices_page), offer_sdp)
    answer = json.loads((await report(alices_page, type="connected")).content)
    assert (answer["state"], answer["endReason"]) == ("live", None)

    assert (await Call.objects.aget()).last_seen_at is not None


async def test_its_owner_hangs_up(alices_page: AsyncClient, upstream: FakeUpstream, offer_sdp: str) -> None:
    await offer(alices_page, await issue(alices_page), offer_sdp)
    response = await alices_page.post("/v1/realtime/calls/rtc_1/hangup")

    assert response.status_code == 200
    assert upstream.hung_up == ["rtc_1"]
    assert (await Call.objects.aget()).end_reason == "hung_up"
    assert await AuditEvent.objects.filter(action="call.ended", code="hung_up").acount() == 1


async def test_a_key_that_may_control_hangs_up_and_another_may_not(
    alices_page: AsyncClient, alice: User, upstream: FakeUpstream, offer_sdp: str
) -> None:
    await offer(alices_page, await issue(alices_page), offer_sdp)

    async def hang_up(client: AsyncClient, key: str) -> Any:
        return await client.post("/v1/realtime/calls/rtc_1/hangup", headers={"authorization": f"Bearer {key}"})

    async def key_for(scope: str) -> NewKey:
        return await sync_to_async(create_api_key)(
            alice, name=scope, scopes=[scope], days=1, allowed_networks=[], request_id="req_tests", actor="tests"
        )

    assert code(await hang_up(AsyncClient(), (await key_for("mint")).value)) == (403, "missing_scope")
    assert code(await hang_up(alices_page, "vak_wrong")) == (401, "invalid_api_key")  # its cookie does not help
    assert not upstream.hung_up
    controller = await key_for("control")
    assert (await hang_up(AsyncClient(), controller.value)).status_code == 200
    assert upstream.hung_up == ["rtc_1"]
    assert (await AuditEvent.objects.aget(action="call.ended")).actor == f"key:{controller.key.pk}"


async def test_a_page_s_report_needs_its_csrf_token(
    alices_page: AsyncClient, alice: User, upstream: FakeUpstream, offer_sdp: str
) -> None:
    await offer(alices_page, await issue(alices_page), offer_sdp)
    browser = AsyncClient(enforce_csrf_checks=True)
    await browser.aforce_login(alice)

    response = await report(browser, type="ended", reason="user")
    assert (response.status_code, json.loads(response.content)["code"]) == (403, "csrf_failed")
    assert (await Call.objects.aget()).state == "live"


@pytest.mark.parametrize("call_id", ["%00", "a b", "x" * 200, "..%2f.."])
async def test_an_id_that_is_none_is_not_found(alices_page: AsyncClient, call_id: str) -> None:
    assert (await alices_page.post(f"/v1/realtime/calls/{call_id}/hangup")).status_code == 404


def test_the_upstream_can_tell_users_apart_and_nothing_more() -> None:
    assert safety_identifier(1) == safety_identifier(1) != safety_identifier(2)
    assert len(safety_identifier(1)) == 64


async def test_what_the_upstream_said_of_a_call_is_kept(
    alices_page: AsyncClient, upstream: FakeUpstream, offer_sdp: str
) -> None:
    upstream.answer = web.Response(status=503, text="Out of lines, says sk-abcdef123456.")

    response = await offer(alices_page, await issue(alices_page), offer_sdp)

    assert response.status_code == 502
    assert (await Call.objects.aget()).upstream_data == "Out of lines, says [removed]"
