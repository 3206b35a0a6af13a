"""Filters of long lists: by days, by one value out of a closed list, by a value that a link names. None counts."""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any, ClassVar, Final
from zoneinfo import ZoneInfo

from django.contrib.admin import ListFilter, ModelAdmin
from django.contrib.admin.views.main import ChangeList
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils import timezone

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
PLACE: Final = re.compile(r"([0-9]{1,16})-([0-9]{1,18})")
ZONE_NAME: Final = re.compile(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+){0,2}")


@dataclass(frozen=True)
class Chip:
    """A filter in use: its words, and the query of the same list without it."""

    words: str
    remove_query: str


class EvidenceFilter(ListFilter, ABC):
    """Base of our filters: takes its parameters out of the address, says what it did, and how to undo it."""

    parameters: ClassVar[tuple[str, ...]]

    def __init__(
        self, request: HttpRequest, params: dict[str, list[str]], model: type[Model], model_admin: ModelAdmin[Any]
    ) -> None:
        super().__init__(request, params, model, model_admin)
        for name in self.parameters:
            if name in params and (value := params.pop(name)[-1]):
                self.used_parameters[name] = value

    def expected_parameters(self) -> list[str | None]:
        return list(self.parameters)

    def has_output(self) -> bool:
        return True

    def chips(self, changelist: ChangeList) -> Iterator[Chip]:
        """Yield what the filter holds back; nothing when it is not in use."""
        if self.used_parameters:
            yield Chip(
                f"{str(self.title)[:1].upper()}{str(self.title)[1:]}: {self.words()}",
                changelist.get_query_string(remove=list(self.parameters)),
            )

    def given(self, name: str) -> str:
        """Return what the address says for a parameter; empty when it says nothing."""
        return str(self.used_parameters.get(name, ""))

    @abstractmethod
    def words(self) -> str:
        """Return what is filtered by, for people."""


class ValueFilter(EvidenceFilter):
    """Filter by one value of one field, chosen from a list."""

    field: ClassVar[str]

    @abstractmethod
    def values(self) -> Iterable[tuple[str, str]]:
        """Return the values to choose from, each with its words. A value of the address need not be among them."""

    @property
    def value(self) -> str | None:
        return self.given(self.parameters[0]) or None

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset if self.value is None else self.matching(queryset, self.value)

    def matching(self, queryset: QuerySet[Any], value: str) -> QuerySet[Any]:
        return queryset.filter(**{self.field: value})

    def words(self) -> str:
        return dict(self.values()).get(self.value or "", self.value or "")

    def choices(self, changelist: ChangeList) -> Iterator[dict[str, Any]]:
        name = self.parameters[0]
        yield {
            "selected": self.value is None,
            "query_string": changelist.get_query_string(remove=[name]),
            "display": "All",
            "value": "",
        }
        known = dict(self.values())
        for value, display in {**known, **({self.value: self.words()} if self.value else {})}.items():
            yield {
                "selected": value == self.value,
                "query_string": changelist.get_query_string({name: value}),
                "display": display,
                "value": value,
            }


class SelectFilter(ValueFilter):
    """The same for a long list: a menu and a button instead of a link for each."""

    template = "admin/select_filter.html"

    def choices(self, changelist: ChangeList) -> Iterator[dict[str, Any]]:
        kept = kept_parameters(changelist, self.parameters)
        yield {"name": self.parameters[0], "options": list(super().choices(changelist)), "kept": kept}


class LinkedFilter(ValueFilter):
    """Filter by a value that only links name, such as a user's: it shows once it is in use."""

    def has_output(self) -> bool:
        return self.value is not None

    def values(self) -> Iterable[tuple[str, str]]:
        return ()


