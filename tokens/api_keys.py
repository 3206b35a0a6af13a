"""Values of API keys: `vak_`, random characters, a checksum. What is stored can find a key but not make one."""

import hashlib
import hmac
import secrets
import string
import zlib
from functools import lru_cache
from typing import Final

from django.conf import settings

PREFIX: Final = "vak_"
ALPHABET: Final = string.digits + string.ascii_letters
RANDOM_CHARS: Final = 43  # 256 bits
CHECKSUM_CHARS: Final = 6
PUBLIC_CHARS: Final = 8  # of the random part; shown in lists and used to find the row


def make_value() -> str:
    """Return a new key: `vak_`, 43 random characters, and 6 that let anybody see a typing error or a false alarm."""
    body = "".join(secrets.choice(ALPHABET) for _ in range(RANDOM_CHARS))
    return PREFIX + body + _checksum(body)


def has_form(unverified_value: str) -> bool:
    """Tell whether a text could be a key, without asking the database."""
    body = unverified_value.removeprefix(PREFIX)
    if body == unverified_value or len(body) != RANDOM_CHARS + CHECKSUM_CHARS or not body.isascii():
        return False
    return hmac.compare_digest(_checksum(body[:RANDOM_CHARS]), body[RANDOM_CHARS:])


def public_part(value: str) -> str:
    """Return the start of a key by which people tell keys apart, such as `vak_Xb3k9QpR`."""
    return value[: len(PREFIX) + PUBLIC_CHARS]


def digest(value: str, *, pepper_number: int) -> str:
    """Return the keyed fingerprint of a key (HMAC-SHA-256, hexadecimal); an empty text, which is nobody's, without
    its pepper."""
    pepper = peppers().get(pepper_number)
    return hmac.digest(pepper, value.encode(), "sha256").hex() if pepper else ""


def peppers() -> dict[int, bytes]:
    """Return the peppers by number. 0 comes from SECRET_KEY, the others from API_KEY_PEPPERS."""
    return {0: _own_pepper(settings.SECRET_KEY)} | {
        number: pepper.encode() for number, pepper in settings.API_KEY_PEPPERS.items()
    }


@lru_cache
def _own_pepper(secret_key: str) -> bytes:
    return hmac.new(secret_key.encode(), b"api-key-pepper", hashlib.sha256).digest()


def newest_pepper_number() -> int:
    return max(peppers())


def _checksum(body: str) -> str:
    number = zlib.crc32(body.encode())
    chars = ""
    for _ in range(CHECKSUM_CHARS):
        number, place = divmod(number, len(ALPHABET))
        chars = ALPHABET[place] + chars
    return chars
