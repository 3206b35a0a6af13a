"""How the scripted responder comes to call a tool: what it asks, what it reads back, and when it leaves it."""

import json
import time as clock
from datetime import date, datetime, time
from typing import Any

import pytest

from engine.reply import ReplyRequest, Sentence, ToolCall, Turn
from engine.responder import ScriptedResponder
from engine.spoken_values import parse_dates, parse_name, parse_phone, parse_time

NOW = datetime(2026, 11, 21, 15, 7)  # a Saturday
TODAY = NOW.date()
DATE = {"type": "string", "format": "date"}
TOOLS: tuple[dict[str, Any], ...] = (
    {
        "type": "function", "name": "check_availability", "description": "Find free appointments. Call it first.",
        "parameters": {
            "type": "object", "properties": {"start_date": DATE, "end_date": DATE},
            "required": ["start_date", "end_date"],
        },
    },
    {
        "type": "function", "name": "create_booking", "description": "Book an appointment.",
        "parameters": {
            "type": "object",
            "properties": {
                "name": {"type": "string"}, "phone": {"type": "string"}, "date": DATE, "time": {"type": "string"},
            },
            "required": ["name", "phone", "date", "time"],
        },
    },
)  # fmt: skip


async def answer(*said: str, result: str = "") -> str | tuple[str, dict[str, Any]]:
    """Return what is said after these sentences, or the call that is made."""
    history: list[Turn] = []
    for words in said:
        history.append(Turn("user", words))
    if result:
        history += [Turn("assistant", "{}", "create_booking", "c"), Turn("tool", result, "create_booking", "c")]
    parts = [part async for part in ScriptedResponder(lambda: NOW).reply(ReplyRequest(tuple(history), tools=TOOLS))]
    if isinstance(parts[0], ToolCall):
        return parts[0].name, json.loads(parts[0].arguments)
    return " ".join(part.text for part in parts if isinstance(part, Sentence))


BOOKING = (
    "I would like to book an appointment.",
    "My name is Ann Lee.",
    "555 0123 44",
    "Next Monday, please.",
    "At ten.",
)


async def test_it_asks_for_what_is_missing_one_by_one_and_reads_it_back() -> None:
    asked = [await answer(*BOOKING[: number + 1]) for number in range(5)]

    assert asked == [
        "What is your name?", "What is your phone number?", "Which day would you like?", "At what time?",
        "So that is: name Ann Lee, phone 5 5 5 0 1 2 3 4 4, date Monday, November 23, time ten in the morning."
        " Is that right?",
    ]  # fmt: skip


async def test_it_calls_the_tool_only_after_a_yes() -> None:
    wish = {"name": "Ann Lee", "phone": "555012344", "date": "2026-11-23", "time": "10:00"}

    assert await answer(*BOOKING, "Yes, please.") == ("create_booking", wish)


async def test_what_was_said_at_once_is_not_asked_for() -> None:
    assert await answer("Book me for tomorrow at half past two, my name is Ann.") == "What is your phone number?"


async def test_a_correction_is_read_back_again() -> None:
    told = await answer(*BOOKING, "No, at eleven thirty.")

    assert "time eleven 30 in the morning" in told
    assert (await answer(*BOOKING, "No, at eleven thirty.", "Yes."))[1]["time"] == "11:30"  # type: ignore[index]


@pytest.mark.parametrize("words", ["No.", "Never mind.", "Forget it, thanks."])
async def test_without_a_yes_nothing_is_done(words: str) -> None:
    assert await answer(*BOOKING, words) == "All right, I will leave it."


async def test_a_question_in_between_is_answered_and_the_wish_stays() -> None:
    assert "three oh seven" in await answer(*BOOKING[:2], "What time is it?")
    assert await answer(*BOOKING[:2], "What time is it?", "555 0123 44") == "Which day would you like?"


