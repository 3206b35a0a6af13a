"""MCP servers of a session: their tools, calls of them and approval, on the stage."""

import json

import pytest

from engine.mcp import McpFailure, McpTool
from engine.protocol_json import Json
from engine.reply import ToolCall
from engine.session.effects import CallMcpTool, Generate, ListMcpTools
from engine.session.items import as_turns
from tests.engine.session_stage import Stage

SHOP: Json = {"type": "mcp", "server_label": "shop", "server_url": "http://127.0.0.1:9/mcp"}
SCHEMA: Json = {"type": "object", "properties": {"title": {"type": "string"}}}
FIND = McpTool("find_record", SCHEMA, "Look a record up.", {"readOnlyHint": True})
ORDER = McpTool("order_record", SCHEMA)
CALL = ToolCall("find_record", '{"title": "Blue"}')


def staged(*tools: Json, **session: object) -> Stage:
    return Stage({"tools": list(tools or [SHOP]), "output_modalities": ["text"], **session})


def listed(stage: Stage, *tools: McpTool) -> Stage:
    """Begin a session, and let the servers answer."""
    stage.run(stage.session.begin())
    for effect in [effect for effect in stage.effects if isinstance(effect, ListMcpTools)]:
        stage.run(stage.session.mcp_tools_listed(effect.item_id, tools or (FIND, ORDER)))
    return stage


def called(stage: Stage, call: ToolCall = CALL, **response: object) -> list[Json]:
    """Let the model call a tool; returns the events of its response."""
    before = len(stage.events)
    stage.type_text("Find the record Blue.")
    stage.send("response.create", **({"response": response} if response else {}))
    stage.reply(call)
    return stage.events[before:]


def decide(stage: Stage, *, approve: bool, request: str = "mcpr_1", **more: object) -> list[Json]:
    item = {"type": "mcp_approval_response", "approval_request_id": request, "approve": approve, **more}
    return stage.send("conversation.item.create", item=item)


def test_a_server_s_tools_are_listed_as_an_item_and_offered() -> None:
    stage = listed(staged())
    called(stage)

    assert stage.types()[:4] == [
        "conversation.item.added", "mcp_list_tools.in_progress", "conversation.item.done", "mcp_list_tools.completed",
    ]  # fmt: skip
    assert stage.events[2]["item"]["tools"] == [
        {"name": "find_record", "description": "Look a record up.", "input_schema": SCHEMA,
         "annotations": {"readOnlyHint": True}},
        {"name": "order_record", "description": "", "input_schema": SCHEMA},
    ]  # fmt: skip
    assert [tool["name"] for tool in stage.last(Generate).request.tools] == ["find_record", "order_record"]


def test_a_server_is_asked_once_and_again_when_it_is_named_otherwise() -> None:
    stage = listed(staged())
    for tool in (SHOP, SHOP, SHOP | {"allowed_tools": ["find_record"]}):
        stage.send("session.update", session={"type": "realtime", "tools": [tool]})

    assert stage.asked_for(ListMcpTools) == 2


@pytest.mark.parametrize(("allowed", "names"), [
    (["order_record"], ["order_record"]),
    ({"tool_names": ["find_record"]}, ["find_record"]),
    ({"read_only": True}, ["find_record"]),
    ([], []),
])  # fmt: skip
def test_only_allowed_tools_are_offered(allowed: object, names: list[str]) -> None:
    stage = listed(staged(SHOP | {"allowed_tools": allowed}))
    stage.type_text("Find the record Blue.")
    stage.send("response.create")

    assert [tool["name"] for tool in stage.last(Generate).request.tools] == names


def test_a_list_that_failed_offers_nothing() -> None:
    stage = staged()
    stage.run(stage.session.begin())
    stage.run(stage.session.mcp_list_failed("mcpl_1"))

    assert stage.types()[-1] == "mcp_list_tools.failed"


def test_a_call_waits_for_approval_by_default() -> None:
    stage = listed(staged())
    told = called(stage)

    assert [event["type"] for event in told][-8:] == [
        "response.output_item.added", "conversation.item.added", "response.mcp_call_arguments.delta",
        "response.mcp_call_arguments.done", "response.output_item.done", "response.done",
        "conversation.item.added", "conversation.item.done",
    ]  # fmt: skip
    request = told[-1]["item"]
    assert request == {
        "id": "mcpr_1", "type": "mcp_approval_request", "server_label": "shop", "name": "find_record",
        "arguments": CALL.arguments,
    }  # fmt: skip
    assert not stage.asked_for(CallMcpTool)


