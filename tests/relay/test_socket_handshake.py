"""WS /v1/realtime: who is let in, with what, in which order, and what is on record of it."""

import pytest
from aiohttp import web
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.test import AsyncClient
from openai import AsyncOpenAI
from pytest_django import Settings

from agents.models import Agent
from audit.models import AuditEvent
from relay.models import Call
from tests.relay.socket_client import Relay, key_of, place_given_back, secret_of, the_call
from tests.relay.socket_upstream import SocketUpstream
from tokens.models import Issuance, Policy

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
async def secret(alice: User, assistant: Agent) -> str:
    return await secret_of(alice, assistant)


@sync_to_async
def instructions_of(agent: Agent) -> str:
    assert agent.published is not None
    return agent.published.session_config()["instructions"]


async def recorded() -> list[str]:
    return [event.action async for event in AuditEvent.objects.order_by("id") if event.action.startswith("call.")]


async def refused_codes() -> list[str]:
    return [event.code async for event in AuditEvent.objects.filter(action="call.refused")]


async def test_a_secret_opens_a_session_that_is_the_agent_s(
    relay: Relay, secret: str, assistant: Agent, socket_upstream: SocketUpstream
) -> None:
    socket = await relay.open(secret)
    created = await socket.read("session.created")

    assert created["session"]["instructions"] == await instructions_of(assistant)
    assert socket_upstream.handshakes[0]["query"] == {"model": "gpt-realtime-2.1"}
    assert socket_upstream.handshakes[0]["headers"]["Authorization"] == "Bearer sk-tests-engine"


async def test_our_session_is_the_first_that_the_upstream_hears(
    relay: Relay, secret: str, assistant: Agent, socket_upstream: SocketUpstream
) -> None:
    socket = await relay.open(secret)
    await socket.say(type="response.create")
    await socket.read("response.done")

    assert socket_upstream.kinds() == ["session.update", "response.create"]
    assert socket_upstream.told[0]["session"]["instructions"] == await instructions_of(assistant)


async def test_the_call_is_on_record_before_the_client_is_in(
    relay: Relay, secret: str, socket_upstream: SocketUpstream
) -> None:
    socket = await relay.open(secret)
    call = await the_call()
    created = await socket.read("session.created")

    assert (call.state, call.transport, call.username) == ("live", "websocket", "alice")
    assert call.upstream_id == created["session"]["id"]
    assert await recorded() == ["call.requested", "call.created"]


async def test_a_page_shows_its_secret_by_subprotocol(relay: Relay, secret: str) -> None:
    socket = await relay.open_from_page(secret)

    assert socket.ws.protocol == "realtime"
    assert (await socket.read("session.created"))["session"]["id"]


async def test_a_secret_is_good_for_one_call(relay: Relay, secret: str) -> None:
    first = await relay.open(secret)

    refused = await relay.refusal(secret)

    assert (refused.status, refused.code) == (409, "client_secret_used")
    assert await refused_codes() == ["client_secret_used"]
    assert not first.ws.closed


async def test_a_secret_is_good_for_one_call_whichever_transport(
    relay: Relay, alices_page: AsyncClient, secret: str, offer_sdp: str
) -> None:
    await relay.open(secret)

    headers = {"authorization": f"Bearer {secret}"}
    response = await alices_page.post("/v1/realtime/calls", offer_sdp, content_type="application/sdp", headers=headers)

    assert response.status_code == 409


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("?model=gpt-other", 400, "invalid_session_config"),
        ("?model=a&model=b", 400, "invalid_request"),
        ("?colour=red", 400, "invalid_request"),
        ("?keepalive=maybe", 400, "invalid_request"),
        ("?agent=assistant", 400, "invalid_request"),
        ("?api_key=anything", 401, "credential_in_address"),
        ("?model=ek_0123456789abcdef0123456789abcdef", 401, "credential_in_address"),
        ("?access_token=x", 401, "credential_in_address"),
    ],
)
async def test_an_address_that_is_not_taken_is_refused(
    relay: Relay, secret: str, socket_upstream: SocketUpstream, query: str, status: int, code: str
) -> None:
    refused = await relay.refusal(secret, query)

    assert (refused.status, refused.code) == (status, code)
    assert await refused_codes() == [code]
    assert not socket_upstream.handshakes


async def test_nobody_gets_in_without_a_credential(relay: Relay, socket_upstream: SocketUpstream) -> None:
    refused = await relay.refusal()

    assert (refused.status, refused.code) == (401, "not_authenticated")
    assert await refused_codes() == ["not_authenticated"]


@pytest.mark.parametrize("secret", ["ek_unknown", "sk-no-secret", "vak_" + "x" * 49])
async def test_an_unknown_credential_is_refused(relay: Relay, db: None, secret: str) -> None:
    assert (await relay.refusal(secret)).status == 401


