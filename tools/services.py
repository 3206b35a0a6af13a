"""Each call of a tool, from the model's wish to its end: a row and an event for every step, both or neither."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.utils import timezone

from audit.actions import Action
from audit.records import Fact
from audit.services import durable_record, record_event
from realtime_api.errors import CodedError
from relay.exceptions import CallNotLive
from relay.handoffs import current_version
from relay.models import Call
from relay.redaction import redacted
from tokens.models import Transcripts
from tools import exceptions
from tools.models import LONGEST_S, Tool, ToolCall
from tools.registry import Approval, CallContext, VoiceTool, find_tool
from tools.running import Outcome, failure
from voiceagent.log_lines import storable

APPROVAL_S: Final = 60
APPROVAL_LIFE: Final = timedelta(seconds=APPROVAL_S)
LOST_AFTER_S: Final = LONGEST_S + APPROVAL_S + 30
MAX_A_CALL: Final = 200
RESULT_CHARS: Final = 2_000  # of a result that are kept
ARGUMENTS_CHARS: Final = 4_000


@dataclass(frozen=True)
class Wanted:
    """What a model wants. is_allowed: whether the call's agent has this tool."""

    call_pk: int
    tool_call_id: str
    name: str
    raw_arguments: str
    is_allowed: bool
    is_too_often: bool = False


@dataclass(frozen=True)
class Run:
    """A tool's call that is on record. refusal: what the model is told instead, when it is not to be run."""

    row: ToolCall
    tool: VoiceTool | None = None
    context: CallContext | None = None
    arguments: Mapping[str, Any] | None = None
    timeout_s: int = 0
    refusal: Outcome | None = None


def begin(wanted: Wanted) -> Run | None:
    """Put a tool's call on record, before anything is done. None: it was there already, and is somebody else's."""
    call = Call.objects.select_related("user", "agent_version__agent").get(pk=wanted.call_pk)
    now = timezone.now()
    row = ToolCall(
        call=call, agent_version=current_version(call), tool_call_id=storable(wanted.tool_call_id)[:128],
        name=storable(wanted.name)[:64], arguments=kept_arguments(call, wanted.raw_arguments),
        state=ToolCall.State.RUNNING, requested_at=now, started_at=now,
    )  # fmt: skip
    try:
        run = _checked(row, wanted)
    except CodedError as exc:
        run = Run(row, refusal=failure(exc))
        _refuse(row, exc, now)
    action = Action.TOOL_REFUSED if run.refusal else Action.TOOL_REQUESTED
    return run if record_request(row, wanted.raw_arguments, action) else None


def record_request(row: ToolCall, raw_arguments: str, action: Action = Action.TOOL_REQUESTED) -> bool:
    """Insert the row of a call that a model wants, with its event. False: it is on record already."""
    with durable_record():
        if not _insert(row):
            return False
        told, digest = len(raw_arguments), _digest(raw_arguments)
        record(action, row, arguments_chars=told, arguments_sha256=digest)
    return True


def _insert(row: ToolCall) -> bool:
    """Insert a row. False: another process was quicker."""
    if ToolCall.objects.filter(call=row.call, tool_call_id=row.tool_call_id).exists():
        return False
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError:
        return False
    return True


def _checked(row: ToolCall, wanted: Wanted) -> Run:
    """Return the run of a call that may be made. Raises why not."""
    call, tool = row.call, find_tool(wanted.name)
    if call.state != Call.State.LIVE or call.user is None:
        raise CallNotLive()
    if wanted.is_too_often:
        raise exceptions.TooManyToolCalls()
    if tool is None:
        raise exceptions.UnknownTool()
    settings = Tool.of(tool)
    if not (wanted.is_allowed and settings.enabled):
        raise exceptions.ToolNotAllowed()
    arguments = tool.read(wanted.raw_arguments)
    row.approval = settings.approval
    if settings.approval != Approval.NONE:
        row.state, row.started_at = ToolCall.State.WAITING, None
        row.decide_until = row.requested_at + APPROVAL_LIFE
    return Run(row, tool, CallContext(call.user, call, _agent_of(row)), arguments, settings.timeout_s)


def take_over(call_pk: int, before: datetime) -> list[tuple[ToolCall, Outcome]]:
    """Close the tools of a call that another process left, as far as is known of them.

    Returns those whose model has to be told, and what.
    """
    left = ToolCall.objects.open().filter(call=call_pk, mcp_server="", requested_at__lt=before).select_related("call")
    known = [(row, left_outcome(row)) for row in left]
    return [(row, outcome) for row, outcome in known if end(row, outcome)]


def left_outcome(row: ToolCall) -> Outcome:
    """Return what is known of a tool whose process died: what waited for somebody's word was surely not run."""
    if row.state == ToolCall.State.WAITING:
        words = "The server was interrupted before anybody approved this: it was not done."
        return failure(exceptions.ApprovalTooLate(words))
    return failure(exceptions.ToolOutcomeUnknown())


