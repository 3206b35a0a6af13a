"""Asks MCP servers over streamable HTTP: their tools, and to run one. Knows no session of ours.

Each question is a session of its own with the server, so nothing is held between them. What a server asks or tells
meanwhile is read over: sampling, roots and notifications are not spoken here.
"""

import json
from collections.abc import AsyncIterator, Set
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, NoReturn

import aiohttp

from engine.mcp import McpFailure, McpServer, McpTool
from engine.protocol_json import Json
from engine.session.fields import MAX_DEPTH, is_shallow

VERSION: Final = "2025-06-18"
LIST_TIMEOUT_S: Final = 10.0
CALL_TIMEOUT_S: Final = 30.0
CONNECT_TIMEOUT_S: Final = 3.0
MAX_ANSWER_BYTES: Final = 1 << 20
MAX_PAGES: Final = 10
MAX_TOOLS: Final = 128
MAX_LIST_CHARS: Final = 60_000  # one event tells the list, and a data channel carries 64 KiB at once
MAX_OUTPUT_CHARS: Final = 30_000
MAX_MESSAGE_CHARS: Final = 500
SSE: Final = "text/event-stream"


class McpClient:
    """Asks the servers that it may. A session's client names addresses; which are asked is the engine's to say."""

    def __init__(self, allowed_urls: Set[str] = frozenset()) -> None:
        self._allowed_urls = allowed_urls

    async def list_tools(self, server: McpServer) -> list[McpTool]:
        """Return a server's tools, in its order. Raises McpFailure."""
        found: list[McpTool] = []
        async with self._connected(server, LIST_TIMEOUT_S) as link:
            cursor: object = None
            for _page in range(MAX_PAGES):
                result = await link.ask("tools/list", {"cursor": cursor} if cursor else {})
                found += [_tool(each) for each in _list(result.get("tools"))]
                cursor = result.get("nextCursor")
                if not cursor:
                    break
        return _fitting(found[:MAX_TOOLS])

    async def call_tool(self, server: McpServer, name: str, raw_arguments: str) -> str:
        """Have a server run a tool, and return what it tells. Raises McpFailure, also where the tool failed."""
        arguments = _arguments(raw_arguments)
        async with self._connected(server, CALL_TIMEOUT_S) as link:
            result = await link.ask("tools/call", {"name": name, "arguments": arguments})
        output = _output(result)
        if result.get("isError") is True:
            raise McpFailure("tool_execution_error", output[:MAX_MESSAGE_CHARS] or "The tool failed.")
        return output

    @asynccontextmanager
    async def _connected(self, server: McpServer, timeout_s: float) -> AsyncIterator["_Link"]:
        if server.url not in self._allowed_urls:
            raise McpFailure("http_error", "The engine does not ask this server: ENGINE_MCP_SERVERS lists those.", 403)
        timeout = aiohttp.ClientTimeout(timeout_s, sock_connect=CONNECT_TIMEOUT_S)
        try:
            async with aiohttp.ClientSession(timeout=timeout, read_bufsize=MAX_ANSWER_BYTES) as http:
                link = _Link(http, server)
                await link.begin()
                try:
                    yield link
                finally:
                    await link.end()
        except TimeoutError as exc:
            raise McpFailure("http_error", "The server took too long.", 504) from exc
        except (aiohttp.ClientError, ValueError) as exc:  # ValueError: an address or a header that is none
            raise McpFailure("http_error", "The server could not be reached.", 502) from exc


class _Link:
    """One session with a server."""

    def __init__(self, http: aiohttp.ClientSession, server: McpServer) -> None:
        self._http, self._url = http, server.url
        self._headers = {**dict(server.headers), "Accept": f"application/json, {SSE}"}
        if server.authorization:
            self._headers["Authorization"] = f"Bearer {server.authorization}"
        self._asked = 0

    async def begin(self) -> None:
        about = {"name": "voiceagent-engine", "version": "1"}
        told = await self.ask("initialize", {"protocolVersion": VERSION, "capabilities": {}, "clientInfo": about})
        self._headers["MCP-Protocol-Version"] = str(told.get("protocolVersion") or VERSION)
        async with self._post({"method": "notifications/initialized"}):
            pass

    async def end(self) -> None:
        """Tell a server that keeps sessions that this one is over. Whether it listens is its own affair."""
        if "Mcp-Session-Id" not in self._headers:
            return
        with suppress(aiohttp.ClientError, TimeoutError):
            async with self._http.delete(self._url, headers=self._headers, allow_redirects=False):
                pass

    async def ask(self, method: str, params: Json) -> Json:
        """Return the result of a request. Raises McpFailure."""
        self._asked += 1
        async with self._post({"id": self._asked, "method": method, "params": params}) as answer:
            if (session_id := answer.headers.get("Mcp-Session-Id")) is not None:
                self._headers["Mcp-Session-Id"] = session_id
            messages = _events(answer) if answer.content_type == SSE else _one(answer)
            async for message in messages:
                if message.get("id") == self._asked and message.keys() & {"result", "error"}:
                    return _result(message)
        raise McpFailure("protocol_error", "The server did not answer.", -32603)

    @asynccontextmanager
    async def _post(self, message: Json) -> AsyncIterator[aiohttp.ClientResponse]:
        body = {"jsonrpc": "2.0", **message}
        # A redirect would lead past the list of servers.
        async with self._http.post(self._url, json=body, headers=self._headers, allow_redirects=False) as answer:
            if answer.status not in (200, 202):
                raise McpFailure("http_error", f"The server answered {answer.status}.", answer.status)
            yield answer


