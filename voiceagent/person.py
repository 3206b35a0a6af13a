"""Who makes a request, in the words that the record keeps apart because they are personal data."""

from typing import Final

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.http import HttpRequest

from realtime_api.masking import mask_keys
from voiceagent.client_ip import client_ip

USER_AGENT_CHARS: Final = 300


def person_of(
    request: HttpRequest, user: AbstractBaseUser | AnonymousUser | None
) -> dict[str, str | int | bool | None]:
    """Return username, ip and user_agent; the name is empty for nobody known."""
    name = user.get_username() if user and user.pk else ""
    return {"username": name, "ip": client_ip(request), "user_agent": user_agent_of(request)}


def user_agent_of(request: HttpRequest) -> str:
    return kept(request.META.get("HTTP_USER_AGENT", ""), USER_AGENT_CHARS)


def kept(raw_text: str, most_chars: int) -> str:
    """Return the start of a text as it may be stored and shown: printable, and without a key pasted into it."""
    return mask_keys(printable(raw_text[: 4 * most_chars]))[:most_chars]


def printable(raw_text: str) -> str:
    """Replace what could break a log line or reorder a screen (control and format characters)."""
    if raw_text.isprintable():
        return raw_text
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in raw_text)
