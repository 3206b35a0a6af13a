"""Routes of a call's tools: what became of them, somebody's word on one that waits, one run where nobody else does."""

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from relay.api import OwnCallView
from relay.leases import agent_tools
from relay.models import Call
from tokens.models import Scope
from tokens.rest import owner_of, refuse_key, request_id_of
from tools import exceptions, running, services
from tools.models import ToolCall
from tools.registry import Approval
from tools.serializers import DecisionSerializer, RunSerializer, ToolCallSerializer
from tools.services import Run, Wanted
from voiceagent.person import person_of

LONGEST_LIST = 50


class CallToolsView(OwnCallView):
    """`GET /api/calls/{call_id}/tools`: the tools of one's own call, the newest first."""

    required_scope = Scope.READ

    def get(self, request: Request, call_id: str) -> Response:
        rows = ToolCall.objects.filter(call=self.own_call(request, call_id))[:LONGEST_LIST]
        return Response({"results": ToolCallSerializer(rows, many=True).data})


class DecisionView(OwnCallView):
    """`POST /api/calls/{call_id}/tools/{id}` `{"approve"}`: say whether a tool that waits for one may run."""

    def post(self, request: Request, call_id: str, pk: int) -> Response:
        refuse_key(request)  # a person's word is asked for, not a program's
        wish = DecisionSerializer(data=request.data)
        if not wish.is_valid():
            raise exceptions.InvalidToolRequest("'approve' must be true or false.")
        call = self.own_call(request, call_id)
        row = ToolCall.objects.filter(call=call, pk=pk, approval=Approval.PERSON).first()
        if row is None:
            raise exceptions.NothingToApprove()
        user = owner_of(request)
        services.decide(
            row, approve=wish.validated_data["approve"], approver=user, request_id=request_id_of(request),
            person=person_of(request._request, user),
        )  # fmt: skip
        row.refresh_from_db()
        return Response(ToolCallSerializer(row).data)


class RunView(OwnCallView):
    """`POST /api/tools/{name}` `{"callId", "toolCallId", "arguments"}`: run a tool of a call that nobody sees."""

    def post(self, request: Request, name: str) -> Response:
        wish = RunSerializer(data=request.data)
        if not wish.is_valid():
            raise exceptions.InvalidToolRequest()
        call = self.own_call(request, wish.validated_data["callId"])
        if call.monitoring not in (Call.Monitoring.UNMONITORED, Call.Monitoring.LOST):
            raise exceptions.ToolRunsElsewhere()
        return Response({"output": _output(call, name, wish.validated_data)})


def _output(call: Call, name: str, wish: dict[str, Any]) -> str:
    """Run a tool and return what the model is to be told."""
    recent = ToolCall.objects.filter(call=call).count()
    run = services.begin(
        Wanted(
            call.pk, wish["toolCallId"], name, wish["arguments"], is_allowed=name in agent_tools(call),
            is_too_often=recent >= services.MAX_A_CALL,
        )
    )  # fmt: skip
    if run is None:
        raise exceptions.ToolRunsElsewhere()
    return (run.refusal or _outcome(run)).output


def _outcome(run: Run) -> running.Outcome:
    assert run.tool is not None
    assert run.context is not None
    if run.row.state == ToolCall.State.WAITING:
        # Whoever would have to be asked is asked by whoever looks after the call, and nobody does.
        refused = running.failure(exceptions.NotApproved())
        services.end(run.row, refused)
        return refused
    outcome = running.run_and_wait(run.tool, run.context, dict(run.arguments or {}), run.timeout_s)
    services.end(run.row, outcome)
    return outcome
