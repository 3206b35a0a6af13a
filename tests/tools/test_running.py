"""What another server says when a tool asks it, in the words of the model."""

import json
from typing import Any

import pytest
import requests

from tools import registry
from tools.registry import CallContext, find_tool, voice_tool
from tools.running import run_and_wait


def answer(status: int, body: bytes) -> requests.Response:
    made = requests.Response()
    made.status_code, made.reason, made._content = status, "Unavailable", body
    return made


@pytest.mark.parametrize(("body", "words"), [
    (b'{"message": "No table is free."}', "No table is free."), (b'{"error": "closed"}', "closed"),
    (b"<html>", "503 Unavailable"), (b"[]", "503 Unavailable"),
])  # fmt: skip
def test_another_server_s_error_is_told_with_its_status(body: bytes, words: str) -> None:
    def ask() -> None:
        """Ask another server."""
        answer(503, body).raise_for_status()

    voice_tool(ask)
    tool = find_tool("ask")
    assert tool is not None
    outcome = run_and_wait(tool, context(), {}, 5)

    assert json.loads(outcome.output) == {"error": True, "message": words, "status": 503}
    assert outcome.error_code == "tool_failed"


def test_a_result_that_is_no_json_is_told_in_words() -> None:
    def ask() -> object:
        """Return something odd."""
        return {"day": registry}

    voice_tool(ask)
    tool = find_tool("ask")
    assert tool is not None
    assert "module" in json.loads(run_and_wait(tool, context(), {}, 5).output)["day"]


def context() -> CallContext:
    nobody: Any = None
    return CallContext(nobody, nobody, "assistant")
