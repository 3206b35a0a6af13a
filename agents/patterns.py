"""Patterns that administrators write, none of which can keep the server busy.

Python's matcher goes back over every way in which a pattern can be read. What is taken here can be read in few ways,
counted from its parse tree, and is matched against short stretches of text.
"""

import re
import warnings
from functools import lru_cache
from re import _constants as names  # type: ignore[attr-defined]  # the parse tree's own words
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any, Final

WINDOW_CHARS: Final = 200  # of text that a pattern sees at once
MAX_WAYS: Final = 1_000
MAX_PATTERN_CHARS: Final = 300

Node = tuple[Any, Any]  # Any: the parse tree has no types


class UnsafePattern(ValueError):
    """The pattern is none, or one that could take long; the message says what to write instead."""


@lru_cache(maxsize=256)
def compiled(pattern: str) -> re.Pattern[str]:
    """Return a pattern ready for `search`, letters of either case alike. Raises UnsafePattern."""
    if len(pattern) > MAX_PATTERN_CHARS:
        raise UnsafePattern(f"A pattern has at most {MAX_PATTERN_CHARS} characters.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # what Python will read differently one day is no clear pattern
            tree = parser.parse(pattern, re.IGNORECASE)
            found = re.compile(pattern, re.IGNORECASE)
    except (re.error, RecursionError, OverflowError, Warning) as exc:
        raise UnsafePattern(f"This is no pattern: {exc}.") from exc
    if _ways(list(tree)) > MAX_WAYS:
        raise UnsafePattern("This could take long. Say how many times something may come, as in x{0,3} instead of x*.")
    if found.search("") is not None:
        raise UnsafePattern("This is found in every text.")
    return found


def _ways(nodes: list[Node]) -> int:
    """Return in how many ways a sequence can be read at most, from one place on; too many stay about as many."""
    ways = 1
    for node in nodes:
        ways = min(ways * _ways_of(node), MAX_WAYS + 1)
    return ways


def _ways_of(node: Node) -> int:
    kind, value = node
    if kind in (names.MAX_REPEAT, names.MIN_REPEAT, names.POSSESSIVE_REPEAT):
        return _ways_of_repeat(*value)
    if kind is names.BRANCH:
        return sum(_ways(list(branch)) for branch in value[1])
    if kind is names.SUBPATTERN:
        return _ways(list(value[-1]))
    if kind in (names.LITERAL, names.NOT_LITERAL, names.ANY, names.IN, names.AT, names.CATEGORY):
        return 1
    raise UnsafePattern("Looking around and looking back are not taken.")


def _ways_of_repeat(least: int, most: int, inner: Any) -> int:  # Any: the parse tree
    ways, most = _ways(list(inner)), min(int(most), WINDOW_CHARS)
    if ways == 1:
        return max(1, most - least + 1)
    total = 0
    for times in range(least, most + 1):
        total += ways**times
        if total > MAX_WAYS:
            break
    return total
