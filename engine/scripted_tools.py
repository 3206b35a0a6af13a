"""When the scripted responder calls a tool, with which arguments, and how it tells the result."""

import json
import re
from datetime import date

from engine.numbers import NUMBER, parse_number
from engine.protocol_json import Json
from engine.reply import ReplyRequest, ToolCall, Turn
from engine.spoken_values import ISO, parse_dates, say_date

# Words that stand in many tool names and say nothing about the topic.
# fmt: off
EMPTY_WORDS = frozenset((
    "get", "find", "look", "up", "lookup", "search", "the", "a", "an", "of", "for", "to", "fetch", "list", "show",
    "tool", "run", "do", "is", "my", "check", "create", "make", "add", "current", "and", "or", "on", "in", "it", "call",
))
# fmt: on
TOPIC_WORDS = {"clock": "time", "forecast": "weather", "temperature": "weather"}
# What a name begins with when something is done by it: that is read back first.
DOING = frozenset({"create", "book", "add", "make", "send", "cancel", "delete", "remove", "order", "update", "set"})
WORDS_OF_DESCRIPTION = 2
RESULT_CHARS = 300
ENTRIES_TOLD = 3
SAID_CHARS = 600


def insisted_call(request: ReplyRequest) -> ToolCall | None:
    """Return the call that the session's `tool_choice` insists on, with whatever arguments the last words give."""
    said = next((turn.text for turn in reversed(request.history) if turn.role == "user"), "")[:SAID_CHARS]
    choice = request.tool_choice
    if not request.tools or not said or choice in ("auto", "none"):
        return None
    if isinstance(choice, dict):
        tools = [tool for tool in request.tools if tool["name"] == choice.get("name")]
        return _call(tools[0], said) if tools else None
    return _call(best_tool(request.tools, said) or request.tools[0], said)


def best_tool(tools: tuple[Json, ...], said: str) -> Json | None:
    """Return the tool that a sentence means.

    A tool is meant when every telling word of its name was said ("find_book" by "book"), else when two of its
    description's first sentence were ("Find free appointments." by "Which appointments are free?").
    """
    words = words_of(said)
    for tool in tools:
        topic = words_of(tool["name"]) - EMPTY_WORDS
        if topic and _said(topic, words) == len(topic):
            return tool
    scores = [_said(words_of(_first_sentence(tool)) - EMPTY_WORDS, words) for tool in tools]
    best = max(scores, default=0)
    return tools[scores.index(best)] if best >= WORDS_OF_DESCRIPTION else None


def _said(told: set[str], words: set[str]) -> int:
    return sum(any(_same(one, word) for word in words) for one in told)


def _first_sentence(tool: Json) -> str:
    return str(tool.get("description") or "").partition(".")[0][:200]


def tell_result(result: Turn) -> str:
    """Put a tool's result into words. Who got the call from another agent says so; a failure has words already."""
    if result.tool_name.startswith("transfer_to_") and (found := re.search(r'"assistant": "([^"]+)"', result.text)):
        return f"You are talking to {found[1]} now. What can I do for you?"
    if refusal := _refusal(result.text):
        return f"I am sorry: {_with_days(refusal)}"
    name = result.tool_name.replace("_", " ") or "tool"
    told = _with_days(_in_words(result.text)[:RESULT_CHARS])
    return f"Done: {told}." if does_something(result.tool_name) else f"The {name} says: {told}."


def does_something(name: str) -> bool:
    """Tell whether a tool does more than look something up, by the first word of its name."""
    return re.split(r"_|(?=[A-Z])", name)[0].lower() in DOING


def _with_days(text: str) -> str:
    """Say dates as people do."""
    return ISO.sub(lambda found: say_date(day[0]) if (day := parse_dates(found[0], date.min)) else found[0], text)


def words_of(text: str) -> set[str]:
    """Return the words of a sentence, or of a name in either style."""
    found = re.findall(r"[a-z]+", re.sub(r"([a-z])([A-Z])", r"\1 \2", text).lower())
    return {TOPIC_WORDS.get(word, word) for word in found}


def _same(told: str, word: str) -> bool:
    """Tell whether two are of one stem: book, booking; available, availability."""
    pairs = zip(told, word, strict=False)
    shared = next((place for place, (one, other) in enumerate(pairs) if one != other), min(len(told), len(word)))
    return told == word or shared >= max(4, min(len(told), len(word)) - 2)


def _call(tool: Json, said: str) -> ToolCall:
    schema = tool.get("parameters") or {}
    properties = schema.get("properties") or {}
    wanted = [name for name in properties if name in (schema.get("required") or properties)]
    values = {name: argument(properties[name], said, tool["name"]) for name in wanted}
    return ToolCall(tool["name"], json.dumps(values))


def argument(schema: Json, said: str, tool_name: str) -> object:
    """Return what a sentence says of a parameter, by its type; a guess where it says nothing."""
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
    topic = "|".join(re.escape(word) for word in words_of(tool_name) - EMPTY_WORDS) or "about"
    found = re.search(rf"\b(?:in|for|about|called|named|of|titled)\s+(.+)|\b(?:{topic})s?\s+(.+)", said, re.I)
    subject = (found[1] or found[2]) if found else said
    return subject.strip(" .?!,")


def _refusal(text: str) -> str:
    try:
        value = json.loads(text)
    except ValueError:
        return ""
    return str(value.get("message", "")) if isinstance(value, dict) and value.get("error") is True else ""


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
        more = f", and {len(value) - ENTRIES_TOLD} more" if len(value) > ENTRIES_TOLD + 1 else ""
        told = value[:ENTRIES_TOLD] if more else value
        return ", ".join(_flat(entry) for entry in told) + more if value else "none"
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no"}.get(bool(value), "nothing") if value is not None else "nothing"
    return json.dumps(value) if isinstance(value, dict) else str(value).strip(" .")
