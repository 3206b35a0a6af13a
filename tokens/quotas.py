"""Allowances of a day and a month, counted in the database so that no race and no restart gets past them."""

from datetime import datetime, timedelta
from typing import Final

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.db.models import F

from tokens.exceptions import QuotaExceeded
from tokens.models import QuotaCounter
from tokens.policy import Allowance

METRICS: Final = ("secrets_a_day", "secrets_a_month")


def use_quotas(user: User, allowance: Allowance, now: datetime) -> None:
    """Count one secret against every allowance that has a limit, within the caller's transaction.

    Raises QuotaExceeded, with when it starts anew; the caller's rollback then gives back what was counted.
    """
    for metric in METRICS:
        limit = getattr(allowance, metric)
        if limit is not None and not _use_one(subject(user), metric, period_start(metric, now), limit):
            starts_anew = period_end(metric, now)
            raise QuotaExceeded(
                f"The allowance of {limit} secrets {metric.removeprefix('secrets_').replace('_', ' ')} is used up.",
                retry_after_ms=int((starts_anew - now).total_seconds() * 1000),
                context={"metric": metric, "limit": limit, "resetsAt": int(starts_anew.timestamp())},
            )


def give_back(user: User, moment: datetime) -> None:
    """Take back what was counted for a secret that surely was not issued."""
    for metric in METRICS:
        rows = QuotaCounter.objects.filter(
            subject=subject(user), metric=metric, period_start=period_start(metric, moment), used__gt=0
        )
        rows.update(used=F("used") - 1)


def used(user: User, metric: str, now: datetime) -> int:
    """Return how much of an allowance is used in the current period."""
    counters = QuotaCounter.objects.filter(subject=subject(user), metric=metric, period_start=period_start(metric, now))
    return counters.values_list("used", flat=True).first() or 0


def subject(user: User) -> str:
    return f"user:{user.pk}"


def period_start(metric: str, now: datetime) -> datetime:
    """Return the start of the current day or month, in UTC."""
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight.replace(day=1) if metric.endswith("_month") else midnight


def period_end(metric: str, now: datetime) -> datetime:
    start = period_start(metric, now)
    if metric.endswith("_month"):
        return (start + timedelta(days=32)).replace(day=1)
    return start + timedelta(days=1)


def _use_one(subject: str, metric: str, start: datetime, limit: int) -> bool:
    """Count one by a conditional UPDATE: of any number at the same time exactly as many pass as are left."""
    counter = QuotaCounter.objects.filter(subject=subject, metric=metric, period_start=start)
    if counter.filter(used__lt=limit).update(used=F("used") + 1):
        return True
    if limit == 0 or counter.exists():
        return False
    try:
        with transaction.atomic():
            QuotaCounter.objects.create(subject=subject, metric=metric, period_start=start, used=1)
    except IntegrityError:  # somebody else was first
        return bool(counter.filter(used__lt=limit).update(used=F("used") + 1))
    return True
