"""Live changes as server-sent events: to whom, how soon, after an interruption, and when a stream ends."""

import asyncio
import json
import signal
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta

import pytest
from asgiref.sync import sync_to_async
from channels.layers import get_channel_layer
from django.conf import settings as site_settings
from django.contrib.auth.models import Permission, User
from django.test import AsyncClient, Client
from django.utils import timezone

from agents.models import Agent
from audit.models import AuditEvent
from relay import hints, live_calls, streams
from relay.live_calls import SPACING_S
from relay.live_calls import live_calls as of_this_loop
from relay.models import Call, TranscriptItem
from relay.serializers import CallSerializer
from relay.services import end_call
from tests.api_docs.conformance import validator_of
from tests.conftest import close_this_loop_s
from tests.relay.event_stream import EventStream, opened
from tests.tokens.conftest import MakeKey, make_key
from tokens.models import Scope
from voiceagent import asgi

__all__ = ["make_key"]
pytestmark = pytest.mark.django_db(transaction=True)
OWN, ALL = "/api/calls/stream", "/admin/live/stream"


@pytest.fixture(autouse=True)
async def nothing_stays_open(transactional_db: None, assistant: Agent) -> AsyncIterator[None]:
    yield
    if looking := of_this_loop()._looking:
        await looking  # with no stream left it ends after its look
    await close_this_loop_s()


def start(user: User, call_id: str, **fields: object) -> Call:
    now = timezone.now()
    begun = {"state": "live", "requested_at": now, "started_at": now, "username": user.username}
    return Call.objects.create(user=user, upstream_id=call_id, request_id="r", **{**begun, **fields})


async def astart(user: User, call_id: str, **fields: object) -> Call:
    return await sync_to_async(start)(user, call_id, **fields)


async def cookie_of(user: User, client: AsyncClient | None = None) -> str:
    client = client or AsyncClient()
    await client.aforce_login(user)
    return f"{site_settings.SESSION_COOKIE_NAME}={client.cookies[site_settings.SESSION_COOKIE_NAME].value}"


async def follow(
    user: User, path: str = OWN, query: str = "", **headers: str
) -> AbstractAsyncContextManager[EventStream]:
    return opened(path, query=query, cookie=await cookie_of(user), **headers)


