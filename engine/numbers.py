"""Small whole numbers in words and back, for the scripted replies."""

import re

# fmt: off
WORDS = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty",
]
# fmt: on
TENS = {"thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90}
VALUES = {word: value for value, word in enumerate(WORDS)} | TENS | {"hundred": 100}
_ONES = "|".join(WORDS[1:10])
_ANY = "|".join(sorted(VALUES, key=len, reverse=True))
NUMBER = rf"(?:\d{{1,6}}|(?:one |a )?hundred|{_ANY})(?:[ -](?:{_ONES}))?"


def parse_number(text: str) -> int | None:
    """Return the value of digits or of a number word up to a hundred, or None."""
    words = re.split(r"[ -]", re.sub(r"^(?:one|a) (?=hundred)", "", text.strip().lower()))
    if len(words) == 1 and words[0].isdigit():
        return int(words[0])
    values = [VALUES.get(word) for word in words]
    if any(value is None for value in values):
        return None
    return sum(value for value in values if value is not None)


def say_number(value: int) -> str:
    """Return a number as one says it; large ones stay digits."""
    if 0 <= value < len(WORDS):
        return WORDS[value]
    return f"minus {say_number(-value)}" if value < 0 else str(value)
