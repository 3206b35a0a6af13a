"""Calls in the admin: to read, and to end. Each way to filter or search has an index of `Call`."""

from collections.abc import Iterable
from contextlib import suppress
from datetime import timedelta
from typing import Any, Final

from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html_join

from agents.list_filters import AgentFilter, DaysFilter, UserFilter
from audit.actions import Action
from audit.services import record_event
from relay.control import MAY_STEER, command_call
from relay.exceptions import RelayError
from relay.models import Call, CallCommand, CallQuerySet
from relay.services import end_call
from relay.transcripts import ordered_transcript
from usage.models import UsageRecord
from usage.money import dollars
from voiceagent.acting import acting, actor_of
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


MAX_ROWS: Final = 500  # of one call on its page


def usage_words(record: UsageRecord) -> str:
    """Put what one response or transcription used into one line."""
    counts = ", ".join(f"{count} {meter.label.lower()}" for meter, count in record.by_meter.items())
    cost = "no price" if record.unpriced else f"${dollars(record.microdollars)}"
    return f"{record.get_kind_display()} {record.outcome}: {counts or 'nothing'} ({cost})"


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
    # Shown in words instead, or of no use to people.
    exclude = [
        "cost_microdollars", "charged_seconds", "charged_microdollars", "counted_picodollars", "budget_microdollars",
        "lease_until", "hang_up_again_at",
    ]  # fmt: skip
    readonly_fields = ["cost", "held", "used", "words"]
    list_filter = [DaysFilter, StateFilter, EndReasonFilter, AgentFilter, UserFilter]
    ordering = ["-requested_at"]
    search_fields = ["upstream_id"]
    search_help_text = "A call id or a request id as a whole, or the start of a user's name."
    actions = ["hang_up", "mute", "unmute"]

    @admin.display(description="Requested")
    def when(self, call: Call) -> str:
        return time_of(call.requested_at)

    @admin.display(description="State")
    def result(self, call: Call) -> str:
        state = badge(STATE_BADGES[call.state], call.get_state_display())
        if call.monitoring in (Call.Monitoring.UNMONITORED, Call.Monitoring.LOST):
            state += badge("warn", call.get_monitoring_display())
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

    @admin.display(description="Used")
    def used(self, call: Call) -> str:
        records = UsageRecord.objects.filter(call_number=call.pk)[:MAX_ROWS]
        return format_html_join("", "<div>{}</div>", ((usage_words(record),) for record in records))

    @admin.display(description="Words")
    def words(self, call: Call) -> str:
        lines = ((item.role, item.text, item.get_status_display()) for item in ordered_transcript(call)[:MAX_ROWS])
        return format_html_join("", "<div><b>{}</b> {} <small>{}</small></div>", lines)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show a call. Reading what somebody said is on record, like every look at what is theirs."""
        call = self.get_object(request, object_id)
        if call is not None and self.has_view_permission(request, call):
            record_event(Action.CALL_VIEWED, target=f"call:{call.pk}", **acting(request))
        return super().change_view(request, object_id, form_url, extra_context)

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
        return request.user.has_perm(MAY_STEER)

    @admin.action(description="Hang up the selected live calls", permissions=["hang_up"])
    def hang_up(self, request: HttpRequest, queryset: CallQuerySet) -> None:
        calls = queryset.filter(state=Call.State.LIVE)
        ended = sum(end_call(call, reason=Call.EndReason.ADMINISTRATOR, actor=actor_of(request)) for call in calls)
        self.message_user(request, f"{ended} calls ended.", messages.SUCCESS)

    @admin.action(description="Mute the assistant of the selected live calls", permissions=["hang_up"])
    def mute(self, request: HttpRequest, queryset: CallQuerySet) -> None:
        self._command(request, queryset, CallCommand.Kind.MUTE)

    @admin.action(description="Let the assistant of the selected live calls speak", permissions=["hang_up"])
    def unmute(self, request: HttpRequest, queryset: CallQuerySet) -> None:
        self._command(request, queryset, CallCommand.Kind.UNMUTE)

    def _command(self, request: HttpRequest, calls: CallQuerySet, kind: CallCommand.Kind) -> None:
        done = 0
        for call in calls.filter(state=Call.State.LIVE):
            with suppress(RelayError):  # over by now, or out of reach: the message tells how many were not
                command_call(call, kind=kind, text="", **acting(request))
                done += 1
        self.message_user(request, f"{done} of {len(calls)} calls were told.", messages.SUCCESS)
