"""Whether a live session is still the one that was granted. Over WebRTC a client can change it past every server."""

from collections.abc import Mapping
from typing import Any, Final

# What an agent says and costs. Turn detection, sound formats and the like are the listener's own affair; the upstream
# fills in defaults, so only what was granted is compared.
OWNED: Final = (
    "model", "instructions", "tools", "tool_choice", "output_modalities", "max_output_tokens",
    "reasoning", "audio.input.transcription", "audio.output.voice",
)  # fmt: skip
# These cannot change in a live session.
FIXED: Final = frozenset({"model"})

Session = Mapping[str, Any]  # Any: JSON


def drift_of(granted: Session, live: Session) -> list[str]:
    """Return the fields of a live session that are not as they were granted."""
    return [path for path in OWNED if _has(granted, path) and not _holds(_get(granted, path), _get(live, path))]


def restoring(granted: Session) -> dict[str, Any]:
    """Return the session of a `session.update` that puts everything back which can be."""
    update: dict[str, Any] = {"type": "realtime"}
    for path in OWNED:
        if path not in FIXED and _has(granted, path):
            *parents, name = path.split(".")
            part = update
            for parent in parents:
                part = part.setdefault(parent, {})
            part[name] = _get(granted, path)
    return update


def _holds(granted: Any, live: Any) -> bool:
    """Tell whether a value is as granted; objects may have more fields, and lists have as many entries."""
    if isinstance(granted, Mapping):
        return isinstance(live, Mapping) and all(_holds(value, live.get(name)) for name, value in granted.items())
    if isinstance(granted, list):
        pairs = zip(granted, live, strict=False) if isinstance(live, list) else ()
        return isinstance(live, list) and len(live) == len(granted) and all(_holds(*pair) for pair in pairs)
    return bool(granted == live)


def _has(session: Session, path: str) -> bool:
    return _get(session, path, missing := object()) is not missing


def _get(session: Session, path: str, default: Any = None) -> Any:
    found: Any = session
    for name in path.split("."):
        if not isinstance(found, Mapping) or name not in found:
            return default
        found = found[name]
    return found
