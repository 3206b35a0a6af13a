"""The engine as a client of MCP servers over streamable HTTP, against one."""

import json

import pytest
from aiohttp import web

from engine.mcp import McpFailure, McpServer
from engine.mcp_client import MAX_ANSWER_BYTES, McpClient
from tests.engine.mcp_server import FIND, Shop


def asked(shop: Shop, **fields: object) -> tuple[McpClient, McpServer]:
    return McpClient(frozenset({shop.url})), McpServer("shop", shop.url, **fields)  # type: ignore[arg-type]  # a test's


async def test_every_page_of_a_list_is_read(shop: Shop) -> None:
    client, server = asked(shop, authorization="t0ken", headers=(("X-Shelf", "3"),))
    tools = await client.list_tools(server)

    assert [tool.name for tool in tools] == ["find_record", "order_record", "break_shop"]
    assert (tools[0].description, tools[0].input_schema) == (FIND["description"], FIND["inputSchema"])
    assert [tool.only_reads for tool in tools] == [True, False, False]
    assert shop.methods == ["initialize", "notifications/initialized", "tools/list", "tools/list"]
    assert (shop.headers[-1]["MCP-Protocol-Version"], shop.ended) == ("2025-06-18", 1)
    assert (shop.headers[0]["Authorization"], shop.headers[0]["X-Shelf"]) == ("Bearer t0ken", "3")


async def test_a_tool_is_run_and_its_stream_read_to_the_result(shop: Shop) -> None:
    client, server = asked(shop)

    assert await client.call_tool(server, "find_record", '{"title": "Blue"}') == "Blue: 2 copies"
    assert shop.called == [("find_record", {"title": "Blue"})]


async def test_a_tool_that_failed_says_so_itself(shop: Shop) -> None:
    client, server = asked(shop)
    with pytest.raises(McpFailure, match="The shop is broken") as failure:
        await client.call_tool(server, "break_shop", "{}")

    assert failure.value.as_json() == {"type": "tool_execution_error", "message": "The shop is broken."}


async def test_only_servers_of_the_list_are_asked(shop: Shop) -> None:
    with pytest.raises(McpFailure, match="ENGINE_MCP_SERVERS"):
        await McpClient().list_tools(McpServer("shop", shop.url))

    assert shop.methods == []


@pytest.mark.parametrize("arguments", ["[]", "{", "NaN"])
async def test_arguments_that_are_no_object_are_not_sent(shop: Shop, arguments: str) -> None:
    client, server = asked(shop)
    with pytest.raises(McpFailure, match="arguments"):
        await client.call_tool(server, "find_record", arguments)

    assert shop.called == []


def rpc(**fields: object) -> web.Response:
    return web.json_response({"jsonrpc": "2.0", "id": 2, **fields})


@pytest.mark.parametrize(("answer", "kind", "code"), [
    (lambda: web.Response(status=302, headers={"Location": "/elsewhere"}), "http_error", 302),
    (lambda: web.Response(status=500), "http_error", 500),
    (lambda: web.Response(text="?", content_type="application/json"), "protocol_error", -32700),
    (lambda: web.Response(text='{"a": NaN}', content_type="application/json"), "protocol_error", -32700),
    (lambda: web.Response(text="[" * 100_000, content_type="application/json"), "protocol_error", -32700),
    (lambda: web.Response(text="[]", content_type="application/json"), "protocol_error", -32600),
    (lambda: web.Response(text=json.dumps("x" * MAX_ANSWER_BYTES)), "protocol_error", -32603),
    (lambda: web.Response(text="data: {}\n\n", content_type="text/event-stream"), "protocol_error", -32603),
    (lambda: rpc(error={"code": -32601, "message": "No such method."}), "protocol_error", -32601),
    (lambda: rpc(error={"code": "x"}), "protocol_error", -32603),
    (lambda: rpc(result=[]), "protocol_error", -32600),
    (lambda: rpc(result={"tools": [{"name": 7, "inputSchema": {}}]}), "protocol_error", -32603),
    (lambda: rpc(result={"tools": [None]}), "protocol_error", -32603),
])  # fmt: skip
async def test_what_a_server_does_wrong_is_a_failure(shop: Shop, answer: object, kind: str, code: int) -> None:
    assert callable(answer)
    shop.answers["tools/list"] = answer()
    client, server = asked(shop)
    with pytest.raises(McpFailure) as failure:
        await client.list_tools(server)

    assert (failure.value.kind, failure.value.code) == (kind, code)


async def test_nobody_there_is_a_failure() -> None:
    url = "http://127.0.0.1:9/mcp"
    with pytest.raises(McpFailure) as failure:
        await McpClient(frozenset({url})).list_tools(McpServer("shop", url))

    assert (failure.value.kind, failure.value.code) == ("http_error", 502)


async def test_headers_that_cannot_be_sent_are_a_failure(shop: Shop) -> None:
    client, server = asked(shop, headers=(("X-Bad", "a\r\nX-More: b"),))
    with pytest.raises(McpFailure):
        await client.list_tools(server)


async def test_of_too_long_a_list_the_first_tools_are_taken(shop: Shop) -> None:
    shop.pages = [[FIND | {"name": f"tool_{number}", "description": "x" * 20_000} for number in range(9)]]
    client, server = asked(shop)

    assert [tool.name for tool in await client.list_tools(server)] == ["tool_0", "tool_1"]
