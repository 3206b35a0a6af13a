"""What a client may say on a socket that we relay: an allow-list of its events and of their fields.

Whatever the upstream's parser reads must be what was checked here, so JSON that two parsers could read differently is
refused, and an event that was changed is written anew.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from realtime_api.masking import shown_name
from realtime_api.session import InvalidSession, check_session

MAX_DEPTH: Final = 32  # a tool's JSON schema needs about ten
MAX_EVENT_ID_CHARS: Final = 512
MAX_AUDIO_SHELL_CHARS: Final = 700  # an audio event without its audio
MAX_KNOWN_SHELLS: Final = 64
AUDIO_NAME: Final = '"audio":'
APPEND: Final = "input_audio_buffer.append"
EVENT_FIELDS: Final = {
    "session.update": frozenset({"session"}),
    APPEND: frozenset({"audio"}),
    "input_audio_buffer.commit": frozenset[str](),
    "input_audio_buffer.clear": frozenset[str](),
    "output_audio_buffer.clear": frozenset[str](),
    "conversation.item.create": frozenset({"item", "previous_item_id"}),
    "conversation.item.retrieve": frozenset({"item_id"}),
    "conversation.item.truncate": frozenset({"item_id", "content_index", "audio_end_ms"}),
    "conversation.item.delete": frozenset({"item_id"}),
    "response.create": frozenset({"response"}),
    "response.cancel": frozenset({"response_id"}),
}
COMMON_FIELDS: Final = frozenset({"type", "event_id"})
# What everybody may change of a session: how their own side speaks, hears and takes turns; `drift.OWNED` has the rest.
CLIENTS_SESSION_FIELDS: Final = frozenset(
    {
        "type", "audio.input.format", "audio.input.noise_reduction", "audio.input.turn_detection",
        "audio.output.format", "audio.output.speed",
    }
)  # fmt: skip
# Nobody's: the first cannot change in a session, the others copy it to the upstream's dashboard or are going away.
NOBODYS_SESSION_FIELDS: Final = frozenset({"model", "tracing", "prompt"})
CLIENTS_RESPONSE_FIELDS: Final = frozenset({"conversation", "input", "metadata", "output_modalities"})
OWN_RESPONSE_FIELDS: Final = CLIENTS_RESPONSE_FIELDS | {
    "audio", "instructions", "max_output_tokens", "parallel_tool_calls", "reasoning", "tool_choice", "tools",
}  # fmt: skip
ITEM_FIELDS: Final = frozenset(
    {
        "approval_request_id",
        "approve",
        "arguments",
        "call_id",
        "content",
        "id",
        "name",
        "object",
        "output",
        "reason",
        "role",
        "status",
        "type",
    }
)
ITEM_IDS: Final = frozenset({"id", "call_id", "type", "role"})
CLIENTS_ITEMS: Final = frozenset({"message", "function_call_output", "item_reference"})
OWN_ITEMS: Final = CLIENTS_ITEMS | {"function_call", "mcp_approval_response"}
CLIENTS_ROLES: Final = frozenset({"user", "assistant"})
OWN_ROLES: Final = CLIENTS_ROLES | {"system"}


class InvalidClientEvent(ValueError):
    """The text is no event at all; the message holds nothing of it."""


class RefusedClientEvent(ValueError):
    """An event that is not forwarded; the socket goes on. The words are for an `error` event."""

    def __init__(self, code: str, message: str, *, param: str | None, event_id: str | None) -> None:
        super().__init__(message)
        self.code, self.message, self.param, self.event_id = code, message, param, event_id


@dataclass(frozen=True)
class Rights:
    """What a client may name. own_session: instructions, tools and the like, too.

    check_voice, check_tools: raise for what is not; check_tools gets a session's, or a response's, `tools`.
    may_approve: whether a client decides what an MCP server may do.
    """

    own_session: bool
    check_voice: Callable[[str], None]
    check_tools: Callable[[object], None]
    may_approve: bool = True


@dataclass(frozen=True)
class CheckedEvent:
    """An event as it may be forwarded. left_out: the fields that were the client's wish and are the server's to say."""

    event: dict[str, Any]
    text: str
    left_out: tuple[str, ...] = ()


_known_shells: set[str] = set()


def is_audio(text: str) -> bool:
    """Tell whether a text is a plain `input_audio_buffer.append`, without reading the audio.

    The audio is cut out and what is left is read: a string that holds no quotation mark and does not end in a
    backslash cannot change how the rest is read. Few clients write the rest in more than one way.
    """
    name = text.find(AUDIO_NAME, 0, MAX_AUDIO_SHELL_CHARS)
    start = text.find('"', name + len(AUDIO_NAME)) + 1
    end = text.find('"', start)
    if name < 0 or not start or end < 0 or text[end - 1] == "\\":
        return False
    shell = text[:start] + text[end:]
    return shell in _known_shells or _is_audio_shell(shell)


def _is_audio_shell(shell: str) -> bool:
    if len(shell) > MAX_AUDIO_SHELL_CHARS:
        return False
    try:
        event = parse_event(shell)
    except InvalidClientEvent:
        return False
    event_id = event.get("event_id", "")
    is_plain = (
        event.keys() <= COMMON_FIELDS | EVENT_FIELDS[APPEND]
        and event.get("type") == APPEND
        and event.get("audio") == ""
        and isinstance(event_id, str)
        and len(event_id) <= MAX_EVENT_ID_CHARS
    )
    if is_plain and not event_id and len(_known_shells) < MAX_KNOWN_SHELLS:
        _known_shells.add(shell)
    return is_plain


def parse_event(text: str) -> dict[str, Any]:
    """Return an event's fields. Raises InvalidClientEvent for what is no JSON object, ambiguous or too deep."""
    try:
        event = json.loads(text, object_pairs_hook=_unique_names, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as exc:
        raise InvalidClientEvent("The event is not JSON, or a name stands in it twice.") from exc
    if not isinstance(event, dict):
        raise InvalidClientEvent("The event is not a JSON object.")
    _refuse_depth(event)
    return event


def _unique_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = dict(pairs)
    if len(names) != len(pairs):
        raise ValueError
    return names


def _refuse_constant(word: str) -> NoReturn:
    raise ValueError(word)


def _refuse_depth(event: dict[str, Any]) -> None:
    level: list[Any] = [event]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return
    raise InvalidClientEvent(f"The event is nested deeper than {MAX_DEPTH} levels.")


def check_event(text: str, rights: Rights) -> CheckedEvent:
    """Return an event as it may be forwarded. Raises InvalidClientEvent and RefusedClientEvent."""
    return _Check(parse_event(text), rights).checked(text)


class _Check:
    """One event on its way through the lists."""

    def __init__(self, event: dict[str, Any], rights: Rights) -> None:
        self._event, self._rights = event, rights
        self._event_id: str | None = None

    def checked(self, text: str) -> CheckedEvent:
        event_id = self._event.get("event_id")
        if event_id is not None and not (isinstance(event_id, str) and len(event_id) <= MAX_EVENT_ID_CHARS):
            raise self._refused("invalid_value", "must be a text of at most 512 characters.", "event_id")
        self._event_id = event_id
        kind = self._event.get("type")
        fields = EVENT_FIELDS.get(kind) if isinstance(kind, str) else None
        if fields is None:
            raise self._refused("event_not_allowed", f"must be one of {', '.join(sorted(EVENT_FIELDS))}.", "type")
        for name in sorted(self._event.keys() - fields - COMMON_FIELDS):
            raise self._refused("unknown_parameter", "is not a field of this event.", shown_name(name))
        if kind == "session.update":
            return self._session_update(text)
        if kind == "conversation.item.create":
            self._check_item(self._event.get("item"), "item")
        elif kind == "response.create" and self._event.get("response") is not None:
            self._check_response(self._event["response"])
        return CheckedEvent(self._event, text)

    def _session_update(self, text: str) -> CheckedEvent:
        session = self._event.get("session")
        if not isinstance(session, dict) or session.get("type") != "realtime":
            raise self._refused("missing_required_parameter", 'must be "realtime".', "session.type")
        kept, left_out = self._own_fields(session) if self._rights.own_session else _clients_fields(session)
        if not left_out:
            return CheckedEvent(self._event, text)
        event = self._event | {"session": kept}
        return CheckedEvent(event, json.dumps(event), tuple(left_out))

    def _own_fields(self, session: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
        kept = {name: value for name, value in session.items() if name not in NOBODYS_SESSION_FIELDS}
        try:
            check_session(kept)
        except InvalidSession as exc:
            raise RefusedClientEvent("invalid_value", str(exc), param="session", event_id=self._event_id) from exc
        self._check_voice(kept)
        self._check_tools(kept)
        return kept, sorted(session.keys() - kept.keys())

    def _check_response(self, response: Any) -> None:
        if not isinstance(response, dict):
            raise self._refused("invalid_value", "must be an object.", "response")
        allowed = OWN_RESPONSE_FIELDS if self._rights.own_session else CLIENTS_RESPONSE_FIELDS
        for name in sorted(response.keys() - allowed):
            raise self._refused("event_not_allowed", "is the server's to say.", f"response.{shown_name(name)}")
        items = response.get("input") or []
        if not isinstance(items, list):
            raise self._refused("invalid_value", "must be a list of items.", "response.input")
        for item in items:
            self._check_item(item, "response.input")
        self._check_voice(response)
        self._check_tools(response)

    def _check_item(self, item: Any, path: str) -> None:
        if not isinstance(item, dict):
            raise self._refused("invalid_value", "must be an object.", path)
        for name in sorted(item.keys() - ITEM_FIELDS):
            raise self._refused("unknown_parameter", "is not a field of an item.", f"{path}.{shown_name(name)}")
        for name in sorted(item.keys() & ITEM_IDS):
            if not isinstance(item[name], str):
                raise self._refused("invalid_value", "must be a text.", f"{path}.{name}")
        own = self._rights.own_session
        if item.get("type") not in (OWN_ITEMS if own else CLIENTS_ITEMS):
            raise self._refused("event_not_allowed", "is a kind of item that is not taken here.", f"{path}.type")
        if item.get("type") == "mcp_approval_response" and not self._rights.may_approve:
            raise self._refused("event_not_allowed", "is for somebody else to decide.", f"{path}.type")
        if item.get("type") == "message" and item.get("role") not in (OWN_ROLES if own else CLIENTS_ROLES):
            raise self._refused("event_not_allowed", "is the server's to say.", f"{path}.role")

    def _check_voice(self, part: dict[str, Any]) -> None:
        voice = _inner(_inner(part, "audio"), "output").get("voice")
        if voice is None:
            return
        try:
            self._rights.check_voice(voice)
        except Exception as exc:
            raise self._refused("event_not_allowed", "is not among your voices.", "audio.output.voice") from exc

    def _check_tools(self, part: dict[str, Any]) -> None:
        try:
            self._rights.check_tools(part.get("tools"))
        except Exception as exc:
            raise self._refused("event_not_allowed", "names what your policy does not allow.", "tools") from exc

    def _refused(self, code: str, message: str, param: str) -> RefusedClientEvent:
        return RefusedClientEvent(code, f"'{param}' {message}", param=param, event_id=self._event_id)


def _clients_fields(part: dict[str, Any], path: str = "") -> tuple[dict[str, Any], list[str]]:
    """Split a session, or a part of it, into the fields that every client may set, and the names of the others."""
    kept: dict[str, Any] = {}
    left_out: list[str] = []
    for name, value in part.items():
        full = f"{path}{name}"
        if full in CLIENTS_SESSION_FIELDS:
            kept[name] = value
        elif isinstance(value, dict) and full in ("audio", "audio.input", "audio.output"):
            kept[name], inner = _clients_fields(value, f"{full}.")
            left_out += inner
        else:
            left_out.append(shown_name(full))
    return kept, left_out


def _inner(part: dict[str, Any], name: str) -> dict[str, Any]:
    value = part.get(name)
    return value if isinstance(value, dict) else {}
