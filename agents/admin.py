"""Agents in the admin. Versions can be added and read, never changed; which one is published is the agent's field."""

from django.contrib import admin
from django.forms import ModelChoiceField
from django.http import HttpRequest

from agents.models import Agent, AgentVersion
from audit.actions import Action
from voiceagent.recorded_admin import RecordedAdmin


class AgentVersionInline(admin.StackedInline[AgentVersion, Agent]):
    model = AgentVersion
    extra = 0
    readonly_fields = ["number"]

    def has_change_permission(self, request: HttpRequest, obj: Agent | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Agent | None = None) -> bool:
        return False


@admin.register(Agent)
class AgentAdmin(RecordedAdmin):
    changed = Action.AGENT_CHANGED
    list_display = ["name", "slug", "enabled", "published", "position"]
    list_filter = ["enabled"]
    list_select_related = ["published__agent"]
    prepopulated_fields = {"slug": ["name"]}
    inlines = [AgentVersionInline]

    def get_form(self, request: HttpRequest, obj: Agent | None = None, change: bool = False, **kwargs: object) -> type:
        form: type = super().get_form(request, obj, change=change, **kwargs)
        field: ModelChoiceField[AgentVersion] | None = form.base_fields.get("published")  # type: ignore[attr-defined]  # made by the factory
        if field is not None:  # it is missing for those who may only look
            field.queryset = AgentVersion.objects.filter(agent=obj)
        return form
