"""Calls of MCP servers' tools, which the voice service makes: each a row and events, as with tools that run here."""

from typing import Final

from django.utils import timezone

from audit.actions import Action
from audit.services import durable_record
from relay.conversation import Event
from relay.handoffs import current_version
from relay.models import Call
from relay.services import end_call
from tokens.models import McpApproval
from tokens.policy import allowance_of
from tools import services
from tools.exceptions import NotApproved, ToolFailed, ToolOutcomeUnknown
from tools.models import ToolCall
from tools.registry import Approval
from tools.running import Outcome, failure
from voiceagent.log_lines import storable

APPROVALS: Final[dict[str, Approval]] = {McpApproval.PERSON: Approval.PERSON, McpApproval.STAFF: Approval.STAFF}


def ask(call_pk: int, item: Event) -> ToolCall | None:
    """Put on record that a server's tool waits for approval. None: it did before, or the client decides."""
    call = Call.objects.select_related("user", "issuance__api_key", "agent_version__agent").get(pk=call_pk)
    row = _row(call, item, str(item["id"]), ToolCall.State.WAITING)
    row.approval = APPROVALS.get(_approval_of(call), Approval.NONE)
    if row.approval != Approval.NONE:
        row.decide_until = row.requested_at + services.APPROVAL_LIFE
    is_first = services.record_request(row, str(item["arguments"]))
    return row if is_first and row.approval != Approval.NONE else None


def waiting(call_pk: int) -> list[ToolCall]:
    """Return what waits for a person's or staff's word in a call."""
    left = ToolCall.objects.filter(call=call_pk, state=ToolCall.State.WAITING).exclude(mcp_server="")
    return list(left.exclude(approval=Approval.NONE).select_related("call"))


def note_decision(call_pk: int, item: Event) -> None:
    """Put the client's own word on record; where it was somebody else's to give, as a forgery, which ends the call."""
    rows = ToolCall.objects.select_related("call").exclude(mcp_server="")
    row = rows.filter(call=call_pk, tool_call_id=_key(item["approval_request_id"])).first()
    if row is None:
        return
    if row.approval != Approval.NONE:
        services.note_forged(call_pk, row.tool_call_id)
        services.end(row, failure(ToolOutcomeUnknown()))  # the voice service is at it already
        end_call(row.call, reason=Call.EndReason.POLICY_DRIFT, actor="worker")
    elif item["approve"] is True:
        _approved_by_client(row)
    else:
        services.end(row, failure(NotApproved()))


def _approved_by_client(row: ToolCall) -> None:
    with durable_record():
        waits = ToolCall.objects.filter(pk=row.pk, state=ToolCall.State.WAITING)
        if waits.update(
            state=ToolCall.State.RUNNING, approved=True, approver=row.call.username, started_at=timezone.now()
        ):
            services.record(Action.TOOL_APPROVED, row)


def note_result(call_pk: int, item: Event) -> None:
    """Put on record what a server's tool told, or that it failed; also of one that nobody was asked about."""
    call = Call.objects.select_related("user", "agent_version__agent").get(pk=call_pk)
    key = _key(item.get("approval_request_id") or item["id"])
    row = ToolCall.objects.select_related("call").filter(call=call, tool_call_id=key).first()
    if row is None:
        row = _row(call, item, key, ToolCall.State.RUNNING)
        row.started_at = row.requested_at
        services.record_request(row, str(item["arguments"]))
    error = item.get("error")
    output = str(item.get("output") or (error or {}).get("message") or "")
    services.end(row, Outcome(output, ToolFailed.code if error else ""))


def _approval_of(call: Call) -> str:
    if call.user is None:
        return McpApproval.STAFF
    return allowance_of(call.user, call.issuance.api_key if call.issuance else None).mcp_approval


def _row(call: Call, item: Event, key: str, state: ToolCall.State) -> ToolCall:
    label = storable(str(item["server_label"]))[:64]
    return ToolCall(
        call=call, agent_version=current_version(call), tool_call_id=_key(key), mcp_server=label or "?",
        name=storable(f"{label}.{item['name']}")[:64], arguments=services.kept_arguments(call, str(item["arguments"])),
        state=state, requested_at=timezone.now(),
    )  # fmt: skip


def _key(raw: object) -> str:
    return storable(str(raw))[:128]
