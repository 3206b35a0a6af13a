"""What guardrails look for: words, patterns that cannot hang, categories."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.patterns import WINDOW_CHARS, UnsafePattern, compiled
from agents.rules import Rule, finds, is_flagged, words_pattern


def words(*lines: str) -> Rule:
    return Rule("manners", "output", "words", words_pattern("\n".join(lines)))


def pattern(text: str) -> Rule:
    return Rule("numbers", "output", "pattern", compiled(text))


@pytest.mark.parametrize("text", ["What a jerk.", "JERK!", "a \uff4a\uff45\uff52\uff4b", "you  big\nfool", "Big fool"])
def test_words_are_found_in_any_case_width_and_spacing(text: str) -> None:
    assert finds(words("jerk", "big fool"), text)


@pytest.mark.parametrize("text", ["j\u200berk", "big fo\u00adol", "je\u2060rk"])
def test_characters_that_nobody_sees_hide_no_word(text: str) -> None:
    assert finds(words("jerk", "big fool"), text)
    assert finds(pattern("jerk|fool"), text)


@pytest.mark.parametrize("text", ["Hauptstraße", "HAUPTSTRASSE", "hauptstra\u00dfe"])
def test_a_letter_that_folds_to_two_is_found_by_a_word_and_as_it_is_by_a_pattern(text: str) -> None:
    assert finds(words("hauptstraße"), text)
    assert finds(pattern("hauptstraße"), text) is ("ß" in text)


@pytest.mark.parametrize("text", ["jerky", "a_jerk", "big foolish", "bigfool", "", "bi g fool"])
def test_parts_of_other_words_are_not(text: str) -> None:
    assert not finds(words("jerk", "big fool"), text)


def test_a_phrase_that_comes_in_pieces_is_found_where_the_last_look_ended() -> None:
    said = "x " * 300 + "you big "

    assert finds(words("big fool"), said + "fool.", start=len(said))
    assert not finds(words("jerk"), "jerk " + said, start=len(said))


@pytest.mark.parametrize(("text", "found"), [
    ("call 555-0199 now", True), ("x" * 500 + " 555-0199 " + "x" * 500, True), ("call 55-019", False),
])  # fmt: skip
def test_a_pattern_is_found_wherever_it_stands(text: str, found: bool) -> None:
    assert finds(pattern(r"\b\d{3}-\d{4}\b"), text) is found


@pytest.mark.parametrize("text", [
    r"\d+", r"\b\d{3}-\d{4}\b", r"card\s{0,3}(number|no\.?)\s{0,3}\d{4}", r"(jerk|fool)s?", r"[a-z]{2,8}@x\.org",
    r"(?i:x)",
])  # fmt: skip
def test_patterns_that_people_write_are_taken(text: str) -> None:
    assert compiled(text)


@pytest.mark.parametrize("text", [
    r"(a+)+$", r"(a|a)*b", r"(a|ab)(c|bcd)(d*)*", r".*.*x", r"(x+x+)+y", r"(?=a)b", r"(a)\1", r"(?<!a)b", r"a*",
    r"(", r"[", r"\w*\w*\w*$", "x" * 301, r"(?P<n>a)(?(n)b|c)", r"((a{1,100}){1,100}){1,100}b", "", r"a{99999999999}",
])  # fmt: skip
def test_patterns_that_could_hang_and_those_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(UnsafePattern):
        compiled(text)


PIECES = st.sampled_from(["a", "b", "[ab]", ".", r"\w", "(a|b)", "(ab|a)", "(a|aa)"])
TIMES = st.sampled_from(["", "?", "+", "*", "{0,3}", "{1,9}", "{2,40}?"])


@settings(max_examples=150, deadline=None)
@given(parts=st.lists(st.tuples(PIECES, TIMES), min_size=1, max_size=6), groups=TIMES)
def test_no_pattern_that_is_taken_keeps_the_server_busy(parts: list[tuple[str, str]], groups: str) -> None:
    text = "(" + "".join(piece + times for piece, times in parts) + f"){groups}c"
    try:
        rule = pattern(text)
    except UnsafePattern:
        return
    begun = time.thread_time()
    finds(rule, "a" * WINDOW_CHARS + "b")
    assert time.thread_time() - begun < 0.5, text


@pytest.mark.parametrize(("flagged", "found"), [
    ({"hate"}, True), ({"hate/threatening"}, True), ({"sexual/minors"}, True), ({"sexual"}, False), (set(), False),
    ({"hateful"}, False),
])  # fmt: skip
def test_a_category_stands_for_its_parts(flagged: set[str], found: bool) -> None:
    rule = Rule("kind", "output", "moderation", categories=("hate", "self-harm", "sexual/minors"))

    assert is_flagged(rule, flagged) is found
