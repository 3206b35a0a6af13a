"""Handing a call over, as a model sees it: a function for each agent that a version may hand it to."""

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from agents.models import Agent, AgentVersion

PREFIX: Final = "transfer_to_"


def function_name(slug: str) -> str:
    return f"{PREFIX}{slug}"


def words_about(agent: "Agent") -> str:
    """Return what a model is told about an agent; kept in the version, so that a live session cannot seem changed."""
    return f"Hand the person over to {agent.name}{f': {agent.description}' if agent.description else ''}"[:400]


def definitions_of(version: "AgentVersion") -> list[dict[str, Any]]:  # Any: JSON
    """Return the functions by which a version's model hands over, as its session takes them."""
    return [
        {
            "type": "function",
            "name": function_name(slug),
            "description": version.handoff_words.get(slug, ""),
            "parameters": {"type": "object", "properties": {}, "additionalProperties": False},
        }
        for slug in version.handoffs
    ]