async def test_a_login_alone_opens_nothing(relay: Relay, alices_page: AsyncClient) -> None:
    cookie = "; ".join(f"{name}={morsel.value}" for name, morsel in alices_page.cookies.items())

    refused = await relay.refusal(Cookie=cookie)

    assert (refused.status, refused.code) == (401, "not_authenticated")


async def test_another_user_s_page_cannot_use_the_secret(relay: Relay, charlie: User, secret: str) -> None:
    page = AsyncClient()
    await page.aforce_login(charlie)
    cookie = "; ".join(f"{name}={morsel.value}" for name, morsel in page.cookies.items())

    assert (await relay.refusal(secret, Cookie=cookie)).code == "ephemeral_key_expired"


@pytest.mark.parametrize("origin", ["http://evil.example", "https://{address}", "http://127.0.0.1", "null", "file://"])
async def test_another_origin_is_refused_in_the_handshake(relay: Relay, secret: str, origin: str) -> None:
    refused = await relay.refusal(secret, Origin=origin.replace("{address}", relay.address))

    assert (refused.status, refused.code) == (403, "origin_not_allowed")


async def test_an_origin_with_an_impossible_port_is_refused(relay: Relay, secret: str) -> None:
    assert (await relay.refusal(secret, Origin="https://host:99999")).status == 403


async def test_the_beta_is_refused_with_its_own_code(relay: Relay, secret: str) -> None:
    refused = await relay.refusal(secret, **{"Sec-WebSocket-Protocol": "realtime, openai-beta.realtime-v1"})

    assert (refused.status, refused.code) == (400, "beta_api_shape_disabled")


async def test_a_page_is_told_on_a_socket_why_it_is_refused(relay: Relay, secret: str) -> None:
    await relay.open_from_page(secret)
    socket = await relay.open_from_page(secret)

    error = await socket.read("error")
    assert error["error"]["code"] == "client_secret_used"
    assert await socket.closing() == 4409


async def test_a_program_comes_with_its_api_key(
    relay: Relay, alice: User, assistant: Agent, socket_upstream: SocketUpstream
) -> None:
    value, _ = await key_of(alice)
    socket = await relay.open(value, "?model=gpt-realtime-mini")
    await socket.read("session.created")

    assert socket_upstream.handshakes[0]["query"] == {"model": "gpt-realtime-mini"}
    assert (await Issuance.objects.aget()).first_used_at is not None


async def test_a_key_needs_its_scope(relay: Relay, alice: User, assistant: Agent) -> None:
    value, _ = await key_of(alice, "read")

    assert (await relay.refusal(value)).status == 403


async def test_policy_decides_about_the_model(relay: Relay, alice: User, assistant: Agent) -> None:
    await Policy.objects.acreate(user=alice, allowed_models=["gpt-realtime-2.1"])
    value, _ = await key_of(alice)

    refused = await relay.refusal(value, "?model=gpt-expensive")

    assert (refused.status, refused.code) == (403, "policy_denied")


async def test_an_api_key_in_a_page_is_refused_kindly(relay: Relay, alice: User, assistant: Agent) -> None:
    value, _ = await key_of(alice)

    assert (await relay.refusal(value, Origin=relay.origin)).status == 101  # let in, to be told
    socket = await relay.open_from_page(value)
    assert (await socket.read("error"))["error"]["code"] == "api_key_in_page"


async def test_calls_at_once_count_over_both_transports(
    relay: Relay, alice: User, assistant: Agent, settings: Settings
) -> None:
    settings.CALLS_AT_ONCE = 1
    first = await relay.open(await secret_of(alice, assistant))

    refused = await relay.refusal(await secret_of(alice, assistant))

    assert (refused.status, refused.code) == (409, "too_many_calls")
    assert await Issuance.objects.filter(first_used_at=None).acount() == 1  # the refused one may be used later
    await first.ws.close()


async def test_a_process_carries_so_many_and_no_more(
    relay: Relay, alice: User, assistant: Agent, settings: Settings
) -> None:
    settings.SOCKETS_AT_ONCE = 1
    first = await relay.open(await secret_of(alice, assistant))
    secret = await secret_of(alice, assistant)

    refused = await relay.refusal(secret)
    await first.ws.close()
    await place_given_back()

    assert (refused.status, refused.code) == (503, "busy")
    async with relay.http.ws_connect(
        f"ws://{relay.address}/v1/realtime", headers={"Authorization": f"Bearer {secret}"}
    ) as ws:
        assert (await ws.receive_json())["type"] == "session.created"


async def test_what_the_upstream_refuses_is_answered_and_recorded(
    relay: Relay, secret: str, socket_upstream: SocketUpstream
) -> None:
    error = {"message": "No quota for org-12345678.", "type": "insufficient_quota", "code": "insufficient_quota"}
    socket_upstream.refusal = web.json_response({"error": error}, status=429, headers={"Retry-After": "7"})

    refused = await relay.refusal(secret)

    assert (refused.status, refused.code) == (429, "rate_limited")
    call = await the_call()
    assert (call.state, call.error_code) == ("failed", "rate_limited")
    assert await recorded() == ["call.requested", "call.failed"]


