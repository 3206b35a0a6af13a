"""What follows when somebody changes their own password."""

from typing import Any

from allauth.account.signals import password_changed
from django.contrib.auth.models import User
from django.dispatch import receiver
from django.http import HttpRequest

from accounts import records, sessions
from audit.actions import Action
from audit.services import record_event
from voiceagent.person import person_of
from voiceagent.request_id import current_request_id


@receiver(password_changed)
def _on_change(request: HttpRequest, user: User, **kwargs: Any) -> None:
    """Record it, and end whatever somebody else may have open."""
    name = records.name_of(user)
    record_event(
        Action.PASSWORD_CHANGED,
        request_id=current_request_id.get(),
        actor=name,
        target=name,
        person=person_of(request, user),
    )
    sessions.end_others(request, user, "password_changed")
