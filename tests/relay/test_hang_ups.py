"""A slow upstream holds up nobody who ends a call: the row comes first, and the upstream is told beside it."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import Permission, User
from django.test import AsyncClient, Client
from django.utils import timezone

from audit.models import AuditEvent
from relay import hang_ups
from relay.models import Call
from tests.conftest import FakeUpstream

REALLY_SOON = hang_ups.soon
WAIT_S = 10


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The real thing, in threads that end with the test."""
    threads = ThreadPoolExecutor(hang_ups.THREADS)
    monkeypatch.setattr(hang_ups, "soon", REALLY_SOON)
    monkeypatch.setattr(hang_ups, "_threads", threads)
    monkeypatch.setattr(hang_ups, "_room", threading.BoundedSemaphore(hang_ups.MOST_AT_ONCE))
    yield
    threads.shutdown()


@pytest.mark.django_db(transaction=True)
def test_who_ends_a_call_does_not_wait_for_the_upstream(soon: None) -> None:
    may_end, is_done = threading.Event(), threading.Event()

    def slow() -> None:
        assert may_end.wait(WAIT_S)
        is_done.set()

    hang_ups.soon(slow)  # returns while the upstream has not answered
    assert not is_done.is_set()
    may_end.set()

    assert is_done.wait(WAIT_S)


def test_without_room_it_is_left_to_the_worker(soon: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hang_ups, "_room", threading.BoundedSemaphore(1))
    may_end, done = threading.Event(), list[str]()

    def first() -> None:
        assert may_end.wait(WAIT_S)
        done.append("first")

    hang_ups.soon(first)
    hang_ups.soon(lambda: done.append("second"))
    may_end.set()
    hang_ups._threads.shutdown()

    assert done == ["first"]


def test_one_that_fails_makes_room_again(
    soon: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr(hang_ups, "_room", threading.BoundedSemaphore(1))
    hang_ups.soon(fail)
    assert hang_ups._room.acquire(timeout=WAIT_S)

    assert "hang-up failed" in caplog.text


def test_a_process_that_ends_takes_no_more(soon: None) -> None:
    hang_ups._threads.shutdown()
    hang_ups.soon(lambda: None)

    assert all(hang_ups._room.acquire(blocking=False) for _ in range(hang_ups.MOST_AT_ONCE))


def live_call(user: User, upstream_id: str = "rtc_1") -> Call:
    now = timezone.now()
    return Call.objects.create(
        user=user, upstream_id=upstream_id, state="live", requested_at=now, started_at=now, request_id="req_tests"
    )


def hang_up_url(call: Call) -> str:
    return f"/v1/realtime/calls/{call.upstream_id}/hangup"


@pytest.mark.django_db(transaction=True)
async def test_hang_ups_that_wait_for_the_upstream_hold_up_no_other_route(
    soon: None, alice: User, alices_page: AsyncClient, upstream: FakeUpstream
) -> None:
    calls = [await sync_to_async(live_call)(alice, f"rtc_{number}") for number in range(3 * hang_ups.THREADS)]
    upstream.held.clear()
    statuses = [(await alices_page.post(hang_up_url(call))).status_code for call in calls]
    other = await alices_page.get("/api/whoami")
    assert (upstream.hung_up, await Call.objects.filter(state="ended", hung_up_at=None).acount()) == ([], len(calls))
    upstream.held.set()
    await sync_to_async(hang_ups._threads.shutdown)()

    assert (set(statuses), other.status_code) == ({200}, 200)
    assert sorted(upstream.hung_up) == sorted(str(call.upstream_id) for call in calls)
    assert not await Call.objects.filter(hung_up_at=None).aexists()


@pytest.fixture
def no_upstream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relay.services.hang_up_upstream", lambda call: None)


def test_staff_end_anybody_s_call_which_is_on_record_with_their_name(
    no_upstream: None, alice: User, ada: User, client: Client
) -> None:
    client.force_login(ada)
    call = live_call(alice)
    assert client.post(hang_up_url(call)).status_code == 200

    call.refresh_from_db()
    assert (call.state, call.end_reason) == ("ended", "administrator")
    event = AuditEvent.objects.get(action="call.ended")
    assert (event.actor, event.code) == (f"user:{ada.pk}", "administrator")


def test_what_staff_end_of_their_own_is_hung_up_as_anybody_s(no_upstream: None, ada: User, client: Client) -> None:
    client.force_login(ada)
    call = live_call(ada)
    client.post(hang_up_url(call))

    call.refresh_from_db()
    assert call.end_reason == "hung_up"


@pytest.mark.parametrize("changes", [{"is_staff": True}, {"is_staff": False}], ids=["may only look", "is no staff"])
def test_others_who_lack_either_right_find_no_such_call(
    alice: User, charlie: User, client: Client, changes: dict[str, bool]
) -> None:
    User.objects.filter(pk=charlie.pk).update(**changes)
    right = "view_call" if changes["is_staff"] else "change_call"
    charlie.user_permissions.add(Permission.objects.get(codename=right))
    client.force_login(charlie)
    response = client.post(hang_up_url(live_call(alice)))

    assert (response.status_code, response.json()["error"]["code"]) == (404, "unknown_call")
    assert Call.objects.get().state == "live"


def test_staff_are_told_of_a_call_that_there_is_not(ada: User, client: Client) -> None:
    client.force_login(ada)

    assert client.post("/v1/realtime/calls/rtc_none/hangup").status_code == 404
