"""What differs between two versions of an agent, in words and lines for people. Nothing here changes anything."""

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from agents.models import AgentVersion

CONTEXT_LINES: Final = 1
NOTHING: Final = "nothing"
_FIELDS: Final = {field.name: field for field in AgentVersion._meta.concrete_fields}


@dataclass(frozen=True)
class Line:
    """sign: `+` for new, `-` for gone, empty for what stays around them, `…` for a gap."""

    sign: str
    text: str


@dataclass(frozen=True)
class Difference:
    label: str
    lines: list[Line]


def differences(before: AgentVersion | None, after: AgentVersion) -> list[Difference]:
    """Return what changed from one version to the next, in the fields' order; of a first one all that it says."""
    old = before.content() if before else {}
    return [
        Difference(_label(name), list(_lines(_words(before, name), _words(after, name))))
        for name, value in after.content().items()
        if value != old.get(name, _default(name))
    ]


def _lines(old: str, new: str) -> Iterator[Line]:
    changed = difflib.unified_diff(old.splitlines(), new.splitlines(), n=CONTEXT_LINES, lineterm="")
    for number, line in enumerate(changed):
        if number < 2:
            continue  # the two headers name files
        if line.startswith("@@"):
            if number > 2:
                yield Line("…", "")
        else:
            yield Line(line[0].strip(), line[1:])


def _words(version: AgentVersion | None, name: str) -> str:
    """Return a field's value as text: a list's entries in lines of their own."""
    if version is None:
        return ""
    value = getattr(version, name)
    if isinstance(value, list):
        return "\n".join(map(str, value)) or NOTHING
    named = getattr(version, f"get_{name}_display", lambda: value)()
    return NOTHING if named in (None, "") else str(named)


def _label(name: str) -> str:
    label = str(_FIELDS[name].verbose_name)
    return label[:1].upper() + label[1:]


def _default(name: str) -> object:
    return _FIELDS[name].get_default()
