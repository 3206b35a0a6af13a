"""Scripted replies: the engine's own small talker, which needs no model and no network."""

import re
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import TypeAlias

from engine.numbers import NUMBER, parse_number, say_number
from engine.reply import ReplyPart, ReplyRequest, Sentence, ToolCall, Turn
from engine.scripted_tools import insisted_call, tell_result
from engine.tool_dialogue import next_step

LONGEST_COUNT = 30
LONGEST_SPELLING = 20
QUOTED_CHARS = 120
# Patterns that look ahead twice take the cube of a text's length: only its beginning is matched.
MATCHED_CHARS = 600
CUE_CHARS = 2000

TOLD = re.compile(
    r"\b(?:say|repeat|read)\b(?: exactly| aloud| this| the following| to the user)*\s*[:,]?\s+(.{2,})", re.I | re.S
)

Rule: TypeAlias = tuple[re.Pattern[str], Callable[["Heard", re.Match[str]], str]]


class Heard:
    """The user's last words and what they need to be understood."""

    def __init__(self, request: ReplyRequest, now: datetime) -> None:
        self.request = request
        self.now = now
        said = [turn.text for turn in request.history if turn.role == "user" and turn.text.strip()]
        self.words = said[-1].strip()[:MATCHED_CHARS] if said else ""
        self.before = said[-2].strip()[:MATCHED_CHARS] if len(said) > 1 else ""


class ScriptedResponder:
    """Answers from a short list of rules; whatever else is said comes back with a plain word about the demo."""

    name = "scripted"
    speculative = True

    def __init__(self, now: Callable[[], datetime] = datetime.now) -> None:
        self._now = now

    async def reply(self, request: ReplyRequest) -> AsyncIterator[ReplyPart]:
        """Yield the answer sentence by sentence, or one tool call."""
        last = request.history[-1] if request.history else None
        if last is not None and last.role == "tool":
            for sentence in split_sentences(tell_result(last)):
                yield Sentence(sentence)
            return
        step = None if request.cue else insisted_call(request) or next_step(request, self._now())
        if isinstance(step, ToolCall):
            yield step
            return
        for sentence in split_sentences(step or self.answer(request)):
            yield Sentence(sentence)

    def answer(self, request: ReplyRequest) -> str:
        """Return the whole answer as text."""
        heard = Heard(request, self._now())
        if request.cue:
            return _follow_cue(request.cue[:CUE_CHARS], heard)
        last = request.history[-1] if request.history else None
        if last is None or last.role == "system" or not heard.words:
            return _greeting(heard)
        if not last.text.strip():
            return "Sorry, I did not catch that. Please say it again."
        return _by_rule(heard) or _echo(heard)


def split_sentences(text: str) -> list[str]:
    """Cut a text where a voice may pause, so that the first part can be heard while the rest is made."""
    parts = re.split(r"(?<=[.!?])\s+(?=[A-Z0-9\"'])", text.strip())
    return [part for part in parts if part]


def _by_rule(heard: Heard) -> str:
    for pattern, answer in RULES:
        found = pattern.search(heard.words)
        if found:
            return answer(heard, found)
    return ""


def _follow_cue(cue: str, heard: Heard) -> str:
    """Do what `response.create` asks for: say a quoted text, greet, or say what follows "say"."""
    quoted = re.search(r"[\"“]([^\"“”]{2,})[\"”]", cue)
    if quoted:
        return quoted[1].strip()
    told = TOLD.search(cue)
    if told:
        return told[1].strip()
    if re.search(r"\b(?:greet|welcome|introduce|hello|open)", cue, re.I):
        return _greeting(heard)
    if re.search(r"\b(?:apolog|sorry|cannot|can't|must not|refuse)", cue, re.I):
        return "I am sorry, I cannot talk about that. Is there anything else?"
    return _by_rule(heard) or (_echo(heard) if heard.words else _greeting(heard))


def _greeting(heard: Heard) -> str:
    part_of_day = "morning" if heard.now.hour < 12 else "afternoon" if heard.now.hour < 18 else "evening"
    return f"Good {part_of_day}! I am the local demo voice. What can I do for you?"


