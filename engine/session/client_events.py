"""Client events: which fields each may have, and what it does. One function for each."""

import base64
import binascii
from collections.abc import Callable
from typing import TYPE_CHECKING

from engine import formats
from engine.protocol_json import Json
from engine.session import events
from engine.session.effects import ListenTo
from engine.session.errors import ProtocolError, invalid_value, missing_parameter
from engine.session.fields import (
    MAX_NAME_CHARS,
    Check,
    any_object,
    choice,
    fields,
    flag,
    has_field,
    integer,
    items,
    read_fields,
    text,
)
from engine.session.items import ID, ITEM_FIELDS, Entry, read_item, snapshot
from engine.session.update import (
    AUDIO_FORMAT,
    MODALITIES,
    OUTPUT_TOKENS,
    TOOL_CHOICE,
    TOOLS,
    VOICE,
    check_update,
    merge_session,
    read_session,
)

if TYPE_CHECKING:
    from engine.session.session import Session

MAX_APPEND_CHARS = 15 * 1024 * 1024
MAX_METADATA = 16


def _metadata(value: object, param: str) -> object:
    if value is None:
        return None
    known = {name: text(512) for name in value} if isinstance(value, dict) else {}
    if len(known) > MAX_METADATA or any(len(name) > 64 for name in known):
        raise invalid_value(param, "at most 16 short texts")
    return read_fields(value, param, known)


RESPONSE_FIELDS: dict[str, Check] = {
    "conversation": choice("auto", "none"),
    "input": items(fields({**ITEM_FIELDS, "type": text(64, 1)}, ("type",)), 100),
    "instructions": text(),
    "output_modalities": MODALITIES,
    "audio": fields({"output": fields({"format": AUDIO_FORMAT, "voice": VOICE})}),
    "tools": TOOLS,
    "tool_choice": TOOL_CHOICE,
    "max_output_tokens": OUTPUT_TOKENS,
    "metadata": _metadata,
    "parallel_tool_calls": flag,
    "reasoning": any_object,
    "prompt": any_object,
}
# Type of the event: its own fields, and those it must have.
FIELDS: dict[str, tuple[dict[str, Check], tuple[str, ...]]] = {
    "session.update": ({"session": any_object}, ("session",)),
    "input_audio_buffer.append": ({"audio": text(MAX_APPEND_CHARS)}, ("audio",)),
    "input_audio_buffer.commit": ({}, ()),
    "input_audio_buffer.clear": ({}, ()),
    "output_audio_buffer.clear": ({}, ()),
    "conversation.item.create": ({"item": any_object, "previous_item_id": ID}, ("item",)),
    "conversation.item.retrieve": ({"item_id": ID}, ("item_id",)),
    "conversation.item.truncate": (
        {"item_id": ID, "content_index": integer(0, 0), "audio_end_ms": integer(0, 86_400_000)},
        ("item_id", "content_index", "audio_end_ms"),
    ),
    "conversation.item.delete": ({"item_id": ID}, ("item_id",)),
    "response.create": ({"response": fields(RESPONSE_FIELDS)}, ()),
    "response.cancel": ({"response_id": ID}, ()),
}


def handle(session: "Session", unverified: object) -> None:
    """Check one client event and carry it out; raises ProtocolError when that is not possible."""
    if not isinstance(unverified, dict):
        raise ProtocolError("invalid_json", "A client event must be a JSON object.")
    event_type = unverified.get("type")
    if event_type is None:
        raise missing_parameter("type")
    if not isinstance(event_type, str) or event_type not in FIELDS:
        raise invalid_value("type", "one of " + ", ".join(FIELDS))
    known, required = FIELDS[event_type]
    shape = {"type": choice(event_type), "event_id": text(MAX_NAME_CHARS), **known}
    HANDLERS[event_type](session, read_fields(unverified, "", shape, required))


