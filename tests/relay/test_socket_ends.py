"""How a relayed socket ends: whoever ends it, the row has one reason, and both sides are closed."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import aiohttp
import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.test import AsyncClient
from django.utils import timezone
from pytest_django import Settings

from agents.models import Agent
from audit.models import AuditEvent
from relay import open_sockets
from relay.constants import SOCKET_TICK_S
from relay.models import Call
from relay.services import end_call, sweep_calls
from tests.conftest import close_this_loop_s
from tests.relay.conftest import serving
from tests.relay.socket_client import Relay, Socket, ended_call, key_of, secret_of, the_call
from tests.relay.socket_upstream import SocketUpstream
from tokens.key_services import revoke_api_key
from tokens.models import ApiKey, Issuance, Policy
from tokens.services import revoke_issuance

pytestmark = pytest.mark.django_db(transaction=True)
SOON_S = 2.5  # two seconds, and the test's own time


@pytest.fixture
async def socket(relay: Relay, alice: User, assistant: Agent) -> Socket:
    opened = await relay.open(await secret_of(alice, assistant))
    await opened.read("session.created")
    return opened


async def closing_soon(socket: Socket) -> int:
    async with asyncio.timeout(SOON_S):
        return await socket.closing()


async def test_the_client_leaves(socket: Socket, socket_upstream: SocketUpstream) -> None:
    await socket.ws.close()
    await asyncio.wait_for(socket_upstream.closed.wait(), 5)

    call = await ended_call()
    assert (call.state, call.end_reason) == ("ended", "user")
    event = await AuditEvent.objects.aget(action="call.ended")
    assert (event.code, event.target) == ("user", f"call:{call.pk}")


async def test_the_client_is_lost(socket: Socket, socket_upstream: SocketUpstream) -> None:
    socket.ws._writer.transport.abort()

    assert (await ended_call()).end_reason == "connection_lost"
    await asyncio.wait_for(socket_upstream.closed.wait(), 5)


async def test_what_was_refused_and_left_out_is_on_record(socket: Socket) -> None:
    await socket.say(type="session.update", session={"type": "realtime", "instructions": "Obey me.", "tools": []})
    await socket.read("session.updated")
    await socket.say(type="session.take_over")
    await socket.read("error")
    await socket.ws.close()
    await ended_call()

    body = json.loads((await AuditEvent.objects.aget(action="call.ended")).body)
    assert (body["refused_events"], body["fields_left_out"], body["client_events"]) == (1, 2, 2)


async def test_rest_hangs_up(socket: Socket, alices_page: AsyncClient, alice: User) -> None:
    value, _ = await key_of(alice, "control")
    call = await the_call()
    url = f"/v1/realtime/calls/{call.upstream_id}/hangup"

    response = await alices_page.post(url, headers={"authorization": f"Bearer {value}"})

    assert response.status_code == 200
    assert await closing_soon(socket) == 1000
    assert (await ended_call()).end_reason == "hung_up"


@sync_to_async
def end_as_administrator() -> None:
    end_call(Call.objects.get(), reason=Call.EndReason.ADMINISTRATOR, actor="user:1")


@sync_to_async
def revoke_secret() -> None:
    revoke_issuance(Issuance.objects.get(), actor="user:1", request_id="t")


async def disable_user() -> None:
    await User.objects.filter(username="alice").aupdate(is_active=False)


async def forget_user() -> None:
    user = await User.objects.aget(username="alice")
    await user.adelete()


@pytest.mark.parametrize(
    ("happens", "code", "reason"),
    [
        (end_as_administrator, 1008, "administrator"),
        (revoke_secret, 4401, "access_ended"),
        (disable_user, 4401, "access_ended"),
        (forget_user, 4401, "access_ended"),
    ],
)
async def test_what_a_call_stands_on_ends_it_within_two_seconds(
    socket: Socket, happens: Callable[[], Awaitable[None]], code: int, reason: str
) -> None:
    await happens()

    assert await closing_soon(socket) == code
    assert (await ended_call()).end_reason == reason


@sync_to_async
def revoke(key: ApiKey) -> None:
    revoke_api_key(key, now=timezone.now(), request_id="t", actor="t")


async def test_a_revoked_key_ends_its_calls(relay: Relay, alice: User, assistant: Agent) -> None:
    value, key = await key_of(alice)
    socket = await relay.open(value)
    await revoke(key)

    assert await closing_soon(socket) == 4401
    assert (await ended_call()).end_reason == "access_ended"


async def test_logging_out_ends_the_session_s_call(
    relay: Relay, alices_page: AsyncClient, alice: User, assistant: Agent
) -> None:
    cookie = "; ".join(f"{name}={morsel.value}" for name, morsel in alices_page.cookies.items())
    secret = await secret_of(alice, assistant)
    socket = await relay.open_from_page(secret, headers={"Cookie": cookie})
    await socket.read("session.created")
    await alices_page.alogout()

    assert await closing_soon(socket) == 4401


async def test_another_password_ends_the_session_s_call(
    relay: Relay, alices_page: AsyncClient, alice: User, assistant: Agent
) -> None:
    cookie = "; ".join(f"{name}={morsel.value}" for name, morsel in alices_page.cookies.items())
    socket = await relay.open_from_page(await secret_of(alice, assistant), headers={"Cookie": cookie})
    alice.set_password("another-password")
    await alice.asave()

    assert await closing_soon(socket) == 4401


async def test_an_ended_call_ends_its_sidebands(relay: Relay, alice: User, assistant: Agent) -> None:
    now = timezone.now()
    call = await Call.objects.acreate(user=alice, state="live", upstream_id="rtc_1", requested_at=now, started_at=now)
    value, _ = await key_of(alice, "control")
    socket = await relay.open(value, "?call_id=rtc_1")
    await Call.objects.filter(pk=call.pk).aupdate(state="ended", ended_at=now, end_reason="hung_up")

    assert await closing_soon(socket) == 1000


async def test_a_call_ends_at_its_time_limit(relay: Relay, alice: User, assistant: Agent, settings: Settings) -> None:
    settings.CALL_MAX_S = 1
    socket = await relay.open(await secret_of(alice, assistant))

    assert await closing_soon(socket) == 4408
    call = await ended_call()
    assert call.started_at is not None
    assert call.ended_at is not None
    assert call.end_reason == "time_limit"
    assert timedelta(seconds=0.8) < call.ended_at - call.started_at < timedelta(seconds=SOON_S)


async def test_events_that_come_too_fast_end_the_call(socket: Socket) -> None:
    async def flood() -> None:
        while True:
            await socket.say(type="input_audio_buffer.clear")
            await asyncio.sleep(0)

    flooding = asyncio.create_task(flood())
    assert (await socket.read("error"))["error"]["code"] == "too_many_events"
    assert await socket.closing() == 4429
    flooding.cancel()
    with suppress(asyncio.CancelledError, aiohttp.ClientError):
        await flooding


@pytest.mark.parametrize(
    ("theirs", "ours", "reason"),
    [(1000, 1000, "upstream_ended"), (1001, 1013, "upstream_failed"), (1008, 1011, "upstream_failed"),
     (4000, 1011, "upstream_failed")],
)  # fmt: skip
async def test_the_upstream_s_close_codes_are_mapped(
    socket: Socket, socket_upstream: SocketUpstream, theirs: int, ours: int, reason: str
) -> None:
    await socket_upstream.sockets[-1].close(code=theirs)

    assert await socket.closing() == ours
    assert (await ended_call()).end_reason == reason


async def break_off(upstream: SocketUpstream) -> None:
    transport = upstream.sockets[-1]._req.transport  # type: ignore[union-attr]  # the request is there
    assert transport is not None
    transport.abort()


async def say_too_much(upstream: SocketUpstream) -> None:
    with suppress(ConnectionError):  # we hang up before it has said it all
        await upstream.say({"type": "response.done", "text": "x" * 5_000_000})


async def say_no_text(upstream: SocketUpstream) -> None:
    await upstream.sockets[-1].send_bytes(b"\xff")


async def say_broken_text(upstream: SocketUpstream) -> None:
    await upstream.sockets[-1].send_frame(b'{"type": "\xff"}', aiohttp.WSMsgType.TEXT)


@pytest.mark.parametrize("fault", [break_off, say_too_much, say_no_text, say_broken_text])
async def test_an_upstream_that_fails_ends_the_call(
    socket: Socket, socket_upstream: SocketUpstream, fault: Callable[[SocketUpstream], Awaitable[None]]
) -> None:
    await fault(socket_upstream)

    assert await socket.closing() == 1011
    assert (await ended_call()).end_reason == "upstream_failed"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_sockets, "SOCKET_STALL_S", 1.0)


async def flood(upstream: SocketUpstream, megabytes: int) -> None:
    delta = {"type": "response.output_audio.delta", "delta": "A" * 8192}
    for _ in range(megabytes * 128):
        await upstream.say(delta)
        upstream.said_bytes += 8192


async def test_a_client_that_does_not_read_holds_up_the_upstream_and_is_closed(
    impatient: None, socket: Socket, socket_upstream: SocketUpstream
) -> None:
    socket.ws._writer.transport.pause_reading()
    flooding = asyncio.create_task(flood(socket_upstream, 64))

    assert (await ended_call()).end_reason == "slow_client"
    assert socket_upstream.said_bytes < 16_000_000  # then it had to wait for us, kernel's buffers and all
    socket.ws._writer.transport.resume_reading()
    assert await socket.closing() == 1013
    flooding.cancel()
    with suppress(asyncio.CancelledError, aiohttp.ClientError, ConnectionError):
        await flooding


async def test_a_server_that_stops_says_so_and_writes_every_end(
    socket_upstream: SocketUpstream, alice: User, assistant: Agent
) -> None:
    async with aiohttp.ClientSession() as http:
        async with serving() as address:
            socket = await Relay(address, http).open(await secret_of(alice, assistant))
            await socket.read("session.created")
        assert await socket.closing() == 1012

    assert (await the_call()).end_reason == "server_restart"
    await close_this_loop_s()


async def test_a_call_whose_process_died_is_ended_by_the_worker(alice: User, assistant: Agent) -> None:
    now = timezone.now()
    seen = now - timedelta(minutes=1)
    facts = {"state": "live", "transport": "websocket", "upstream_id": "sess_1", "requested_at": seen}
    await Call.objects.acreate(user=alice, started_at=seen, last_seen_at=seen, **facts)
    await sync_to_async(sweep_calls)(now)

    call = await the_call()
    assert (call.state, call.end_reason, call.hung_up_at) == ("ended", "server_lost", None)


async def test_an_open_socket_s_call_counts_as_seen(socket: Socket, monkeypatch: pytest.MonkeyPatch) -> None:
    long_ago = timezone.now() - timedelta(hours=1)
    await Call.objects.aupdate(last_seen_at=long_ago)

    async def seen() -> Any:
        while (call := await the_call()).last_seen_at == long_ago:  # noqa: ASYNC110  (another task writes the row)
            await asyncio.sleep(0.05)
        return call.last_seen_at

    assert await asyncio.wait_for(seen(), 5) > long_ago


async def test_a_client_that_wishes_so_hears_that_its_socket_is_open(
    relay: Relay, alice: User, assistant: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relay.sockets.SOCKET_ALIVE_S", 0.05)
    socket = await relay.open(await secret_of(alice, assistant), "?keepalive=true")

    for _ in range(3):
        assert await socket.read("relay.alive") == {"type": "relay.alive"}


async def test_nobody_else_hears_what_the_protocol_does_not_know(
    relay: Relay, alice: User, assistant: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relay.sockets.SOCKET_ALIVE_S", 0.0)
    socket = await relay.open(await secret_of(alice, assistant))
    await socket.say(type="session.update", session={"type": "realtime", "instructions": "Obey me."})

    told = [(await socket.ws.receive_json())["type"] for _ in range(2)]
    assert told == ["session.created", "session.updated"]


@pytest.fixture
def no_database(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on nothing can be asked of the database."""
    from audit import group_commit
    from audit.exceptions import AuditUnavailable

    async def commit(work: Any) -> Any:
        raise AuditUnavailable

    monkeypatch.setattr(group_commit, "commit", commit)


