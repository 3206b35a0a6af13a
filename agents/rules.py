"""A guardrail as a live call uses it: what it looks for in a text. Pure, and quick enough for every word."""

import re
import unicodedata
from dataclasses import dataclass
from typing import Final, Literal

from agents.patterns import WINDOW_CHARS

MAX_WORDS: Final = 500
MAX_WORD_CHARS: Final = 80
# Characters that take no room: soft hyphens, and what joins, parts and directs others.
UNSEEN: Final = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]")
# Of the upstream's categories of moderation those that an administrator chooses from; each stands for its parts, too.
CATEGORIES: Final = ("hate", "self-harm", "sexual/minors", "harassment", "illicit", "sexual", "violence")


@dataclass(frozen=True)
class Rule:
    """side: whose words it is about. finder: of words or a pattern. Else categories, or the name of a check, say more.

    safe_line: what is said instead. records_only: nothing is stopped.
    """

    slug: str
    side: Literal["input", "output"]
    kind: Literal["words", "pattern", "moderation", "check"]
    finder: re.Pattern[str] | None = None
    categories: tuple[str, ...] = ()
    check: str = ""
    safe_line: str = ""
    records_only: bool = False


def words_pattern(words: str) -> re.Pattern[str]:
    """Return what finds any of the words or phrases, one a line, as whole words in any case and spacing."""
    phrases = [plain(line).split() for line in words.splitlines() if line.strip()]
    parts = [r"\s+".join(map(re.escape, phrase)) for phrase in phrases]
    return re.compile(rf"(?<!\w)(?:{'|'.join(parts)})(?!\w)" if parts else r"(?!)")


def plain(text: str) -> str:
    """Return a text without what makes the same word look different: width, composition, what nobody sees, case."""
    return _seen(text).casefold()


def _seen(text: str) -> str:
    return UNSEEN.sub("", unicodedata.normalize("NFKC", text))


def finds(rule: Rule, text: str, start: int = 0) -> bool:
    """Tell whether a rule of words or of a pattern finds something in a text that was looked at up to `start`."""
    if rule.finder is None:
        return False
    new = text[max(0, start - WINDOW_CHARS) :]
    if rule.kind == "words":
        return rule.finder.search(plain(new)) is not None
    looked = _seen(new)  # in its own case, as the pattern is: case-folding writes some letters as two
    pieces = range(0, max(1, len(looked)), WINDOW_CHARS // 2)
    return any(rule.finder.search(looked[piece : piece + WINDOW_CHARS]) for piece in pieces)


def is_flagged(rule: Rule, flagged: set[str]) -> bool:
    """Tell whether the upstream's categories for a text are among a rule's: `hate` covers `hate/threatening`."""
    return any(name == own or name.startswith(f"{own}/") for name in flagged for own in rule.categories)
