"""Calling a tool as somebody would who has to ask: what is missing one by one, reading back before anything is done.

Nothing is kept between replies: the dialogue is followed anew through what the user said since the last result, so the
same words lead to the same calls.
"""

import json
import re
from dataclasses import dataclass, field
from datetime import date, datetime, time

from engine.protocol_json import Json
from engine.reply import ReplyRequest, ToolCall
from engine.scripted_tools import argument, best_tool, does_something, words_of
from engine.spoken_values import parse_dates, parse_name, parse_phone, parse_time, say_date, say_time

SAID_CHARS = 600
MAX_TURNS = 20
YES = re.compile(
    r"^\W*(?:yes|yeah|yep|yup|correct|right|sure|okay|ok|please do|go ahead|do it|that's right|exactly)\b", re.I
)
NO = re.compile(r"^\W*(?:no|nope|wrong|not)\b", re.I)
LEAVE = re.compile(r"\b(?:cancel that|never ?mind|forget (?:it|about it)|stop it|leave it)\b", re.I)
LEFT = "All right, I will leave it."
QUESTIONS = {"date": "Which day would you like?", "time": "At what time?", "name": "What is your name?",
             "phone": "What is your phone number?"}  # fmt: skip


@dataclass
class Wish:
    """A tool that somebody wants, as far as it is understood. asked: the parameter that was asked for last."""

    tool: Json
    values: dict[str, object] = field(default_factory=dict)
    asked: str = ""
    is_read_back: bool = False

    @property
    def properties(self) -> Json:
        found: Json = (self.tool.get("parameters") or {}).get("properties") or {}
        return found

    @property
    def missing(self) -> list[str]:
        required = (self.tool.get("parameters") or {}).get("required")
        names = list(self.properties) if required is None else required
        return [name for name in names if name in self.properties and name not in self.values]

    @property
    def does_something(self) -> bool:
        return does_something(self.tool["name"]) and bool(self.properties)


def next_step(request: ReplyRequest, now: datetime) -> ToolCall | str | None:
    """Return the call that is due, what to ask first, or None when no tool is meant."""
    if request.tool_choice != "auto" or not request.tools:
        return None
    wish: Wish | None = None
    step: ToolCall | str | None = None
    for said in _said_since_result(request):
        wish, step = _follow(wish, said, request, now)
    return step


def _said_since_result(request: ReplyRequest) -> list[str]:
    turns = list(request.history)
    results = [number for number, turn in enumerate(turns) if turn.role == "tool"]
    new = turns[results[-1] + 1 :] if results else turns
    return [turn.text[:SAID_CHARS] for turn in new if turn.role == "user" and turn.text.strip()][-MAX_TURNS:]


def _follow(
    wish: Wish | None, said: str, request: ReplyRequest, now: datetime
) -> tuple[Wish | None, ToolCall | str | None]:
    """Take one turn of the user; returns what is wanted after it, and what to do."""
    if wish is None:
        tool = best_tool(request.tools, said)
        if tool is None:
            return None, None
        wish = Wish(tool)
        _fill(wish, said, now, is_first=True)
        return _next(wish)
    if LEAVE.search(said):
        return None, LEFT
    if wish.is_read_back and YES.search(said):
        return None, _call(wish)
    is_filled = _fill(wish, said, now)
    if not is_filled and wish.is_read_back and NO.search(said):
        return None, LEFT
    if not is_filled and said.rstrip().endswith("?"):
        return wish, None  # something else in between
    return _next(wish)


def _next(wish: Wish) -> tuple[Wish | None, ToolCall | str]:
    if wish.missing:
        wish.asked = wish.missing[0]
        return wish, _question(wish.asked, wish.properties[wish.asked])
    if wish.does_something:
        wish.asked, wish.is_read_back = "", True
        told = ", ".join(f"{_label(name)} {_spoken(value)}" for name, value in wish.values.items())
        return wish, f"So that is: {told}. Is that right?"
    return None, _call(wish)


def _call(wish: Wish) -> ToolCall:
    return ToolCall(wish.tool["name"], json.dumps(wish.values))


def _fill(wish: Wish, said: str, now: datetime, *, is_first: bool = False) -> bool:
    """Take every value out of a sentence that can be told from others. False: there was none."""
    days = [str(day) for day in parse_dates(said, now.date())]
    is_filled = False
    for name, schema in wish.properties.items():
        is_asked = name == wish.asked
        value = _value(wish, name, schema, said, days, is_asked=is_asked, is_first=is_first)
        if value is not None and (is_asked or name not in wish.values or not is_first):
            wish.values[name], is_filled = value, True
    return is_filled


def _value(
    wish: Wish, name: str, schema: Json, said: str, days: list[str], *, is_asked: bool, is_first: bool
) -> object:
    """Return what a sentence says of a parameter; None if nothing, or nothing for sure."""
    kind = kind_of(name, schema)
    if kind == "date":
        return days[-1 if name.startswith("end") else 0] if days else None
    if kind == "time":
        at = parse_time(said, is_asked=is_asked)
        return f"{at:%H:%M}" if at else None
    if kind == "phone":
        return parse_phone(said)
    if kind == "name":
        return parse_name(said, is_asked=is_asked)
    is_required = name in wish.missing
    if wish.does_something and not is_asked:
        return None
    return argument(schema, said, wish.tool["name"]) if is_asked or (is_first and is_required) else None


def kind_of(name: str, schema: Json) -> str:
    """Return `date`, `time`, `phone` or `name` for a parameter that is surely one, else nothing."""
    words = words_of(name)
    if schema.get("format") == "date":
        return "date"
    if schema.get("type", "string") != "string" or schema.get("enum"):
        return ""
    return next((kind for kind in ("time", "phone", "name") if kind in words and len(words) <= 2), "")


def _question(name: str, schema: Json) -> str:
    return QUESTIONS.get(kind_of(name, schema)) or f"What is the {_label(name)}?"


def _label(name: str) -> str:
    return " ".join(re.findall(r"[a-z0-9]+", name.lower()))


def _spoken(value: object) -> str:
    """Say a date and a time as people do, and a phone number digit by digit."""
    text = str(value)
    try:
        return say_date(date.fromisoformat(text)) if len(text) == 10 else say_time(time.fromisoformat(text))
    except ValueError:
        return " ".join(text) if text.strip("+").isdigit() and len(text) > 4 else text
