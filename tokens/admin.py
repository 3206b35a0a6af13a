"""History of client secrets to read, API keys to switch off, policies to set. Every act leaves an event."""

from datetime import timedelta
from typing import Any, Final

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.views.main import SEARCH_VAR
from django.db.models import JSONField, QuerySet
from django.forms import Textarea
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.utils import timezone

from audit.actions import Action
from audit.models import AuditEvent
from audit.services import record_event
from tokens import history_list
from tokens.export import csv_rows, jsonl_rows
from tokens.key_services import revoke_api_key, switch_api_key
from tokens.models import ApiKey, Issuance, Policy
from tokens.services import revoke_issuance
from voiceagent.acting import acting, actor_of, request_id_of
from voiceagent.admin_words import badge, link_to, time_of, two_lines
from voiceagent.read_only_admin import EvidenceAdmin, ReadOnlyAdmin
from voiceagent.recorded_admin import RecordedAdmin

MAX_AT_ONCE: Final = 1000
MAX_EVENTS: Final = 200
SECRET_IN_ADDRESS: Final = (
    "That was a secret. It now stands in the browser's history and perhaps in logs: look it up under “Whose is it?”"
    " and revoke it."
)
STATUS_BADGES: Final[dict[str, str]] = {
    Issuance.Status.REQUESTED: "quiet",
    Issuance.Status.ISSUED: "good",
    Issuance.Status.DENIED: "bad",
    Issuance.Status.FAILED: "bad",
    Issuance.Status.UNKNOWN: "warn",
}


