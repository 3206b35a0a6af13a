"""What a call's server events mean: events and times in, changes out. For sidebands and relayed sockets alike.

Pure: no database, socket or clock. Words are kept as they were said: what an interruption or a deletion takes out of
the model's memory stays here, marked. Whatever is said of a response or an item twice is counted once.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal

from agents.handoffs import PREFIX
from usage.cost import read_usage
from usage.exceptions import UnreadableUsage
from usage.models import Meter

MAX_LINES: Final = 2_000
MAX_TEXT_CHARS: Final = 20_000
MAX_ID_CHARS: Final = 128
MAX_HEARD_MS: Final = 86_400_000
RETOLD: Final = "retold"  # the role of what a client put in as words of the assistant's
UNSEEN: Final = "unseen"  # stands for the id of a response whose beginning was missed

Event = dict[str, Any]  # Any: an event as it came; what is read of it is checked where it is read
Status = Literal["partial", "done", "interrupted"]
Kind = Literal["response", "transcription"]


@dataclass
class Line:
    """One item of the conversation as history keeps it. heard_ms: how much was played of one that was cut short."""

    item_id: str
    started_at: datetime
    previous_item_id: str = ""
    role: str = ""
    text: str = ""
    status: Status = "partial"
    ended_at: datetime | None = None
    heard_ms: int | None = None


@dataclass(frozen=True)
class Usage:
    """What one response, or the writing down of one item, used. source_id: of the response or item."""

    kind: Kind
    source_id: str
    model: str
    outcome: str
    counts: dict[Meter, int]
    at: datetime


@dataclass(frozen=True)
class ToolCalled:
    tool_call_id: str
    name: str
    arguments: str
    at: datetime


@dataclass
class Changes:
    """What is new since the last time. lines: as they are now."""

    lines: list[Line] = field(default_factory=list)
    usage: list[Usage] = field(default_factory=list)
    tools: list[ToolCalled] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.lines or self.usage or self.tools)


class Conversation:
    """The conversation of one call, as far as it was seen.

    session: as it is live, None until it was told. ended_by: the code of an error after which there is no session.
    uncounted: how many responses ended without usage that can be read. active_at: when somebody last spoke, or typed.
    """

    def __init__(self, now: datetime, lines: Iterable[Line] = (), counted: Iterable[tuple[str, str]] = ()) -> None:
        self.session: dict[str, Any] | None = None  # Any: the session as it came
        self.ended_by = ""
        self.uncounted = 0
        self.active_at = now
        self._lines = {line.item_id: line for line in lines}
        self._counted: set[tuple[str, str]] = set(counted)
        self._tool_call_ids: set[str] = set()
        self._handoffs: dict[str, str] = {}  # items by the call's ids, until their outcome is known
        self._speaking: set[str] = set()
        self._unfinished: set[str] = set()  # responses whose usage is still to be told
        self.responding = ""  # the id of the response in progress in the conversation, which has one at a time
        self._apart: set[str] = set()  # responses in progress outside of it, as clients may ask for
        self._tells_apart = False  # whether the upstream names the conversation of those that are in it
        self._is_prompted = True  # by somebody who spoke, not by their silence
        self._changed: dict[str, Line] = {}
        self._new = Changes()

    @property
    def is_speaking(self) -> bool:
        """Whether the assistant can be heard right now, as far as the upstream tells."""
        return bool(self._speaking)

    @property
    def is_answer_uncounted(self) -> bool:
        """Whether a response began and has not told what it used."""
        return bool(self._unfinished)

    @property
    def in_progress(self) -> set[str]:
        """The ids of all responses in progress, within the conversation and apart from it."""
        return self._apart | {self.responding} - {""}

    def note_missed(self) -> None:
        """Believe that nothing is being said: whether what was is over may have been missed."""
        self.responding = ""
        self._apart.clear()
        self._speaking.clear()

    def lines(self) -> list[Line]:
        """Return the conversation in its order."""
        return in_order(list(self._lines.values()))

    def take(self, event: Event, now: datetime) -> None:
        """Follow one server event. What cannot be read changes nothing."""
        self._follow(HANDLERS.get(str(event.get("type"))), event, now)

    def take_own(self, event: Event, now: datetime) -> None:
        """Follow the event that adds an item of the server's."""
        self._follow(Conversation._take_own_item, event, now)

    def _follow(self, handler: "Handler | None", event: Event, now: datetime) -> None:
        if handler is None:
            return
        try:
            handler(self, event, now)
        except (KeyError, TypeError, AttributeError, ValueError, OverflowError):
            self.uncounted += event.get("type") == "response.done"

    def drain(self) -> Changes:
        """Return what is new since the last call."""
        changes, self._new = self._new, Changes()
        changes.lines, self._changed = list(self._changed.values()), {}
        return changes

    def take_back(self, changes: Changes) -> None:
        """Hand changes out once more, because they could not be kept."""
        self._changed = {line.item_id: line for line in changes.lines} | self._changed
        self._new = Changes([], changes.usage + self._new.usage, changes.tools + self._new.tools)

    # The session.

    def _take_session(self, event: Event, now: datetime) -> None:
        self.session = dict(event["session"])

    def _take_error(self, event: Event, now: datetime) -> None:
        if event["error"].get("code") == "session_expired":
            self.ended_by = "session_expired"

    # Items.

    def _take_item(self, event: Event, now: datetime) -> None:
        """Take an item that the model makes, or its client put in: what that one says of tools proves nothing."""
        item, previous_item_id = event["item"], event.get("previous_item_id") or ""
        if item["type"] == "mcp_approval_response":
            self._take_item_json(item, now, previous_item_id)
        if item["type"] != "message":
            return
        if item["role"] == "user":
            self._note_person(now)
        is_put_in = item["role"] == "assistant" and event["type"] in ADDED and bool(words_of(item))
        self._take_message(item, now, RETOLD if is_put_in else item["role"], previous_item_id)

    def _take_own_item(self, event: Event, now: datetime) -> None:
        if event["item"]["type"] == "function_call_output":
            self._take_tool_output(event["item"])
        else:
            self._take_item_json(event["item"], now, event.get("previous_item_id") or "")

    def _take_model_item(self, event: Event, now: datetime) -> None:
        self._take_item_json(event["item"], now)

    def _take_message(self, item: Event, now: datetime, role: str, previous_item_id: str) -> None:
        line = self._line(item["id"], now, role, previous_item_id)
        if line is not None:
            self._say(line, words_of(item), now, self._status_of(item))

    def _take_item_json(self, item: Event, now: datetime, previous_item_id: str = "") -> None:
        if item["type"] == "message":
            self._take_message(item, now, item["role"], previous_item_id)
        elif item["type"] == "function_call" and item.get("status") == "completed":
            self._take_tool_call(item, now, previous_item_id)
        elif item["type"] == "mcp_call" and (item.get("output") is not None or item.get("error") is not None):
            called = {"call_id": item["id"], "name": f"{item['server_label']}.{item['name']}"}
            self._take_tool_call(item | called, now, previous_item_id)
        elif item["type"] == "mcp_approval_response":
            decided = "mcp_approved" if item["approve"] else "mcp_declined"
            decision = {"call_id": item["approval_request_id"], "name": decided, "arguments": ""}
            self._take_tool_call(item | decision, now, previous_item_id)

    def _status_of(self, item: Event) -> Status:
        status = item.get("status")
        if status == "incomplete":
            return "interrupted"
        has_all_words = all(part.get("transcript") is not None for part in item["content"] if "audio" in part["type"])
        return "done" if status == "completed" and has_all_words else "partial"

    def _take_tool_call(self, item: Event, now: datetime, previous_item_id: str) -> None:
        tool_call_id = _id(item["call_id"])
        if tool_call_id in self._tool_call_ids or item["id"] in self._lines:
            return
        self._tool_call_ids.add(tool_call_id)
        name, arguments = str(item["name"])[:64], str(item["arguments"])[:MAX_TEXT_CHARS]
        if name.startswith(PREFIX):
            self._handoffs[tool_call_id] = _id(item["id"])
        else:
            self._new.tools.append(ToolCalled(tool_call_id, name, arguments, now))
        line = self._line(item["id"], now, "tool", previous_item_id)
        if line is not None:
            self._say(line, f"{name}({arguments})", now, "done")

    def _take_tool_output(self, item: Event) -> None:
        """Turn the line of a handoff that succeeded into a mark that names the new agent."""
        line = self._lines.get(self._handoffs.pop(item["call_id"], ""))
        if line is None:
            return
        output = json.loads(item["output"])
        if isinstance(output, dict) and isinstance(output.get("assistant"), str):
            line.role, line.text = "handoff", output["assistant"][:MAX_TEXT_CHARS]
            self._changed[line.item_id] = line

    def _take_delta(self, event: Event, now: datetime) -> None:
        self._note_words(event, now)
        line = self._line(event["item_id"], now, _role_of(event))
        if line is not None and line.status == "partial":
            line.text = (line.text + str(event["delta"]))[:MAX_TEXT_CHARS]
            self._changed[line.item_id] = line

    def _take_words(self, event: Event, now: datetime) -> None:
        """Take the whole of an item's words; whether they were all heard is told elsewhere."""
        line = self._line(event["item_id"], now, _role_of(event))
        if line is not None:
            self._say(line, str(event.get("transcript") or event.get("text") or ""), now, line.status)

    def _take_transcription(self, event: Event, now: datetime) -> None:
        self._note_person(now)
        line = self._line(event["item_id"], now, "user")
        if line is not None:
            self._say(line, str(event["transcript"]), now, "done")
        model = (((self.session or {}).get("audio") or {}).get("input") or {}).get("transcription") or {}
        self._count("transcription", event["item_id"], model.get("model"), "completed", event.get("usage"), now)

    def _take_no_transcription(self, event: Event, now: datetime) -> None:
        line = self._line(event["item_id"], now, "user")
        if line is not None:
            self._say(line, "", now, "done")

    def _take_truncation(self, event: Event, now: datetime) -> None:
        line = self._line(event["item_id"], now, "assistant")
        if line is not None:
            line.heard_ms = max(0, min(int(event["audio_end_ms"]), MAX_HEARD_MS))
            self._say(line, "", now, "interrupted")

    def _line(self, item_id: object, now: datetime, role: str, previous_item_id: str = "") -> Line | None:
        """Return an item's line, a new one if need be; None when there are too many."""
        line = self._lines.get(_id(item_id))
        if line is None:
            if len(self._lines) >= MAX_LINES:
                return None
            line = self._lines[_id(item_id)] = self._changed[_id(item_id)] = Line(_id(item_id), now)
        if not line.role or (previous_item_id and not line.previous_item_id):
            line.role, line.previous_item_id = role, previous_item_id[:MAX_ID_CHARS]
            self._changed[line.item_id] = line
        return line

    def _say(self, line: Line, text: str, now: datetime, status: Status) -> None:
        """Set a line's words and status. Words are never taken back, and neither is the mark of an interruption."""
        text, is_open = text[:MAX_TEXT_CHARS], line.status == "partial"
        if not text or not (is_open or len(text) > len(line.text)):
            text = line.text
        if not is_open and status != "interrupted":
            status = line.status
        if (text, status) == (line.text, line.status):
            return
        line.ended_at = now if status != "partial" and line.ended_at is None else line.ended_at
        line.text, line.status = text, status
        self._changed[line.item_id] = line

    # Responses.

    def _take_response_start(self, event: Event, now: datetime) -> None:
        response_id, conversation_id = _id(event["response"]["id"]), event["response"].get("conversation_id")
        self._unfinished.add(response_id)
        self._tells_apart |= bool(conversation_id)
        if self._tells_apart and conversation_id is None:
            self._apart.add(response_id)
        else:
            self.responding = response_id

    def note_responding(self) -> None:
        """Note that a response is in progress, even if its beginning was not seen."""
        self.responding = self.responding or UNSEEN

    def _take_response(self, event: Event, now: datetime) -> None:
        self._note_words(event, now)
        response = event["response"]
        self._unfinished.discard(_id(response["id"]))
        self._apart.discard(response["id"])
        if self.responding in (response["id"], UNSEEN):
            self.responding = ""
        for item in response.get("output") or ():
            self._take_item_json(item, now)
        outcome = str(response.get("status", ""))[:20]
        self._count("response", response["id"], (self.session or {}).get("model"), outcome, response.get("usage"), now)

    def _count(
        self, kind: Kind, source_id: object, model: object, outcome: str, raw_usage: object, now: datetime
    ) -> None:
        key = (kind, _id(source_id))
        if key in self._counted:
            return
        try:
            counts = read_usage(raw_usage) if isinstance(raw_usage, dict) else None
        except UnreadableUsage:
            counts = None
        if counts is None:
            self.uncounted += 1
            return
        self._counted.add(key)
        self._new.usage.append(Usage(kind, key[1], str(model or "")[:80], outcome, counts, now))

    # Who is active.

    def _note_person(self, now: datetime) -> None:
        self._is_prompted, self.active_at = True, now

    def _take_speech(self, event: Event, now: datetime) -> None:
        self._note_person(now)

    def _take_silence(self, event: Event, now: datetime) -> None:
        """What the assistant says to somebody silent must not keep their call alive."""
        self._is_prompted = False

    def _note_words(self, event: Event, now: datetime) -> None:
        if self._is_prompted:
            self.active_at = now

    def _take_playback(self, event: Event, now: datetime) -> None:
        self._note_words(event, now)
        self._speaking.add(_id(event["response_id"]))

    def _take_playback_end(self, event: Event, now: datetime) -> None:
        self._note_words(event, now)
        self._speaking.discard(_id(event["response_id"]))


