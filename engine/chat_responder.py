"""Replies from an OpenAI-compatible chat endpoint, sentence by sentence as they stream in."""

import json
import logging
import re
from collections.abc import AsyncIterator

import aiohttp

from engine.protocol_json import Json
from engine.reply import ReplyPart, ReplyRequest, Sentence, ToolCall, Turn
from engine.settings import ChatEndpoint

logger = logging.getLogger(__name__)

CONNECT_TIMEOUT_S = 3.0
READ_TIMEOUT_S = 20.0
TOTAL_TIMEOUT_S = 60.0
MAX_REPLY_CHARS = 4_000
MAX_LINE_BYTES = 1 << 18
FAILURE = "I could not reach my language model, so I have no answer. Please check the chat endpoint and try again."
SENTENCE_END = re.compile(r"(?<=[.!?])[\"')\]]*\s+")


class ChatResponder:
    """Ask a chat model. Not speculative: a dropped draft would still be paid for."""

    name = "chat"
    speculative = False

    def __init__(self, endpoint: ChatEndpoint) -> None:
        self._endpoint = endpoint

    async def reply(self, request: ReplyRequest) -> AsyncIterator[ReplyPart]:
        """Yield the model's answer; on failure say so in plain words and log the kind of failure."""
        has_spoken = False
        try:
            async for part in self._ask(request):
                has_spoken = True
                yield part
        except (aiohttp.ClientError, TimeoutError, ValueError) as exc:
            logger.warning("The chat endpoint failed: %s", type(exc).__name__)
            yield Sentence("I lost the connection to my language model." if has_spoken else FAILURE)

    async def _ask(self, request: ReplyRequest) -> AsyncIterator[ReplyPart]:
        timeout = aiohttp.ClientTimeout(TOTAL_TIMEOUT_S, sock_connect=CONNECT_TIMEOUT_S, sock_read=READ_TIMEOUT_S)
        headers = {"Authorization": f"Bearer {self._endpoint.api_key}"} if self._endpoint.api_key else {}
        async with aiohttp.ClientSession(timeout=timeout, max_line_size=MAX_LINE_BYTES) as http:
            url = f"{self._endpoint.base_url}/chat/completions"
            body = chat_body(request, self._endpoint.model)
            async with http.post(url, json=body, headers=headers, allow_redirects=False) as answer:
                answer.raise_for_status()
                reader = _AnswerReader()
                async for line in answer.content:
                    for part in reader.read_line(line):
                        yield part
                    if reader.is_over:
                        break
                for part in reader.finish():
                    yield part


class _AnswerReader:
    """Put streamed deltas together into sentences and at most one tool call."""

    def __init__(self) -> None:
        self.is_over = False
        self._text = ""
        self._read_chars = 0
        self._tool_name = ""
        self._tool_arguments = ""

    def read_line(self, line: bytes) -> list[ReplyPart]:
        if not line.startswith(b"data:"):
            return []
        payload = line.removeprefix(b"data:").strip()
        if payload == b"[DONE]" or self._read_chars > MAX_REPLY_CHARS:
            self.is_over = True
            return []
        try:
            self._read_delta((json.loads(payload).get("choices") or [{}])[0].get("delta") or {})
        except (TypeError, AttributeError, LookupError) as exc:
            raise ValueError("The chat endpoint's answer is not a chat answer.") from exc
        *whole, self._text = SENTENCE_END.split(self._text)
        return [Sentence(sentence) for sentence in whole if sentence.strip()]

    def _read_delta(self, delta: Json) -> None:
        self._read_tool(delta.get("tool_calls") or [])
        self._text += delta.get("content") or ""
        self._read_chars += len(delta.get("content") or "")

    def _read_tool(self, calls: list[Json]) -> None:
        for call in calls:
            if call.get("index", 0) == 0:
                function = call.get("function") or {}
                self._tool_name += function.get("name") or ""
                self._tool_arguments += function.get("arguments") or ""

    def finish(self) -> list[ReplyPart]:
        parts: list[ReplyPart] = [Sentence(self._text)] if self._text.strip() else []
        if self._tool_name:
            parts.append(ToolCall(self._tool_name, self._tool_arguments or "{}"))
        return parts


def chat_body(request: ReplyRequest, model: str) -> Json:
    """Return the body of the chat request for a reply."""
    # The instructions of one response stand in for the session's.
    instructions = request.cue or request.instructions
    messages: list[Json] = [{"role": "system", "content": instructions}] if instructions else []
    body: Json = {"model": model, "messages": messages + [_message(turn) for turn in request.history], "stream": True}
    if request.tools and request.tool_choice != "none":
        names = ("name", "description", "parameters")
        body["tools"] = [
            {"type": "function", "function": {name: tool[name] for name in names if name in tool}}
            for tool in request.tools
        ]
        body["tool_choice"] = _tool_choice(request.tool_choice)
    return body


def _tool_choice(choice: str | Json) -> str | Json:
    return choice if isinstance(choice, str) else {"type": "function", "function": {"name": choice.get("name")}}


def _message(turn: Turn) -> Json:
    if turn.role == "tool":
        return {"role": "tool", "tool_call_id": turn.tool_call_id, "content": turn.text}
    if turn.tool_name:
        function = {"name": turn.tool_name, "arguments": turn.text}
        call = {"id": turn.tool_call_id, "type": "function", "function": function}
        return {"role": "assistant", "content": None, "tool_calls": [call]}
    return {"role": turn.role, "content": turn.text}
