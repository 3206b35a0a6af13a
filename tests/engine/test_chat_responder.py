"""Replies from a chat endpoint, played by a local server."""

import json
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from engine.chat_responder import FAILURE, ChatResponder
from engine.protocol_json import Json
from engine.reply import ReplyPart, ReplyRequest, Sentence, ToolCall, Turn
from engine.settings import ChatEndpoint

TOOL: Json = {"type": "function", "name": "find_book", "description": "Find.", "parameters": {"type": "object"}}
ASK = ReplyRequest((Turn("user", "Hello"),), instructions="Be brief.")


class Endpoint:
    def __init__(self) -> None:
        self.url = ""
        self.deltas: list[Json] = []
        self.status = 200
        self.body: Json = {}

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.body = await request.json()
        if self.status != 200:
            return web.Response(status=self.status)
        response = web.StreamResponse()
        await response.prepare(request)
        for delta in self.deltas:
            await response.write(b"data: " + json.dumps({"choices": [{"delta": delta}]}).encode() + b"\n\n")
        await response.write(b"data: [DONE]\n\n")
        return response


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    made = Endpoint()
    app = web.Application()
    app.router.add_post("/v1/chat/completions", made.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    yield made
    await runner.cleanup()


async def parts_of(url: str, request: ReplyRequest = ASK) -> list[ReplyPart]:
    return [part async for part in ChatResponder(ChatEndpoint(url, "small")).reply(request)]


async def test_streamed_text_becomes_sentences(endpoint: Endpoint) -> None:
    endpoint.deltas = [{"content": text} for text in ("Hel", "lo. How", " are you? Fine")]

    assert await parts_of(endpoint.url) == [Sentence("Hello."), Sentence("How are you?"), Sentence("Fine")]


async def test_the_conversation_and_the_tools_are_sent(endpoint: Endpoint) -> None:
    history = (Turn("user", "Dune?"), Turn("assistant", "{}", "find_book", "c1"), Turn("tool", "2", "find_book", "c1"))

    await parts_of(endpoint.url, ReplyRequest(history, instructions="Be brief.", tools=(TOOL,)))

    assert [message["role"] for message in endpoint.body["messages"]] == ["system", "user", "assistant", "tool"]
    assert endpoint.body["tools"][0]["function"]["name"] == "find_book"


async def test_a_streamed_tool_call_is_put_together(endpoint: Endpoint) -> None:
    pieces = [{"name": "find_book", "arguments": ""}, {"arguments": '{"a"'}, {"arguments": ":1}"}]
    endpoint.deltas = [{"tool_calls": [{"index": 0, "function": piece}]} for piece in pieces]

    assert await parts_of(endpoint.url) == [ToolCall("find_book", '{"a":1}')]


async def test_a_refusal_is_told_plainly(endpoint: Endpoint) -> None:
    endpoint.status = 500

    assert await parts_of(endpoint.url) == [Sentence(FAILURE)]


async def test_an_endpoint_that_is_not_there_is_told_plainly() -> None:
    assert await parts_of("http://127.0.0.1:9/v1") == [Sentence(FAILURE)]


async def test_garbage_is_told_plainly(endpoint: Endpoint) -> None:
    endpoint.deltas = [{"content": ["not", "text"]}]

    assert await parts_of(endpoint.url) == [Sentence(FAILURE)]
