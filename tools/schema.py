"""JSON schemas from Python's type hints, and a model's arguments read back as values of these types. No Django."""

import dataclasses
import re
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, time
from typing import Any, Final, Literal, NotRequired, Required, Union, get_args, get_origin, get_type_hints, is_typeddict

MAX_ENTRIES: Final = 200  # of a list
DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
TIME: Final = re.compile(r"\d{2}:\d{2}")

Schema = dict[str, Any]  # Any: JSON
Read = Callable[[Any, str], Any]  # Any: what the model sent, and what it means


class UnusableType(TypeError):
    """A type hint that a model cannot be asked for; the message names the place and what to use."""


class InvalidValue(ValueError):
    """A value that is not as the schema says; the message names its place, for the model."""


@dataclass(frozen=True)
class Form:
    """One type: how a model is told of it, and how its value is read. `read` raises InvalidValue."""

    schema: Schema
    read: Read


def form_of(hint: Any, path: str) -> Form:  # Any: a type hint may be of any kind
    """Return the form of a type hint. Raises UnusableType; path: where it stands."""
    origin, arguments = get_origin(hint), get_args(hint)
    if hint in SIMPLE:
        return SIMPLE[hint]
    if origin is Literal:
        return _choice(arguments)
    if origin in (Union, types.UnionType):
        return _optional(arguments, path)
    if origin is list:
        return _list(arguments[0], path)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        required = [field.name for field in dataclasses.fields(hint) if _has_no_default(field)]
        return object_form(get_type_hints(hint), required, path, make=lambda values: hint(**values))
    if is_typeddict(hint):
        return object_form(get_type_hints(hint), hint.__required_keys__, path, make=dict)
    raise UnusableType(
        f"{path}: {getattr(hint, '__name__', hint)} is no type that a model can be asked for. Use str, int, float,"
        " bool, date, time, Literal, list[…], a dataclass, a TypedDict, or one of them | None."
    )


def object_form(
    hints: Mapping[str, Any], required: Any, path: str, *, make: Callable[[dict[str, Any]], Any]
) -> Form:  # Any: as above; required: names
    """Return the form of an object with these fields and no others."""
    fields = {name: form_of(_bare(hint), f"{path}.{name}" if path else name) for name, hint in hints.items()}
    names = [name for name in fields if name in required]
    schema: Schema = {
        "type": "object",
        "properties": {name: form.schema for name, form in fields.items()},
        "required": names,
        "additionalProperties": False,
    }

    def read(value: Any, place: str) -> Any:
        if not isinstance(value, dict):
            raise _invalid(place, "must be an object")
        missing, unknown = [name for name in names if name not in value], sorted(value.keys() - fields.keys())
        if missing or unknown:
            wrong = f"lacks {', '.join(missing)}" if missing else f"has no field {', '.join(unknown)}"
            raise _invalid(place, wrong[:200])
        inner = f"{place}." if place else ""
        return make({name: fields[name].read(entry, inner + name) for name, entry in value.items()})

    return Form(schema, read)


def _bare(hint: Any) -> Any:
    return get_args(hint)[0] if get_origin(hint) in (NotRequired, Required) else hint


def _has_no_default(field: "dataclasses.Field[Any]") -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _choice(options: tuple[Any, ...]) -> Form:
    kinds = {type(option) for option in options}
    schema: Schema = {"enum": list(options)} | ({"type": "string"} if kinds == {str} else {})

    def read(value: Any, place: str) -> Any:
        for option in options:
            if value == option and type(value) is type(option):
                return option
        raise _invalid(place, f"must be one of {', '.join(map(str, options))}")

    return Form(schema, read)


def _optional(arguments: tuple[Any, ...], path: str) -> Form:
    others = [argument for argument in arguments if argument is not type(None)]
    if len(others) != 1:
        raise UnusableType(f"{path}: one type, or one type | None; a model cannot choose between several.")
    inner = form_of(others[0], path)
    return Form(
        {"anyOf": [inner.schema, {"type": "null"}]},
        lambda value, place: None if value is None else inner.read(value, place),
    )


def _list(hint: Any, path: str) -> Form:
    inner = form_of(hint, f"{path}[]")

    def read(value: Any, place: str) -> list[Any]:
        if not isinstance(value, list) or len(value) > MAX_ENTRIES:
            raise _invalid(place, f"must be a list of at most {MAX_ENTRIES} entries")
        return [inner.read(entry, f"{place}[{number}]") for number, entry in enumerate(value)]

    return Form({"type": "array", "items": inner.schema, "maxItems": MAX_ENTRIES}, read)


def _of_type(*kinds: type) -> Read:
    words = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}[kinds[-1]]

    def read(value: Any, place: str) -> Any:
        if type(value) not in kinds:
            raise _invalid(place, f"must be {words}")
        return kinds[-1](value)

    return read


def _by_pattern(pattern: re.Pattern[str], parse: Callable[[str], Any], words: str) -> Read:
    def read(value: Any, place: str) -> Any:
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise _invalid(place, words)
        try:
            return parse(value)
        except ValueError as exc:
            raise _invalid(place, words) from exc

    return read


def _invalid(place: str, words: str) -> InvalidValue:
    return InvalidValue(f"'{place}' {words}." if place else f"The arguments: {words}.")


SIMPLE: Final[dict[Any, Form]] = {
    str: Form({"type": "string"}, _of_type(str)),
    int: Form({"type": "integer"}, _of_type(int)),
    float: Form({"type": "number"}, _of_type(int, float)),
    bool: Form({"type": "boolean"}, _of_type(bool)),
    date: Form(
        {"type": "string", "format": "date"}, _by_pattern(DATE, date.fromisoformat, "must be a date, YYYY-MM-DD")
    ),
    time: Form(
        {"type": "string", "pattern": "^[0-9]{2}:[0-9]{2}$"},
        _by_pattern(TIME, time.fromisoformat, "must be a time of day, HH:MM"),
    ),
}