async def test_item_77_a_call_is_told_from_its_start_to_its_end(alice: User) -> None:
    call = await astart(alice, "rtc_1")
    async with await follow(alice) as stream:
        first = await stream.until(callId="rtc_1")
        await sync_to_async(end_call)(call, reason=Call.EndReason.ADMINISTRATOR, actor="user:1", detail="Too loud")
        last = await stream.until(state="ended")

    assert (stream.status, stream.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    assert (first["state"], first["isWatched"]) == ("live", False)
    assert (last["endReason"], last["endDetail"]) == ("administrator", "Too loud")


async def test_what_changes_without_a_hint_is_told_by_the_next_look(alice: User) -> None:
    call = await astart(alice, "rtc_1", monitoring="joined")
    async with await follow(alice) as stream:
        await stream.until(state="live")
        await Call.objects.filter(pk=call.pk).aupdate(counted_picodollars=7_000_000)

        assert (await stream.until(costMicrodollars=7))["callId"] == "rtc_1"


async def test_a_call_too_short_to_be_seen_is_told(alice: User) -> None:
    async with await follow(alice) as stream:
        await astart(alice, "rtc_1", state="ended", ended_at=timezone.now())

        assert (await stream.until(callId="rtc_1"))["state"] == "ended"


async def test_what_is_told_is_as_described_and_as_history_has_it(alice: User) -> None:
    earlier = await astart(alice, "rtc_1", state="ended", ended_at=timezone.now() - timedelta(hours=1))
    await Call.objects.filter(pk=earlier.pk).aupdate(requested_at=timezone.now() - timedelta(hours=2))
    call = await astart(alice, "rtc_2", continues=earlier, monitoring="joined", counted_picodollars=1_000_000)
    async with await follow(alice) as stream:
        told = (await stream.next()).data
    history = await sync_to_async(lambda: json.loads(json.dumps(CallSerializer(call).data)))()

    validator_of({"$ref": "#/components/schemas/LiveCall"}).validate(told)
    assert {name: told[name] for name in history} == history
    assert told["continues"] == "rtc_1"


async def test_nobody_is_told_of_another_s_calls(alice: User, charlie: User) -> None:
    await astart(alice, "rtc_alices")
    async with await follow(charlie) as stream:
        await astart(alice, "rtc_alices_too")
        await astart(charlie, "rtc_charlies")

        assert (await stream.next()).data["callId"] == "rtc_charlies"


async def test_item_90_whoever_comes_back_is_told_what_ended_meanwhile(alice: User) -> None:
    call = await astart(alice, "rtc_1")
    async with await follow(alice) as stream:
        seen = (await stream.next()).id
    await astart(alice, "rtc_old", state="ended", ended_at=timezone.now() - timedelta(hours=1))
    await sync_to_async(end_call)(call, reason=Call.EndReason.USER, actor="user:1")

    for again in ({"last_event_id": seen}, {"query": f"last={seen}"}):
        async with await follow(alice, **again) as stream:
            event = await stream.next()
            assert (event.data["callId"], event.data["state"]) == ("rtc_1", "ended")


@pytest.mark.parametrize("last", ["x", "-1", "9" * 30, "²"])
async def test_an_id_that_is_none_is_no_id(alice: User, last: str) -> None:
    await astart(alice, "rtc_1")
    async with await follow(alice, last_event_id=last.encode().decode("latin-1")) as stream:
        assert (await stream.next()).data["callId"] == "rtc_1"


@pytest.mark.parametrize("way", ["logged out", "disabled", "password changed"])
async def test_a_stream_ends_with_its_session(alice: User, way: str) -> None:
    client = AsyncClient()
    async with opened(OWN, cookie=await cookie_of(alice, client)) as stream:
        if way == "logged out":
            await client.post("/accounts/logout/")
        elif way == "disabled":
            await User.objects.filter(pk=alice.pk).aupdate(is_active=False)
        else:
            alice.set_password("another-long-password")
            await alice.asave()

        assert (await stream.next()).name == "end"
        await stream.end()


async def test_a_stream_ends_when_it_is_old_and_says_when_to_come_back(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "LONGEST_S", 0.3)
    monkeypatch.setattr(streams, "HEARTBEAT_S", 0.1)
    async with await follow(alice) as stream:
        assert await stream._block() == "retry: 2000"
        await stream.end()
        assert stream._text == ": still here\n\n" * 3


def threads() -> int:
    return sum(thread.name.startswith("live-calls") for thread in threading.enumerate())


def wait_for_threads() -> None:
    for thread in threading.enumerate():
        if thread.name.startswith("live-calls"):
            thread.join(5)
            assert not thread.is_alive()


async def test_streams_share_one_thread_and_leave_none_behind(alice: User) -> None:
    cookie = await cookie_of(alice)
    async with opened(OWN, cookie=cookie) as one, opened(OWN, cookie=cookie) as other:
        await one._block()
        await other._block()
        looking = of_this_loop()._looking
        assert threads() == 1

    assert looking is not None
    await looking
    await asyncio.to_thread(wait_for_threads)
    assert of_this_loop().count(alice.pk) == (0, 0)


async def test_a_user_has_so_many_streams_and_no_more(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "STREAMS_A_USER", 1)
    async with await follow(alice) as first:
        await first._block()
        async with await follow(alice) as second:
            assert (second.status, (await second.body())["code"]) == (503, "busy")


async def test_the_server_s_end_is_the_streams(alice: User) -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: heard.append(number))  # as the server's own
    try:
        asgi._end_streams_on_signals()
        async with await follow(alice) as stream:
            await stream._block()
            signal.raise_signal(signal.SIGTERM)
            await stream.end()
    finally:
        signal.signal(signal.SIGTERM, before)

    assert heard == [signal.SIGTERM]


async def test_a_program_follows_its_owner_s_calls_with_a_key(alice: User, make_key: MakeKey) -> None:
    key = await sync_to_async(make_key)(scopes=[Scope.READ])
    other = await sync_to_async(make_key)(scopes=[Scope.MINT])
    await astart(alice, "rtc_1")
    async with opened(OWN, authorization=f"Bearer {key.value}") as stream:
        assert (await stream.next()).data["callId"] == "rtc_1"
    async with opened(OWN, authorization=f"Bearer {other.value}") as refused:
        assert (refused.status, (await refused.body())["code"]) == (403, "missing_scope")
    async with opened(ALL, authorization=f"Bearer {key.value}") as refused:
        assert refused.status == 403


# Staff's.


