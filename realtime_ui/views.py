"""The pages. No rules here: what a person may do is decided where it is done."""

from typing import Final

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.templatetags.static import static
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import require_safe

from agents.models import Agent, AgentVersion
from realtime_ui.key_pages import owner
from realtime_ui.words import PAGE_WORDS
from relay.constants import SOCKET_PATH
from tokens.open_agents import open_agents, open_voices
from tokens.policy import allowance_of
from voiceagent import page_bundle, sdk_bundle

MAX_NUMBER_CHARS: Final = 10


@login_required
@require_safe
@never_cache
@gzip_page
def voice(request: HttpRequest) -> HttpResponse:
    """Show the page people talk on."""
    draft = find_draft(request)
    allowance = allowance_of(owner(request), None)
    sees_every_log = settings.DEBUG or owner(request).is_staff
    open_now = open_agents(allowance)
    offered = [(draft.agent, draft)] if draft else open_now
    agents = [
        {
            "slug": agent.slug,
            "name": agent.name,
            "description": agent.description,
            "voice": version.voice,
            "voices": open_voices(version, allowance),
            "shows_log": sees_every_log or agent.shows_event_log,
        }
        for agent, version in offered
    ]
    context = {
        "agents": agents,
        "shows_log": any(agent["shows_log"] for agent in agents),
        "transcripts": allowance.transcripts,
        "draft": draft,
        "sdk_built": sdk_bundle.is_built(),
        "upstream_label": settings.UPSTREAM_LABEL,
        "upstream_is_local": settings.UPSTREAM_IS_LOCAL,
        "page_config": page_config()
        | {
            "version": draft.number if draft else 0,
            "longestCallS": allowance.call_max_s,
            "agents": agents_at_hand([*open_now, *offered]),
        },
        "page_words": page_words(),
        **page_files(),
    }
    return render(request, "realtime_ui/voice.html", context)


def agents_at_hand(pairs: list[tuple[Agent, AgentVersion]]) -> dict[str, dict[str, str | list[str]]]:
    """Return by slug the agents' names and to whom of them each may hand a call; of two versions the later counts."""
    by_slug = {agent.slug: (agent, version) for agent, version in pairs}
    return {
        slug: {"name": agent.name, "handsOverTo": [other for other in version.handoffs if other in by_slug]}
        for slug, (agent, version) in by_slug.items()
    }


def find_draft(request: HttpRequest) -> AgentVersion | None:
    """Return the version that the address names, for those who may change agents; None when it names none.

    Raises Http404 for everybody else: whoever asks for such a secret without the page is told more, and is on record.
    """
    if "version" not in request.GET:
        return None
    slug, number = request.GET.get("agent", ""), request.GET["version"]
    if not (request.user.has_perm("agents.change_agent") and number.isdecimal() and len(number) < MAX_NUMBER_CHARS):
        raise Http404
    return get_object_or_404(AgentVersion.objects.select_related("agent"), agent__slug=slug, number=number)


def page_words() -> dict[str, str]:
    """Return the words of the page's modules; what to do about a missing upstream is the settings' to say."""
    words = {name: str(word) for name, word in PAGE_WORDS.items()}
    unreachable = words["error_unreachable_line"].format(hint=settings.UPSTREAM_UNAVAILABLE_HINT)
    return words | {"error_unreachable_line": unreachable}


def page_files() -> dict[str, object]:
    """Return the page's script, its style sheets and the folder of its modules: joined, or one by one.

    One by one too while debugging, where a source that was just changed shall be seen.
    """
    if settings.DEBUG or not page_bundle.is_used():
        return {"page_script": page_bundle.SCRIPT, "page_styles": page_bundle.STYLES, "modules_folder": ""}
    folder = page_bundle.PATH
    return {"page_script": f"{folder}page.js", "page_styles": [f"{folder}page.css"], "modules_folder": folder}


def page_config() -> dict[str, str | int]:
    """Return what the page's modules need to know of the server, by the names that they use."""
    return {
        "clientSecretUrl": reverse("tokens:client_secret"),
        "callsUrl": reverse("relay:calls"),
        "socketUrl": f"/{SOCKET_PATH}?keepalive=true",
        "captureUrl": static("realtime_ui/js/worklets/capture.js"),
        "playbackUrl": static("realtime_ui/js/worklets/playback.js"),
        "callEventsUrl": reverse("relay:call_events", args=["CALL-ID"]).replace("CALL-ID", "{callId}"),
        "callToolsUrl": reverse("tools:call_tools", args=["CALL-ID"]).replace("CALL-ID", "{callId}"),
        "runToolUrl": reverse("tools:run", args=["TOOL"]).replace("TOOL", "{name}"),
        "streamUrl": reverse("relay:call_stream"),
        "callListUrl": reverse("relay:call_list"),
        "hangUpUrl": reverse("relay:hang_up", args=["CALL-ID"]).replace("CALL-ID", "{callId}"),
        "commandsUrl": reverse("relay:call_commands", args=["CALL-ID"]).replace("CALL-ID", "{callId}"),
        "usageUrl": reverse("tokens:usage"),
        "healthUrl": reverse("readyz"),
        "dryRunUrl": reverse("relay:dry_run"),
        "loginUrl": reverse("account_login"),
        "sdkUrl": static(sdk_bundle.STATIC_PATH) if sdk_bundle.is_built() else "",
        "transport": settings.VOICE_TRANSPORT,
        "repeatsTurns": settings.REPEAT_TURNS_AFTER_RECONNECT,
        "csrfHeader": "X-CSRFToken",
    }
