"""Who asks: the holder of an API key, or the owner of a session whose request carries a CSRF token.

One function decides for plain and asynchronous views; DRF's authenticator at the end hands over to it.
"""

import hmac
from datetime import datetime
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore
from django.http import HttpRequest, HttpResponse, QueryDict
from django.middleware.csrf import CsrfViewMiddleware
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from accounts.exceptions import SecondFactorRequired
from accounts.second_factor import lacks_second_factor
from audit.group_commit import read_once
from tokens import api_keys, lookups
from tokens.exceptions import ApiKeyExpired, InvalidApiKey, MissingScope, NetworkNotAllowed, NotAuthenticated
from tokens.models import ApiKey, Scope
from tokens.requester import Requester, requester_of
from voiceagent.errors import CsrfFailed


def identify(request: HttpRequest) -> Requester:
    """Return who asks. Its user is None for somebody who shows nothing at all.

    An `Authorization` header decides alone: a wrong key is never overlooked in favour of a cookie.
    Raises InvalidApiKey and ApiKeyExpired, and SecondFactorRequired for staff in a browser who lack what a setting
    demands; not every request here has met the middleware that says so.
    """
    if "HTTP_AUTHORIZATION" not in request.META:
        user, mark = session_user(request)
        if user is not None and lacks_second_factor(user):
            raise SecondFactorRequired()
        return requester_of(request, user, mark=mark)
    value = bearer_of(request)
    key, mark = read_once(("key", value), lambda: find_api_key(value, timezone.now()))
    return requester_of(request, key.user, api_key=key, mark=mark)


def session_user(request: HttpRequest) -> tuple[User | None, int | None]:
    """Return the user of the session cookie, as Django's `get_user` does by other means, and the configuration's mark.

    A session whose password has changed since is nobody's here; Django ends it when its browser opens a page.
    """
    session_key = request.COOKIES.get(settings.SESSION_COOKIE_NAME, "")
    if not session_key:
        return None, None
    return read_once(("session", session_key), lambda: _owner_of(session_key))


def _owner_of(session_key: str) -> tuple[User | None, int | None]:
    stored = lookups.session_data(session_key)
    if stored is None or stored[1] <= timezone.now():
        return None, None
    content = _content(stored[0], settings.SECRET_KEY)
    if content.get(BACKEND_SESSION_KEY) not in settings.AUTHENTICATION_BACKENDS or SESSION_KEY not in content:
        return None, None
    found = lookups.user(int(content[SESSION_KEY]))
    if found is None or not found[0].is_active:
        return None, None
    is_verified = constant_time_compare(content.get(HASH_SESSION_KEY, ""), found[0].get_session_auth_hash())
    return found if is_verified else (None, None)


@lru_cache(maxsize=4096)
def _content(signed: str, secret_key: str) -> dict[str, Any]:
    """Return what a stored session holds; empty when its signature is not ours. It is not to be changed."""
    content: dict[str, Any] = SessionStore().decode(signed)
    return content


def check_access(request: HttpRequest, requester: Requester, scope: Scope, *, csrf: bool = True) -> None:
    """Check what goes with the credential: a key's networks and scope, a session's CSRF token.

    csrf: off for a route that has a check of its own. Raises NetworkNotAllowed, MissingScope, CsrfFailed.
    """
    key = requester.api_key
    if key is None:
        if requester.user is not None and csrf:
            _check_csrf(request)
        return
    if not key.allows_address(requester.ip):
        raise NetworkNotAllowed()
    if not key.has_scope(scope):
        raise MissingScope(f"The API key lacks the scope {scope.value!r}.")


def bearer_of(request: HttpRequest) -> str:
    """Return the credential of the `Authorization: Bearer` header; empty for another scheme."""
    scheme, _, value = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    return value.strip() if scheme.lower() == "bearer" else ""


def find_api_key(unverified_value: str, now: datetime) -> tuple[ApiKey, int | None]:
    """Return the key with this value, and the configuration's mark.

    Raises InvalidApiKey or, to its holder only, ApiKeyExpired.
    """
    if not api_keys.has_form(unverified_value):
        raise InvalidApiKey()
    public_part = api_keys.public_part(unverified_value)
    found = lookups.api_key(public_part)
    if found is None:
        raise InvalidApiKey()
    key, mark = found
    if key.pepper_number not in api_keys.peppers():
        raise InvalidApiKey()
    if not hmac.compare_digest(key.digest, api_keys.digest(unverified_value, pepper_number=key.pepper_number)):
        raise InvalidApiKey()
    if not key.enabled or key.revoked_at is not None or not key.user.is_active:
        raise InvalidApiKey()
    if key.expires_at <= now:
        raise ApiKeyExpired()
    return key, mark


def note_use(key: ApiKey) -> None:
    """Note when a key was used."""
    ApiKey.objects.filter(pk=key.pk).update(last_used_at=timezone.now())


class _CsrfCheck(CsrfViewMiddleware):
    def _reject(self, request: HttpRequest, reason: str) -> HttpResponse:
        raise CsrfFailed()


_csrf_check = _CsrfCheck(lambda request: HttpResponse())


def _check_csrf(request: HttpRequest) -> None:
    """Raise CsrfFailed as Django's own middleware would refuse; the views are exempt from that for the keys' sake."""
    # Tokens come in the header here. A form is not read for one: whoever reads the body must find it whole.
    request._post = QueryDict()  # type: ignore[attr-defined]  # where Django keeps a form that was read
    _csrf_check.process_request(request)
    _csrf_check.process_view(request, lambda request: HttpResponse(), (), {})


class KeyOrSession(BaseAuthentication):
    """For DRF's views, which name the scope that a key needs: `required_scope`."""

    def authenticate(self, request: Request) -> tuple[User, ApiKey | None] | None:
        view: Any = request.parser_context["view"]
        requester = identify(request._request)
        if requester.user is None:
            raise NotAuthenticated()
        check_access(request._request, requester, view.required_scope)
        key = requester.api_key
        if key is not None and key.needs_last_used(timezone.now()):
            note_use(key)
        return requester.user, key

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="voiceagent"'