def _hello(heard: Heard, found: re.Match[str]) -> str:
    return "Hello! Nice to hear you. Ask me the time, or say help."


def _time(heard: Heard, found: re.Match[str]) -> str:
    hour, minute = heard.now.hour % 12 or 12, heard.now.minute
    half = "in the morning" if heard.now.hour < 12 else "in the afternoon" if heard.now.hour < 18 else "in the evening"
    if minute == 0:
        return f"It is {say_number(hour)} o'clock {half}."
    past = f"oh {say_number(minute)}" if minute < 10 else str(minute)
    return f"It is {say_number(hour)} {past} {half}."


def _date(heard: Heard, found: re.Match[str]) -> str:
    return f"Today is {heard.now:%A}, {heard.now:%B} {heard.now.day}, {heard.now.year}."


def _repeat(heard: Heard, found: re.Match[str]) -> str:
    return found[1].strip().strip("\"'").rstrip(",") or "There is nothing to repeat yet."


def _count(heard: Heard, found: re.Match[str]) -> str:
    first = parse_number(found[1]) if found[1] else 1
    last = parse_number(found[2])
    if first is None or last is None or abs(last - first) >= LONGEST_COUNT:
        return f"I can count to {LONGEST_COUNT}, and no further."
    step = 1 if last >= first else -1
    return ", ".join(say_number(value) for value in range(first, last + step, step)).capitalize() + "."


def _calculate(heard: Heard, found: re.Match[str]) -> str:
    left, right = parse_number(found[1]), parse_number(found[3])
    if left is None or right is None:
        return _echo(heard)
    sign = found[2].lower()
    if sign in ("plus", "+", "and"):
        name, result = "plus", left + right
    elif sign in ("minus", "-"):
        name, result = "minus", left - right
    else:
        name, result = "times", left * right
    return f"{say_number(left)} {name} {say_number(right)} is {say_number(result)}.".capitalize()


def _spell(heard: Heard, found: re.Match[str]) -> str:
    word = found[1][:LONGEST_SPELLING]
    return f"{word.capitalize()}: {', '.join(word.upper())}."


def _last_said(heard: Heard, found: re.Match[str]) -> str:
    if not heard.before:
        return "You have not said anything before that."
    return f"Before that you said: {heard.before[:QUOTED_CHARS]}"


def _what_i_said(heard: Heard, found: re.Match[str]) -> str:
    turns = [turn for turn in heard.request.history if turn.role == "assistant" and not turn.tool_name]
    mine = [turn.text for turn in turns if turn.text]
    return f"I said: {mine[-1][:QUOTED_CHARS]}" if mine else "I have not said anything yet."


def _name_of_user(history: tuple[Turn, ...]) -> str:
    for turn in reversed(history):
        found = re.search(r"\b(?:my name is|call me|i am called)\s+([A-Za-z][A-Za-z'-]{1,30})", turn.text, re.I)
        if turn.role == "user" and found:
            return found[1].capitalize()
    return ""


def _my_name(heard: Heard, found: re.Match[str]) -> str:
    name = _name_of_user(heard.request.history)
    return f"Your name is {name}." if name else "You have not told me your name yet."


def _nice_to_meet(heard: Heard, found: re.Match[str]) -> str:
    return f"Nice to meet you, {_name_of_user(heard.request.history)}."


def _who(heard: Heard, found: re.Match[str]) -> str:
    role = re.search(r"\byou are (?:an? |the )?([^.!?\n]{3,60})", heard.request.instructions, re.I)
    part = f" Here I stand in for {_with_article(role)}." if role else ""
    return f"I am the local demo voice, and I run on this computer.{part} No words of yours leave this machine."


def _with_article(role: re.Match[str]) -> str:
    article = re.match(r"you are (an|a|the) ", role[0], re.I)
    return f"{article[1]} {role[1].strip()}" if article else role[1].strip()