async def test_a_socket_outlives_a_database_that_does_not_answer_and_ends_without_it(
    socket: Socket, socket_upstream: SocketUpstream, no_database: None
) -> None:
    await asyncio.sleep(SOCKET_TICK_S * 1.5)
    await socket.say(type="input_audio_buffer.append", audio="AAAA")
    await socket.read("response.output_audio.delta")
    await socket.ws.close()

    await asyncio.wait_for(socket_upstream.closed.wait(), 5)
    assert (await the_call()).state == "live"  # until the worker misses its socket


async def test_nobody_speaks_while_the_database_is_away_and_the_call_ends_all_the_same(
    relay: Relay, alice: User, assistant: Agent, request: pytest.FixtureRequest
) -> None:
    await Policy.objects.acreate(user=alice, call_idle_s=2)
    socket = await relay.open(await secret_of(alice, assistant))
    await socket.read("session.created")
    request.getfixturevalue("no_database")

    assert await socket.closing() == 4408


async def test_no_socket_outlives_its_call_which_the_worker_closes_when_it_is_not_heard_of(
    socket: Socket, no_database: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_sockets, "HEARTBEAT_TIMEOUT_S", 1.0)

    assert (await socket.read("error"))["error"]["code"] == "audit_unavailable"
    assert await socket.closing() == 1013
