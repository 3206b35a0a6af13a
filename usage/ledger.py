"""Writing down what was used, once, with the day's sums in the same transaction."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from django.conf import settings
from django.db.models import F

from usage.cost import Cost, cost_by, prices_of
from usage.models import Meter, UsageDay, UsageRecord

SUMMED: Final = (*(meter.value for meter in Meter), "picodollars")
COUNTED_AS: Final = {
    UsageRecord.Kind.RESPONSE.value: "responses",
    UsageRecord.Kind.TRANSCRIPTION.value: "transcriptions",
}
DayKey = tuple[date, str, str, str]


@dataclass(frozen=True)
class Entry:
    """What is to be written down. source_id: of the response, or of the item that was written down."""

    call_number: int
    kind: str
    source_id: str
    at: datetime
    counts: Mapping[Meter, int]
    username: str = ""
    agent: str = ""
    model: str = ""
    outcome: str = ""


def write_entries(entries: Sequence[Entry]) -> list[UsageRecord]:
    """Write what is not written yet, within the caller's transaction; return just that.

    Nobody else may write for the same calls meanwhile: the caller holds their rows.
    """
    known = set(
        UsageRecord.objects.filter(call_number__in={entry.call_number for entry in entries}).values_list(
            "call_number", "kind", "source_id"
        )
    )
    prices: dict[tuple[str, date], Mapping[Meter, int]] = {}
    records = []
    for entry in entries:
        key = (entry.call_number, entry.kind, entry.source_id)
        if key not in known:
            known.add(key)
            records.append(_record(entry, _cost(entry, prices)))
    UsageRecord.objects.bulk_create(records)
    _add_to_days(records)
    return records


def _cost(entry: Entry, prices: dict[tuple[str, date], Mapping[Meter, int]]) -> Cost:
    if settings.UPSTREAM_IS_LOCAL:
        return Cost(0)
    key = (entry.model, entry.at.date())  # prices change at midnight, if at all
    if key not in prices:
        prices[key] = prices_of(entry.model, entry.at)
    return cost_by(prices[key], entry.counts)


def _record(entry: Entry, cost: Cost) -> UsageRecord:
    return UsageRecord(
        call_number=entry.call_number, kind=entry.kind, source_id=entry.source_id, at=entry.at,
        username=entry.username, agent=entry.agent, model=entry.model, outcome=entry.outcome,
        picodollars=cost.picodollars, unpriced=bool(cost.unpriced),
        **{meter.value: count for meter, count in entry.counts.items()},
    )  # fmt: skip


def _add_to_days(records: Sequence[UsageRecord]) -> None:
    sums: dict[DayKey, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for record in records:
        day = sums[(record.at.date(), record.username, record.agent, record.model)]
        day[COUNTED_AS[record.kind]] += 1
        day["unpriced"] += record.unpriced
        for name in SUMMED:
            day[name] += getattr(record, name)
    for key in sorted(sums):  # in one order, so that two writers never wait for each other
        names = dict(zip(("day", "username", "agent", "model"), key, strict=True))
        UsageDay.objects.bulk_create([UsageDay(**names)], ignore_conflicts=True)
        UsageDay.objects.filter(**names).update(**{name: F(name) + added for name, added in sums[key].items()})
