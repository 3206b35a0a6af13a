"""The conversation: items in order, made by clients or by the engine. Knows no responses and no audio bytes."""

import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass

from engine.protocol_json import Json
from engine.reply import Turn
from engine.session.errors import ProtocolError, invalid_value, missing_parameter
from engine.session.fields import MAX_NAME_CHARS, any_object, choice, fields, flag, items, nullable, read_fields, text

MAX_ITEMS = 400
MAX_CONVERSATION_CHARS = 2_000_000
CHARS_PER_TOKEN = 4
USER_MS_PER_TOKEN = 100
ASSISTANT_MS_PER_TOKEN = 50
MODELS_BILLED_BY_TOKENS = "gpt-4o"

PART = fields(
    {
        "type": choice("input_text", "output_text", "input_audio", "output_audio", "input_image", "text", "audio"),
        "text": text(),
        "transcript": nullable(text()),
        "audio": nullable(text(15 * 1024 * 1024)),
        "image_url": text(1024 * 1024),
        "detail": text(),
    },
    ("type",),
)
PARTS_OF_ROLE = {
    "user": ("input_text", "input_audio", "input_image"),
    "assistant": ("output_text",),
    "system": ("input_text",),
}
ID = text(MAX_NAME_CHARS, 1)
ITEM_FIELDS = {
    "id": text(32, 1),
    "object": choice("realtime.item"),
    "type": choice("message", "function_call", "function_call_output", "mcp_approval_response"),
    "status": choice("completed", "incomplete", "in_progress"),
    "role": choice("user", "assistant", "system"),
    "content": items(PART, 64),
    "name": text(64, 1),
    "call_id": ID,
    "arguments": text(),
    "output": text(),
    "approval_request_id": ID,
    "approve": flag,
    "reason": nullable(text()),
    "phase": nullable(any_object),
}
REQUIRED = {
    "message": ("role", "content"),
    "function_call": ("name", "arguments"),
    "function_call_output": ("call_id", "output"),
    "mcp_approval_response": ("approval_request_id", "approve"),
}
DECISION_FIELDS = ("id", "type", "approval_request_id", "approve", "reason")


@dataclass
class Entry:
    """An item as clients see it, with what they do not: its words and the length of its speech."""

    item: Json
    words: str = ""
    audio_ms: int = 0

    @property
    def item_id(self) -> str:
        return str(self.item["id"])

    @property
    def is_spoken_by_assistant(self) -> bool:
        return (
            self.item.get("role") == "assistant"
            and self.item["content"][:1] != []
            and (self.item["content"][0]["type"] == "output_audio")
        )

    def input_tokens(self) -> tuple[int, int]:
        """Return the text and audio tokens that this item costs as context."""
        if not self.audio_ms:
            return text_tokens(self.words), 0
        pace = ASSISTANT_MS_PER_TOKEN if self.item.get("role") == "assistant" else USER_MS_PER_TOKEN
        return 0, audio_tokens(self.audio_ms, pace)

    def cut_speech(self, audio_end_ms: int) -> None:
        """Keep the speech up to `audio_end_ms` and the words in proportion."""
        self.words = words_heard(self.words, audio_end_ms, self.audio_ms)
        self.audio_ms = audio_end_ms
        self.item["content"][0]["transcript"] = self.words