async def test_a_redirect_is_not_followed(relay: Relay, secret: str, socket_upstream: SocketUpstream) -> None:
    socket_upstream.refusal = web.Response(status=307, headers={"Location": f"{socket_upstream.url}/realtime?again=1"})

    refused = await relay.refusal(secret)

    assert (refused.status, refused.code) == (502, "upstream_bad_response")
    assert len(socket_upstream.handshakes) == 1


async def test_a_session_that_the_upstream_does_not_take_lets_nobody_in(
    relay: Relay, secret: str, socket_upstream: SocketUpstream
) -> None:
    socket_upstream.session_error = {"type": "invalid_request_error", "code": "invalid_value", "message": "No voice."}

    refused = await relay.refusal(secret)

    assert (refused.status, refused.code) == (400, "invalid_value")
    assert (await the_call()).state == "failed"


async def test_an_upstream_that_says_nothing_ends_as_a_timeout(
    relay: Relay, secret: str, socket_upstream: SocketUpstream, settings: Settings
) -> None:
    settings.UPSTREAM_DEADLINE_S = 0.2
    socket_upstream.says_nothing = True

    refused = await relay.refusal(secret)

    assert (refused.status, refused.code) == (504, "upstream_timeout")
    assert (await the_call()).state == "unknown"


async def test_no_other_address_takes_sockets(relay: Relay) -> None:
    async with relay.http.get(
        f"http://{relay.address}/v1/other",
        headers={"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
                 "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="},
    ) as answer:  # fmt: skip
        assert answer.status == 403


async def test_the_owner_s_program_joins_a_call(
    relay: Relay, alice: User, assistant: Agent, socket_upstream: SocketUpstream
) -> None:
    await live_call(alice)
    value, _ = await key_of(alice, "control")

    socket = await relay.open(value, "?call_id=rtc_1")
    await socket.read("session.created")

    assert socket_upstream.handshakes[0]["query"] == {"call_id": "rtc_1"}
    assert await recorded() == ["call.joined"]


async def test_the_openai_package_joins_a_call(
    relay: Relay, alice: User, assistant: Agent, socket_upstream: SocketUpstream
) -> None:
    await live_call(alice)
    value, _ = await key_of(alice, "control")
    socket_url = f"ws://{relay.address}/v1"
    client = AsyncOpenAI(api_key=value, base_url=f"http://{relay.address}/v1", websocket_base_url=socket_url)
    async with client, client.realtime.connect(call_id="rtc_1") as connection:
        created = await connection.recv()
        await connection.response.create()
        done = await connection.recv()

    assert (created.type, done.type) == ("session.created", "response.done")
    assert socket_upstream.handshakes[0]["query"] == {"call_id": "rtc_1"}
    assert socket_upstream.kinds() == ["response.create"]  # the call's session is not ours to set


async def test_leaving_a_sideband_leaves_the_call_alone(
    relay: Relay, alice: User, assistant: Agent, socket_upstream: SocketUpstream
) -> None:
    await live_call(alice)
    value, _ = await key_of(alice, "control")
    socket = await relay.open(value, "?call_id=rtc_1")
    await socket.ws.close()
    await socket_upstream.closed.wait()

    assert (await the_call()).state == "live"


@pytest.mark.parametrize(("scope", "status"), [("mint", 403), ("control", 404)])
async def test_a_stranger_s_key_joins_nothing(
    relay: Relay, alice: User, charlie: User, assistant: Agent, scope: str, status: int
) -> None:
    await live_call(alice)
    value, _ = await key_of(charlie, scope)

    assert (await relay.refusal(value, "?call_id=rtc_1")).status == status


async def test_staff_without_the_right_to_steer_calls_join_only_their_own(
    relay: Relay, alice: User, charlie: User, assistant: Agent
) -> None:
    await live_call(alice)
    await User.objects.filter(pk=charlie.pk).aupdate(is_staff=True)
    value, _ = await key_of(charlie, "control")

    assert (await relay.refusal(value, "?call_id=rtc_1")).status == 404


async def test_staff_joins_anybody_s_call(
    relay: Relay, alice: User, ada: User, assistant: Agent, socket_upstream: SocketUpstream
) -> None:
    await live_call(alice)
    value, _ = await key_of(ada, "control")

    socket = await relay.open(value, "?call_id=rtc_1")

    assert (await socket.read("session.created"))["session"]["id"]


@sync_to_async
def live_call(user: User) -> Call:
    from django.utils import timezone

    now = timezone.now()
    return Call.objects.create(
        user=user, username=user.username, state=Call.State.LIVE, upstream_id="rtc_1", requested_at=now, started_at=now
    )
