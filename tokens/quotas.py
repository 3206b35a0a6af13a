"""Allowances of a day and a month, counted in the database so that no race and no restart gets past them.

Secrets are counted when they are issued. Seconds and money are counted for calls: a call reserves at its start the
most that it can use, and at its end what it used takes the place of that.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.contrib.auth.models import User
from django.db.models import F
from django.db.models.functions import Greatest

from tokens.constants import SHORTEST_CALL_S
from tokens.exceptions import ModelUnpriced, QuotaExceeded
from tokens.models import QuotaCounter
from tokens.policy import Allowance
from usage.cost import Rate, estimated_rate
from usage.money import dollars

SECRETS: Final = ("secrets_a_day", "secrets_a_month")
SECONDS: Final = ("seconds_a_day", "seconds_a_month")
MONEY: Final = ("microdollars_a_day", "microdollars_a_month")
METRICS: Final = SECRETS + SECONDS + MONEY


@dataclass(frozen=True)
class Reservation:
    """How long a call may be, and what its user's counters hold for it meanwhile."""

    call_max_s: int
    seconds: int
    microdollars: int


@dataclass(frozen=True)
class Standing:
    """Where a user stands with one allowance.

    limit: None means none. used: with what running calls reserved; None where it is not counted, secrets without limit.
    """

    metric: str
    limit: int | None
    used: int | None
    resets_at: datetime

    @property
    def left(self) -> int | None:
        return None if self.limit is None or self.used is None else max(0, self.limit - self.used)


def use_quotas(user: User, allowance: Allowance, now: datetime) -> None:
    """Count one secret against every allowance that has a limit, within the caller's transaction.

    Raises QuotaExceeded, with when it starts anew and nothing counted.
    """
    _add_all(user, allowance, now, [(metric, 1) for metric in SECRETS if getattr(allowance, metric) is not None])


def check_secret_is_left(user: User, allowance: Allowance, now: datetime) -> None:
    """Raise QuotaExceeded when the next secret could not be counted. Counts nothing."""
    used = _used(user, SECRETS, now)
    for metric in SECRETS:
        limit = getattr(allowance, metric)
        if limit is not None and used[metric] >= limit:
            raise _exceeded(metric, limit, now)


def check_call_is_left(user: User, allowance: Allowance, now: datetime, *, model: str) -> None:
    """Raise QuotaExceeded or ModelUnpriced for a secret whose call could not start. Reserves nothing."""
    if _is_limited(allowance):
        _longest_call_s(user, allowance, _rate_of(allowance, model, now), now)


def give_back(user: User, moment: datetime) -> None:
    """Take back what was counted for a secret that surely was not issued."""
    for metric in SECRETS:
        _subtract(subject(user), metric, moment, 1)


def reserve_call(user: User, allowance: Allowance, now: datetime, *, model: str) -> Reservation:
    """Reserve what a call of a model may use at most, within the caller's transaction.

    A call may last as long as the policy says, the seconds that are left, and what the money that is left pays for
    when both sides speak all the time. Nothing is reserved where there is no limit.
    Raises QuotaExceeded when that is less than SHORTEST_CALL_S, and ModelUnpriced, with nothing reserved.
    """
    if not _is_limited(allowance):
        return Reservation(allowance.call_max_s, 0, 0)
    rate = _rate_of(allowance, model, now)
    longest_s = _longest_call_s(user, allowance, rate, now)
    reservation = Reservation(
        call_max_s=longest_s,
        seconds=longest_s if _has_limit(allowance, SECONDS) else 0,
        microdollars=rate.microdollars(longest_s) if _has_limit(allowance, MONEY) else 0,
    )
    amounts = [(metric, reservation.seconds) for metric in SECONDS if reservation.seconds]
    amounts += [(metric, reservation.microdollars) for metric in MONEY if reservation.microdollars]
    _add_all(user, allowance, now, amounts)
    return reservation


def reserve_more(user: User, allowance: Allowance, moment: datetime, microdollars: int) -> bool:
    """Reserve more money for a call that began at a moment, within the caller's transaction; False: nothing is left."""
    metrics = [metric for metric in MONEY if getattr(allowance, metric) is not None]
    return all(_add(subject(user), metric, moment, microdollars, getattr(allowance, metric)) for metric in metrics)


def correct(user: User, moment: datetime, *, seconds: int, microdollars: int) -> None:
    """Add differences, which may be negative, to what was counted at a moment for a call; no limit can refuse them."""
    for metrics, difference in ((SECONDS, seconds), (MONEY, microdollars)):
        for metric in metrics:
            if difference > 0:
                _add(subject(user), metric, moment, difference, None)
            elif difference < 0:
                _subtract(subject(user), metric, moment, -difference)


