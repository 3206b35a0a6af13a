"""Filters that the histories of secrets and of calls have in common."""

from collections.abc import Iterable

from agents.models import Agent
from voiceagent.list_filters import DateRangeFilter, LinkedFilter, SelectFilter


class DaysFilter(DateRangeFilter):
    field = "requested_at"


class AgentFilter(SelectFilter):
    title, parameters, field = "agent", ("agent",), "agent"

    def values(self) -> Iterable[tuple[str, str]]:
        if not hasattr(self, "_agents"):
            self._agents = list(Agent.objects.order_by("slug").values_list("slug", "name"))
        return self._agents


class UserFilter(LinkedFilter):
    title, parameters, field = "user", ("user",), "username"
