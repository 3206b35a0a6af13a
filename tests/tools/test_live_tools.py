"""Tools of live calls over WebSocket: run by the server, told to the model, on record; and what goes wrong."""

import json
import threading
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.utils import timezone

from agents.models import Agent, AgentVersion
from audit.models import AuditEvent
from tests.relay.conftest import relay, socket_upstream
from tests.relay.socket_client import Relay, Socket, secret_of
from tests.relay.socket_upstream import SocketUpstream
from tests.relay.test_supervisor import until
from tests.tools.conftest import ran
from tokens.models import Policy
from tools import running
from tools.models import Tool, ToolCall
from tools.services import close_lost_runs, decide

__all__ = ["relay", "socket_upstream"]
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
async def socket(relay: Relay, alice: User, librarian: Agent) -> Socket:
    opened = await relay.open(await secret_of(alice, librarian))
    await opened.read("session.created")
    return opened


def wants(name: str, arguments: Any = None, tool_call_id: str = "call_1") -> dict[str, Any]:
    """The event by which a model calls a tool."""
    raw = arguments if isinstance(arguments, str) else json.dumps(arguments or {})
    item = {
        "id": f"item_{tool_call_id}", "type": "function_call", "status": "completed", "name": name,
        "call_id": tool_call_id, "arguments": raw,
    }  # fmt: skip
    return {"type": "response.output_item.done", "response_id": "resp_1", "output_index": 0, "item": item}


async def told(upstream: SocketUpstream, name: str, arguments: Any = None) -> Any:
    """Let the model call a tool, and return what it is told."""
    await upstream.say(wants(name, arguments))
    item = (await upstream.was_told("conversation.item.create"))["item"]
    assert (item["type"], item["call_id"]) == ("function_call_output", "call_1")
    return json.loads(item["output"])


async def row() -> ToolCall:
    return await ToolCall.objects.aget()


async def actions() -> list[str]:
    return [event.action async for event in AuditEvent.objects.filter(action__startswith="tool.").order_by("id")]


async def test_the_session_offers_the_agent_s_tools(socket: Socket, socket_upstream: SocketUpstream) -> None:
    offered = socket_upstream.told[0]["session"]["tools"]

    assert [tool["name"] for tool in offered][:2] == ["find_book", "who_am_i"]
    assert offered[0]["parameters"]["properties"]["title"]["description"] == "the title, or a part of it"


async def test_a_tool_is_run_told_and_recorded(socket: Socket, socket_upstream: SocketUpstream) -> None:
    output = await told(socket_upstream, "find_book", {"title": "Dune", "before": "1980-01-01"})

    assert output == {"title": "Dune", "copies": 2, "before": "1980-01-01", "kind": "paper"}
    await socket_upstream.was_told("response.create")
    done = await row()
    assert (done.state, done.name, json.loads(done.arguments)["title"]) == ("done", "find_book", "Dune")
    assert done.duration_ms is not None
    assert await actions() == ["tool.requested", "tool.done"]
    event = await AuditEvent.objects.aget(action="tool.done")
    assert event.facts["result_chars"] == len(json.dumps(output))
    assert "Dune" not in json.dumps(event.facts)


async def test_who_talks_comes_from_the_server(socket: Socket, socket_upstream: SocketUpstream) -> None:
    assert (await told(socket_upstream, "who_am_i")).startswith("alice of librarian in ")


async def test_two_tools_of_one_response_are_answered_once(socket: Socket, socket_upstream: SocketUpstream) -> None:
    for number in (1, 2):
        await socket_upstream.say(wants("find_book", {"title": f"T{number}"}, f"call_{number}"))
    await socket_upstream.was_told("response.create")

    assert socket_upstream.kinds()[1:] == ["conversation.item.create", "conversation.item.create", "response.create"]


async def test_the_same_call_twice_is_run_once(socket: Socket, socket_upstream: SocketUpstream) -> None:
    for _ in range(3):
        await socket_upstream.say(wants("find_book", {"title": "Dune"}))
    await socket_upstream.was_told("response.create")

    assert ran == ["Dune"]
    assert await ToolCall.objects.acount() == 1


@pytest.mark.parametrize(("name", "arguments", "code", "status", "words"), [
    ("no_such_tool", {}, "unknown_tool", 404, "no such tool"),
    ("find_book", {}, "invalid_arguments", 422, "lacks title"),
    ("find_book", {"title": 7}, "invalid_arguments", 422, "'title' must be text"),
    ("find_book", "{", "invalid_arguments", 422, "no JSON"),
    ("breaks", {}, "tool_failed", 500, "The tool failed."),
    ("says_no", {}, "tool_refused", 409, "We are closed then."),
    ("hangs", {}, "tool_timeout", 504, "not known whether"),
])  # fmt: skip
async def test_what_goes_wrong_is_told_and_recorded(
    socket: Socket, socket_upstream: SocketUpstream, name: str, arguments: Any, code: str, status: int, words: str
) -> None:
    output = await told(socket_upstream, name, arguments)

    assert (output["error"], output["status"]) == (True, status)
    assert words in output["message"]
    await socket_upstream.was_told("response.create")
    assert (await row()).error_code == code
    assert (await actions())[-1] in ("tool.refused", "tool.failed", "tool.unknown")


