"""`POST /v1/moderations` of the engine: a few telling words for each category, so that what asks can be tried offline.

It shows how guardrails work and is no moderation: people are hurt in more words than these.
"""

import re

from engine.protocol_json import Json

MODEL = "omni-moderation-latest"
WORDS = {
    "harassment": r"idiot|moron|loser",
    "hate": r"hate (?:all|every|those|these)|vermin|subhuman",
    "illicit": r"build a bomb|make a bomb|cook meth",
    "self-harm": r"kill myself|hurt myself|end my life",
    "sexual": r"porn|sexual",
    "sexual/minors": r"sexual .{0,40}\b(?:child|children|minor|minors)",
    "violence": r"murder|stab|shoot (?:him|her|them)",
}
PATTERNS = {name: re.compile(rf"\b(?:{words})\b", re.IGNORECASE) for name, words in WORDS.items()}


def moderate(text: str) -> Json:
    """Return the answer to one text, in the service's shape."""
    categories = {name: pattern.search(text) is not None for name, pattern in PATTERNS.items()}
    scores = {name: float(is_so) for name, is_so in categories.items()}
    result = {"flagged": any(categories.values()), "categories": categories, "category_scores": scores}
    return {"id": "modr_local", "model": MODEL, "results": [result]}
