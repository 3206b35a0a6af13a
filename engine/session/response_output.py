"""What a response puts out: its message, its words and its tool calls, with their events. Decides nothing."""

import base64

from engine import formats
from engine.audio import Samples
from engine.protocol_json import Json
from engine.reply import ToolCall
from engine.session import events
from engine.session.active_response import ActiveResponse
from engine.session.items import Entry, snapshot
from engine.session.state import SessionState

DELTA_MS = 200


class ResponseOutput:
    """Adds items to a response (and to the conversation, unless the response stands outside it)."""

    def __init__(self, state: SessionState) -> None:
        self._state = state

    def add_message(self, active: ActiveResponse) -> Entry:
        """Begin the message of a response."""
        item: Json = {
            "id": self._state.new_id("item"),
            "object": "realtime.item",
            "type": "message",
            "status": "in_progress",
            "role": "assistant",
            "content": [],
        }
        entry = active.message = Entry(item)
        self._add_output(active, entry)
        part = {"type": "audio", "transcript": ""} if active.is_spoken else {"type": "text", "text": ""}
        self._emit_content(active, entry, "content_part.added", part=part)
        return entry

    def _add_output(self, active: ActiveResponse, entry: Entry) -> None:
        state, index = self._state, len(active.output)
        active.output.append(entry)
        state.emit(events.output_item("added", active.response_id, index, snapshot(entry)))
        if active.conversation_id is not None:
            previous_id = state.conversation.last_id
            state.conversation.add(entry)
            state.emit(events.item_added(snapshot(entry), previous_id))

    def show_words(self, active: ActiveResponse, entry: Entry, played_ms: int | None = None) -> None:
        """Send the words that are due; all of them without `played_ms`."""
        words = active.take_due_words(played_ms)
        if words:
            name = "output_audio_transcript.delta" if active.is_spoken else "output_text.delta"
            self._emit_content(active, entry, name, delta=words)

    def send_sound(self, active: ActiveResponse, entry: Entry, samples: Samples) -> None:
        """Send 24 kHz speech inside events, in the response's format, for a client that plays it itself."""
        name = active.settings["audio"]["output"]["format"]["type"]
        sound, step = formats.encode(name, samples), formats.bytes_of_ms(name, DELTA_MS)
        for start in range(0, len(sound), step):
            delta = base64.b64encode(sound[start : start + step]).decode()
            self._emit_content(active, entry, "output_audio.delta", delta=delta)

    def _emit_content(self, active: ActiveResponse, entry: Entry, name: str, **more: object) -> None:
        index = active.output.index(entry)
        self._state.emit(events.content(name, active.response_id, entry.item_id, index, **more))

    def finish_message(self, active: ActiveResponse, entry: Entry, status: str) -> None:
        """End the message with the words that were heard. status: completed or incomplete."""
        self.show_words(active, entry)
        words = "".join(active.heard)
        entry.words, entry.audio_ms = words, active.spoken_ms
        entry.item["status"] = status
        if active.is_spoken:
            entry.item["content"] = [{"type": "output_audio", "transcript": words}]
            part = {"type": "audio", "transcript": words}
            self._emit_content(active, entry, "output_audio.done")
            self._emit_content(active, entry, "output_audio_transcript.done", transcript=words)
        else:
            entry.item["content"] = [{"type": "output_text", "text": words}]
            part = {"type": "text", "text": words}
            self._emit_content(active, entry, "output_text.done", text=words)
        self._emit_content(active, entry, "content_part.done", part=part)
        self._finish_output(active, entry)

    def call_tool(self, active: ActiveResponse, call: ToolCall) -> None:
        """Add a function call as an item of its own."""
        entry = Entry(
            {
                "id": self._state.new_id("item"),
                "object": "realtime.item",
                "type": "function_call",
                "status": "in_progress",
                "name": call.name,
                "call_id": self._state.new_id("call"),
                "arguments": "",
            },
            call.arguments,
        )
        self._add_output(active, entry)
        index = len(active.output) - 1
        for what, more in (
            ("delta", {"delta": call.arguments}),
            ("done", {"name": call.name, "arguments": call.arguments}),
        ):
            self._state.emit(events.arguments(what, active.response_id, entry.item, index, **more))
        entry.item.update(status="completed", arguments=call.arguments)
        self._finish_output(active, entry)

    def call_mcp_tool(self, active: ActiveResponse, call: ToolCall, server_label: str) -> Entry:
        """Add a call of an MCP server's tool. Its item is done when the server answered: after the response."""
        item: Json = {
            "id": self._state.new_id("mcp"),
            "type": "mcp_call",
            "server_label": server_label,
            "name": call.name,
            "arguments": "",
            "output": None,
        }
        entry = Entry(item)
        self._add_output(active, entry)
        index = len(active.output) - 1
        for what, more in (("delta", {"delta": call.arguments}), ("done", {"arguments": call.arguments})):
            self._state.emit(events.mcp_arguments(what, active.response_id, entry.item_id, index, **more))
        item["arguments"] = entry.words = call.arguments
        self._state.emit(events.output_item("done", active.response_id, index, snapshot(entry)))
        return entry

    def _finish_output(self, active: ActiveResponse, entry: Entry) -> None:
        state, index = self._state, active.output.index(entry)
        if active.conversation_id is not None and entry.item_id in state.conversation:
            state.emit(events.item_done(snapshot(entry), state.conversation.previous_id(entry.item_id)))
        state.emit(events.output_item("done", active.response_id, index, snapshot(entry)))
