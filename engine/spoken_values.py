"""Dates, times of day, phone numbers and names in what somebody said. Pure; today is passed in."""

import re
from datetime import date, time, timedelta

from engine.numbers import NUMBER, VALUES, WORDS, parse_number

MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
ORDINALS = {
    "first": 1, "second": 2, "third": 3, "fifth": 5, "eighth": 8, "ninth": 9, "twelfth": 12, "twentieth": 20,
    "thirtieth": 30, "twenty-first": 21, "twenty-second": 22, "twenty-third": 23, "twenty-fifth": 25,
    "twenty-eighth": 28, "twenty-ninth": 29, "thirty-first": 31,
} | {f"{word}th": value for word, value in VALUES.items() if 4 <= value <= 19 and value not in (5, 8, 9, 12)} | {
    f"twenty-{WORDS[value]}th": 20 + value for value in (4, 6, 7)
}  # fmt: skip
DIGITS = {word: str(value) for value, word in enumerate(WORDS[:10])} | {"oh": "0", "o": "0"}
FIRST_HOUR = 8  # an hour before that is one of the afternoon
MIN_PHONE_DIGITS = 5

_MONTH = "|".join(MONTHS)
_DAY = rf"(?:\d{{1,2}}(?:st|nd|rd|th)?|{'|'.join(sorted(ORDINALS, key=len, reverse=True))}|{NUMBER})"
ISO = re.compile(r"\b(\d{4})-(\d{2})-(\d{2})\b")
MONTH_DAY = re.compile(rf"\b({_MONTH})\s+(?:the\s+)?({_DAY})\b(?:,?\s+(\d{{4}})\b)?", re.I)
DAY_MONTH = re.compile(rf"\b({_DAY})(?:\s+of)?\s+({_MONTH})\b(?:,?\s+(\d{{4}})\b)?", re.I)
RELATIVE = re.compile(rf"\b(day after tomorrow|tomorrow|today|{'|'.join(WEEKDAYS)})\b", re.I)
_HALF = r"half past|quarter past|quarter to"
_HOUR = rf"(?:\d{{1,2}}|{'|'.join(WORDS[1:13])})"
TIME = re.compile(
    rf"\b(?P<lead>at |around |about )?(?:(?P<part>{_HALF}) (?P<of>{_HOUR})\b|(?P<hour>{_HOUR})"
    rf"(?:\s?[:.]\s?(?P<minute>[0-5]\d)| (?P<half>thirty|fifteen|forty-five|forty five))?\b)"
    r"(?P<clock>\s*o'?clock)?(?:\s*(?P<noon>[ap])\.?\s?m\b)?", re.I
)  # fmt: skip
NAMED = re.compile(
    r"\b(?:my name is|the name is|name is|name's|this is|i am|i'm|call me|under)\s+"
    r"([A-Z][\w'-]*(?:\s+[A-Z][\w'-]*){0,2})"
)
NOT_A_NAME = re.compile(r"\b(?:my|name|is|it's|it|the|this|i|am|i'm|please|well|um|uh|yes|sure|okay)\b[\s,]*", re.I)
MINUTES = {"thirty": 30, "fifteen": 15, "forty-five": 45, "forty five": 45}


def parse_dates(said: str, today: date) -> list[date]:
    """Return the days that are named, in the order of the sentence. One without a year is the next of its kind."""
    found = [(match.start(), _date(int(match[1]), int(match[2]), int(match[3]))) for match in ISO.finditer(said)]
    found += [(match.start(), _of_month(match[1], match[2], match[3], today)) for match in MONTH_DAY.finditer(said)]
    found += [(match.start(), _of_month(match[2], match[1], match[3], today)) for match in DAY_MONTH.finditer(said)]
    found += [(match.start(), _relative(match[1].lower(), today)) for match in RELATIVE.finditer(said)]
    return [day for _, day in sorted(found, key=lambda entry: entry[0]) if day is not None]


def parse_time(said: str, *, is_asked: bool = False) -> time | None:
    """Return a time of day. A bare number is one only where it was asked for; one to seven are in the afternoon."""
    if re.search(r"\bnoon\b", said, re.I):
        return time(12)
    for match in TIME.finditer(_without_dates(said)):
        marks = ("lead", "part", "minute", "half", "clock", "noon")
        if is_asked or any(match[mark] for mark in marks):
            return _time(match)
    return None


def parse_phone(said: str) -> str | None:
    """Return a phone number's digits, spoken one by one or written."""
    best, current = "", ""
    for word in re.findall(r"\+|\d+|[a-z]+|[^\w\s()./-]", said.lower()):
        digits = word if word.isdigit() or word == "+" else DIGITS.get(word, "")
        current = current + digits if digits else ""
        best = max(best, current, key=len)
    return best if len(best.strip("+")) >= MIN_PHONE_DIGITS else None


def parse_name(said: str, *, is_asked: bool = False) -> str | None:
    """Return who somebody says they are; where that was asked for, all of what they said is a name."""
    named = NAMED.search(said)
    if named:
        return named[1]
    if not is_asked:
        return None
    words = re.findall(r"[^\W\d_][\w'-]*", NOT_A_NAME.sub("", said))[:3]
    return " ".join(word[:1].upper() + word[1:] for word in words) or None


def say_date(day: date) -> str:
    return f"{day:%A}, {day:%B} {day.day}"


def say_time(at: time) -> str:
    half = "in the morning" if at.hour < 12 else "in the afternoon"
    hour = at.hour % 12 or 12
    return f"{WORDS[hour]} {half}" if not at.minute else f"{WORDS[hour]} {at.minute:02} {half}"


def _date(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _of_month(month: str, day: str, year: str | None, today: date) -> date | None:
    number = ORDINALS.get(day.lower()) or parse_number(re.sub(r"(?:st|nd|rd|th)$", "", day.lower())) or 0
    named = _date(int(year) if year else today.year, MONTHS.index(month.lower()) + 1, number)
    if named is not None and year is None and named < today:
        return _date(today.year + 1, named.month, number)
    return named


def _relative(word: str, today: date) -> date:
    if word in WEEKDAYS:
        return today + timedelta(days=(WEEKDAYS.index(word) - today.weekday() - 1) % 7 + 1)
    return today + timedelta(days={"today": 0, "tomorrow": 1}.get(word, 2))


def _without_dates(said: str) -> str:
    for pattern in (ISO, MONTH_DAY, DAY_MONTH):
        said = pattern.sub(" ", said)
    return said


def _time(match: re.Match[str]) -> time | None:
    hour = parse_number(match["of"] or match["hour"]) or 0
    minute = int(match["minute"]) if match["minute"] else MINUTES.get((match["half"] or "").lower(), 0)
    part = (match["part"] or "").lower()
    if part:
        hour, minute = (hour - 1, 45) if part == "quarter to" else (hour, 30 if part == "half past" else 15)
    noon = (match["noon"] or "").lower()
    if noon:
        hour = hour % 12 + (12 if noon == "p" else 0)
    elif hour < FIRST_HOUR and not (match["hour"] or "").startswith("0"):
        hour += 12
    return time(hour, minute) if hour < 24 else None
