"""Calls of MCP servers' tools over both transports: on record, and approved by whom the policy names."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import aiohttp
import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.utils import timezone
from pytest_django import Settings

from agents.models import Agent
from audit.models import AuditEvent
from relay.models import Call
from relay.supervisor import Supervisor
from tests.conftest import close_this_loop_s
from tests.engine.caller import Caller
from tests.engine.conftest import base_url, caller, faults, shop, speech
from tests.engine.mcp_server import Shop
from tests.relay.conftest import relay, serving, socket_upstream
from tests.relay.socket_client import Relay, Socket, secret_of
from tests.relay.socket_upstream import SocketUpstream
from tests.relay.test_supervisor import looked_after, quick, supervisor, until, until_call
from tests.tools.test_sideband_tools import live_call
from tokens.models import Policy
from tools.models import ToolCall
from tools.registry import Approval
from tools.services import decide

__all__ = [
    "base_url", "caller", "faults", "quick", "relay", "shop", "socket_upstream", "speech", "supervisor",
]  # fmt: skip
pytestmark = pytest.mark.django_db(transaction=True)
Item = dict[str, Any]
REQUEST: Item = {
    "id": "mcpr_1", "type": "mcp_approval_request", "server_label": "shop", "name": "find_record",
    "arguments": '{"title": "Blue"}',
}  # fmt: skip
CALLED: Item = {"id": "mcp_1", "type": "mcp_call", "approval_request_id": "mcpr_1", "server_label": "shop",
                "name": "find_record", "arguments": '{"title": "Blue"}', "output": None}  # fmt: skip
YES: Item = {"type": "mcp_approval_response", "approval_request_id": "mcpr_1", "approve": True}


async def allow(user: User, url: str, approval: str = "") -> None:
    await Policy.objects.acreate(user=user, own_session=True, allowed_mcp_servers=[url], mcp_approval=approval)


async def rows() -> list[tuple[str, ...]]:
    found = ToolCall.objects.order_by("id").values_list("name", "mcp_server", "state", "error_code", "approver")
    return [row async for row in found]


async def until_row(**fields: object) -> ToolCall:
    await until(lambda: ToolCall.objects.filter(**fields).exists())
    return await ToolCall.objects.select_related("call").aget(**fields)


async def actions() -> list[str]:
    return [event.action async for event in AuditEvent.objects.filter(action__startswith="tool.").order_by("id")]


@sync_to_async
def give_word(row: ToolCall, user: User, *, approve: bool) -> None:
    decide(row, approve=approve, approver=user, request_id="req_tests", person={})


async def say(upstream: SocketUpstream, *items: Item) -> None:
    for item in items:
        await upstream.say({"type": "conversation.item.done", "event_id": "event_9", "item": item})


@pytest.fixture
async def socket(relay: Relay, alice: User, assistant: Agent) -> Socket:
    opened = await relay.open(await secret_of(alice, assistant))
    await opened.read("session.created")
    return opened


async def test_what_the_client_approved_is_on_record_with_its_result(
    socket: Socket, socket_upstream: SocketUpstream
) -> None:
    await say(socket_upstream, REQUEST, {"id": "item_1", **YES}, CALLED, CALLED | {"output": "2 copies"})
    await until_row(state="done")

    assert await rows() == [("shop.find_record", "shop", "done", "", "alice")]
    assert await actions() == ["tool.requested", "tool.approved", "tool.done"]
    row = await ToolCall.objects.aget()
    assert (json.loads(row.arguments), row.result) == ({"title": "Blue"}, "2 copies")


async def test_what_the_client_declined_is_on_record(socket: Socket, socket_upstream: SocketUpstream) -> None:
    await say(socket_upstream, REQUEST, {"id": "item_1", **YES, "approve": False})
    await say(socket_upstream, CALLED | {"error": {"type": "tool_execution_error", "message": "No."}})
    await until_row(state="refused")

    assert await rows() == [("shop.find_record", "shop", "refused", "tool_not_approved", "")]


async def test_a_call_that_nobody_was_asked_about_is_on_record_all_the_same(
    socket: Socket, socket_upstream: SocketUpstream
) -> None:
    failed = {"type": "http_error", "code": 500, "message": "The server answered 500."}
    unasked = {name: value for name, value in CALLED.items() if name != "approval_request_id"}
    await say(socket_upstream, unasked | {"error": failed})
    row = await until_row(state="failed")

    assert (row.tool_call_id, row.error_code, row.result) == ("mcp_1", "tool_failed", "The server answered 500.")


@pytest.mark.parametrize(("approve", "state"), [(True, "running"), (False, "refused")])
async def test_where_policy_says_so_a_second_person_decides(
    relay: Relay, socket_upstream: SocketUpstream, alice: User, ada: User, assistant: Agent, approve: bool, state: str
) -> None:
    await allow(alice, "https://mcp.example.com/sse", "staff")
    socket = await relay.open(await secret_of(alice, assistant))
    await say(socket_upstream, REQUEST)
    row = await until_row(state="waiting", approval=Approval.STAFF)
    await socket.say(type="conversation.item.create", item=YES)
    assert (await socket.read("error"))["error"]["code"] == "event_not_allowed"
    await give_word(row, ada, approve=approve)
    told = (await socket_upstream.was_told("conversation.item.create"))["item"]

    assert told.pop("id").startswith("mcpa_")
    assert told == YES | {"approve": approve}
    assert (await rows())[0][2:3] == (state,)
    assert "tool.answer_forged" not in await actions()


async def test_without_a_word_in_time_it_is_not_done(
    socket: Socket, socket_upstream: SocketUpstream, alice: User
) -> None:
    await allow(alice, "https://mcp.example.com/sse", "person")
    await say(socket_upstream, REQUEST)
    await until_row(state="waiting", approval=Approval.PERSON)
    await ToolCall.objects.aupdate(decide_until=timezone.now())

    assert (await socket_upstream.was_told("conversation.item.create"))["item"]["approve"] is False
    assert (await rows())[0][2:4] == ("refused", "approval_timeout")


# Against the engine, which asks a server.


@pytest.fixture
async def engine_relay(settings: Settings, base_url: str) -> AsyncIterator[Relay]:
    settings.UPSTREAM_BASE_URL, settings.UPSTREAM_API_KEY = f"{base_url}/v1", "sk-test"
    async with serving() as address, aiohttp.ClientSession() as http:
        yield Relay(address, http)
    await close_this_loop_s()


async def test_a_program_asks_a_server_through_the_relay(
    engine_relay: Relay, shop: Shop, alice: User, assistant: Agent
) -> None:
    await allow(alice, shop.url)
    socket = await engine_relay.open(await secret_of(alice, assistant))
    tools = [{"type": "mcp", "server_label": "shop", "server_url": shop.url}]
    await socket.say(type="session.update", session={"type": "realtime", "tools": tools, "output_modalities": ["text"]})
    await socket.read("mcp_list_tools.completed")
    await socket.say(
        type="conversation.item.create",
        item={"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Find the record Blue."}]},
    )
    await socket.say(type="response.create")
    while (item := (await socket.read("conversation.item.done"))["item"])["type"] != "mcp_approval_request":
        pass
    await socket.say(type="conversation.item.create", item=YES | {"approval_request_id": item["id"]})
    await socket.read("response.mcp_call.completed")
    await socket.say(type="response.create")

    assert (await socket.read("response.output_text.done"))["text"] == "The find record says: Blue: 2 copies."
    await until_row(state="done")
    assert await rows() == [("shop.find_record", "shop", "done", "", "alice")]


@pytest.mark.usefixtures("quick")
async def test_over_webrtc_the_worker_asks_staff_and_tells_the_service(
    caller: Caller, supervisor: Supervisor, shop: Shop, alice: User, ada: User, librarian: Agent
) -> None:
    await allow(alice, shop.url, "staff")
    await live_call(caller, alice, librarian)
    async with looked_after(supervisor):
        await until_call(monitoring="joined")
        tools = [{"type": "mcp", "server_label": "shop", "server_url": shop.url}]
        caller.send("session.update", session={"type": "realtime", "tools": tools})
        await caller.wait_for("mcp_list_tools.completed")
        caller.say_text("Find the record Blue.")
        caller.send("response.create")
        row = await until_row(state="waiting", approval=Approval.STAFF)
        assert shop.called == []
        await give_word(row, ada, approve=True)
        await caller.wait_for("response.mcp_call.completed")
        await until_row(state="done")

    assert shop.called == [("find_record", {"title": "Blue"})]
    assert await actions() == ["tool.requested", "tool.approved", "tool.done"]


@pytest.mark.usefixtures("quick")
async def test_an_approval_past_whoever_has_to_give_it_ends_the_call(
    caller: Caller, supervisor: Supervisor, shop: Shop, alice: User, librarian: Agent
) -> None:
    await allow(alice, shop.url, "staff")
    await live_call(caller, alice, librarian)
    async with looked_after(supervisor):
        await until_call(monitoring="joined")
        tools = [{"type": "mcp", "server_label": "shop", "server_url": shop.url}]
        caller.send("session.update", session={"type": "realtime", "tools": tools})
        await caller.wait_for("mcp_list_tools.completed")
        caller.say_text("Find the record Blue.")
        caller.send("response.create")
        row = await until_row(state="waiting")
        caller.send("conversation.item.create", item=YES | {"approval_request_id": row.tool_call_id})
        await until_call(state="ended")

    assert (await Call.objects.aget()).end_reason == Call.EndReason.POLICY_DRIFT
    assert (await rows())[0][2:4] == ("unknown", "tool_outcome_unknown")
    assert "tool.answer_forged" in await actions()


@pytest.mark.usefixtures("quick")
async def test_a_server_that_policy_does_not_list_is_taken_out_of_the_session_and_then_ends_the_call(
    caller: Caller, supervisor: Supervisor, shop: Shop, alice: User, librarian: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relay.watch.RESTORE_GRACE", timedelta(0))
    await allow(alice, "https://mcp.example.com/sse")
    await live_call(caller, alice, librarian)
    unlisted = {"type": "mcp", "server_label": "shop", "server_url": shop.url}
    own = {"type": "function", "name": "own"}
    async with looked_after(supervisor):
        await until_call(monitoring="joined")
        caller.send("session.update", session={"type": "realtime", "tools": [own, unlisted]})
        await caller.wait_for("session.updated", 0, lambda event: event["session"]["tools"] == [own])
        caller.send("session.update", session={"type": "realtime", "tools": [unlisted]})
        await until_call(state="ended")

    assert (await Call.objects.aget()).end_reason == Call.EndReason.POLICY_DRIFT
    assert await AuditEvent.objects.filter(action="call.drifted").acount() == 1


@pytest.mark.usefixtures("quick")
async def test_what_waited_when_its_worker_died_is_still_decided_by_another(
    caller: Caller, supervisor: Supervisor, shop: Shop, alice: User, ada: User, librarian: Agent
) -> None:
    now = timezone.now()
    call = await live_call(
        caller, alice, librarian, monitoring="joined", lease_owner="worker-0", lease_until=now - timedelta(seconds=1)
    )
    row = await ToolCall.objects.acreate(
        call=call, tool_call_id="mcpr_1", name="shop.find_record", mcp_server="shop", state="waiting",
        approval=Approval.STAFF, requested_at=now, decide_until=now + timedelta(minutes=1),
    )  # fmt: skip
    async with looked_after(supervisor):
        await until_call(lease_owner="worker-1")
        row = await ToolCall.objects.select_related("call").aget(pk=row.pk)
        await give_word(row, ada, approve=True)
        await until_row(state="running")
