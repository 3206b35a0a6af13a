"""Agents in the admin: a form whose changes become a draft, and the history of versions with what differs.

Versions are never changed; which one people talk to is the agent's field.
"""

from http import HTTPStatus
from typing import Any, Final

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import URLPattern, path, reverse

from agents import services
from agents.differences import Difference, differences
from agents.forms import GuardrailForm, VersionForm, VersionFormSet
from agents.models import Agent, AgentVersion, Guardrail
from audit.actions import Action
from voiceagent.acting import acting
from voiceagent.recorded_admin import RecordedAdmin

MAY_CHANGE: Final = "agents.change_agent"
VERSIONS_A_PAGE: Final = 20


class NextVersion(admin.StackedInline[AgentVersion, Agent]):
    model = AgentVersion
    form = VersionForm
    formset = VersionFormSet  # type: ignore[assignment]  # of this very form
    template = "admin/next_version.html"
    verbose_name = "What it says and does"
    extra = max_num = 1
    can_delete = False
    fieldsets = [
        ("Words", {"fields": ["base", "instructions", "greeting"]}),
        ("Voice", {"fields": ["voice", "voices", "speed"]}),
        (
            "Hearing",
            {
                "fields": [
                    "language",
                    "other_languages",
                    "transcription_model",
                    "transcription_prompt",
                    "noise_reduction",
                ]
            },
        ),
        (
            "Taking turns",
            {
                "fields": [
                    "turn_taking",
                    "eagerness",
                    "silence_duration_ms",
                    "threshold",
                    "prefix_padding_ms",
                    "idle_timeout_ms",
                ]
            },
        ),
        ("Tools", {"fields": ["tools"]}),
        ("Guardrails", {"fields": ["guardrails"]}),
        ("Other agents", {"fields": ["handoffs"]}),
        ("Model and limits", {"fields": ["model", "reasoning_effort", "max_output_tokens"]}),
        ("For the history", {"fields": ["note"]}),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[AgentVersion]:
        return super().get_queryset(request).none()

    def has_add_permission(self, request: HttpRequest, obj: Agent | None = None) -> bool:
        """Whoever may change an agent may say what it says next."""
        return request.user.has_perm(MAY_CHANGE if obj else "agents.add_agent")

    def has_view_permission(self, request: HttpRequest, obj: Agent | None = None) -> bool:
        return True  # of an agent that may be seen

    def has_change_permission(self, request: HttpRequest, obj: Agent | None = None) -> bool:
        return False


@admin.register(Agent)
class AgentAdmin(RecordedAdmin):
    changed = Action.AGENT_CHANGED
    list_display = ["name", "slug", "enabled", "published", "position"]
    list_filter = ["enabled"]
    list_select_related = ["published__agent"]
    prepopulated_fields = {"slug": ["name"]}
    fieldsets = [
        (
            "Who it is",
            {
                "fields": ["name", "slug", "description", "enabled", "position", "shows_event_log"],
                "description": "Holds at once. What it says and does, below, becomes a draft.",
            },
        )
    ]
    inlines = [NextVersion]
    change_form_template = "admin/agent_form.html"

    def get_urls(self) -> list[URLPattern]:
        guarded = self.admin_site.admin_view
        return [
            path("<int:pk>/versions/", guarded(self.versions_page), name="agents_agent_versions"),
            path("<int:pk>/versions/<int:number>/publish/", guarded(self.publish), name="agents_agent_publish"),
            path("<int:pk>/versions/<int:number>/return/", guarded(self.go_back), name="agents_agent_return"),
            *super().get_urls(),
        ]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        agent = self.get_object(request, object_id)
        context = {"agent": agent, "newest": agent.versions.first() if agent else None}
        return super().change_view(request, object_id, form_url, context | (extra_context or {}))

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        for version in formset.save(commit=False):
            services.save_draft(version, author=request.user.get_username(), by=acting(request))
            self.message_user(request, f"Version {version.number} is saved as a draft.")

    def versions_page(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Show what each version changed, the newest first."""
        agent = get_object_or_404(Agent.objects.select_related("published"), pk=pk)
        if not self.has_view_permission(request, agent):
            raise PermissionDenied
        page = Paginator(agent.versions.all(), VERSIONS_A_PAGE).get_page(request.GET.get("page"))
        context = {
            **self.admin_site.each_context(request),
            "title": f"Versions of {agent.name}",
            "agent": agent,
            "newest": agent.versions.first(),
            "page": page,
            "versions": _with_differences(agent, list(page)),
            "may_change": self.has_change_permission(request, agent),
        }
        return render(request, "admin/agent_versions.html", context)

    def publish(self, request: HttpRequest, pk: int, number: int) -> HttpResponse:
        """Let people talk to a version."""
        version = self._version_to_change(request, pk, number)
        if version is None:
            return HttpResponseNotAllowed(["POST"])
        if services.publish(version, by=acting(request)):
            self.message_user(request, f"People talk to version {number} from now on; calls that run keep theirs.")
        return HttpResponseRedirect(reverse("admin:agents_agent_change", args=[pk]), status=HTTPStatus.SEE_OTHER)

    def go_back(self, request: HttpRequest, pk: int, number: int) -> HttpResponse:
        """Publish an old version once more."""
        version = self._version_to_change(request, pk, number)
        if version is None:
            return HttpResponseNotAllowed(["POST"])
        again = services.go_back(version, author=request.user.get_username(), by=acting(request))
        self.message_user(request, f"Version {again.number} says what version {number} said, and is published.")
        return HttpResponseRedirect(reverse("admin:agents_agent_versions", args=[pk]), status=HTTPStatus.SEE_OTHER)

    def _version_to_change(self, request: HttpRequest, pk: int, number: int) -> AgentVersion | None:
        """Return the version that a button is about; None for a request that no button makes."""
        if request.method != "POST":
            return None
        version = get_object_or_404(AgentVersion.objects.select_related("agent"), agent=pk, number=number)
        if not self.has_change_permission(request, version.agent):
            raise PermissionDenied
        return version


@admin.register(Guardrail)
class GuardrailAdmin(RecordedAdmin):
    changed = Action.GUARDRAIL_CHANGED
    form = GuardrailForm
    list_display = ["name", "slug", "side", "kind", "enabled", "records_only"]
    list_filter = ["side", "enabled", "records_only"]
    prepopulated_fields = {"slug": ["name"]}
    fieldsets = [
        (None, {"fields": ["name", "slug", "enabled", "records_only"]}),
        ("What it looks for", {"fields": ["side", "kind", "words", "pattern", "categories", "check_name"]}),
        ("What happens then", {"fields": ["safe_line"]}),
    ]


def _with_differences(agent: Agent, versions: list[AgentVersion]) -> list[tuple[AgentVersion, list[Difference]]]:
    """Return versions with what each changed of the one before; numbers have no gaps."""
    if not versions:
        return []
    before = agent.versions.filter(number=versions[-1].number - 1).first()
    return [
        (version, differences(earlier, version))
        for version, earlier in zip(versions, [*versions[1:], before], strict=True)
    ]