def _update_session(session: "Session", event: Json) -> None:
    state = session.state
    refused = session.refused_field()
    if refused and has_field(event, refused):
        raise invalid_value(refused, "its present value")
    changes = check_update(state.config, read_session(event["session"]), state.has_spoken)
    state.config = merge_session(state.config, changes)
    session.input_audio.configure()
    state.emit(events.session_updated(state.config))
    session.mcp.configure()


def _append_audio(session: "Session", event: Json) -> None:
    try:
        sound = base64.b64decode(event["audio"], validate=True)
    except (binascii.Error, ValueError) as exc:
        raise invalid_value("audio", "base64 text") from exc
    session.state.do(ListenTo(*formats.decode(session.state.config["audio"]["input"]["format"]["type"], sound)))


def _commit_audio(session: "Session", event: Json) -> None:
    session.input_audio.commit()


def _clear_input(session: "Session", event: Json) -> None:
    session.input_audio.clear()


def _clear_output(session: "Session", event: Json) -> None:
    if not session.state.is_paced:
        raise ProtocolError("invalid_value", "Only calls over WebRTC have an output audio buffer.", "type")
    session.responses.interrupt("client_cancelled")


def _create_item(session: "Session", event: Json) -> None:
    state = session.state
    entry = read_item(event["item"], state.new_id("item"), state.new_id("call"))
    if entry.item_id in state.conversation:
        raise ProtocolError("invalid_value", f"Item '{entry.item_id}' exists already.", "item.id")
    after = event.get("previous_item_id")
    if after not in (None, "root"):
        state.conversation.get(str(after), "previous_item_id")
    is_decision = entry.item["type"] == "mcp_approval_response"
    if is_decision:
        session.mcp.check_decision(entry.item)
    state.conversation.add(entry, after)
    previous_id = state.conversation.previous_id(entry.item_id)
    state.emit(events.item_added(snapshot(entry), previous_id))
    state.emit(events.item_done(snapshot(entry), previous_id))
    if is_decision:
        session.mcp.decide(entry.item)


def _retrieve_item(session: "Session", event: Json) -> None:
    session.state.emit(events.item_retrieved(snapshot(session.state.conversation.get(event["item_id"]))))


def _truncate_item(session: "Session", event: Json) -> None:
    entry = session.state.conversation.get(event["item_id"])
    if not entry.is_spoken_by_assistant:
        raise ProtocolError("unsupported_content_type", "Only the assistant's audio can be truncated.", "item_id")
    if event["audio_end_ms"] > entry.audio_ms:
        raise invalid_value("audio_end_ms", f"at most the item's {entry.audio_ms} ms of audio")
    entry.cut_speech(event["audio_end_ms"])
    session.state.emit(events.item_truncated(entry.item_id, entry.audio_ms))


def _delete_item(session: "Session", event: Json) -> None:
    session.state.conversation.delete(event["item_id"])
    session.state.emit(events.item_deleted(event["item_id"]))


def _create_response(session: "Session", event: Json) -> None:
    settings = event.get("response", {})
    entries = [_input_entry(session, item) for item in settings["input"]] if "input" in settings else None
    session.responses.begin(settings, entries, words_are_known=not session.input_audio.is_recognising)


def _input_entry(session: "Session", item: Json) -> Entry:
    if item["type"] == "item_reference":
        return session.state.conversation.get(item.get("id", ""), "response.input")
    return read_item(item, session.state.new_id("item"), session.state.new_id("call"))


def _cancel_response(session: "Session", event: Json) -> None:
    session.responses.cancel(event.get("response_id"))


HANDLERS: dict[str, Callable[["Session", Json], None]] = {
    "session.update": _update_session,
    "input_audio_buffer.append": _append_audio,
    "input_audio_buffer.commit": _commit_audio,
    "input_audio_buffer.clear": _clear_input,
    "output_audio_buffer.clear": _clear_output,
    "conversation.item.create": _create_item,
    "conversation.item.retrieve": _retrieve_item,
    "conversation.item.truncate": _truncate_item,
    "conversation.item.delete": _delete_item,
    "response.create": _create_response,
    "response.cancel": _cancel_response,
}
