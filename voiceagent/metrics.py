"""`GET /metrics`: how the site is doing, in Prometheus' text format.

What the database tells is the same from every process and outlives all of them; what a process tells is its own, and
says so in its help. Nothing here names a person, a key or what was said.
"""

import hmac
import os
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from threading import Lock
from typing import Final

from django.conf import settings
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from audit.health import Integrity, integrity
from audit.models import AuditEvent
from audit.stored_tree import newest_checkpoint
from realtime_api.timings import BOUNDS_S, timings
from relay.models import Call
from tokens.authentication import bearer_of
from tokens.exceptions import NotAuthenticated
from voiceagent.errors import error_response

STARTED_AT: Final = time.time()
KEPT_S: Final = 5.0  # however many ask, the database is asked no more often than this
STATES: Final = ("green", "amber", "red")
MAY_SEE: Final = "audit.view_auditevent"

Labels = Mapping[str, object]


@require_safe
@never_cache
def metrics(request: HttpRequest) -> HttpResponse:
    """Answer whoever has the token of METRICS_TOKEN, and signed-in staff who may see the record."""
    if not _may_see(request):
        return error_response(request, NotAuthenticated("Show the token of METRICS_TOKEN, or sign in as staff."))
    text = _of_database.text() + _of_process()
    return HttpResponse(text, content_type="text/plain; version=0.0.4; charset=utf-8")


def _may_see(request: HttpRequest) -> bool:
    if settings.METRICS_TOKEN and "HTTP_AUTHORIZATION" in request.META:
        return hmac.compare_digest(bearer_of(request).encode(), settings.METRICS_TOKEN.encode())
    return request.user.is_staff and request.user.has_perm(MAY_SEE)


class _OfDatabase:
    """What the database tells, kept for a few seconds; events are counted on from where the last look stopped."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._text, self._read_at = "", 0.0
        self._counted_up_to = 0
        self._events: Counter[str] = Counter()

    def text(self) -> str:
        with self._lock:
            if time.monotonic() - self._read_at > KEPT_S or not self._text:
                self._text = "".join([self._count_events(), _calls(), _record(integrity())])
                self._read_at = time.monotonic()
            return self._text

    def forget(self) -> None:
        self._text = ""

    def _count_events(self) -> str:
        """Count events by action, of those that are sealed: below that none is added any more."""
        checkpoint = newest_checkpoint()
        size = checkpoint.size if checkpoint else 0
        if size < self._counted_up_to:  # another database
            self._counted_up_to, self._events = 0, Counter()
        new = AuditEvent.objects.filter(pk__gt=self._counted_up_to, pk__lte=size).order_by()
        self._events.update(dict(new.values_list("action").annotate(Count("pk"))))
        self._counted_up_to = size
        rows = [({"action": action}, count) for action, count in sorted(self._events.items())]
        return _metric("voiceagent_events_total", "counter", "Sealed events of the record.", rows)


_of_database = _OfDatabase()
forget = _of_database.forget


def _calls() -> str:
    live = Call.objects.filter(state=Call.State.LIVE).order_by()
    found = dict(live.values_list("transport").annotate(Count("pk")))
    rows = [({"transport": transport}, found.get(transport, 0)) for transport in Call.Transport.values]
    return _metric("voiceagent_calls_live", "gauge", "Calls that go on.", rows)


def _record(found: Integrity) -> str:
    now = timezone.now()
    states = [({"state": state}, int(found.state == state)) for state in STATES]
    exports = [
        ({"place": export.sink}, round((now - export.exported_at).total_seconds(), 1))
        for export in found.exports
        if export.exported_at is not None
    ]
    verified: list[tuple[Labels, float]] = []
    if found.verified is not None and not found.verified.code:
        verified.append(({}, found.verified.recorded_at.timestamp()))
    return "".join(
        [
            _metric("voiceagent_record_state", "gauge", "1 for how the record stands.", states),
            _metric("voiceagent_record_unsealed", "gauge", "Events not sealed yet.", [({}, found.unsealed)]),
            _metric("voiceagent_record_lag_seconds", "gauge", "Age of the oldest of them.", [({}, found.lag_s)]),
            _metric(
                "voiceagent_record_orphans", "gauge", "Requests of a day without a known end.", [({}, found.orphans)]
            ),
            _metric("voiceagent_record_exported_age_seconds", "gauge", "Since a place outside was told.", exports),
            _metric("voiceagent_record_verified_timestamp_seconds", "gauge", "Last full verification.", verified),
        ]
    )


def _of_process() -> str:
    """Return what this process alone knows. Ask each process by its own address."""
    name, text = "voiceagent_upstream_seconds", "How long the voice service took, this process alone."
    rows: list[tuple[str, Labels, float]] = []
    for (attempt, outcome), timing in sorted(timings().items()):
        labels = {"attempt": attempt, "outcome": outcome}
        counts = timing.cumulative()
        bounds = [*map(str, BOUNDS_S), "+Inf"]
        rows += [("_bucket", labels | {"le": bound}, count) for bound, count in zip(bounds, counts, strict=True)]
        rows += [("_sum", labels, round(timing.sum_s, 6)), ("_count", labels, counts[-1])]
    histogram = _head(name, "histogram", text) + "".join(
        _line(name + end, labels, value) for end, labels, value in rows
    )
    started = _metric("process_start_time_seconds", "gauge", "Start of this process.", [({}, round(STARTED_AT, 2))])
    info = _metric("voiceagent_process_info", "gauge", "Which process answered.", [({"pid": os.getpid()}, 1)])
    return histogram + started + info + _memory()


def _memory() -> str:
    """Return what this process holds in memory, where the system tells (Linux)."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, IndexError, ValueError):
        return ""
    size = pages * os.sysconf("SC_PAGE_SIZE")
    return _metric("process_resident_memory_bytes", "gauge", "Memory of this process.", [({}, size)])


def _metric(name: str, kind: str, text: str, rows: Iterable[tuple[Labels, float]]) -> str:
    return _head(name, kind, text) + "".join(_line(name, labels, value) for labels, value in rows)


def _head(name: str, kind: str, text: str) -> str:
    return f"# HELP {name} {text}\n# TYPE {name} {kind}\n"


def _line(name: str, labels: Labels, value: float) -> str:
    shown = ",".join(f'{label}="{_escaped(str(of_label))}"' for label, of_label in labels.items())
    return f"{name}{{{shown}}} {value}\n" if shown else f"{name} {value}\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
