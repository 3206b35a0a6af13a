"""What somebody who stays connected stands on, and whether it still holds: their user, their key, their session."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from tokens.models import ApiKey


@dataclass(frozen=True)
class Footing:
    """Without a key or a session of its own these do not matter to it. session_hash: of the user's password then."""

    user_pk: int
    key_pk: int | None = None
    session_key: str = ""
    session_hash: str = ""


def footing_of(request: HttpRequest, user: User, key: ApiKey | None) -> Footing:
    """Return what somebody stands on who was identified in a request: their key, else the session it came with."""
    if key is not None:
        return Footing(user.pk, key_pk=key.pk)
    return Footing(
        user.pk,
        session_key=request.COOKIES.get(settings.SESSION_COOKIE_NAME, ""),
        session_hash=user.get_session_auth_hash(),
    )


def find_lost(footings: Collection[Footing]) -> set[Footing]:
    """Return those that no longer hold: user disabled, key revoked or disabled, session ended, password changed."""
    users = set(_pks(User.objects.filter(is_active=True), {footing.user_pk for footing in footings}))
    hashes = _session_hashes(footings)
    keys = set(_pks(ApiKey.objects.filter(enabled=True, revoked_at=None), {footing.key_pk for footing in footings}))
    sessions = _live_sessions(footings)
    return {footing for footing in footings if not _holds(footing, users, hashes, keys, sessions)}


def _session_hashes(footings: Iterable[Footing]) -> dict[int, str]:
    """Return what sessions hold of their user's password, by user; only for those who stand on a session."""
    numbers = {footing.user_pk for footing in footings if footing.session_key}
    users = User.objects.filter(pk__in=numbers) if numbers else ()
    return {user.pk: user.get_session_auth_hash() for user in users}


def _live_sessions(footings: Iterable[Footing]) -> set[str]:
    keys = {footing.session_key for footing in footings if footing.session_key}
    return set(_pks(Session.objects.filter(expire_date__gt=timezone.now()), keys))


def _pks(rows: QuerySet[Any], pks: set[Any]) -> Iterable[Any]:
    known = pks - {None}
    return rows.filter(pk__in=known).values_list("pk", flat=True) if known else ()


def _holds(footing: Footing, users: set[object], hashes: dict[int, str], keys: set[object], sessions: set[str]) -> bool:
    if footing.user_pk not in users or (footing.key_pk is not None and footing.key_pk not in keys):
        return False
    if not footing.session_key:
        return True
    return footing.session_key in sessions and hashes.get(footing.user_pk) == footing.session_hash
