"""Removing sessions whose cookies work no more, which Django leaves to a command that somebody has to call."""

from datetime import datetime
from typing import Final

from django.contrib.sessions.models import Session

ROWS_A_SWEEP: Final = 1000


def prune_sessions(now: datetime) -> int:
    """Remove sessions that are over, some at a time; returns how many."""
    over = Session.objects.filter(expire_date__lt=now).values_list("pk", flat=True)
    removed, _ = Session.objects.filter(pk__in=list(over[:ROWS_A_SWEEP])).delete()
    return removed