class Conversation:
    """Items by id, in order; the oldest are dropped beyond MAX_ITEMS or MAX_CONVERSATION_CHARS."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        self._order: list[str] = []
        self._sizes: dict[str, int] = {}

    def __iter__(self) -> Iterator[Entry]:
        return (self._entries[item_id] for item_id in self._order)

    def __contains__(self, item_id: str) -> bool:
        return item_id in self._entries

    @property
    def last_id(self) -> str | None:
        return self._order[-1] if self._order else None

    def previous_id(self, item_id: str) -> str | None:
        """Return the id of the item before this one, or None for the first and for one that is gone."""
        place = self._order.index(item_id) if item_id in self._entries else 0
        return self._order[place - 1] if place else None

    def add(self, entry: Entry, after: str | None = None) -> None:
        """Add an entry at the end, or after the item `after` ("root" for the front)."""
        place = len(self._order)
        if after is not None:
            place = 0 if after == "root" else self._order.index(after) + 1
        self._order.insert(place, entry.item_id)
        self._entries[entry.item_id] = entry
        self._sizes[entry.item_id] = len(json.dumps(entry.item))
        while len(self._order) > MAX_ITEMS or sum(self._sizes.values()) > MAX_CONVERSATION_CHARS:
            self._drop(self._order[0])

    def find(self, item_id: str) -> Entry | None:
        """Return the entry, or None."""
        return self._entries.get(item_id)

    def get(self, item_id: str, param: str = "item_id") -> Entry:
        """Return the entry; raises ProtocolError when there is none."""
        entry = self._entries.get(item_id)
        if entry is None:
            raise ProtocolError("item_not_found", f"Item with item_id '{item_id}' not found.", param)
        return entry

    def delete(self, item_id: str) -> None:
        """Remove an item; raises ProtocolError when there is none."""
        self.get(item_id)
        self._drop(item_id)

    def _drop(self, item_id: str) -> None:
        del self._entries[item_id], self._sizes[item_id]
        self._order.remove(item_id)


def read_item(unverified: object, new_id: str, new_call_id: str) -> Entry:
    """Check an item that a client wants to create and return it complete."""
    item = read_fields(unverified, "item", ITEM_FIELDS, ("type",))
    for name in REQUIRED[item["type"]]:
        if name not in item:
            raise missing_parameter(f"item.{name}")
    item = {"id": new_id, "object": "realtime.item", **item, "status": "completed"}
    if item["type"] == "message":
        _check_message(item)
    elif item["type"] == "function_call":
        item.setdefault("call_id", new_call_id)
    elif item["type"] == "mcp_approval_response":
        item = {name: item[name] for name in DECISION_FIELDS if name in item}
    return Entry(item, words_of(item))


def _check_message(item: Json) -> None:
    allowed = PARTS_OF_ROLE[item["role"]]
    for place, part in enumerate(item["content"]):
        param = f"item.content[{place}]"
        if part["type"] not in allowed:
            raise invalid_value(f"{param}.type", "one of " + ", ".join(allowed))
        if part["type"] in ("input_text", "output_text") and "text" not in part:
            raise missing_parameter(f"{param}.text")
        if part["type"] == "input_audio":
            part.pop("audio", None)
            part.setdefault("transcript", None)


def spoken_user_item(item_id: str) -> Entry:
    """Return the item that a committed stretch of speech becomes."""
    return Entry(
        {
            "id": item_id,
            "object": "realtime.item",
            "type": "message",
            "status": "completed",
            "role": "user",
            "content": [{"type": "input_audio", "transcript": None}],
        }
    )


def snapshot(entry: Entry) -> Json:
    """Copy an item for an event, so that later changes do not reach it."""
    return copy.deepcopy(entry.item)


def words_of(item: Json) -> str:
    """Return everything that an item says, as text."""
    if item["type"] == "function_call":
        return str(item["arguments"])
    if item["type"] == "function_call_output":
        return str(item["output"])
    if item["type"] == "mcp_call":
        return str(item["arguments"]) + str(item["output"] or "")
    parts = (part.get("text") or part.get("transcript") or "" for part in item.get("content", ()))
    return " ".join(part for part in parts if part)


def as_turns(entries: Iterator[Entry] | list[Entry]) -> tuple[Turn, ...]:
    """Return the conversation as whoever writes replies needs it."""
    turns: list[Turn] = []
    tool_names: dict[str, str] = {}
    for entry in entries:
        item = entry.item
        if item["type"] == "message":
            turns.append(Turn(item["role"], entry.words))
        elif item["type"] == "function_call":
            tool_names[item["call_id"]] = item["name"]
            turns.append(Turn("assistant", entry.words, item["name"], item["call_id"]))
        elif item["type"] == "mcp_call":
            turns += _turns_of_mcp(item)
        elif item["type"] == "function_call_output":
            turns.append(Turn("tool", entry.words, tool_names.get(item["call_id"], ""), item["call_id"]))
    return tuple(turns)


def _turns_of_mcp(item: Json) -> list[Turn]:
    """Return a call of an MCP server's tool and its result; nothing while there is none."""
    error = item.get("error")
    if item["output"] is None and error is None:
        return []
    result = json.dumps({"error": True, "message": error["message"]}) if error else item["output"]
    called = Turn("assistant", item["arguments"], item["name"], item["id"])
    return [called, Turn("tool", result, item["name"], item["id"])]


def words_heard(words: str, heard_ms: int, whole_ms: int) -> str:
    """Return the words that fit into the part of the speech that was heard, in proportion to their length."""
    if heard_ms >= whole_ms:
        return words
    kept = ""
    for word in words.split(" "):
        longer = f"{kept} {word}" if kept else word
        if len(longer) * whole_ms > len(words) * heard_ms:
            break
        kept = longer
    return kept


def transcription_usage(transcription: Json, entry: Entry) -> Json:
    """Return what writing a user's words down costs: tokens with the models that bill so, else seconds."""
    if not str(transcription.get("model", "")).startswith(MODELS_BILLED_BY_TOKENS):
        return {"type": "duration", "seconds": entry.audio_ms / 1000}
    audio_in, text_out = audio_tokens(entry.audio_ms, USER_MS_PER_TOKEN), text_tokens(entry.words)
    return {
        "type": "tokens",
        "total_tokens": audio_in + text_out,
        "input_tokens": audio_in,
        "output_tokens": text_out,
        "input_token_details": {"text_tokens": 0, "audio_tokens": audio_in},
    }


def text_tokens(words: str) -> int:
    """Estimate the tokens of a text."""
    return -(-len(words) // CHARS_PER_TOKEN)


def tools_tokens(tools: list[Json]) -> int:
    """Estimate the tokens that tool definitions cost in each response."""
    return text_tokens(json.dumps(tools)) if tools else 0


def audio_tokens(audio_ms: int, ms_per_token: int) -> int:
    """Count the tokens of a stretch of speech."""
    return -(-audio_ms // ms_per_token)
