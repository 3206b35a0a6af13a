"""`manage.py starter_agents`: agents to begin with, made once; what was changed of them since stays."""

from typing import Any, Final

from django.core.management.base import BaseCommand
from django.db import transaction

from agents.models import Agent, AgentVersion

SPECIALIST: Final[dict[str, Any]] = {
    "slug": "house-guide",
    "name": "House guide",
    "description": "Knows opening hours, rooms and the way to them.",
    "position": 21,
    "instructions": (
        "You are the guide of a small library. It is open from nine to six on working days and from ten to two on "
        "Saturdays; readings are in the garden room on the first floor. Answer in one or two short sentences, and say "
        "so plainly when you do not know something."
    ),
}
GREETER: Final[dict[str, Any]] = {
    "slug": "front-desk",
    "name": "Front desk",
    "description": "Greets you and finds the right person.",
    "position": 20,
    "greeting": "Hello, this is the front desk. What brings you here?",
    "handoffs": [SPECIALIST["slug"]],
    "instructions": (
        "You are the front desk of a small library. Find out in one question what the person needs. Hand over to the "
        "house guide for anything about opening hours, rooms or the way; answer nothing about these yourself."
    ),
}
OF_AGENT: Final = ("slug", "name", "description", "position")


class Command(BaseCommand):
    help = "Make a front desk that hands over to a house guide, unless they are there."

    def handle(self, *args: Any, **options: Any) -> None:
        with transaction.atomic():
            for about in (SPECIALIST, GREETER):
                make_once(about)


def make_once(about: dict[str, Any]) -> None:  # Any: fields of an agent and of its first version
    names = {name: about[name] for name in OF_AGENT}
    agent, is_new = Agent.objects.get_or_create(slug=about["slug"], defaults=names)
    if is_new:
        content = {name: value for name, value in about.items() if name not in OF_AGENT}
        agent.published = AgentVersion.objects.create(agent=agent, **content)
        agent.save()
