"""Making, switching and revoking API keys. Every act leaves an event; the value is returned once and never kept."""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.auth.models import User
from django.utils import timezone

from audit.actions import Action
from audit.services import durable_record, record_event
from realtime_api.errors import CodedError
from tokens import api_keys
from tokens.constants import MAX_KEYS_EACH
from tokens.exceptions import TooManyKeys
from tokens.limits import check_rate
from tokens.models import ApiKey
from tokens.refusals import RefusalCounter
from tokens.requester import Requester

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class NewKey:
    """A key just made; `value` is shown once."""

    key: ApiKey
    value: str

    def __repr__(self) -> str:
        return f"NewKey({self.key!r})"


def create_api_key(
    user: User, *, name: str, scopes: list[str], days: int, allowed_networks: list[str], request_id: str, actor: str
) -> NewKey:
    """Make a key that lives for `days`, at most API_KEY_MAX_DAYS. Raises TooManyKeys."""
    now = timezone.now()
    value = api_keys.make_value()
    pepper_number = api_keys.newest_pepper_number()
    with durable_record():
        User.objects.select_for_update().get(pk=user.pk)  # two requests at once would both count too few
        if ApiKey.objects.of(user).usable(now).count() >= MAX_KEYS_EACH:
            raise TooManyKeys()
        key = ApiKey.objects.create(
            user=user,
            name=name,
            public_part=api_keys.public_part(value),
            digest=api_keys.digest(value, pepper_number=pepper_number),
            pepper_number=pepper_number,
            scopes=sorted(set(scopes)),
            allowed_networks=allowed_networks,
            created_at=now,
            expires_at=now + timedelta(days=min(days, settings.API_KEY_MAX_DAYS)),
        )
        _record(Action.API_KEY_CREATED, key, request_id, actor)
    return NewKey(key, value)


def revoke_api_key(key: ApiKey, *, now: datetime, request_id: str, actor: str) -> bool:
    """Revoke a key for good; it stops working with the next request. False when it was revoked before."""
    with durable_record():
        if not ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=now):
            return False
        _record(Action.API_KEY_REVOKED, key, request_id, actor)
    return True


def switch_api_key(key: ApiKey, *, enabled: bool, request_id: str, actor: str) -> bool:
    """Switch a key off or on again. False when it was so already."""
    with durable_record():
        if not ApiKey.objects.filter(pk=key.pk, enabled=not enabled).update(enabled=enabled):
            return False
        _record(Action.API_KEY_ENABLED if enabled else Action.API_KEY_DISABLED, key, request_id, actor)
    return True


def refuse_key_use(requester: Requester, *, error: CodedError) -> None:
    """Record that a key was refused; past the first few alike from one address in a minute only the log tells.

    Raises RateLimited instead for an address that shows bad keys faster than secrets may be asked for.
    """
    check_rate("refused-key", key=requester.address_key, rate=settings.ISSUE_RATE)
    if RefusalCounter(f"key:{error.code}:{requester.address_key}").count():
        logger.info("key refused code=%s", error.code)
        return
    with durable_record():
        record_event(Action.API_KEY_REFUSED, request_id=requester.request_id, code=error.code, person=requester.person)


def _record(action: Action, key: ApiKey, request_id: str, actor: str) -> None:
    record_event(action, request_id=request_id, actor=actor, target=f"api_key:{key.pk}", owner=key.user_id)
