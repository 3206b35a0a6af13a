"""Pages of the administration that belong to no single model. `AdminSite.admin_view` lets only staff in."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.core.cache import cache
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from audit.actions import Action
from audit.health import integrity
from audit.services import record_event
from relay.models import Call
from tokens.models import ApiKey
from tokens.services import Leak, find_leaked
from usage.money import MICRODOLLARS, dollars
from voiceagent.acting import acting
from voiceagent.admin_charts import bars_of
from voiceagent.admin_words import time_of
from voiceagent.column_charts import charts_of
from voiceagent.end_everything import end_everything, live_secrets
from voiceagent.integrity_page import MAY_SEE as MAY_SEE_RECORD
from voiceagent.integrity_page import Card, card
from voiceagent.overview import KEPT_S, PERIODS, Overview, Period, overview

MAY_SEE_OVERVIEW: Final = ("tokens.view_issuance", "relay.view_call")
MAY_LOOK_UP: Final = ("tokens.view_issuance", "tokens.view_apikey")
MAY_END_EVERYTHING: Final = (
    "auth.change_user",
    "tokens.change_apikey",
    "tokens.change_issuance",
    "relay.change_call",
)
PAGES: Final = {"issuance": "admin:tokens_issuance_change", "api_key": "admin:tokens_apikey_change"}
MAX_USERS: Final = 50
BUDGET_PERIOD: Final = timedelta(days=30)
NEARLY_SPENT_PERCENT: Final = 80


@require_http_methods(["GET"])
@never_cache
def overview_page(request: HttpRequest) -> HttpResponse:
    """Show what happened in the last 24 hours, or 7, 30 or 90 days (`?period=7d`)."""
    if not request.user.has_perms(MAY_SEE_OVERVIEW):
        raise PermissionDenied
    period = PERIODS.get(request.GET.get("period", ""), PERIODS["24h"])
    counted = overview(period)
    context = {
        **admin.site.each_context(request),
        "title": "Overview",
        "period": period,
        "periods": PERIODS.values(),
        "counted": counted,
        "counted_at": time_of(counted.counted_at),
        "charts": charts_of(counted, period),
        "spent": f"${dollars(counted.spent_microdollars)}",
        "budget": budget_of(counted, period),
        "bars": bars_of(counted),
        "record": _record_card() if request.user.has_perm(MAY_SEE_RECORD) else None,
    }
    return render(request, "admin/overview.html", context)


@dataclass(frozen=True)
class Budget:
    """What calls may cost in a period, as its share of the budget of 30 days."""

    words: str
    percent: int

    @property
    def badge(self) -> str:
        return "bad" if self.percent > 100 else "warn" if self.percent >= NEARLY_SPENT_PERCENT else "good"


def budget_of(counted: Overview, period: Period) -> Budget | None:
    """Return how much of the budget is spent; None without one."""
    a_month: int = settings.BUDGET_USD_A_MONTH
    if not a_month:
        return None
    microdollars = round(a_month * MICRODOLLARS * (period.steps * period.step / BUDGET_PERIOD))
    return Budget(f"${dollars(microdollars)}", -(-100 * counted.spent_microdollars // microdollars))


def _record_card() -> Card:
    """Return how the record stands, looked at once a minute as all else on the overview."""
    kept: Card | None = cache.get("overview:record")
    if kept is None:
        cache.set("overview:record", kept := card(integrity()), KEPT_S)
    return kept


@require_http_methods(["GET", "POST"])
@sensitive_post_parameters("value")
@never_cache
def whose(request: HttpRequest) -> HttpResponse:
    """Tell whose a leaked client secret or API key is. The value comes by POST and goes nowhere."""
    if not request.user.has_perms(MAY_LOOK_UP):
        raise PermissionDenied
    value = request.POST.get("value", "").strip()
    leak = None
    if value:
        leak = find_leaked(value)
        target = leak.target if leak else ""
        record_event(Action.SECRET_LOOKED_UP, target=target, found=leak is not None, **acting(request))
    context = {
        **admin.site.each_context(request),
        "title": "Whose is it?",
        "was_asked": bool(value),
        "leak": leak,
        "page": _page_of(leak) if leak else "",
    }
    return render(request, "admin/whose.html", context)


def _page_of(leak: Leak) -> str:
    model, _, pk = leak.target.partition(":")
    return reverse(PAGES[model], args=[pk])


def may_end_everything(request: HttpRequest) -> bool:
    return bool(request.user.has_perms(MAY_END_EVERYTHING))


@require_http_methods(["GET", "POST"])
@never_cache
def end_everything_page(request: HttpRequest) -> HttpResponse:
    """Show what users have that could be ended (`?user=7&user=8`), and end it by POST."""
    if not may_end_everything(request):
        raise PermissionDenied
    pks = [int(pk) for pk in (request.POST or request.GET).getlist("user") if pk.isdecimal() and len(pk) < 19]
    users = list(User.objects.filter(pk__in=pks[:MAX_USERS]).order_by("username"))
    if any(user.is_superuser for user in users) and not request.user.is_superuser:
        raise PermissionDenied
    if request.method == "POST" and users:
        for user in users:
            ended = end_everything(user, disable="disable" in request.POST, **acting(request))
            messages.success(request, f"Ended for {user.get_username()}: {ended}.")
        return HttpResponseRedirect(reverse("admin:auth_user_changelist"))
    context = {
        **admin.site.each_context(request),
        "title": "End everything",
        "rows": [_what_is_left(user) for user in users],
    }
    return render(request, "admin/end_everything.html", context)


def _what_is_left(user: User) -> dict[str, object]:
    now = timezone.now()
    return {
        "user": user,
        "api_keys": ApiKey.objects.of(user).usable(now).count(),
        "secrets": len(live_secrets(user, now)),
        "calls": Call.objects.open().filter(user=user).count(),
    }
