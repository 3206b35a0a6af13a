"""MCP servers of one session: their tools, and calls of them from the model's wish over approval to the result."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from engine.mcp import McpFailure, McpServer, McpTool
from engine.protocol_json import Json
from engine.session import events
from engine.session.effects import CallMcpTool, ListMcpTools
from engine.session.errors import ProtocolError
from engine.session.items import Entry, snapshot, words_of
from engine.session.state import SessionState

MAX_SERVERS: Final = 10
MAX_OPEN_CALLS: Final = 50
DECLINED: Final = "This was not approved, so it was not done."
TOO_MANY: Final = "Too many calls of MCP servers are open."


@dataclass
class _Listed:
    """A server and what it offers. item_id: of the item that lists its tools."""

    config: Json
    server: McpServer
    item_id: str
    tools: list[McpTool] = field(default_factory=list)


@dataclass(frozen=True)
class _OpenCall:
    entry: Entry
    server: McpServer
    output_index: int


class McpTools:
    """What the session's servers offer, and the calls that are open. Each server is asked for its tools once."""

    def __init__(self, state: SessionState) -> None:
        self._state = state
        self._listed: dict[str, _Listed] = {}
        self._asked: set[str] = set()  # ids of the lists that are still to come
        self._waiting: dict[str, _OpenCall] = {}  # by the id of what asks for approval
        self._running: dict[str, _OpenCall] = {}  # by the id of the call's item

    # What is offered.

    def configure(self) -> None:
        """Ask the servers that the session names now and did not before; forget those that it names no more."""
        named = {tool["server_label"]: tool for tool in self._state.config["tools"] if tool["type"] == "mcp"}
        self._listed = {label: each for label, each in self._listed.items() if named.get(label) == each.config}
        for label, config in list(named.items())[:MAX_SERVERS]:
            if label not in self._listed and len(self._asked) < MAX_SERVERS:
                self._ask(config)

    def _ask(self, config: Json) -> None:
        state, label = self._state, config["server_label"]
        item: Json = {"id": state.new_id("mcpl"), "type": "mcp_list_tools", "server_label": label, "tools": []}
        listed = self._listed[label] = _Listed(config, _server(config), item["id"])
        self._asked.add(listed.item_id)
        self._add(Entry(item))
        state.emit(events.mcp_list_tools("in_progress", listed.item_id))
        state.do(ListMcpTools(listed.item_id, listed.server))

    def take_tools(self, item_id: str, tools: Sequence[McpTool]) -> None:
        """Take a server's tools, as far as the session allows them."""
        listed = self._answered(item_id)
        if listed is None:
            return  # the session names the server no more
        allowed = listed.config.get("allowed_tools")
        listed.tools = [tool for tool in tools if allowed is None or _matches(allowed, tool)]
        entry = self._state.conversation.find(item_id)
        if entry is not None:
            entry.item["tools"] = [_described(tool) for tool in listed.tools]
            entry.words = json.dumps(entry.item["tools"])
            self._finish(entry)
        self._state.emit(events.mcp_list_tools("completed", item_id))

    def list_failed(self, item_id: str) -> None:
        """Note that a server's tools could not be had."""
        if self._answered(item_id) is not None:
            self._state.emit(events.mcp_list_tools("failed", item_id))

    def _answered(self, item_id: str) -> _Listed | None:
        self._asked.discard(item_id)
        return next((each for each in self._listed.values() if each.item_id == item_id), None)

    def definitions(self, tools: Sequence[Json]) -> list[Json]:
        """Return the tools of the servers that `tools` names, as a responder knows tools."""
        labels = {tool["server_label"] for tool in tools if tool["type"] == "mcp"}
        return [
            {"type": "function", "name": tool.name, "description": tool.description, "parameters": tool.input_schema}
            for label, listed in self._listed.items()
            if label in labels
            for tool in listed.tools
        ]

    def label_of(self, name: str, tools: Sequence[Json]) -> str | None:
        """Return the label of the server whose tool this is; None for a function, which goes before."""
        if any(tool["type"] == "function" and tool["name"] == name for tool in tools):
            return None
        found = (label for label, listed in self._listed.items() if any(tool.name == name for tool in listed.tools))
        return next(found, None)

    # Calls.

    def call(self, entry: Entry, output_index: int) -> None:
        """Go on with a call whose response is over: ask for approval, or have it done."""
        listed = self._listed.get(entry.item["server_label"])
        tool = next((tool for tool in listed.tools if tool.name == entry.item["name"]), None) if listed else None
        if listed is None or tool is None:
            return  # the session was changed meanwhile
        call = _OpenCall(entry, listed.server, output_index)
        if len(self._waiting) + len(self._running) >= MAX_OPEN_CALLS:
            self._fail(call, McpFailure("tool_execution_error", TOO_MANY))
        elif _needs_approval(listed.config.get("require_approval") or "always", tool):
            self._ask_for_approval(call)
        else:
            self._run(call)

    def _ask_for_approval(self, call: _OpenCall) -> None:
        asked_for = {name: call.entry.item[name] for name in ("server_label", "name", "arguments")}
        item: Json = {"id": self._state.new_id("mcpr"), "type": "mcp_approval_request", **asked_for}
        call.entry.item["approval_request_id"] = item["id"]
        self._waiting[item["id"]] = call
        entry = Entry(item)
        self._add(entry)
        self._finish(entry)

    def check_decision(self, item: Json) -> None:
        """Raise ProtocolError for a decision about nothing that waits for one."""
        if item["approval_request_id"] not in self._waiting:
            message = f"No approval request '{item['approval_request_id']}' waits for an answer."
            raise ProtocolError("invalid_value", message, "item.approval_request_id")

    def decide(self, item: Json) -> None:
        """Do what was approved, or end the call."""
        call = self._waiting.pop(item["approval_request_id"])
        if item["approve"]:
            self._run(call)
        else:
            self._fail(call, McpFailure("tool_execution_error", item.get("reason") or DECLINED))

    def _run(self, call: _OpenCall) -> None:
        item = call.entry.item
        self._running[item["id"]] = call
        self._state.emit(events.mcp_call("in_progress", item["id"], call.output_index))
        self._state.do(CallMcpTool(item["id"], call.server, item["name"], item["arguments"]))

    def take_output(self, item_id: str, output: str) -> None:
        """Take what a server's tool told. The client asks for a response that tells it."""
        call = self._running.pop(item_id, None)
        if call is not None:
            call.entry.item["output"] = output
            self._close(call, "completed")

    def call_failed(self, item_id: str, failure: McpFailure) -> None:
        """Take why a server's tool gave nothing."""
        call = self._running.pop(item_id, None)
        if call is not None:
            self._fail(call, failure)

    def _fail(self, call: _OpenCall, failure: McpFailure) -> None:
        call.entry.item["error"] = failure.as_json()
        self._close(call, "failed")

    def _close(self, call: _OpenCall, what: str) -> None:
        item_id = call.entry.item_id
        if item_id in self._state.conversation:  # nobody deleted it
            call.entry.words = words_of(call.entry.item)
            self._finish(call.entry)
        self._state.emit(events.mcp_call(what, item_id, call.output_index))

    # Items.

    def _add(self, entry: Entry) -> None:
        conversation = self._state.conversation
        conversation.add(entry)
        self._state.emit(events.item_added(snapshot(entry), conversation.previous_id(entry.item_id)))

    def _finish(self, entry: Entry) -> None:
        previous_id = self._state.conversation.previous_id(entry.item_id)
        self._state.emit(events.item_done(snapshot(entry), previous_id))


def _server(config: Json) -> McpServer:
    headers: Mapping[str, object] = config.get("headers") or {}
    return McpServer(
        config["server_label"],
        str(config.get("server_url", "")),
        str(config.get("authorization", "")),
        tuple((str(name), str(value)) for name, value in headers.items()),
    )


def _described(tool: McpTool) -> Json:
    described: Json = {"name": tool.name, "description": tool.description, "input_schema": tool.input_schema}
    return described if tool.annotations is None else {**described, "annotations": tool.annotations}


def _matches(rule: object, tool: McpTool) -> bool:
    """Tell whether a list of names, or an object with `tool_names` and `read_only`, holds a tool."""
    if not isinstance(rule, dict):
        return isinstance(rule, list) and tool.name in rule
    names, read_only = rule.get("tool_names"), rule.get("read_only")
    is_named = names is None or (isinstance(names, list) and tool.name in names)
    return bool(rule) and is_named and (read_only is None or read_only == tool.only_reads)


def _needs_approval(rule: object, tool: McpTool) -> bool:
    if isinstance(rule, dict):
        return _matches(rule.get("always") or {}, tool) or not _matches(rule.get("never") or {}, tool)
    return rule != "never"
