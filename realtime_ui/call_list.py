"""What the list of one's own calls is asked for: days, agent, result, and the page of it."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from typing import Final
from urllib.parse import urlencode

from django.contrib.auth.models import User
from django.db.models import Q
from django.http import QueryDict
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from relay.models import Call, CallQuerySet
from voiceagent.list_filters import parse_day, start_of, zone_called

PAGE_SIZE: Final = 25
OPEN: Final = (Call.State.REQUESTED, Call.State.LIVE)
RESULTS: Final[dict[str, tuple[str | Promise, Q]]] = {
    "live": (_("Live"), Q(state__in=OPEN)),
    "ended": (_("Ended"), Q(state=Call.State.ENDED)),
    "administrator": (_("Ended by an administrator"), Q(end_reason=Call.EndReason.ADMINISTRATOR)),
    "failed": (_("Could not connect"), Q(state__in=[Call.State.FAILED, Call.State.UNKNOWN])),
}
PRESETS: Final[tuple[tuple[str | Promise, int], ...]] = ((_("Today"), 0), (_("7 days"), 6), (_("30 days"), 29))
FIELDS: Final = ("since", "until", "zone", "agent", "result")


@dataclass(frozen=True)
class Preset:
    words: str
    query: str
    is_used: bool


@dataclass(frozen=True)
class CallSearch:
    """What was asked for; empty fields leave nothing out. before: only calls older than the one with this number."""

    since: str = ""
    until: str = ""
    zone_name: str = ""
    agent: str = ""
    result: str = ""
    before: int | None = None

    @classmethod
    def of(cls, query: QueryDict) -> "CallSearch":
        before = query.get("before", "")
        is_number = before.isascii() and before.isdigit() and len(before) < 19
        since, until, zone, agent, result = (query.get(name, "").strip() for name in FIELDS)
        return cls(since, until, zone, agent, result, int(before) if is_number else None)

    @property
    def zone(self) -> tzinfo:
        return zone_called(self.zone_name) or timezone.get_current_timezone()

    @property
    def has_bad_day(self) -> bool:
        return any(day and parse_day(day) is None for day in (self.since, self.until))

    @property
    def is_narrow(self) -> bool:
        """Whether it leaves out any of one's newest calls."""
        return bool(self.since or self.until or self.agent or self.result or self.before)

    def calls(self, user: User) -> CallQuerySet:
        """Return the calls that it asks for, the newest first."""
        calls = Call.objects.of(user).order_by("-id")
        if self.has_bad_day or (self.result and self.result not in RESULTS):
            return calls.none()
        if since := parse_day(self.since):
            calls = calls.filter(requested_at__gte=start_of(since, self.zone))
        if until := parse_day(self.until):
            calls = calls.filter(requested_at__lt=start_of(until + timedelta(days=1), self.zone))
        if self.agent:
            calls = calls.filter(agent=self.agent)
        if self.result:
            calls = calls.filter(RESULTS[self.result][1])
        return calls if self.before is None else calls.filter(pk__lt=self.before)

    def older_query(self, last: Call) -> str:
        """Return the query of the page that follows one's last call."""
        return self._query(self.since, self.until, before=str(last.pk))

    def presets(self, now: datetime) -> list[Preset]:
        today = now.astimezone(self.zone).date()
        return [self._preset(str(words), today - timedelta(days=back)) for words, back in PRESETS]

    def _preset(self, words: str, since: date) -> Preset:
        is_used = self.since == since.isoformat() and not self.until
        return Preset(words, self._query(since.isoformat(), ""), is_used)

    def _query(self, since: str, until: str, before: str = "") -> str:
        given = (since, until, self.zone_name, self.agent, self.result)
        pairs = [*zip(FIELDS, given, strict=True), ("before", before)]
        return "?" + urlencode([(name, value) for name, value in pairs if value])
