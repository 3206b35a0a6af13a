"""Removing sessions whose cookies work no more, which Django leaves to a command that somebody has to call."""

from datetime import datetime
from typing import Final

from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session

ROWS_A_SWEEP: Final = 1000


def prune_sessions(now: datetime) -> int:
    """Remove sessions that are over, some at a time, and from where they were; returns how many."""
    over = list(Session.objects.filter(expire_date__lt=now).values_list("pk", flat=True)[:ROWS_A_SWEEP])
    UserSession.objects.filter(session_key__in=over).delete()
    removed, _ = Session.objects.filter(pk__in=over).delete()
    return removed
