"""Removing what is past its time, and what somebody wants forgotten. Both are events; no proof of the rest changes."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db import connection, transaction
from django.db.models import Max, Q, QuerySet

from audit.actions import Action
from audit.guards import guards_lifted
from audit.models import AuditEvent, AuditPersonal
from audit.services import record_event
from audit.tree_models import AuditExport
from audit.verification import pruned_to

STEP: Final = 20_000  # identifiers of one transaction, which keeps writers waiting on PostgreSQL


@dataclass(frozen=True)
class Prunable:
    """The events from `first` to `last`: the beginning of the record, all of it older than was asked."""

    first: int
    last: int

    @property
    def count(self) -> int:
        return self.last - self.first + 1


def prunable(older_than: datetime) -> Prunable:
    """Return which events may go: older than that, sealed, and covered by a checkpoint kept outside the database."""
    younger = AuditEvent.objects.filter(recorded_at__gte=older_than).order_by("pk").values_list("pk", flat=True).first()
    kept_elsewhere = AuditExport.objects.aggregate(size=Max("size"))["size"] or 0
    last = kept_elsewhere if younger is None else min(kept_elsewhere, younger - 1)
    return Prunable(pruned_to() + 1, last)


def prune(older_than: datetime, *, actor: str) -> Prunable:
    """Remove the events that `prunable` names, step by step; each step records itself in its own transaction.

    Tiles and checkpoints stay. Needs the owner's account, whom alone the database lets lift the guards.
    """
    part = prunable(older_than)
    for first in range(part.first, part.last + 1, STEP):
        last = min(first + STEP - 1, part.last)
        with guards_lifted(), connection.cursor() as cursor:
            record_event(Action.AUDIT_PRUNED, request_id="", actor=actor, first=first, last=last)
            cursor.execute("DELETE FROM audit_auditevent WHERE id <= %s", [last])
            AuditPersonal.objects.filter(pk__lte=last).delete()
    return part


def personal_data_of(subjects: Sequence[str], username: str = "") -> "QuerySet[AuditPersonal]":
    """Return the personal rows of events by or about subjects such as `user:7`, or that hold a name."""
    events = AuditEvent.objects.filter(Q(actor__in=subjects) | Q(target__in=subjects)).exclude(personal="")
    wanted = Q(event_id__in=events.values("pk"))
    if username:
        wanted |= Q(data__contains=f'"username":{json.dumps(username)}')
    return AuditPersonal.objects.filter(wanted)


def erase_personal_data(subjects: Sequence[str], username: str = "", *, actor: str, reason: str) -> int:
    """Delete personal rows and record that; returns how many. The events stay, and so do their proofs."""
    with transaction.atomic():
        rows = list(personal_data_of(subjects, username).values_list("pk", flat=True))
        AuditPersonal.objects.filter(pk__in=rows).delete()
        record_event(
            Action.PERSONAL_DATA_ERASED, request_id="", actor=actor, target=subjects[0] if subjects else "",
            rows=len(rows), first=min(rows, default=0), last=max(rows, default=0), reason=reason,
        )  # fmt: skip
    return len(rows)