def test_an_approved_call_is_made_and_its_output_told_to_the_model() -> None:
    stage = listed(staged())
    called(stage)
    told = decide(stage, approve=True)
    assert [event["type"] for event in told][-1] == "response.mcp_call.in_progress"
    asked = stage.last(CallMcpTool)
    assert (asked.server.url, asked.name, asked.arguments) == (SHOP["server_url"], "find_record", CALL.arguments)
    stage.run(stage.session.mcp_tool_called(asked.item_id, "2 copies"))

    assert stage.types()[-2:] == ["conversation.item.done", "response.mcp_call.completed"]
    item = stage.events[-2]["item"]
    assert (item["output"], item["approval_request_id"]) == ("2 copies", "mcpr_1")
    turns = as_turns(iter(stage.session.state.conversation))
    assert [(turn.role, turn.text) for turn in turns[-2:]] == [("assistant", CALL.arguments), ("tool", "2 copies")]


def test_a_declined_call_is_not_made_and_the_model_learns_it() -> None:
    stage = listed(staged())
    called(stage)
    decide(stage, approve=False, reason="Too dear.")

    assert stage.types()[-2:] == ["conversation.item.done", "response.mcp_call.failed"]
    assert stage.events[-2]["item"]["error"] == {"type": "tool_execution_error", "message": "Too dear."}
    assert not stage.asked_for(CallMcpTool)
    last = as_turns(iter(stage.session.state.conversation))[-1]
    assert json.loads(last.text) == {"error": True, "message": "Too dear."}


@pytest.mark.parametrize("request_id", ["mcpr_9", "mcpr_1"])
def test_a_decision_counts_once_and_only_for_what_waits(request_id: str) -> None:
    stage = listed(staged())
    called(stage)
    decide(stage, approve=False)
    told = decide(stage, approve=True, request=request_id)

    assert [(event["type"], event["error"]["param"]) for event in told] == [("error", "item.approval_request_id")]
    assert not stage.asked_for(CallMcpTool)


@pytest.mark.parametrize(("rule", "is_asked"), [
    ("never", False), ("always", True), (None, True), ({}, True),
    ({"never": {"tool_names": ["find_record"]}}, False), ({"never": {"read_only": True}}, False),
    ({"always": {"tool_names": ["find_record"]}, "never": {"read_only": True}}, True),
    ({"never": {"tool_names": ["order_record"]}}, True), ({"never": {}}, True), ("sometimes", True),
])  # fmt: skip
def test_what_needs_approval_is_the_session_s_to_say(rule: object, is_asked: bool) -> None:
    stage = listed(staged(SHOP | {"require_approval": rule}))
    called(stage)

    assert stage.asked_for(CallMcpTool) == (not is_asked)


def test_a_call_that_failed_says_how() -> None:
    stage = listed(staged(SHOP | {"require_approval": "never"}))
    called(stage)
    stage.run(stage.session.mcp_call_failed("mcp_1", McpFailure("http_error", "The server answered 500.", 500)))

    error = {"type": "http_error", "message": "The server answered 500.", "code": 500}
    assert stage.events[-2]["item"]["error"] == error
    assert stage.types()[-1] == "response.mcp_call.failed"


def test_a_function_goes_before_a_server_s_tool_of_its_name() -> None:
    function = {"type": "function", "name": "find_record"}
    stage = listed(staged(SHOP | {"require_approval": "never"}, function))
    called(stage)

    assert stage.of_type("response.function_call_arguments.done")
    assert not stage.asked_for(CallMcpTool)


def test_a_response_outside_the_conversation_gets_no_tools_of_servers() -> None:
    stage = listed(staged(SHOP | {"require_approval": "never"}))
    called(stage, conversation="none")

    assert stage.last(Generate).request.tools == ()
    assert not stage.asked_for(CallMcpTool)


def test_what_is_no_server_s_any_more_is_not_called() -> None:
    stage = listed(staged(SHOP | {"require_approval": "never"}))
    stage.type_text("Find the record Blue.")
    stage.send("response.create")
    stage.send("session.update", session={"type": "realtime", "tools": []})
    stage.reply(CALL)

    assert not stage.asked_for(CallMcpTool)


def test_an_item_that_was_deleted_meanwhile_is_not_told_again() -> None:
    stage = listed(staged(SHOP | {"require_approval": "never"}))
    called(stage)
    stage.send("conversation.item.delete", item_id="mcp_1")
    before = len(stage.events)
    stage.run(stage.session.mcp_tool_called("mcp_1", "2 copies"))

    assert stage.types(before) == ["response.mcp_call.completed"]
