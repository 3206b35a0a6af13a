"""Which agents are open to somebody, and with which voices."""

from agents.models import Agent, AgentVersion
from tokens.policy import Allowance


def open_agents(allowance: Allowance) -> list[tuple[Agent, AgentVersion]]:
    """Return the agents that one may talk to, each with what it runs, the default one first."""
    return [
        (agent, agent.published)
        for agent in Agent.objects.offered()
        if agent.published and allowance.allows_agent(agent.slug)
    ]


def open_voices(version: AgentVersion, allowance: Allowance) -> list[str]:
    """Return the voices that one may choose from, the version's own first; none where it is fixed."""
    if not version.voices:
        return []
    voices = dict.fromkeys([version.voice, *version.voices])
    return [voice for voice in voices if allowance.voices is None or voice in allowance.voices]
