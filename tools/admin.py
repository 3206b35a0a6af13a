"""Tools to switch and bound, and their calls to read. Staff give their word on what waits for a second person."""

from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Final

from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from agents.list_filters import DaysFilter
from audit.actions import Action
from audit.services import record_event
from tools.exceptions import NothingToApprove
from tools.models import Tool, ToolCall
from tools.registry import Approval, all_tools, find_tool
from tools.services import decide
from voiceagent.acting import acting
from voiceagent.admin_words import badge, link_to, time_of, two_lines
from voiceagent.list_filters import SelectFilter, ValueFilter
from voiceagent.read_only_admin import EvidenceAdmin
from voiceagent.recorded_admin import RecordedAdmin

STATE_BADGES: Final[dict[str, str]] = {
    ToolCall.State.WAITING: "warn",
    ToolCall.State.RUNNING: "quiet",
    ToolCall.State.DONE: "good",
    ToolCall.State.FAILED: "bad",
    ToolCall.State.REFUSED: "bad",
    ToolCall.State.UNKNOWN: "warn",
}


@admin.register(Tool)
class ToolAdmin(RecordedAdmin):
    """The functions themselves are code: a row can be neither added nor deleted."""

    changed = Action.TOOL_CHANGED
    list_display = ["public_name", "name", "enabled", "approval", "timeout_s", "has_code"]
    readonly_fields = ["name", "description", "has_code"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Tool]:
        Tool.note_registered()
        rows: QuerySet[Tool] = super().get_queryset(request)
        return rows

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Tool | None = None) -> bool:
        return False

    @admin.display(description="Tool")
    def public_name(self, tool: Tool) -> str:
        return str(tool)

    @admin.display(description="What the model reads")
    def description(self, tool: Tool) -> str:
        found = find_tool(tool.name)
        return found.description if found else ""

    @admin.display(description="Installed", boolean=True)
    def has_code(self, tool: Tool) -> bool:
        return find_tool(tool.name) is not None


class StateFilter(ValueFilter):
    title, parameters, field = "state", ("state",), "state"

    def values(self) -> Iterable[tuple[str, str]]:
        return ToolCall.State.choices


class NameFilter(SelectFilter):
    title, parameters, field = "tool", ("tool",), "name"

    def values(self) -> Iterable[tuple[str, str]]:
        return [(tool.name, tool.public_name) for tool in all_tools()]


@admin.register(ToolCall)
class ToolCallAdmin(EvidenceAdmin):
    list_display = ["when", "what", "result", "duration", "whose", "approver"]
    list_display_links = ["when"]
    list_filter = [DaysFilter, StateFilter, NameFilter]
    list_select_related = ["call"]
    ordering = ["-requested_at"]
    actions = ["approve", "decline"]

    @admin.display(description="Asked for")
    def when(self, row: ToolCall) -> str:
        return time_of(row.requested_at)

    @admin.display(description="Tool")
    def what(self, row: ToolCall) -> str:
        return two_lines(row.public_name, row.name)

    @admin.display(description="State")
    def result(self, row: ToolCall) -> str:
        return two_lines(badge(STATE_BADGES[row.state], row.get_state_display()), row.error_code)

    @admin.display(description="Took")
    def duration(self, row: ToolCall) -> str:
        return "" if row.duration_ms is None else f"{row.duration_ms} ms"

    @admin.display(description="Call")
    def whose(self, row: ToolCall) -> str:
        return link_to("relay_call", row.call_id, f"{row.call.username}, {row.call.agent}")

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show a tool's call. Arguments are what somebody said: reading them is on record."""
        row = self.get_object(request, object_id)
        if row is not None and self.has_view_permission(request, row):
            record_event(Action.CALL_VIEWED, target=f"call:{row.call_id}", **acting(request))
        return super().change_view(request, object_id, form_url, extra_context)

    def has_decide_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("tools.change_toolcall")

    @admin.action(description="Approve the selected tools that wait", permissions=["decide"])
    def approve(self, request: HttpRequest, queryset: QuerySet[ToolCall]) -> None:
        self._decide(request, queryset, approve=True)

    @admin.action(description="Decline the selected tools that wait", permissions=["decide"])
    def decline(self, request: HttpRequest, queryset: QuerySet[ToolCall]) -> None:
        self._decide(request, queryset, approve=False)

    def _decide(self, request: HttpRequest, rows: QuerySet[ToolCall], *, approve: bool) -> None:
        """Give staff's word. Whoever talks is no second person, even if they are staff."""
        assert isinstance(request.user, User)  # nobody else gets to this page
        done, told = 0, acting(request)
        for row in rows.filter(approval=Approval.STAFF).exclude(call__user=request.user.pk):
            with suppress(NothingToApprove):
                decide(
                    row, approve=approve, approver=request.user, request_id=told["request_id"], person=told["person"]
                )
                done += 1
        self.message_user(request, f"{done} of {len(rows)} were decided.", messages.SUCCESS)
