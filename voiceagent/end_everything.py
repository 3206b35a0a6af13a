"""Ending everything of a user at once: for a stolen laptop, a leaked key, somebody who has left."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from importlib import import_module

from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.auth.models import User
from django.utils import timezone

from audit.actions import Action
from audit.records import Fact
from audit.services import durable_record, record_event
from relay.models import Call
from relay.services import end_call
from tokens.key_services import revoke_api_key
from tokens.models import ApiKey, Issuance
from tokens.services import revoke_issuance


@dataclass(frozen=True)
class Ended:
    """How many of each were ended; what had ended before does not count."""

    api_keys: int
    sessions: int
    secrets: int
    calls: int

    def __str__(self) -> str:
        return (
            f"{self.api_keys} API keys revoked, {self.sessions} sessions ended, {self.secrets} client secrets revoked,"
            f" {self.calls} calls ended"
        )


def end_everything(
    user: User, *, actor: str, request_id: str, disable: bool = False, person: Mapping[str, Fact] | None = None
) -> Ended:
    """Revoke a user's API keys and live secrets, end their sessions, hang up their calls; each leaves an event.

    1. If asked, the account is disabled. 2. What could make anything new goes: keys, then sessions. 3. What was made
    goes: secrets, then calls. May be repeated: whatever is left is ended then. A request that is under way at this
    moment may still get its secret, which then lives for its minute; a disabled user's is good for nothing.
    A direct secret ends at our relay; the upstream takes it until it expires.
    """
    now = timezone.now()
    if disable:  # (1)
        _disable(user, actor=actor, request_id=request_id)
    keys = ApiKey.objects.of(user).filter(revoked_at=None)  # (2)
    revoked_keys = sum(revoke_api_key(key, now=now, request_id=request_id, actor=actor) for key in keys)
    sessions = end_sessions(user, now=now, actor=actor, request_id=request_id)
    secrets = live_secrets(user, now)  # (3)
    revoked = sum(revoke_issuance(issuance, actor=actor, request_id=request_id) for issuance in secrets)
    calls = Call.objects.open().filter(user=user)
    ended = sum(end_call(call, reason=Call.EndReason.ADMINISTRATOR, actor=actor) for call in calls)
    result = Ended(revoked_keys, sessions, revoked, ended)
    record_event(
        Action.USER_EVERYTHING_ENDED,
        request_id=request_id,
        actor=actor,
        target=f"user:{user.pk}",
        person=person,
        disabled=disable,
        **asdict(result),
    )
    return result


def live_secrets(user: User, now: datetime) -> "list[Issuance]":
    issued = Issuance.objects.filter(user=user, status=Issuance.Status.ISSUED, revoked_at=None, expires_at__gt=now)
    return list(issued)


def end_sessions(user: User, *, now: datetime, actor: str, request_id: str) -> int:
    """Sign a user out everywhere; returns out of how many browsers.

    A session names its user only inside, so all that are valid are read; some thousands take a moment.
    """
    store = import_module(settings.SESSION_ENGINE).SessionStore
    valid = store.get_model_class().objects.filter(expire_date__gt=now)
    own = [row.session_key for row in valid.iterator() if row.get_decoded().get(SESSION_KEY) == str(user.pk)]
    for key in own:
        store(key).delete()
    UserSession.objects.filter(user=user).delete()
    if own:
        target = f"user:{user.pk}"
        record_event(Action.SESSIONS_ENDED, request_id=request_id, actor=actor, target=target, sessions=len(own))
    return len(own)


def _disable(user: User, *, actor: str, request_id: str) -> None:
    with durable_record():
        if User.objects.filter(pk=user.pk, is_active=True).update(is_active=False):
            record_event(Action.USER_DISABLED, request_id=request_id, actor=actor, target=f"user:{user.pk}")
