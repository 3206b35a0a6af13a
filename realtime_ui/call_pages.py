"""One's own calls: the list, one call with its words and cost, ending it, taking its words away or deleting them."""

from dataclasses import dataclass
from typing import Final

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from agents.models import Agent
from realtime_api.errors import CodedError
from realtime_ui.call_list import PAGE_SIZE, RESULTS, CallSearch
from realtime_ui.call_words import cost_parts, cost_words, length_words, result_words
from realtime_ui.key_pages import owner
from relay.conversation import RETOLD
from relay.history import timeline
from relay.live_calls import event_id_of
from relay.models import Call, TranscriptItem
from relay.serializers import TranscriptSerializer
from relay.services import end_call
from relay.transcripts import delete_transcript, may_delete_transcript, ordered_transcript
from tokens.models import Transcripts
from tools.models import ToolCall
from voiceagent.acting import acting, actor_of
from voiceagent.admin_words import time_of

BADGES: Final[dict[str, str]] = {
    Call.State.REQUESTED: "live",
    Call.State.LIVE: "live",
    Call.State.ENDED: "quiet",
    Call.State.FAILED: "bad",
    Call.State.UNKNOWN: "bad",
}


@dataclass(frozen=True)
class Row:
    """A call as the list shows it."""

    call: Call
    when: str
    agent: str
    badge: str
    result: str
    length: str
    cost: str
    is_live: bool


@login_required
@require_safe
@never_cache
def calls(request: HttpRequest) -> HttpResponse:
    """List one's own calls, the newest first; `?before=` leads on, and the other fields narrow it."""
    search, now = CallSearch.of(request.GET), timezone.now()
    found = list(search.calls(owner(request))[: PAGE_SIZE + 1])
    shown, names = found[:PAGE_SIZE], _agent_names()
    context = {
        "rows": [row_of(call, names) for call in shown],
        "older": search.older_query(shown[-1]) if len(found) > PAGE_SIZE else "",
        "search": search,
        "presets": search.presets(now),
        "agents": sorted(names.items(), key=lambda pair: pair[1].casefold()),
        "results": [(value, words) for value, (words, _) in RESULTS.items()],
        "told_until": event_id_of(now),
    }
    return render(request, "realtime_ui/calls.html", context)


@login_required
@require_safe
@never_cache
def call_row(request: HttpRequest, pk: int) -> HttpResponse:
    """Return one row of the list, for a page that shows it anew."""
    call = own_call(request, pk)
    return render(request, "realtime_ui/call_row.html", {"row": row_of(call, _agent_names())})


@login_required
@require_safe
@never_cache
def call_detail(request: HttpRequest, pk: int) -> HttpResponse:
    call = own_call(request, pk)
    row, lines = row_of(call, _agent_names()), ordered_transcript(call)
    context = {
        "row": row,
        "call": call,
        "transport": Call.Transport(call.transport).label,
        "lines": [(line, time_of(line.started_at)) for line in lines if line.role != "tool"],
        "tools": [(used, time_of(used.requested_at)) for used in ToolCall.objects.filter(call=call).order_by("id")],
        "notes": _notes(call),
        "parts": cost_parts(call),
        "no_words": "" if lines else _no_words(call),
        "may_delete": bool(lines) and not row.is_live and may_delete_transcript(owner(request)),
        "later": Call.objects.of(owner(request)).filter(continues=call).first(),
        "told_until": event_id_of(timezone.now()),
    }
    return render(request, "realtime_ui/call.html", context)


@login_required
@require_POST
def end_own_call(request: HttpRequest, pk: int) -> HttpResponse:
    end_call(own_call(request, pk), reason=Call.EndReason.HUNG_UP, actor=actor_of(request))
    return redirect(reverse("calls") if request.POST.get("from") == "list" else reverse("call", args=[pk]))


