"""What changed in a row, as an event holds it: for each field its value before and after."""

import hashlib
import json
from collections.abc import Mapping
from typing import Final

LONG_CHARS: Final = 300


def changes_of(before: Mapping[str, object], after: Mapping[str, object]) -> dict[str, str]:
    """Return the facts of an event: `[before, after]` as JSON by the name of each field that differs."""
    names = sorted(name for name in {*before, *after} if before.get(name) != after.get(name))
    return {name: json.dumps([_told(before.get(name)), _told(after.get(name))], default=str) for name in names}


def _told(value: object) -> object:
    """Return a value as an event can hold it: a long text by its digest, which still tells one from another."""
    if isinstance(value, str) and len(value) > LONG_CHARS:
        return f"{len(value)} characters, SHA-256 {hashlib.sha256(value.encode()).hexdigest()}"
    return value