async def test_ten_megabytes_are_cut(socket: Socket, socket_upstream: SocketUpstream) -> None:
    output = await told(socket_upstream, "is_huge")

    assert len(output["result"]) == running.MAX_RESULT_CHARS
    assert output["notice"].startswith("The result has 10000002 characters")
    assert len((await row()).result) < 3_000


async def test_a_tool_that_is_not_the_agent_s_is_refused(
    relay: Relay, alice: User, assistant: Agent, socket_upstream: SocketUpstream
) -> None:
    socket = await relay.open(await secret_of(alice, assistant))
    await socket.read("session.created")

    assert (await told(socket_upstream, "find_book", {"title": "Dune"}))["status"] == 403
    assert ran == []
    assert (await row()).error_code == "tool_not_allowed"


async def test_a_tool_that_is_switched_off_is_refused_at_once(socket: Socket, socket_upstream: SocketUpstream) -> None:
    await Tool.objects.acreate(name="find_book", enabled=False)

    assert (await told(socket_upstream, "find_book", {"title": "Dune"}))["status"] == 403
    assert ran == []


async def test_a_model_that_asks_for_ever_is_stopped(socket: Socket, socket_upstream: SocketUpstream) -> None:
    for number in range(9):
        await socket_upstream.say(wants("find_book", {"title": f"T{number}"}, f"call_{number}"))
    await until(lambda: ToolCall.objects.exclude(ended_at=None).count() == 9)

    last = await ToolCall.objects.aget(tool_call_id="call_8")
    assert (last.state, last.error_code, len(ran)) == ("refused", "too_many_tool_calls", 8)
    asked = await socket_upstream.was_told("response.create")
    assert asked["response"] == {"tool_choice": "none"}


async def test_the_client_may_not_answer_before_the_server_does(
    socket: Socket, socket_upstream: SocketUpstream
) -> None:
    await socket_upstream.say(wants("find_book") | {"type": "response.output_item.added"})
    await socket.read("response.output_item.added")
    lie = {"type": "function_call_output", "call_id": "call_1", "output": '{"copies": 0}'}
    await socket.say(type="conversation.item.create", item=lie)

    assert (await socket.read("error"))["error"]["code"] == "event_not_allowed"


async def test_the_client_may_not_answer_in_the_server_s_place(socket: Socket, socket_upstream: SocketUpstream) -> None:
    await told(socket_upstream, "find_book", {"title": "Dune"})
    lie = {"type": "function_call_output", "call_id": "call_1", "output": '{"copies": 0}'}
    await socket.say(type="conversation.item.create", item=lie)

    assert (await socket.read("error"))["error"]["code"] == "event_not_allowed"
    assert socket_upstream.kinds().count("conversation.item.create") == 1


async def test_a_client_with_tools_of_its_own_answers_them_itself(
    relay: Relay, alice: User, librarian: Agent, socket_upstream: SocketUpstream
) -> None:
    await Policy.objects.acreate(user=alice, own_session=True)
    socket = await relay.open(await secret_of(alice, librarian))
    tools = [{"type": "function", "name": "own_tool", "parameters": {}}]
    await socket.say(type="session.update", session={"type": "realtime", "tools": tools})
    await socket.read("session.updated")
    await socket_upstream.say(wants("own_tool"))
    await socket.say(type="conversation.item.create", item={"type": "function_call_output", "call_id": "call_1"})

    await socket_upstream.was_told("conversation.item.create")
    assert not await ToolCall.objects.aexists()


async def test_what_policy_does_not_want_kept_is_not(
    relay: Relay, alice: User, librarian: Agent, socket_upstream: SocketUpstream
) -> None:
    await Policy.objects.acreate(user=alice, transcripts="off")
    socket = await relay.open(await secret_of(alice, librarian))
    await socket.read("session.created")
    await told(socket_upstream, "find_book", {"title": "Dune"})

    kept = await row()
    assert (kept.arguments, kept.result) == ("", "")


# Handing over.


