"""Wrong passwords, counted by axes for each pair of name and address, and what is answered when there were too many.

What was typed is never kept: a name that nobody has may be a password in the wrong field.
"""

import ipaddress
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any, Final

from axes.handlers.database import AxesDatabaseHandler
from axes.models import AccessAttempt
from django.conf import settings
from django.contrib.auth.models import User
from django.core.cache import cache
from django.db.models import Max
from django.http import HttpRequest
from django.utils import timezone
from django.utils.crypto import salted_hmac

from accounts.exceptions import LoginLocked
from voiceagent.client_ip import client_ip

IPV6_PREFIX: Final = 64  # what one customer gets at least; its addresses can be changed at will
UNKNOWN_MARK: Final = "?"  # no user name begins with it
LONGEST_TRY_S: Final = 60  # after which a try whose process died is no longer held


class LockHandler(AxesDatabaseHandler):  # type: ignore[misc]  # the package is untyped
    """Axes' own counting in the database, without the forms that it would keep."""

    def post_save_access_attempt(self, instance: AccessAttempt, **kwargs: Any) -> None:
        """Empty what was posted, in the transaction that counts."""
        AccessAttempt.objects.filter(pk=instance.pk).update(get_data="", post_data="")


def counted_name(request: HttpRequest, credentials: dict[str, Any] | None = None) -> str:
    """Return under which name a try is counted: the account's own, or a keyed digest of what nobody is called."""
    typed_name = str((credentials or {}).get("username") or "")
    user = find_user(request, typed_name)
    if user:
        return user.get_username()
    return UNKNOWN_MARK + salted_hmac("accounts.unknown_name", typed_name.lower()).hexdigest()[:32]


def counted_address(request: HttpRequest) -> str | None:
    """Return from which address a try is counted: of IPv6 the network, since it costs nothing to move within it."""
    address = client_ip(request)
    if address is None or ":" not in address:
        return address
    return str(ipaddress.IPv6Network((address, IPV6_PREFIX), strict=False).network_address)


def find_user(request: HttpRequest, typed_name: str) -> User | None:
    """Return who is meant by a name, in any case of letters, as the login takes it; asks once in a request."""
    found: dict[str, User | None] = request.__dict__.setdefault("_users_by_typed_name", {})
    if typed_name not in found:
        alike = User.objects.filter(username__iexact=typed_name)
        users = [user for user in alike if user.username.lower() == typed_name.lower()]
        found[typed_name] = users[0] if len(users) == 1 else None
    return found[typed_name]


def lock_error(request: HttpRequest, typed_name: str) -> LoginLocked:
    """Return the refusal for a name that is locked from here, with the time that the lock still has."""
    attempts = AccessAttempt.objects.filter(
        username=counted_name(request, {"username": typed_name}), ip_address=counted_address(request)
    )
    last: datetime = attempts.aggregate(last=Max("attempt_time"))["last"] or timezone.now()
    left = last + settings.AXES_COOLOFF_TIME - timezone.now()
    return LoginLocked(retry_after_ms=max(1000, int(left.total_seconds() * 1000)))


@contextmanager
def holding_a_try(request: HttpRequest, typed_name: str) -> Iterator[bool]:
    """Hold one of the tries that are left while a password is looked at; yields False when all of them are held.

    Axes asks how often somebody failed, and counts only after the password was wrong: of many at once all would pass.
    A try is held first and given back after it was counted, so that at no time fewer are known than were made.
    """
    name, address = counted_name(request, {"username": typed_name}), counted_address(request)
    counter = f"login-tries:{salted_hmac('accounts.tries', f'{name}|{address}').hexdigest()}"
    cache.add(counter, 0, LONGEST_TRY_S)
    held = cache.incr(counter)
    try:
        failures = _failures(name, address)
        # Of a name that is locked axes tells, with the time that is left.
        yield failures >= settings.AXES_FAILURE_LIMIT or held + failures <= settings.AXES_FAILURE_LIMIT
    finally:
        with suppress(ValueError):  # it took longer than any try may
            cache.decr(counter)


def is_locking(attempt: AccessAttempt) -> bool:
    """Tell whether a row of axes keeps somebody out just now. Rows of one pair differ by browser and count together."""
    return _failures(attempt.username, attempt.ip_address) >= settings.AXES_FAILURE_LIMIT


def _failures(name: str, address: str | None) -> int:
    since = timezone.now() - settings.AXES_COOLOFF_TIME
    alike = AccessAttempt.objects.filter(username=name, ip_address=address, attempt_time__gte=since)
    return sum(alike.values_list("failures_since_start", flat=True))
