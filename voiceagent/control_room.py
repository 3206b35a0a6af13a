"""The control room: calls that go on, and one of them with what can be done in it. Both change by themselves."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from agents.models import Agent
from realtime_api.errors import CodedError
from relay.constants import DETAIL_CHARS
from relay.control import MAY_STEER, command_call
from relay.exceptions import CallNotLive, InvalidCommand
from relay.live_calls import MOST_FIRST, event_id_of
from relay.models import Call, CallCommand
from relay.serializers import KINDS_WITH_TEXT, MAX_COMMAND_CHARS
from relay.services import end_call
from relay.streams import MAY_SEE, MAY_WATCH
from usage.money import dollars
from voiceagent.acting import acting
from voiceagent.admin_words import time_of
from voiceagent.person import kept

HANG_UP: Final = "hang_up"
DONE: Final[Mapping[str, str]] = {
    CallCommand.Kind.MUTE: "The assistant is being muted.",
    CallCommand.Kind.UNMUTE: "The assistant may speak again.",
    CallCommand.Kind.SAY: "The assistant is being told to say it.",
    CallCommand.Kind.INSTRUCTIONS: "The instructions are being changed.",
    CallCommand.Kind.AGENT: "The call is being handed over.",
    HANG_UP: "The call has ended.",
}


@dataclass(frozen=True)
class Row:
    """A call as the page begins with it; its script changes it from then on."""

    call: Call
    since: str
    active: str
    cost: str
    is_watched: bool


@require_safe
@never_cache
def live_page(request: HttpRequest) -> HttpResponse:
    """Show the calls that go on."""
    if not request.user.has_perm(MAY_SEE):
        raise PermissionDenied
    calls = Call.objects.open().order_by("-id")[:MOST_FIRST]
    context = {"title": "Live calls", "rows": [row_of(call) for call in calls], **_of_page(request)}
    return render(request, "admin/live.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def live_call_page(request: HttpRequest, pk: int) -> HttpResponse:
    """Show a call with what can be done in it, and do it by POST. `?words`: with what is said, which is on record."""
    if not request.user.has_perm(MAY_SEE):
        raise PermissionDenied
    call = get_object_or_404(Call, pk=pk)
    if request.method == "POST":
        return _steer(request, call)
    context = {
        "title": f"Call {call.pk}",
        "row": row_of(call),
        "is_live": call.state in (Call.State.REQUESTED, Call.State.LIVE),
        "may_steer": request.user.has_perm(MAY_STEER),
        "may_watch": request.user.has_perm(MAY_WATCH),
        "is_watching": "words" in request.GET and request.user.has_perm(MAY_WATCH),
        "agents": [agent for agent in Agent.objects.offered() if agent.published],
        "detail_chars": DETAIL_CHARS,
        "command_chars": MAX_COMMAND_CHARS,
        **_of_page(request),
    }
    return render(request, "admin/live_call.html", context)


def row_of(call: Call) -> Row:
    known = call.known_microdollars
    return Row(
        call=call,
        since=time_of(call.requested_at),
        active=time_of(call.active_at),
        cost="" if known is None else f"${dollars(known)}",
        is_watched=call.is_watched(),
    )


def _of_page(request: HttpRequest) -> dict[str, object]:
    return {**admin.site.each_context(request), "told_until": event_id_of(timezone.now())}


def _steer(request: HttpRequest, call: Call) -> HttpResponse:
    """Do what a form asks for, and say so, or why not."""
    if not request.user.has_perm(MAY_STEER):
        raise PermissionDenied
    action, text = request.POST.get("action", ""), request.POST.get("text", "").strip()
    try:
        if action in CallCommand.Kind.values:
            _command(request, call, CallCommand.Kind(action), text)
        else:
            _hang_up(request, call, action, text)
    except CodedError as exc:
        messages.error(request, f"{exc.message} {exc.suggested_action}")
    else:
        messages.success(request, DONE[action])
    return redirect(request.get_full_path())


def _command(request: HttpRequest, call: Call, kind: CallCommand.Kind, text: str) -> None:
    """Raises CodedError subclasses."""
    if bool(text) != (kind in KINDS_WITH_TEXT) or len(text) > MAX_COMMAND_CHARS:
        raise InvalidCommand()
    command_call(call, kind=kind, text=text, is_staff=True, **acting(request))


def _hang_up(request: HttpRequest, call: Call, action: str, reason: str) -> None:
    """End a call; its user reads the reason. Raises InvalidCommand, CallNotLive."""
    if action != HANG_UP or not reason:
        raise InvalidCommand("To hang up, give a reason: the person who talks reads it.")
    detail, who = kept(reason, DETAIL_CHARS), acting(request)
    if not end_call(call, reason=Call.EndReason.ADMINISTRATOR, actor=who["actor"], detail=detail, person=who["person"]):
        raise CallNotLive()
