"""A call that goes on with the conversation of an earlier one: only one's own, and told when it is made."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import AsyncClient
from django.utils import timezone

from agents.models import Agent
from audit.models import AuditEvent
from relay.models import Call
from tests.conftest import ORIGIN, FakeUpstream
from tests.relay.socket_client import Relay, secret_of
from tests.relay.test_relay_offer import URL, Answer, code, issue

pytestmark = pytest.mark.django_db(transaction=True)


async def earlier_call(user: User, left_s: int = 3600) -> Call:
    now = timezone.now()
    return await Call.objects.acreate(
        user=user, upstream_id="rtc_earlier", request_id="r", state="ended", requested_at=now, started_at=now,
        ended_at=now, end_reason="connection_lost", deadline_at=now + timedelta(seconds=left_s),
    )  # fmt: skip


async def go_on(page: AsyncClient, sdp: str, call_id: str = "rtc_earlier") -> Answer:
    headers = {"origin": ORIGIN, "authorization": f"Bearer {await issue(page)}"}
    return await page.post(f"{URL}?continues={call_id}", sdp, content_type="application/sdp", headers=headers)


async def test_history_knows_from_the_first_moment_which_call_goes_on(
    alices_page: AsyncClient, alice: User, upstream: FakeUpstream, offer_sdp: str
) -> None:
    earlier = await earlier_call(alice)

    assert (await go_on(alices_page, offer_sdp)).status_code == 201
    call = await Call.objects.aget(upstream_id="rtc_1")
    assert call.continues_id == earlier.pk
    event = await AuditEvent.objects.aget(action="call.continued")
    assert (event.target, event.actor) == (f"call:{call.pk}", f"user:{alice.pk}")
    listed = (await alices_page.get("/api/calls")).json()["results"]
    assert [call["continues"] for call in listed] == ["rtc_earlier", None]


@pytest.mark.parametrize("call_id", ["rtc_earlier", "rtc_nobodys"])
async def test_nobody_goes_on_with_a_call_that_is_not_theirs(
    alices_page: AsyncClient, charlie: User, upstream: FakeUpstream, offer_sdp: str, call_id: str
) -> None:
    await earlier_call(charlie)

    assert code(await go_on(alices_page, offer_sdp, call_id)) == (404, "unknown_call")
    assert await Call.objects.acount() == 1
    assert upstream.requests == []


@pytest.mark.parametrize(("left_s", "longest_s"), [(100, 100), (86_400, 3600)])
async def test_both_together_last_no_longer_than_the_first_might_have(
    alices_page: AsyncClient, alice: User, upstream: FakeUpstream, offer_sdp: str, left_s: int, longest_s: int
) -> None:
    earlier = await earlier_call(alice, left_s)

    await go_on(alices_page, offer_sdp)

    call = await Call.objects.aget(upstream_id="rtc_1")
    assert call.deadline_at is not None
    if left_s == longest_s:
        assert call.deadline_at == earlier.deadline_at
    assert call.deadline_at - call.requested_at <= timedelta(seconds=longest_s)


async def test_a_socket_says_it_in_its_address(relay: Relay, alice: User, assistant: Agent) -> None:
    earlier = await earlier_call(alice)

    socket = await relay.open_from_page(await secret_of(alice, assistant), "?continues=rtc_earlier")
    await socket.ws.close()

    call = await Call.objects.exclude(pk=earlier.pk).aget()
    assert call.continues_id == earlier.pk