class DateRangeFilter(EvidenceFilter):
    """Filter by the first and the last day, both included, in the viewer's time zone.

    `zone` is the zone's IANA name, put into the form by the page's script; without it the server's zone counts.
    """

    title = "Days"
    template = "admin/date_range_filter.html"
    parameters = ("since", "until", "zone")
    field: ClassVar[str]

    def has_bad_date(self) -> bool:
        return any(day and parse_day(day) is None for day in (self.given("since"), self.given("until")))

    def zone(self) -> tzinfo:
        return zone_called(self.given("zone")) or timezone.get_current_timezone()

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.has_bad_date():
            return queryset.none()
        since, until = parse_day(self.given("since")), parse_day(self.given("until"))
        if since:
            queryset = queryset.filter(**{f"{self.field}__gte": start_of(since, self.zone())})
        if until and until < date.max:
            queryset = queryset.filter(**{f"{self.field}__lt": start_of(until + timedelta(days=1), self.zone())})
        return queryset

    def words(self) -> str:
        since, until = self.given("since"), self.given("until")
        both = since if since == until else f"{since} to {until}"
        return f"{both if since and until else f'from {since}' if since else f'up to {until}'} ({self.zone()})"

    def chips(self, changelist: ChangeList) -> Iterator[Chip]:
        if self.given("since") or self.given("until"):
            yield from super().chips(changelist)

    def choices(self, changelist: ChangeList) -> Iterator[dict[str, Any]]:
        today = timezone.now().astimezone(self.zone()).date()
        near = [("Today", 0), ("7 days", 6), ("30 days", 29)]
        yield {
            "since": self.given("since"),
            "until": self.given("until"),
            "zone": str(self.zone()),
            "is_bad": self.has_bad_date(),
            "is_used": bool(self.given("since") or self.given("until")),
            "kept": kept_parameters(changelist, self.parameters),
            "near": [
                {
                    "display": words,
                    "query_string": changelist.get_query_string(
                        {"since": (today - timedelta(days=back)).isoformat()}, remove=["until"]
                    ),
                }
                for words, back in near
            ],
        }


class OlderFilter(EvidenceFilter):
    """Rows that come after one row in a list that begins with the newest: pages that cost the same however deep.

    The value is that row's time in microseconds of the epoch and its key, such as `1795253400000000-12`.
    """

    title = "Older than"
    parameters = ("before",)

    def __init__(
        self, request: HttpRequest, params: dict[str, list[str]], model: type[Model], model_admin: ModelAdmin[Any]
    ) -> None:
        super().__init__(request, params, model, model_admin)
        self._field = newest_first(model_admin)

    def has_output(self) -> bool:
        return bool(self.used_parameters)  # Django leaves out a filter that says no

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        place = self._place()
        if place is None:
            return queryset.none()
        moment, pk = place
        # The first condition alone is a range of the list's index; the second leaves out rows of the same moment.
        return queryset.filter(**{f"{self._field}__lte": moment}).exclude(**{self._field: moment, "pk__gte": pk})

    def words(self) -> str:
        place = self._place()
        return f"{place[0]:%Y-%m-%d %H:%M:%S} UTC" if place else "?"

    def choices(self, changelist: ChangeList) -> Iterator[dict[str, Any]]:
        newest = changelist.get_query_string(remove=list(self.parameters))
        yield {"selected": False, "query_string": newest, "display": "From the newest"}
        yield {"selected": True, "query_string": changelist.get_query_string(), "display": self.words()}

    def _place(self) -> tuple[datetime, int] | None:
        found = PLACE.fullmatch(self.given("before"))
        return (EPOCH + timedelta(microseconds=int(found[1])), int(found[2])) if found else None


def newest_first(model_admin: ModelAdmin[Any]) -> str:
    """Return the field of time that a list of evidence is ordered by, the newest row first."""
    return str((model_admin.ordering or [""])[0]).removeprefix("-")


def place_of(moment: datetime, pk: int) -> str:
    """Return what `OlderFilter` takes for the rows that come after this one."""
    return f"{(moment - EPOCH) // timedelta(microseconds=1)}-{pk}"


def kept_parameters(changelist: ChangeList, without: Iterable[str]) -> Mapping[str, str]:
    """Return the parameters that a filter's form sends along, so that the other filters stay in use."""
    return {name: values[-1] for name, values in changelist.filter_params.items() if name not in set(without)}


def parse_day(raw_day: str) -> date | None:
    """Return the day of a text such as 2026-11-21; None for anything else, and beyond what databases take."""
    try:
        day = date.fromisoformat(raw_day)
    except ValueError:
        return None
    return day if date(1970, 1, 1) <= day <= date(9000, 1, 1) else None


def zone_called(name: str) -> tzinfo | None:
    """Return the time zone of an IANA name; None when there is none."""
    if not ZONE_NAME.fullmatch(name):
        return None
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError):  # a folder of the database, a path out of it, no such zone
        return None


def start_of(day: date, zone: tzinfo) -> datetime:
    return datetime.combine(day, time.min, zone)
