"""The record in the admin: to read only. Each way to filter or search has an index of `AuditEvent`."""

from collections.abc import Iterable
from typing import Any, Final

from django.contrib import admin
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest

from audit.actions import Action
from audit.models import AuditEvent
from voiceagent.admin_words import time_of
from voiceagent.list_filters import DateRangeFilter, LinkedFilter, SelectFilter
from voiceagent.read_only_admin import EvidenceAdmin

ACTORS: Final = ("user:", "key:", "worker", "server")


class DaysFilter(DateRangeFilter):
    field = "recorded_at"


class ActionFilter(SelectFilter):
    title, parameters, field = "action", ("action",), "action"

    def values(self) -> Iterable[tuple[str, str]]:
        return [(action, action) for action in sorted(Action.values)]


class CodeFilter(LinkedFilter):
    title, parameters, field = "code", ("code",), "code"

    def matching(self, queryset: QuerySet[Any], value: str) -> QuerySet[Any]:
        # The second condition is the index's own, which SQLite must see to use it.
        return queryset.filter(code=value).exclude(code="")


class ActorFilter(LinkedFilter):
    title, parameters, field = "by", ("actor",), "actor"


class TargetFilter(LinkedFilter):
    title, parameters, field = "about", ("target",), "target"


@admin.register(AuditEvent)
class AuditEventAdmin(EvidenceAdmin):
    list_display = ["id", "when", "action", "code", "actor", "target", "request_id"]
    list_filter = [DaysFilter, ActionFilter, CodeFilter, ActorFilter, TargetFilter]
    ordering = ["-recorded_at"]
    search_fields = ["request_id"]
    search_help_text = (
        "A request id or a code as a whole; whom or what it is about, such as issuance:12; who did it: user:7, key:3,"
        " worker, or a user's name."
    )

    @admin.display(description="Recorded")
    def when(self, event: AuditEvent) -> str:
        return time_of(event.recorded_at)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[AuditEvent], search_term: str
    ) -> tuple[QuerySet[AuditEvent], bool]:
        term = search_term.strip()
        return (self._search(queryset, term) if term else queryset), False

    def _search(self, queryset: QuerySet[AuditEvent], term: str) -> QuerySet[AuditEvent]:
        """Find events by what a term looks like, so that every search is one question to one index."""
        if term.startswith(ACTORS):
            return queryset.filter(actor=term)
        if ":" in term:
            return queryset.filter(target=term)
        if AuditEvent.objects.filter(request_id=term).exists():
            return queryset.filter(request_id=term)
        user = User.objects.filter(username=term).first()
        if user:
            return queryset.filter(actor=f"user:{user.pk}")
        return queryset.filter(code=term).exclude(code="")
