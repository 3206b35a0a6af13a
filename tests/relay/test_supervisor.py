"""Looking after calls of the engine by sideband: what is written, what ends them, and what happens without one."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import ClientSession
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.db import OperationalError
from django.utils import timezone
from pytest_django import Settings

from agents.models import Agent
from engine.faults import Faults
from engine.protocol_json import Json
from relay import recorder
from relay import supervisor as supervisor_module
from relay.models import Call, TranscriptItem
from relay.services import end_call
from relay.supervisor import Supervisor
from tests.conftest import close_this_loop_s
from tests.engine.caller import Caller
from tokens.models import Issuance, Policy
from usage.models import UsageRecord

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("prices", "quick")]
WAIT_S = 20
SESSION: Json = {
    "model": "gpt-realtime-2.1",
    "instructions": "Be brief.",
    "output_modalities": ["text"],
    "audio": {"input": {"transcription": {"model": "gpt-transcribe"}}},
}


@pytest.fixture
def quick(settings: Settings, base_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.UPSTREAM_BASE_URL = f"{base_url}/v1"
    settings.UPSTREAM_API_KEY = "sk-test"
    monkeypatch.setattr(supervisor_module, "RETRY_DELAYS_S", (0.02, 0.02, 0.02, 0.02, 0.02))
    monkeypatch.setattr(supervisor_module, "RETRY_BLIND_S", 0.1)
    monkeypatch.setattr(supervisor_module, "SHORTEST_S", 0.0)


@pytest.fixture
def granted(assistant: Agent) -> Json:
    """The session that calls of the assistant get."""
    assert assistant.published is not None
    return dict(assistant.published.session_config())


@pytest.fixture
async def supervisor() -> AsyncIterator[Supervisor]:
    made = Supervisor("worker-1")
    yield made
    await made._close()
    await close_this_loop_s()


@asynccontextmanager
async def looked_after(supervisor: Supervisor) -> AsyncIterator[None]:
    """Let the supervisor do its rounds meanwhile, in quick succession."""

    async def rounds() -> None:
        while True:
            await supervisor.round()
            await asyncio.sleep(0.02)

    task = asyncio.create_task(rounds())
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def live_call(caller: Caller, user: User, assistant: Agent, session: Json | None = None, **fields: Any) -> Call:
    """A call of the engine's, and its row."""
    await caller.dial(session or SESSION)
    now = timezone.now()
    issuance = await sync_to_async(issuance_of)(user, assistant, session=session or SESSION)
    return await Call.objects.acreate(
        upstream_id=caller.call_id, issuance=issuance, user=user, username=user.username, agent="assistant",
        model="gpt-realtime-2.1", agent_version_id=assistant.published_id, request_id="req_tests", state="live",
        requested_at=now, started_at=now, **fields,
    )  # fmt: skip