@pytest.mark.parametrize(("words", "days"), [
    ("Which appointments are free tomorrow?", ("2026-11-22", "2026-11-22")),
    ("Is anything available from Monday to Wednesday?", ("2026-11-23", "2026-11-25")),
])  # fmt: skip
async def test_a_question_is_no_deed_and_is_asked_at_once(words: str, days: tuple[str, str]) -> None:
    assert await answer(words) == ("check_availability", {"start_date": days[0], "end_date": days[1]})


async def test_a_question_without_its_day_is_asked_back() -> None:
    assert await answer("What appointments are available?") == "Which day would you like?"
    assert (await answer("What appointments are available?", "Friday"))[0] == "check_availability"


async def test_a_refusal_is_told_in_its_own_words_and_ends_the_wish() -> None:
    refused = '{"error": true, "message": "2026-11-23 at 10:00 is taken.", "status": 409}'

    assert await answer(*BOOKING, "Yes.", result=refused) == "I am sorry: Monday, November 23 at 10:00 is taken."


async def test_long_lists_are_told_by_their_beginning() -> None:
    free = json.dumps({"2026-11-23": [f"{hour:02}:00" for hour in range(9, 17)]})

    assert "09:00, 10:00, 11:00, and 5 more" in await answer("x", result=free)


async def test_other_talk_calls_nothing() -> None:
    assert await answer("Hello") == "Hello! Nice to hear you. Ask me the time, or say help."


@pytest.mark.parametrize(("said", "expected"), [
    ("on 2026-12-01", date(2026, 12, 1)), ("December 1st", date(2026, 12, 1)),
    ("the first of December", date(2026, 12, 1)),
    ("3 March", date(2027, 3, 3)), ("march the twenty-fourth", date(2027, 3, 24)), ("May 5, 2028", date(2028, 5, 5)),
    ("today", TODAY), ("the day after tomorrow", date(2026, 11, 23)), ("saturday", date(2026, 11, 28)),
])  # fmt: skip
def test_days_are_understood(said: str, expected: date) -> None:
    assert parse_dates(said, TODAY) == [expected]


@pytest.mark.parametrize("said", ["February 30", "2026-13-01", "some day", "the 5", ""])
def test_what_is_no_day_is_none(said: str) -> None:
    assert parse_dates(said, TODAY) == []


@pytest.mark.parametrize(("said", "expected"), [
    ("at ten", time(10)), ("10:30", time(10, 30)), ("10.30 please", time(10, 30)), ("ten o'clock", time(10)),
    ("half past two", time(14, 30)), ("quarter to ten", time(9, 45)), ("3 pm", time(15)), ("9 a.m.", time(9)),
    ("at noon", time(12)), ("ten thirty", time(10, 30)), ("12 am", time(0)), ("December 1st at ten", time(10)),
    ("on December 1st", None), ("I have two dogs", None), ("at 99", None),
])  # fmt: skip
def test_times_are_understood(said: str, expected: time | None) -> None:
    assert parse_time(said) == expected


def test_a_bare_number_is_a_time_only_where_one_was_asked_for() -> None:
    assert (parse_time("Ten."), parse_time("Ten.", is_asked=True)) == (None, time(10))


@pytest.mark.parametrize(("said", "expected"), [
    ("It is 555-0123 44", "555012344"), ("five five five oh one two three", "5550123"),
    ("+49 30 1234567", "+49301234567"),
    ("call 12", None), ("no", None),
])  # fmt: skip
def test_phone_numbers_are_understood(said: str, expected: str | None) -> None:
    assert parse_phone(said) == expected


def test_names_are_understood() -> None:
    assert parse_name("Hello, my name is Ann Lee and I am late") == "Ann Lee"
    assert (parse_name("ann lee."), parse_name("It's ann lee.", is_asked=True)) == (None, "Ann Lee")


@pytest.mark.parametrize("piece", ["my name is A ", "1 of ", "at ten ", "5 5 ", "december first ", "half past "])
async def test_no_text_keeps_the_dialogue_busy(piece: str) -> None:
    before = clock.process_time()
    await answer("Book an appointment.", *[piece * (65_000 // len(piece))] * 30)

    assert clock.process_time() - before < 1.0
