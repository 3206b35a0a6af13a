"""What is taken out of words."""

import pytest

from relay.redaction import redacted


@pytest.mark.parametrize(("text", "kept"), [
    ("My card is 4111 1111 1111 1111, thanks.", "My card is [number], thanks."),
    ("Born 24.12.1990.", "Born [number]."),
    ("Write to a.b@example.org!", "Write to [address]!"),
    ("See https://example.org/x?y=1 now", "See [address] now"),
    ("The key is sk-abcdefghijkl", "The key is [removed]"),
    ("We open at 9, close at 17:30, room 12.", "We open at 9, close at 17:30, room 12."),
    ("", ""),
])  # fmt: skip
def test_numbers_addresses_and_keys_go_and_the_rest_stays(text: str, kept: str) -> None:
    assert redacted(text) == kept
