"""A function becomes a tool: what the model is told of it, how its arguments are read, and what cannot be a tool."""

import json
from dataclasses import dataclass
from datetime import date, time
from typing import Any, Literal, NotRequired, TypedDict

import pytest
from django.core.checks import run_checks

from tools.exceptions import InvalidArguments
from tools.registry import VoiceTool, find_tool, voice_tool


class Guest(TypedDict):
    name: str
    age: NotRequired[int]


@dataclass(frozen=True)
class Table:
    seats: int
    place: Literal["inside", "garden"] = "inside"


def reserve(
    day: date, at: time, guests: list[Guest], table: Table, quiet: bool = False, budget: float | None = None
) -> None:
    """Reserve a table.

    Call it when everything is known.

    Args:
        day: the day, in the
            restaurant's time
        quiet: away from the music
    """


@pytest.fixture
def reserving() -> VoiceTool:
    voice_tool(reserve)
    tool = find_tool("reserve")
    assert tool is not None
    return tool


def test_the_model_is_told_names_types_and_meanings(reserving: VoiceTool) -> None:
    schema = reserving.definition["parameters"]

    assert reserving.definition["description"] == "Reserve a table.\n\nCall it when everything is known."
    assert schema["required"] == ["day", "at", "guests", "table"]
    assert schema["properties"]["day"] == {
        "type": "string", "format": "date", "description": "the day, in the restaurant's time",
    }  # fmt: skip
    assert schema["properties"]["guests"]["items"] == {
        "type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
        "required": ["name"], "additionalProperties": False,
    }  # fmt: skip
    assert schema["properties"]["table"]["properties"]["place"] == {"enum": ["inside", "garden"], "type": "string"}
    assert schema["properties"]["budget"] == {"anyOf": [{"type": "number"}, {"type": "null"}]}


GOOD: dict[str, Any] = {"day": "2026-12-01", "at": "19:30", "guests": [{"name": "Ann"}], "table": {"seats": 2}}


def test_arguments_are_read_as_what_they_mean(reserving: VoiceTool) -> None:
    assert reserving.read(json.dumps(GOOD | {"budget": 20})) == {
        "day": date(2026, 12, 1), "at": time(19, 30), "guests": [{"name": "Ann"}], "table": Table(2), "budget": 20.0,
    }  # fmt: skip


@pytest.mark.parametrize(("change", "words"), [
    ({"day": "1 December"}, "'day' must be a date, YYYY-MM-DD"), ({"day": "2026-02-30"}, "'day' must be a date"),
    ({"day": "20261201"}, "'day' must be"), ({"at": "25:00"}, "'at' must be a time"), ({"at": 19}, "'at' must be"),
    ({"guests": "Ann"}, "'guests' must be a list"), ({"guests": [{"age": 3}]}, "'guests[0]' lacks name"),
    ({"guests": [{"name": "A"}] * 201}, "'guests' must be a list"), ({"table": {"seats": "two"}}, "'table.seats' must"),
    ({"table": {"seats": True}}, "whole number"), ({"table": {"seats": 2, "place": "roof"}}, "one of inside, garden"),
    ({"quiet": "yes"}, "'quiet' must be true or false"), ({"extra": 1}, "has no field extra"),
])  # fmt: skip
def test_arguments_that_break_the_schema_are_named(reserving: VoiceTool, change: Any, words: str) -> None:
    with pytest.raises(InvalidArguments) as refused:
        reserving.read(json.dumps(GOOD | change))
    assert words in refused.value.message


@pytest.mark.parametrize("raw", ["{", "[]", "null", "[" * 5000, '"x"', '{"day": "' + "x" * 17_000 + '"}'])
def test_what_is_no_object_of_arguments_is_refused(reserving: VoiceTool, raw: str) -> None:
    with pytest.raises(InvalidArguments):
        reserving.read(raw)


def test_the_context_is_the_server_s_to_give() -> None:
    tool = find_tool("who_am_i")
    assert tool is not None
    assert tool.definition["parameters"]["properties"] == {}
    with pytest.raises(InvalidArguments):
        tool.read('{"context": {"user": "ada"}}')


def untyped(thing) -> None:  # type: ignore[no-untyped-def]
    """Do something."""


def unusable(things: set[str]) -> None:
    """Do something."""


def undecided(thing: int | str) -> None:
    """Do something."""


def undocumented(thing: str) -> None: ...


def transfer_to_nobody() -> None:
    """Hand over."""


@pytest.mark.parametrize(("function", "words"), [
    (untyped, "thing: has no type"), (unusable, "things: set"), (undecided, "thing: one type"),
    (undocumented, "docstring"), (transfer_to_nobody, "name"),
])  # fmt: skip
def test_what_cannot_be_a_tool_stops_the_start_with_its_parameter(function: Any, words: str) -> None:
    voice_tool(function)

    (found,) = [check for check in run_checks() if check.id == "tools.E001"]
    assert words in found.msg
    assert str(found.obj) == f"tests.tools.test_schema.{function.__name__}"
    assert find_tool(function.__name__) is None


def test_two_tools_of_one_name_stop_the_start() -> None:
    voice_tool(name="find_book")(reserve)

    assert "Another function" in next(check.msg for check in run_checks() if check.id == "tools.E001")