@pytest.mark.parametrize(("slug", "is_handed_over"), [("billing", True), ("nobody", False)])
async def test_a_tool_gives_the_call_to_another_agent(
    socket: Socket, socket_upstream: SocketUpstream, slug: str, is_handed_over: bool
) -> None:
    billing = await Agent.objects.acreate(slug="billing", name="Billing")
    billing.published = await AgentVersion.objects.acreate(agent=billing, instructions="Count.")
    await billing.asave()

    answer = await told(socket_upstream, "to_billing", {"agent": slug})
    words = {"error": True, "message": "There is no such assistant, or it is not open to you.", "status": 404}
    assert answer == ({"invoice": 7} if is_handed_over else {"result": {"invoice": 7}, "handed_over": False} | words)
    await socket_upstream.was_told("response.create")
    updates = [
        event["session"].get("instructions") for event in socket_upstream.told if event["type"] == "session.update"
    ]
    assert (updates[-1] == "Count.") is is_handed_over
    action = "call.handed_over" if is_handed_over else "call.handoff_refused"
    event = await AuditEvent.objects.aget(action=action)
    assert event.facts["by"] == "code"


async def test_a_tool_after_a_handoff_is_the_new_agent_s(socket: Socket, socket_upstream: SocketUpstream) -> None:
    billing = await Agent.objects.acreate(slug="billing", name="Billing")
    billing.published = await AgentVersion.objects.acreate(agent=billing, instructions="Count.", tools=["find_book"])
    await billing.asave()
    await told(socket_upstream, "to_billing", {"agent": "billing"})
    await socket_upstream.was_told("response.create")
    await socket_upstream.say(wants("find_book", {"title": "Dune"}, "call_2"))
    await until(lambda: ToolCall.objects.filter(tool_call_id="call_2", state="done").exists())

    asked = [row async for row in ToolCall.objects.order_by("id")]
    assert [row.agent_version_id for row in asked[1:]] == [billing.published.pk]
    assert asked[0].agent_version_id != billing.published.pk


# Approval.


async def waiting() -> ToolCall:
    await until(lambda: ToolCall.objects.filter(state="waiting").exists())
    return await ToolCall.objects.select_related("call").aget()


@pytest.mark.parametrize(("approve", "code"), [(True, ""), (False, "tool_not_approved")])
async def test_a_grave_tool_waits_for_somebody_s_word(
    socket: Socket, socket_upstream: SocketUpstream, alice: User, approve: bool, code: str
) -> None:
    await socket_upstream.say(wants("asks_first"))
    held = await waiting()
    assert ran == []
    await sync_to_async(decide)(held, approve=approve, approver=alice, request_id="req_1", person={})

    output = json.loads((await socket_upstream.was_told("conversation.item.create"))["item"]["output"])
    decided = await row()
    assert (decided.error_code, decided.approver, bool(ran)) == (code, "alice", approve)
    assert (output == "done") is approve
    assert "tool.approved" in await actions() or not approve


async def test_without_a_word_it_is_not_done(socket: Socket, socket_upstream: SocketUpstream) -> None:
    await socket_upstream.say(wants("asks_first"))
    held = await waiting()
    await ToolCall.objects.filter(pk=held.pk).aupdate(decide_until=timezone.now())

    assert json.loads((await socket_upstream.was_told("conversation.item.create"))["item"]["output"])["status"] == 403
    assert ((await row()).error_code, ran) == ("approval_timeout", [])


async def test_a_call_that_ends_takes_its_waiting_tool_along(socket: Socket, socket_upstream: SocketUpstream) -> None:
    await socket_upstream.say(wants("asks_first"))
    await waiting()
    await socket.ws.close()

    await until(lambda: ToolCall.objects.filter(state="refused", error_code="call_not_live").exists())
    assert ran == []


@pytest.mark.parametrize(("state", "became"), [("running", "unknown"), ("waiting", "refused")])
async def test_a_tool_whose_process_died_is_closed_as_far_as_is_known(
    socket: Socket, socket_upstream: SocketUpstream, state: str, became: str
) -> None:
    await socket_upstream.say(wants("asks_first"))
    held = await waiting()
    long_ago = timezone.now() - timedelta(minutes=10)
    await ToolCall.objects.filter(pk=held.pk).aupdate(requested_at=long_ago, state=state)

    assert await sync_to_async(close_lost_runs)(timezone.now()) == 1
    assert ((await row()).state, (await actions())[-1]) == (became, f"tool.{became}")


async def test_hanging_tools_take_no_more_than_their_places(
    socket: Socket, socket_upstream: SocketUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "_places", threading.BoundedSemaphore(1))
    await socket_upstream.say(wants("hangs", {}, "call_0"))
    await until(lambda: ToolCall.objects.filter(name="hangs").exists())

    await socket_upstream.say(wants("find_book", {"title": "Dune"}))
    await until(lambda: ToolCall.objects.filter(error_code="tools_busy").exists())
    assert ran == []