TRANSCRIPTION: Final = "conversation.item.input_audio_transcription"
ADDED: Final = frozenset({"conversation.item.added", "conversation.item.created"})  # empty, where the model makes it
Handler = Callable[[Conversation, Event, datetime], None]
HANDLERS: Final[dict[str, Handler]] = {
    "session.created": Conversation._take_session,
    "session.updated": Conversation._take_session,
    "error": Conversation._take_error,
    "conversation.item.added": Conversation._take_item,
    "conversation.item.created": Conversation._take_item,
    "conversation.item.done": Conversation._take_item,
    "conversation.item.truncated": Conversation._take_truncation,
    f"{TRANSCRIPTION}.delta": Conversation._take_delta,
    f"{TRANSCRIPTION}.completed": Conversation._take_transcription,
    f"{TRANSCRIPTION}.failed": Conversation._take_no_transcription,
    "response.output_audio_transcript.delta": Conversation._take_delta,
    "response.output_audio_transcript.done": Conversation._take_words,
    "response.output_text.delta": Conversation._take_delta,
    "response.output_text.done": Conversation._take_words,
    "response.output_item.done": Conversation._take_model_item,
    "response.created": Conversation._take_response_start,
    "response.done": Conversation._take_response,
    "input_audio_buffer.speech_started": Conversation._take_speech,
    "input_audio_buffer.speech_stopped": Conversation._take_speech,
    "input_audio_buffer.committed": Conversation._take_speech,
    "input_audio_buffer.dtmf_event_received": Conversation._take_speech,
    "input_audio_buffer.timeout_triggered": Conversation._take_silence,
    "output_audio_buffer.started": Conversation._take_playback,
    "output_audio_buffer.stopped": Conversation._take_playback_end,
    "output_audio_buffer.cleared": Conversation._take_playback_end,
}


def in_order(lines: list[Line]) -> list[Line]:
    """Return lines as the conversation has them: each behind the one that it names, else by time."""
    ordered: list[str] = []
    by_id = {line.item_id: line for line in lines}
    for line in sorted(lines, key=lambda line: line.started_at):
        place = len(ordered)
        if line.previous_item_id in by_id and line.previous_item_id in ordered:
            place = ordered.index(line.previous_item_id) + 1
        ordered.insert(place, line.item_id)
    return [by_id[item_id] for item_id in ordered]


def _role_of(event: Event) -> str:
    return "user" if event["type"].startswith(TRANSCRIPTION) else "assistant"


def words_of(item: Event) -> str:
    """Return the words of a message."""
    parts = (part.get("text") or part.get("transcript") or "" for part in item["content"])
    return " ".join(str(part) for part in parts if part)


def _id(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("no id")
    return value[:MAX_ID_CHARS]