def _how_it_works(heard: Heard, found: re.Match[str]) -> str:
    return (
        "Your browser sends your voice to a small engine on this machine. It turns speech into words, "
        "picks a scripted answer, and speaks it. With an upstream key, a real model takes my place."
    )


def _fixed(text: str) -> Callable[[Heard, re.Match[str]], str]:
    return lambda heard, found: text


def _echo(heard: Heard) -> str:
    words = heard.words[:QUOTED_CHARS].rstrip(".?! ")
    kind = "You asked" if heard.words.rstrip().endswith("?") else "You said"
    return f"{kind}: {words}. I am only a local demo voice, so I have no real answer to that."


HELP = (
    "You can ask me the time or the date. I can count to ten, add numbers, spell a word, "
    "or repeat after you. You may also interrupt me at any moment."
)


def _rule(pattern: str, answer: Callable[[Heard, re.Match[str]], str]) -> Rule:
    return re.compile(pattern, re.I | re.S), answer


# The first match wins, so the particular comes before the general.
RULES: tuple[Rule, ...] = (
    _rule(r"\bwhat did i (?:just )?(?:say|ask)|\bwhat (?:was|were) my (?:last )?(?:words|question)", _last_said),
    _rule(r"\bwhat did you (?:just )?say|\b(?:say|repeat) that again|\bcome again\b", _what_i_said),
    _rule(r"\b(?:repeat after me|repeat the words?|please say|can you say|^say|^repeat)\b[\s:,.]*(.+)", _repeat),
    _rule(rf"\bcount\b(?:.*?\bfrom ({NUMBER}))?.*?\bto ({NUMBER})", _count),
    _rule(r"\bspell\b(?: the word)?[\s:,.]+\W*([a-z]+)", _spell),
    _rule(rf"({NUMBER})\s*(plus|and|minus|times|multiplied by|\+|-|x|\*)\s*({NUMBER})\b", _calculate),
    _rule(r"\bwhat(?:'s| is| time is it).*\btime\b|\bwhat time\b|\bthe time\b", _time),
    _rule(r"\b(?:what|which) (?:day|date)|\bwhat(?:'s| is).*\b(?:date|day)\b|\btoday's date\b|\bthe date\b", _date),
    _rule(r"\bwhat(?:'s| is) my name|\bwho am i\b", _my_name),
    _rule(r"\bmy name is\b|\bcall me\b", _nice_to_meet),
    _rule(
        r"\bwho are you|\bwhat are you|\byour name\b|\babout yourself|\bare you (?:an? )?(?:real|robot|human|bot|ai)\b",
        _who,
    ),
    _rule(r"\bhow (?:do|does) (?:you|it|this)(?: \w+)* work|\babout (?:the|this) demo|\bwhat is this\b", _how_it_works),
    _rule(r"\bhow are you", _fixed("I am fine, thank you. How are you?")),
    _rule(r"\bhelp\b|\bwhat can (?:you|i) (?:do|say|ask)", _fixed(HELP)),
    _rule(
        r"\btell me (?:a|another)? ?(?:long )?story|\ba story\b",
        _fixed(
            "Once there was a small engine that lived in a quiet computer. Every morning it waited for a voice. "
            "One day somebody said hello, and the engine answered at once. They talked about the time, about the "
            "weather, and about nothing at all. In the evening the voice said goodbye. The engine did not mind, "
            "because it knew that the next hello would come."
        ),
    ),
    _rule(r"\bjoke\b", _fixed("Why did the packet cross the network? To get to the other site.")),
    _rule(r"\bgood ?bye\b|\bbye\b|\bsee you\b|\bhang up\b", _fixed("Goodbye! It was nice talking to you.")),
    _rule(r"\bthank(?:s| you)\b", _fixed("You are welcome.")),
    _rule(r"^\W*(?:stop|wait|be quiet|never ?mind)\b", _fixed("All right.")),
    _rule(r"^\W*(?:yes|yeah|okay|ok|no|nope)\W*$", _fixed("Good to know. What would you like to do next?")),
    _rule(r"\b(?:hello|hi|hey|good (?:morning|afternoon|evening))\b", _hello),
)
