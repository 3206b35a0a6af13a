"""Calls in the admin: to read, and to end."""

from django.contrib import admin, messages
from django.http import HttpRequest

from relay.models import Call, CallQuerySet
from relay.services import end_call
from voiceagent.read_only_admin import ReadOnlyAdmin


@admin.register(Call)
class CallAdmin(ReadOnlyAdmin):
    list_display = [
        "requested_at",
        "username",
        "state",
        "end_reason",
        "error_code",
        "agent",
        "model",
        "started_at",
        "ended_at",
        "upstream_id",
    ]
    list_filter = ["state", "end_reason", "agent", "transport"]
    search_fields = ["=upstream_id", "=request_id", "username__startswith"]
    search_help_text = "A call id or a request id as a whole, or the start of a user name."
    show_full_result_count = False
    list_per_page = 50
    actions = ["hang_up"]

    def has_hang_up_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("relay.change_call")

    @admin.action(description="Hang up the selected live calls", permissions=["hang_up"])
    def hang_up(self, request: HttpRequest, queryset: CallQuerySet) -> None:
        calls = queryset.filter(state=Call.State.LIVE)
        ended = sum(
            end_call(call, reason=Call.EndReason.ADMINISTRATOR, actor=f"user:{request.user.pk}") for call in calls
        )
        self.message_user(request, f"{ended} calls ended.", messages.SUCCESS)