def decide(row: ToolCall, *, approve: bool, approver: User, request_id: str, person: Mapping[str, Fact]) -> None:
    """Approve a waiting tool, or not. Raises NothingToApprove."""
    now = timezone.now()
    with durable_record():
        waiting = ToolCall.objects.filter(pk=row.pk, state=ToolCall.State.WAITING, approved=None, decide_until__gt=now)
        if not waiting.update(approved=approve, approver=approver.username):
            raise exceptions.NothingToApprove()
        record_event(
            Action.TOOL_APPROVED if approve else Action.TOOL_DECLINED,
            request_id=request_id, actor=f"user:{approver.pk}", target=f"toolcall:{row.pk}", person=person,
            tool=row.name, call=row.call_id,
        )  # fmt: skip


def verdict(row: ToolCall) -> Outcome | None:
    """Return what was decided of a waiting tool as what the model is told; None: still waiting, or it is approved.

    One that is approved is at work from then on: `row.state` says so.
    """
    now = timezone.now()
    row.refresh_from_db()
    if row.state != ToolCall.State.WAITING:
        return failure(exceptions.ToolOutcomeUnknown())  # somebody else closed it
    if row.approved:
        started = ToolCall.objects.filter(pk=row.pk, state=ToolCall.State.WAITING)
        if not started.update(state=ToolCall.State.RUNNING, started_at=now):
            return failure(exceptions.ToolOutcomeUnknown())  # closed since it was read
        row.state, row.started_at = ToolCall.State.RUNNING, now
        return None
    if row.approved is False:
        return failure(exceptions.NotApproved())
    if row.decide_until is not None and now >= row.decide_until:
        return failure(exceptions.ApprovalTooLate())
    is_live = Call.objects.filter(pk=row.call_id, state=Call.State.LIVE).exists()
    return None if is_live else failure(CallNotLive())


def end(row: ToolCall, outcome: Outcome) -> bool:
    """Write what became of a tool's call, once. False: somebody had said so before."""
    now, code = timezone.now(), outcome.error_code
    state = STATES.get(code, ToolCall.State.FAILED if code else ToolCall.State.DONE)
    duration_ms = round((now - row.started_at).total_seconds() * 1000) if row.started_at else None
    with durable_record():
        written = ToolCall.objects.open().filter(pk=row.pk).update(
            state=state, error_code=code, ended_at=now, duration_ms=duration_ms,
            result=_kept(row.call, outcome.output[:RESULT_CHARS]), result_chars=len(outcome.output),
        )  # fmt: skip
        if written:
            row.state, row.error_code = state, code
            told, digest = len(outcome.output), _digest(outcome.output)
            record(ACTIONS[state], row, duration_ms=duration_ms, result_chars=told, result_sha256=digest)
    return bool(written)


def close_lost_runs(now: datetime) -> int:
    """Close the tools of calls that are over, whose process died with them. Returns how many."""
    lost = ToolCall.objects.open().filter(requested_at__lt=now - timedelta(seconds=LOST_AFTER_S))
    return sum(end(row, left_outcome(row)) for row in lost.select_related("call"))


def note_forged(call_pk: int, tool_call_id: str) -> None:
    """Put on record that a client answered a tool in the server's place."""
    call = Call.objects.get(pk=call_pk)
    with durable_record():
        record_event(
            Action.TOOL_ANSWER_FORGED, request_id=call.request_id, actor=f"user:{call.user_id}",
            target=f"call:{call.pk}", tool_call=storable(tool_call_id)[:128],
        )  # fmt: skip


def _refuse(row: ToolCall, error: CodedError, now: datetime) -> None:
    row.state, row.error_code, row.started_at, row.ended_at = ToolCall.State.REFUSED, error.code, None, now


def _agent_of(row: ToolCall) -> str:
    """Return the agent that has the call now, which need not be the one that it began with."""
    return row.agent_version.agent.slug if row.agent_version else row.call.agent


def kept_arguments(call: Call, raw: str) -> str:
    """Return arguments as far as they may be kept."""
    return _kept(call, raw[:ARGUMENTS_CHARS])


def _kept(call: Call, text: str) -> str:
    """Return a text as far as the policy of the call lets its words be kept."""
    if call.transcripts == Transcripts.OFF:
        return ""
    return storable(redacted(text) if call.transcripts == Transcripts.REDACTED else text)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()


def record(action: Action, row: ToolCall, **facts: Fact) -> None:
    """Record a step of a tool's call, within the transaction of its row."""
    call = row.call
    record_event(
        action, request_id=call.request_id, actor=f"user:{call.user_id}", target=f"toolcall:{row.pk}",
        code=row.error_code, person=None, tool=row.name, call=call.pk, tool_call=row.tool_call_id, **facts,
    )  # fmt: skip


STATES: Final = {
    exceptions.ToolOutcomeUnknown.code: ToolCall.State.UNKNOWN,
    exceptions.ToolTimeout.code: ToolCall.State.UNKNOWN,
    exceptions.NotApproved.code: ToolCall.State.REFUSED,
    exceptions.ApprovalTooLate.code: ToolCall.State.REFUSED,
    exceptions.ToolRefusal.code: ToolCall.State.REFUSED,
    CallNotLive.code: ToolCall.State.REFUSED,
}
ACTIONS: Final = {
    ToolCall.State.DONE: Action.TOOL_DONE,
    ToolCall.State.FAILED: Action.TOOL_FAILED,
    ToolCall.State.REFUSED: Action.TOOL_REFUSED,
    ToolCall.State.UNKNOWN: Action.TOOL_UNKNOWN,
}
