"""The record in the admin: to read only. Each way to filter or search has an index of `AuditEvent`."""

import hmac
import json
from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import admin
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import URLPattern, path
from django.utils.decorators import method_decorator
from django.utils.html import format_html_join
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from audit.actions import Action
from audit.models import AuditEvent, AuditPersonal
from audit.records import commitment_of, mac_of
from audit.services import record_event
from voiceagent.acting import acting
from voiceagent.admin_words import badge, link_to_list, time_of
from voiceagent.list_filters import DateRangeFilter, LinkedFilter, SelectFilter
from voiceagent.read_only_admin import EvidenceAdmin

MAX_EVENTS: Final = 200  # of one request on one page
MAY_SEE_PERSONS: Final = ("audit.view_auditevent", "audit.view_auditpersonal")
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
    """Whoever may view personal data, a permission of its own, sees them one event at a time, and that is an event."""

    list_display = ["id", "when", "action", "code", "actor", "target", "request_id"]
    list_filter = [DaysFilter, ActionFilter, CodeFilter, ActorFilter, TargetFilter]
    ordering = ["-recorded_at"]
    search_fields = ["request_id"]
    search_help_text = (
        "A request id or a code as a whole; whom or what it is about, such as issuance:12; who did it: user:7, key:3,"
        " worker, or a user's name."
    )

    fields = ["when", "name", "code", "actor", "target", "request", "told", "nonce", "signed"]
    readonly_fields = ["when", "name", "request", "told", "signed"]
    change_form_template = "admin/event_form.html"

    @admin.display(description="Recorded")
    def when(self, event: AuditEvent) -> str:
        return time_of(event.recorded_at)

    @admin.display(description="Action")
    def name(self, event: AuditEvent) -> str:
        return event.action

    @admin.display(description="Request")
    def request(self, event: AuditEvent) -> str:
        query = urlencode({"q": event.request_id})
        return link_to_list("audit_auditevent", query, event.request_id) if event.request_id else ""

    @admin.display(description="Says")
    def told(self, event: AuditEvent) -> str:
        return format_html_join("", "<div>{}: {}</div>", ((name, str(value)) for name, value in event.facts.items()))

    @admin.display(description="Signed")
    def signed(self, event: AuditEvent) -> str:
        """Tell whether this server wrote the row as it stands; that none is missing tells the integrity page."""
        key = settings.AUDIT_MAC_KEYS.get(event.mac_key)
        if key is None:
            return badge("warn", f"With key {event.mac_key}, which AUDIT_MAC_KEYS no longer has")
        is_ours = hmac.compare_digest(mac_of(event.record, key), event.mac)
        return badge("good", "As it was written") if is_ours else badge("bad", "Changed, or not written by this server")

    def get_urls(self) -> list[URLPattern]:
        personal = path("<int:number>/personal/", self.admin_site.admin_view(self.personal), name="audit_personal")
        return [personal, *super().get_urls()]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        event = self.get_object(request, object_id)
        request_id = event.request_id if event else ""
        context = {
            "events": AuditEvent.objects.filter(request_id=request_id)[:MAX_EVENTS] if request_id else [],
            "has_person": event is not None and AuditPersonal.objects.filter(event_id=event.pk).exists(),
        }
        return super().change_view(request, object_id, form_url, context | (extra_context or {}))

    @method_decorator([require_POST, never_cache])
    def personal(self, request: HttpRequest, number: int) -> HttpResponse:
        """Show who it was, once that somebody looked is on record."""
        if not request.user.has_perms(MAY_SEE_PERSONS):
            raise PermissionDenied
        event = get_object_or_404(AuditEvent, pk=number)
        kept = get_object_or_404(AuditPersonal, event_id=number)
        record_event(Action.PERSONAL_DATA_VIEWED, target=f"event:{number}", **acting(request))
        context = {
            **self.admin_site.each_context(request),
            "title": f"Personal data of event {number}",
            "event": event,
            "person": json.loads(kept.data),
            "is_as_committed": hmac.compare_digest(commitment_of(kept.data, kept.salt), event.personal),
        }
        return render(request, "admin/personal.html", context)

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
