"""Who may talk to an agent, for the page about it: the policies that name agents, and whether it is among them."""

from typing import Final

from django import template

from agents.models import Agent
from tokens.models import Policy

register = template.Library()
MOST: Final = 50


@register.inclusion_tag("admin/who_may_use.html")
def who_may_use(agent: Agent) -> dict[str, object]:
    """Tell it policy by policy; those that leave the question open let everybody in."""
    naming = Policy.objects.exclude(allowed_agents=None).select_related("user", "group", "api_key")
    rules = [
        (policy, agent.slug in policy.allowed_agents)
        for policy in sorted(naming[:MOST], key=lambda policy: policy.precedence)
        if policy.allowed_agents is not None
    ]
    return {"rules": rules, "is_cut": len(rules) >= MOST}
