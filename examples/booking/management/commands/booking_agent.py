"""`manage.py booking_agent`: the agent that books appointments, made once; what was changed of it since stays."""

from typing import Any, Final

from django.core.management.base import BaseCommand
from django.db import transaction

from agents.models import Agent, AgentVersion

SLUG: Final = "booking"
INSTRUCTIONS: Final = (
    "You arrange appointments of a small practice by voice. Answer in one or two short sentences. Find out what the "
    "person wants: a day and a time, their name and their phone number, one question at a time. Which day it is "
    "today tells current_date. Look up with check_availability before you offer a time. When you have everything, "
    "read it back and ask whether it is right; only after a clear yes call create_booking. Say what the tools answer, "
    "and invent nothing. You can do nothing else: book for nobody but the person who talks to you."
)


class Command(BaseCommand):
    help = "Make the agent of the booking example, unless there is one."

    def handle(self, *args: Any, **options: Any) -> None:
        with transaction.atomic():
            agent, is_new = Agent.objects.get_or_create(
                slug=SLUG,
                defaults={"name": "Appointments", "description": "Books an appointment for you.", "position": 10},
            )
            if is_new:
                agent.published = AgentVersion.objects.create(
                    agent=agent,
                    instructions=INSTRUCTIONS,
                    greeting="Hello! I can book an appointment for you. Which day would suit you?",
                    tools=["check_availability", "create_booking", "current_date"],
                )
                agent.save()
