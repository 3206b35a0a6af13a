"""What the worker removes of this app. A secret's end of life needs no sweep: it follows from the clock."""

from datetime import datetime, timedelta
from typing import Final

from tokens.constants import COUNTERS_KEPT_DAYS
from tokens.models import QuotaCounter

ROWS_A_SWEEP: Final = 1000


def prune_counters(now: datetime) -> int:
    """Remove counters of periods that are long over, some at a time; returns how many."""
    old = QuotaCounter.objects.filter(period_start__lt=now - timedelta(days=COUNTERS_KEPT_DAYS))
    removed, _ = QuotaCounter.objects.filter(pk__in=list(old.values_list("pk", flat=True)[:ROWS_A_SWEEP])).delete()
    return removed
