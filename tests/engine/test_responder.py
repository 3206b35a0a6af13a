"""What the scripted responder says."""

import time
from datetime import datetime

import pytest

from engine.protocol_json import Json
from engine.reply import LONGEST_PIECE_CHARS, ReplyPart, ReplyRequest, Sentence, ToolCall, Turn, in_breaths
from engine.responder import ScriptedResponder

NOON = datetime(2026, 5, 4, 15, 7)
WEATHER: Json = {
    "type": "function",
    "name": "get_weather",
    "parameters": {
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "days": {"type": "integer"},
            "unit": {"enum": ["celsius", "kelvin"]},
        },
        "required": ["city", "days", "unit"],
    },
}


def said(*words: str) -> tuple[Turn, ...]:
    return tuple(Turn("user", text) for text in words)


def answer(*words: str, instructions: str = "") -> str:
    return ScriptedResponder(lambda: NOON).answer(ReplyRequest(said(*words), instructions))


async def parts_of(request: ReplyRequest) -> list[ReplyPart]:
    return [part async for part in ScriptedResponder(lambda: NOON).reply(request)]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("What time is it?", "It is three oh seven in the afternoon."),
        ("What is the date today?", "Today is Monday, May 4, 2026."),
        ("Can you count to five?", "One, two, three, four, five."),
        ("Count from 3 to 1.", "Three, two, one."),
        ("Count to one hundred.", "I can count to 30, and no further."),
        ("What is 2 plus 3?", "Two plus three is five."),
        ("What's seven times six?", "Seven times six is 42."),
        ("How much is forty-two minus fifty?", "42 minus 50 is minus eight."),
        ("Repeat after me, the sky is blue.", "the sky is blue."),
        ("Say hello world", "hello world"),
        ("Spell the word cat.", "Cat: C, A, T."),
        ("Thank you!", "You are welcome."),
        ("Goodbye.", "Goodbye! It was nice talking to you."),
        ("My name is Ada.", "Nice to meet you, Ada."),
    ],
)
def test_a_known_question_has_its_answer(words: str, expected: str) -> None:
    assert answer(words) == expected


def test_what_is_not_known_comes_back_with_a_plain_word_about_the_demo() -> None:
    reply = answer("Purple elephants dance.")

    assert "Purple elephants dance" in reply
    assert "demo voice" in reply


def test_it_remembers_what_was_said() -> None:
    assert answer("Purple elephants dance.", "What did I just say?") == "Before that you said: Purple elephants dance."
    assert answer("My name is Ada.", "What is my name?") == "Your name is Ada."


def test_it_says_whom_it_stands_in_for() -> None:
    reply = answer("Who are you?", instructions="You are the front desk of a small library. Be brief.")

    assert "the front desk of a small library" in reply


@pytest.mark.parametrize(
    ("cue", "expected"),
    [
        ('Greet the user with exactly "Welcome to the library!"', "Welcome to the library!"),
        ("Say: we are closed today.", "we are closed today."),
        ("Greet the user.", "Good afternoon! I am the local demo voice. What can I do for you?"),
    ],
)
def test_it_follows_the_instructions_for_one_response(cue: str, expected: str) -> None:
    assert ScriptedResponder(lambda: NOON).answer(ReplyRequest((), cue=cue)) == expected


def test_words_that_could_not_be_heard_are_asked_for_again() -> None:
    assert "did not catch" in answer("Hello", "")


async def test_a_tool_is_called_when_it_is_named() -> None:
    parts = await parts_of(ReplyRequest(said("What is the weather in Paris for 3 days, in kelvin?"), tools=(WEATHER,)))

    assert isinstance(parts[0], ToolCall)
    assert len(parts) == 1
    assert parts[0].name == "get_weather"
    assert '"days": 3' in parts[0].arguments
    assert '"unit": "kelvin"' in parts[0].arguments
    assert "Paris" in parts[0].arguments


@pytest.mark.parametrize(("choice", "calls"), [("auto", False), ("none", False), ("required", True)])
async def test_tool_choice_is_honoured(choice: str, calls: bool) -> None:
    parts = await parts_of(ReplyRequest(said("Hello"), tools=(WEATHER,), tool_choice=choice))

    assert isinstance(parts[0], ToolCall) is calls


async def test_a_tools_result_is_told() -> None:
    history = (
        *said("Weather?"),
        Turn("assistant", "{}", "get_weather", "c"),
        Turn("tool", '{"sky": "clear"}', "get_weather", "c"),
    )

    assert await parts_of(ReplyRequest(history, tools=(WEATHER,))) == [Sentence("The get weather says: sky clear.")]


async def test_long_answers_come_in_sentences() -> None:
    assert len(await parts_of(ReplyRequest(said("Tell me a story")))) >= 5


@pytest.mark.parametrize(
    "piece", ["count from 1 ", "count to ", "say ", "say" + " " * 100, "“", '"“', "one hundred ", "what "]
)
async def test_no_text_keeps_the_responder_busy(piece: str) -> None:
    text = piece * (65_000 // len(piece))
    before = time.process_time()

    await parts_of(ReplyRequest(said(text), text))
    await parts_of(ReplyRequest(said(text), cue=text))
    await parts_of(ReplyRequest(said(text), tools=(WEATHER,), tool_choice="required"))

    assert time.process_time() - before < 0.5


def test_a_sentence_too_long_for_one_breath_is_cut_between_words() -> None:
    pieces = in_breaths(Sentence("word " * 100))

    assert all(isinstance(piece, Sentence) and len(piece.text) <= LONGEST_PIECE_CHARS for piece in pieces)
    assert " ".join(piece.text for piece in pieces if isinstance(piece, Sentence)) == ("word " * 100).strip()
    assert in_breaths(Sentence("Short.")) == [Sentence("Short.")]