def standings(user: User, allowance: Allowance, now: datetime) -> list[Standing]:
    """Return where a user stands with every allowance, in the order of METRICS."""
    counted = _used(user, METRICS, now)
    found = []
    for metric in METRICS:
        limit = getattr(allowance, metric)
        used = None if limit is None and metric in SECRETS else counted[metric]
        found.append(Standing(metric, limit, used, period_end(metric, now)))
    return found


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


def _longest_call_s(user: User, allowance: Allowance, rate: Rate, now: datetime) -> int:
    """Return how many seconds a call may last. Raises QuotaExceeded when too little is left for one."""
    used = _used(user, SECONDS + MONEY, now)
    longest_s = allowance.call_max_s
    for metric in SECONDS + MONEY:
        limit = getattr(allowance, metric)
        if limit is None:
            continue
        left = max(0, limit - used[metric])
        left_s = left if metric in SECONDS else rate.seconds_for(left)
        if left_s is None:
            continue
        if left_s < SHORTEST_CALL_S:
            raise _exceeded(metric, limit, now, is_short=left > 0)
        longest_s = min(longest_s, left_s)
    return longest_s


def _rate_of(allowance: Allowance, model: str, now: datetime) -> Rate:
    """Return what a second of a model is taken to cost, 0 where neither money nor prices matter.

    Raises ModelUnpriced for one without a price where those are blocked, or where no limit of money could hold.
    """
    if not _has_limit(allowance, MONEY) and settings.UNPRICED_MODELS != "block":
        return Rate(0, is_priced=True)
    rate = estimated_rate(model, now)
    if not rate.is_priced and (settings.UNPRICED_MODELS == "block" or not rate.picodollars_a_second):
        raise ModelUnpriced(f"The model {model!r} has no price.", context={"model": model})
    return rate


def _is_limited(allowance: Allowance) -> bool:
    return settings.UNPRICED_MODELS == "block" or _has_limit(allowance, SECONDS + MONEY)


def _has_limit(allowance: Allowance, metrics: Iterable[str]) -> bool:
    return any(getattr(allowance, metric) is not None for metric in metrics)


def _used(user: User, metrics: Iterable[str], now: datetime) -> dict[str, int]:
    """Return how much of each allowance is used in its current period."""
    starts = {metric: period_start(metric, now) for metric in metrics}
    counters = QuotaCounter.objects.filter(
        subject=subject(user), metric__in=starts, period_start__in=set(starts.values())
    )
    found = {
        metric: used
        for metric, start, used in counters.values_list("metric", "period_start", "used")
        if starts[metric] == start
    }
    return {metric: found.get(metric, 0) for metric in starts}


def _exceeded(metric: str, limit: int, now: datetime, *, is_short: bool = False) -> QuotaExceeded:
    thing, _, period = metric.partition("_a_")
    amount = {
        "secrets": f"{limit} secrets",
        "seconds": f"{limit} seconds of calls",
        "microdollars": f"${dollars(limit)}",
    }[thing]
    end = "has too little left for a call" if is_short else "is used up"
    starts_anew = period_end(metric, now)
    return QuotaExceeded(
        f"The allowance of {amount} a {period} {end}. It starts anew on {starts_anew:%Y-%m-%d at %H:%M} UTC.",
        retry_after_ms=int((starts_anew - now).total_seconds() * 1000),
        context={"metric": metric, "limit": limit, "resetsAt": int(starts_anew.timestamp())},
    )


def _add_all(user: User, allowance: Allowance, now: datetime, amounts: Sequence[tuple[str, int]]) -> None:
    """Count against several allowances, or against none. Raises QuotaExceeded.

    Each is one conditional UPDATE, so that what was read before may be out of date and nobody gets too much.
    """
    for counted, (metric, amount) in enumerate(amounts):
        limit = getattr(allowance, metric)
        if _add(subject(user), metric, now, amount, limit):
            continue
        for earlier, its_amount in amounts[:counted]:
            _subtract(subject(user), earlier, now, its_amount)
        raise _exceeded(metric, limit, now)


def _add(subject: str, metric: str, moment: datetime, amount: int, limit: int | None) -> bool:
    """Count by a conditional UPDATE: of any number at the same time exactly as many pass as there is room for."""
    start = period_start(metric, moment)
    counter = QuotaCounter.objects.filter(subject=subject, metric=metric, period_start=start)
    with_room = counter if limit is None else counter.filter(used__lte=limit - amount)
    if with_room.update(used=F("used") + amount):
        return True
    if limit is not None and (limit < amount or counter.exists()):
        return False
    QuotaCounter.objects.bulk_create(  # the first of its period; somebody else may be quicker
        [QuotaCounter(subject=subject, metric=metric, period_start=start)], ignore_conflicts=True
    )
    return bool(with_room.update(used=F("used") + amount))


def _subtract(subject: str, metric: str, moment: datetime, amount: int) -> None:
    counter = QuotaCounter.objects.filter(subject=subject, metric=metric, period_start=period_start(metric, moment))
    counter.update(used=Greatest(F("used") - amount, 0))