@login_required
@require_safe
@never_cache
def transcript_text(request: HttpRequest, pk: int) -> HttpResponse:
    """Give the words of a call as a text to keep."""
    call = own_call(request, pk)
    title = _("Call of %(when)s UTC with %(agent)s, %(id)s") % {
        "when": f"{call.requested_at:%Y-%m-%d %H:%M}", "agent": row_of(call, _agent_names()).agent,
        "id": call.upstream_id or call.request_id,
    }  # fmt: skip
    lines = [f"[{line.started_at:%H:%M:%S}] {speaker(line)}: {line.text}" for line in ordered_transcript(call)]
    response = HttpResponse("\n".join([title, "", *lines, ""]), content_type="text/plain; charset=utf-8")
    return _as_file(response, f"call-{call.pk}.txt")


@login_required
@require_safe
@never_cache
def transcript_json(request: HttpRequest, pk: int) -> HttpResponse:
    """Give the words of a call as JSON."""
    call = own_call(request, pk)
    lines = TranscriptSerializer(ordered_transcript(call), many=True).data
    content = {"callId": call.upstream_id, "agent": call.agent, "requestedAt": call.requested_at, "transcript": lines}
    return _as_file(JsonResponse(content, json_dumps_params={"indent": 2, "ensure_ascii": False}), f"call-{pk}.json")


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def delete_words(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask, then delete what was said in a call."""
    call = own_call(request, pk)
    if request.method != "POST":
        return render(request, "realtime_ui/delete_words.html", {"row": row_of(call, _agent_names())})
    try:
        delete_transcript(call, user=owner(request), **acting(request))
    except CodedError as exc:
        messages.error(request, f"{exc.message} {exc.suggested_action}")
    return redirect("call", pk)


def own_call(request: HttpRequest, pk: int) -> Call:
    return get_object_or_404(Call.objects.of(owner(request)).select_related("continues"), pk=pk)


def row_of(call: Call, agent_names: dict[str, str]) -> Row:
    return Row(
        call=call,
        when=time_of(call.requested_at),
        agent=agent_names.get(call.agent, call.agent),
        badge=BADGES[call.state],
        result=result_words(call),
        length=length_words(call),
        cost=cost_words(call),
        is_live=call.state in (Call.State.REQUESTED, Call.State.LIVE),
    )


def speaker(line: TranscriptItem) -> str:
    """Return who said a line, in words."""
    words = {
        "user": _("You"), "assistant": _("Assistant"), "tool": _("Looked up"),
        RETOLD: _("Assistant, as the page told it"),
    }  # fmt: skip
    who = words.get(line.role, line.role)
    return _("%(who)s (told again)") % {"who": who} if line.is_repeated else who


def _agent_names() -> dict[str, str]:
    return dict(Agent.objects.values_list("slug", "name"))


def _notes(call: Call) -> list[tuple[str, str]]:
    """Return what happened to a call's connection, with the times; who did it is for the administration."""
    words = {
        "call.requested": _("You asked for the call"),
        "call.created": _("Connected"),
        "call.continued": _("Went on with an earlier call"),
        "call.failed": _("Could not connect"),
        "call.ended": _("Ended"),
        "call.unmonitored": _("Could not be looked after"),
        "call.drifted": _("Settings were changed from the page, and put right"),
        "call.commanded": _("The assistant was steered"),
        "call.watched": _("An administrator read along"),
        "call.viewed": _("An administrator looked at the call"),
        "transcript.deleted": _("You deleted what was said"),
    }
    notes = [(event.recorded_at, words[event.action]) for event in timeline(call) if event.action in words]
    names = _agent_names()
    for handoff in call.handoffs.filter(error_code=""):
        notes.append((handoff.at, _("Handed over to %(agent)s") % {"agent": names.get(handoff.agent, handoff.agent)}))
    return [(note, time_of(at)) for at, note in sorted(notes)]


def _no_words(call: Call) -> str:
    """Return why there is nothing to read."""
    if call.state in (Call.State.REQUESTED, Call.State.LIVE):
        return _("Nothing has been said yet.")
    if call.transcripts == Transcripts.OFF:
        return _("What was said in this call was not kept.")
    return _("There are no words of this call.")


def _as_file(response: HttpResponse, name: str) -> HttpResponse:
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response
