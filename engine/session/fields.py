"""Checks of single JSON fields. Each returns the value or raises ProtocolError that names the field."""

from collections.abc import Callable, Mapping
from typing import TypeAlias

from engine.protocol_json import Json
from engine.session.errors import ProtocolError, invalid_value, missing_parameter, unknown_parameter

Check: TypeAlias = Callable[[object, str], object]

MAX_TEXT_CHARS = 65_536
MAX_NAME_CHARS = 256
# Copies and JSON text of what is nested deeper would exhaust the interpreter's stack.
MAX_DEPTH = 32


def text(highest: int = MAX_TEXT_CHARS, lowest: int = 0) -> Check:
    """Accept a string of bounded length."""

    def check(value: object, param: str) -> object:
        if not isinstance(value, str) or not lowest <= len(value) <= highest:
            raise invalid_value(param, f"a string of {lowest} to {highest} characters")
        return value

    return check


def choice(*allowed: object) -> Check:
    """Accept one of a few plain values."""

    def check(value: object, param: str) -> object:
        if not any(value is option or (type(value) is type(option) and value == option) for option in allowed):
            raise invalid_value(param, "one of " + ", ".join(str(option) for option in allowed))
        return value

    return check


def number(lowest: float, highest: float) -> Check:
    """Accept a number in a range; true and false are no numbers."""

    def check(value: object, param: str) -> object:
        if isinstance(value, bool) or not isinstance(value, int | float) or not lowest <= value <= highest:
            raise invalid_value(param, f"a number from {lowest:g} to {highest:g}")
        return value

    return check


def integer(lowest: int, highest: int) -> Check:
    """Accept a whole number in a range."""

    def check(value: object, param: str) -> object:
        if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= highest:
            raise invalid_value(param, f"an integer from {lowest} to {highest}")
        return value

    return check


def flag(value: object, param: str) -> object:
    """Accept true or false."""
    if not isinstance(value, bool):
        raise invalid_value(param, "true or false")
    return value


def either(*checks: Check) -> Check:
    """Accept what any of the checks accepts; the last one words the refusal."""

    def check(value: object, param: str) -> object:
        for attempt in checks[:-1]:
            try:
                return attempt(value, param)
            except ProtocolError:
                continue
        return checks[-1](value, param)

    return check


def nullable(inner: Check) -> Check:
    """Accept null besides what `inner` accepts."""

    def check(value: object, param: str) -> object:
        return None if value is None else inner(value, param)

    return check


def items(inner: Check, highest: int) -> Check:
    """Accept a list of bounded length."""

    def check(value: object, param: str) -> object:
        if not isinstance(value, list) or len(value) > highest:
            raise invalid_value(param, f"a list of at most {highest} entries")
        return [inner(entry, f"{param}[{place}]") for place, entry in enumerate(value)]

    return check


def fields(known: Mapping[str, Check], required: tuple[str, ...] = ()) -> Check:
    """Accept an object with only known fields and all required ones."""

    def check(value: object, param: str) -> object:
        return read_fields(value, param, known, required)

    return check


def read_fields(value: object, param: str, known: Mapping[str, Check], required: tuple[str, ...] = ()) -> Json:
    """Check an object field by field and return a copy."""
    if not isinstance(value, dict):
        raise invalid_value(param or "body", "an object")
    prefix = f"{param}." if param else ""
    for name in value:
        if name not in known:
            raise unknown_parameter(f"{prefix}{str(name)[:MAX_NAME_CHARS]}")
    for name in required:
        if name not in value:
            raise missing_parameter(f"{prefix}{name}")
    return {name: known[name](entry, f"{prefix}{name}") for name, entry in value.items()}


def has_field(found: object, path: str) -> bool:
    """Tell whether an object has a field, named as in `session.audio.output.voice`."""
    for name in path.split("."):
        if not isinstance(found, dict) or name not in found:
            return False
        found = found[name]
    return True


def any_object(value: object, param: str) -> object:
    """Accept any object, such as a JSON schema, that is not nested too deeply."""
    if not isinstance(value, dict):
        raise invalid_value(param, "an object")
    return anything(value, param)


def anything(value: object, param: str) -> object:
    """Accept any value that is not nested too deeply."""
    if not is_shallow(value, MAX_DEPTH):
        raise invalid_value(param, f"at most {MAX_DEPTH} levels")
    return value


def is_shallow(value: object, levels: int) -> bool:
    """Tell whether a value is nested no deeper than so many levels."""
    if not isinstance(value, dict | list):
        return True
    inner = value.values() if isinstance(value, dict) else value
    return levels > 0 and all(is_shallow(entry, levels - 1) for entry in inner)
