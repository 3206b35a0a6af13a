"""History of client secrets to read, API keys to switch off, policies to set. Every act leaves an event."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, StreamingHttpResponse
from django.utils import timezone

from audit.actions import Action
from audit.services import record_event
from tokens.export import csv_rows, jsonl_rows
from tokens.key_services import revoke_api_key, switch_api_key
from tokens.models import ApiKey, Issuance, Policy
from tokens.services import revoke_issuance
from voiceagent.read_only_admin import ReadOnlyAdmin
from voiceagent.recorded_admin import RecordedAdmin


def actor_of(request: HttpRequest) -> str:
    return f"user:{request.user.pk}"


def request_id_of(request: HttpRequest) -> str:
    request_id: str = request.request_id  # type: ignore[attr-defined]  # set by the outermost middleware
    return request_id


@admin.register(Issuance)
class IssuanceAdmin(ReadOnlyAdmin):
    list_display = [
        "requested_at",
        "username",
        "api_key",
        "status",
        "error_code",
        "kind",
        "agent",
        "model",
        "ip",
        "first_used_at",
    ]
    list_filter = ["status", "error_code", "agent", "kind"]
    list_select_related = ["api_key"]
    search_fields = ["=request_id", "username__startswith", "=session_id", "=ip"]
    search_help_text = "A request id, a session id or an address as a whole, or the start of a user name."
    exclude = ["secret_digest", "idempotency_digest", "body_digest"]
    show_full_result_count = False
    list_per_page = 50
    actions = ["revoke", "export_csv", "export_jsonl"]

    def has_control_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("tokens.change_issuance")

    @admin.action(description="Revoke the selected secrets", permissions=["control"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[Issuance]) -> None:
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
            Action.ISSUANCES_EXPORTED, request_id=request_id_of(request), actor=actor_of(request), rows=queryset.count()
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


@admin.register(Policy)
class PolicyAdmin(RecordedAdmin):
    changed = Action.POLICY_CHANGED
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
                "fields": ["allowed_kinds", "allowed_agents", "allowed_models", "allowed_voices", "own_session"],
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
                    "seconds_a_day",
                    "seconds_a_month",
                    "microdollars_a_day",
                    "microdollars_a_month",
                ],
            },
        ),
        ("From where", {"fields": ["allowed_networks", "allowed_origins"]}),
    ]
