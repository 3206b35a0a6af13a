"""JSON from outside, read strictly: UTF-8, no duplicate names, finite numbers, bounded depth."""

import json
from collections.abc import Mapping
from typing import IO, Any, Final, NoReturn

from rest_framework.exceptions import ParseError, UnsupportedMediaType
from rest_framework.fields import CharField, IntegerField
from rest_framework.parsers import BaseParser
from rest_framework.serializers import Serializer, ValidationError

from realtime_api.masking import shown_name
from voiceagent.errors import TooLarge

MAX_DEPTH: Final = 16
MAX_BODY_BYTES: Final = 16_384  # what our routes are asked needs less than one kilobyte
JSON_TYPES: Final = ("application/json", "application/json;charset=utf-8")
UNKNOWN_FIELD: Final = "unknown_field"


class NotStrictJson(ValueError):
    """The text is not JSON that we take; the message says why and holds nothing of the text."""


def parse_strict_json(raw_body: bytes) -> Any:
    """Return the value of a JSON text. Raises NotStrictJson.

    The standard parser takes the last of two equal names, NaN, 1e400 and unpaired surrogates, and runs out
    of stack on deep nesting; each of these is refused here.
    """
    try:
        text = raw_body.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise NotStrictJson("The body is not UTF-8.") from exc
    _refuse_depth(text)
    try:
        value = _decoder.decode(text)
    except NotStrictJson:
        raise
    except ValueError as exc:
        raise NotStrictJson("The body is not JSON.") from exc
    _refuse_unstorable_text(value)
    return value


def _refuse_depth(text: str) -> None:
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return
    depth = deepest = 0
    in_string = escaped = False
    for char in text:
        if in_string:
            in_string = escaped or char != '"'
            escaped = char == "\\" and not escaped
        elif char == '"':
            in_string = True
        elif char in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif char in "]}":
            depth -= 1
    if deepest > MAX_DEPTH:
        raise NotStrictJson(f"The body is nested deeper than {MAX_DEPTH} levels.")


def _unique_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = dict(pairs)
    if len(names) != len(pairs):
        raise NotStrictJson("A name stands twice in the same object.")
    return names


def _refuse_constant(word: str) -> NoReturn:
    raise NotStrictJson("NaN and Infinity are not JSON numbers.")


def _finite(digits: str) -> float:
    number = float(digits)
    if number in (float("inf"), float("-inf")):
        raise NotStrictJson("A number is too large.")
    return number


def _refuse_unstorable_text(value: Any) -> None:
    if isinstance(value, str) and ("\0" in value or _has_surrogate(value)):
        raise NotStrictJson("A text holds a character that cannot be stored.")
    if isinstance(value, dict):
        for name, member in value.items():
            _refuse_unstorable_text(name)
            _refuse_unstorable_text(member)
    elif isinstance(value, list):
        for member in value:
            _refuse_unstorable_text(member)


def _has_surrogate(text: str) -> bool:
    return not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text)


_decoder: Final = json.JSONDecoder(
    object_pairs_hook=_unique_names, parse_constant=_refuse_constant, parse_float=_finite
)


def is_plain_json(content_type: str, content_encoding: str) -> bool:
    """Tell whether a body is declared as JSON in UTF-8 and not compressed: nothing else is read."""
    return content_type.lower().replace(" ", "") in JSON_TYPES and content_encoding in ("", "identity")


class StrictJSONParser(BaseParser):
    """The only parser of our REST routes."""

    media_type = "application/json"

    def parse(
        self, stream: IO[bytes], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        headers = parser_context["request"].headers if parser_context else {}
        if not is_plain_json(media_type or "", headers.get("Content-Encoding", "")):
            raise UnsupportedMediaType(media_type or "")
        raw_body = stream.read(MAX_BODY_BYTES + 1)
        if len(raw_body) > MAX_BODY_BYTES:
            raise TooLarge(f"The body is larger than {MAX_BODY_BYTES} bytes.")
        try:
            return parse_strict_json(raw_body)
        except NotStrictJson as exc:
            raise ParseError(str(exc)) from exc


class StrictSerializer(Serializer[Any]):
    """A serializer that names fields it does not know instead of dropping them."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict):
            unknown = sorted(set(data) - set(self.fields))
            if unknown:
                raise ValidationError({shown_name(unknown[0]): ["is not a field of this request."]}, code=UNKNOWN_FIELD)
        return super().to_internal_value(data)


class StrictText(CharField):
    """Takes a text that a person can read in one line, and no number for one."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            raise ValidationError("must be a text.")
        if not data.isprintable():
            raise ValidationError("holds characters that cannot be shown.")
        return super().to_internal_value(data)


class StrictInteger(IntegerField):
    """Takes a whole number, and neither a text, nor 7.0, nor true for one."""

    def to_internal_value(self, data: Any) -> int:
        if type(data) is not int:
            raise ValidationError("must be a whole number.")
        return super().to_internal_value(data)
