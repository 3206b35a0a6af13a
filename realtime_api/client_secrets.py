"""Values of client secrets: how ours are made and how any is fingerprinted."""

import hmac
import secrets
from typing import Final

PREFIX: Final = "ek_"  # the browser SDK refuses to start with anything else
RANDOM_BYTES: Final = 32
HINT_CHARS: Final = 4
MAX_VALUE_CHARS: Final = 512


def make_value() -> str:
    """Return a new random value of a client secret: `ek_` and 256 bits in hexadecimal."""
    return PREFIX + secrets.token_hex(RANDOM_BYTES)


def digest(value: str, *, pepper: bytes) -> str:
    """Return the keyed fingerprint under which a value is stored and found (HMAC-SHA-256, hexadecimal)."""
    return hmac.digest(pepper, value.encode(), "sha256").hex()


def has_form(unverified_value: str) -> bool:
    """Tell whether a text could be a client secret at all, before it is hashed and looked up."""
    return (
        unverified_value.startswith(PREFIX) and unverified_value.isascii() and len(unverified_value) <= MAX_VALUE_CHARS
    )
