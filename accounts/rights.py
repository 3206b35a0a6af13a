"""What the record tells of accounts and groups: who made them, who gave whom which right, who took them away.

Of the models, so that no form can forget it, and of what somebody signed in does: who has a shell on the server needs
no account here. Names of people are kept nowhere; that one changed is.
"""

from collections.abc import Iterable
from typing import Any, Final

from allauth.core import context
from django.contrib.auth.models import Group, Permission, User
from django.db.models import Model
from django.db.models.signals import m2m_changed, post_delete, post_save, pre_save
from django.dispatch import receiver
from django.http import HttpRequest

from accounts.records import name_of
from audit.actions import Action
from audit.changes import changes_of
from audit.records import Fact
from audit.services import record_event
from voiceagent.acting import acting

FLAGS: Final = ("is_active", "is_staff", "is_superuser")
NAMES: Final = ("username", "first_name", "last_name", "email")
WORDS: Final = {"post_add": "given", "post_remove": "taken", "pre_clear": "taken"}
MOST_CHARS: Final = 6_000


@receiver(pre_save, sender=User)
def _on_user(instance: User, update_fields: Iterable[str] | None, **kwargs: Any) -> None:
    request = _request()
    if request is None or instance.pk is None or set(update_fields or ()) == {"last_login"}:
        return
    before = User.objects.filter(pk=instance.pk).values(*FLAGS, *NAMES, "password").first() or {}
    changed = {name for name, value in before.items() if value != getattr(instance, name)}
    if "password" in changed and request.user.pk != instance.pk:  # one's own: accounts/passwords.py
        _record(request, Action.PASSWORD_CHANGED, instance, code="by_administrator")
    if changed - {"password"}:
        flags = {name: getattr(instance, name) for name in FLAGS}
        facts = changes_of({name: before[name] for name in FLAGS}, flags)
        _record(request, Action.USER_CHANGED, instance, renamed=not changed.isdisjoint(NAMES), **facts)


@receiver(post_save, sender=User)
def _on_new_user(instance: User, created: bool, **kwargs: Any) -> None:
    if created and (request := _request()):
        _record(request, Action.USER_CREATED, instance, staff=instance.is_staff, superuser=instance.is_superuser)


@receiver(post_delete, sender=User)
def _on_no_user(instance: User, **kwargs: Any) -> None:
    if request := _request():
        _record(request, Action.USER_DELETED, instance)


@receiver(post_save, sender=Group)
def _on_group(instance: Group, created: bool, **kwargs: Any) -> None:
    if request := _request():
        _record(request, Action.GROUP_CHANGED, instance, name=instance.name, created=created)


@receiver(post_delete, sender=Group)
def _on_no_group(instance: Group, **kwargs: Any) -> None:
    if request := _request():
        _record(request, Action.GROUP_DELETED, instance, name=instance.name)


@receiver(m2m_changed, sender=User.groups.through)
def _on_groups(action: str, **of_signal: Any) -> None:
    _record_rights(Action.USER_GROUPS_CHANGED, "groups", action, **of_signal)


@receiver(m2m_changed, sender=User.user_permissions.through)
def _on_permissions(action: str, **of_signal: Any) -> None:
    _record_rights(Action.USER_PERMISSIONS_CHANGED, "user_permissions", action, **of_signal)


@receiver(m2m_changed, sender=Group.permissions.through)
def _on_group_permissions(action: str, **of_signal: Any) -> None:
    _record_rights(Action.GROUP_CHANGED, "permissions", action, **of_signal)


def _record_rights(
    done: Action, field: str, action: str, *, instance: Model, model: type[Model], pk_set: set[int] | None,
    reverse: bool, **of_signal: Any,
) -> None:  # fmt: skip
    """Record what somebody got or lost. reverse: the change came from the side of what is got."""
    request, word = _request(), WORDS.get(action)
    if request is None or word is None:
        return
    if reverse:
        who = model._default_manager.filter(pk__in=pk_set) if pk_set is not None else []
        for one in who:
            _record(request, done, one, **{word: _named([instance])})
        return
    rights = getattr(instance, field).all() if pk_set is None else model._default_manager.filter(pk__in=pk_set)
    if rights:
        _record(request, done, instance, **{word: _named(rights)})


def _named(rights: Iterable[Model]) -> str:
    names = (
        f"{right.content_type.app_label}.{right.codename}" if isinstance(right, Permission) else str(right)
        for right in rights
    )
    return ", ".join(sorted(names))[:MOST_CHARS]


def _request() -> HttpRequest | None:
    """Return the request that is served, if somebody signed in makes it."""
    request: HttpRequest | None = context.request
    user = getattr(request, "user", None)
    return request if user is not None and user.is_authenticated else None


def _record(request: HttpRequest, done: Action, about: Model, *, code: str = "", **facts: Fact) -> None:
    target = name_of(about) if isinstance(about, User) else f"group:{about.pk}"
    record_event(done, target=target, code=code, **acting(request), **facts)
