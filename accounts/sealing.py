"""Secrets of second factors, sealed in the database by a key made from SECRET_KEY.

Sealed, not hashed: codes of an authenticator app are computed from the secret itself.
"""

import base64
import logging
import secrets
from hashlib import sha256
from typing import Final

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings

logger = logging.getLogger(__name__)
PURPOSE: Final = b"voiceagent second factors:"


def seal(text: str) -> str:
    return _keys().encrypt(text.encode()).decode()


def unseal(sealed: str) -> str:
    """Return the secret; for one sealed under another SECRET_KEY a random one, whose codes nobody has."""
    try:
        return _keys().decrypt(sealed.encode()).decode()
    except InvalidToken:
        logger.error("a second factor was sealed under another SECRET_KEY and cannot be used")
        return base64.b32encode(secrets.token_bytes(20)).decode()


def _keys() -> MultiFernet:
    digests = [
        sha256(PURPOSE + str(key).encode()).digest() for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    ]
    return MultiFernet([Fernet(base64.urlsafe_b64encode(digest)) for digest in digests])
