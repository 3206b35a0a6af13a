"""The record's own page in the administration: whether anybody can still prove what it says, and why not."""

from dataclasses import dataclass

from django.conf import settings
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from audit.actions import Action
from audit.health import Integrity, State, integrity
from audit.services import record_event
from audit.verification import asked_since
from voiceagent.acting import acting
from voiceagent.admin_words import time_of

MAY_SEE = "audit.view_auditevent"
WORDS: dict[State, str] = {
    "green": "Intact and anchored outside",
    "amber": "Not shown to be intact",
    "red": "Broken",
}
BADGES: dict[State, str] = {"green": "good", "amber": "warn", "red": "bad"}


@dataclass(frozen=True)
class Card:
    """The record in one line, for the overview: state, words, and the event where it is broken."""

    badge: str
    words: str
    details: str
    broken_at: str = ""  # that event's page


def card(found: Integrity) -> Card:
    """Say how the record stands; `found` is what `integrity` returned."""
    size = found.checkpoint.size if found.checkpoint else 0
    if found.state == "green":
        return Card(BADGES["green"], WORDS["green"], f"{size:,} events")
    return Card(BADGES[found.state], _headline(found), found.reasons[0], _broken_at(found))


def _headline(found: Integrity) -> str:
    event = _bad_event(found)
    return f"Broken at event {event}" if event else WORDS[found.state]


def _broken_at(found: Integrity) -> str:
    event = _bad_event(found)
    return reverse("admin:audit_auditevent_change", args=[event]) if event else ""


def _bad_event(found: Integrity) -> str:
    """Return the event that the last full verification stopped at."""
    return found.verified.target.removeprefix("event:") if found.verified and found.verified.code else ""


@require_http_methods(["GET", "POST"])
@never_cache
def integrity_page(request: HttpRequest) -> HttpResponse:
    """Show how the record stands; POST asks the worker to verify all of it."""
    if not request.user.has_perm(MAY_SEE):
        raise PermissionDenied
    if request.method == "POST":
        _ask(request)
        return HttpResponseRedirect(reverse("admin:integrity"))
    found = integrity()
    exports = [{"sink": export, "when": time_of(export.exported_at)} for export in found.exports]
    context = {
        **admin.site.each_context(request),
        "title": "Integrity of the record",
        "found": found,
        "card": card(found),
        "exports": exports,
        "asked": time_of(asked_since()),
        "made_at": time_of(found.checkpoint.made_at) if found.checkpoint else "",
        "verified_at": time_of(found.verified.recorded_at) if found.verified else "",
        "origin": settings.AUDIT_ORIGIN,
    }
    return render(request, "admin/integrity.html", context)


def _ask(request: HttpRequest) -> None:
    """Ask once, however often the button is pressed."""
    if asked_since() is None:
        record_event(Action.AUDIT_VERIFICATION_ASKED, **acting(request))
