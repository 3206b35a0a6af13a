"""When the scripted responder calls a tool, with which arguments, and how it tells the result."""

import json
import re

from engine.numbers import NUMBER, parse_number
from engine.protocol_json import Json
from engine.reply import ReplyRequest, ToolCall, Turn

# Words that stand in many tool names and say nothing about the topic.
# fmt: off
EMPTY_WORDS = frozenset((
    "get", "find", "look", "up", "lookup", "search", "the", "a", "an", "of", "for", "to", "fetch", "list", "show",
    "tool", "run", "do", "is", "my",
))
# fmt: on
TOPIC_WORDS = {"clock": "time", "forecast": "weather", "temperature": "weather"}
RESULT_CHARS = 300
SAID_CHARS = 600


def choose_tool(request: ReplyRequest) -> ToolCall | None:
    """Return the call that the user's last words ask for, or None.

    A tool is meant when every telling word of its name was said ("find_book" by "book"), or when
    the session's `tool_choice` insists.
    """
    said = next((turn.text for turn in reversed(request.history) if turn.role == "user"), "")[:SAID_CHARS]
    choice = request.tool_choice
    if not request.tools or choice == "none" or not said:
        return None
    if isinstance(choice, dict):
        tools = [tool for tool in request.tools if tool["name"] == choice.get("name")]
        return _call(tools[0], said) if tools else None
    words = _words(said)
    for tool in request.tools:
        topic = _words(tool["name"]) - EMPTY_WORDS
        if topic and all(any(_same(told, word) for word in words) for told in topic):
            return _call(tool, said)
    return _call(request.tools[0], said) if choice == "required" else None


def tell_result(result: Turn) -> str:
    """Put a tool's result into words."""
    name = result.tool_name.replace("_", " ") or "tool"
    return f"The {name} says: {_in_words(result.text)[:RESULT_CHARS]}."


def _words(text: str) -> set[str]:
    found = re.findall(r"[a-z]+", re.sub(r"([a-z])([A-Z])", r"\1 \2", text).lower())
    return {TOPIC_WORDS.get(word, word) for word in found}


def _same(told: str, word: str) -> bool:
    shorter, longer = sorted((told, word), key=len)
    return told == word or (len(shorter) >= 4 and longer.startswith(shorter))


def _call(tool: Json, said: str) -> ToolCall:
    schema = tool.get("parameters") or {}
    properties = schema.get("properties") or {}
    wanted = [name for name in properties if name in (schema.get("required") or properties)]
    values = {name: _argument(properties[name], said, tool["name"]) for name in wanted}
    return ToolCall(tool["name"], json.dumps(values))


def _argument(schema: Json, said: str, tool_name: str) -> object:
    options = schema.get("enum")
    if options:
        return next((option for option in options if str(option).lower() in said.lower()), options[0])
    kind = schema.get("type")
    if kind in ("integer", "number"):
        found = re.search(rf"\b{NUMBER}\b", said, re.I)
        return (parse_number(found[0]) if found else None) or 0
    if kind == "boolean":
        return not re.search(r"\b(?:no|not|don't|off)\b", said, re.I)
    if kind == "array":
        return []
    return {} if kind == "object" else _subject(said, tool_name)


def _subject(said: str, tool_name: str) -> str:
    """Return what the sentence is about: what follows a preposition or the tool's own word."""
    topic = "|".join(re.escape(word) for word in _words(tool_name) - EMPTY_WORDS) or "about"
    found = re.search(rf"\b(?:in|for|about|called|named|of|titled)\s+(.+)|\b(?:{topic})s?\s+(.+)", said, re.I)
    subject = (found[1] or found[2]) if found else said
    return subject.strip(" .?!,")


def _in_words(text: str) -> str:
    try:
        value = json.loads(text)
    except ValueError:
        return text.strip(" .")
    if isinstance(value, dict):
        return ", ".join(f"{str(name).replace('_', ' ')} {_flat(entry)}" for name, entry in value.items()) or "nothing"
    return _flat(value)


def _flat(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(_flat(entry) for entry in value) or "none"
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no"}.get(bool(value), "nothing") if value is not None else "nothing"
    return json.dumps(value) if isinstance(value, dict) else str(value).strip(" .")
