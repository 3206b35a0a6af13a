"""Calls in the admin: to read, and to end. Each way to filter or search has an index of `Call`."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any, Final

from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest

from agents.list_filters import AgentFilter, DaysFilter, UserFilter
from relay.models import Call, CallQuerySet
from relay.services import end_call
from usage.money import dollars
from voiceagent.admin_words import badge, link_to, time_of, two_lines
from voiceagent.list_filters import SelectFilter, ValueFilter
from voiceagent.name_search import of_user_named
from voiceagent.read_only_admin import EvidenceAdmin

STATE_BADGES: Final[dict[str, str]] = {
    Call.State.REQUESTED: "quiet",
    Call.State.LIVE: "good",
    Call.State.ENDED: "quiet",
    Call.State.FAILED: "bad",
    Call.State.UNKNOWN: "warn",
}


class StateFilter(ValueFilter):
    title, parameters, field = "state", ("state",), "state"

    def values(self) -> Iterable[tuple[str, str]]:
        return Call.State.choices


class EndReasonFilter(SelectFilter):
    title, parameters, field = "end", ("reason",), "end_reason"

    def values(self) -> Iterable[tuple[str, str]]:
        return Call.EndReason.choices


@admin.register(Call)
class CallAdmin(EvidenceAdmin):
    list_display = [
        "when",
        "username",
        "result",
        "length_and_cost",
        "agent_and_model",
        "upstream_id",
        "secret",
    ]
    list_display_links = ["when"]
    exclude = ["cost_microdollars", "charged_seconds", "charged_microdollars"]  # shown in words instead
    readonly_fields = ["cost", "held"]
    list_filter = [DaysFilter, StateFilter, EndReasonFilter, AgentFilter, UserFilter]
    ordering = ["-requested_at"]
    search_fields = ["upstream_id"]
    search_help_text = "A call id or a request id as a whole, or the start of a user's name."
    actions = ["hang_up"]

    @admin.display(description="Requested")
    def when(self, call: Call) -> str:
        return time_of(call.requested_at)

    @admin.display(description="State")
    def result(self, call: Call) -> str:
        state = badge(STATE_BADGES[call.state], call.get_state_display())
        return two_lines(state, call.error_code or call.get_end_reason_display())

    @admin.display(description="Agent")
    def agent_and_model(self, call: Call) -> str:
        return two_lines(call.agent, call.model)

    @admin.display(description="Length, cost")
    def length_and_cost(self, call: Call) -> str:
        return two_lines(self.length(call), badge("warn", "no price") if call.unpriced else call.cost_words)

    def length(self, call: Call) -> str:
        if not (call.started_at and call.ended_at):
            return ""
        return str(timedelta(seconds=round((call.ended_at - call.started_at).total_seconds())))

    @admin.display(description="Cost")
    def cost(self, call: Call) -> str:
        return call.cost_words

    @admin.display(description="Held of allowances")
    def held(self, call: Call) -> str:
        return f"{call.charged_seconds} seconds, ${dollars(call.charged_microdollars)}"

    @admin.display(description="Secret")
    def secret(self, call: Call) -> str:
        return link_to("tokens_issuance", call.issuance_id, f"No. {call.issuance_id}") if call.issuance_id else ""

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Call], search_term: str
    ) -> tuple[QuerySet[Call], bool]:
        term = search_term.strip()
        return (self._search(queryset, term) if term else queryset), False

    def _search(self, queryset: QuerySet[Call], term: str) -> QuerySet[Any]:
        """Find calls by what a term is, so that every search is answered by an index."""
        either = Q(upstream_id=term) | Q(request_id=term)
        return queryset.filter(either) if Call.objects.filter(either).exists() else of_user_named(queryset, term)

    def has_hang_up_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("relay.change_call")

    @admin.action(description="Hang up the selected live calls", permissions=["hang_up"])
    def hang_up(self, request: HttpRequest, queryset: CallQuerySet) -> None:
        calls = queryset.filter(state=Call.State.LIVE)
        ended = sum(
            end_call(call, reason=Call.EndReason.ADMINISTRATOR, actor=f"user:{request.user.pk}") for call in calls
        )
        self.message_user(request, f"{ended} calls ended.", messages.SUCCESS)
