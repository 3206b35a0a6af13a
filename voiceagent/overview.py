"""What the overview of the administration tells: counts over a period, each read from an index, kept for a minute."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import median, quantiles
from typing import Final

from django.core.cache import cache
from django.db.models import Count, QuerySet, Sum
from django.utils import timezone

from relay.models import Call, CallQuerySet
from tokens.models import Issuance

KEPT_S: Final = 60
TOP: Final = 10
SAMPLE: Final = 2_000  # requests whose delay is looked at, the newest
STEP_SAMPLE: Final = 200  # the same for each step
SETTLED_AFTER: Final = timedelta(hours=1)  # the worker has long closed what was left open
STEPS_KEPT_S: Final = 24 * 3600


@dataclass(frozen=True)
class Period:
    """What the overview is about. step: how long each column of its charts is."""

    name: str
    words: str
    steps: int
    step: timedelta

    @property
    def is_by_day(self) -> bool:
        return self.step >= timedelta(days=1)

    def starts(self, now: datetime) -> list[datetime]:
        """Return when each step begins, the last one being the one that is going on: whole hours or UTC days."""
        hour = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        last = hour if self.step < timedelta(days=1) else hour.replace(hour=0)
        return [last - self.step * back for back in reversed(range(self.steps))]


PERIODS: Final = {
    period.name: period
    for period in (
        Period("24h", "24 hours", 24, timedelta(hours=1)),
        Period("7d", "7 days", 7, timedelta(days=1)),
        Period("30d", "30 days", 30, timedelta(days=1)),
        Period("90d", "90 days", 90, timedelta(days=1)),
    )
}


@dataclass(frozen=True)
class Step:
    """One column of each chart. `denied` by us, `failed` upstream or of unknown outcome.

    The delays are of the step's newest answers; spent_microdollars: of its settled calls whose model has a price.
    """

    start: datetime
    issued: int
    denied: int
    failed: int
    delay_p50_ms: float | None
    delay_p95_ms: float | None
    spent_microdollars: int


@dataclass(frozen=True)
class Overview:
    """Everything on the page. codes, agents, users: names with counts, the most first.

    spenders: users with micro-dollars; what has no price or is not settled yet counts for nothing.
    """

    since: datetime
    steps: list[Step]
    codes: list[tuple[str, int]]
    agents: list[tuple[str, int]]
    users: list[tuple[str, int]]
    spenders: list[tuple[str, int]]
    spent_microdollars: int
    live_calls: int
    delay_p50_ms: float | None
    delay_p95_ms: float | None
    counted_at: datetime

    @property
    def issued(self) -> int:
        return sum(step.issued for step in self.steps)

    @property
    def refused(self) -> int:
        return sum(step.denied + step.failed for step in self.steps)

    @property
    def refused_percent(self) -> float:
        asked = self.issued + self.refused
        return 100 * self.refused / asked if asked else 0.0


def overview(period: Period) -> Overview:
    """Return what happened in a period, counted at most KEPT_S ago."""
    kept: Overview | None = cache.get(f"overview:{period.name}")
    if kept is None:
        kept = count_overview(period, timezone.now())
        cache.set(f"overview:{period.name}", kept, KEPT_S)
    return kept


def count_overview(period: Period, now: datetime) -> Overview:
    steps = _steps(period, now)
    in_period = Issuance.objects.filter(requested_at__gte=steps[0].start)
    priced = Call.objects.filter(requested_at__gte=steps[0].start, cost_microdollars__isnull=False).order_by()
    spent = _spent(priced)
    p50, p95 = delays(Issuance.objects.all(), SAMPLE)
    return Overview(
        since=steps[0].start,
        steps=steps,
        codes=_most(in_period, "error_code"),
        agents=_most(in_period, "agent"),
        users=_most(in_period, "username"),
        spenders=[(name, amount) for name, amount in spent if name and amount][:TOP],
        spent_microdollars=sum(amount for _, amount in spent),
        live_calls=Call.objects.filter(state=Call.State.LIVE).count(),
        delay_p50_ms=p50,
        delay_p95_ms=p95,
        counted_at=now,
    )


def _steps(period: Period, now: datetime) -> list[Step]:
    """Count each step. One that is long over does not change any more, and is counted once."""
    key = f"overview-steps:{period.name}"
    kept: dict[datetime, Step] = cache.get(key) or {}
    steps = [kept.get(start) or _count_step(start, start + period.step) for start in period.starts(now)]
    over = {step.start: step for step in steps if step.start + period.step < now - SETTLED_AFTER}
    cache.set(key, over, STEPS_KEPT_S)
    return steps


def _count_step(start: datetime, end: datetime) -> Step:
    step = Issuance.objects.filter(requested_at__gte=start, requested_at__lt=end)

    def count(*statuses: Issuance.Status) -> int:
        return sum(step.filter(status=status).count() for status in statuses)

    status = Issuance.Status
    calls = Call.objects.filter(requested_at__gte=start, requested_at__lt=end, cost_microdollars__isnull=False)
    spent = calls.order_by().aggregate(spent=Sum("cost_microdollars"))["spent"]
    return Step(
        start, count(status.ISSUED), count(status.DENIED), count(status.FAILED, status.UNKNOWN),
        *delays(step, STEP_SAMPLE), spent or 0,
    )  # fmt: skip


def _most(rows: QuerySet[Issuance], field: str) -> list[tuple[str, int]]:
    """Return the most frequent values of a field, which has an index together with the time."""
    counted = rows.exclude(**{field: ""}).values(field).annotate(rows=Count("pk")).order_by("-rows", field)
    return [(row[field], row["rows"]) for row in counted[:TOP]]


def _spent(calls: CallQuerySet) -> list[tuple[str, int]]:
    """Return what each user spent, the most first; all of them, so that the sum needs no second reading."""
    spent = calls.values("username").annotate(spent=Sum("cost_microdollars")).order_by("-spent", "username")
    return list(spent.values_list("username", "spent"))


def delays(issuances: QuerySet[Issuance], sample: int) -> tuple[float | None, float | None]:
    """Return the median and the 95th percentile of the newest answers' delay in ms; None without two of them."""
    newest = issuances.filter(status=Issuance.Status.ISSUED).order_by("-requested_at")
    times = newest.values_list("requested_at", "decided_at")[:sample]
    delays_ms = [(decided - asked) / timedelta(milliseconds=1) for asked, decided in times if decided]
    if len(delays_ms) < 2:
        return None, None
    return median(delays_ms), quantiles(delays_ms, n=20, method="inclusive")[18]
