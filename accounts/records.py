"""What the audit record and the log tell of logins, sessions and second factors.

Who it was and from where is kept beside the record, where it can be erased. A name that nobody has is kept nowhere: it
may be a password that slipped into the wrong field.
"""

import logging
from typing import Any

from allauth.account.internal.flows.login import get_authentication_records
from allauth.account.signals import user_logged_in
from allauth.core import context
from allauth.mfa.models import Authenticator
from allauth.mfa.signals import authentication_failed
from allauth.socialaccount.models import SocialAccount
from allauth.usersessions.models import UserSession
from django.contrib.auth.models import AnonymousUser, User
from django.contrib.auth.signals import user_logged_out
from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver
from django.http import HttpRequest

from audit.actions import Action
from audit.services import record_event
from voiceagent.client_ip import client_ip
from voiceagent.person import person_of
from voiceagent.request_id import current_request_id

logger = logging.getLogger(__name__)


def login_failed(request: HttpRequest, user: User | None, code: str) -> None:
    """Record a failed login. user: whose account was tried, None for a name that nobody has and nobody may read."""
    record_event(
        Action.LOGIN_FAILED,
        request_id=current_request_id.get(),
        target=name_of(user),
        code=code,
        person=person_of(request, user),
    )
    logger.warning("login failed (%s) from %s", code, client_ip(request))


def login_locked(request: HttpRequest, user: User | None) -> None:
    record_event(
        Action.LOGIN_LOCKED,
        request_id=current_request_id.get(),
        target=name_of(user),
        code="wrong_password",
        person=person_of(request, user),
    )
    logger.warning("login locked for one name from %s", client_ip(request))


def session_ended(user: User, code: str, *, actor: str) -> None:
    """Record the end of a session. code: signed_out, ended_elsewhere, by_administrator,
    password_changed."""
    record_event(
        Action.SESSION_ENDED, request_id=current_request_id.get(), actor=actor, target=name_of(user), code=code
    )


def name_of(user: User | AnonymousUser | None) -> str:
    """Return how the record calls somebody: `user:7`, or nothing for nobody known."""
    return f"user:{user.pk}" if user and user.pk else ""


def acting() -> str:
    """Return how the record calls whoever makes the request that is served; nothing outside of requests."""
    return name_of(getattr(context.request, "user", None))


def steps_of(request: HttpRequest, user: User) -> str:
    """Return the steps by which somebody got in, such as `password+totp`, `passkey` or `provider`."""
    names = {"webauthn": "passkey", "socialaccount": "provider"}
    steps = [
        str(step.get("type") or step["method"])
        for step in get_authentication_records(request, user)
        if not step.get("reauthenticated")
    ]
    return "+".join(dict.fromkeys(names.get(step, step) for step in steps))


@receiver(user_logged_in)
def _on_login(request: HttpRequest, user: User, **kwargs: Any) -> None:
    record_event(
        Action.LOGIN_SUCCEEDED,
        request_id=current_request_id.get(),
        actor=name_of(user),
        target=name_of(user),
        code=steps_of(request, user),
        person=person_of(request, user),
    )


@receiver(user_logged_out)
def _on_logout(request: HttpRequest, user: User | None, **kwargs: Any) -> None:
    if user:
        session_ended(user, "signed_out", actor=name_of(user))
        UserSession.objects.filter(session_key=request.session.session_key).delete()


@receiver(authentication_failed)
def _on_wrong_code(request: HttpRequest, user: User, **kwargs: Any) -> None:
    login_failed(request, user, "wrong_code")


# Of the models, not of allauth's signals: those come when the change is committed, and not from the administration.
@receiver(post_save, sender=Authenticator)
def _on_factor_added(instance: Authenticator, created: bool, **kwargs: Any) -> None:
    if created:
        _record_of(Action.SECOND_FACTOR_ADDED, instance, instance.type)


@receiver(post_delete, sender=Authenticator)
def _on_factor_removed(instance: Authenticator, **kwargs: Any) -> None:
    _record_of(Action.SECOND_FACTOR_REMOVED, instance, instance.type)


@receiver(post_save, sender=SocialAccount)
def _on_linked(instance: SocialAccount, created: bool, **kwargs: Any) -> None:
    if created:
        _record_of(Action.LOGIN_PROVIDER_LINKED, instance, instance.provider)


@receiver(post_delete, sender=SocialAccount)
def _on_unlinked(instance: SocialAccount, **kwargs: Any) -> None:
    _record_of(Action.LOGIN_PROVIDER_UNLINKED, instance, instance.provider)


def _record_of(action: Action, owned: Authenticator | SocialAccount, code: str) -> None:
    record_event(action, request_id=current_request_id.get(), actor=acting(), target=f"user:{owned.user_id}", code=code)
