"""The pages. No rules here: what a person may do is decided where it is done."""

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.templatetags.static import static
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from agents.models import Agent
from realtime_ui.key_pages import owner
from realtime_ui.words import PAGE_WORDS
from tokens.policy import allowance_of
from voiceagent import sdk_bundle


@login_required
@require_safe
@never_cache
def voice(request: HttpRequest) -> HttpResponse:
    """Show the page people talk on."""
    allowance = allowance_of(owner(request), None)
    agents = [
        {"slug": agent.slug, "name": agent.name, "description": agent.description, "voice": agent.published.voice}
        for agent in Agent.objects.offered()
        if agent.published and allowance.allows_agent(agent.slug)
    ]
    context = {
        "agents": agents,
        "sdk_built": sdk_bundle.is_built(),
        "upstream_label": settings.UPSTREAM_LABEL,
        "upstream_is_local": settings.UPSTREAM_IS_LOCAL,
        "page_config": page_config(),
        "page_words": page_words(),
    }
    return render(request, "realtime_ui/voice.html", context)


def page_words() -> dict[str, str]:
    """Return the words of the page's modules; what to do about a missing upstream is the settings' to say."""
    words = {name: str(word) for name, word in PAGE_WORDS.items()}
    unreachable = words["error_unreachable_line"].format(hint=settings.UPSTREAM_UNAVAILABLE_HINT)
    return words | {"error_unreachable_line": unreachable}


def page_config() -> dict[str, str | bool]:
    """Return what the page's modules need to know of the server, by the names that they use."""
    return {
        "clientSecretUrl": reverse("tokens:client_secret"),
        "callsUrl": reverse("relay:calls"),
        "callEventsUrl": reverse("relay:call_events", args=["CALL-ID"]).replace("CALL-ID", "{callId}"),
        "usageUrl": reverse("tokens:usage"),
        "loginUrl": reverse("account_login"),
        "sdkUrl": static(sdk_bundle.STATIC_PATH) if sdk_bundle.is_built() else "",
        "csrfHeader": "X-CSRFToken",
        "debug": settings.DEBUG,
    }
