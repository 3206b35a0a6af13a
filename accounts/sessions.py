"""Where somebody is signed in, and ending that."""

from dataclasses import dataclass
from datetime import datetime

from allauth.usersessions.models import UserSession
from django.contrib.auth.models import User
from django.db import transaction
from django.http import HttpRequest

from accounts import records

# What a browser calls itself, from the most particular to what others name, too.
BROWSERS = {"Edg": "Edge", "OPR": "Opera", "Firefox": "Firefox", "Chrome": "Chrome", "Safari": "Safari"}
SYSTEMS = {
    "Android": "Android",
    "iPhone": "iPhone",
    "iPad": "iPad",
    "Windows": "Windows",
    "Mac OS X": "macOS",
    "CrOS": "ChromeOS",
    "Linux": "Linux",
}


@dataclass(frozen=True)
class ShownSession:
    """A session as its owner sees it."""

    pk: int
    device: str
    address: str
    started_at: datetime
    is_current: bool


def sessions_of(request: HttpRequest, user: User) -> list[ShownSession]:
    """Return where a user is signed in, newest first; forgets sessions that are over."""
    shown = [
        ShownSession(
            pk=session.pk,
            device=device_of(session.user_agent),
            address=session.ip,
            started_at=session.created_at,
            is_current=session.session_key == request.session.session_key,
        )
        for session in UserSession.objects.purge_and_list(user)
    ]
    return sorted(shown, key=lambda session: session.started_at, reverse=True)


def device_of(user_agent: str) -> str:
    """Return a browser and its system in words, such as `Firefox, Windows`; the unknown as it calls itself."""
    browser = next((name for mark, name in BROWSERS.items() if f"{mark}/" in user_agent), "")
    system = next((name for mark, name in SYSTEMS.items() if mark in user_agent), "")
    return ", ".join(filter(None, [browser, system])) or user_agent[:60]


def end(session: UserSession, code: str, *, actor: str) -> None:
    """End one session at once, recorded with it. code: as in `records.session_ended`."""
    with transaction.atomic():
        records.session_ended(session.user, code, actor=actor)
        session.end()


def end_others(request: HttpRequest, user: User, code: str) -> None:
    """End all of a user's sessions but the one of this request, which may just have got another key."""
    for session in UserSession.objects.filter(user=user).exclude(session_key=request.session.session_key):
        if session.exists():
            end(session, code, actor=records.acting())
        else:
            session.delete()
