"""REST routes of the record: the newest signed checkpoint, and what proves one event."""

from typing import Any

from django.conf import settings
from django.http import HttpResponse
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request
from rest_framework.response import Response

from audit import tiles
from audit.exceptions import UnknownEvent, UnknownTile
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


class LogView(OwnView):
    """Base of `GET /log/…`, the record as a tiled log.

    Hashes tell no more than how much happens: anybody may have them where AUDIT_LOG_IS_PUBLIC says so, else whoever has
    an account.
    """

    schema = None  # another specification's, and not for generated clients
    is_open = True

    def get_authenticators(self) -> list[BaseAuthentication]:
        return [] if self.is_open and settings.AUDIT_LOG_IS_PUBLIC else super().get_authenticators()

    def get_permissions(self) -> Any:  # Any: the framework's own
        return [] if self.is_open and settings.AUDIT_LOG_IS_PUBLIC else super().get_permissions()


class LogCheckpointView(LogView):
    """`GET /log/checkpoint`: the newest one, as a signed note."""

    def get(self, request: Request) -> HttpResponse:
        return HttpResponse(tiles.checkpoint_note(), content_type="text/plain; charset=utf-8")


class LogTileView(LogView):
    """`GET /log/tile/{level}/{number}`: hashes."""

    def get(self, request: Request, place: str) -> HttpResponse:
        return HttpResponse(tiles.tile(tiles.read_place(place)), content_type="application/octet-stream")


class LogEntriesView(LogView):
    """`GET /log/tile/entries/{number}`: what level 0 hashes, for whoever may see the whole record."""

    is_open = False

    def get(self, request: Request, place: str) -> HttpResponse:
        if not owner_of(request).has_perm("audit.view_auditevent"):
            raise UnknownTile()
        return HttpResponse(
            tiles.entries(tiles.read_place(f"{tiles.ENTRIES}/{place}")), content_type="application/octet-stream"
        )


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