async def _one(answer: aiohttp.ClientResponse) -> AsyncIterator[Json]:
    yield _message(await _bounded(answer))


async def _events(answer: aiohttp.ClientResponse) -> AsyncIterator[Json]:
    """Yield the messages of a stream of server-sent events, whose fields other than data do not matter here."""
    data: list[bytes] = []
    read_bytes = 0
    async for line in answer.content:
        read_bytes += len(line)
        if read_bytes > MAX_ANSWER_BYTES:
            raise _too_large()
        if line.startswith(b"data:"):
            data.append(line.removeprefix(b"data:").strip())
        elif not line.strip() and data:
            yield _message(b"\n".join(data))
            data = []


async def _bounded(answer: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in answer.content.iter_any():
        body += chunk
        if len(body) > MAX_ANSWER_BYTES:
            raise _too_large()
    return bytes(body)


def _too_large() -> McpFailure:
    return McpFailure("protocol_error", "The server's answer is too large.", -32603)


def _message(raw: bytes) -> Json:
    try:
        message = json.loads(raw, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as exc:
        raise McpFailure("protocol_error", "The server's answer is not JSON.", -32700) from exc
    if not isinstance(message, dict) or not is_shallow(message, MAX_DEPTH):
        raise McpFailure("protocol_error", "The server's answer is not a JSON-RPC message.", -32600)
    return message


def _refuse_constant(word: str) -> NoReturn:
    raise ValueError(word)


def _result(message: Json) -> Json:
    error, result = message.get("error"), message.get("result")
    if isinstance(error, dict):
        code, words = error.get("code"), str(error.get("message") or "The server refused.")
        raise McpFailure("protocol_error", words[:MAX_MESSAGE_CHARS], code if type(code) is int else -32603)
    if not isinstance(result, dict):
        raise McpFailure("protocol_error", "The server's answer is not a JSON-RPC message.", -32600)
    return result


def _tool(found: Any) -> McpTool:  # Any: JSON of whatever shape
    try:
        name, schema = found["name"], found["inputSchema"]
        description, annotations = found.get("description"), found.get("annotations")
    except (TypeError, LookupError, AttributeError) as exc:
        raise McpFailure("protocol_error", "The server's list of tools cannot be read.", -32603) from exc
    if not isinstance(name, str) or not isinstance(schema, dict):
        raise McpFailure("protocol_error", "The server's list of tools cannot be read.", -32603)
    return McpTool(
        name, schema, description if isinstance(description, str) else "",
        annotations if isinstance(annotations, dict) else None,
    )  # fmt: skip


def _fitting(tools: list[McpTool]) -> list[McpTool]:
    """Return the first tools, as many as may be told."""
    room = MAX_LIST_CHARS
    for place, tool in enumerate(tools):
        room -= len(json.dumps([tool.name, tool.description, tool.input_schema, tool.annotations]))
        if room < 0:
            return tools[:place]
    return tools


def _output(result: Json) -> str:
    """Return the words of a result; what is no text is told as JSON."""
    parts = _list(result.get("content"))
    is_text = all(isinstance(part, dict) and part.get("type") == "text" for part in parts)
    told = "\n".join(str(part.get("text", "")) for part in parts) if is_text else json.dumps(parts)
    return told[:MAX_OUTPUT_CHARS]


def _arguments(raw: str) -> Json:
    try:
        arguments = json.loads(raw)
    except (ValueError, RecursionError) as exc:
        raise McpFailure("protocol_error", "The arguments are not JSON.", -32602) from exc
    if not isinstance(arguments, dict):
        raise McpFailure("protocol_error", "The arguments are not an object.", -32602)
    return arguments


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
