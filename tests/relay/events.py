"""Server events for tests: three turns as the protocol has them, and small ones."""

import json
from pathlib import Path
from typing import Any, Final

DATA: Final = Path(__file__).resolve().parents[1] / "data"


def _trace(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (DATA / f"events_{name}.jsonl").read_text().splitlines()]


TRACES: Final = {name: _trace(name) for name in ("voice", "function-call", "interrupted")}


def said(item_id: str, delta: str) -> dict[str, Any]:
    """A piece of what the assistant says."""
    return {"type": "response.output_audio_transcript.delta", "response_id": "resp_1", "item_id": item_id,
            "output_index": 0, "content_index": 0, "delta": delta}  # fmt: skip


def user_item(item_id: str, text: str) -> dict[str, Any]:
    """What the user typed."""
    content = [{"type": "input_text", "text": text}]
    item = {"id": item_id, "type": "message", "status": "completed", "role": "user", "content": content}
    return {"type": "conversation.item.added", "previous_item_id": None, "item": item}
