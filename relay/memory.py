"""What a voice session remembers, as far as another one can be told it: its items as text, in their order.

Sound cannot be told: what somebody said is told in the words that were written down.
"""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Final

from relay.acts import Act, Reaction
from relay.conversation import TRANSCRIPTION, Event, words_of

MAX_ITEMS: Final = 200  # the newest; what came before them is not told
MAX_CHARS: Final = 60_000
TEXT_PARTS: Final = {"user": "input_text", "system": "input_text", "assistant": "output_text"}
TOOL_FIELDS: Final = {
    "function_call": ("id", "type", "call_id", "name", "arguments"),
    "function_call_output": ("id", "type", "call_id", "output"),
}


class Memory(Act):
    """The items of one call's conversation, followed from its beginning."""

    def __init__(self) -> None:
        self._items: dict[str, Event] = {}
        self._order: list[str] = []
        self._words: dict[str, str] = {}
        self._unwritten: set[str] = set()
        self._open_tool_calls: set[str] = set()
        self._is_speaking = False
        self._writes_down = False  # whether what somebody says is written down

    @property
    def is_settled(self) -> bool:
        """Whether nothing is under way that would be lost: somebody's turn, its words, or a tool's answer."""
        return not (self._is_speaking or self._unwritten or self._open_tool_calls)

    def take(self, event: Event, now: datetime) -> Reaction:
        handler = HANDLERS.get(str(event.get("type")))
        if handler is not None:
            with suppress(KeyError, TypeError, AttributeError):  # an item that cannot be read cannot be told either
                handler(self, event)
        return Reaction()

    def seeds(self) -> list[Event]:
        """Return the items to be told to a session that knows nothing, the newest that fit, under their own ids."""
        chosen: list[Event] = []
        left = MAX_CHARS
        for item_id in reversed(self._order):
            seed = self._seed(self._items[item_id])
            if seed is None:
                continue
            left -= len(str(seed))
            if left < 0 or len(chosen) == MAX_ITEMS:
                break
            chosen.append(seed)
        return chosen[::-1]

    def _seed(self, item: Event) -> Event | None:
        if item["type"] in TOOL_FIELDS:
            return {name: item[name] for name in TOOL_FIELDS[item["type"]]}
        part_type = TEXT_PARTS.get(item.get("role", ""))
        words = self._words.get(item["id"]) or (words_of(item) if part_type else "")
        if part_type is None or not words:
            return None
        content = [{"type": part_type, "text": words}]
        return {"id": item["id"], "type": "message", "role": item["role"], "content": content}

    def _take_session(self, event: Event) -> None:
        self._writes_down = bool(event["session"]["audio"]["input"].get("transcription"))

    def _take_item(self, event: Event) -> None:
        item: Event = dict(event["item"])
        if item["id"] not in self._items:
            self._put(str(item["id"]), event.get("previous_item_id"))
            if self._writes_down and any(part["type"] == "input_audio" for part in item.get("content") or ()):
                self._unwritten.add(item["id"])
        self._items[item["id"]] = item
        if item["type"] == "function_call" and item.get("status") == "completed":
            self._open_tool_calls.add(item["call_id"])
        elif item["type"] == "function_call_output":
            self._open_tool_calls.discard(item["call_id"])

    def _put(self, item_id: str, previous_id: object) -> None:
        place = self._order.index(previous_id) + 1 if previous_id in self._order else len(self._order)
        self._order.insert(place, item_id)

    def _take_words(self, event: Event) -> None:
        self._unwritten.discard(event["item_id"])
        self._words[event["item_id"]] = str(event.get("transcript") or "")

    def _take_deletion(self, event: Event) -> None:
        item = self._items.pop(event["item_id"], None)
        if item is not None:
            self._order.remove(item["id"])
            self._unwritten.discard(item["id"])
            self._open_tool_calls.discard(item.get("call_id", ""))

    def _take_speech(self, event: Event) -> None:
        self._is_speaking = True

    def _take_turn_end(self, event: Event) -> None:
        self._is_speaking = False


HANDLERS: Final[dict[str, Callable[[Memory, Event], None]]] = {
    "session.created": Memory._take_session,
    "session.updated": Memory._take_session,
    "conversation.item.added": Memory._take_item,
    "conversation.item.created": Memory._take_item,
    "conversation.item.done": Memory._take_item,
    "conversation.item.deleted": Memory._take_deletion,
    f"{TRANSCRIPTION}.completed": Memory._take_words,
    f"{TRANSCRIPTION}.failed": Memory._take_words,
    "input_audio_buffer.speech_started": Memory._take_speech,
    "input_audio_buffer.committed": Memory._take_turn_end,
    "input_audio_buffer.cleared": Memory._take_turn_end,
}
