"""REST routes of the record: the newest signed checkpoint, and what proves one event."""

from rest_framework.request import Request
from rest_framework.response import Response

from audit.exceptions import UnknownEvent
from audit.models import AuditEvent
from audit.proofs import newest_note, receipt_of
from tokens.exceptions import InvalidRequest
from tokens.models import ApiKey
from tokens.rest import OwnView, owner_of

MAX_DIGITS = 18


class CheckpointView(OwnView):
    """`GET /api/audit/checkpoint?from=SIZE`: for witnesses, with the proof that nothing they saw was taken back."""

    def get(self, request: Request) -> Response:
        return Response(newest_note(_from_size(request)))


class ProofView(OwnView):
    """`GET /api/audit/proof/{id}?from=SIZE`: for who acted, and for whoever may see the whole record."""

    def get(self, request: Request, pk: int) -> Response:
        event = AuditEvent.objects.filter(pk=pk).first()
        if event is None or not _may_see(request, event):
            raise UnknownEvent()
        return Response(receipt_of(pk, _from_size(request)))


def _may_see(request: Request, event: AuditEvent) -> bool:
    user = owner_of(request)
    kind, _, number = event.actor.partition(":")
    if kind == "key" and ApiKey.objects.filter(pk=int(number), user=user).exists():
        return True
    return event.actor == f"user:{user.pk}" or user.has_perm("audit.view_auditevent")


def _from_size(request: Request) -> int | None:
    raw_size = request.query_params.get("from", "")
    if not raw_size:
        return None
    if not (raw_size.isascii() and raw_size.isdigit() and len(raw_size) <= MAX_DIGITS):
        raise InvalidRequest("'from' must be the size of a checkpoint.")
    return int(raw_size)