@admin.register(Issuance)
class IssuanceAdmin(EvidenceAdmin):
    list_display = [
        "when",
        "who",
        "result",
        "delay",
        "agent_and_model",
        "kind",
        "channel",
        "hint",
        "call_and_cost",
    ]
    list_display_links = ["when"]
    list_filter = history_list.FILTERS
    list_select_related = ["api_key", "call"]
    ordering = ["-requested_at"]
    search_fields = ["request_id"]
    search_help_text = history_list.SEARCH_HELP
    fieldsets = [
        ("Who", {"fields": ["username", "api_key", "ip", "user_agent", "origin"]}),
        ("What", {"fields": ["kind", "agent", "model", "voice", "agent_version", "session"]}),
        (
            "Outcome",
            {
                "fields": [
                    "outcome",
                    "error_code",
                    "delay",
                    "call_and_cost",
                    "upstream_status",
                    "upstream_request_id",
                    "upstream_data",
                    "repeats",
                ]
            },
        ),
        ("When", {"fields": ["when", "decided", "expires", "first_used", "revoked"]}),
        ("Names", {"fields": ["request_id", "session_id", "hint"]}),
    ]
    readonly_fields = [
        "outcome",
        "call_and_cost",
        "delay",
        "when",
        "decided",
        "expires",
        "first_used",
        "revoked",
        "hint",
    ]
    change_form_template = "admin/issuance_form.html"
    actions = ["revoke", "export_csv", "export_jsonl"]

    @admin.display(description="Requested")
    def when(self, issuance: Issuance) -> str:
        return time_of(issuance.requested_at)

    @admin.display(description="Decided")
    def decided(self, issuance: Issuance) -> str:
        return time_of(issuance.decided_at)

    @admin.display(description="Expires")
    def expires(self, issuance: Issuance) -> str:
        return time_of(issuance.expires_at)

    @admin.display(description="First used")
    def first_used(self, issuance: Issuance) -> str:
        return time_of(issuance.first_used_at)

    @admin.display(description="Revoked")
    def revoked(self, issuance: Issuance) -> str:
        return time_of(issuance.revoked_at)

    @admin.display(description="Outcome")
    def outcome(self, issuance: Issuance) -> str:
        if issuance.revoked_at:
            return badge("quiet", "Revoked")
        if issuance.life() == Issuance.Life.EXPIRED:
            return badge("quiet", "Expired")
        return badge(STATUS_BADGES[issuance.status], issuance.get_status_display())

    @admin.display(description="Outcome")
    def result(self, issuance: Issuance) -> str:
        return two_lines(self.outcome(issuance), issuance.error_code)

    @admin.display(description="User")
    def who(self, issuance: Issuance) -> str:
        return two_lines(issuance.username or "nobody known", issuance.ip or "")

    @admin.display(description="Agent")
    def agent_and_model(self, issuance: Issuance) -> str:
        return two_lines(issuance.agent, issuance.model)

    @admin.display(description="By")
    def channel(self, issuance: Issuance) -> str:
        return issuance.api_key.public_part if issuance.api_key else "Page"

    @admin.display(description="Delay")
    def delay(self, issuance: Issuance) -> str:
        if issuance.decided_at is None:
            return ""
        return f"{(issuance.decided_at - issuance.requested_at) / timedelta(milliseconds=1):.0f} ms"

    @admin.display(description="Secret")
    def hint(self, issuance: Issuance) -> str:
        return f"…{issuance.secret_hint}" if issuance.secret_hint else ""

    def call_state(self, issuance: Issuance) -> str:
        call = getattr(issuance, "call", None)  # raises an AttributeError of its own where there is none
        return link_to("relay_call", call.pk, call.get_state_display()) if call else ""

    @admin.display(description="Call, cost")
    def call_and_cost(self, issuance: Issuance) -> str:
        call = getattr(issuance, "call", None)
        return two_lines(self.call_state(issuance), call.cost_words) if call else ""

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if history_list.is_secret(request.GET.get(SEARCH_VAR, "")):
            self.message_user(request, SECRET_IN_ADDRESS, messages.WARNING)
            return HttpResponseRedirect(request.path)
        return super().changelist_view(request, extra_context)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Issuance], search_term: str
    ) -> tuple[QuerySet[Issuance], bool]:
        term = search_term.strip()
        return (history_list.search(queryset, term) if term else queryset), False

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        issuance = self.get_object(request, object_id)
        events = AuditEvent.objects.filter(request_id=issuance.request_id)[:MAX_EVENTS] if issuance else []
        context = {"events": events, "call": getattr(issuance, "call", None)}
        return super().change_view(request, object_id, form_url, context | (extra_context or {}))

    def has_control_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("tokens.change_issuance")

    @admin.action(description="Revoke the selected secrets", permissions=["control"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[Issuance]) -> None:
        if len(queryset[: MAX_AT_ONCE + 1]) > MAX_AT_ONCE:
            self.message_user(request, f"Nothing was revoked: choose at most {MAX_AT_ONCE} rows.", messages.ERROR)
            return
        revoked = sum(
            revoke_issuance(issuance, actor=actor_of(request), request_id=request_id_of(request))
            for issuance in queryset
        )
        self.message_user(request, f"{revoked} secrets revoked. A call that goes on is ended under Calls.")

    @admin.action(description="Export the selected rows as CSV")
    def export_csv(self, request: HttpRequest, queryset: QuerySet[Issuance]) -> StreamingHttpResponse:
        return self._export(request, queryset, csv_rows, "text/csv; charset=utf-8", "issuances.csv")

    @admin.action(description="Export the selected rows as JSON lines")
    def export_jsonl(self, request: HttpRequest, queryset: QuerySet[Issuance]) -> StreamingHttpResponse:
        return self._export(request, queryset, jsonl_rows, "application/jsonl", "issuances.jsonl")

    def _export(
        self, request: HttpRequest, queryset: QuerySet[Issuance], write: Any, content_type: str, name: str
    ) -> StreamingHttpResponse:
        record_event(
            Action.ISSUANCES_EXPORTED,
            **acting(request),
            rows=queryset.count(),
            filters=history_list.filters_for_record(request.GET),
        )
        response = StreamingHttpResponse(write(queryset), content_type=content_type)
        response["Content-Disposition"] = f'attachment; filename="{name}"'
        response["Cache-Control"] = "no-store"
        return response


@admin.register(ApiKey)
class ApiKeyAdmin(ReadOnlyAdmin):
    list_display = ["name", "public_part", "user", "scopes", "enabled", "expires_at", "revoked_at", "last_used_at"]
    list_filter = ["enabled"]
    list_select_related = ["user"]
    search_fields = ["public_part__startswith", "user__username__startswith", "name"]
    search_help_text = "The start of a key (as far as vak_ and eight characters), a user's name or a key's."
    exclude = ["digest"]
    show_full_result_count = False
    actions = ["revoke", "switch_off", "switch_on"]

    def has_control_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("tokens.change_apikey")

    @admin.action(description="Revoke the selected keys for good", permissions=["control"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        now = timezone.now()
        revoked = sum(
            revoke_api_key(key, now=now, request_id=request_id_of(request), actor=actor_of(request)) for key in queryset
        )
        self.message_user(request, f"{revoked} keys revoked.", messages.SUCCESS)

    @admin.action(description="Switch the selected keys off", permissions=["control"])
    def switch_off(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        self._switch(request, queryset, False)

    @admin.action(description="Switch the selected keys on", permissions=["control"])
    def switch_on(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        self._switch(request, queryset, True)

    def _switch(self, request: HttpRequest, queryset: QuerySet[ApiKey], enabled: bool) -> None:
        switched = sum(
            switch_api_key(key, enabled=enabled, request_id=request_id_of(request), actor=actor_of(request))
            for key in queryset
        )
        self.message_user(request, f"{switched} keys switched {'on' if enabled else 'off'}.", messages.SUCCESS)


class OpenListField(forms.JSONField):
    """A list as JSON. One that leaves the question open is empty, not `null`."""

    def prepare_value(self, value: Any) -> Any:
        return "" if value is None else super().prepare_value(value)


@admin.register(Policy)
class PolicyAdmin(RecordedAdmin):
    changed = Action.POLICY_CHANGED
    formfield_overrides = {
        JSONField: {"form_class": OpenListField, "widget": Textarea(attrs={"rows": 2, "cols": 60})},
    }
    list_display = [
        "__str__",
        "allowed_kinds",
        "allowed_agents",
        "allowed_models",
        "issue_rate",
        "secrets_a_day",
        "secrets_a_month",
        "calls_at_once",
        "call_max_s",
    ]
    list_select_related = ["user", "group", "api_key"]
    autocomplete_fields = ["user", "group", "api_key"]
    fieldsets = [
        ("For whom", {"fields": ["user", "group", "api_key", "position"], "description": "All empty: for everybody."}),
        (
            "What",
            {
                "fields": [
                    "allowed_kinds",
                    "allowed_agents",
                    "allowed_models",
                    "allowed_voices",
                    "own_session",
                    "allowed_mcp_servers",
                    "mcp_approval",
                ],
                "description": "An empty field leaves the question to the next wider policy; [] allows nothing.",
            },
        ),
        ("How much", {"fields": ["issue_rate", "secrets_a_day", "secrets_a_month", "max_ttl_s"]}),
        (
            "Calls",
            {
                "fields": [
                    "calls_at_once",
                    "call_max_s",
                    "call_idle_s",
                    "seconds_a_day",
                    "seconds_a_month",
                    "microdollars_a_call",
                    "microdollars_a_day",
                    "microdollars_a_month",
                    "transcripts",
                    "unmonitored_calls",
                    "delete_transcripts",
                ],
            },
        ),
        (
            "From where",
            {
                "fields": ["allowed_networks", "allowed_origins"],
                "description": "Networks: [] means from anywhere. Origins: [] means from no page.",
            },
        ),
    ]
