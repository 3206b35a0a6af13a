"""Locks, second factors, provider links and sessions: to look at and to take away, never to make or edit."""

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialToken
from allauth.usersessions.models import UserSession
from axes.models import AccessAttempt
from django.contrib import admin
from django.contrib.auth.models import User
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from accounts import records, sessions
from accounts.locks import UNKNOWN_MARK, is_locking
from audit.actions import Action
from audit.services import record_event
from voiceagent.request_id import current_request_id

# What allauth shows by itself: secrets of second factors to be edited, credentials of providers, addresses nobody uses.
for model in (Authenticator, UserSession, SocialAccount, SocialApp, SocialToken, EmailAddress):
    admin.site.unregister(model)


class TakeAwayAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # of several models
    """A list whose rows can be taken away and nothing else."""

    list_display_links = None

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(AccessAttempt)
class LockAdmin(TakeAwayAdmin):
    """Failed logins of the last quarter of an hour; taking a row away lifts its lock."""

    list_display = ("name", "ip_address", "failures_since_start", "attempt_time", "is_locked")
    search_fields = ("username__startswith", "ip_address")
    show_full_result_count = False

    @admin.display(description=_("Name"))
    def name(self, attempt: AccessAttempt) -> str:
        return str(_("(unknown)")) if str(attempt.username).startswith(UNKNOWN_MARK) else str(attempt.username)

    @admin.display(description=_("Locked"), boolean=True)
    def is_locked(self, attempt: AccessAttempt) -> bool:
        return is_locking(attempt)

    def delete_model(self, request: HttpRequest, obj: AccessAttempt) -> None:
        """Lift the lock: of the pair, since rows differ by browser."""
        user = User.objects.filter(username=obj.username).first()
        record_event(
            Action.LOGIN_UNLOCKED,
            request_id=current_request_id.get(),
            actor=records.acting(),
            target=records.name_of(user),
        )
        AccessAttempt.objects.filter(username=obj.username, ip_address=obj.ip_address).delete()

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[AccessAttempt]) -> None:
        for attempt in queryset:
            self.delete_model(request, attempt)


@admin.register(Authenticator)
class SecondFactorAdmin(TakeAwayAdmin):
    """Taking one away helps who lost it; it is recorded like one's own removal."""

    list_display = ("user", "type", "created_at", "last_used_at")
    list_filter = ("type",)
    list_select_related = ("user",)
    search_fields = ("user__username__startswith",)
    fields = ("user", "type", "created_at", "last_used_at")


@admin.register(SocialAccount)
class ProviderLinkAdmin(TakeAwayAdmin):
    list_display = ("user", "provider", "date_joined", "last_login")
    list_select_related = ("user",)
    search_fields = ("user__username__startswith",)
    fields = ("user", "provider", "extra_data", "date_joined", "last_login")


@admin.register(UserSession)
class SessionAdmin(TakeAwayAdmin):
    """Where people are signed in; taking a row away signs them out there."""

    list_display = ("user", "device", "ip", "created_at")
    list_select_related = ("user",)
    search_fields = ("user__username__startswith", "ip")
    fields = ("user", "device", "ip", "created_at")

    @admin.display(description=_("Device"))
    def device(self, session: UserSession) -> str:
        return sessions.device_of(session.user_agent)

    def delete_model(self, request: HttpRequest, obj: UserSession) -> None:
        sessions.end(obj, "by_administrator", actor=records.acting())

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[UserSession]) -> None:
        for session in queryset.select_related("user"):
            self.delete_model(request, session)