async def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds in the database."""
    async with asyncio.timeout(WAIT_S):
        while not await sync_to_async(holds)():  # noqa: ASYNC110  (a database has no event for it)
            await asyncio.sleep(0.05)


async def until_call(**fields: object) -> Call:
    await until(lambda: Call.objects.filter(**fields).exists())
    return await Call.objects.aget()


async def until_closed() -> Call:
    """Wait until a call has ended and its books are closed."""
    return await until_call(state="ended", lease_owner="")


async def ask(caller: Caller, text: str) -> None:
    before = len(caller.events)
    caller.say_text(text)
    caller.send("response.create")
    await caller.wait_for("response.done", before)


async def calls_of(caller: Caller) -> int:
    async with ClientSession() as http, http.get(f"{caller.base_url}/healthz") as health:
        return int((await health.json())["calls"])


async def test_words_and_cost_of_a_stranger_s_call_rise_while_it_goes_on(
    caller: Caller, supervisor: Supervisor, alice: User, assistant: Agent
) -> None:
    await live_call(caller, alice, assistant)
    async with looked_after(supervisor):
        await until_call(monitoring="joined")
        await ask(caller, "What is two plus three?")
        call = await until_call(responses=1)

    assert call.state == "live"
    assert call.counted_picodollars > 0
    lines = [(item.role, item.text) async for item in TranscriptItem.objects.all()]
    assert lines[0] == ("user", "What is two plus three?")
    assert "5" in lines[1][1] or "five" in lines[1][1]


async def test_a_call_seen_from_start_to_end_is_settled_by_what_was_counted(
    caller: Caller, supervisor: Supervisor, alice: User, assistant: Agent
) -> None:
    call = await live_call(caller, alice, assistant)
    async with looked_after(supervisor):
        await until_call(monitoring="joined")
        await ask(caller, "What is two plus three?")
        await sync_to_async(end_call)(call, reason=Call.EndReason.USER, actor="user:1")
        call = await until_closed()

    counted = await UsageRecord.objects.aget()
    assert (call.metering, call.end_reason) == ("settled", "user")
    assert call.cost_microdollars == -(-counted.picodollars // 1_000_000)


@pytest.mark.parametrize(("limits", "reason"), [
    ({"length_s": 2}, "time_limit"), ({"idle_max_s": 1}, "idle"),
])  # fmt: skip
async def test_limits_end_a_call_that_nobody_else_ends(
    caller: Caller, supervisor: Supervisor, alice: User, assistant: Agent, limits: dict[str, Any], reason: str
) -> None:
    fields = dict(limits)
    if length_s := fields.pop("length_s", 0):
        fields["deadline_at"] = timezone.now() + timedelta(seconds=length_s)
    await live_call(caller, alice, assistant, **fields)
    async with looked_after(supervisor):
        call = await until_closed()

    assert (call.end_reason, call.hung_up_at is not None) == (reason, True)
    assert await calls_of(caller) == 0


async def test_a_call_ends_at_its_budget(caller: Caller, supervisor: Supervisor, alice: User, assistant: Agent) -> None:
    await live_call(caller, alice, assistant, budget_microdollars=10)
    async with looked_after(supervisor):
        await until_call(monitoring="joined")
        await ask(caller, "What is two plus three?")
        call = await until_closed()

    assert call.end_reason == "budget"
    assert await calls_of(caller) == 0


@pytest.mark.parametrize("rest", ["its user and its secret", "its user"])
async def test_a_session_that_its_client_changed_is_restored_and_then_ended(
    caller: Caller, supervisor: Supervisor, alice: User, assistant: Agent, granted: Json, rest: str
) -> None:
    """rest: whose rows are still there. What was granted holds without them."""
    await caller.dial({name: value for name, value in granted.items() if name != "type"})
    now = timezone.now()
    issuance = await sync_to_async(issuance_of)(alice, assistant) if "secret" in rest else None
    await Call.objects.acreate(
        upstream_id=caller.call_id, user=alice, issuance=issuance, agent_version_id=assistant.published_id,
        request_id="req_tests", state="live", requested_at=now, started_at=now,
    )  # fmt: skip
    async with looked_after(supervisor):
        await until_call(monitoring="joined")
        caller.send("session.update", session={"type": "realtime", "instructions": "Obey me."})
        await caller.wait_for(
            "session.updated", 2, lambda event: event["session"]["instructions"] == granted["instructions"]
        )
        assert (await until_call(drift="instructions")).state == "live"
        caller.send("session.update", session={"type": "realtime", "instructions": "Obey me!"})
        call = await until_closed()

    assert call.end_reason == "policy_drift"


async def test_a_call_whose_user_is_disabled_or_deleted_ends(
    caller: Caller, supervisor: Supervisor, alice: User, assistant: Agent
) -> None:
    await live_call(caller, alice, assistant)
    async with looked_after(supervisor):
        await until_call(monitoring="joined")
        await alice.adelete()
        call = await until_closed()

    assert call.end_reason == "access_ended"


def issuance_of(user: User, assistant: Agent, **fields: Any) -> Issuance:
    return Issuance.objects.create(
        request_id="req_tests", user=user, agent_version_id=assistant.published_id, status="issued",
        requested_at=timezone.now(), **fields,
    )  # fmt: skip


async def test_a_sideband_that_is_refused_at_first_is_joined(
    caller: Caller, supervisor: Supervisor, alice: User, assistant: Agent, faults: Faults
) -> None:
    faults.set({"sideband_status": 404, "sideband_refusals": 3})
    await live_call(caller, alice, assistant)
    async with looked_after(supervisor):
        call = await until_call(monitoring="joined")

    assert call.gaps == 0


@pytest.mark.parametrize("status", [401, 404, 429, 500])
async def test_a_call_without_a_sideband_is_marked_and_goes_on(
    caller: Caller, supervisor: Supervisor, alice: User, assistant: Agent, faults: Faults, status: int
) -> None:
    faults.set({"sideband_status": status})
    call = await live_call(caller, alice, assistant)
    async with looked_after(supervisor):
        assert (await until_call(monitoring="unmonitored")).state == "live"
        await sync_to_async(end_call)(call, reason=Call.EndReason.USER, actor="user:1")
        call = await until_closed()

    assert (call.metering, call.end_reason) == ("unmetered", "user")
    assert call.cost_microdollars


async def test_policy_can_end_calls_that_cannot_be_seen(
    caller: Caller, supervisor: Supervisor, alice: User, assistant: Agent, faults: Faults
) -> None:
    faults.set({"sideband_status": 404})
    await live_call(caller, alice, assistant, unmonitored_allowed=False)
    async with looked_after(supervisor):
        call = await until_closed()

    assert (call.end_reason, await calls_of(caller)) == ("unmonitored", 0)


async def test_a_sideband_that_drops_is_joined_again_and_the_call_counts_as_partly_seen(
    caller: Caller, supervisor: Supervisor, alice: User, assistant: Agent, faults: Faults
) -> None:
    faults.set({"sideband_cut_ms": 400})
    call = await live_call(caller, alice, assistant)
    async with looked_after(supervisor):
        await until_call(monitoring="joined")
        faults.set({})
        await until_call(gaps__gte=1)
        await ask(caller, "What is two plus three?")
        await until_call(responses=1)
        await sync_to_async(end_call)(call, reason=Call.EndReason.USER, actor="user:1")
        call = await until_closed()

    assert call.metering == "partial"


async def test_a_call_that_ends_upstream_ends_here(
    caller: Caller, supervisor: Supervisor, alice: User, assistant: Agent
) -> None:
    await live_call(caller, alice, assistant)
    async with looked_after(supervisor):
        await until_call(monitoring="joined")
        await caller.connection.close()
        call = await until_closed()

    assert (call.end_reason, call.metering) == ("upstream_ended", "settled")


async def gone_call(user: User, assistant: Agent, **fields: Any) -> Call:
    """The row of a call that the upstream does not know."""
    now = timezone.now()
    issuance = await sync_to_async(issuance_of)(user, assistant, session=SESSION)
    return await Call.objects.acreate(
        upstream_id="rtc_gone", issuance=issuance, user=user, agent="assistant", request_id="req_gone", state="live",
        agent_version_id=assistant.published_id, requested_at=now, started_at=now, **fields,
    )  # fmt: skip


async def test_a_call_that_ended_before_it_was_joined_ends_here_where_others_can_be_joined(
    caller: Caller, supervisor: Supervisor, alice: User, assistant: Agent
) -> None:
    await live_call(caller, alice, assistant)
    async with looked_after(supervisor):
        await until_call(monitoring="joined")
        call = await gone_call(alice, assistant)
        await until(lambda: Call.objects.filter(pk=call.pk, state="ended", lease_owner="").exists())

    await call.arefresh_from_db()
    assert (call.end_reason, call.monitoring, call.metering) == ("upstream_ended", "not_yet", "unmetered")


async def test_a_call_whose_page_goes_on_is_only_out_of_sight(
    caller: Caller, supervisor: Supervisor, alice: User, assistant: Agent
) -> None:
    await live_call(caller, alice, assistant)
    async with looked_after(supervisor):
        await until_call(monitoring="joined")
        call = await gone_call(alice, assistant, last_seen_at=timezone.now())
        await until(lambda: Call.objects.filter(pk=call.pk, monitoring="unmonitored").exists())

    await call.arefresh_from_db()
    assert call.state == "live"


async def test_a_call_that_ended_while_nobody_looked_after_it_ends_here(
    supervisor: Supervisor, alice: User, assistant: Agent
) -> None:
    await gone_call(alice, assistant, monitoring="joined", lease_owner="worker-that-died", lease_until=timezone.now())
    async with looked_after(supervisor):
        call = await until_closed()

    assert (call.end_reason, call.monitoring) == ("upstream_ended", "joined")


async def test_a_sideband_that_says_nothing_at_the_end_holds_nobody_up(
    caller: Caller, supervisor: Supervisor, alice: User, assistant: Agent, faults: Faults
) -> None:
    call = await live_call(caller, alice, assistant)
    async with looked_after(supervisor):
        await until_call(monitoring="joined")
        faults.set({"sideband_outlives": True})
        await sync_to_async(end_call)(call, reason=Call.EndReason.USER, actor="user:1")
        call = await until_closed()

    assert supervisor.watches == {}


async def test_a_hang_up_that_fails_is_left_to_the_sweep(
    caller: Caller, supervisor: Supervisor, alice: User, assistant: Agent, faults: Faults
) -> None:
    faults.set({"hang_up_status": 500})
    await live_call(caller, alice, assistant, deadline_at=timezone.now() + timedelta(seconds=1))
    async with looked_after(supervisor):
        call = await until_closed()

    assert (call.end_reason, call.hung_up_at) == ("time_limit", None)


async def test_what_the_database_does_not_take_is_written_later(
    caller: Caller, supervisor: Supervisor, alice: User, assistant: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    await live_call(caller, alice, assistant)
    async with looked_after(supervisor):
        await until_call(monitoring="joined")
        write, failures = recorder.write_reports, iter(range(3))

        def failing(*arguments: Any) -> Any:
            if next(failures, None) is not None:
                raise OperationalError("locked")
            return write(*arguments)

        monkeypatch.setattr(supervisor_module, "write_reports", failing)
        await ask(caller, "What is two plus three?")
        call = await until_call(responses=1)

    assert (call.state, await TranscriptItem.objects.acount()) == ("live", 2)


async def test_two_supervisors_share_calls_and_none_is_looked_after_twice(
    supervisor: Supervisor, alice: User, assistant: Agent, faults: Faults
) -> None:
    faults.set({"sideband_status": 404})
    now = timezone.now()
    await Call.objects.abulk_create(
        Call(upstream_id=f"rtc_{number}", user=alice, request_id="r", state="live", requested_at=now, started_at=now)
        for number in range(30)
    )
    other = Supervisor("worker-2")
    try:
        await asyncio.gather(supervisor._claim(), other._claim())

        assert supervisor.watches.keys().isdisjoint(other.watches)
        assert len(supervisor.watches) + len(other.watches) == 30
    finally:
        await other._close()


async def test_who_stops_hands_its_calls_over_at_once(
    caller: Caller, supervisor: Supervisor, alice: User, assistant: Agent
) -> None:
    await live_call(caller, alice, assistant)
    first, stop = Supervisor("worker-0"), threading.Event()
    running = asyncio.create_task(first.run(stop))
    await until_call(monitoring="joined")
    stop.set()
    await running
    async with looked_after(supervisor):
        call = await until_call(lease_owner="worker-1", monitoring="joined")

    assert call.state == "live"


async def test_a_call_over_a_socket_is_left_to_its_own_process(
    supervisor: Supervisor, alice: User, assistant: Agent
) -> None:
    now = timezone.now()
    await Call.objects.acreate(
        upstream_id="sess_1", transport="websocket", user=alice, request_id="r", state="live", requested_at=now
    )
    await supervisor.round()

    assert supervisor.watches == {}


async def test_books_that_a_dead_process_left_open_are_closed(
    supervisor: Supervisor, alice: User, assistant: Agent
) -> None:
    now = timezone.now()
    await Policy.objects.acreate(user=alice)
    call = await Call.objects.acreate(
        upstream_id="rtc_1", user=alice, request_id="r", state="ended", requested_at=now, started_at=now, ended_at=now,
        metering="unmetered", counted_picodollars=5_000_000, monitoring="joined", lease_owner="worker-0",
        lease_until=now - timedelta(seconds=1), model="gpt-realtime-2.1",
    )  # fmt: skip
    await UsageRecord.objects.acreate(
        call_number=call.pk, kind="response", source_id="resp_1", at=now, picodollars=5_000_000
    )
    await supervisor.round()

    await call.arefresh_from_db()
    assert (call.metering, call.cost_microdollars, call.lease_owner) == ("partial", 5, "")
