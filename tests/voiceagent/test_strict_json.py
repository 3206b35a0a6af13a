"""JSON from outside: what the standard parser would let through is refused."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiceagent.strict_json import MAX_DEPTH, NotStrictJson, parse_strict_json

STORABLE = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | STORABLE,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(STORABLE, inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
def test_what_json_writes_is_read_back(value: object) -> None:
    assert parse_strict_json(json.dumps(value).encode()) == value


@pytest.mark.parametrize(
    "raw_body",
    [
        b"",
        b"{",
        b"{} {}",
        b"\xff\xfe{}",
        b"\xef\xbb\xbf{}",
        b'{"a": 1, "a": 2}',
        b'{"a": {"b": 1, "b": 1}}',
        b"NaN",
        b"[Infinity]",
        b"[-Infinity]",
        b"1e400",
        b'"\\ud800"',
        b'{"\\u0000": 1}',
        b'"\\u0000"',
        b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1),
        b"[" * 200_000,
        b"1" * 10_000,
    ],
)
def test_it_refuses(raw_body: bytes) -> None:
    with pytest.raises(NotStrictJson):
        parse_strict_json(raw_body)


def test_brackets_in_a_text_are_not_depth() -> None:
    assert parse_strict_json(b'"[[[[[[[[[[[[[[[[[[[[\\"[[[["') == '[[[[[[[[[[[[[[[[[[[["[[[['


def test_a_message_holds_nothing_of_the_text() -> None:
    with pytest.raises(NotStrictJson) as caught:
        parse_strict_json(b'{"ek_secret": }')

    assert "ek_secret" not in str(caught.value)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_value_or_refused(raw_body: bytes) -> None:
    try:
        parse_strict_json(raw_body)
    except NotStrictJson:
        return
