"""Log lines without secrets: whatever a message, a traceback or a driver's error holds is masked as it is written."""

import logging
from functools import lru_cache
from typing import Final

from django.conf import settings

from realtime_api.masking import REMOVED, mask_keys

MIN_SECRET_CHARS: Final = 6  # a shorter one would be found in ordinary words


class SafeFormatter(logging.Formatter):
    """A formatter that knows the server's own secrets, and the forms of keys."""

    def format(self, record: logging.LogRecord) -> str:
        return mask(super().format(record))


def mask(text: str) -> str:
    for secret in own_secrets():
        text = text.replace(secret, REMOVED)
    return mask_keys(text)


def storable(foreign_text: str) -> str:
    """Return what another server said as every database takes it: no secret of ours, no NUL, no half of a character."""
    return mask(foreign_text).replace("\0", "").encode("utf-8", "replace").decode()


def own_secrets() -> tuple[str, ...]:
    """Return the secrets that the settings hold, the longest first, so that none hides a part of another."""
    return _own_secrets(
        settings.SECRET_KEY,
        settings.UPSTREAM_API_KEY,
        settings.OPENAI_API_KEY,
        settings.ENGINE_API_KEY,
        settings.ENGINE_LLM_API_KEY,
        settings.DEMO_PASSWORD,
        settings.REDIS_URL.rpartition("@")[0].rpartition(":")[2],
        str(settings.DATABASES["default"].get("PASSWORD") or ""),
        *settings.API_KEY_PEPPERS.values(),
        *(key.hex() for key in settings.AUDIT_MAC_KEYS.values()),
        *(key.hex() for key in settings.AUDIT_SIGNING_KEYS.values()),
    )


@lru_cache(maxsize=4)
def _own_secrets(*secrets: str) -> tuple[str, ...]:
    return tuple(sorted({secret for secret in secrets if len(secret) >= MIN_SECRET_CHARS}, key=len, reverse=True))
