"""Sessions of the engine that ask an MCP server, by words to its spoken result."""

from engine.protocol_json import Json
from tests.engine.caller import Caller
from tests.engine.mcp_server import Shop
from tests.engine.official_events import validate
from tests.engine.socket_client import SocketClients
from tests.engine.test_socket_session import MODEL, client_secret

TEXT = {"output_modalities": ["text"]}


def tool(shop: Shop, **fields: object) -> Json:
    return {"type": "mcp", "server_label": "shop", "server_url": shop.url, **fields}


def approval(request: Json) -> Json:
    return {"type": "mcp_approval_response", "approval_request_id": request["item"]["id"], "approve": True}


def asks_for_approval(event: Json) -> bool:
    return bool(event["item"]["type"] == "mcp_approval_request")


async def test_over_a_socket_the_server_is_asked_once_its_tool_was_approved(sockets: SocketClients, shop: Shop) -> None:
    client = await sockets.connect(MODEL)
    await client.send("session.update", session={"type": "realtime", "tools": [tool(shop)], **TEXT})
    await client.wait_for("mcp_list_tools.completed")
    await client.say_text("Find the record Blue.")
    await client.send("response.create")
    request = await client.wait_for("conversation.item.done", 0, asks_for_approval)
    assert shop.called == []
    await client.send("conversation.item.create", item=approval(request))
    await client.wait_for("response.mcp_call.completed")
    await client.send("response.create")
    told = await client.wait_for("response.output_text.done")

    assert shop.called == [("find_record", {"title": "Blue"})]
    assert told["text"] == "The find record says: Blue: 2 copies."
    for event in client.events:
        validate(event)


async def test_a_call_brings_its_servers_along_and_hears_what_failed(caller: Caller, shop: Shop) -> None:
    await caller.dial({"tools": [tool(shop, require_approval="never")], **TEXT})
    await caller.wait_for("mcp_list_tools.completed")
    caller.say_text("Break the shop.")
    caller.send("response.create")
    await caller.wait_for("response.mcp_call.failed")
    caller.send("response.create")

    assert (await caller.wait_for("response.output_text.done"))["text"] == "I am sorry: The shop is broken."


async def test_a_server_that_the_engine_may_not_ask_has_no_tools(sockets: SocketClients, base_url: str) -> None:
    secret = await client_secret(
        base_url, tools=[{"type": "mcp", "server_label": "x", "server_url": "http://127.0.0.1:9/mcp"}]
    )
    client = await sockets.connect(MODEL, key=secret)

    assert (await client.wait_for("mcp_list_tools.failed"))["item_id"]