async def test_item_88_staff_are_told_of_everybody_s_calls(alice: User, ada: User) -> None:
    await astart(alice, "rtc_1")
    async with await follow(ada, ALL) as stream:
        assert (await stream.until(callId="rtc_1"))["user"] == "alice"


async def test_others_have_no_way_into_the_control_room(alice: User, charlie: User) -> None:
    charlie.is_staff = True
    await charlie.asave()
    for user in (alice, charlie):
        async with await follow(user, ALL) as stream:
            assert (stream.status, (await stream.body())["code"]) == (403, "permission_denied")
    async with opened(ALL) as stream:
        assert stream.status == 401


@pytest.fixture
def bob(db: None) -> User:
    """Staff who see calls, and may not read what is said in them while they go on."""
    bob = User.objects.create_user("bob", is_staff=True)
    bob.user_permissions.add(Permission.objects.get(codename="view_call"))
    return bob


async def test_words_are_read_with_a_right_of_their_own_and_the_owner_is_told(alice: User, ada: User) -> None:
    call = await astart(alice, "rtc_1")
    async with await follow(alice) as own, await follow(ada, ALL, f"words={call.pk}") as stream:
        await own.until(isWatched=True)
        await TranscriptItem.objects.acreate(
            call=call, item_id="item_1", role="user", text="<b>Hello", status="done", started_at=timezone.now()
        )
        while not (event := await stream.next()).data.get("lines"):
            pass

    assert (event.data["id"], event.data["lines"][0]["text"]) == (call.pk, "<b>Hello")
    looked = await AuditEvent.objects.aget(action="call.watched")
    assert (looked.target, looked.actor) == (f"call:{call.pk}", f"user:{ada.pk}")


async def test_a_look_that_was_interrupted_is_one_look(alice: User, ada: User) -> None:
    call = await astart(alice, "rtc_1")
    for _ in range(2):
        async with await follow(ada, ALL, f"words={call.pk}") as stream:
            await stream._block()

    assert await AuditEvent.objects.filter(action="call.watched").acount() == 1


async def test_without_that_right_nobody_reads_words(alice: User, bob: User) -> None:
    call = await astart(alice, "rtc_1")
    async with await follow(bob, ALL, f"words={call.pk}") as stream:
        assert stream.status == 403
    async with await follow(bob, ALL) as stream:
        assert (await stream.next()).data["isWatched"] is False

    assert not await AuditEvent.objects.filter(action="call.watched").aexists()


def take_right(user: User) -> None:
    user.user_permissions.clear()


def take_staff(user: User) -> None:
    User.objects.filter(pk=user.pk).update(is_staff=False)


@pytest.mark.parametrize("take_away", [take_right, take_staff])
async def test_a_stream_ends_when_its_right_is_taken_away(bob: User, take_away: Callable[[User], None]) -> None:
    async with await follow(bob, ALL) as stream:
        await stream._block()
        await sync_to_async(take_away)(bob)

        assert (await stream.next()).name == "end"


def test_django_s_own_way_answers_alike(alices_client: Client) -> None:
    answer = alices_client.get(OWN)

    assert answer["Content-Type"] == "text/event-stream; charset=utf-8"


async def test_hints_make_it_quick(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """With looks an hour apart only a hint can tell in time."""
    monkeypatch.setattr(live_calls, "LOOK_S", 3600 + SPACING_S)
    call = await astart(alice, "rtc_1")
    async with await follow(alice) as stream:
        await stream.until(state="live")
        await sync_to_async(end_call)(call, reason=Call.EndReason.USER, actor="user:1")

        await stream.until(state="ended")


REDIS_URL = site_settings.REDIS_URL


@pytest.mark.skipif(not REDIS_URL, reason="needs REDIS_URL")
async def test_hints_come_from_other_processes(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that this process knows nothing of, and a hint that another one sends of it."""
    monkeypatch.setattr(live_calls, "LOOK_S", 3600 + SPACING_S)
    call = await astart(alice, "rtc_1")
    async with await follow(alice) as stream:
        await stream.until(state="live")
        await Call.objects.filter(pk=call.pk).aupdate(muted=True)
        told = stream.until(muted=True)
        hinting = asyncio.create_task(keep_hinting())
        await told
        hinting.cancel()


async def keep_hinting() -> None:
    """Hint until somebody listens, as processes with live calls do every second."""
    layer = get_channel_layer()
    assert layer is not None
    while True:
        await layer.group_send(hints.GROUP, hints.MESSAGE)
        await asyncio.sleep(0.1)
