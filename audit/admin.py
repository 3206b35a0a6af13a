"""The record in the admin: to read only."""

from django.contrib import admin

from audit.models import AuditEvent
from voiceagent.read_only_admin import ReadOnlyAdmin


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnlyAdmin):
    list_display = ["id", "recorded_at", "action", "code", "actor", "target", "request_id"]
    list_filter = ["action", "code"]
    search_fields = ["=request_id", "=target", "=actor"]
    show_full_result_count = False
