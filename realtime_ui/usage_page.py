"""The page that tells what one has left, and when it starts anew."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from realtime_ui.key_pages import owner
from tokens.models import Kind
from tokens.policy import Allowance, allowance_of
from tokens.quotas import Standing, standings
from usage.money import MICRODOLLARS

MICRODOLLARS_A_CENT: Final = MICRODOLLARS // 100
PERIODS: Final = (("_a_day", gettext_lazy("Today")), ("_a_month", gettext_lazy("This month")))


@dataclass(frozen=True)
class Line:
    """One allowance in words. limit and used are for the meter; a limit of None has none."""

    name: str
    words: str
    used: int | None
    limit: int | None
    is_used_up: bool


@dataclass(frozen=True)
class Period:
    title: str
    resets_at: datetime
    lines: list[Line]


@login_required
@require_safe
@never_cache
def usage(request: HttpRequest) -> HttpResponse:
    allowance = allowance_of(owner(request), None)
    found = standings(owner(request), allowance, timezone.now())
    periods = []
    for ending, title in PERIODS:
        counted = [standing for standing in found if standing.metric.endswith(ending) and standing.used is not None]
        periods.append(Period(str(title), counted[0].resets_at, [line_of(standing) for standing in counted]))
    context = {"periods": periods, "rules": rules_of(allowance), "is_free": settings.UPSTREAM_IS_LOCAL}
    return render(request, "realtime_ui/usage.html", context)


def rules_of(allowance: Allowance) -> list[tuple[str, str]]:
    """Put into words what is not counted but allowed or not."""
    return [
        (_("Longest call"), length(allowance.call_max_s)),
        (_("Calls at once"), str(allowance.calls_at_once)),
        (_("Assistants"), listed(allowance.agents)),
        (_("Models"), listed(allowance.models)),
        (_("Voices"), listed(allowance.voices)),
        (_("Kinds of client secrets"), listed(tuple(str(Kind(kind).label) for kind in allowance.kinds))),
    ]


def listed(names: tuple[str, ...] | None) -> str:
    return _("all") if names is None else ", ".join(names) or _("none")


def line_of(standing: Standing) -> Line:
    """Put one allowance into words. What is left is rounded down, what is used up."""
    thing = standing.metric.partition("_a_")[0]
    names = {"secrets": _("Client secrets"), "seconds": _("Calls"), "microdollars": _("Money")}
    amount = {"secrets": number, "seconds": length, "microdollars": money}[thing]
    used, left, limit = standing.used or 0, standing.left, standing.limit
    if limit is None or left is None:
        words = _("%(used)s used, no limit") % {"used": amount(used)}
    elif left == 0:
        words = _("All of %(limit)s used") % {"limit": amount(limit)}
    else:
        words = _("%(left)s of %(limit)s left") % {"left": amount(left, down=True), "limit": amount(limit)}
    return Line(names[thing], words, min(used, limit or used), limit, is_used_up=left == 0)


def number(count: int, *, down: bool = False) -> str:
    return str(count)


def length(seconds: int, *, down: bool = False) -> str:
    """Write a length of time as people say it: `45 seconds`, `12 min 30 s`, `3 h 20 min`."""
    if seconds < 60:
        return ngettext("%(count)s second", "%(count)s seconds", seconds) % {"count": seconds}
    hours, minutes, rest = seconds // 3600, seconds % 3600 // 60, seconds % 60
    parts = [(hours, _("%(count)s h")), (minutes, _("%(count)s min")), (0 if hours else rest, _("%(count)s s"))]
    return " ".join(words % {"count": count} for count, words in parts if count)


def money(microdollars: int, *, down: bool = False) -> str:
    cents = microdollars // MICRODOLLARS_A_CENT if down else -(-microdollars // MICRODOLLARS_A_CENT)
    return f"${cents // 100}.{cents % 100:02}"
