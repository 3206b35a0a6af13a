"""History of issued client secrets: who, when, from where, for which agent, with what outcome. To read only."""

from django.contrib import admin

from tokens.models import Issuance
from voiceagent.read_only_admin import ReadOnlyAdmin


@admin.register(Issuance)
class IssuanceAdmin(ReadOnlyAdmin):
    list_display = [
        "requested_at",
        "username",
        "status",
        "error_code",
        "agent",
        "model",
        "ip",
        "origin",
        "secret_hint",
        "first_used_at",
        "repeats",
    ]
    list_filter = ["status", "error_code", "agent", "kind"]
    search_fields = ["=request_id", "username__startswith", "=session_id", "=ip"]
    search_help_text = "A request id, a session id or an address as a whole, or the start of a user name."
    exclude = ["secret_digest"]
    show_full_result_count = False
    list_per_page = 50
