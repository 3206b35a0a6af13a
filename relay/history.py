"""Routes of one's own history of calls: the list, and one call with its words, what it used, and what happened when."""

from typing import Any, Final

from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from audit.models import AuditEvent
from relay.api import OwnCallView
from relay.models import Call
from relay.serializers import CallSerializer, HandoffSerializer, TranscriptSerializer, UsageRecordSerializer
from relay.transcripts import ordered_transcript
from tokens.models import Scope
from tokens.rest import owner_of, page_of
from usage.models import UsageRecord

LONGEST_TIMELINE: Final = 200


class CallsView(OwnCallView):
    """`GET /api/calls?before=ID`: one's own calls, the newest first, 50 at a time."""

    required_scope = Scope.READ

    def get(self, request: Request) -> Response:
        rows, more = page_of(Call.objects.of(owner_of(request)).select_related("continues"), request)
        return Response({"results": CallSerializer(rows, many=True).data, "nextBefore": more})


class CallView(OwnCallView):
    """`GET /api/calls/{call_id}`: one's own call."""

    required_scope = Scope.READ

    def get(self, request: Request, call_id: str) -> Response:
        return Response(whole_call(self.own_call(request, call_id)))


def whole_call(call: Call) -> dict[str, Any]:  # Any: JSON
    """Return everything that history has of a call."""
    records = UsageRecord.objects.filter(call_number=call.pk)
    return {
        **CallSerializer(call).data,
        "transcript": TranscriptSerializer(ordered_transcript(call), many=True).data,
        "handoffs": HandoffSerializer(call.handoffs.all(), many=True).data,
        "usage": UsageRecordSerializer(records, many=True).data,
        "timeline": [{"at": event.recorded_at, "event": event.action, "code": event.code} for event in timeline(call)],
    }


def timeline(call: Call) -> QuerySet[AuditEvent]:
    """Return what is on record of a call, in order. Who did it is for the administration."""
    return AuditEvent.objects.filter(target=f"call:{call.pk}").order_by("id")[:LONGEST_TIMELINE]
