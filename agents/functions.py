"""The functions that a version offers its model. Other apps register what they can do; this one knows none of it."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agents.models import AgentVersion

# Returns tools as a session takes them. Asked for each call: the answer may depend on nothing but the version and code,
# or a live session would seem changed by its client.
Definer = Callable[["AgentVersion"], list[dict[str, Any]]]  # Any: JSON

_definers: list[Definer] = []
_tool_names: list[Callable[[], Mapping[str, str]]] = []


def register_functions(definer: Definer) -> Definer:
    """Let every version offer what `definer` returns for it. Fits as a decorator, and registers once."""
    if definer not in _definers:
        _definers.append(definer)
    return definer


def functions_of(version: "AgentVersion") -> list[dict[str, Any]]:
    """Return all that a version offers, as `tools` of its session."""
    return [function for definer in _definers for function in definer(version)]


def register_tool_names(names: Callable[[], Mapping[str, str]]) -> None:
    """Let versions name tools that somebody has. names: returns them, with what people call each."""
    _tool_names.append(names)


def tool_names() -> dict[str, str]:
    """Return the tools that a version may name, with what people call each."""
    return {name: words for names in _tool_names for name, words in names().items()}
